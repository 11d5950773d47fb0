//! Key to item: a lock-free-to-read hash index that grows one bucket at a time.

//! One thread, one mio poll loop, its connections.

//! A memcached-compatible cache. Floors from bottom to top; a module may use only those above its own
//! line in this file. `t/tidy.rs` checks it.

//! The `larder` daemon.

fn main() {}

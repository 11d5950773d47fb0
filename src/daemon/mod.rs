//! The process: flags, signals, privileges, start and stop.

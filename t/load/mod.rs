//! `larder-bench`: its requests are answered, its counts are right, and it finds wrong answers of a server.

mod comparison;
mod floor;
mod liar;
mod lies;
mod reports;
mod runs;
mod session;
mod tls;
mod tool;

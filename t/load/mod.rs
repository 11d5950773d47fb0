//! `larder-bench`: what it sends is answered, what it counts is true, and a server that lies is found out.

mod comparison;
mod floor;
mod liar;
mod lies;
mod runs;
mod session;
mod tool;

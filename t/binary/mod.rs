//! The binary protocol, against the model and over sockets.

mod commands;
pub(crate) mod fuzz;
mod sasl;
mod server;

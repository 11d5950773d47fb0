//! The one integration test binary.

mod cli;
mod commands;
mod docs;
mod fuzz_connection;
mod fuzz_parser;
mod fuzz_server;
mod model;
#[path = "support/model_engine.rs"]
mod model_engine;
#[path = "support/random.rs"]
mod random;
#[path = "support/session.rs"]
mod session;
mod store;
mod stress;
mod support;
mod tidy;

//! The one integration test binary.

mod commands;
mod docs;
#[path = "support/model_engine.rs"]
mod model_engine;
#[path = "support/session.rs"]
mod session;
mod tidy;

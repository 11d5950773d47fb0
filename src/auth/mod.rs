//! Users and their passwords: the user file, and whether a password is right. No sockets, no wire format.
//!
//! ```text
//! user file ──load, reload──▶ UserTable
//! client ──Credentials──▶ Authenticator::check ─┬─▶ Accepted, Refused     at once
//!                                               └─▶ Pending(PendingVerdict)       a hash: the verifier thread answers
//! ```
//!
//! A check is a digest and a comparison with all users. So it takes the same time for an unknown user and for a wrong
//! password. A hashed password (Argon2) takes milliseconds. One thread verifies them, so no worker waits for a hash.

mod authenticator;
mod credentials;
mod hashed;
mod user_table;
mod verifier;

pub use authenticator::{Authenticator, Check};
pub use credentials::{Credentials, MECHANISMS};
pub use user_table::LoadError;
pub use verifier::PendingVerdict;

//! Conversations in the text protocols, one file for each family of commands (support/transcript.rs has the notation).
//! Data alone: t/main.rs makes a test of each, and t/oracle plays the same ones against memcached. So a line here is
//! what memcached says too, or stands in t/oracle/differences.rs.

pub(crate) mod admin;
pub(crate) mod arith;
pub(crate) mod delete;
pub(crate) mod expiry;
pub(crate) mod flush;
pub(crate) mod framing;
pub(crate) mod meta_base64;
pub(crate) mod meta_change;
pub(crate) mod meta_get;
pub(crate) mod meta_set;
pub(crate) mod noreply;
pub(crate) mod numbers;
pub(crate) mod retrieval;
pub(crate) mod stats;
pub(crate) mod storage;
pub(crate) mod storage_refusals;
pub(crate) mod touch;

//! The binary protocol.
//!
//! ```text
//! 0       1        2         4            5           6         8          12       16    24
//! ├───────┼────────┼─────────┼────────────┼───────────┼─────────┼──────────┼────────┼─────┼────────┬─────┬───────┐
//! │ magic │ opcode │ key len │ extras len │ data type │ vbucket │ body len │ opaque │ CAS │ extras │ key │ value │
//! └───────┴────────┴─────────┴────────────┴───────────┴─────────┴──────────┴────────┴─────┴────────┴─────┴───────┘
//!   0x80 request, 0x81 reply                            status in a reply                 └──── the body ────┘
//! ```
//!
//! Numbers are big-endian. The server ignores data type and vbucket, and repeats the opaque.
//!
//! ```text
//! opcode.rs   the table of opcodes
//! status.rs   the table of statuses and their texts
//! login.rs    a request of a client that is not authenticated
//! header.rs   the 24 bytes before the body
//! quick.rs    the most common requests: fetches and plain sets
//! parse.rs    every request
//! reply.rs    replies
//! ```

mod header;
mod login;
mod opcode;
mod parse;
pub mod quick;
mod reply;
mod status;

pub use header::{HEADER_LEN, REQUEST_MAGIC};
pub use login::{SASL_BODY_LEN_MAX, SaslLogin, login};
pub use opcode::{KeyShown, Opcode, OpcodeFamily, Quiet};
pub use parse::{ReplySummary, parse, reply_summary, summary};
pub use status::Status;

pub use reply::{push_missed, push_text, push_value, push_value_head};

pub(super) use reply::{compose, frame_lines, push_found, push_row};

//! What a connection waits for.
//!
//! ```text
//!           ┌──────────────── whole request executed ────────────────┐
//!           ▼                                                        │
//! First → Command ──value still coming──▶ Value ──stored or refused──┤
//!           │  │ ╲──refused, data to come──▶ Swallow ────────────────┤
//!           │  └──────key list unfinished───▶ Line ──────────────────┘
//!           │
//!           └── quit, error, idle, shutdown ──▶ Closing(why)
//! ```
//!
//! In every state the client may be slow to read: then the connection has a backlog, and nothing is parsed until that
//! is sent.

use crate::command::Incoming;
use crate::protocol::LineRest;
use crate::store::Upload;

use super::board::Activity;

/// What a connection waits for. Each state owns what only it needs.
pub(super) enum State {
    /// The first request. Its first byte says which protocol the client speaks.
    First,
    /// The next request.
    Command,
    /// The rest of a line of which some is answered.
    Line(LineRest),
    /// A value that did not arrive together with its request, and its CRLF: read straight into slab memory.
    Value(Box<Incoming<Upload>>),
    /// The bytes of a refused value: they are thrown away, so that the connection stays in step.
    Swallow {
        /// How many.
        remaining: u64,
    },
    /// Nothing more: what is queued is sent, then the connection ends.
    Closing(CloseReason),
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client has closed its end.
    PeerFinished,
    /// The kernel reports the connection broken.
    Broken,
    /// quit, or what the client sent is no memcached protocol.
    Asked,
    /// The client was silent for too long.
    Idle,
    /// The server ends.
    Shutdown,
}

impl State {
    /// As `stats conns` says it.
    #[inline]
    pub(super) const fn activity(&self) -> Activity {
        match self {
            Self::First | Self::Command | Self::Line(_) | Self::Closing(_) => Activity::Reading,
            Self::Value(_) => Activity::ReceivingValue,
            Self::Swallow { .. } => Activity::Swallowing,
        }
    }

    /// What the next bytes continue, if they do not begin a request.
    #[inline]
    pub(super) const fn begun(&self) -> Option<LineRest> {
        match self {
            Self::Line(rest) => Some(*rest),
            Self::First | Self::Command | Self::Value(_) | Self::Swallow { .. } | Self::Closing(_) => None,
        }
    }
}

//! The states of a connection.
//!
//! ```text
//!           ┌──────────────── whole request executed ────────────────┐
//!           ▼                                                        │
//!         Command ──value still coming──▶ Value ──stored or refused──┤
//!           │  │ ╲──refused, data to come──▶ Swallow ────────────────┤
//!           │  ├──────key list unfinished───▶ Line ──────────────────┤
//!           │  ├──────dump begun──────────────▶ Dumping ─────────────┘
//!           │  └──────watch─────────────────▶ Watching ──▶ the watch thread
//!           │
//!           └── quit, error, idle, shutdown ──▶ Closing(why)
//!
//! Locked ⇄ Verifying        with -Y, before Command; locked.rs draws it
//! ```
//!
//! In every state the client may be slow to read. The connection then has a backlog, and parses nothing until it is
//! sent.

use crate::auth::PendingVerdict;
use crate::command::{Dump, Incoming};
use crate::protocol::{BinaryEcho, LineRest};
use crate::replication::PendingAnswer;
use crate::watch::Wanted;

use super::cache::PendingValue;
use super::connection_table::Activity;

/// What a connection waits for. Each state owns what only it needs.
pub(super) enum ConnectionState {
    /// The next request.
    Command,
    /// The rest of a line that is partly answered.
    Line(LineRest),
    /// The rest of a value and its terminator, received straight into slab memory.
    Value(Box<Incoming<PendingValue>>),
    /// The bytes of a refused value. They are discarded, so that the connection stays in step.
    Swallow {
        /// Bytes still to come.
        remaining: u64,
    },
    /// The worker to allow the next slice of a dump. Requests behind it wait.
    Dumping {
        /// Its position.
        dump: Box<Dump>,
        /// Whether this drive may write a slice.
        is_allowed: bool,
    },
    /// The owner of a key to answer. The bytes of the request are kept, and it is executed again.
    Asking(PendingAnswer),
    /// The client must authenticate.
    Locked {
        /// Attempts that failed.
        failures: u8,
    },
    /// The verdict of the verifier thread on an attempt.
    Verifying {
        /// Where the verdict will be.
        ticket: PendingVerdict,
        /// Attempts that failed before.
        failures: u8,
        /// How the attempt is to be answered, in the binary protocol.
        packet: Option<BinaryEcho>,
    },
    /// Its replies to be sent. Then the watch thread takes the client over.
    Watching(Box<Wanted>),
    /// Nothing: the queue is sent, then the connection ends.
    Closing(CloseReason),
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client has closed its end.
    PeerFinished,
    /// The kernel reports the connection broken.
    Broken,
    /// The client sent quit, or something that is not the memcached protocol.
    Asked,
    /// The client was silent for too long.
    Idle,
    /// The server ends.
    Shutdown,
}

impl ConnectionState {
    /// The state as `stats conns` shows it.
    #[inline]
    pub(super) const fn activity(&self) -> Activity {
        match self {
            Self::Command
            | Self::Line(_)
            | Self::Locked { .. }
            | Self::Asking(_)
            | Self::Verifying { .. }
            | Self::Closing(_) => Activity::Reading,
            Self::Value(_) => Activity::ReceivingValue,
            Self::Swallow { .. } => Activity::Swallowing,
            Self::Dumping { .. } | Self::Watching(_) => Activity::Sending,
        }
    }

    /// What the next bytes continue; `None` if they begin a request.
    #[inline]
    pub(super) const fn begun(&self) -> Option<&LineRest> {
        match self {
            Self::Line(rest) => Some(rest),
            Self::Command
            | Self::Value(_)
            | Self::Swallow { .. }
            | Self::Dumping { .. }
            | Self::Watching(_)
            | Self::Locked { .. }
            | Self::Asking(_)
            | Self::Verifying { .. }
            | Self::Closing(_) => None,
        }
    }
}

//! A connection that goes to the process of a new binary, or comes from the process of an old one.
//!
//! ```text
//! Connection ──record──▶ ConnectionRecord, socket ──▶ another process ──adopt──▶ Connection
//! ```
//!
//! What refers to memory of the process has no record. Such are a value that is being received, a dump, a verification
//! and a request to the owner of a key. The rest of a list of keys is another. A worker lets these end first.

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::base::RelTime;
use crate::counters::Counters;
use crate::protocol::{Grammar, LineRest};
use crate::upgrade::{ConnectionRecord, ConnectionStage};
use crate::watch::{Wanted, WatcherPeer};

use super::backlog::Backlog;
use super::connection::Connection;
use super::read_buf::ReadBuf;
use super::state::{CloseReason, ConnectionState};

/// Unread replies that a connection may take along, in bytes: those of a full write queue and of a large value.
const UNSENT_BYTES_MAX: usize = 16 << 20;

impl Connection {
    /// The client for the watch thread, and what it wants to watch.
    pub fn into_watcher(self) -> Option<(WatcherPeer, Box<Wanted>)> {
        let (socket, session) = self.transport.into_parts();
        match self.state {
            ConnectionState::Watching(wanted) => Some((WatcherPeer::new(socket, session), wanted)),
            _ => None,
        }
    }

    /// Its socket.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.transport.socket()
    }

    /// Whether it has a record, apart from the bound on unread replies.
    pub const fn can_be_handed_over(&self) -> bool {
        // A TLS session cannot. To wait would not help.
        self.transport.is_tls() || self.stage().is_some()
    }

    const fn stage(&self) -> Option<ConnectionStage> {
        match self.state {
            ConnectionState::Command => Some(ConnectionStage::Command),
            ConnectionState::Swallow { remaining } => Some(ConnectionStage::Swallow(remaining)),
            ConnectionState::Locked { failures } => Some(ConnectionStage::Locked(failures)),
            ConnectionState::Closing(_) => Some(ConnectionStage::Closing),
            ConnectionState::Line(LineRest::Refused) => Some(ConnectionStage::RefusedLine),
            ConnectionState::Line(LineRest::Keys(_))
            | ConnectionState::Value(_)
            | ConnectionState::Dumping { .. }
            | ConnectionState::Asking(_)
            | ConnectionState::Verifying { .. }
            | ConnectionState::Watching(_) => None,
        }
    }

    /// What another process must know of it. It stays as it is. `None`: it cannot be handed over.
    pub fn record(&self, now: RelTime, is_admin: bool) -> Option<ConnectionRecord> {
        if self.transport.is_tls() {
            return None;
        }
        Some(ConnectionRecord {
            stage: self.stage()?,
            grammar: self.grammar.code(),
            is_admin,
            is_introduced: self.is_introduced,
            hangup: self.hangup,
            idle_s: now.0.saturating_sub(self.last_active.0),
            unread: self.tail.as_deref().unwrap_or_default().to_vec(),
            unsent: match &self.backlog {
                Some(backlog) => backlog.unsent(UNSENT_BYTES_MAX)?,
                None => Vec::new(),
            },
        })
    }

    /// The connection of a record. It must be driven: the kernel may have nothing more to report.
    ///
    /// # Errors
    /// This process cannot serve it. Its socket is handed back.
    pub fn adopt(
        socket: OwnedFd,
        record: ConnectionRecord,
        now: RelTime,
        counters: &Counters,
    ) -> Result<Self, OwnedFd> {
        let ConnectionRecord { stage, grammar, is_introduced, hangup, idle_s, unread, unsent, .. } = record;
        let mut backlog = Box::<Backlog>::default();
        let (Some(grammar), Ok(())) = (Grammar::from_code(grammar), backlog.push_text(&unsent)) else {
            return Err(socket);
        };
        if unread.len() as u64 > ReadBuf::BYTES {
            return Err(socket);
        }
        let mut connection = Self::new(socket, RelTime(now.0.saturating_sub(idle_s)));
        connection.state = match stage {
            ConnectionStage::Command => ConnectionState::Command,
            ConnectionStage::Swallow(remaining) => ConnectionState::Swallow { remaining },
            ConnectionStage::Locked(failures) => ConnectionState::Locked { failures },
            ConnectionStage::Closing => ConnectionState::Closing(CloseReason::Asked),
            ConnectionStage::RefusedLine => ConnectionState::Line(LineRest::Refused),
        };
        connection.grammar = grammar;
        (connection.is_introduced, connection.hangup, connection.readable) = (is_introduced, hangup, true);
        if !unsent.is_empty() {
            counters.buffers.backlog_bytes.add(backlog.text_bytes());
            connection.backlog = Some(backlog);
        }
        if !unread.is_empty() {
            counters.buffers.tails.add(1);
            counters.buffers.tail_bytes.add(unread.len() as u64);
            connection.tail = Some(unread.into_boxed_slice());
        }
        Ok(connection)
    }
}

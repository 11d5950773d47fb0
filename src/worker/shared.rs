//! What a worker is given at its start: handles of the process, and settings.

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::base::Clock;
use crate::command::{Operator, Switches};
use crate::conn::ConnectionTable;
use crate::protocol::Binding;
use crate::settings::Tunables;
use crate::stats::{HotKeys, PrefixTable};
use crate::watch::Hub;

use super::gate::ClientGate;

/// What all workers share.
pub struct Shared {
    /// The process's clock.
    pub clock: Arc<Clock>,
    /// Settings that may change at run time.
    pub tunables: Arc<Tunables>,
    /// The process, for commands.
    pub operator: Arc<dyn Operator + Send + Sync>,
    /// Settings that commands use.
    pub switches: Switches,
    /// `stats detail`.
    pub prefixes: Arc<PrefixTable>,
    /// `stats hotkeys`.
    pub hot: Arc<HotKeys>,
    /// `watch`.
    pub watch_hub: Arc<Hub>,
    /// `stats conns`.
    pub connection_table: Arc<ConnectionTable>,
    /// The count of clients, and its limit.
    pub gate: Arc<ClientGate>,
    /// Bytes of unread replies that the clients of one worker may have: its part of -o resp_obj_mem_limit.
    pub backlog_bytes_max: u64,
    /// Requests per connection and loop turn (-R).
    pub requests_max: u32,
    /// Idle seconds after which a client is disconnected; 0: never.
    pub idle_timeout_s: u32,
    /// Microseconds of -o busy_poll_usecs; 0: no busy polling.
    pub busy_poll_usecs: u32,
    /// The users, if clients must authenticate.
    pub users: Option<Arc<Authenticator>>,
    /// The grammars that clients may use.
    pub binding: Binding,
    /// Bytes that the replies to any datagram may have (-o udp_reply_max).
    pub udp_reply_max: usize,
    /// Whether system calls are restricted (-o drop_privileges).
    pub drop_privileges: bool,
}

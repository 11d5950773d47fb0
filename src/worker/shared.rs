//! What a worker is given at its start: handles of the process, and settings.

use std::sync::Arc;

use crate::base::Clock;
use crate::command::{Context, Operator, OwnedAccess, Switches};
use crate::conn::{Cache, ConnectionConfig};
use crate::counters::Counters;
use crate::replication::OwnedKeys;
use crate::settings::Tunables;
use crate::stats::{HotKeys, HotSampler, Latency, PrefixTable};
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
    /// `stats latency` and `stats slowlog`.
    pub latency: Arc<Latency>,
    /// `watch`.
    pub watch_hub: Arc<Hub>,
    /// Settings of connections.
    pub connections: ConnectionConfig,
    /// The count of clients, and its limit.
    pub gate: Arc<ClientGate>,
    /// Idle seconds after which a client is disconnected; 0: never.
    pub idle_timeout_s: u32,
    /// Microseconds of -o busy_poll_usecs; 0: no busy polling.
    pub busy_poll_usecs: u32,
    /// Bytes that the replies to any datagram may have (-o udp_reply_max).
    pub udp_reply_max: usize,
    /// Bytes that are sealed at a time for a client that uses TLS. `None`: without -Z.
    pub tls_bytes: Option<usize>,
    /// Keys that one node of the mesh owns (-o repl_owner_prefix).
    pub owned_keys: Option<Box<OwnedKeys>>,
    /// Whether system calls are restricted (-o drop_privileges).
    pub drop_privileges: bool,
}

impl Shared {
    /// The context of commands, with what belongs to the worker. No client is known yet.
    #[inline]
    pub(super) fn context<'w>(
        &'w self,
        engine: &'w mut Cache,
        counters: &'w Counters,
        hot: &'w mut HotSampler,
    ) -> Context<'w, Cache> {
        Context {
            engine,
            counters,
            operator: &*self.operator,
            switches: &self.switches,
            prefixes: &self.prefixes,
            owned: OwnedAccess { keys: self.owned_keys.as_deref(), ..OwnedAccess::default() },
            client_fd: -1,
            hot,
            surcharge: 0,
            last_try: false,
        }
    }
}

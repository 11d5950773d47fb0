//! The context of a command.

use crate::base::{Deadline, Exptime, HashedKey};
use crate::counters::Counters;
use crate::settings::Settings;
use crate::stats::{Access, HotSampler, PrefixTable};
use crate::store::{Engine, Item as _, Miss};

use super::operator::Operator;
use super::owned::OwnedAccess;

/// What a worker lends to a command for one turn.
pub struct Context<'a, E: Engine> {
    /// The cache.
    pub engine: &'a mut E,
    /// This worker's counters.
    pub counters: &'a Counters,
    /// The process.
    pub operator: &'a dyn Operator,
    /// What the settings allow.
    pub switches: &'a Switches,
    /// `stats detail`, shared by all workers.
    pub prefixes: &'a PrefixTable,
    /// Keys that one node of the mesh owns.
    pub owned: OwnedAccess<'a>,
    /// The descriptor of the client; -1: it has none. `stats conns` marks the client that asks.
    pub client_fd: i32,
    /// This worker's sampler for `stats hotkeys`.
    pub hot: &'a mut HotSampler,
    /// Cost of the client's requests beyond one small request each, in small requests. The connection charges it to the
    /// client's share of the turn.
    pub surcharge: u32,
    /// Whether the request has waited for memory before. Then a busy store is an error.
    pub last_try: bool,
}

/// Bytes sent, received or copied that take about as long as a small request.
const BYTES_PER_REQUEST: u64 = 4 << 10;

impl<E: Engine> Context<'_, E> {
    /// Takes the costs that are to be subtracted from the client's share of the turn.
    #[inline]
    pub fn take_surcharge(&mut self) -> u32 {
        std::mem::take(&mut self.surcharge)
    }

    /// Charges the cost of `requests` small requests.
    #[inline]
    pub fn charge(&mut self, requests: u32) {
        self.surcharge = self.surcharge.saturating_add(requests);
    }

    /// Charges bytes that were sent, received or copied.
    #[inline]
    pub fn charge_bytes(&mut self, bytes: u64) {
        if bytes >= BYTES_PER_REQUEST {
            self.charge_many_bytes(bytes);
        }
    }

    #[cold]
    fn charge_many_bytes(&mut self, bytes: u64) {
        self.charge(u32::try_from(bytes / BYTES_PER_REQUEST).unwrap_or(u32::MAX));
    }

    /// Charges the bytes that the engine copied in order to change values.
    #[inline]
    pub(super) fn charge_copies(&mut self) {
        let copied = self.engine.take_copied_bytes();
        self.charge_bytes(copied);
    }

    /// Counts a miss whose item is there but dead.
    #[cold]
    pub(super) fn count_dead(&self, miss: Miss) {
        match miss {
            Miss::Absent => {}
            Miss::Expired => self.counters.get_expired.add(1),
            Miss::Flushed => self.counters.get_flushed.add(1),
        }
    }

    /// A CAS unique as clients see it.
    #[inline]
    pub(super) const fn shown_cas(&self, cas: u64) -> u64 {
        if self.switches.use_cas { cas } else { 0 }
    }

    /// The deadline that `exptime` means now.
    #[inline]
    pub(super) fn deadline(&self, exptime: Exptime) -> Deadline {
        exptime.deadline(self.engine.moment(), || self.engine.epoch_unix_ms())
    }

    /// Samples a key for `stats hotkeys`. `written` is the length of its new value; `None` for a read.
    #[cold]
    pub(super) fn sample(&mut self, pin: &E::Pin, key: HashedKey<'_>, written: Option<u32>) {
        let (access, bytes) = match written {
            Some(bytes) => (Access::Write, bytes),
            None => (Access::Read, self.engine.peek(pin, key).map_or(0, |item| item.value_len())),
        };
        self.hot.sample(key, access, u64::from(bytes), self.engine.moment().now);
    }
}

/// The settings that commands use, copied at start.
#[derive(Clone, Debug)]
pub struct Switches {
    /// flush_all is allowed (not -F).
    pub flush_enabled: bool,
    /// Keys may be listed (not -X).
    pub dump_enabled: bool,
    /// Clients may watch (not -W).
    pub watch_enabled: bool,
    /// shutdown is allowed (-A).
    pub shutdown_command: bool,
    /// slabs reassign is allowed (not -o no_slab_reassign).
    pub slab_reassign: bool,
    /// debugtime is enabled (-o debug_commands).
    pub debug_commands: bool,
    /// Items are served over HTTP (-o http_cache).
    pub http_cache: bool,
    /// What clients of HTTP must know (-o http_token_file). None: nothing.
    pub http_token: Option<Box<[u8]>>,
    /// CAS uniques are shown (not -C). Without them they read as 0, and the store refuses every cas.
    pub use_cas: bool,
}

impl From<&Settings> for Switches {
    fn from(settings: &Settings) -> Self {
        Self {
            flush_enabled: settings.flush_enabled,
            dump_enabled: settings.dump_enabled,
            watch_enabled: settings.watch_enabled,
            shutdown_command: settings.shutdown_command,
            slab_reassign: settings.slab_reassign,
            debug_commands: settings.debug_commands,
            http_cache: settings.http_cache,
            // The daemon reads the file.
            http_token: None,
            use_cas: settings.use_cas,
        }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self::from(&Settings::default())
    }
}

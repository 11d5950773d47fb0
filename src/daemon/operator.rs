//! The process as the commands `stats`, `verbosity`, `shutdown` and `debugtime` see it.

use std::sync::{Arc, OnceLock};

use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::{Clock, EmitRow};
use crate::command::Operator;
use crate::conn::ConnectionTable;
use crate::counters::Counters;
use crate::protocol::{HttpReply, PeerChange, ReplyLine, ShutdownMode, Tuning};
use crate::settings::{LiveSettings, Settings, Tunables};
use crate::stats::{
    ConnectionRow, Gauges, HotKeys, Latency, PrefixTable, ReplicationFigures, RestartGauges, StatHistory, TlsGauges,
};
use crate::store::Store;
use crate::sync::Leaf;
use crate::sys::boot::since_boot_us;
use crate::sys::log::{Level, log_line, log_lines_dropped};
use crate::sys::process::cpu_times;
use crate::sys::signal::{Signal, send_to_self};
use crate::tls::Certificates;
use crate::upgrade::ProcessRecord;
use crate::watch::Hub;
use crate::worker::ClientGate;

use super::certificates::reload_certificates;
use super::privileges::own_descriptors;
use super::replication::NodeView;

/// The process. Any worker may call it.
pub(super) struct Process {
    pub(super) settings: Settings,
    /// The same with the values that commands gave to settings without effect. `stats settings` shows them.
    pub(super) tuned: Leaf<Settings>,
    pub(super) tunables: Arc<Tunables>,
    pub(super) clock: Arc<Clock>,
    pub(super) prefixes: Arc<PrefixTable>,
    pub(super) hot: Arc<HotKeys>,
    pub(super) latency: Arc<Latency>,
    pub(super) store: &'static Store,
    pub(super) connection_table: Arc<ConnectionTable>,
    pub(super) gate: Arc<ClientGate>,
    pub(super) watch_hub: Arc<Hub>,
    /// The counters of all workers and of the dispatcher.
    pub(super) counters: Vec<Arc<Counters>>,
    /// The start of this process. Empty before the process serves.
    pub(super) restart: OnceLock<RestartGauges>,
    /// With -Z.
    pub(super) certificates: Option<Arc<Certificates>>,
    /// Date of the start.
    pub(super) started_unix_s: i64,
    /// With -x.
    pub(super) replication: Option<NodeView>,
    /// Time for which the upgrade that began this process stopped all clients, in microseconds.
    pub(super) upgrade_stall_us: AtomicU64,
    /// With --http.
    pub(super) history: Option<StatHistory>,
}

impl Process {
    /// Notes that this process serves all clients of another one from now on, with these items.
    pub(super) fn note_upgrade(&self, before: &ProcessRecord, gauges: RestartGauges) {
        // Ignored: there is one start.
        let _ = self.restart.set(gauges);
        let stall_us = since_boot_us().unwrap_or(0).saturating_sub(before.paused_us);
        self.upgrade_stall_us.store(stall_us, Ordering::Relaxed);
        let (clients, items, version) = (self.gate.current(), gauges.items, &before.version);
        let ms = stall_us / 1000;
        let line = format!("larder: upgrade: {clients} clients and {items} items of larder {version}, after {ms} ms");
        log_line(Level::Info, line);
    }
}

impl Operator for Process {
    /// Sends this process a signal, so that there is one way to end it.
    fn shutdown(&self, mode: ShutdownMode) {
        let signal = match mode {
            ShutdownMode::Now => Signal::End,
            ShutdownMode::Graceful => Signal::EndGracefully,
        };
        // Ignored: a process may always send itself a signal.
        let _ = send_to_self(signal);
    }

    fn totals(&self) -> Counters {
        let totals = Counters::default();
        for counters in &self.counters {
            totals.absorb(counters);
        }
        totals
    }

    fn reset_counters(&self) {
        for counters in &self.counters {
            counters.reset();
        }
        self.gate.reset_counts();
    }

    fn gauges(&self) -> Gauges {
        let (user, system) = cpu_times();
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (clients, watch) = (self.gate.current(), self.watch_hub.figures());
        Gauges {
            tls: self.certificates.as_deref().map(tls_gauges),
            rusage_user_us: micros(user),
            rusage_system_us: micros(system),
            curr_connections: clients,
            connection_structures: clients,
            max_connections: self.gate.limits().clients_max,
            reserved_fds: own_descriptors(&self.settings),
            accepting_conns: self.gate.is_open(),
            listen_disabled_num: self.gate.shut_count(),
            time_in_listen_disabled_us: self.gate.shut_us(),
            threads: u64::from(self.settings.threads),
            statistics_bytes: self.prefixes.bytes()
                + self.hot.bytes()
                + self.latency.bytes()
                + self.store.statistics_bytes()
                + self.history.as_ref().map_or(0, |_| StatHistory::BYTES),
            limit_maxbytes: self.store.limit_bytes(),
            log_lines_dropped: log_lines_dropped(),
            log_worker_dropped: watch.worker_dropped,
            log_worker_written: watch.worker_written,
            log_watcher_skipped: watch.watcher_skipped,
            log_watcher_sent: watch.watcher_sent,
            log_watchers: watch.watchers,
            upgrade_stall_us: self.upgrade_stall_us.load(Ordering::Relaxed),
            started_unix_s: self.started_unix_s,
            restart: self.restart.get().copied().unwrap_or_default(),
        }
    }

    fn history(&self) -> Option<&StatHistory> {
        self.history.as_ref()
    }

    fn latency(&self) -> Option<&Latency> {
        Some(&self.latency)
    }

    fn connections(&self, show: &mut dyn FnMut(&ConnectionRow<'_>)) {
        self.connection_table.report(self.clock.read().now, show);
    }

    fn settings(&self, row: EmitRow<'_>) {
        let moves = self.store.move_tuning();
        let live = LiveSettings {
            memory_limit_bytes: self.store.limit_bytes(),
            verbosity: self.tunables.logger.verbosity(),
            detail_enabled: self.prefixes.is_on(),
            lru_crawler: self.tunables.is_crawler_on(),
            slab_automove: moves.level,
            slab_automove_ratio: moves.ratio,
            slab_automove_window: moves.window,
        };
        self.tuned.lock().stats_rows(live, row);
    }

    fn watch_hub(&self) -> Option<&Arc<Hub>> {
        Some(&self.watch_hub)
    }

    fn replication(&self) -> Option<ReplicationFigures> {
        self.replication.as_ref().map(NodeView::figures)
    }

    fn readiness(&self) -> Result<(), HttpReply> {
        match self.replication() {
            Some(node) if node.is_filling() => Err(HttpReply::NotSynchronized),
            Some(_) | None => Ok(()),
        }
    }

    fn change_peer(&self, change: PeerChange, address: &[u8]) -> ReplyLine {
        match &self.replication {
            Some(node) => node.change_peer(change, address, self.settings.replication_port),
            None => ReplyLine::ReplicationNotEnabled,
        }
    }

    fn is_crawler_on(&self) -> bool {
        self.tunables.is_crawler_on()
    }

    fn switch_crawler(&self, is_on: bool) -> bool {
        self.tunables.switch_crawler(is_on)
    }

    fn tune(&self, tuning: Result<Tuning, ReplyLine>) -> ReplyLine {
        match tuning {
            Ok(tuning) => {
                tuning.apply(&mut self.tuned.lock());
                ReplyLine::Ok
            }
            Err(line) => line,
        }
    }

    fn refresh_certificates(&self) -> ReplyLine {
        match self.certificates.as_deref().map(reload_certificates) {
            None => ReplyLine::TlsNotEnabled,
            Some(true) => ReplyLine::Ok,
            Some(false) => ReplyLine::CertificatesFaulty,
        }
    }

    fn set_verbosity(&self, verbosity: u8) {
        self.tunables.logger.set_verbosity(verbosity);
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }
}

fn tls_gauges(certificates: &Certificates) -> TlsGauges {
    TlsGauges { age_s: certificates.age_s(), not_after_unix_s: certificates.not_after_unix_s() }
}

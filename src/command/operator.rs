//! What commands may ask of the process. `daemon` implements it.

use std::sync::Arc;

use crate::base::{Clock, EmitRow};
use crate::counters::Counters;
use crate::protocol::{HttpReply, PeerChange, ReplyLine, ShutdownMode, Tuning};
use crate::stats::{ConnectionRow, Gauges, Latency, ProcessView, ReplicationFigures, StatHistory};
use crate::watch::Hub;

/// The process, as a command sees it.
pub trait Operator {
    /// Ends the server. Returns at once.
    fn shutdown(&self, mode: ShutdownMode);

    /// The counters of all workers, summed.
    fn totals(&self) -> Counters;

    /// The process as `stats` shows it.
    fn process_view(&self) -> ProcessView {
        let clock = self.clock();
        let (uptime_s, unix_s) = (clock.uptime_s(), clock.unix_s());
        ProcessView { gauges: self.gauges(), totals: self.totals(), uptime_s, unix_s }
    }

    /// Resets the counters of all workers and of the connection gate (`stats reset`).
    fn reset_counters(&self);

    /// The current connection figures.
    fn gauges(&self) -> Gauges;

    /// The history of a few rows. `None` without --http.
    fn history(&self) -> Option<&StatHistory> {
        None
    }

    /// How long requests take. `None`: it is not measured.
    fn latency(&self) -> Option<&Latency> {
        None
    }

    /// Lists the listeners and connections, one row each (`stats conns`).
    fn connections(&self, show: &mut dyn FnMut(&ConnectionRow<'_>));

    /// Lists every setting under memcached's name (`stats settings`).
    fn settings(&self, row: EmitRow<'_>);

    /// Whether dumps and `lru_crawler crawl` are allowed.
    fn is_crawler_on(&self) -> bool;

    /// Allows or forbids them (`lru_crawler enable`, `disable`). Returns whether they were allowed.
    fn switch_crawler(&self, is_on: bool) -> bool;

    /// Changes settings without effect, so that `stats settings` shows them. Returns the answer.
    fn tune(&self, tuning: Result<Tuning, ReplyLine>) -> ReplyLine;

    /// Takes the clients that watch. `None`: there is no such place.
    fn watch_hub(&self) -> Option<&Arc<Hub>> {
        None
    }

    /// How this node of a mesh does. `None` without -x.
    fn replication(&self) -> Option<ReplicationFigures> {
        None
    }

    /// Whether clients may be sent here: /ready.
    ///
    /// # Errors
    /// Why not.
    fn readiness(&self) -> Result<(), HttpReply> {
        Ok(())
    }

    /// Changes the peer with this address (`replication`). Returns the answer.
    fn change_peer(&self, _change: PeerChange, _address: &[u8]) -> ReplyLine {
        ReplyLine::ReplicationNotEnabled
    }

    /// Reads the certificates of -Z again (`refresh_certs`). Returns the answer.
    fn refresh_certificates(&self) -> ReplyLine {
        ReplyLine::TlsNotEnabled
    }

    /// Sets the log level (`verbosity`).
    fn set_verbosity(&self, verbosity: u8);

    /// The clock that all threads read; `debugtime` moves it.
    fn clock(&self) -> &Clock;
}

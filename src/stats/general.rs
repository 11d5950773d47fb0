//! The rows of plain `stats` about the process and its clients, and the rows of `stats conns`.
//!
//! ```text
//! PROCESS_ROWS   counters.rs   the store's rows
//!       ╰────────────┼───────────────╯
//!               GeneralRows   in memcached's order, larder's own rows last
//! ```

use std::fmt::Display;

use crate::base::{EmitRow, StatRow, StatValue, absent, counter, gauge, hidden, shown_as_counter, shown_as_gauge};
use crate::counters::{Buffers, Counters};
use crate::protocol::MEMCACHED_VERSION;

use super::gauges::{ConnectionRow, Gauges};

/// The process as the rows of `stats` show it.
pub struct ProcessView {
    /// Current values and limits.
    pub gauges: Gauges,
    /// The counters of all workers together.
    pub totals: Counters,
    /// Seconds since start.
    pub uptime_s: u32,
    /// The date, in seconds.
    pub unix_s: i64,
}

impl ProcessView {
    const fn buffers(&self) -> &Buffers {
        &self.totals.buffers
    }

    /// Shows the rows of the process, and of the counters.
    pub fn rows(&self, row: EmitRow<'_>) {
        let has_tls = self.gauges.tls.is_some();
        let is_shown = |name: &str| has_tls || !TLS_ROWS.contains(&name);
        PROCESS_ROWS.iter().filter(|line| is_shown(line.name)).for_each(|line| row(line.name, &(line.value)(self)));
        let counters = self.totals.rows().filter(|(name, ..)| is_shown(name));
        counters.for_each(|(name, value, _help)| row(name, &value));
    }
}

/// Rows that are shown with -Z only, as in memcached.
const TLS_ROWS: [&str; 6] = [
    "ssl_new_sessions",
    "ssl_resumed_sessions",
    "ssl_handshake_errors",
    "ssl_proto_errors",
    "time_since_server_cert_refresh",
    "ssl_certificate_not_after",
];

/// The rows of `stats` about the process, apart from counters.rs. To add a row, add a line; memcached's names need no
/// particular place, because [`MEMCACHED_ORDER`] has one for them.
pub(super) const PROCESS_ROWS: &[StatRow<ProcessView>] = &[
    hidden(gauge("pid", "Process id.", |_| std::process::id().into())),
    shown_as_counter(
        "memcached_uptime_seconds",
        gauge("uptime", "Seconds since start. The first value is 2.", |view| view.uptime_s.into()),
    ),
    shown_as_gauge(
        "memcached_time_seconds",
        gauge("time", "Unix time, in seconds.", |view| StatValue::Signed(view.unix_s)),
    ),
    shown_as_gauge(
        "memcached_version{version=}",
        gauge("version", "The answer to `version`: the memcached version that larder is compatible with.", |_| {
            MEMCACHED_VERSION.into()
        }),
    ),
    shown_as_gauge(
        "larder_build_info{version=}",
        gauge("larder_version", "The version of larder.", |_| env!("CARGO_PKG_VERSION").into()),
    ),
    hidden(gauge("libevent", "Name of the event library.", |_| "epoll".into())),
    hidden(gauge("pointer_size", "Size of a pointer in bits.", |_| usize::BITS.into())),
    shown_as_counter(
        "memcached_process_user_cpu_seconds_total",
        gauge("rusage_user", "User CPU time of the process, in seconds.", |view| {
            StatValue::Micros(view.gauges.rusage_user_us)
        }),
    ),
    shown_as_counter(
        "memcached_process_system_cpu_seconds_total",
        gauge("rusage_system", "System CPU time of the process, in seconds.", |view| {
            StatValue::Micros(view.gauges.rusage_system_us)
        }),
    ),
    shown_as_gauge(
        "memcached_max_connections",
        gauge("max_connections", "Maximum number of client connections (-c).", |view| {
            view.gauges.max_connections.into()
        }),
    ),
    shown_as_gauge(
        "memcached_current_connections",
        gauge("curr_connections", "Open client connections.", |view| view.gauges.curr_connections.into()),
    ),
    gauge("connection_structures", "Allocated connection structures.", |view| view.gauges.connection_structures.into()),
    absent("response_obj_count"),
    absent("response_obj_bytes"),
    shown_as_gauge(
        "larder_read_buffers",
        gauge(
            "read_buf_count",
            "Read buffers: those that threads lend to clients, and one per client with an incomplete request.",
            |view| (view.buffers().inputs.read() + view.buffers().tails.read()).into(),
        ),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="read_buffers"}"#,
        gauge(
            "read_buf_bytes",
            "Bytes of the read buffers. Buffer pages that were never used take no memory.",
            |view| (view.buffers().input_bytes.read() + view.buffers().tail_bytes.read()).into(),
        ),
    ),
    shown_as_gauge(
        "larder_read_buffers_free_bytes",
        gauge(
            "read_buf_bytes_free",
            "Bytes of the read buffers that no client uses. Threads lend a buffer for the time of an answer.",
            |view| view.buffers().input_bytes.read().into(),
        ),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="write_buffers"}"#,
        gauge(
            "write_buf_bytes",
            "Bytes of reply buffers, and of replies that clients have not read. Large values are not counted: they are sent from slab memory.",
            |view| (view.buffers().output_bytes.read() + view.buffers().backlog_bytes.read()).into(),
        ),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="connections"}"#,
        gauge("connection_bytes", "Bytes of the connection structures, without buffers.", |view| {
            view.buffers().connection_bytes.read().into()
        }),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="statistics"}"#,
        gauge(
            "statistics_bytes",
            "Bytes of the counters, the hot-key sketches, the history of --http, the table of `stats detail` and the last `stats prefixes` result. `stats reset` frees the last two.",
            |view| view.gauges.statistics_bytes.into(),
        ),
    ),
    gauge("reserved_fds", "File descriptors that the process reserves for itself.", |view| {
        view.gauges.reserved_fds.into()
    }),
    shown_as_gauge(
        "memcached_limit_bytes",
        gauge("limit_maxbytes", "Memory limit in bytes: -m, or the value set by cache_memlimit.", |view| {
            view.gauges.limit_maxbytes.into()
        }),
    ),
    shown_as_gauge(
        "memcached_accepting_connections",
        gauge("accepting_conns", "1 while the server accepts connections.", |view| view.gauges.accepting_conns.into()),
    ),
    shown_as_counter(
        "memcached_connections_listener_disabled_total",
        counter("listen_disabled_num", "Times that accepting stopped for lack of descriptors.", |view| {
            view.gauges.listen_disabled_num.into()
        }),
    ),
    hidden(counter(
        "time_in_listen_disabled_us",
        "Time during which accepting was stopped, in microseconds.",
        |view| view.gauges.time_in_listen_disabled_us.into(),
    )),
    gauge("threads", "Number of worker threads (-t).", |view| view.gauges.threads.into()),
    shown_as_counter(
        "larder_log_lines_dropped_total",
        gauge("log_lines_dropped", "Log lines dropped, because standard error was not read.", |view| {
            view.gauges.log_lines_dropped.into()
        }),
    ),
    shown_as_gauge(
        "larder_upgrade_stall_seconds",
        gauge(
            "upgrade_stall_time",
            "Time for which the upgrade that began this process answered no client, in seconds.",
            |view| StatValue::Micros(view.gauges.upgrade_stall_us),
        ),
    ),
    shown_as_gauge(
        "larder_restart_info{state=}",
        gauge(
            "restart_state",
            "How the server began: cold without items, or with those that -e kept after a clean or an unclean end.",
            |view| view.gauges.restart.started.into(),
        ),
    ),
    shown_as_gauge(
        r#"larder_restart_items{outcome="kept"}"#,
        gauge("restart_items", "Items that -e kept at the start.", |view| view.gauges.restart.items.into()),
    ),
    shown_as_gauge(
        r#"larder_restart_items{outcome="dropped"}"#,
        gauge(
            "restart_dropped",
            "Items of the memory file that were not kept: expired, flushed, replaced or damaged.",
            |view| view.gauges.restart.dropped.into(),
        ),
    ),
    shown_as_gauge(
        "larder_restart_items_damaged",
        gauge("restart_damaged", "Of these, items that did not prove themselves.", |view| {
            view.gauges.restart.damaged.into()
        }),
    ),
    shown_as_gauge(
        "larder_restart_index_info{index=}",
        gauge(
            "restart_index",
            "The index of the items that -e kept: kept by a clean stop, or built by the start. Otherwise none.",
            |view| view.gauges.restart.index.into(),
        ),
    ),
    shown_as_gauge(
        "larder_restart_pages_info{pages=}",
        gauge(
            "restart_pages",
            "What the start knew of the pages that -e kept: kept by a clean stop, or read item by item. Otherwise none.",
            |view| view.gauges.restart.pages.into(),
        ),
    ),
    shown_as_gauge(
        r#"larder_restart_seconds{phase="index"}"#,
        gauge(
            "restart_index_time",
            "Time in which the start read, checked and indexed the items, in seconds.",
            |view| StatValue::Micros(view.gauges.restart.index_us),
        ),
    ),
    shown_as_gauge(
        r#"larder_restart_seconds{phase="free_memory"}"#,
        gauge("restart_free_memory_time", "Time in which the start found the free memory, in seconds.", |view| {
            StatValue::Micros(view.gauges.restart.free_us)
        }),
    ),
    shown_as_gauge(
        r#"larder_restart_seconds{phase="ready"}"#,
        gauge(
            "restart_ready_time",
            "Time from opening the memory file until its items could be served, in seconds.",
            |view| StatValue::Micros(view.gauges.restart.ready_us),
        ),
    ),
    absent("lru_maintainer_juggles"),
    shown_as_counter(
        "larder_watch_events_dropped_total",
        gauge(
            "log_worker_dropped",
            "Events for watchers, since start, that found the ring of their thread full.",
            |view| view.gauges.log_worker_dropped.into(),
        ),
    ),
    shown_as_counter(
        "larder_watch_events_total",
        gauge("log_worker_written", "Events that were noted for watchers, since start.", |view| {
            view.gauges.log_worker_written.into()
        }),
    ),
    shown_as_counter(
        "larder_watch_lines_skipped_total",
        gauge(
            "log_watcher_skipped",
            "Lines that watchers lost, since start, because they did not read in time.",
            |view| view.gauges.log_watcher_skipped.into(),
        ),
    ),
    shown_as_counter(
        "larder_watch_lines_sent_total",
        gauge("log_watcher_sent", "Lines that were put into watchers' buffers, since start.", |view| {
            view.gauges.log_watcher_sent.into()
        }),
    ),
    shown_as_gauge(
        "larder_watchers",
        gauge("log_watchers", "Clients that watch.", |view| view.gauges.log_watchers.into()),
    ),
    shown_as_gauge(
        "larder_tls_certificate_age_seconds",
        gauge("time_since_server_cert_refresh", "With -Z, seconds since the certificates were read.", |view| {
            view.gauges.tls.map_or(0, |tls| tls.age_s).into()
        }),
    ),
    shown_as_gauge(
        "larder_tls_certificate_not_after_seconds",
        gauge(
            "ssl_certificate_not_after",
            "With -Z, the date at which the server's certificate expires, in Unix seconds.",
            |view| view.gauges.tls.map_or(0, |tls| tls.not_after_unix_s).into(),
        ),
    ),
];

/// The order of memcached 1.6.45, with `-o idle_timeout`.
const MEMCACHED_ORDER: &[&str] = &[
    "pid",
    "uptime",
    "time",
    "version",
    "libevent",
    "pointer_size",
    "rusage_user",
    "rusage_system",
    "max_connections",
    "curr_connections",
    "total_connections",
    "rejected_connections",
    "connection_structures",
    "response_obj_oom",
    "response_obj_count",
    "response_obj_bytes",
    "read_buf_count",
    "read_buf_bytes",
    "read_buf_bytes_free",
    "read_buf_oom",
    "reserved_fds",
    "cmd_get",
    "cmd_set",
    "cmd_flush",
    "cmd_touch",
    "cmd_meta",
    "get_hits",
    "get_misses",
    "get_expired",
    "get_flushed",
    "delete_misses",
    "delete_hits",
    "incr_misses",
    "incr_hits",
    "decr_misses",
    "decr_hits",
    "cas_misses",
    "cas_hits",
    "cas_badval",
    "touch_hits",
    "touch_misses",
    "store_too_large",
    "store_no_memory",
    "auth_cmds",
    "auth_errors",
    "idle_kicks",
    "bytes_read",
    "bytes_written",
    "limit_maxbytes",
    "accepting_conns",
    "listen_disabled_num",
    "time_in_listen_disabled_us",
    "threads",
    "conn_yields",
    "hash_power_level",
    "hash_bytes",
    "hash_is_expanding",
    "slab_reassign_rescues",
    "slab_reassign_chunk_rescues",
    "slab_reassign_inline_reclaim",
    "slab_reassign_busy_items",
    "slab_reassign_busy_deletes",
    "slab_reassign_busy_nomem",
    "slab_reassign_last_busy_status",
    "slab_reassign_running",
    "slabs_moved",
    "lru_crawler_running",
    "lru_crawler_starts",
    "lru_maintainer_juggles",
    "malloc_fails",
    "log_worker_dropped",
    "log_worker_written",
    "log_watcher_skipped",
    "log_watcher_sent",
    "log_watchers",
    "ssl_new_sessions",
    "ssl_handshake_errors",
    "ssl_proto_errors",
    "time_since_server_cert_refresh",
    "unexpected_napi_ids",
    "round_robin_fallback",
    "bytes",
    "curr_items",
    "total_items",
    "slab_global_page_pool",
    "expired_unfetched",
    "evicted_unfetched",
    "evicted_active",
    "evictions",
    "reclaimed",
    "crawler_reclaimed",
    "crawler_items_checked",
    "lrutail_reflocked",
    "moves_to_cold",
    "moves_to_warm",
    "moves_within_lru",
    "direct_reclaims",
    "lru_bumps_dropped",
];

/// Collects the rows of `stats`, to show them in memcached's order.
#[derive(Default)]
pub struct GeneralRows(Vec<(usize, String, String)>);

impl GeneralRows {
    /// Adds a row.
    pub fn push(&mut self, name: &str, value: &dyn Display) {
        let place = MEMCACHED_ORDER.iter().position(|known| *known == name).unwrap_or(MEMCACHED_ORDER.len());
        self.0.push((place, name.to_owned(), value.to_string()));
    }

    /// Shows all rows. Rows of larder's own come last, in the order in which they were added.
    pub fn show(mut self, row: EmitRow<'_>) {
        self.0.sort_by_key(|(place, ..)| *place);
        self.0.iter().for_each(|(_, name, value)| row(name, value));
    }
}

/// The rows of a connection or listener in `stats conns`, behind its descriptor: name, meaning, value.
type ConnectionStat = (&'static str, &'static str, for<'a> fn(&ConnectionRow<'a>) -> Option<ConnectionValue<'a>>);

/// A value of `stats conns`.
pub(super) enum ConnectionValue<'a> {
    Text(&'a str),
    Number(u64),
}

pub(super) const CONNECTION_ROWS: [ConnectionStat; 5] = [
    ("UDP", "The text UDP, for a UDP socket only.", |connection| {
        connection.addr.starts_with("udp").then_some(ConnectionValue::Text("UDP"))
    }),
    ("addr", "Address of the client, or of the listener.", |connection| Some(ConnectionValue::Text(connection.addr))),
    ("listen_addr", "Server address that the client connected to.", |connection| {
        connection.listen_addr.map(ConnectionValue::Text)
    }),
    (
        "state",
        "State of the connection. conn_parse_cmd: it asks for this report. conn_read: it waits for a request.",
        |connection| Some(ConnectionValue::Text(connection.state)),
    ),
    ("secs_since_last_cmd", "Seconds since the last command of the client.", |connection| {
        Some(ConnectionValue::Number(connection.secs_since_last_cmd))
    }),
];

/// Writes the rows of one connection or listener in `stats conns`.
pub fn connection_rows(connection: &ConnectionRow<'_>, row: EmitRow<'_>) {
    for (name, _help, value) in CONNECTION_ROWS {
        let name = format!("{}:{name}", connection.fd);
        match value(connection) {
            Some(ConnectionValue::Text(text)) => row(&name, &text),
            Some(ConnectionValue::Number(number)) => row(&name, &number),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionRow, Counters, Gauges, GeneralRows, MEMCACHED_ORDER, ProcessView, connection_rows};

    fn view() -> ProcessView {
        let totals = Counters::default();
        totals.get_hits.add(3);
        let gauges = Gauges { rusage_user_us: 1_000_042, accepting_conns: true, ..Gauges::default() };
        ProcessView { gauges, totals, uptime_s: 9, unix_s: 1009 }
    }

    #[test]
    fn plain_stats_show_process_gauges_and_counters() {
        let mut rows = Vec::new();
        view().rows(&mut |name, value| rows.push(format!("{name} {value}")));
        for expected in ["uptime 9", "time 1009", "rusage_user 1.000042", "get_hits 3", "accepting_conns 1"] {
            assert!(rows.iter().any(|row| row == expected), "{expected} in {rows:?}");
        }
        let mut names: Vec<&str> = rows.iter().filter_map(|row| row.split(' ').next()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "no row twice");
    }

    #[test]
    fn rows_come_in_memcacheds_order_and_larders_own_at_the_end() {
        let (mut collected, mut names) = (GeneralRows::default(), Vec::new());
        collected.push("curr_items", &1);
        collected.push("ghost_hits", &2);
        view().rows(&mut |name, value| collected.push(name, value));
        collected.show(&mut |name, _| names.push(name.to_owned()));
        let known = |name: &String| MEMCACHED_ORDER.contains(&name.as_str());
        let places = names.iter().map_while(|name| MEMCACHED_ORDER.iter().position(|known| known == name));
        assert!(places.is_sorted());
        let own: Vec<&String> = names.iter().skip_while(|name| known(name)).collect();
        assert!(own.iter().all(|name| !known(name)), "{own:?}");
        assert_eq!(own[..2], ["ghost_hits", "larder_version"]);
    }

    #[test]
    fn a_listener_has_no_listen_addr() {
        let mut names = Vec::new();
        let listener = ConnectionRow {
            fd: 7,
            addr: "tcp:[::]:11211",
            listen_addr: None,
            state: "conn_listening",
            secs_since_last_cmd: 1,
        };
        connection_rows(&listener, &mut |name, _| names.push(name.to_string()));
        assert_eq!(names, ["7:addr", "7:state", "7:secs_since_last_cmd"]);
        names.clear();
        let datagrams = ConnectionRow { addr: "udp:127.0.0.1:11211", ..listener };
        connection_rows(&datagrams, &mut |name, value| names.push(format!("{name} {value}")));
        assert_eq!(names[..2], ["7:UDP UDP", "7:addr udp:127.0.0.1:11211"]);
    }
}

//! The rows of plain `stats` about the process and its clients, and the rows of `stats conns`. The store adds its own
//! rows to `stats`.

use std::fmt::{self, Display};

use crate::base::RelTime;
use crate::counters::Counters;
use crate::protocol::MEMCACHED_VERSION;

use super::gauges::{ConnectionRow, Gauges};

/// Receives a row: its name and its value.
type Row<'a> = &'a mut dyn FnMut(&str, &dyn Display);

/// Writes the rows of `stats` about the process.
pub fn general_rows(gauges: &Gauges, totals: &Counters, now: RelTime, unix_s: i64, row: Row<'_>) {
    row("pid", &std::process::id());
    row("uptime", &now.0);
    row("time", &unix_s);
    row("version", &MEMCACHED_VERSION);
    row("larder_version", &env!("CARGO_PKG_VERSION"));
    // memcached names its event library here, and some tools expect the row.
    row("libevent", &"epoll");
    row("pointer_size", &usize::BITS);
    row("rusage_user", &Seconds(gauges.rusage_user_us));
    row("rusage_system", &Seconds(gauges.rusage_system_us));
    row("max_connections", &gauges.max_connections);
    row("curr_connections", &gauges.curr_connections);
    row("connection_structures", &gauges.connection_structures);
    let buffers = &totals.buffers;
    row("read_buf_count", &(buffers.inputs.read() + buffers.tails.read()));
    row("read_buf_bytes", &(buffers.input_bytes.read() + buffers.tail_bytes.read()));
    row("read_buf_bytes_free", &buffers.input_bytes.read());
    row("write_buf_bytes", &(buffers.output_bytes.read() + buffers.backlog_bytes.read()));
    row("connection_bytes", &buffers.connection_bytes.read());
    row("statistics_bytes", &gauges.statistics_bytes);
    row("reserved_fds", &gauges.reserved_fds);
    for (name, value, _help) in totals.rows() {
        row(name, &value);
    }
    row("limit_maxbytes", &gauges.limit_maxbytes);
    row("accepting_conns", &u8::from(gauges.accepting_conns));
    row("listen_disabled_num", &gauges.listen_disabled_num);
    row("time_in_listen_disabled_us", &gauges.time_in_listen_disabled_us);
    row("threads", &gauges.threads);
    row("log_lines_dropped", &gauges.log_lines_dropped);
    for name in NEVER_COUNTED {
        row(name, &0);
    }
}

/// memcached's counters of mechanisms that this server does not have. They are always 0; tools may expect the rows.
const NEVER_COUNTED: &[&str] = &[
    "response_obj_count",
    "response_obj_bytes",
    "slab_reassign_busy_deletes",
    "lru_maintainer_juggles",
    "log_worker_dropped",
    "log_worker_written",
    "log_watcher_skipped",
    "log_watcher_sent",
    "log_watchers",
];

/// Writes the rows of one connection or listener in `stats conns`.
pub fn connection_rows(connection: &ConnectionRow<'_>, row: Row<'_>) {
    let fd = connection.fd;
    row(&format!("{fd}:addr"), &connection.addr);
    if let Some(listen_addr) = connection.listen_addr {
        row(&format!("{fd}:listen_addr"), &listen_addr);
    }
    row(&format!("{fd}:state"), &connection.state);
    row(&format!("{fd}:secs_since_last_cmd"), &connection.secs_since_last_cmd);
}

/// A time in microseconds, shown in seconds.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionRow, Counters, Gauges, RelTime, connection_rows, general_rows};

    #[test]
    fn plain_stats_show_process_gauges_and_counters() {
        let (totals, mut rows) = (Counters::default(), Vec::new());
        totals.get_hits.add(3);
        let gauges = Gauges { rusage_user_us: 1_000_042, accepting_conns: true, ..Gauges::default() };
        general_rows(&gauges, &totals, RelTime(9), 1009, &mut |name, value| rows.push(format!("{name} {value}")));
        for expected in ["uptime 9", "time 1009", "rusage_user 1.000042", "get_hits 3", "accepting_conns 1"] {
            assert!(rows.iter().any(|row| row == expected), "{expected} in {rows:?}");
        }
        let mut names: Vec<&str> = rows.iter().filter_map(|row| row.split(' ').next()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "no row twice");
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
    }
}

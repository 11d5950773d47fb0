//! Plain data about the process outside the store, for the rows of `stats` and `stats conns`.

/// Current values and limits of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// With -Z.
    pub tls: Option<TlsGauges>,
    /// User CPU time, in microseconds.
    pub rusage_user_us: u64,
    /// System CPU time, in microseconds.
    pub rusage_system_us: u64,
    /// Connected clients.
    pub curr_connections: u64,
    /// Connections that have memory allocated.
    pub connection_structures: u64,
    /// The limit on clients, -c.
    pub max_connections: u64,
    /// Descriptors reserved for the process itself.
    pub reserved_fds: u64,
    /// Whether new connections are accepted.
    pub accepting_conns: bool,
    /// How many times accepting stopped.
    pub listen_disabled_num: u64,
    /// Total time for which accepting was stopped, in microseconds.
    pub time_in_listen_disabled_us: u64,
    /// Worker threads.
    pub threads: u64,
    /// Memory of counters, sketches and prefix tables, in bytes.
    pub statistics_bytes: u64,
    /// The memory limit, in bytes.
    pub limit_maxbytes: u64,
    /// Log lines that were dropped because the log was not read.
    pub log_lines_dropped: u64,
    /// Events for watchers that found their worker's ring full.
    pub log_worker_dropped: u64,
    /// Events that were noted for watchers.
    pub log_worker_written: u64,
    /// Lines that a watcher was too slow to get.
    pub log_watcher_skipped: u64,
    /// Lines that were put into a watcher's buffer.
    pub log_watcher_sent: u64,
    /// Clients that watch.
    pub log_watchers: u64,
    /// Time for which the upgrade that began this process stopped all clients, in microseconds.
    pub upgrade_stall_us: u64,
    /// Date of the start, in seconds since 1970.
    pub started_unix_s: i64,
    /// The start with a memory file.
    pub restart: RestartGauges,
}

/// The certificates of -Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsGauges {
    /// Seconds since they were read.
    pub age_s: u64,
    /// The date at which the server's own expires, in Unix seconds.
    pub not_after_unix_s: u64,
}

/// What a start with a memory file (-e) kept, and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartGauges {
    /// How the process began: `cold`, `clean` or `unclean`.
    pub started: &'static str,
    /// Items kept.
    pub items: u64,
    /// Items not kept.
    pub dropped: u64,
    /// Of these, items that did not prove themselves.
    pub damaged: u64,
    /// Where the index came from: `none`, `kept` or `built`.
    pub index: &'static str,
    /// Where the counts and free memory of pages came from: `none`, `kept` or `read`.
    pub pages: &'static str,
    /// Time for reading and indexing the items, in microseconds.
    pub index_us: u64,
    /// Time for finding the free memory, in microseconds.
    pub free_us: u64,
    /// Time until the items could be served, in microseconds.
    pub ready_us: u64,
}

impl Default for RestartGauges {
    fn default() -> Self {
        let (started, index, pages) = ("cold", "none", "none");
        Self { started, items: 0, dropped: 0, damaged: 0, index, pages, index_us: 0, free_us: 0, ready_us: 0 }
    }
}

/// A listener or a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionRow<'a> {
    /// Its descriptor.
    pub fd: i32,
    /// The client's address: `tcp:127.0.0.1:4711`.
    pub addr: &'a str,
    /// The listener that accepted it. `None` for a listener itself.
    pub listen_addr: Option<&'a str>,
    /// What it waits for, as memcached names the state.
    pub state: &'a str,
    /// Seconds since its last command.
    pub secs_since_last_cmd: u64,
}

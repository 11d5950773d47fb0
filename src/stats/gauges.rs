//! What only the process around the cache knows: plain data for the rows of `stats` and `stats conns`.

/// What is open and allowed right now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Processor time spent in the program, in microseconds.
    pub rusage_user_us: u64,
    /// Processor time spent in the kernel for it, in microseconds.
    pub rusage_system_us: u64,
    /// Clients that are connected, and listening sockets.
    pub curr_connections: u64,
    /// How many connections have memory set aside for them.
    pub connection_structures: u64,
    /// The limit of -c.
    pub max_connections: u64,
    /// Descriptors kept for the process itself.
    pub reserved_fds: u64,
    /// Whether new connections are accepted.
    pub accepting_conns: bool,
    /// How often accepting stopped.
    pub listen_disabled_num: u64,
    /// For how long accepting was stopped, in microseconds.
    pub time_in_listen_disabled_us: u64,
    /// Workers.
    pub threads: u64,
    /// What counts, sketches and tables of prefixes take, in bytes.
    pub statistics_bytes: u64,
    /// The memory limit, in bytes.
    pub limit_maxbytes: u64,
    /// Lines of the log that were dropped because nobody read them.
    pub log_lines_dropped: u64,
}

/// A listener or a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionRow<'a> {
    /// Its descriptor.
    pub fd: i32,
    /// Where the client is: `tcp:127.0.0.1:4711`.
    pub addr: &'a str,
    /// The listener it came through.
    pub listen_addr: Option<&'a str>,
    /// What it waits for.
    pub state: &'a str,
    /// Seconds since its last command.
    pub secs_since_last_cmd: u64,
}

//! Reads the statistics of the servers: a thread for each, which connects again when it must.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use larder::base::Clock;
use larder::tools::{RemoteServer, ServerConnection, StatRows, ToolFailure};

use super::hot_keys::{HotKey, hot_keys};
use super::latency::{CommandLatency, latencies};

/// A server that is silent for longer than this has failed.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// The statistics of a server at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) at_us: u64,
    pub(crate) rows: StatRows,
    /// The most requested keys. Only larder names them.
    pub(crate) hot_keys: Vec<HotKey>,
    /// How long requests take. Only larder measures it.
    pub(crate) latencies: Vec<CommandLatency>,
}

impl Reading {
    /// A row as a number; 0 if the server does not have it.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.rows.get(name).and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }
}

/// Readings as they come: the number of the server, and its statistics or the reason why there are no statistics.
pub(crate) type Readings = Receiver<(usize, Result<Reading, String>)>;

/// Starts the threads. They end with the process.
pub(crate) fn start(servers: &[RemoteServer], every: Duration) -> io::Result<Readings> {
    let (sender, readings) = channel();
    for (number, address) in servers.iter().enumerate() {
        let (sender, address) = (sender.clone(), address.clone());
        thread::Builder::new().name("poll".into()).spawn(move || run(number, &address, every, &sender))?;
    }
    Ok(readings)
}

fn run(number: usize, address: &RemoteServer, every: Duration, sender: &Sender<(usize, Result<Reading, String>)>) {
    let clock = Clock::start();
    let mut connection = None;
    let mut due_us = 0;
    loop {
        let reading = read(&mut connection, address, &clock);
        if reading.is_err() {
            connection = None;
        }
        if sender.send((number, reading.map_err(|failure| failure.reason().to_string()))).is_err() {
            return;
        }
        due_us += u64::try_from(every.as_micros()).unwrap_or(u64::MAX);
        loop {
            let now_us = clock.real_us();
            if now_us >= due_us {
                break;
            }
            thread::park_timeout(Duration::from_micros(due_us - now_us));
        }
    }
}

fn read(
    connection: &mut Option<ServerConnection>,
    address: &RemoteServer,
    clock: &Clock,
) -> Result<Reading, ToolFailure> {
    let server = match connection {
        Some(server) => server,
        None => connection.insert(ServerConnection::open(address, SILENCE_MAX)?),
    };
    let rows = server.rows("stats")?;
    let at_us = clock.real_us();
    if !rows.contains_key("larder_version") {
        return Ok(Reading { at_us, rows, ..Reading::default() });
    }
    // A server with -X refuses.
    let mut group = |command: &str| match server.rows(command) {
        Err(ToolFailure::Answer(_)) => Ok(StatRows::default()),
        rows => rows,
    };
    let (hot_keys, latencies) = (hot_keys(&group("stats hotkeys")?), latencies(&group("stats latency")?));
    Ok(Reading { at_us, rows, hot_keys, latencies })
}

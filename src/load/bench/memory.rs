//! Resident memory when idle, with many connections, and when full; and the time to the first reply.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use larder::sys::log::{Level, log_line};

use super::super::comparison::{Comparison, Cores, describe_host};
use super::super::figures::{Spread, Table, grouped};
use super::super::host::{Resident, pause};
use super::super::server::{Server, ServerCommand};
use super::rows::Row;
use super::runs::Runs;
use super::table::Verdict;

const STARTS: usize = 9;
const IDLE_CONNECTIONS: usize = 10_000;
/// Connections opened at a time: fewer than the default backlog, so that no SYN is lost and repeated.
const CONNECTIONS_STEP: usize = 500;
const FILL_MIB: &str = "1024";
const FILL_KEY_BYTES: usize = 24;
const FILL_VALUE_BYTES: usize = 100;
/// Items stored between two looks at the eviction counter: the error of the figure is below this.
const FILL_STEP: u64 = 5_000;
/// Far more items than fit. It keeps a server that never evicts from filling the machine.
const FILL_ITEMS_MAX: u64 = 30_000_000;
/// Time in which background threads take their first turns.
const REST: Duration = Duration::from_millis(300);

/// A line of the table: its name and its value.
type Figure = (&'static str, String);

/// `make bench-memory`: larder and the yardstick side by side.
///
/// # Errors
/// A server does not start or answers wrongly.
pub(super) fn run() -> io::Result<String> {
    let Comparison { servers: [ours, yardstick], place } = Comparison::from_environment()?;
    let mut table = Table::new(["figure".to_string(), ours.name.clone(), yardstick.name.clone()]);
    for measure in [starts, connections, fill] as [fn(&Cores, &ServerCommand) -> io::Result<Vec<Figure>>; 3] {
        for ((figure, our_value), (_, their_value)) in
            measure(&place, &ours)?.into_iter().zip(measure(&place, &yardstick)?)
        {
            table.row([figure.to_string(), our_value, their_value]);
        }
    }
    let place = &place.server_cores;
    Ok(format!(
        "{table}\nRSS is VmRSS; flags are the defaults unless named; the server runs on core {place:?}. {}\n",
        describe_host()
    ))
}

/// The row of `make bench`.
pub(super) fn idle_connections(runs: &Runs, row: &'static Row, count: usize) -> io::Result<Verdict> {
    let mut figures = Vec::new();
    for server in &runs.servers {
        log_line(Level::Info, format!("== {}: {}", row.name, server.name).as_bytes());
        figures.push(Some(vec![IdleClients::connect(&runs.place, server, count)?.bytes_each()?]));
    }
    Ok(Verdict::by_own(row, &figures))
}

fn starts(place: &Cores, command: &ServerCommand) -> io::Result<Vec<Figure>> {
    let mut milliseconds = Vec::new();
    let mut idle = Vec::new();
    for _ in 0..STARTS {
        let (server, took) = Server::start(place, command, &[], &[])?;
        milliseconds.push(took.as_secs_f64() * 1e3);
        idle.push(settled_memory(&server)?);
        server.stop()?;
    }
    Ok(vec![
        ("start to first reply, ms", format!("{:.1}", Spread::of(milliseconds))),
        ("RSS idle, KiB", format!("{:.0}", Spread::of(idle.iter().map(|resident| resident.all_kib as f64)))),
        ("of which anonymous", format!("{:.0}", Spread::of(idle.iter().map(|resident| resident.anonymous_kib as f64)))),
    ])
}

/// A server and its silent clients.
struct IdleClients {
    server: Server,
    streams: Vec<TcpStream>,
    /// RSS without the clients.
    before_kib: u64,
}

impl IdleClients {
    fn connect(place: &Cores, command: &ServerCommand, count: usize) -> io::Result<Self> {
        let (server, _) = Server::start(place, command, &[], &["-c", "12000"])?;
        let mut control = server.control()?;
        control.ask("set k 0 0 1\r\nv")?;
        let before_kib = settled_memory(&server)?.all_kib;
        // The floor has no statistics. Its answer shows that it has accepted the connection.
        let before = if command.is_floor() { 0 } else { control.stat("curr_connections")? };
        let mut streams = Vec::new();
        while streams.len() < count {
            for _ in 0..CONNECTIONS_STEP {
                streams.push(TcpStream::connect(server.address)?);
            }
            let expected = before + streams.len() as u64;
            if command.is_floor() {
                server.control()?.ask("version")?;
            } else {
                control.wait_until("all connections are accepted", |control| {
                    Ok(control.stat("curr_connections")? >= expected)
                })?;
            }
        }
        Ok(Self { server, streams, before_kib })
    }

    fn bytes_each(&self) -> io::Result<f64> {
        let now_kib = settled_memory(&self.server)?.all_kib;
        Ok((now_kib.saturating_sub(self.before_kib) * 1024) as f64 / self.streams.len() as f64)
    }
}

fn connections(place: &Cores, command: &ServerCommand) -> io::Result<Vec<Figure>> {
    let mut clients = IdleClients::connect(place, command, IDLE_CONNECTIONS)?;
    let idle_kib = settled_memory(&clients.server)?.all_kib;
    let idle = clients.bytes_each()?;
    for stream in &mut clients.streams {
        let mut reply = [0; b"VALUE k 0 1\r\nv\r\nEND\r\n".len()];
        stream.write_all(b"get k\r\n")?;
        stream.read_exact(&mut reply)?;
    }
    let served = clients.bytes_each()?;
    clients.server.stop()?;
    Ok(vec![
        ("RSS with 10,000 idle connections, KiB", grouped(idle_kib)),
        ("bytes per idle connection", format!("{idle:.0}")),
        ("bytes per connection after one get on each", format!("{served:.0}")),
    ])
}

fn fill(place: &Cores, command: &ServerCommand) -> io::Result<Vec<Figure>> {
    let (server, _) = Server::start(place, command, &[], &["-m", FILL_MIB])?;
    let mut control = server.control()?;
    let mut stream = TcpStream::connect(server.address)?;
    let mut sent = 0;
    while control.stat("evictions")? == 0 && sent < FILL_ITEMS_MAX {
        store_step(&mut stream, sent)?;
        sent += FILL_STEP;
    }
    let items = control.stat("curr_items")?;
    control.wait_for_settled_index()?;
    let rss = settled_memory(&server)?.all_kib * 1024;
    server.stop()?;
    let payload = FILL_KEY_BYTES + FILL_VALUE_BYTES;
    let per_item = rss as f64 / items as f64;
    Ok(vec![
        ("items at the first eviction, -m 1024, 24-byte keys, 100-byte values", grouped(items)),
        ("RSS then, KiB", grouped(rss / 1024)),
        ("bytes of RSS per item", format!("{per_item:.1}")),
        ("of which above key and value", format!("{:.1}", per_item - payload as f64)),
    ])
}

/// Stores new keys in a pipeline. Each must be stored.
fn store_step(stream: &mut TcpStream, first: u64) -> io::Result<()> {
    let value = "v".repeat(FILL_VALUE_BYTES);
    let mut replies = [0; b"STORED\r\n".len() * 100];
    for batch in 0..FILL_STEP / 100 {
        let start = first + batch * 100;
        let request: String = (start..start + 100)
            .map(|item| format!("set {item:0FILL_KEY_BYTES$} 0 0 {FILL_VALUE_BYTES}\r\n{value}\r\n"))
            .collect();
        stream.write_all(request.as_bytes())?;
        stream.read_exact(&mut replies)?;
        if replies.chunks_exact(8).any(|reply| reply != b"STORED\r\n") {
            return Err(io::Error::other(format!("a set was answered {}", replies.escape_ascii())));
        }
    }
    Ok(())
}

fn settled_memory(server: &Server) -> io::Result<Resident> {
    pause(REST);
    Resident::of(server.pid())
}

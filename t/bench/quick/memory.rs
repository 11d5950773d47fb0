//! `memory`: time to the first reply, and resident memory when idle, with many connections, and when full.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::options::Options;
use larder::load::contest::describe_host;
use larder::load::figures::{Spread, Table, grouped};
use larder::load::host::{self, Resident};
use larder::load::server::{Server, ServerCommand};

const STARTS: usize = 9;
const IDLE_CONNECTIONS: u64 = 10_000;
const FILL_MIB: &str = "1024";
const FILL_KEY_BYTES: usize = 24;
const FILL_VALUE_BYTES: usize = 100;
/// Stored between two looks at the eviction counter: the figure is at most so many items late.
const FILL_STEP: u64 = 5_000;
/// Far more than fit: a server that never evicts must not fill the machine.
const FILL_ITEMS_MAX: u64 = 30_000_000;

/// One line of the table: what, and how to get it for one server.
type Measurement = fn(&Options, &ServerCommand) -> io::Result<Vec<(&'static str, String)>>;

pub(crate) fn run(options: &Options) -> io::Result<()> {
    let [ours, yardstick] = &options.contest.servers;
    let mut table = Table::new(["figure".to_string(), ours.name.clone(), yardstick.name.clone()]);
    for measure in [starts, connections, fill] as [Measurement; 3] {
        for ((figure, our_value), (_, their_value)) in
            measure(options, ours)?.into_iter().zip(measure(options, yardstick)?)
        {
            table.row([figure.to_string(), our_value, their_value]);
        }
    }
    println!("{table}");
    println!(
        "RSS is VmRSS; flags are the defaults unless named; the server runs on core {}. {}",
        options.contest.place.server_cores[0],
        describe_host()
    );
    Ok(())
}

fn starts(options: &Options, command: &ServerCommand) -> io::Result<Vec<(&'static str, String)>> {
    let mut milliseconds = Vec::new();
    let mut idle = Vec::new();
    for _ in 0..STARTS {
        let (server, took) = Server::start(&options.contest.place, command, &[], &[])?;
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

fn connections(options: &Options, command: &ServerCommand) -> io::Result<Vec<(&'static str, String)>> {
    let (server, _) = Server::start(&options.contest.place, command, &[], &["-c", "12000"])?;
    let mut control = server.control()?;
    control.ask("set k 0 0 1\r\nv")?;
    let before_kib = settled_rss_kib(&server)?;
    let before = control.stat("curr_connections")?;
    let mut streams = Vec::new();
    while (streams.len() as u64) < IDLE_CONNECTIONS {
        // In steps below the default backlog, so that none waits for a retransmitted SYN.
        for _ in 0..500 {
            streams.push(TcpStream::connect(server.address)?);
        }
        let expected = before + streams.len() as u64;
        control
            .wait_until("all connections are accepted", |control| Ok(control.stat("curr_connections")? >= expected))?;
    }
    let idle_kib = settled_rss_kib(&server)?;
    for stream in &mut streams {
        let mut reply = [0; 20];
        stream.write_all(b"get k\r\n")?;
        stream.read_exact(&mut reply[..b"VALUE k 0 1\r\nv\r\nEND\r\n".len() - 1])?;
    }
    let served_kib = settled_rss_kib(&server)?;
    server.stop()?;
    let per_connection = |kib: u64| (kib.saturating_sub(before_kib) * 1024) as f64 / IDLE_CONNECTIONS as f64;
    Ok(vec![
        ("RSS with 10,000 idle connections, KiB", grouped(idle_kib)),
        ("bytes per idle connection", format!("{:.0}", per_connection(idle_kib))),
        ("bytes per connection after one get on each", format!("{:.0}", per_connection(served_kib))),
    ])
}

fn fill(options: &Options, command: &ServerCommand) -> io::Result<Vec<(&'static str, String)>> {
    let (server, _) = Server::start(&options.contest.place, command, &[], &["-m", FILL_MIB])?;
    let mut control = server.control()?;
    let mut stream = TcpStream::connect(server.address)?;
    let mut sent = 0;
    while control.stat("evictions")? == 0 && sent < FILL_ITEMS_MAX {
        store_step(&mut stream, sent)?;
        sent += FILL_STEP;
    }
    let items = control.stat("curr_items")?;
    control.wait_for_settled_index()?;
    let rss = settled_rss_kib(&server)? * 1024;
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

/// New keys, pipelined; every one must be stored.
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

/// After the background threads have had their first turns.
fn settled_memory(server: &Server) -> io::Result<Resident> {
    host::pause(Duration::from_millis(300));
    Resident::of(server.pid())
}

fn settled_rss_kib(server: &Server) -> io::Result<u64> {
    Ok(settled_memory(server)?.all_kib)
}

//! Clients that announce long values and send nothing of them, or half: the evictions for them.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::fill::{MEGABYTES, Session, items_of};
use crate::items::ValueLen;
use crate::options::Options;
use crate::verdict::{Verdict, plain};
use larder_bench::figures::{Table, grouped};
use larder_bench::host::{self, Resident};
use larder_bench::server::ServerCommand;

const ITEMS: u64 = 40_000;
const ITEM_LEN: u64 = 1_000;
const CONNECTIONS: u64 = 1_000;
/// An item's header and key must fit 1 MiB, too.
const ANNOUNCED_LEN: usize = (1 << 20) - 1_024;
const BODIES: [(&str, usize); 2] = [("nothing of the values", 0), ("half of each value", ANNOUNCED_LEN / 2)];
const PIECE_BYTES: usize = 64 << 10;
/// A server may stop receiving. What it has not taken by this time is not sent.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Time in which a server reads what was sent.
const REST: Duration = Duration::from_secs(1);
const EVICTED_MAX: f64 = 2_500.0;

struct Found {
    evicted: u64,
    lost: u64,
    megabytes_sent: usize,
    rss_mib: u64,
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["sent", "server", "items evicted", "items lost", "MB of values sent", "RSS, MiB"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, (name, sent_len)) in BODIES.into_iter().enumerate() {
        if !options.wants(name) {
            continue;
        }
        eprintln!("{name}");
        let found = options.both(cell, |command| measure(options, command, sent_len))?;
        for (command, found) in options.comparison.servers.iter().zip(&found) {
            table.row([
                name.to_string(),
                command.name.clone(),
                grouped(found.evicted),
                grouped(found.lost),
                found.megabytes_sent.to_string(),
                grouped(found.rss_mib),
            ]);
        }
        let [ours, theirs] = found.map(|found| found.lost as f64);
        let measure = format!("announced: of {} items, lost for {CONNECTIONS} sets of 1 MiB, {name}", grouped(ITEMS));
        verdicts.push(Verdict::at_most(measure, plain(theirs), ours, EVICTED_MAX, "0"));
    }
    let items = grouped(ITEMS);
    println!("{CONNECTIONS} unfinished sets of 1 MiB, -m {MEGABYTES} with {items} items of {ITEM_LEN} B.\n\n{table}");
    Ok(verdicts)
}

fn measure(options: &Options, command: &ServerCommand, sent_len: usize) -> io::Result<Found> {
    let server = options.start_with(command, MEGABYTES, &["-c", "2000"])?;
    let mut session = Session::new(&server, items_of(ValueLen::Fixed(ITEM_LEN)))?;
    session.fill(ITEMS)?;
    let mut control = server.control()?;
    let full = control.stat("curr_items")?;
    let (connections, sent) = announce(server.address, options.share_of(CONNECTIONS), sent_len)?;
    host::pause(REST);
    let found = Found {
        evicted: control.stat("evictions")?,
        lost: full.saturating_sub(control.stat("curr_items")?),
        megabytes_sent: sent / 1_000_000,
        rss_mib: Resident::of(server.pid())?.all_kib >> 10,
    };
    drop(connections);
    server.stop()?;
    eprintln!("{}: {} lost", command.name, grouped(found.lost));
    Ok(found)
}

/// Opens the connections, and sends the values in turns, a piece of each, as far as the server takes them.
fn announce(address: SocketAddr, count: u64, sent_len: usize) -> io::Result<(Vec<TcpStream>, usize)> {
    let mut connections = Vec::new();
    for number in 0..count {
        let mut connection = TcpStream::connect(address)?;
        connection.write_all(format!("set announced:{number} 0 0 {ANNOUNCED_LEN}\r\n").as_bytes())?;
        connection.set_nonblocking(true)?;
        connections.push(connection);
    }
    let piece = vec![b'v'; PIECE_BYTES];
    let mut unsent = vec![sent_len; connections.len()];
    let start = Instant::now();
    while unsent.iter().any(|&len| len > 0) && start.elapsed() < WAIT_MAX {
        for (connection, unsent) in connections.iter_mut().zip(&mut unsent) {
            match connection.write(&piece[..PIECE_BYTES.min(*unsent)]) {
                Ok(sent) => *unsent -= sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The server has refused the value and closed the connection.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => *unsent = 0,
                Err(error) => return Err(error),
            }
        }
    }
    let sent = connections.len() * sent_len - unsent.iter().sum::<usize>();
    Ok((connections, sent))
}

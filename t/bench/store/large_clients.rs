//! Many clients with long values: each stores a value, reads it, and goes on to the next.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::fill::{MEGABYTES, items_of};
use crate::items::ValueLen;
use crate::options::Options;
use crate::replay::{Client, Request, Tally};
use crate::verdict::{Verdict, plain};
use larder_bench::figures::{Table, grouped};
use larder_bench::server::ServerCommand;

const CLIENTS: [u64; 2] = [16, 64];
/// An item's header and key must fit 1 MiB, too.
const VALUE: ValueLen = ValueLen::Between(1 << 19, (1 << 20) - 1_024);
const DURATION: Duration = Duration::from_secs(30);
/// Distance between the keys of two clients.
const STRIDE: u64 = 1 << 32;
const ANSWER_MAX_S: f64 = 0.3;

#[derive(Default)]
struct Found {
    tally: Tally,
    /// Gets of values that the server had answered STORED for, and that found nothing.
    lost: u64,
    slowest: Duration,
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["clients", "server", "sets stored", "refused", "gone at the next get", "slowest answer"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, clients) in CLIENTS.into_iter().enumerate() {
        let found = options.both(cell, |command| measure(options, command, clients))?;
        for (command, found) in options.comparison.servers.iter().zip(&found) {
            table.row([
                clients.to_string(),
                command.name.clone(),
                grouped(found.tally.sets),
                grouped(found.tally.refused),
                grouped(found.lost),
                format!("{:.3} s", found.slowest.as_secs_f64()),
            ]);
        }
        verdicts.extend(verdicts_of(clients, &found));
    }
    let duration = options.share_of_time(DURATION).as_secs_f64();
    println!("Clients with values of 0.5 to 1 MiB, -m {MEGABYTES}, {duration:.0} s.\n\n{table}");
    Ok(verdicts)
}

/// The bar for lost values is memcached's share, because one value for each client may be more than fits.
fn verdicts_of(clients: u64, [ours, theirs]: &[Found; 2]) -> [Verdict; 3] {
    let measure = |what: &str| format!("large-clients: {what}, {clients} clients, 0.5 to 1 MiB");
    let gone = |found: &Found| found.lost as f64 / found.tally.sets.max(1) as f64;
    let slowest = |found: &Found| found.slowest.as_secs_f64();
    [
        Verdict::at_most(measure("refused"), grouped(theirs.tally.refused), ours.tally.refused as f64, 0.0, ""),
        Verdict::at_most(measure("share gone at the next get"), plain(gone(theirs)), gone(ours), gone(theirs), "0"),
        Verdict::at_most(measure("slowest answer, s"), plain(slowest(theirs)), slowest(ours), ANSWER_MAX_S, ""),
    ]
}

fn measure(options: &Options, command: &ServerCommand, clients: u64) -> io::Result<Found> {
    eprintln!("{clients} clients: {}", command.name);
    let server = options.start(command, MEGABYTES)?;
    let until = Instant::now() + options.share_of_time(DURATION);
    let address = server.address;
    let mut sum = Found::default();
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..clients).map(|number| scope.spawn(move || one_client(address, number, until))).collect();
        for client in threads {
            let found = client.join().map_err(|_| io::Error::other("a client's thread panicked"))??;
            sum.tally.add(found.tally);
            sum.lost += found.lost;
            sum.slowest = sum.slowest.max(found.slowest);
        }
        io::Result::Ok(())
    })?;
    server.stop()?;
    Ok(sum)
}

fn one_client(address: SocketAddr, number: u64, until: Instant) -> io::Result<Found> {
    let mut client = Client::connect(address)?;
    let items = items_of(VALUE);
    let mut found = Found::default();
    let mut id = number * STRIDE;
    while Instant::now() < until {
        let mut ask = |request| -> io::Result<Tally> {
            let start = Instant::now();
            let tally = client.replay(&items, 1, 0, || request)?;
            found.slowest = found.slowest.max(start.elapsed());
            Ok(tally)
        };
        let set = ask(Request::Set(id))?;
        let look = ask(Request::Look(id))?;
        // Refused values cannot be lost.
        found.lost += look.misses * set.sets;
        found.tally.add(set);
        found.tally.add(look);
        id += 1;
    }
    Ok(found)
}

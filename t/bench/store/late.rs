//! A first read that comes late: a key is stored once and read when many others have been stored.
//!
//! ```text
//! fill (no reads) │ set 0 … set N−1 │ set N, get 0, set N+1, get 1, …     nothing is stored after a miss
//! ```
//!
//! N is a share of what memcached holds of such items, the same number for both servers.

use std::io;

use crate::fill::{Curve, MEGABYTES, Session, items_of, what_fits};
use crate::items::ValueLen;
use crate::options::Options;
use crate::replay::{Request, Tally};
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::server::ServerCommand;

const VALUE_LENS: [u64; 3] = [100, 1_000, 4_000];
const SHARES: [u64; 5] = [5, 12, 20, 50, 80];
const KEYS: u64 = 250_000;
/// The first of them are not judged: a cache may need them to learn.
const SLICE: u64 = 50_000;
const RATIO_MIN: f64 = 0.98;

struct Found {
    curve: Curve,
    after_first: Tally,
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["value, read after", "server", "found, per 50,000 keys", "after the first"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for value_len in VALUE_LENS {
        let fits = what_fits(options, ValueLen::Fixed(value_len))?;
        for (cell, share) in SHARES.into_iter().enumerate() {
            let distance = fits * share / 100;
            let label = format!("{value_len} B, {share} %");
            if !options.wants(&label) {
                continue;
            }
            eprintln!("{label}: {distance} keys later");
            let found = options.both(cell, |command| measure(options, command, value_len, distance))?;
            for (command, found) in options.comparison.servers.iter().zip(&found) {
                let judged = format!("{:.3}", found.after_first.hit_ratio());
                let later = format!("{label} ({})", grouped(distance));
                table.row([later, command.name.clone(), found.curve.to_string(), judged]);
            }
            let [ours, theirs] = found.map(|found| found.after_first.hit_ratio());
            let measure = format!("late: found ÷ memcached's, values of {value_len} B read after {share} %");
            verdicts.push(Verdict::at_least(measure, format!("{theirs:.3}"), ours / theirs, RATIO_MIN, "1"));
        }
    }
    println!("First read after a share of what fits, -m {MEGABYTES} full of items that are never read.\n\n{table}");
    Ok(verdicts)
}

fn measure(options: &Options, command: &ServerCommand, value_len: u64, distance: u64) -> io::Result<Found> {
    let server = options.start(command, MEGABYTES)?;
    let mut session = Session::new(&server, items_of(ValueLen::Fixed(value_len)))?;
    session.fill_twice()?;
    session.store(0..distance)?;
    let slice = options.share_of(SLICE);
    let mut found = Found { curve: Curve::with_decimals(2), after_first: Tally::default() };
    let mut oldest = 0;
    for number in 0..KEYS / SLICE {
        let mut stores = false;
        let tally = session.send(2 * slice, || {
            stores = !stores;
            if stores {
                return Request::Set(oldest + distance);
            }
            oldest += 1;
            Request::Look(oldest - 1)
        })?;
        found.curve.points.push(tally.hit_ratio());
        if number > 0 {
            found.after_first.add(tally);
        }
    }
    server.stop()?;
    eprintln!("{}: {}", command.name, found.curve);
    Ok(found)
}

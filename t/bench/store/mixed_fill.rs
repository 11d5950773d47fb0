//! Items of many sizes: when the first one is evicted, how many are held, and what sizes that drift lose.

use std::io;

use crate::fill::{MEGABYTES, Session};
use crate::items::{Items, KeyLen, ValueLen};
use crate::options::Options;
use crate::verdict::{Verdict, plain};
use larder_bench::figures::{Table, grouped};
use larder_bench::server::ServerCommand;

const MIXES: [(&str, ValueLen); 4] = [
    ("50 B to 100 KB", ValueLen::LogUniform(50, 100_000)),
    ("50 B to 10 KB", ValueLen::LogUniform(50, 10_000)),
    ("200 B to 4 KB", ValueLen::Between(200, 4_000)),
    ("ETC", ValueLen::Etc),
];
const KEY_LEN: usize = 24;
/// Stored between two looks at the eviction counter.
const STEP: u64 = 50;
/// Multiples of the stores at the first eviction, after which the items held are counted. After twice as many stores,
/// classes of small chunks still have room. After six times as many, none has.
const LATER: [u64; 2] = [2, 6];
/// Share of `-m` that keys and values should take when the first one is evicted.
const FULL_AIM: &str = "0.9";

/// Share of `-m` at the first eviction, and the items held at the times of [`LATER`].
struct Filled {
    full: f64,
    held: [u64; LATER.len()],
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["values", "server", "share of -m at the first eviction", "items after 2 x", "after 6 x"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, (name, value)) in MIXES.into_iter().enumerate() {
        if !options.wants(name) {
            continue;
        }
        eprintln!("{name}");
        let filled = options.both(cell, |command| fill(options, command, value))?;
        for (command, filled) in options.comparison.servers.iter().zip(&filled) {
            let full = format!("{:.3}", filled.full);
            let [soon, later] = filled.held.map(grouped);
            table.row([name.to_string(), command.name.clone(), full, soon, later]);
        }
        let [ours, theirs] = filled;
        let measure = format!("mixed-fill: share of -m at the first eviction, {name}");
        verdicts.push(Verdict::at_least(measure, plain(theirs.full), ours.full, theirs.full, FULL_AIM));
        for (times, (ours, theirs)) in LATER.into_iter().zip(ours.held.into_iter().zip(theirs.held)) {
            let measure = format!("mixed-fill: items held after {times} x, {name}");
            let [ours, theirs] = [ours as f64, theirs as f64];
            verdicts.push(Verdict::at_least(measure, plain(theirs), ours, theirs, ""));
        }
    }
    println!("New keys with values of many sizes, -m {MEGABYTES}.\n\n{table}");
    Ok(verdicts)
}

fn fill(options: &Options, command: &ServerCommand, value: ValueLen) -> io::Result<Filled> {
    let server = options.start(command, MEGABYTES)?;
    let mut control = server.control()?;
    let mut session = Session::new(&server, Items::new(KeyLen::Fixed(KEY_LEN), value))?;
    let (mut stored, mut bytes) = (0, 0);
    while control.stat("evictions")? == 0 && bytes < 2 * (MEGABYTES << 20) {
        session.store(stored..stored + STEP)?;
        bytes += (stored..stored + STEP).map(|id| KEY_LEN as u64 + session.items.value_len(id)).sum::<u64>();
        stored += STEP;
    }
    let at_first = stored;
    let mut held = [0; LATER.len()];
    for (times, held) in LATER.into_iter().zip(&mut held) {
        session.store(stored..times * at_first)?;
        stored = times * at_first;
        *held = control.stat("curr_items")?;
    }
    server.stop()?;
    eprintln!("{}: {:.3}, {:?} items", command.name, share(bytes), held);
    Ok(Filled { full: share(bytes), held })
}

fn share(bytes: u64) -> f64 {
    bytes as f64 / (MEGABYTES << 20) as f64
}

/// Sizes that grow all the time: values, and their number per second.
const DRIFT: ValueLen = ValueLen::Growing { from: 100, to: 12_000, over: DRIFT_KEYS };
const DRIFT_KEYS: u64 = 50_000;
const DRIFT_RATE: u64 = 2_000;
/// The last keys are read after their stores.
const NEWEST: u64 = 2_000;
const NEWEST_MIN: f64 = 0.95;

pub(crate) fn drift(options: &Options) -> io::Result<Vec<Verdict>> {
    let found = options.both(0, |command| {
        let server = options.start(command, MEGABYTES)?;
        let mut session = Session::new(&server, Items::new(KeyLen::Fixed(KEY_LEN), DRIFT))?;
        session.store_paced(0..DRIFT_KEYS, DRIFT_RATE)?;
        let newest = session.look(DRIFT_KEYS - NEWEST..DRIFT_KEYS)?;
        server.stop()?;
        eprintln!("{}: {:.3}", command.name, newest.hit_ratio());
        Ok(newest.hit_ratio())
    })?;
    let [ours, theirs] = found;
    println!(
        "Values that grow from 100 B to 12 KB, {DRIFT_RATE} a second, -m {MEGABYTES}: of the newest {NEWEST} keys, larder \
         has {ours:.3} and memcached {theirs:.3}.\n"
    );
    let measure = "size-drift: found of the newest keys";
    Ok(vec![Verdict::at_least(measure, plain(theirs), ours, NEWEST_MIN, "1")])
}

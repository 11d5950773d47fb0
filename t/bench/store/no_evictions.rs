//! `-M`: memory full of small items that expire, are deleted or flushed, and then values of another size.
//!
//! Sets come at a fixed rate, each of a new key. So a server that takes memory back in the background has time for it.
//! What counts is the bytes of the values that were stored.

use std::io;
use std::time::Duration;

use crate::fill::{Curve, MEGABYTES, Session};
use crate::items::{Items, KeyLen, ValueLen};
use crate::options::Options;
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::host;
use larder_bench::server::{Server, ServerCommand};

const OLD_LEN: u64 = 100;
const OLD_ITEMS: u64 = 483_400;
const NEW_LEN: u64 = 1_000;
/// Sets of values of `NEW_LEN` a second: twice what the memory holds is sent in all.
const RATE: u64 = 4_000;
const SLICE: Duration = Duration::from_secs(2);
const SLICES: u64 = 15;
const TTL_S: u32 = 10;
/// An item is gone when the second after its last has begun.
const EXPIRED: Duration = Duration::from_secs(TTL_S as u64 + 2);
const STORED_MIN_MIB: f64 = 54.0;

/// How the small items are removed.
#[derive(Clone, Copy)]
enum End {
    Expiry,
    Delete,
    Flush,
}

const ENDS: [(&str, End); 3] = [("expiry", End::Expiry), ("delete", End::Delete), ("flush", End::Flush)];

struct Found {
    old_stored: u64,
    /// MiB of values stored in each slice.
    curve: Curve,
}

impl Found {
    fn mib(&self) -> f64 {
        self.curve.points.iter().sum()
    }
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["after", "server", "small items stored", "MiB stored, per 2 s", "in all"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, (name, end)) in ENDS.into_iter().enumerate() {
        if !options.wants(name) {
            continue;
        }
        eprintln!("{name}");
        let found = options.both(cell, |command| measure(options, command, end))?;
        for (command, found) in options.comparison.servers.iter().zip(&found) {
            let old = grouped(found.old_stored);
            let all = format!("{:.1}", found.mib());
            table.row([name.to_string(), command.name.clone(), old, found.curve.to_string(), all]);
        }
        let [ours, theirs] = found.map(|found| found.mib());
        let measure = format!("-M: MiB of {NEW_LEN} B values stored of {MEGABYTES} MiB, after {name}");
        verdicts.push(Verdict::at_least(measure, format!("{theirs:.1}"), ours, STORED_MIN_MIB, ""));
    }
    println!("-M -m {MEGABYTES}, items of {OLD_LEN} B, then {RATE} sets of {NEW_LEN} B a second.\n\n{table}");
    Ok(verdicts)
}

fn measure(options: &Options, command: &ServerCommand, end: End) -> io::Result<Found> {
    let server = options.start_with(command, MEGABYTES, &["-M"])?;
    let mut session = Session::new(&server, items_of(OLD_LEN))?;
    session.items.ttl_mix = vec![(1.0, if matches!(end, End::Expiry) { TTL_S } else { 0 })];
    let old_stored = session.fill(OLD_ITEMS)?.sets;
    end.bring(&server, &mut session)?;
    session.items = items_of(NEW_LEN);
    let mut curve = Curve::with_decimals(1);
    let mut id = 0;
    for _ in 0..SLICES {
        let tally = session.store_paced(id..id + RATE * SLICE.as_secs(), RATE)?;
        id += RATE * SLICE.as_secs();
        curve.points.push((tally.sets * NEW_LEN) as f64 / f64::from(1 << 20));
    }
    server.stop()?;
    eprintln!("{}: {curve}", command.name);
    Ok(Found { old_stored, curve })
}

/// Keys are short, so that the small items fill the memory.
fn items_of(value_len: u64) -> Items {
    Items::new(KeyLen::Fixed(10), ValueLen::Fixed(value_len))
}

impl End {
    fn bring(self, server: &Server, session: &mut Session) -> io::Result<()> {
        match self {
            Self::Expiry => host::pause(EXPIRED),
            Self::Delete => session.delete_fill(OLD_ITEMS)?,
            Self::Flush => drop(server.control()?.ask("flush_all")?),
        }
        Ok(())
    }
}

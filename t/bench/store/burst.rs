//! Bursts of new keys, read back at once: into a cache that was never read, and into one that is in use.
//!
//! ```text
//! burst        fill (no reads)           │ set the burst │ get the burst
//! warm-burst   Zipf gets, misses are set │ set the burst │ get the burst │ Zipf gets again: their misses
//! ```

use std::io;

use crate::fill::{MEGABYTES, Session, items_of, what_fits};
use crate::items::ValueLen;
use crate::options::Options;
use crate::replay::{Request, Tally};
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::random::{Random, Zipf};
use larder_bench::server::ServerCommand;

const SIZES: [(&str, ValueLen); 4] = [
    ("200 B", ValueLen::Fixed(200)),
    ("1,000 B", ValueLen::Fixed(1_000)),
    ("100 kB", ValueLen::Fixed(100_000)),
    ("0.5–1 MiB", ValueLen::Between(1 << 19, VALUE_LEN_MOST)),
];
/// An item's header and key must fit 1 MiB, too.
const VALUE_LEN_MOST: u64 = (1 << 20) - 1_024;

/// Share of what fits, the lowest hit ratio allowed in a cache that was never read, and the aim in a cache in use.
const SHARES: [(u64, f64, &str); 3] = [(20, 0.98, "0.80"), (40, 0.98, "0.60"), (80, 0.95, "0.40")];
/// A cell of few keys is measured again with a fresh server, until about this many keys are read back.
const KEYS_MIN: u64 = 500;
const ROUNDS_MAX: u64 = 10;

const ALPHA: f64 = 0.99;
/// Objects of the Zipf gets, and the gets before and after the burst, as multiples of what fits.
const OBJECTS: u64 = 3;
const GETS: u64 = 6;
/// Ids of the objects: those of a burst begin at 0.
const OBJECT: u64 = 1 << 42;
const SEED: u64 = 0xb425;

/// One burst into a server of one size.
struct Cell {
    value: ValueLen,
    fits: u64,
    keys: u64,
}

/// What the Zipf gets missed before the burst, what of the burst was found, and what the gets missed afterwards.
#[derive(Clone, Copy, Default)]
struct Found {
    before: Tally,
    burst: Tally,
    after: Tally,
}

pub(crate) fn unread(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["values, share of what fits", "server", "keys", "found"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    each_cell(options, Cell::measure_unread, |label, (_, bar, _), found| {
        for (command, found) in options.comparison.servers.iter().zip(&found) {
            let ratio = format!("{:.3}", found.burst.hit_ratio());
            table.row([label.clone(), command.name.clone(), grouped(found.burst.gets), ratio]);
        }
        let [ours, theirs] = found.map(|found| found.burst.hit_ratio());
        let measure = format!("burst into an unread cache: found, {label}");
        verdicts.push(Verdict::at_least(measure, format!("{theirs:.3}"), ours, bar, "1"));
    })?;
    println!("Bursts of new keys into an unread cache, -m {MEGABYTES}.\n\n{table}");
    Ok(verdicts)
}

pub(crate) fn warm(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["values, share of what fits", "server", "keys", "found", "gets missed before", "gets missed after"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    each_cell(options, Cell::measure_warm, |label, (_, _, aim), found| {
        for (command, found) in options.comparison.servers.iter().zip(&found) {
            let ratios = [found.burst.hit_ratio(), found.before.miss_ratio(), found.after.miss_ratio()];
            let ratios = ratios.map(|ratio| format!("{ratio:.3}"));
            let keys = grouped(found.burst.gets);
            table.row([label.clone(), command.name.clone(), keys].into_iter().chain(ratios));
        }
        let [ours, theirs] = found.map(|found| found.burst.hit_ratio());
        let measure = format!("burst into a cache in use: found, {label}");
        verdicts.push(Verdict::reported(measure, format!("{theirs:.3}"), ours, aim));
        let [ours, theirs] = found.map(|found| found.after.miss_ratio());
        let measure = format!("burst into a cache in use: misses of the gets afterwards, {label}");
        verdicts.push(Verdict::reported(measure, "1.00".to_string(), ours / theirs, "≤ 1"));
    })?;
    println!("Bursts of new keys into a cache warm by gets, Zipf {ALPHA}, -m {MEGABYTES}.\n\n{table}");
    Ok(verdicts)
}

/// Measures every cell with both servers, several times where few keys fit.
fn each_cell(
    options: &Options,
    measure: fn(&Cell, &Options, &ServerCommand, u64) -> io::Result<Found>,
    mut report: impl FnMut(String, (u64, f64, &'static str), [Found; 2]),
) -> io::Result<()> {
    for (size, value) in SIZES {
        let fits = what_fits(options, value)?;
        for (cell, share) in SHARES.into_iter().enumerate() {
            let label = format!("{size}, {} %", share.0);
            if !options.wants(&label) {
                continue;
            }
            eprintln!("{label}");
            let keys = fits * share.0 / 100;
            let rounds = options.share_of(KEYS_MIN.div_ceil(keys).min(ROUNDS_MAX));
            let found = options.both(cell, |command| {
                let mut sum = Found::default();
                for round in 0..rounds {
                    let found = measure(&Cell { value, fits, keys }, options, command, round)?;
                    sum.before.add(found.before);
                    sum.burst.add(found.burst);
                    sum.after.add(found.after);
                }
                eprintln!("{}: {:.3}", command.name, sum.burst.hit_ratio());
                Ok(sum)
            })?;
            report(label, share, found);
        }
    }
    Ok(())
}

impl Cell {
    fn measure_unread(&self, options: &Options, command: &ServerCommand, round: u64) -> io::Result<Found> {
        let server = options.start(command, MEGABYTES)?;
        let mut session = Session::new(&server, items_of(self.value))?;
        session.fill_twice()?;
        let burst = self.burst(&mut session, round)?;
        server.stop()?;
        Ok(Found { burst, ..Found::default() })
    }

    fn measure_warm(&self, options: &Options, command: &ServerCommand, round: u64) -> io::Result<Found> {
        let server = options.start(command, MEGABYTES)?;
        let mut session = Session::new(&server, items_of(self.value))?;
        let zipf = Zipf::new(OBJECTS * self.fits, ALPHA);
        let mut random = Random::with_seed(SEED + round);
        let gets = options.share_of(GETS * self.fits);
        let mut next = || Request::Get(OBJECT + zipf.rank(&mut random));
        session.send(gets, &mut next)?;
        let before = session.send(gets, &mut next)?;
        let burst = self.burst(&mut session, round)?;
        let after = session.send(gets, &mut next)?;
        server.stop()?;
        Ok(Found { before, burst, after })
    }

    /// Stores the keys, then reads each of them.
    fn burst(&self, session: &mut Session, round: u64) -> io::Result<Tally> {
        let keys = round * self.keys..(round + 1) * self.keys;
        session.store(keys.clone())?;
        session.look(keys)
    }
}

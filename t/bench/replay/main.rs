//! Miss ratios on traces: the server's own eviction policy beside plain LRU and a segmented LRU.
//!
//! ```text
//! trace ─▶ get; on a miss, set ─▶ a cache of N objects ─▶ misses per request
//! ```
//!
//! A cache is one class of one page with a slot for each object. Policy, ring and ghost are the types of `src/eviction`
//! that the server runs. The traces are those of `LARDER_BENCH_DATA` (`larder_bench::trace`) and three that are
//! made here. `make bench-replay`; the table stands in doc/measurements/policy.md.
#![expect(clippy::cast_possible_truncation, reason = "keys, slots and shares of them fit 32 bits by far")]
#![expect(clippy::disallowed_macros, reason = "the tables on standard output are what this program is for")]

mod hand;
mod late;
mod lists;
mod made;
mod slots;

use std::io;

use crate::hand::Clock;
use crate::lists::{Lru, Segmented};
pub(crate) use crate::slots::Cache;
use crate::slots::{Fixed, SlotCache};
use larder_bench::trace::{TRACES, Trace};

/// Cache sizes, as shares of the keys that occur.
const SHARES: [f64; 6] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3];

pub(crate) type Make = fn(usize) -> Box<dyn Cache>;

pub(crate) const POLICIES: [(&str, Make); 4] = [
    ("LRU", |objects| Box::new(Lru::new(objects))),
    ("segmented LRU", |objects| Box::new(Segmented::new(objects))),
    ("CLOCK, 2 bits", |objects| Box::new(SlotCache::<Clock>::new(objects))),
    ("larder", |objects| Box::new(SlotCache::<Fixed>::new(objects))),
];
/// The row that the others are compared with.
const YARDSTICK: usize = 1;

fn main() -> io::Result<()> {
    let wanted = std::env::var("LARDER_BENCH_ROWS").unwrap_or_default();
    let mut cells = vec![Vec::new(); POLICIES.len()];
    for name in TRACES.into_iter().filter(|name| name.contains(&wanted)) {
        match Trace::named(name) {
            Ok(trace) => print_table(&trace.name, &trace.requests, &mut cells),
            Err(error) => println!("{name}: {error}\n"),
        }
    }
    for (name, make) in made::TRACES.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        print_table(name, &make(), &mut cells);
    }
    print_summary(&cells);
    late::print_table(&wanted);
    Ok(())
}

/// One trace: a row per policy, a column per cache size. Adds the misses relative to the yardstick's to `cells`.
fn print_table(name: &str, requests: &[u32], cells: &mut [Vec<f64>]) {
    let mut keys: Vec<u32> = requests.to_vec();
    keys.sort_unstable();
    keys.dedup();
    println!("### {name}: {} requests, {} keys\n", requests.len(), keys.len());
    let sizes = SHARES.map(|share| (keys.len() as f64 * share) as usize);
    println!("| cache of | {} |", sizes.map(|size| size.to_string()).join(" | "));
    println!("|---{}|", "|---".repeat(sizes.len()));
    let rows = POLICIES.map(|(_, make)| sizes.map(|size| miss_ratio(&mut *make(size.max(1)), requests)));
    for (index, (policy, _)) in POLICIES.iter().enumerate() {
        println!("| {policy} | {} |", rows[index].map(|ratio| format!("{ratio:.4}")).join(" | "));
        let relative = rows[index].iter().zip(rows[YARDSTICK]).map(|(own, yardstick)| own / yardstick - 1.0);
        cells[index].extend(relative);
    }
    println!();
}

fn miss_ratio(cache: &mut dyn Cache, requests: &[u32]) -> f64 {
    let misses = requests.iter().filter(|key| !cache.ask(**key)).count();
    misses as f64 / requests.len() as f64
}

fn print_summary(cells: &[Vec<f64>]) {
    println!("### Misses relative to the segmented LRU\n");
    println!("| policy | mean of cells | worst | best |");
    println!("|---|---|---|---|");
    for ((policy, _), cells) in POLICIES.iter().zip(cells) {
        let mean = cells.iter().sum::<f64>() / cells.len().max(1) as f64;
        let worst = cells.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let best = cells.iter().copied().fold(f64::INFINITY, f64::min);
        println!("| {policy} | {:+.1} % | {:+.1} % | {:+.1} % |", mean * 100.0, worst * 100.0, best * 100.0);
    }
}

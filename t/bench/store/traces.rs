//! Misses of recorded request sequences, at cache sizes that are shares of their distinct keys.
//!
//! A trace has no sizes, so every value of a cell has one length, chosen in the yardstick's terms:
//!
//! ```text
//! cache of n items ──▶ memcached's smallest chunk of which at most n/64 fit a page  ──▶ value: what fills it
//!                      -m: n / chunks in a page, at least 64                             to the last byte
//! ```
//!
//! So memcached holds n items and loses nothing to rounding up, and `-m` is at least 64. Both servers get this `-m` and
//! this value. If larder holds more than n items, that is due to its density, and counts.

use std::io;

use crate::items::{Items, KeyLen, ValueLen};
use crate::options::Options;
use crate::replay::{Client, Request, Tally, WINDOW};
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::random::whole;
use larder_bench::server::ServerCommand;
use larder_bench::trace::{TRACES, Trace};

const SHARES: [f64; 4] = [0.01, 0.03, 0.10, 0.30];
const MEGABYTES_MIN: u64 = 64;
/// Requests with long values take long. The first of a trace are enough where all of them would move more bytes.
const BYTES_MAX: u64 = 100_000_000_000;
const MEAN_MAX: f64 = 0.94;
const WORST_MAX: f64 = 1.05;

const KEY_LEN: u64 = 24;
/// Bytes that memcached adds to key and value: a header, the CAS number, the ends of key and value.
const MEMCACHED_OVERHEAD: u64 = 48 + 8 + 1 + 2;
/// Its chunks: from the first in steps of this factor, in multiples of 8, the last being half a page.
const MEMCACHED_FIRST_CHUNK: u64 = 96;
const MEMCACHED_FACTOR: f64 = 1.25;
const PAGE_BYTES: u64 = 1 << 20;

/// One trace at one size.
struct Cell {
    items: u64,
    value_len: u64,
    megabytes: u64,
}

struct Found {
    tally: Tally,
    held: u64,
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let [ours, yardstick] = options.comparison.servers.each_ref().map(|server| server.name.clone());
    let header = ["trace", "items", "-m, value", "requests"].map(str::to_string).into_iter().chain([
        format!("{yardstick}: holds"),
        format!("{ours}: holds"),
        format!("{yardstick}: miss ratio"),
        format!("{ours}: miss ratio"),
        "misses".to_string(),
    ]);
    let mut table = Table::new(header);
    let mut ratios = Vec::new();
    for name in TRACES {
        let trace = Trace::named(name)?;
        for share in SHARES {
            let label = format!("{name} at {:.0} %", share * 100.0);
            if !options.wants(&label) {
                continue;
            }
            let cell = Cell::of(whole((trace.distinct as f64 * share).round()));
            eprintln!("{label}: {} items, -m {}, values of {} B", cell.items, cell.megabytes, cell.value_len);
            let [ours, theirs] = options.both(ratios.len(), |command| cell.measure(options, command, &trace))?;
            let ratio = ours.tally.misses as f64 / theirs.tally.misses as f64;
            table.row([
                label.clone(),
                grouped(cell.items),
                format!("{} MiB, {} B", cell.megabytes, grouped(cell.value_len)),
                grouped(options.share_of(cell.requests(&trace))),
                grouped(theirs.held),
                grouped(ours.held),
                ratio_and_refusals(&theirs.tally),
                ratio_and_refusals(&ours.tally),
                format!("{ratio:.3}"),
            ]);
            ratios.push((ratio, label));
        }
    }
    println!("Misses of the traces: get, on a miss set; same -m, one value length per cell.\n\n{table}");
    let mean = ratios.iter().map(|(ratio, _)| ratio).sum::<f64>() / ratios.len() as f64;
    let Some(worst) = ratios.iter().max_by(|one, other| one.0.total_cmp(&other.0)) else {
        return Ok(Vec::new());
    };
    let measure = format!("misses, three traces at 1, 3, 10, 30 %, mean of {} cells", ratios.len());
    Ok(vec![
        Verdict::at_most(measure, one(), mean, MEAN_MAX, "≤ 0.92"),
        Verdict::at_most(format!("worst cell ({})", worst.1), one(), worst.0, WORST_MAX, ""),
    ])
}

fn one() -> String {
    "1.00".to_string()
}

/// The miss ratio. Refused sets become misses, so they are shown beside it.
pub(crate) fn ratio_and_refusals(tally: &Tally) -> String {
    match tally.refused {
        0 => format!("{:.4}", tally.miss_ratio()),
        refused => format!("{:.4} ({} sets refused)", tally.miss_ratio(), grouped(refused)),
    }
}

impl Cell {
    fn of(items: u64) -> Self {
        let per_page_max = (items / MEGABYTES_MIN).max(1);
        let chunk = memcached_chunks().find(|chunk| PAGE_BYTES / chunk <= per_page_max).unwrap_or(PAGE_BYTES / 2);
        let per_page = PAGE_BYTES / chunk;
        Self { items, value_len: chunk - MEMCACHED_OVERHEAD - KEY_LEN, megabytes: (items + per_page / 2) / per_page }
    }

    fn requests(&self, trace: &Trace) -> u64 {
        (trace.requests.len() as u64).min(BYTES_MAX / self.value_len)
    }

    fn measure(&self, options: &Options, command: &ServerCommand, trace: &Trace) -> io::Result<Found> {
        let server = options.start(command, self.megabytes)?;
        let items = Items::new(KeyLen::Fixed(24), ValueLen::Fixed(self.value_len));
        // A set comes up to one window late: at most 1/64 of the cache.
        let window = usize::try_from(self.items / 64).unwrap_or(WINDOW).min(WINDOW);
        let mut client = Client::connect(server.address)?.with_window(window);
        let mut requests = trace.requests.iter();
        let count = options.share_of(self.requests(trace));
        let tally = client.replay(&items, count, 0, || {
            Request::Get(u64::from(*requests.next().expect("as many requests as the trace has")))
        })?;
        let held = server.control()?.stat("curr_items")?;
        server.stop()?;
        eprintln!("{}: {:.4} of {}, {held} held", command.name, tally.miss_ratio(), tally.gets);
        Ok(Found { tally, held })
    }
}

fn memcached_chunks() -> impl Iterator<Item = u64> {
    let last = PAGE_BYTES / 2;
    std::iter::successors(Some(MEMCACHED_FIRST_CHUNK), move |&chunk| {
        let next = whole(chunk as f64 * MEMCACHED_FACTOR).next_multiple_of(8);
        let too_near = next as f64 * MEMCACHED_FACTOR > last as f64;
        (chunk < last).then_some(if too_near { last } else { next })
    })
}

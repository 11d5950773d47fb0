//! Misses of a Zipf load with ETC's sizes: steady, and after most values have grown.
//!
//! 4,000,000 objects, alpha .99. The first half of the requests fills the cache, the second half is counted. After a
//! drift the second half names new keys for 70 % of the objects, with values three times as long. Then pages must
//! change their size class. Else the cache keeps room for values that are never read again.

use std::io;

use crate::items::{Items, KeyLen, SECOND_GENERATION, ValueLen};
use crate::options::Options;
use crate::replay::{Client, Request, Tally};
use crate::traces::ratio_and_refusals;
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::random::{Random, Zipf, unit_for};
use larder_bench::server::ServerCommand;

const OBJECTS: u64 = 4_000_000;
const ALPHA: f64 = 0.99;
const DRIFTING: f64 = 0.70;
/// Purposes of an id's random bits, beside those of items.rs.
const DRIFTS: u64 = 16;
const SEED: u64 = 0x21bf;

struct Load {
    name: &'static str,
    megabytes: u64,
    requests: u64,
    items: fn() -> Items,
    drifting: f64,
}

struct Found {
    /// The second quarter of the requests, and their second half.
    before: Tally,
    counted: Tally,
    held: u64,
}

pub(crate) fn steady(options: &Options) -> io::Result<Vec<Verdict>> {
    let items = || Items::new(KeyLen::Etc, ValueLen::Etc);
    let loads = [(256, 12_000_000), (64, 6_000_000)].map(|(megabytes, requests)| Load {
        name: "misses, ETC sizes, Zipf .99, steady",
        megabytes,
        requests,
        items,
        drifting: 0.0,
    });
    compare(options, &loads, 0.80, "≤ 0.70")
}

pub(crate) fn drift(options: &Options) -> io::Result<Vec<Verdict>> {
    let load = Load {
        name: "misses after a 3× size drift of 70 % of keys, second half",
        megabytes: 256,
        requests: 12_000_000,
        items: || Items::new(KeyLen::Fixed(24), ValueLen::EtcLargeDrifting),
        drifting: DRIFTING,
    };
    compare(options, &[load], 0.93, "≤ 0.90")
}

fn compare(options: &Options, loads: &[Load], bar: f64, aim: &str) -> io::Result<Vec<Verdict>> {
    let header = ["load", "server", "miss ratio, second quarter", "miss ratio, second half", "items held", "late"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, load) in loads.iter().enumerate() {
        let measure = format!("{}, -m {}", load.name, load.megabytes);
        if !options.wants(&measure) {
            continue;
        }
        eprintln!("{measure}");
        let found = options.both(cell, |command| load.measure(options, command))?;
        for (command, found) in options.comparison.servers.iter().zip(&found) {
            table.row([
                measure.clone(),
                command.name.clone(),
                format!("{:.4}", found.before.miss_ratio()),
                ratio_and_refusals(&found.counted),
                grouped(found.held),
                format!("{:.1} s", (found.before.late + found.counted.late).as_secs_f64()),
            ]);
        }
        let [ours, theirs] = found.each_ref().map(|found| found.counted.miss_ratio());
        verdicts.push(Verdict::at_most(measure, "1.00".to_string(), ours / theirs, bar, aim));
    }
    println!("Zipf {ALPHA}, {OBJECTS} objects, {} requests a second (0: unpaced).\n\n{table}", options.rate);
    Ok(verdicts)
}

impl Load {
    fn measure(&self, options: &Options, command: &ServerCommand) -> io::Result<Found> {
        let server = options.start(command, self.megabytes)?;
        let mut client = Client::connect(server.address)?;
        let items = (self.items)();
        let zipf = Zipf::new(OBJECTS, ALPHA);
        let mut random = Random::with_seed(SEED);
        let quarter = options.share_of(self.requests / 4);
        let mut stretch = |count, drifting| {
            client.replay(&items, count, options.rate, || {
                let rank = zipf.rank(&mut random);
                let drifted = unit_for(rank, DRIFTS) < drifting;
                Request::Get(if drifted { rank | SECOND_GENERATION } else { rank })
            })
        };
        stretch(quarter, 0.0)?;
        let before = stretch(quarter, 0.0)?;
        let counted = stretch(2 * quarter, self.drifting)?;
        let held = server.control()?.stat("curr_items")?;
        server.stop()?;
        eprintln!("{}: {:.4}, then {:.4}", command.name, before.miss_ratio(), counted.miss_ratio());
        Ok(Found { before, counted, held })
    }
}

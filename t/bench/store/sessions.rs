//! Sessions beside items that are never read. Each visitor's key is set once. Then visitors come at random, and each
//! view is a get and a set of one key.
//!
//! A view is lost if its get finds nothing.

use std::io;

use crate::fill::{Curve, MEGABYTES, Session, items_of};
use crate::items::ValueLen;
use crate::options::Options;
use crate::replay::Request;
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::random::Random;
use larder_bench::server::ServerCommand;

const VALUE_LEN: u64 = 1_024;
const DEAD: u64 = 60_000;
const VISITORS: [u64; 3] = [10_000, 20_000, 40_000];
const TTLS_S: [u32; 2] = [0, 3_600];
const VIEWS: u64 = 400_000;
const SLICE: u64 = 50_000;
const LOST_MAX: f64 = 0.002;
const SEED: u64 = 0x5e55;

struct Lost {
    /// Share of the views of each slice.
    curve: Curve,
    share: f64,
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["visitors", "server", "lost, per 50,000 views", "lost of all"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, (ttl_s, visitors)) in TTLS_S.into_iter().flat_map(|ttl| VISITORS.map(|v| (ttl, v))).enumerate() {
        let label = format!("{} visitors, TTL {ttl_s}", grouped(visitors));
        if !options.wants(&label) {
            continue;
        }
        eprintln!("{label}");
        let lost = options.both(cell, |command| measure(options, command, visitors, ttl_s))?;
        for (command, lost) in options.comparison.servers.iter().zip(&lost) {
            let all = format!("{:.4}", lost.share);
            table.row([label.clone(), command.name.clone(), lost.curve.to_string(), all]);
        }
        let [ours, theirs] = lost.map(|lost| lost.share);
        let measure = format!("sessions: lost views, {label}");
        verdicts.push(Verdict::at_most(measure, format!("{theirs:.4}"), ours, LOST_MAX, "0"));
    }
    let dead = grouped(DEAD);
    println!("Sessions of {VALUE_LEN} B beside {dead} items that are never read, -m {MEGABYTES}.\n\n{table}");
    Ok(verdicts)
}

fn measure(options: &Options, command: &ServerCommand, visitors: u64, ttl_s: u32) -> io::Result<Lost> {
    let server = options.start(command, MEGABYTES)?;
    let mut session = Session::new(&server, items_of(ValueLen::Fixed(VALUE_LEN)))?;
    session.fill(DEAD)?;
    session.items.ttl_mix = vec![(1.0, ttl_s)];
    session.store(0..visitors)?;
    let slice = options.share_of(SLICE);
    let mut random = Random::with_seed(SEED);
    let mut lost = Lost { curve: Curve::with_decimals(3), share: 0.0 };
    for _ in 0..VIEWS / SLICE {
        let mut viewing = None;
        let tally = session.send(2 * slice, || {
            if let Some(visitor) = viewing.take() {
                return Request::Set(visitor);
            }
            let visitor = random.below(visitors);
            viewing = Some(visitor);
            Request::Look(visitor)
        })?;
        lost.curve.points.push(tally.miss_ratio());
    }
    lost.share = lost.curve.points.iter().sum::<f64>() / lost.curve.points.len() as f64;
    server.stop()?;
    eprintln!("{}: {}", command.name, lost.curve);
    Ok(lost)
}

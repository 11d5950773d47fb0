//! A cache whose items are flushed or never read, and then values of another size: the hit ratio per 10 s.
//!
//! Requests name the new values uniformly at random, at a fixed rate; what a get misses is set.

use std::io;
use std::time::Duration;

use crate::fill::{Curve, MEGABYTES, Session, items_of};
use crate::items::ValueLen;
use crate::options::Options;
use crate::replay::Request;
use crate::verdict::{Verdict, plain};
use larder_bench::figures::{Table, grouped};
use larder_bench::host;
use larder_bench::random::Random;
use larder_bench::server::{Server, ServerCommand};

/// The items that fill the cache, and the values that are requested then.
struct Case {
    name: &'static str,
    old_items: u64,
    old_len: u64,
    flushed: bool,
    new_len: u64,
    values: u64,
    /// Requests a second.
    rate: u64,
}

/// The first leaves a fifth of the memory free; the others fill it.
const CASES: [Case; 3] = [
    Case {
        name: "1 kB flushed, 20 kB",
        old_items: 50_000,
        old_len: 1_000,
        flushed: true,
        new_len: 20_000,
        values: 2_400,
        rate: 300,
    },
    Case {
        name: "100 B dead, 10 kB",
        old_items: 500_000,
        old_len: 100,
        flushed: false,
        new_len: 10_000,
        values: 4_800,
        rate: 300,
    },
    Case {
        name: "11 kB flushed, 4 KiB",
        old_items: 6_000,
        old_len: 11_000,
        flushed: true,
        new_len: 4_096,
        values: 12_288,
        rate: 4_000,
    },
];
const SLICE: Duration = Duration::from_secs(10);
const SLICES: u64 = 12;
/// It is small, so that requests are spread evenly over time.
const WINDOW: usize = 8;
const LEAD_MIN: f64 = -0.02;
const BURST: u64 = 24_000;
/// Time between the flush and the burst.
const BURST_PAUSE: Duration = Duration::from_secs(30);
const BURST_RATIO_MIN: f64 = 0.98;
const SEED: u64 = 0x4ef1;

struct Found {
    curve: Curve,
    late: Duration,
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["old values, new values", "server", "hit ratio per 10 s", "late"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, case) in CASES.iter().enumerate() {
        if !options.wants(case.name) {
            continue;
        }
        eprintln!("{}", case.name);
        let found = options.both(cell, |command| case.measure(options, command))?;
        for (command, found) in options.comparison.servers.iter().zip(&found) {
            let late = format!("{:.1} s", found.late.as_secs_f64());
            table.row([case.name.to_string(), command.name.clone(), found.curve.to_string(), late]);
        }
        let [ours, theirs] = found.map(|found| found.curve);
        let measure = format!("refill: hit ratio less memcached's, worst 10 s, {}", case.name);
        verdicts.push(Verdict::at_least(measure, "0".to_string(), ours.worst_lead(&theirs), LEAD_MIN, "0"));
    }
    println!("Values of another size after a flush or beside dead items, -m {MEGABYTES}.\n\n{table}");
    if options.wants("burst") {
        verdicts.push(burst(options)?);
    }
    Ok(verdicts)
}

impl Case {
    fn measure(&self, options: &Options, command: &ServerCommand) -> io::Result<Found> {
        let (server, mut session) = self.start(options, command)?;
        session.client.set_window(WINDOW);
        let mut random = Random::with_seed(SEED);
        let mut found = Found { curve: Curve::with_decimals(2), late: Duration::ZERO };
        for _ in 0..options.share_of(SLICES) {
            let count = self.rate * SLICE.as_secs();
            let next = || Request::Get(random.below(self.values));
            let tally = session.client.replay(&session.items, count, self.rate, next)?;
            found.curve.points.push(tally.hit_ratio());
            found.late = found.late.max(tally.late);
        }
        server.stop()?;
        eprintln!("{}: {}", command.name, found.curve);
        Ok(found)
    }

    /// A server full of old values, and a client that names the new ones.
    fn start(&self, options: &Options, command: &ServerCommand) -> io::Result<(Server, Session)> {
        let server = options.start(command, MEGABYTES)?;
        let mut session = Session::new(&server, items_of(ValueLen::Fixed(self.old_len)))?;
        session.fill(self.old_items)?;
        session.items = items_of(ValueLen::Fixed(self.new_len));
        if self.flushed {
            let reply = server.control()?.ask("flush_all")?;
            if reply != "OK" {
                return Err(io::Error::other(format!("flush_all was answered {reply}")));
            }
        }
        Ok((server, session))
    }
}

/// Some time after the flush of the last case, stores far more values than fit, as fast as possible. Returns how many
/// can be read.
fn burst(options: &Options) -> io::Result<Verdict> {
    let [.., case] = &CASES;
    let kept = options.both(0, |command| {
        let (server, mut session) = case.start(options, command)?;
        host::pause(options.share_of_time(BURST_PAUSE));
        session.store(0..BURST)?;
        let tally = session.look(0..BURST)?;
        server.stop()?;
        Ok(tally.gets - tally.misses)
    })?;
    let burst = grouped(BURST);
    let measure = format!("refill: of a burst of {burst} values, those that are kept, {}", case.name);
    let [ours, theirs] = kept.map(|count| count as f64);
    Ok(Verdict::at_least(measure, plain(theirs), ours, theirs * BURST_RATIO_MIN, ""))
}

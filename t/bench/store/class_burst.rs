//! Bursts of new keys whose size class has hardly any pages, beside items of another class that were never read.
//!
//! ```text
//! fill (no reads), short keys │ set the burst, longer keys │ get the burst
//! ```
//!
//! With a value of 1,000 B, a key of 9 B needs a larger chunk of larder than a key of 6 B.

use std::io;

use crate::fill::{MEGABYTES, Session};
use crate::items::{Items, KeyLen, ValueLen};
use crate::options::Options;
use crate::replay::Tally;
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::server::ServerCommand;

/// A burst, and the rate of its sets; 0: as fast as they are answered.
struct Case {
    name: &'static str,
    value: ValueLen,
    keys: u64,
    rate: u64,
}

const OLD_ITEMS: u64 = 90_000;
const OLD_KEY_LEN: usize = 4;
const NEW_KEY_LEN: usize = 9;
const VALUE: ValueLen = ValueLen::Fixed(1_000);
const CASES: [Case; 5] = [
    Case { name: "20 % at full speed", value: VALUE, keys: 12_000, rate: 0 },
    Case { name: "20 % at 5,000 a second", value: VALUE, keys: 12_000, rate: 5_000 },
    Case { name: "20 % at 1,000 a second", value: VALUE, keys: 12_000, rate: 1_000 },
    Case { name: "80 % at full speed", value: VALUE, keys: 48_000, rate: 0 },
    Case { name: "20 % of 100 kB at full speed", value: ValueLen::Fixed(100_000), keys: 120, rate: 0 },
];
const FOUND_MIN: f64 = 0.98;

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["burst", "server", "keys", "found"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, case) in CASES.iter().enumerate() {
        if !options.wants(case.name) {
            continue;
        }
        eprintln!("{}", case.name);
        let found = options.both(cell, |command| case.measure(options, command))?;
        for (command, found) in options.comparison.servers.iter().zip(&found) {
            let ratio = format!("{:.3}", found.hit_ratio());
            table.row([case.name.to_string(), command.name.clone(), grouped(found.gets), ratio]);
        }
        let [ours, theirs] = found.map(|found| found.hit_ratio());
        let measure = format!("burst into a class of few pages: found, {}", case.name);
        verdicts.push(Verdict::at_least(measure, format!("{theirs:.3}"), ours, FOUND_MIN, "1"));
    }
    let items = grouped(OLD_ITEMS);
    println!("Bursts into a class of few pages, -m {MEGABYTES} full of {items} × 1,000 B under short keys.\n\n{table}");
    Ok(verdicts)
}

impl Case {
    fn measure(&self, options: &Options, command: &ServerCommand) -> io::Result<Tally> {
        let server = options.start(command, MEGABYTES)?;
        let mut session = Session::new(&server, Items::new(KeyLen::Fixed(OLD_KEY_LEN), VALUE))?;
        session.store(0..OLD_ITEMS)?;
        session.items = Items::new(KeyLen::Fixed(NEW_KEY_LEN), self.value);
        // Longer keys are other keys, though the numbers are the same.
        session.store_paced(0..self.keys, self.rate)?;
        let found = session.look(0..self.keys)?;
        server.stop()?;
        eprintln!("{}: {:.3}", command.name, found.hit_ratio());
        Ok(found)
    }
}

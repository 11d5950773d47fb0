//! Resident memory of small caches that hold values of all sizes.

use std::io;

use crate::fill::Session;
use crate::items::{Items, KeyLen, ValueLen};
use crate::options::Options;
use crate::verdict::{Verdict, plain};
use larder_bench::figures::Table;
use larder_bench::host::{self, Resident};
use std::time::Duration;

/// Arguments, and `-m`.
const LIMITS: [(&str, &[&str], u64); 3] =
    [("-m 16", &[], 16), ("-m 16 -f 1.05", &["-f", "1.05"], 16), ("-m 8 -f 1.05", &["-f", "1.05"], 8)];
const VALUE: ValueLen = ValueLen::LogUniform(20, 300_000);
const KEY_LEN: usize = 24;
const ITEMS: u64 = 6_000;
/// Until background threads have had their turns.
const REST: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let header = ["arguments", "server", "RSS, MiB", "times -m", "items held"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, (name, arguments, megabytes)) in LIMITS.into_iter().enumerate() {
        if !options.wants(name) {
            continue;
        }
        let found = options.both(cell, |command| {
            let server = options.start_with(command, megabytes, arguments)?;
            let mut session = Session::new(&server, Items::new(KeyLen::Fixed(KEY_LEN), VALUE))?;
            session.store(0..ITEMS)?;
            host::pause(REST);
            let held = server.control()?.stat("curr_items")?;
            let rss_mib = Resident::of(server.pid())?.all_kib as f64 / 1024.0;
            server.stop()?;
            Ok((rss_mib, held))
        })?;
        for (command, (rss_mib, held)) in options.comparison.servers.iter().zip(found) {
            let times = format!("{:.2}", rss_mib / megabytes as f64);
            table.row([name.to_string(), command.name.clone(), format!("{rss_mib:.1}"), times, held.to_string()]);
        }
        let [ours, theirs] = found.map(|(rss_mib, _)| rss_mib);
        verdicts.push(Verdict::at_most(format!("small-limits: RSS, MiB, {name}"), plain(theirs), ours, theirs, ""));
    }
    println!("{ITEMS} values of 20 B to 300 KB (log-uniform).\n\n{table}");
    Ok(verdicts)
}

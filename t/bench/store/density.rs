//! How many items fit: bytes of RSS per item, and items of ETC's sizes at equal RSS.

use std::io;
use std::time::Duration;

use crate::items::{Items, KeyLen, ValueLen};
use crate::options::Options;
use crate::replay::{Client, Request, WINDOW_MAX};
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::host::{self, Resident};
use larder_bench::server::{Control, Server, ServerCommand};

const MEGABYTES: u64 = 1024;
/// Items stored between two looks at the eviction counter: the error of the figure is below this.
const STEP: u64 = 6_400;
/// Far more than fit: a server that never evicts must not fill the machine.
const ITEMS_MAX: u64 = 40_000_000;
const RSS_RATIO_MAX: f64 = 1.05;

/// Value length, bytes per item that larder must show, and the aim.
const VALUES: [(u64, f64, &str); 3] = [(32, 90.0, "86"), (100, 168.0, "160"), (400, 465.0, "456")];

/// A cache at its first eviction, and after more was stored.
struct Filled {
    items: u64,
    rss_bytes: u64,
    later_items: u64,
    later_rss_bytes: u64,
    refused: u64,
}

impl Filled {
    fn bytes_per_item(&self) -> f64 {
        self.rss_bytes as f64 / self.items as f64
    }

    fn later_rss_mib(&self) -> f64 {
        self.later_rss_bytes as f64 / f64::from(1 << 20)
    }

    fn later_items_per_mib(&self) -> f64 {
        self.later_items as f64 / self.later_rss_mib()
    }
}

pub(crate) fn bytes_per_item(options: &Options) -> io::Result<Vec<Verdict>> {
    let mut table = Table::new(fill_header("value"));
    let mut verdicts = Vec::new();
    let mut rss_mib = [0.0, 0.0];
    for (cell, (value_len, bar, aim)) in VALUES.into_iter().enumerate() {
        let items = Items::new(KeyLen::Fixed(24), ValueLen::Fixed(value_len));
        let filled = options.both(cell, |command| fill(options, command, &items, 1.2))?;
        for (side, filled) in filled.iter().enumerate() {
            table.row(fill_cells(&format!("{value_len} B"), &options.comparison.servers[side], filled));
            rss_mib[side] = filled.later_rss_mib().max(rss_mib[side]);
        }
        let [ours, theirs] = filled.each_ref().map(Filled::bytes_per_item);
        let measure = format!("RSS bytes per item, 24 B key + {value_len} B value, -m {MEGABYTES}, at first eviction");
        verdicts.push(Verdict::at_most(measure, format!("{theirs:.1}"), ours, bar, aim));
    }
    println!("Bytes per item, -m {MEGABYTES}, 24-byte keys; RSS later: after a fifth more was stored.\n\n{table}");
    let measure = format!("RSS of a full cache, MiB, -m {MEGABYTES}, largest of the three");
    let [ours, theirs] = rss_mib;
    let bar = RSS_RATIO_MAX * MEGABYTES as f64;
    verdicts.push(Verdict::at_most(measure, format!("{theirs:.1}"), ours, bar, ""));
    Ok(verdicts)
}

pub(crate) fn items_held(options: &Options) -> io::Result<Vec<Verdict>> {
    let items = Items::new(KeyLen::Etc, ValueLen::Etc);
    let filled = options.both(0, |command| fill(options, command, &items, 1.5))?;
    let mut table = Table::new(fill_header("sizes"));
    for (side, filled) in filled.iter().enumerate() {
        table.row(fill_cells("ETC", &options.comparison.servers[side], filled));
    }
    println!(
        "Items of ETC's key and value sizes, -m {MEGABYTES}; later: after half as many again were stored.\n\n{table}"
    );
    let [ours, theirs] = filled.each_ref().map(Filled::later_items_per_mib);
    let measure = "items held per MiB of RSS, ETC key and value sizes, full cache";
    Ok(vec![Verdict::at_least(measure, "1.00".to_string(), ours / theirs, 1.20, "1.25")])
}

/// Stores new keys until something is evicted, then up to `more` times that number.
fn fill(options: &Options, command: &ServerCommand, items: &Items, more: f64) -> io::Result<Filled> {
    let server = options.start(command, MEGABYTES)?;
    let mut control = server.control()?;
    let mut client = Client::connect(server.address)?.with_window(WINDOW_MAX);
    let mut stored = 0;
    let mut refused = 0;
    let mut store = |count: u64, stored: &mut u64| -> io::Result<()> {
        let tally = client.replay(items, count, 0, || {
            *stored += 1;
            Request::Set(*stored)
        })?;
        refused += tally.refused;
        Ok(())
    };
    while control.stat("evictions")? == 0 && stored < ITEMS_MAX {
        store(STEP, &mut stored)?;
    }
    let first_items = control.stat("curr_items")?;
    let first_rss = settled_rss_bytes(&server, &mut control)?;
    eprintln!(
        "{}: {} items, {:.1} bytes each",
        command.name,
        grouped(first_items),
        first_rss as f64 / first_items as f64
    );
    let total = larder_bench::random::whole(stored as f64 * more);
    store(total - stored, &mut stored)?;
    let filled = Filled {
        items: first_items,
        rss_bytes: first_rss,
        later_items: control.stat("curr_items")?,
        later_rss_bytes: settled_rss_bytes(&server, &mut control)?,
        refused,
    };
    server.stop()?;
    Ok(filled)
}

/// After the hash table has stopped growing and the background threads have had a turn.
fn settled_rss_bytes(server: &Server, control: &mut Control) -> io::Result<u64> {
    control.wait_for_settled_index()?;
    host::pause(Duration::from_millis(300));
    Ok(Resident::of(server.pid())?.all_kib * 1024)
}

fn fill_header(first: &str) -> Vec<String> {
    let rest = ["server", "items at first eviction", "RSS, MiB", "RSS bytes per item", "items later", "RSS later, MiB"];
    [first].into_iter().chain(rest).chain(["sets refused"]).map(str::to_string).collect()
}

fn fill_cells(first: &str, command: &ServerCommand, filled: &Filled) -> Vec<String> {
    vec![
        first.to_string(),
        command.name.clone(),
        grouped(filled.items),
        format!("{:.1}", filled.rss_bytes as f64 / f64::from(1 << 20)),
        format!("{:.1}", filled.bytes_per_item()),
        grouped(filled.later_items),
        format!("{:.1}", filled.later_rss_mib()),
        grouped(filled.refused),
    ]
}

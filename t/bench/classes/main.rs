//! Which size classes waste least: `make bench-classes`.
//!
//! ```text
//! sizes of items ──▶ fill ──▶ share of the pages' bytes that are key and value when the first page is missing
//! ```
//!
//! Arithmetic, no server: classes laid out by the settings, with and without classes that are fitted while memory
//! fills. The mixes that need files of the data folder are left out where it is not there.
#![expect(clippy::disallowed_macros, reason = "the table on standard output is what this program is for")]

mod fill;
mod sizes;

use crate::fill::{Fill, Layout};
use crate::sizes::Mixes;
use larder_bench::figures::Table;

const LIMITS: [(&str, u64); 3] = [("64 MiB", 64), ("1 GiB", 1 << 10), ("16 GiB", 16 << 10)];
const FACTORS: [f64; 7] = [1.05, 1.08, 1.10, 1.15, 1.20, 1.25, 1.50];

fn main() {
    // Cargo adds `--bench` of its own, and runs the program without a mode when it only wants to see it start.
    if !std::env::args().any(|argument| argument == "table") {
        println!("usage: classes table   (see doc/memory.md)");
        return;
    }
    let groups = sizes::all();
    let mut header = vec!["share of key and value".to_string()];
    for group in &groups {
        header.extend(LIMITS.iter().map(|(limit, _)| format!("{}, {limit}", group.name)));
    }
    header.push("classes".to_string());
    let mut table = Table::new(header);
    table.row(line("memcached, 1.25", &groups, Layout::memcached()));
    for factor in FACTORS {
        table.row(line(&format!("{factor:.2}"), &groups, Layout::ours(factor, false)));
    }
    for factor in FACTORS {
        table.row(line(&format!("{factor:.2}, fitted"), &groups, Layout::ours(factor, true)));
    }
    println!("{table}");
}

/// The mean over a group's mixes, for each limit, and the most classes that had pages.
fn line(name: &str, groups: &[Mixes], layout: Layout) -> Vec<String> {
    let mut cells = vec![name.to_string()];
    let mut classes = 0;
    for group in groups {
        for (_, limit_pages) in LIMITS {
            let fills: Vec<Fill> = group.mixes.iter().map(|mix| fill::fill(mix, &layout, limit_pages)).collect();
            let mean = fills.iter().map(|fill| fill.payload_share).sum::<f64>() / fills.len() as f64;
            classes = fills.iter().map(|fill| fill.classes).fold(classes, usize::max);
            cells.push(format!("{mean:.3}"));
        }
    }
    cells.push(classes.to_string());
    cells
}

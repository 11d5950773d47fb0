//! How soon the memory of expired items can be used again, and the CPU time of finding them.
//!
//! Half of 2,000,000 items live for 20 s, the others forever, and none of them is read. When the last has expired, the
//! server gets no request for 10 s. It has found the chunks that `stats slabs` no longer counts as used. All CPU time
//! since the last store counts as if it were spent in those 10 s.

use std::io;
use std::time::{Duration, Instant};

use crate::items::{Items, KeyLen, ValueLen};
use crate::options::Options;
use crate::replay::{Client, Request, WINDOW_MAX};
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::host::{self, CpuTime};
use larder_bench::server::{Control, ServerCommand};

const MEGABYTES: u64 = 1024;
const ITEMS: u64 = 2_000_000;
const TTL_S: u32 = 20;
/// An item is gone when the second after its last has begun.
const TICK: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_secs(60);
const SHARE_MIN: f64 = 0.95;
const CORE_SHARE_MAX: f64 = 0.02;

struct Found {
    reclaimed: f64,
    items_gone: f64,
    core_share: f64,
    /// The time until the wanted share was found, if it was.
    took: Option<Duration>,
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let found = options.both(1, |command| measure(options, command))?;
    let header = ["server", "memory reusable after 10 s", "items gone", "CPU of a core", "95 % reusable after"];
    let mut table = Table::new(header.map(str::to_string));
    for (command, found) in options.comparison.servers.iter().zip(&found) {
        table.row([
            command.name.clone(),
            percent(found.reclaimed),
            percent(found.items_gone),
            percent(found.core_share),
            took(found),
        ]);
    }
    let items = grouped(options.share_of(ITEMS));
    println!("{items} items of 24 + 100 B, half of them with a TTL of {TTL_S} s, -m {MEGABYTES}.\n\n{table}");
    let [ours, theirs] = found;
    let measure = "share of the expired items' memory reusable within 10 s";
    Ok(vec![
        Verdict::at_least(measure, format!("{:.3}", theirs.reclaimed), ours.reclaimed, SHARE_MIN, ""),
        Verdict::at_most(
            "share of a core, all that finding them took over 10 s",
            format!("{:.3}", theirs.core_share),
            ours.core_share,
            CORE_SHARE_MAX,
            "",
        ),
    ])
}

fn took(found: &Found) -> String {
    match found.took {
        Some(took) if took < LOOK + TICK => format!("at most {:.0} s", LOOK.as_secs_f64()),
        Some(took) => format!("{:.1} s", took.as_secs_f64()),
        None => format!("not within {:.0} s", WAIT_MAX.as_secs_f64()),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn measure(options: &Options, command: &ServerCommand) -> io::Result<Found> {
    eprintln!("{}", command.name);
    let server = options.start(command, MEGABYTES)?;
    let mut control = server.control()?;
    let mut items = Items::new(KeyLen::Fixed(24), ValueLen::Fixed(100));
    items.ttl_mix = vec![(0.5, TTL_S)];
    let count = options.share_of(ITEMS);
    let mortal = (1..=count).filter(|&id| items.ttl_s(id) > 0).count() as f64;
    let used_before = used_chunks(&mut control)?;
    let mut id = 0;
    Client::connect(server.address)?.with_window(WINDOW_MAX).replay(&items, count, 0, || {
        id += 1;
        Request::Set(id)
    })?;
    let expired = Instant::now() + Duration::from_secs(u64::from(TTL_S)) + TICK;
    let full = control.stat("curr_items")?;
    if full != count || used_chunks(&mut control)? < used_before + count {
        return Err(io::Error::other(format!("{} holds {full} of {count} items before they expire", command.name)));
    }
    // The first items expire before the last, and are collected then: what that costs counts, too.
    let cpu_before = CpuTime::of(server.pid())?;
    host::pause(expired.saturating_duration_since(Instant::now()) + LOOK);
    let cpu = CpuTime::of(server.pid())?.since(cpu_before);
    let reclaimed = |control: &mut Control| -> io::Result<f64> {
        Ok(1.0 - (used_chunks(control)?.saturating_sub(used_before) as f64 - (count as f64 - mortal)) / mortal)
    };
    let after_look = reclaimed(&mut control)?;
    let items_gone = full.saturating_sub(control.stat("curr_items")?) as f64 / mortal;
    let mut took = None;
    while took.is_none() && expired.elapsed() < WAIT_MAX {
        if reclaimed(&mut control)? >= SHARE_MIN {
            took = Some(expired.elapsed());
        }
        host::pause(Duration::from_millis(250));
    }
    server.stop()?;
    let core_share = cpu.run_ns as f64 / 1e9 / LOOK.as_secs_f64();
    Ok(Found { reclaimed: after_look, items_gone, core_share, took })
}

/// Chunks in use, of all size classes.
fn used_chunks(control: &mut Control) -> io::Result<u64> {
    let slabs = control.answer_to("stats slabs")?;
    let used = slabs.iter().filter(|(name, _)| name.ends_with(":used_chunks"));
    Ok(used.filter_map(|(_, count)| count.parse::<u64>().ok()).sum())
}

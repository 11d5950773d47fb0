//! Patterns in which nothing is stored after a miss. The cache is full of items that are never read, or of items in
//! use.
//!
//! A value that is written once and first read late is a session, a token, the result of a job. A burst is many such
//! values at once.

use crate::made::{Random, Zipf};
use crate::{Cache, POLICIES};

/// Slots of the cache.
const OBJECTS: u32 = 60_000;
/// New keys of a late-first-read row, and those that are not counted in its second figure.
const STREAM: u32 = 250_000;
const WARM_UP: u32 = 50_000;
/// Views of a sessions row, and of each end of it that is shown.
const VIEWS: u32 = 400_000;
const VIEWS_SHOWN: u32 = 50_000;
/// Gets that warm a cache before a burst, and those that are counted after it.
const WARM_GETS: u32 = 1_000_000;
const GETS_AFTER: u32 = 300_000;
/// First key of each kind.
const DEAD: u32 = 1 << 28;
const NEW: u32 = 2 << 28;

type Row = (String, Box<dyn Fn(&mut dyn Cache) -> String>);

/// Prints a row per pattern, a column per policy.
pub(crate) fn print_table(wanted: &str) {
    let rows: Vec<Row> = rows().into_iter().filter(|(name, _)| name.contains(wanted)).collect();
    if rows.is_empty() {
        return;
    }
    println!("### Late first reads, in a cache of {OBJECTS}\n");
    println!("| pattern | {} |", POLICIES.map(|(name, _)| name).join(" | "));
    println!("|---{}|", "|---".repeat(POLICIES.len()));
    for (name, run) in rows {
        let cells = POLICIES.map(|(_, make)| run(&mut *make(OBJECTS as usize)));
        println!("| {name} | {} |", cells.join(" | "));
    }
    println!();
}

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for percent in [5, 12, 20, 50, 80] {
        let name = format!("first read after {percent} % of what fits: all; after the first {WARM_UP}");
        rows.push((name, Box::new(move |cache| late_first_read(cache, percent, fill_dead))));
    }
    for percent in [20, 50] {
        let name = format!("the same after {percent} %, beside items that were read once");
        rows.push((name, Box::new(move |cache| late_first_read(cache, percent, fill_read_once))));
    }
    for visitors in [10_000, 20_000, 40_000] {
        let name =
            format!("{visitors} sessions beside dead items: lost of the first and last {VIEWS_SHOWN} of {VIEWS}");
        rows.push((name, Box::new(move |cache| sessions(cache, visitors))));
    }
    for percent in [20, 40, 80] {
        let name = format!("burst of {percent} % into an unread cache: found");
        rows.push((
            name,
            Box::new(move |cache| {
                fill_dead(cache);
                format!("{:.3}", burst(cache, percent))
            }),
        ));
    }
    for percent in [20, 40, 80] {
        let name =
            format!("burst of {percent} % into a cache in use: found; misses of {GETS_AFTER} gets before; after");
        rows.push((name, Box::new(move |cache| burst_into_use(cache, percent))));
    }
    rows
}

/// Stores twice as many keys as fit. They are never read.
fn fill_dead(cache: &mut dyn Cache) {
    (0..2 * OBJECTS).for_each(|key| cache.store(DEAD + key));
}

/// The same, each read once right after it was stored.
fn fill_read_once(cache: &mut dyn Cache) {
    for key in DEAD..DEAD + 2 * OBJECTS {
        cache.store(key);
        cache.read(key);
    }
}

fn late_first_read(cache: &mut dyn Cache, percent: u32, fill: fn(&mut dyn Cache)) -> String {
    fill(cache);
    let distance = OBJECTS / 100 * percent;
    let (mut found, mut found_late) = (0, 0);
    for number in 0..STREAM + distance {
        if number < STREAM {
            cache.store(NEW + number);
        }
        if let Some(read) = number.checked_sub(distance) {
            let is_found = u32::from(cache.read(NEW + read));
            found += is_found;
            found_late += if read >= WARM_UP { is_found } else { 0 };
        }
    }
    format!("{:.3}; {:.3}", share(found, STREAM), share(found_late, STREAM - WARM_UP))
}

/// Each view is a get and a set of the visitor's key.
fn sessions(cache: &mut dyn Cache, visitors: u32) -> String {
    fill_dead(cache);
    let mut random = Random(7);
    let mut seen = vec![false; visitors as usize];
    let (mut first, mut last) = (0, 0);
    for view in 0..VIEWS {
        let visitor = random.below(visitors as usize);
        let is_lost = !cache.read(NEW + visitor as u32) && seen[visitor];
        seen[visitor] = true;
        cache.store(NEW + visitor as u32);
        first += u32::from(is_lost && view < VIEWS_SHOWN);
        last += u32::from(is_lost && view >= VIEWS - VIEWS_SHOWN);
    }
    format!("{:.3}; {:.3}", share(first, VIEWS_SHOWN), share(last, VIEWS_SHOWN))
}

/// The share that is found of keys that are stored one after another and then read back.
fn burst(cache: &mut dyn Cache, percent: u32) -> f64 {
    let keys = NEW..NEW + OBJECTS / 100 * percent;
    keys.clone().for_each(|key| cache.store(key));
    let len = keys.end - keys.start;
    share(keys.map(|key| u32::from(cache.read(key))).sum(), len)
}

/// As [`burst`], where gets by Zipf's law, each followed by a set if it misses, come before and after.
fn burst_into_use(cache: &mut dyn Cache, percent: u32) -> String {
    let (zipf, mut random) = (Zipf::new(), Random(9));
    let mut misses = |cache: &mut dyn Cache, gets: u32| {
        (0..gets).map(|_| u32::from(!cache.ask(zipf.rank(&mut random) as u32))).sum::<u32>()
    };
    misses(cache, WARM_GETS);
    let before = misses(cache, GETS_AFTER);
    let found = burst(cache, percent);
    let after = misses(cache, GETS_AFTER);
    format!("{found:.3}; {:.4}; {:.4}", share(before, GETS_AFTER), share(after, GETS_AFTER))
}

fn share(count: u32, of: u32) -> f64 {
    f64::from(count) / f64::from(of)
}

//! Views of a server: rates, latencies, and its keys.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use larder::base::Clock;
use larder::tools::{ServerConnection, StatRows, ToolFailure, decode_uri};

use super::dialogue::shown;
use super::show;

const LINE_EVERY_US: u64 = 1_000_000;
/// Time between two requests of --latency.
const LATENCY_EVERY: Duration = Duration::from_millis(10);
/// Keys that --bigkeys shows.
const BIG_KEYS_MAX: usize = 20;
/// Lines between two headings.
const LINES_PER_HEADING: u32 = 20;

fn number(rows: &StatRows, name: &str) -> u64 {
    rows.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Waits until this time of the clock.
fn wait(clock: &Clock, until_us: u64) {
    loop {
        let now_us = clock.real_us();
        if now_us >= until_us {
            return;
        }
        thread::park_timeout(Duration::from_micros(until_us - now_us));
    }
}

/// A line per second with the changes of the statistics.
pub(crate) fn stat(server: &mut ServerConnection, rounds: Option<u32>) -> Result<(), ToolFailure> {
    let clock = Clock::start();
    let mut before = server.rows("stats")?;
    for line in (0..).take_while(|line| rounds.is_none_or(|rounds| *line < rounds)) {
        wait(&clock, (u64::from(line) + 1) * LINE_EVERY_US);
        let now = server.rows("stats")?;
        if line % LINES_PER_HEADING == 0 {
            show("    gets/s     sets/s   hit %  evict/s   clients       items   MiB of items\n")?;
        }
        let grown = |name: &str| number(&now, name).saturating_sub(number(&before, name));
        let (hits, misses) = (grown("get_hits"), grown("get_misses"));
        let ratio = match hits + misses {
            0 => "-".to_string(),
            gets => format!("{:.1}", 100.0 * hits as f64 / gets as f64),
        };
        show(&format!(
            "{:>10} {:>10} {ratio:>7} {:>8} {:>9} {:>11} {:>14.1}\n",
            grown("cmd_get"),
            grown("cmd_set"),
            grown("evictions"),
            number(&now, "curr_connections"),
            number(&now, "curr_items"),
            number(&now, "bytes") as f64 / 1_048_576.0,
        ))?;
        before = now;
    }
    Ok(())
}

/// A line per second with the times of `mn`, a request without effect.
pub(crate) fn latency(server: &mut ServerConnection, rounds: Option<u32>) -> Result<(), ToolFailure> {
    let clock = Clock::start();
    for line in (0..).take_while(|line| rounds.is_none_or(|rounds| *line < rounds)) {
        let mut times = Vec::new();
        while clock.real_us() < (u64::from(line) + 1) * LINE_EVERY_US {
            let start_us = clock.real_us();
            server.send(b"mn\r\n")?;
            let reply = server.line()?;
            if reply != b"MN" {
                return Err(server.unexpected(&reply));
            }
            times.push(clock.real_us() - start_us);
            thread::park_timeout(LATENCY_EVERY);
        }
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).or(times.last()).copied().unwrap_or(0);
        show(&format!(
            "{} requests, us: least {}  p50 {}  p99 {}  most {}\n",
            times.len(),
            at(0),
            at(50),
            at(99),
            at(100)
        ))?;
    }
    Ok(())
}

/// The most requested keys.
pub(crate) fn hot_keys(server: &mut ServerConnection) -> Result<String, ToolFailure> {
    let rows = server.rows("stats hotkeys")?;
    let mut text = String::from("  requests      reads     writes  key\n");
    for rank in 1.. {
        let field = |name: &str| rows.get(&format!("{rank}:{name}")).map(String::as_str);
        let Some(key) = field("key") else { break };
        let count = |name| field(name).unwrap_or("-");
        // Ignored: writing to a String cannot fail.
        let _ = writeln!(text, "{:>10} {:>10} {:>10}  {key}", count("requests"), count("reads"), count("writes"));
    }
    Ok(text)
}

/// An item in the list of all items.
struct ListedItem {
    key: Vec<u8>,
    bytes: u64,
}

/// Calls `each` for every item of the server.
fn list(
    server: &mut ServerConnection,
    mut each: impl FnMut(ListedItem) -> Result<(), ToolFailure>,
) -> Result<(), ToolFailure> {
    server.send(b"lru_crawler metadump all\r\n")?;
    loop {
        let line = server.line()?;
        if line == b"END" {
            return Ok(());
        }
        // memcached begins with it.
        if line == b"OK" {
            continue;
        }
        match listed(&line) {
            Some(item) => each(item)?,
            None => return Err(server.unexpected(&line)),
        }
    }
}

/// `key=<URI-encoded key> exp=… size=<bytes>`.
fn listed(line: &[u8]) -> Option<ListedItem> {
    let mut words = line.split(|byte| *byte == b' ');
    let encoded = words.next()?.strip_prefix(b"key=")?;
    let size = words.find_map(|word| word.strip_prefix(b"size="))?;
    let bytes = std::str::from_utf8(size).ok()?.parse().ok()?;
    Some(ListedItem { key: decode_uri(encoded)?, bytes })
}

/// The largest items, the largest first.
pub(crate) fn big_keys(server: &mut ServerConnection) -> Result<String, ToolFailure> {
    let mut largest = BTreeSet::new();
    let (mut count, mut sum) = (0u64, 0u64);
    list(server, |item| {
        (count, sum) = (count + 1, sum + item.bytes);
        largest.insert((item.bytes, item.key));
        if largest.len() > BIG_KEYS_MAX {
            largest.pop_first();
        }
        Ok(())
    })?;
    let mut text = format!("{count} items, {sum} bytes, {} on average\n     bytes  key\n", sum / count.max(1));
    for (bytes, key) in largest.iter().rev() {
        // Ignored: writing to a String cannot fail.
        let _ = writeln!(text, "{bytes:>10}  {}", shown(key));
    }
    Ok(text)
}

/// All keys that begin with `prefix`.
pub(crate) fn scan(server: &mut ServerConnection, prefix: &str) -> Result<(), ToolFailure> {
    list(server, |item| {
        if item.key.starts_with(prefix.as_bytes()) { show(&format!("{}\n", shown(&item.key))) } else { Ok(()) }
    })
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_line_of_the_list_has_a_key_and_a_size() {
        let item = listed(b"key=a%20b%25 exp=-1 la=5 cas=3 fetch=no cls=1 size=77 flags=0").unwrap();
        assert_eq!((item.key.as_slice(), item.bytes), (&b"a b%"[..], 77));
        for line in [&b"key=a exp=-1"[..], b"BUSY currently processing crawler request", b"key=%zz size=1", b""] {
            assert!(listed(line).is_none(), "{}", line.escape_ascii());
        }
    }
}

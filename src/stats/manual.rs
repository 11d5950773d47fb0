//! The text of doc/stats.md: the meaning of each row of `stats`, from the tables of the rows.

use crate::base::{StatDoc, StatKind, StatRow, documented};
use crate::counters::Counters;
use crate::store::{StoreReport, report_rows};

use super::general::{CONNECTION_ROWS, PROCESS_ROWS};
use super::key_rows::{HOTKEY_NAME, HOTKEY_ROWS, PREFIX_ROWS, PREFIX_TOTAL_ROWS, SAMPLING_ROWS, SCAN_ROWS};
use super::latency::{LATENCY_RATE_ROWS, LATENCY_ROWS, SLOW_LOG_ROWS, SLOW_ROWS, SLOW_TEXT_ROWS};
use super::replication::{NODE_ROWS, PEER_ROWS, REPCACHED_ROWS};

const HEAD: &str = "\
# Statistics

<!-- Printed from the tables of the rows by `make doc`. Edit those, not this file. -->

`stats` and its groups use memcached's names, so that monitoring tools for memcached work with larder. A memcached name
that is not listed here belongs to a feature that larder does not have, and is always 0. These features are the LRU
maintainer and hits counted per list. `stats slabs` shows the hits of a class as `get_hits`. One name is missing:
`number_temp` of `stats items`, which memcached shows with `-o temporary_ttl`.

`stats reset` sets the counters to 0, and no other row. [settings.md](settings.md) describes `stats settings`.
`stats detail on` starts counting by key prefix, and `stats detail dump` shows the counts. `stats sizes` counts items by
size, in steps of 32 bytes, with and without `-o track_sizes`. `stats cachedump <class> <limit>` lists some keys.

`stats prefixes` counts items and bytes by key prefix. A background thread scans the cache, at about 20 million items
per second of its CPU time. `stats hotkeys` lists the most requested keys, from a sample of the requests. `stats hotkeys
off` stops the sampling, and `stats reset` clears the sample. -X disables all groups that show keys.

`stats latency` shows how long requests take. Requests of a client that a worker answers together are a pipeline, and
have one latency. It begins when the worker learns which clients have sent something. It ends when the kernel has the
replies, or as much of them as it takes. So it includes requests of other clients that the worker answers first, and
waits for memory. The network is not included, nor is time in the kernel before the worker looks. Of a value that
arrives in parts, the latency begins with the last part. A client that has used up its share of a turn (-R) begins again
with the next one. One pipeline in 128 is measured. Requests over TLS and HTTP are measured, too. UDP, authentication
and waits for the owner of a key are not. The kinds are `get`, `set`, `touch`, `delete`, `incr`, `decr` and `me`, which
count as in `cmd_get` and its like, and `pipeline`, `value_read` and `value_written`.

`stats slowlog` shows the last 128 pipelines that took -o slowlog_us or longer, newest first. Each one is checked, not
only those that are measured. Of one turn of a worker, the first eight are shown: all clients behind a slow one are
slow, too. `left_out` counts the others. `stats reset` clears both groups.

The memory of the process is the sum of `slab_bytes`, `hash_bytes`, `ghost_bytes`, `ring_bytes`, `page_table_bytes`,
`read_buf_bytes`, `write_buf_bytes`, `connection_bytes` and `statistics_bytes`. It matches RssAnon and RssShmem in
/proc/PID/status together, to within 2 MiB while pages are nearly full. These do not count the parts of a new page that
were never written.
";

/// The rows of plain `stats`: of the process, of the workers' counters and of the store.
pub(super) fn general() -> Vec<StatDoc> {
    [documented(PROCESS_ROWS), Counters::docs(), report_rows(StoreReport::General)].concat()
}

/// The rows of a group (none, `items`, `slabs`) that `stats reset` zeroes, without their class.
pub fn counter_names(group: &str) -> Vec<&'static str> {
    let rows = match group {
        "" => general(),
        "items" => report_rows(StoreReport::Items),
        "slabs" => report_rows(StoreReport::Slabs),
        _ => Vec::new(),
    };
    rows.into_iter().filter(|row| row.kind == StatKind::Counter).map(|row| row.name).collect()
}

fn meanings<S>(rows: &'static [StatRow<S>]) -> Vec<(&'static str, &'static str)> {
    rows.iter().map(|row| (row.name, row.help)).collect()
}

/// doc/stats.md.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    let mut section = |heading: &str, rows: &[(&str, &str)]| {
        text.push_str(&format!("\n## {heading}\n\n| row | meaning |\n|---|---|\n"));
        rows.iter().for_each(|(name, meaning)| text.push_str(&format!("| {name} | {meaning} |\n")));
    };
    let of_kind = |rows: Vec<StatDoc>, kind| -> Vec<(&str, &str)> {
        rows.into_iter().filter(|row| row.kind == kind).map(|row| (row.name, row.help)).collect()
    };
    let (items, slabs) = (report_rows(StoreReport::Items), report_rows(StoreReport::Slabs));
    let class = "each row behind `items:<class>:`";
    section("`stats`: the process and the store", &of_kind(general(), StatKind::Gauge));
    section("`stats`: counters", &of_kind(general(), StatKind::Counter));
    section(&format!("`stats items`, {class}"), &of_kind(items.clone(), StatKind::Gauge));
    section(&format!("`stats items`: counters, {class}"), &of_kind(items, StatKind::Counter));
    section("`stats slabs`, most rows behind `<class>:`", &of_kind(slabs.clone(), StatKind::Gauge));
    section("`stats slabs`: counters, each row behind `<class>:`", &of_kind(slabs, StatKind::Counter));
    let prefixes = [meanings(SCAN_ROWS), meanings(PREFIX_TOTAL_ROWS), meanings(PREFIX_ROWS)].concat();
    section("`stats prefixes`, the last two behind `<prefix>:`", &prefixes);
    let hotkeys = [meanings(SAMPLING_ROWS), vec![HOTKEY_NAME], meanings(HOTKEY_ROWS)].concat();
    section("`stats hotkeys`, most rows behind `<rank>:`", &hotkeys);
    section("`stats latency`", &meanings(LATENCY_RATE_ROWS));
    section("`stats latency`, each row behind `<kind>:`", &meanings(LATENCY_ROWS));
    let slow = [SLOW_TEXT_ROWS.to_vec(), meanings(SLOW_ROWS)].concat();
    section("`stats slowlog`", &meanings(SLOW_LOG_ROWS));
    section("`stats slowlog`, each row behind `<rank>:`", &slow);
    section("`stats` with -x", &meanings(REPCACHED_ROWS));
    let node = [
        vec![("node", "The id of this node. Only a restart with -e after a clean stop keeps it.")],
        meanings(NODE_ROWS),
    ]
    .concat();
    section("`stats replication`: this node", &node);
    section("`stats replication`: each row behind `<peer>:`", &meanings(PEER_ROWS));
    let connections = CONNECTION_ROWS.map(|(name, help, _)| (name, help));
    section("`stats conns`, each row behind `<descriptor>:`", &connections);
    text
}

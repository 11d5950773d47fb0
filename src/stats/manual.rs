//! doc/stats.md: what each row of `stats` means. The counters' rows come from their own table.

use crate::counters::Counters;

/// Rows of plain `stats` that say how things are: `stats reset` leaves them alone.
const GENERAL: &[(&str, &str)] = &[
    ("pid", "Process id."),
    ("uptime", "Seconds since start; begins at 2."),
    ("time", "Unix time, in seconds."),
    ("version", "What `version` answers: the version of memcached that larder answers as."),
    ("larder_version", "The version of larder."),
    ("libevent", "How events are waited for."),
    ("pointer_size", "Bits of a pointer."),
    ("rusage_user", "Processor time spent in the program, in seconds."),
    ("rusage_system", "Processor time the kernel spent for it, in seconds."),
    ("max_connections", "-c."),
    ("curr_connections", "Clients connected now."),
    ("connection_structures", "Connections that memory is set aside for."),
    (
        "read_buf_count",
        "Buffers for reading: those that threads lend out, and one per client that has sent half a request.",
    ),
    ("read_buf_bytes", "Their bytes. Pages of them that were never used take no memory."),
    ("read_buf_bytes_free", "Those of them that no client holds: threads lend them for the time of an answer."),
    (
        "write_buf_bytes",
        "Bytes of buffers for replies, and of replies that wait for clients to read; large values are sent from where they lie.",
    ),
    ("connection_bytes", "Bytes of the connections themselves, without their buffers."),
    (
        "statistics_bytes",
        "Bytes of counts, of the sketches of hot keys, of the table of `stats detail` and of the last `stats prefixes`; `stats reset` gives back the latter two.",
    ),
    ("reserved_fds", "Descriptors the process keeps for itself."),
    ("limit_maxbytes", "Memory for items, in bytes: -m, or what cache_memlimit made of it."),
    ("accepting_conns", "1 while connections are accepted."),
    ("threads", "-t."),
    ("log_lines_dropped", "Lines of the log that were dropped, because standard error was not read."),
    (
        "hash_power_level",
        "The hash table has 2 to this power buckets, of nine items each, or up to twice as many while it grows.",
    ),
    ("hash_bytes", "Its bytes."),
    ("hash_is_expanding", "1 while it grows."),
    ("bytes", "Bytes of the items that are stored, their headers included."),
    ("curr_items", "Items that are stored."),
    ("slab_global_page_pool", "Free pages that any size class may take."),
    ("slab_reassign_running", "1 while a page is being moved."),
    ("lru_crawler_running", "1 while the background sweep walks pages."),
    (
        "slab_reassign_last_busy_status",
        "What became of the page that was tried last. none: it moved. busy_floating: somebody held on to a chunk of it. busy_nomem: with -M, there was no room for its items.",
    ),
    ("slab_bytes", "Bytes of all pages that are in use: the sum of the six rows that follow."),
    ("slab_used_bytes", "Bytes of the chunks that hold items. Less `bytes`: what is lost to rounding and links."),
    ("slab_free_bytes", "Bytes of the chunks that any thread can take."),
    ("slab_limbo_bytes", "Bytes of the chunks that wait until nobody can be reading them any more."),
    ("slab_held_bytes", "Bytes of the chunks that threads keep ready, receive values into, or send old values from."),
    ("slab_tail_bytes", "Bytes at the ends of pages that are too few for a chunk."),
    ("slab_moving_bytes", "Bytes of the pages that are on their way from one size class to another."),
    ("page_table_bytes", "Bytes of the tables by page number; not counted against -m."),
    ("leased_items", "Items that are being sent to clients that read slowly."),
    (
        "ring_bytes",
        "Bytes of the queues of new items. With `slab_bytes`, `hash_bytes`, `ghost_bytes` and free pages: what -m bounds.",
    ),
    ("ghost_bytes", "Memory that remembers what was evicted, or will once something is."),
];

/// Counters of plain `stats` beside those of the workers, which have a table of their own.
const GENERAL_COUNTERS: &[(&str, &str)] = &[
    ("listen_disabled_num", "How often accepting stopped for want of descriptors."),
    ("time_in_listen_disabled_us", "For how long, in microseconds."),
    ("total_items", "Items that were stored."),
    ("expired_unfetched", "Items that ended without having been fetched."),
    ("evicted_unfetched", "Items evicted without having been fetched."),
    ("evictions", "Items evicted to make room."),
    ("reclaimed", "Ended items that a store collected for their memory."),
    ("crawler_reclaimed", "Ended items that the background sweep removed."),
    ("crawler_items_checked", "Items the background sweep has looked at."),
    ("lru_crawler_starts", "Times the background sweep began to walk pages, up to 64 at once."),
    ("slabs_moved", "Pages moved from one size class to another."),
    ("slab_reassign_rescues", "Items copied out of pages that moved."),
    ("slab_reassign_chunk_rescues", "Those of them that lie in several chunks."),
    ("slab_reassign_inline_reclaim", "Ended items found in pages that moved."),
    (
        "slab_reassign_busy_items",
        "Times a page was not moved, because somebody held on to a chunk of it, or with -M there was no room for its items.",
    ),
    ("slab_reassign_busy_nomem", "Items evicted although they were asked for, since there was no room for a copy."),
    (
        "direct_reclaims",
        "Items that a store had to evict, or to collect, for their memory. The other ones left for a page that moved, or for the limit.",
    ),
    (
        "moves_to_main",
        "Items that left the small queue for the main one, because they had been asked for. memcached's moves_to_cold and moves_to_warm are always 0.",
    ),
    ("moves_within_lru", "Items that were spared for having been asked for."),
    ("ghost_hits", "Keys stored again soon after they were evicted: what more memory would have kept."),
];

/// Rows of `stats items`, behind `items:<class>:`.
const ITEMS: &[(&str, &str)] = &[
    ("number", "Items stored."),
    (
        "number_hot",
        "In the small queue, where new items wait to be asked for; one that went on its own counts for a while.",
    ),
    ("number_cold", "The others, in the main queue, whether they are asked for or not."),
    (
        "age",
        "Seconds since the last access of the item that was used least recently, of those in 128 places of the class. An access of an item that is asked for often is noted once a minute.",
    ),
    ("mem_requested", "Bytes the items need of their chunks."),
];

/// Counters of `stats items`, and what falls to 0 with them.
const ITEM_COUNTERS: &[(&str, &str)] = &[
    (
        "moves_to_main",
        "Items that left the small queue for the main one, because they had been asked for. memcached's moves_to_cold and moves_to_warm are always 0.",
    ),
    ("moves_within_lru", "Items that were spared for having been asked for."),
    ("ghost_hits", "Keys stored again soon after they were evicted: what more memory would have kept."),
    ("evicted", "Items evicted."),
    ("evicted_nonzero", "Those of them that had a time to live."),
    ("evicted_time", "Seconds between the last access of the item evicted last and its eviction; see `age`."),
    ("outofmemory", "Stores refused for want of memory."),
    ("reclaimed", "Ended items that a store collected for their memory."),
    ("expired_unfetched", "Items that ended without having been fetched."),
    ("evicted_unfetched", "Items evicted without having been fetched."),
    ("crawler_reclaimed", "Ended items that the background sweep removed."),
    ("crawler_items_checked", "Items the background sweep has looked at."),
    (
        "direct_reclaims",
        "Items that a store had to evict, or to collect, for their memory. The other ones left for a page that moved, or for the limit.",
    ),
];

/// Rows of `stats slabs`, behind `<class>:`; the last two stand alone.
const SLABS: &[(&str, &str)] = &[
    ("chunk_size", "Bytes of a chunk."),
    ("chunks_per_page", "Chunks in a page of 1 MiB."),
    ("total_pages", "Pages the class has."),
    ("total_chunks", "Chunks in them."),
    ("used_chunks", "Chunks that hold items, or parts of large ones: exact."),
    ("free_chunks", "Chunks that do not: those of the next two rows, and those that any thread can take."),
    ("limbo_chunks", "Chunks that wait until nobody can be reading them any more."),
    ("held_chunks", "Chunks that threads keep ready, receive values into, or send old values from."),
    ("active_slabs", "Classes that have a page."),
    ("total_malloced", "Bytes of all pages."),
];

/// Counters of `stats slabs`, behind `<class>:`.
const SLAB_COUNTERS: &[(&str, &str)] = &[(
    "get_hits, cmd_set, delete_hits, incr_hits, decr_hits, cas_hits, cas_badval, touch_hits",
    "As in plain `stats`, of this class.",
)];

/// Rows of `stats prefixes`; the last two stand behind `<prefix>:`.
const PREFIXES: &[(&str, &str)] = &[
    (
        "counting",
        "1: the cache is being counted, and takes longer than an answer should; what follows is older, or missing.",
    ),
    ("age", "Seconds since it was counted."),
    ("prefixes", "Prefixes that were told apart, at most 16384."),
    ("unprefixed_items", "Items whose keys have no delimiter (-D)."),
    ("unprefixed_bytes", "Their bytes."),
    ("other_items", "Items under prefixes beyond that number."),
    ("other_bytes", "Their bytes."),
    ("items", "Items under the prefix. The 1000 prefixes with most bytes are shown."),
    ("bytes", "Their bytes, with headers and keys, as in plain `stats`."),
];

/// Rows of `stats hotkeys`; all but the first three stand behind `<rank>:`.
const HOTKEYS: &[(&str, &str)] = &[
    ("enabled", "1 while requests are sampled: from the start, or since `stats hotkeys on`."),
    ("sample_rate", "Of so many keys in requests one is looked at, on average."),
    (
        "half_life",
        "Seconds after which what was counted counts half. At a steady rate a count is that of about two half lives.",
    ),
    ("key", "A key. Rank 1 is the hottest; at most 50 are shown."),
    ("requests", "Requests that named it, extrapolated."),
    ("error", "How many of those may have named other keys, at most: each worker follows 128."),
    ("reads", "Retrievals of it, since it is followed."),
    ("writes", "Other requests that named it, since it is followed."),
    ("bytes", "Bytes of the values that were read and written, since it is followed."),
];

/// Rows of `stats conns`, behind `<descriptor>:`.
const CONNS: &[(&str, &str)] = &[
    ("addr", "Where the client is, or where a listener listens."),
    ("listen_addr", "The address the client came to."),
    ("state", "What the connection waits for: conn_read for a request, as the one that asks."),
    ("secs_since_last_cmd", "Seconds since its last command."),
];

const HEAD: &str = "\
# Statistics

<!-- Printed from src/stats/manual.rs and src/counters.rs by `make doc`. Edit those, not this file. -->

`stats` and its groups answer with memcached's names, so that what watches memcached can watch larder. A name of memcached's
that is not listed here belongs to machinery that larder does not have (list maintainer, log watchers, hits counted by list)
and is always 0; gets that hit a class are `get_hits` in `stats slabs`. `stats reset` zeroes the counters and no other row. `stats settings` is described in [settings.md](settings.md); `stats detail on`
starts counting by key prefix, `stats detail dump` shows the counts; `stats sizes` counts items by 32 bytes of size;
`stats cachedump <class> <limit>` lists some keys.
`stats prefixes` counts items and bytes by key prefix: a background thread walks the cache, some 20 million items a second of its
time. `stats hotkeys` names the keys that are asked for most, from a sample of the
requests; `stats hotkeys off` stops the sampling, `stats reset` forgets what was seen. -X forbids all that shows keys.

Where memory is: `slab_bytes`, `hash_bytes`, `ghost_bytes`, `ring_bytes`, `page_table_bytes`, `read_buf_bytes`, `write_buf_bytes`,
`connection_bytes` and `statistics_bytes` add up to what the system says (RssAnon in /proc/PID/status), to within 2 MiB, as
long as pages are full or nearly so: of one that a class has just got the system counts what was written to.
";

/// The counters of the workers, from their own table.
fn worker_counters() -> impl Iterator<Item = (&'static str, &'static str)> {
    Counters::default().rows().map(|(name, _, help)| (name, help)).collect::<Vec<_>>().into_iter()
}

/// The rows of a group (none, `items`, `slabs`) that `stats reset` zeroes, without their class.
pub fn counter_names(group: &str) -> Vec<&'static str> {
    let rows: Vec<(&str, &str)> = match group {
        "" => worker_counters().chain(GENERAL_COUNTERS.iter().copied()).collect(),
        "items" => ITEM_COUNTERS.to_vec(),
        "slabs" => SLAB_COUNTERS.to_vec(),
        _ => Vec::new(),
    };
    rows.into_iter().flat_map(|(names, _)| names.split(", ")).collect()
}

/// doc/stats.md.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    let mut section = |heading: &str, rows: &mut dyn Iterator<Item = (&'static str, &'static str)>| {
        text.push_str(&format!("\n## {heading}\n\n| row | meaning |\n|---|---|\n"));
        rows.for_each(|(name, meaning)| text.push_str(&format!("| {name} | {meaning} |\n")));
    };
    let class = "each row behind `items:<class>:`";
    section("`stats`: the process and the store", &mut GENERAL.iter().copied());
    section("`stats`: counters", &mut worker_counters().chain(GENERAL_COUNTERS.iter().copied()));
    section(&format!("`stats items`, {class}"), &mut ITEMS.iter().copied());
    section(&format!("`stats items`: counters, {class}"), &mut ITEM_COUNTERS.iter().copied());
    section("`stats slabs`, most rows behind `<class>:`", &mut SLABS.iter().copied());
    section("`stats slabs`: counters, each row behind `<class>:`", &mut SLAB_COUNTERS.iter().copied());
    section("`stats prefixes`, the last two behind `<prefix>:`", &mut PREFIXES.iter().copied());
    section("`stats hotkeys`, most rows behind `<rank>:`", &mut HOTKEYS.iter().copied());
    section("`stats conns`, each row behind `<descriptor>:`", &mut CONNS.iter().copied());
    text
}

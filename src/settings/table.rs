//! THE settings table. One row declares a setting; the field, its default, the limits, the option, the help, the
//! manual page, doc/settings.md and the row of `stats settings` follow.
//!
//! ```text
//! /// What it does.
//! field: type = default, codec with limits, "option", group, "stats settings key", status;
//!
//! option   "-t, --threads=<num>"   "-o hashpower=<num>"   "-o [no_]lru_crawler"   "NAME=<file>" (environment)   ""
//! ```
//!
//! The order is that of memcached's `stats settings`; rows without a key there come last.

use std::path::PathBuf;

use super::address::{Addresses, ListenAddress};
use super::codec::{
    ChunkSizes, Codec, Fraction, Mentions, Octal, OneCharacter, OneOf, Switch, SwitchOrLevel, TURNS_OFF, TURNS_ON, Text,
};
use super::quantity::{bytes, kib, mib, seconds, whole};
use super::row::{Group, Row, Status};
use Status::{Hidden, Later, NoEffect, Report, Works};

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $ty:ty = $default:expr, $codec:expr, $option:literal, $group:ident, $stat:literal, $status:expr;)+) => {
        /// Everything an operator can set. Read once at start: what may change later is in `Tunables`.
        #[derive(Clone, Debug)]
        pub struct Settings { $($(#[doc = $doc])+ pub $field: $ty,)+ }

        impl Default for Settings {
            fn default() -> Self { Self { $($field: $default,)+ } }
        }

        /// The table itself, for those that print it.
        pub static ROWS: &[Row] = &[$(Row {
            field: stringify!($field),
            doc: concat!($($doc),+),
            option: $option,
            group: Group::$group,
            stat: $stat,
            status: $status,
        },)+];

        impl Settings {
            /// Sets `field` from what the operator typed; the error lacks the option's name.
            pub(super) fn read(&mut self, field: &str, text: &str) -> Result<(), String> {
                match field {
                    $(stringify!($field) => Codec::<$ty>::read(&$codec, text, &mut self.$field),)+
                    _ => Err("no such setting".into()),
                }
            }

            /// The value of `field` in memcached's notation.
            pub fn show(&self, field: &str) -> String {
                match field {
                    $(stringify!($field) => Codec::<$ty>::show(&$codec, &self.$field),)+
                    _ => String::new(),
                }
            }

            /// The value of `field` as an operator would type it.
            pub fn typed(&self, field: &str) -> String {
                match field {
                    $(stringify!($field) => Codec::<$ty>::typed(&$codec, &self.$field),)+
                    _ => String::new(),
                }
            }

            /// The limits of `field`; empty where there is nothing to say.
            pub fn limits(field: &str) -> String {
                match field {
                    $(stringify!($field) => Codec::<$ty>::limits(&$codec),)+
                    _ => String::new(),
                }
            }
        }
    };
}

const NO_LRU: &str = "eviction has no separate lists and no list maintainer";
const NO_CRAWLER: &str = "expired items are swept by the server's own background job";
const NO_FREE_PAGES: &str = "a class that needs a page gets it without pages being kept free";
const NO_WATCH: &str = "there are no watchers yet";

settings! {
    /// Memory for items, in MiB or with a unit: 512m, 4g.
    memory_limit_bytes: u64 = 64 << 20, mib(1..=131_072), "-m, --memory-limit=<num>", Memory, "maxbytes", Works;
    /// Clients connected at the same time. The limit on open files is raised to allow for them.
    max_connections: u32 = 1024, whole(1..=10_000_000), "-c, --conn-limit=<num>", Clients, "maxconns", Works;
    /// TCP port. 0 turns TCP off, whatever -l says; -1 takes any free port.
    tcp_port: i32 = 11211, whole(-1..=65_535), "-p, --port=<num>", Network, "tcpport", Works;
    /// UDP port. 0 is off.
    udp_port: u16 = 0, whole(0..=65_535), "-U, --udp-port=<num>", Network, "udpport", Later;
    /// Addresses to listen on: name or address, with :port where it is not that of -p; an IPv6 address with a port
    /// stands in brackets. Several are separated by commas; -l can be repeated. Default: every interface.
    listen: Vec<ListenAddress> = Vec::new(), Addresses, "-l, --listen=<addr>", Network, "inter", Works;
    /// Say more: once the start, clients that are refused or idle, and want of descriptors or memory; twice also client
    /// commands and replies.
    verbosity: u8 = 0, Mentions(3), "-v, --verbose", Messages, "verbosity", Works;
    /// Always 0: the age of the oldest item is not kept.
    oldest: u32 = 0, whole(0..=0), "", Compatibility, "oldest", Report;
    /// Refuse to store when memory is full, instead of evicting.
    evictions: bool = true, Switch { on: false, words: ("on", "off") }, "-M, --disable-evictions", Memory, "evictions", Works;
    /// Unix socket to listen on. Turns TCP off.
    unix_socket: Option<PathBuf> = None, Text { absent: "NULL" }, "-s, --unix-socket=<file>", Network, "domain_socket", Works;
    /// Access mode of the unix socket, in octal.
    unix_mask: u32 = 0o700, Octal(0o777), "-a, --unix-mask=<mask>", Network, "umask", Works;
    /// Let clients stop the server with the command shutdown.
    shutdown_command: bool = false, TURNS_ON, "-A, --enable-shutdown", Commands, "shutdown_command", Works;
    /// How much larger each size class is than the one before it. Classes in between are added where the sizes that are
    /// stored call for them.
    growth_factor: f64 = 1.25, Fraction { range: 1.01..=16.0, digits: 2 }, "-f, --slab-growth-factor=<num>", Memory, "growth_factor", Works;
    /// Room for key, flags and value in the smallest chunks, in bytes.
    chunk_size_min: u32 = 48, bytes(1..=8192), "-n, --slab-min-size=<bytes>", Memory, "chunk_size", Works;
    /// Threads that serve clients. More than the machine has cores is seldom of use; above 64 a line says so.
    threads: u32 = 4, whole(1..=256), "-t, --threads=<num>", Clients, "num_threads", Works;
    /// As num_threads.
    threads_per_udp: u32 = 4, whole(0..=256), "", Compatibility, "num_threads_per_udp", Report;
    /// Character that ends the prefix of a key for stats prefixes and stats detail, which is turned on by this option.
    prefix_delimiter: u8 = b':', OneCharacter, "-D <char>", Commands, "stat_key_prefix", Works;
    /// Whether stats detail is on at start.
    detail_enabled: bool = false, TURNS_ON, "", Compatibility, "detail_enabled", Report;
    /// Small requests of one client that are served before the others get their turn. What takes longer counts as several: each
    /// key of a get, each row of stats, every 4 KiB. Higher than memcached's 20, because one turn is one reply packet.
    reqs_per_event: u32 = 256, whole(1..=1_000_000), "-R, --max-reqs-per-event=<num>", Clients, "reqs_per_event", Works;
    /// Keep no CAS uniques: gets answers 0, and cas always finds the item changed.
    use_cas: bool = true, TURNS_OFF, "-C, --disable-cas", Commands, "cas_enabled", Works;
    /// Connections the kernel queues until they are accepted.
    tcp_backlog: u32 = 1024, whole(1..=1_000_000), "-b, --listen-backlog=<num>", Network, "tcp_backlog", Works;
    /// Protocol that clients speak.
    protocol: &'static str = "auto", OneOf { words: &["auto", "ascii"], later: &["binary"] }, "-B, --protocol=<name>", Network, "binding_protocol", Works;
    /// SASL authentication.
    sasl: bool = false, TURNS_ON, "-S, --enable-sasl", Network, "auth_enabled_sasl", Later;
    /// File of user:password lines for authentication over the text protocol.
    auth_file: Option<PathBuf> = None, Text { absent: "no" }, "-Y, --auth-file=<file>", Network, "auth_enabled_ascii", Later;
    /// Largest item, in bytes or with a unit: 512k, 2m. At most half of -m.
    item_size_max: u64 = 1 << 20, bytes(1 << 10..=1 << 30), "-I, --max-item-size=<num>", Memory, "item_size_max", Works;
    /// Answer a client beyond -c with an error at once, instead of letting it wait.
    maxconns_fast: bool = true, TURNS_ON, "-o [no_]maxconns_fast", Clients, "maxconns_fast", Works;
    /// Size of the empty hash table: 2 to this power buckets' worth of items. It grows while running. A bucket holds
    /// nine items, so there are 2^3 times fewer of them, and 2^20 (64 MiB) at most: above 23 it begins as with 23. With
    /// 16 it begins with a 1024th of -m at most.
    hashpower_init: u32 = 16, whole(12..=32), "-o hashpower=<num>", Memory, "hashpower_init", Works;
    /// Move memory between size classes: by itself, and when told by slabs reassign. Without it only memory beyond the limit
    /// moves.
    slab_reassign: bool = true, TURNS_ON, "-o [no_]slab_reassign", Memory, "slab_reassign", Works;
    /// Whether memory moves between size classes by itself: 0 no, 1 and 2 yes.
    slab_automove: u32 = 1, SwitchOrLevel(0..=2), "-o [no_]slab_automove[=<num>]", Memory, "slab_automove", Works;
    /// A size class gives memory to another one if it will lose fewer hits by it than this times what the other one wins.
    slab_automove_ratio: f64 = 0.8, Fraction { range: 0.0..=1.0, digits: 2 }, "-o slab_automove_ratio=<num>", Memory, "slab_automove_ratio", Works;
    /// How long it counts what size classes lose and win: half of so many quarters of a second.
    slab_automove_window: u32 = 10, whole(3..=1800), "-o slab_automove_window=<num>", Memory, "slab_automove_window", Works;
    /// Largest chunk; a larger item is a chain of chunks. In KiB.
    slab_chunk_max: u32 = 16 << 10, kib(1..=512), "-o slab_chunk_max=<KiB>", Memory, "slab_chunk_max", Works;
    /// Walk the lists for expired items.
    lru_crawler: bool = true, TURNS_ON, "-o [no_]lru_crawler", Compatibility, "lru_crawler", NoEffect(NO_CRAWLER);
    /// Microseconds between two items of such a walk.
    lru_crawler_sleep: u32 = 100, whole(0..=1_000_000), "-o lru_crawler_sleep=<num>", Compatibility, "lru_crawler_sleep", NoEffect(NO_CRAWLER);
    /// Items of one such walk.
    lru_crawler_tocrawl: u32 = 0, whole(0..=4_294_967_295), "-o lru_crawler_tocrawl=<num>", Compatibility, "lru_crawler_tocrawl", NoEffect(NO_CRAWLER);
    /// Seconds after which a locked item at a list's tail is freed by force.
    tail_repair_time_s: u32 = 0, seconds(0..=4_294_967_295), "-o tail_repair_time=<num>", Compatibility, "tail_repair_time", NoEffect("no item stays locked");
    /// Refuse flush_all.
    flush_enabled: bool = true, TURNS_OFF, "-F, --disable-flush-all", Commands, "flush_enabled", Works;
    /// Refuse stats cachedump, detail, prefixes and hotkeys.
    dump_enabled: bool = true, TURNS_OFF, "-X, --disable-dumping", Commands, "dump_enabled", Works;
    /// Hash of keys.
    hash_algorithm: &'static str = "rapidhash", OneOf { words: &["rapidhash", "jenkins", "murmur3", "xxh3"], later: &[] }, "-o hash_algorithm=<name>", Compatibility, "hash_algorithm", NoEffect("keys are always hashed by rapidhash, under a seed of its own per process");
    /// Maintain the lists in the background.
    lru_maintainer: bool = true, TURNS_ON, "-o [no_]lru_maintainer", Compatibility, "lru_maintainer_thread", NoEffect(NO_LRU);
    /// As memcached shows it.
    lru_segmented: bool = true, TURNS_ON, "", Compatibility, "lru_segmented", Report;
    /// Share of the hot list.
    hot_lru_pct: u32 = 20, whole(1..=80), "-o hot_lru_pct=<num>", Compatibility, "hot_lru_pct", NoEffect(NO_LRU);
    /// Share of the warm list.
    warm_lru_pct: u32 = 40, whole(1..=80), "-o warm_lru_pct=<num>", Compatibility, "warm_lru_pct", NoEffect(NO_LRU);
    /// Age at which the hot list lets go.
    hot_max_factor: f64 = 0.2, Fraction { range: 0.0..=1000.0, digits: 2 }, "-o hot_max_factor=<num>", Compatibility, "hot_max_factor", NoEffect(NO_LRU);
    /// Age at which the warm list lets go.
    warm_max_factor: f64 = 2.0, Fraction { range: 0.0..=1000.0, digits: 2 }, "-o warm_max_factor=<num>", Compatibility, "warm_max_factor", NoEffect(NO_LRU);
    /// As memcached shows it.
    temp_lru: bool = false, TURNS_ON, "", Compatibility, "temp_lru", Report;
    /// Items that live shorter than this many seconds get a list of their own.
    temporary_ttl: u32 = 61, seconds(0..=4_294_967_295), "-o temporary_ttl=<num>", Compatibility, "temporary_ttl", NoEffect(NO_LRU);
    /// Seconds of silence after which a client that no reply waits for is disconnected. 0: never.
    idle_timeout_s: u32 = 0, seconds(0..=86_400_000), "-o idle_timeout=<num>", Clients, "idle_timeout", Works;
    /// Buffer of one watcher, in KiB.
    watcher_logbuf_bytes: u32 = 256 << 10, kib(0..=1_048_576), "-o watcher_logbuf_size=<KiB>", Compatibility, "watcher_logbuf_size", NoEffect(NO_WATCH);
    /// Buffer of one thread for watchers, in KiB.
    worker_logbuf_bytes: u32 = 64 << 10, kib(0..=1_048_576), "-o worker_logbuf_size=<KiB>", Compatibility, "worker_logbuf_size", NoEffect(NO_WATCH);
    /// Limit of the memory for clients' buffers, in MiB.
    read_buf_mem_limit_bytes: u64 = 0, mib(0..=1_048_576), "-o read_buf_mem_limit=<MiB>", Compatibility, "read_buf_mem_limit", NoEffect("an idle client holds no buffer, a busy one a bounded one");
    /// Keep the counts of stats sizes.
    track_sizes: bool = false, TURNS_ON, "-o track_sizes", Compatibility, "track_sizes", NoEffect("stats sizes needs no preparation");
    /// As memcached shows it.
    inline_ascii_response: bool = false, TURNS_ON, "-o [no_]inline_ascii_resp", Compatibility, "inline_ascii_response", NoEffect("memcached ignores it too");
    /// Store items larger than this on flash, in bytes.
    ext_item_size: u32 = 512, bytes(2..=1_073_741_824), "-o ext_item_size=<num>", Memory, "ext_item_size", Later;
    /// Store items idle for this many seconds on flash.
    ext_item_age: u32 = u32::MAX, seconds(0..=4_294_967_295), "-o ext_item_age=<num>", Memory, "ext_item_age", Later;
    /// Times to live below this many seconds are kept apart on flash.
    ext_low_ttl: u32 = 0, seconds(0..=4_294_967_295), "-o ext_low_ttl=<num>", Memory, "ext_low_ttl", Later;
    /// Bring an item back from flash every so many accesses.
    ext_recache_rate: u32 = 2000, whole(0..=4_294_967_295), "-o ext_recache_rate=<num>", Memory, "ext_recache_rate", Later;
    /// Write buffers for flash, in MiB.
    ext_wbuf_bytes: u32 = 4 << 20, mib(1..=1024), "-o ext_wbuf_size=<MiB>", Memory, "ext_wbuf_size", Later;
    /// Compact flash pages when fewer than this are free.
    ext_compact_under: u32 = 0, whole(0..=4_294_967_295), "-o ext_compact_under=<num>", Memory, "ext_compact_under", Later;
    /// Drop items on flash when fewer than this many pages are free.
    ext_drop_under: u32 = 0, whole(0..=4_294_967_295), "-o ext_drop_under=<num>", Memory, "ext_drop_under", Later;
    /// Longest pause of the flash threads, in microseconds.
    ext_max_sleep: u32 = 1_000_000, whole(0..=1_000_000), "-o ext_max_sleep=<num>", Memory, "ext_max_sleep", Later;
    /// Compact flash pages less full than this.
    ext_max_frag: f64 = 0.8, Fraction { range: 0.0..=1.0, digits: 2 }, "-o ext_max_frag=<num>", Memory, "ext_max_frag", Later;
    /// Share of memory that is kept free.
    slab_automove_freeratio: f64 = 0.01, Fraction { range: 0.0..=1.0, digits: 3 }, "-o slab_automove_freeratio=<num>", Compatibility, "slab_automove_freeratio", NoEffect(NO_FREE_PAGES);
    /// Drop what nobody read when flash is compacted.
    ext_drop_unread: bool = false, TURNS_ON, "-o ext_drop_unread", Memory, "ext_drop_unread", Later;
    /// TLS.
    ssl_enabled: bool = false, TURNS_ON, "-Z, --enable-ssl", Network, "ssl_enabled", Later;
    /// Certificate chain, PEM.
    ssl_chain_cert: Option<PathBuf> = None, Text { absent: "(null)" }, "-o ssl_chain_cert=<file>", Network, "ssl_chain_cert", Later;
    /// Private key.
    ssl_key: Option<PathBuf> = None, Text { absent: "(null)" }, "-o ssl_key=<file>", Network, "ssl_key", Later;
    /// What is asked of clients' certificates.
    ssl_verify_mode: u32 = 0, whole(0..=3), "-o ssl_verify_mode=<num>", Network, "ssl_verify_mode", Later;
    /// Format of the private key.
    ssl_keyformat: u32 = 1, whole(1..=3), "-o ssl_keyformat=<num>", Network, "ssl_keyformat", Later;
    /// Ciphers.
    ssl_ciphers: Option<String> = None, Text { absent: "NULL" }, "-o ssl_ciphers=<list>", Network, "ssl_ciphers", Later;
    /// Authorities that may sign clients' certificates.
    ssl_ca_cert: Option<PathBuf> = None, Text { absent: "NULL" }, "-o ssl_ca_cert=<file>", Network, "ssl_ca_cert", Later;
    /// Write buffer of a TLS client, in KiB.
    ssl_wbuf_bytes: u32 = 16 << 10, kib(1..=1024), "-o ssl_wbuf_size=<KiB>", Network, "ssl_wbuf_size", Later;
    /// Let TLS clients resume sessions.
    ssl_session_cache: bool = false, TURNS_ON, "-o ssl_session_cache", Network, "ssl_session_cache", Later;
    /// TLS in the kernel.
    ssl_kernel_tls: bool = false, TURNS_ON, "-o ssl_kernel_tls", Network, "ssl_kernel_tls", Later;
    /// Oldest TLS version.
    ssl_min_version: u32 = 2, TlsVersion, "-o ssl_min_version=<num>", Network, "ssl_min_version", Later;
    /// As memcached shows it.
    proxy_enabled: bool = false, TURNS_ON, "", Compatibility, "proxy_enabled", Report;
    /// io_uring in the proxy.
    proxy_uring: bool = false, TURNS_ON, "-o proxy_uring", Network, "proxy_uring_enabled", Later;
    /// Choose a client's thread by the network queue it arrived on.
    napi_ids: u32 = 0, whole(0..=256), "-N, --napi-ids, --napi_ids=<num>", Clients, "num_napi_ids", NoEffect("clients go to the threads in turn");
    /// File that holds items across a restart.
    memory_file: Option<PathBuf> = None, Text { absent: "(null)" }, "-e, --memory-file=<file>", Memory, "memory_file", Later;
    /// Always 4: a client's flags have 32 bits.
    client_flags_bytes: u32 = 4, whole(4..=4), "", Compatibility, "client_flags_size", Report;

    /// Refuse watch.
    watch_enabled: bool = true, TURNS_OFF, "-W, --disable-watch", Commands, "", NoEffect(NO_WATCH);
    /// Try for large memory pages for items, too. From -m 512 on the index has them wherever the kernel gives them. Memory is
    /// still taken as items come; memcached asks for all of -m at start then.
    large_pages: bool = false, TURNS_ON, "-L, --enable-largepages", Memory, "", Works;
    /// Keep all memory in RAM. Only a warning if it cannot be done.
    lock_memory: bool = false, TURNS_ON, "-k, --lock-memory", Memory, "", Works;
    /// Chunk sizes of the size classes, 96-128-256, instead of those that -f gives. One of slab_chunk_max follows; none is
    /// fitted.
    slab_sizes: Option<Vec<u32>> = None, ChunkSizes, "-o slab_sizes=<list>", Memory, "", Works;
    /// Let the hash table keep its size.
    hash_expansion: bool = true, TURNS_OFF, "-o no_hashexpand", Memory, "", NoEffect("the table grows one bucket at a time, so growing never pauses");
    /// User to run as. Needed when started by root.
    user: Option<String> = None, Text { absent: "" }, "-u, --user=<user>", Process, "", Works;
    /// Run in the background.
    daemonize: bool = false, TURNS_ON, "-d, --daemon", Process, "", Works;
    /// File that gets the process id. A daemon removes it when it ends. The user of -u needs a directory for it in
    /// which it may write. Only a warning if it cannot be written.
    pidfile: Option<PathBuf> = None, Text { absent: "" }, "-P, --pidfile=<file>", Process, "", Works;
    /// Allow core files, and stay in the directory the server was started in.
    core_dumps: bool = false, TURNS_ON, "-r, --enable-coredumps", Process, "", Works;
    /// File that tells the TCP ports once the server listens. Only a warning if it cannot be written.
    port_file: Option<PathBuf> = None, Text { absent: "" }, "MEMCACHED_PORT_FILENAME=<file>", Process, "", Works;
    /// Narrow what the process may ask of the kernel.
    drop_privileges: bool = false, TURNS_ON, "-o [no_]drop_privileges", Process, "", Later;
    /// Print this help and exit.
    help: bool = false, TURNS_ON, "-h, --help", Messages, "", Works;
    /// Print the licence and exit.
    license: bool = false, TURNS_ON, "-i, --license", Messages, "", Works;
    /// Print the version and exit.
    version: bool = false, TURNS_ON, "-V, --version", Messages, "", Works;
    /// Offer clients debugtime, which moves, stops and restarts the server's clock.
    debug_commands: bool = false, TURNS_ON, "-o debug_commands", Commands, "", Hidden;
    /// Peer that gets a copy of every item.
    replication_peer: Option<String> = None, Text { absent: "" }, "-x, --replication-peer=<host>", Network, "", Later;
    /// Items that wait to be copied to that peer.
    replication_queue_max: u32 = 8192, whole(0..=4_294_967_295), "-q, --replication-queue-max=<num>", Network, "", Later;
    /// Flash file, with its size.
    ext_path: Option<String> = None, Text { absent: "" }, "-o ext_path=<file:size>", Memory, "", Later;
    /// Size of a flash page, in MiB.
    ext_page_bytes: u64 = 64 << 20, mib(1..=1024), "-o ext_page_size=<MiB>", Memory, "", Later;
    /// Threads that read and write flash.
    ext_threads: u32 = 1, whole(1..=64), "-o ext_threads=<num>", Memory, "", Later;
    /// Requests one flash thread has under way.
    ext_io_depth: u32 = 1, whole(1..=1024), "-o ext_io_depth=<num>", Memory, "", Later;
    /// Proxy configuration.
    proxy_config: Option<String> = None, Text { absent: "" }, "-o proxy_config=<files>", Network, "", Later;
    /// Argument of the proxy configuration.
    proxy_arg: Option<String> = None, Text { absent: "" }, "-o proxy_arg=<text>", Network, "", Later;
    /// Memory profile of the proxy.
    proxy_memprofile: bool = false, TURNS_ON, "-o proxy_memprofile", Network, "", Later;
    /// Memory for replies that clients have not read, in MiB. A client that needs more is disconnected. 0: no limit.
    resp_obj_mem_limit_bytes: u64 = 0, mib(0..=1_048_576), "-o resp_obj_mem_limit=<MiB>", Clients, "", Works;
    /// Mark of the server's sockets for packet filters.
    sock_cookie_id: u32 = 0, whole(0..=4_294_967_295), "-o sock_cookie_id=<num>", Compatibility, "", NoEffect("sockets carry no mark");
    /// Store large items as chains of chunks.
    chunked_items: bool = true, TURNS_OFF, "-o no_chunked_items", Compatibility, "", NoEffect("large items are always chains");
    /// Defaults of a coming memcached, or those of 1.4.
    modern: bool = true, TURNS_ON, "-o [no_]modern", Compatibility, "", NoEffect("there is one set of defaults");
}

/// TLS versions by memcached's numbers.
struct TlsVersion;

impl Codec<u32> for TlsVersion {
    fn read(&self, text: &str, value: &mut u32) -> Result<(), String> {
        whole(0..=3).read(text, value)
    }

    fn show(&self, value: &u32) -> String {
        format!("tlsv1.{value}")
    }
}

//! THE settings table. One row declares a setting. The field, its default, the limits, the option and the help follow
//! from it. So do the manual page, doc/settings.md and the row of `stats settings`.
//!
//! ```text
//! /// What it does.
//! field: type = default, codec with limits, "option", group, "stats settings key", status;
//!
//! option   "-t, --threads=<num>"   "-o hashpower=<num>"   "-o [no_]lru_crawler"   "NAME=<file>" (environment)   ""
//! ```
//!
//! The order is that of memcached's `stats settings`; rows without a key there come last.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::address::{Addresses, HttpAddresses, ListenAddress};
use super::codec::{
    ChunkSizes, Codec, Fraction, Mentions, Octal, OneCharacter, OneOf, Switch, SwitchOrLevel, TURNS_OFF, TURNS_ON, Text,
};
use super::prefixes::Prefixes;
use super::quantity::{bytes, kib, mib, seconds, whole};
use super::row::{OptionGroup, Row, SettingStatus};
use super::tls::{KeyFormatNumber, TlsVersion};
use SettingStatus::{Hidden, Later, NoEffect, Report, Works};

/// Bounds of `slab_automove`, here and in `slabs automove`.
pub const AUTOMOVE_LEVELS: RangeInclusive<i64> = 0..=2;
/// The maximum sum of `hot_lru_pct` and `warm_lru_pct`, here and in `lru tune`.
pub const LRU_PERCENT_MAX: u32 = 80;
/// Bounds of `slab_automove_window`, here and in `slabs automove window`.
pub const AUTOMOVE_WINDOW: RangeInclusive<i64> = 3..=1800;

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
            group: OptionGroup::$group,
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

const NO_LRU: &str = "eviction does not use these lists";
const NO_CRAWLER: &str = "a background job of larder sweeps expired items";
const NO_FLASH: &str = "larder has no flash storage, and -o ext_path is refused";
const NO_PROXY: &str = "larder has no proxy, and -o proxy_config is refused";
const NO_FREE_PAGES: &str = "a class gets a page without a reserve of free pages";

settings! {
    /// Memory for items and their index, in MiB or with a unit (512m, 4g).
    memory_limit_bytes: u64 = 64 << 20, mib(1..=131_072).explained_in("\"1 TiB\" in doc/restart.md"), "-m, --memory-limit=<num>", Memory, "maxbytes", Works;
    /// Maximum number of client connections. The server raises its open-file limit to match.
    max_connections: u32 = 1024, whole(1..=10_000_000), "-c, --conn-limit=<num>", Clients, "maxconns", Works;
    /// TCP port. 0 disables TCP, whatever -l says. -1 takes any free port.
    tcp_port: i32 = 11211, whole(-1..=65_535), "-p, --port=<num>", Network, "tcpport", Works;
    /// UDP port, on the addresses of -l. 0 disables UDP, whatever -l says. -1 takes any free port. Without -p, this is
    /// the TCP port, too. UDP has no authentication, and forged addresses can make its replies reach others: use it in
    /// private networks only.
    udp_port: i32 = 0, whole(-1..=65_535), "-U, --udp-port=<num>", Network, "udpport", Works;
    /// Addresses to listen on: a host name or an IP address, with an optional :port. An IPv6 address with a port needs
    /// brackets. Separate several with commas, or repeat -l. The default is every interface. With -Z, notls: turns TLS
    /// off for an address, btls: asks for no client certificate, and mtls: demands one. memcached's prefixes for a tag
    /// and for the protocol auto are accepted and have no effect.
    listen: Vec<ListenAddress> = Vec::new(), Addresses, "-l, --listen=<addr>", Network, "inter", Works;
    /// Log more. -v logs the start, refused and idle clients, and shortages of descriptors or memory. -vv also logs
    /// client commands and replies.
    verbosity: u8 = 0, Mentions(3), "-v, --verbose", Messages, "verbosity", Works;
    /// Always 0. larder does not track the age of the oldest item.
    oldest: u32 = 0, whole(0..=0), "", Compatibility, "oldest", Report;
    /// When memory is full, answer an error to a store instead of evicting items.
    evictions: bool = true, Switch { on: false, words: ("on", "off") }, "-M, --disable-evictions", Memory, "evictions", Works;
    /// Unix socket to listen on. It disables TCP and UDP.
    unix_socket: Option<PathBuf> = None, Text { absent: "NULL" }, "-s, --unix-socket=<file>", Network, "domain_socket", Works;
    /// Access mode of the Unix socket, in octal.
    unix_mask: u32 = 0o700, Octal(0o777), "-a, --unix-mask=<mask>", Network, "umask", Works;
    /// Enable the shutdown command.
    shutdown_command: bool = false, TURNS_ON, "-A, --enable-shutdown", Commands, "shutdown_command", Works;
    /// Ratio of the chunk sizes of neighbouring size classes. The server adds classes between them for common item
    /// sizes.
    growth_factor: f64 = 1.25, Fraction { range: 1.01..=16.0, digits: 2 }, "-f, --slab-growth-factor=<num>", Memory, "growth_factor", Works;
    /// Space for key, flags and value in the smallest chunk, in bytes.
    chunk_size_min: u32 = 48, bytes(1..=2_147_483_647), "-n, --slab-min-size=<bytes>", Memory, "chunk_size", Works;
    /// Number of worker threads. More threads than cores seldom help. Above 64 the server prints a warning.
    threads: u32 = 4, whole(1..=256), "-t, --threads=<num>", Clients, "num_threads", Works;
    /// Same as num_threads.
    threads_per_udp: u32 = 4, whole(0..=256), "", Compatibility, "num_threads_per_udp", Report;
    /// Character that ends the key prefix in stats prefixes and stats detail. This option also enables stats detail.
    prefix_delimiter: u8 = b':', OneCharacter, "-D <char>", Commands, "stat_key_prefix", Works;
    /// Whether stats detail is enabled at start.
    detail_enabled: bool = false, TURNS_ON, "", Compatibility, "detail_enabled", Report;
    /// Maximum small requests that one client gets per turn, before other clients are served. Larger requests count as
    /// several: each key of a get, each row of stats, and every 4 KiB count. The default is higher than memcached's 20,
    /// because one turn sends one reply packet.
    reqs_per_event: u32 = 256, whole(1..=2_147_483_647), "-R, --max-reqs-per-event=<num>", Clients, "reqs_per_event", Works;
    /// Disable CAS. gets returns the unique 0, and cas answers EXISTS for every item.
    use_cas: bool = true, TURNS_OFF, "-C, --disable-cas", Commands, "cas_enabled", Works;
    /// Length of the kernel's queue of connections to accept.
    tcp_backlog: u32 = 1024, whole(0..=2_147_483_647), "-b, --listen-backlog=<num>", Network, "tcp_backlog", Works;
    /// Protocol of the clients. With auto, each client's first byte decides. A client that begins with another protocol
    /// is disconnected.
    protocol: &'static str = "auto", OneOf { words: &["auto", "ascii", "binary"] }, "-B, --protocol=<name>", Network, "binding_protocol", Works;
    /// Clients of the binary protocol must authenticate with SASL PLAIN. The users are those of -Y; without -Y, those
    /// of the file that MEMCACHED_SASL_PWDB names. Without -Y, clients of the text protocol are refused.
    sasl: bool = false, TURNS_ON, "-S, --enable-sasl", Network, "auth_enabled_sasl", Works;
    /// File of user:password lines. Clients of the text protocol must authenticate: the first command is a set whose
    /// value is the user, a blank and the password. SIGHUP reads the file again. doc/security.md describes it.
    auth_file: Option<PathBuf> = None, Text { absent: "no" }, "-Y, --auth-file=<file>", Network, "auth_enabled_ascii", Works;
    /// Maximum item size, in bytes or with a unit (512k, 2m). At most half of -m.
    item_size_max: u64 = 1 << 20, bytes(1 << 10..=1 << 30), "-I, --max-item-size=<num>", Memory, "item_size_max", Works;
    /// Answer an error at once to a client beyond -c. Without it the client waits.
    maxconns_fast: bool = true, TURNS_ON, "-o [no_]maxconns_fast", Clients, "maxconns_fast", Works;
    /// Initial size of the hash table, as a power of 2 in items. The table grows while the server runs. A bucket holds
    /// nine items, so there are 2^3 times fewer buckets. The maximum is 2^20 buckets (64 MiB): values above 23 count as
    /// 23. The default 16 starts with at most 1/1024 of -m.
    hashpower_init: u32 = 16, whole(12..=32), "-o hashpower=<num>", Memory, "hashpower_init", Works;
    /// Allow page moves between size classes, both automatic and by slabs reassign. Without it, pages move only to keep
    /// memory within the limit.
    slab_reassign: bool = true, TURNS_ON, "-o [no_]slab_reassign", Memory, "slab_reassign", Works;
    /// Automatic page moves between size classes: 0 off, 1 and 2 on.
    slab_automove: u32 = 1, SwitchOrLevel(AUTOMOVE_LEVELS), "-o [no_]slab_automove[=<num>]", Memory, "slab_automove", Works;
    /// Move a page when the donor's expected loss of hits is below this ratio of the receiver's gain.
    slab_automove_ratio: f64 = 0.8, Fraction { range: 0.001..=1.0, digits: 2 }, "-o slab_automove_ratio=<num>", Memory, "slab_automove_ratio", Works;
    /// Averaging window of the page-move decision, in units of 125 ms.
    slab_automove_window: u32 = 10, whole(AUTOMOVE_WINDOW), "-o slab_automove_window=<num>", Memory, "slab_automove_window", Works;
    /// Maximum chunk size, in KiB. A larger item is a chain of chunks.
    slab_chunk_max: u32 = 16 << 10, kib(1..=512), "-o slab_chunk_max=<KiB>", Memory, "slab_chunk_max", Works;
    /// Allow lru_crawler metadump, mgdump and crawl. Expired items are swept in any case.
    lru_crawler: bool = true, TURNS_ON, "-o [no_]lru_crawler", Commands, "lru_crawler", Works;
    /// Pause of the LRU crawler between two items, in microseconds.
    lru_crawler_sleep: u32 = 100, whole(0..=1_000_000), "-o lru_crawler_sleep=<num>", Compatibility, "lru_crawler_sleep", NoEffect(NO_CRAWLER);
    /// Maximum items per run of the LRU crawler.
    lru_crawler_tocrawl: u32 = 0, whole(0..=4_294_967_295), "-o lru_crawler_tocrawl=<num>", Compatibility, "lru_crawler_tocrawl", NoEffect(NO_CRAWLER);
    /// Time after which a locked item at the tail of an LRU list is freed by force, in seconds.
    tail_repair_time_s: u32 = 0, seconds(10..=2_147_483_647), "-o tail_repair_time=<num>", Compatibility, "tail_repair_time", NoEffect("larder has no locked items");
    /// Disable flush_all.
    flush_enabled: bool = true, TURNS_OFF, "-F, --disable-flush-all", Commands, "flush_enabled", Works;
    /// Disable metadump, mgdump and stats cachedump, detail, prefixes, hotkeys and slowlog.
    dump_enabled: bool = true, TURNS_OFF, "-X, --disable-dumping", Commands, "dump_enabled", Works;
    /// Hash function for keys.
    hash_algorithm: &'static str = "rapidhash", OneOf { words: &["rapidhash", "jenkins", "murmur3", "xxh3"] }, "-o hash_algorithm=<name>", Compatibility, "hash_algorithm", NoEffect("larder always hashes keys with rapidhash and a random seed");
    /// Run the LRU maintainer thread.
    lru_maintainer: bool = true, TURNS_ON, "-o [no_]lru_maintainer", Compatibility, "lru_maintainer_thread", NoEffect(NO_LRU);
    /// Same value as memcached.
    lru_segmented: bool = true, TURNS_ON, "", Compatibility, "lru_segmented", Report;
    /// Percentage of memory for the hot list.
    hot_lru_pct: u32 = 20, whole(1..=80), "-o hot_lru_pct=<num>", Compatibility, "hot_lru_pct", NoEffect(NO_LRU);
    /// Percentage of memory for the warm list.
    warm_lru_pct: u32 = 40, whole(1..=80), "-o warm_lru_pct=<num>", Compatibility, "warm_lru_pct", NoEffect(NO_LRU);
    /// Maximum age of an item in the hot list, as a factor.
    hot_max_factor: f64 = 0.2, Fraction { range: 0.001..=1000.0, digits: 2 }, "-o hot_max_factor=<num>", Compatibility, "hot_max_factor", NoEffect(NO_LRU);
    /// Maximum age of an item in the warm list, as a factor.
    warm_max_factor: f64 = 2.0, Fraction { range: 0.001..=1000.0, digits: 2 }, "-o warm_max_factor=<num>", Compatibility, "warm_max_factor", NoEffect(NO_LRU);
    /// Same value as memcached.
    temp_lru: bool = false, TURNS_ON, "", Compatibility, "temp_lru", Report;
    /// Items with a shorter time to live get a list of their own, in seconds.
    temporary_ttl: u32 = 61, seconds(0..=4_294_967_295), "-o temporary_ttl=<num>", Compatibility, "temporary_ttl", NoEffect(NO_LRU);
    /// Disconnect a client after this many idle seconds. A client with a pending reply is not idle. 0 means never.
    idle_timeout_s: u32 = 0, seconds(0..=4_294_967_295), "-o idle_timeout=<num>", Clients, "idle_timeout", Works;
    /// Log buffer of one watcher, in KiB.
    watcher_logbuf_bytes: u32 = 256 << 10, kib(0..=1_048_576), "-o watcher_logbuf_size=<KiB>", Commands, "watcher_logbuf_size", Works;
    /// Log buffer of one worker thread, in KiB.
    worker_logbuf_bytes: u32 = 64 << 10, kib(0..=1_048_576), "-o worker_logbuf_size=<KiB>", Commands, "worker_logbuf_size", Works;
    /// Memory limit for read buffers, in MiB.
    read_buf_mem_limit_bytes: u64 = 0, mib(0..=1_048_576), "-o read_buf_mem_limit=<MiB>", Compatibility, "read_buf_mem_limit", NoEffect("an idle client has no buffer, and the buffer of a busy client is bounded");
    /// Maintain the counts for stats sizes.
    track_sizes: bool = false, TURNS_ON, "-o track_sizes", Compatibility, "track_sizes", NoEffect("stats sizes works without it");
    /// Same value as memcached.
    inline_ascii_response: bool = false, TURNS_ON, "-o [no_]inline_ascii_resp", Compatibility, "inline_ascii_response", NoEffect("memcached ignores it, too");
    /// Restrict the system calls of the process (seccomp). A forbidden call ends the process with a message.
    drop_privileges: bool = false, TURNS_ON, "-o [no_]drop_privileges", Process, "drop_privileges", Works;
    /// Minimum size of an item on flash, in bytes.
    ext_item_size: u32 = 512, bytes(2..=1_073_741_824), "-o ext_item_size=<num>", Compatibility, "ext_item_size", NoEffect(NO_FLASH);
    /// Minimum idle time of an item before it goes to flash, in seconds.
    ext_item_age: u32 = u32::MAX, seconds(0..=4_294_967_295), "-o ext_item_age=<num>", Compatibility, "ext_item_age", NoEffect(NO_FLASH);
    /// Items with a shorter time to live get separate flash pages, in seconds.
    ext_low_ttl: u32 = 0, seconds(0..=4_294_967_295), "-o ext_low_ttl=<num>", Compatibility, "ext_low_ttl", NoEffect(NO_FLASH);
    /// Copy a flash item back to memory once per this many accesses.
    ext_recache_rate: u32 = 2000, whole(0..=4_294_967_295), "-o ext_recache_rate=<num>", Compatibility, "ext_recache_rate", NoEffect(NO_FLASH);
    /// Size of the flash write buffers, in MiB.
    ext_wbuf_bytes: u32 = 4 << 20, mib(1..=1024), "-o ext_wbuf_size=<MiB>", Compatibility, "ext_wbuf_size", NoEffect(NO_FLASH);
    /// Compact flash pages when fewer than this are free.
    ext_compact_under: u32 = 0, whole(0..=4_294_967_295), "-o ext_compact_under=<num>", Compatibility, "ext_compact_under", NoEffect(NO_FLASH);
    /// Drop flash items when fewer than this many pages are free.
    ext_drop_under: u32 = 0, whole(0..=4_294_967_295), "-o ext_drop_under=<num>", Compatibility, "ext_drop_under", NoEffect(NO_FLASH);
    /// Maximum pause of the flash threads, in microseconds.
    ext_max_sleep: u32 = 1_000_000, whole(0..=1_000_000), "-o ext_max_sleep=<num>", Compatibility, "ext_max_sleep", NoEffect(NO_FLASH);
    /// Compact flash pages whose fill ratio is below this.
    ext_max_frag: f64 = 0.8, Fraction { range: 0.0..=1.0, digits: 2 }, "-o ext_max_frag=<num>", Compatibility, "ext_max_frag", NoEffect(NO_FLASH);
    /// Ratio of memory to keep free.
    slab_automove_freeratio: f64 = 0.01, Fraction { range: 0.0..=1.0, digits: 3 }, "-o slab_automove_freeratio=<num>", Compatibility, "slab_automove_freeratio", NoEffect(NO_FREE_PAGES);
    /// Drop unread items when flash is compacted.
    ext_drop_unread: bool = false, TURNS_ON, "-o ext_drop_unread", Compatibility, "ext_drop_unread", NoEffect(NO_FLASH);
    /// Enable TLS for TCP clients. Needs ssl_chain_cert. Unix sockets and UDP are not encrypted, nor are the listeners
    /// of -l and --http with the prefix notls. doc/tls.md describes it.
    ssl_enabled: bool = false, TURNS_ON, "-Z, --enable-ssl", Network, "ssl_enabled", Works;
    /// Certificate of the server and its chain, in PEM format. The file is read again on SIGHUP, on refresh_certs, and
    /// when it has changed.
    ssl_chain_cert: Option<PathBuf> = None, Text { absent: "(null)" }, "-o ssl_chain_cert=<file>", Network, "ssl_chain_cert", Works;
    /// Private key of the server, without a password. The default is the file of ssl_chain_cert.
    ssl_key: Option<PathBuf> = None, Text { absent: "(null)" }, "-o ssl_key=<file>", Network, "ssl_key", Works;
    /// Client certificates: 0 asks for none, 1 verifies those that clients show, 2 and 3 demand one.
    ssl_verify_mode: u32 = 0, whole(0..=3), "-o ssl_verify_mode=<num>", Network, "ssl_verify_mode", Works;
    /// Format of the private key: 1 or PEM, 2 or DER.
    ssl_keyformat: u32 = 1, KeyFormatNumber, "-o ssl_keyformat=<num>", Network, "ssl_keyformat", Works;
    /// Ciphers of TLS 1.2, by OpenSSL's names, separated by colons. The default is all of rustls. Those of TLS 1.3 are
    /// always allowed.
    ssl_ciphers: Option<String> = None, Text { absent: "NULL" }, "-o ssl_ciphers=<list>", Network, "ssl_ciphers", Works;
    /// Certificate authorities for client certificates, in PEM format.
    ssl_ca_cert: Option<PathBuf> = None, Text { absent: "NULL" }, "-o ssl_ca_cert=<file>", Network, "ssl_ca_cert", Works;
    /// Bytes that are encrypted at a time, and so the encrypted bytes that a client which does not read can hold, in
    /// KiB.
    ssl_wbuf_bytes: u32 = 16 << 10, kib(1..=1024), "-o ssl_wbuf_size=<KiB>", Network, "ssl_wbuf_size", Works;
    /// Give clients tickets, with which they resume a session without a full handshake.
    ssl_session_cache: bool = false, TURNS_ON, "-o ssl_session_cache", Network, "ssl_session_cache", Works;
    /// Encrypt in the kernel.
    ssl_kernel_tls: bool = false, TURNS_ON, "-o ssl_kernel_tls", Compatibility, "ssl_kernel_tls", NoEffect("larder encrypts by itself, as memcached does without a kernel module");
    /// Minimum TLS version: 2 for TLS 1.2, 3 for TLS 1.3.
    ssl_min_version: u32 = 2, TlsVersion, "-o ssl_min_version=<num>", Network, "ssl_min_version", Works;
    /// Same value as memcached.
    proxy_enabled: bool = false, TURNS_ON, "", Compatibility, "proxy_enabled", Report;
    /// Use io_uring in the proxy.
    proxy_uring: bool = false, TURNS_ON, "-o proxy_uring", Compatibility, "proxy_uring_enabled", NoEffect(NO_PROXY);
    /// Number of network queues. Clients whose packets come over the same queue of a network card share a thread. At
    /// most -t. Clients without a queue, as over loopback, are assigned in turn.
    napi_ids: u32 = 0, whole(0..=256), "-N, --napi-ids, --napi_ids=<num>", Clients, "num_napi_ids", Works;
    /// File that keeps the items when the server stops, restarts or is killed. Best in /dev/shm. With fdstore: systemd
    /// keeps them in memory. Each item then takes 4 bytes more. memcached's FILE.meta is not needed. doc/restart.md
    /// describes it.
    memory_file: Option<PathBuf> = None, Text { absent: "(null)" }, "-e, --memory-file=<file>", Memory, "memory_file", Works;
    /// Always 4: client flags have 32 bits.
    client_flags_bytes: u32 = 4, whole(4..=4), "", Compatibility, "client_flags_size", Report;

    /// Disable watch.
    watch_enabled: bool = true, TURNS_OFF, "-W, --disable-watch", Commands, "", Works;
    /// Request huge pages for items. The index uses them from -m 512 on, if the kernel provides them. Memory is still
    /// allocated on demand, while memcached allocates all of -m at start.
    large_pages: bool = false, TURNS_ON, "-L, --enable-largepages", Memory, "", Works;
    /// Lock all memory into RAM. If that fails, the server prints a warning and starts.
    lock_memory: bool = false, TURNS_ON, "-k, --lock-memory", Memory, "", Works;
    /// Chunk sizes of the size classes, such as 96-128-256. It replaces -f. The server adds the class of
    /// slab_chunk_max, and no other.
    slab_sizes: Option<Vec<u32>> = None, ChunkSizes, "-o slab_sizes=<list>", Memory, "", Works;
    /// With -e: drop the items instead of refusing to start, if they and -o slab_sizes need too many size classes.
    restart_discard: bool = false, TURNS_ON, "-o restart_discard", Memory, "", Works;
    /// Print what a memory file of -e holds, and whether a server with the other options would keep it. Then exit.
    inspect: Option<PathBuf> = None, Text { absent: "" }, "--inspect=<file>", Messages, "", Works;
    /// Drop the items of a memory file of -e. Then exit.
    clear: Option<PathBuf> = None, Text { absent: "" }, "--clear=<file>", Messages, "", Works;
    /// Keep the hash table at its initial size.
    hash_expansion: bool = true, TURNS_OFF, "-o no_hashexpand", Memory, "", NoEffect("the table grows by one bucket at a time, without a pause");
    /// User to run as. Required when root starts the server.
    user: Option<String> = None, Text { absent: "" }, "-u, --user=<user>", Process, "", Works;
    /// Run in the background.
    daemonize: bool = false, TURNS_ON, "-d, --daemon", Process, "", Works;
    /// File for the process id. A daemon removes it at exit. The user of -u needs write access to its directory. If the
    /// file cannot be written, the server prints a warning and starts.
    pidfile: Option<PathBuf> = None, Text { absent: "" }, "-P, --pidfile=<file>", Process, "", Works;
    /// Enable core dumps, and keep the current directory.
    core_dumps: bool = false, TURNS_ON, "-r, --enable-coredumps", Process, "", Works;
    /// File with options, one per line, such as Debian's /etc/memcached.conf. Options of the command line win. Lines
    /// with
    /// -d or logfile have no effect.
    config_file: Option<PathBuf> = None, Text { absent: "" }, "--config=<file>", Process, "", Works;
    /// File for the numbers of TCP, UDP and HTTP ports, written when the server listens. If it cannot be written, the
    /// server prints a warning and starts.
    port_file: Option<PathBuf> = None, Text { absent: "" }, "MEMCACHED_PORT_FILENAME=<file>", Process, "", Works;
    /// The file of users for -S without -Y. Without -S it has no effect.
    sasl_file: Option<PathBuf> = None, Text { absent: "" }, "MEMCACHED_SASL_PWDB=<file>", Network, "", Works;
    /// Format of the log: text, or json for one object a line, with time, level and message.
    log_format: &'static str = "text", OneOf { words: &["text", "json"] }, "-o log=<name>", Messages, "", Works;
    /// Print this help and exit.
    help: bool = false, TURNS_ON, "-h, --help", Messages, "", Works;
    /// Print the licence and exit.
    license: bool = false, TURNS_ON, "-i, --license", Messages, "", Works;
    /// Print the version and exit.
    version: bool = false, TURNS_ON, "-V, --version", Messages, "", Works;
    /// Enable the debugtime command, which moves, stops and restarts the server's clock.
    debug_commands: bool = false, TURNS_ON, "-o debug_commands", Commands, "", Hidden;
    /// Other node of a mesh of servers that all have the same items: a host name or an IP address, with an optional
    /// :port. The default port is that of repl_port. Separate several with commas, or repeat -x. doc/replication.md
    /// describes it.
    replication_peers: Vec<ListenAddress> = Vec::new(), Addresses, "-x, --replication-peer=<host>", Replication, "", Works;
    /// Port where other nodes reach this one. With -x, a number after -X is this port, as in repcached.
    replication_port: u16 = 11212, whole(1..=65_535), "-o repl_port=<num>", Replication, "", Works;
    /// Addresses where other nodes reach this one, as in -l. Separate several with semicolons. The default is the
    /// addresses of -l.
    replication_listen: Vec<ListenAddress> = Vec::new(), Addresses, "-o repl_listen=<addr>", Replication, "", Works;
    /// File with the secret that all nodes of the mesh share. Without it, a node talks to the addresses of -x only, and
    /// links are not authenticated, unless repl_tls is given.
    replication_secret: Option<PathBuf> = None, Text { absent: "" }, "-o repl_secret_file=<file>", Replication, "", Works;
    /// Encrypt links with TLS, and let each node verify the certificate of the other with the authorities of
    /// ssl_ca_cert. All nodes of a mesh have the same. Needs -Z, ssl_chain_cert and ssl_ca_cert. doc/tls.md describes
    /// it.
    replication_tls: bool = false, TURNS_ON, "-o repl_tls", Replication, "", Works;
    /// Name that the certificate of every node has. Without it, it is that of the host of -x, which the node that dials
    /// verifies.
    replication_tls_name: Option<String> = None, Text { absent: "" }, "-o repl_tls_name=<name>", Replication, "", Works;
    /// Name of the mesh. Nodes of meshes with other names are refused.
    replication_cluster: Option<String> = None, Text { absent: "" }, "-o repl_cluster=<name>", Replication, "", Works;
    /// When to serve clients after the start. after_sync: when the items of a peer have arrived, or no peer answers, or
    /// after 30 seconds. immediately: at once. after:S: as after_sync, but after S seconds at the latest.
    replication_serve_s: u32 = 30, ServeTime, "-o repl_serve=<when>", Replication, "", Works;
    /// Memory for the log of changes, in MiB. A peer that was away longer than the log reaches compares all items.
    replication_log_bytes: u64 = 64 << 20, mib(1..=65_536), "-o repl_log_mb=<MiB>", Replication, "", Works;
    /// What happens to changes that do not fit into the log. resync: a peer that lacks them compares all items. drop: a
    /// linked peer is not sent them, and learns of them in the next periodic comparison. throttle: as resync, and
    /// clients that write are served up to 100 ms later while a linked peer lacks more than three quarters of the log.
    replication_overflow: &'static str = "resync", OneOf { words: &["resync", "drop", "throttle"] }, "-o repl_overflow=<policy>", Replication, "", Works;
    /// Bytes that may wait to be sent to a peer, in MiB.
    replication_queue_bytes: u64 = 16 << 20, mib(1..=1024), "-o repl_queue_mb=<MiB>", Replication, "", Works;
    /// Most MiB a second that are sent to a peer. 0 means no limit. A peer that gets less than is changed here falls
    /// behind the log, and compares all items.
    replication_bandwidth: u64 = 0, mib(0..=1_048_576), "-o repl_bandwidth=<MiB>", Replication, "", Works;
    /// Time for which a delete is remembered, in seconds.
    replication_tombstone_ttl_s: u32 = 3600, seconds(60..=2_592_000), "-o repl_tombstone_ttl=<num>", Replication, "", Works;
    /// How far the clock of another node may be ahead, in seconds. A node that is further ahead is refused.
    replication_skew_s: u32 = 60, seconds(1..=86_400), "-o repl_max_skew=<num>", Replication, "", Works;
    /// Keys that begin with this belong to one node at a time, which carries out add and delete of them: locks are
    /// exclusive in the mesh. Separate several with semicolons, or repeat the option. All nodes have the same.
    replication_owner_prefixes: Vec<String> = Vec::new(), Prefixes, "-o repl_owner_prefix=<key>", Replication, "", Works;
    /// Maximum items in the queue to that peer.
    replication_queue_max: u32 = 8192, whole(0..=4_294_967_295), "-q, --replication-queue-max=<num>", Network, "", Later;
    /// Flash file and its size.
    ext_path: Option<String> = None, Text { absent: "" }, "-o ext_path=<file:size>", Memory, "", Later;
    /// Size of a flash page, in MiB.
    ext_page_bytes: u64 = 64 << 20, mib(1..=1024), "-o ext_page_size=<MiB>", Compatibility, "", NoEffect(NO_FLASH);
    /// Number of flash I/O threads.
    ext_threads: u32 = 1, whole(1..=64), "-o ext_threads=<num>", Compatibility, "", NoEffect(NO_FLASH);
    /// Maximum concurrent requests per flash thread.
    ext_io_depth: u32 = 1, whole(1..=1024), "-o ext_io_depth=<num>", Compatibility, "", NoEffect(NO_FLASH);
    /// Configuration file of the proxy.
    proxy_config: Option<String> = None, Text { absent: "" }, "-o proxy_config=<files>", Network, "", Later;
    /// Argument for the proxy configuration.
    proxy_arg: Option<String> = None, Text { absent: "" }, "-o proxy_arg=<text>", Compatibility, "", NoEffect(NO_PROXY);
    /// Enable the memory profile of the proxy.
    proxy_memprofile: bool = false, TURNS_ON, "-o proxy_memprofile", Compatibility, "", NoEffect(NO_PROXY);
    /// Memory limit for replies that clients have not read, in MiB. A client that needs more is disconnected. 0 means
    /// no limit.
    resp_obj_mem_limit_bytes: u64 = 0, mib(0..=1_048_576), "-o resp_obj_mem_limit=<MiB>", Clients, "", Works;
    /// Maximum number of connections from one IP address, or from one IPv6 network of 64 bits. Another one is answered
    /// an error. 0 means no limit. Unix sockets are not limited.
    connections_per_address: u32 = 0, whole(0..=10_000_000), "-o conn_limit_per_address=<num>", Clients, "", Works;
    /// Unix socket for the operator, with the access mode of -a. Four connections to it are possible beside those of
    /// -c, and they are accepted first.
    admin_socket: Option<PathBuf> = None, Text { absent: "" }, "-o admin_socket=<file>", Network, "", Works;
    /// Address and port for HTTP: pages for probes and statistics, and items with -o http_cache. A port alone is on
    /// 127.0.0.1; *:port is on every interface. Separate several with commas, or repeat the option. With -Z they use
    /// TLS. The prefixes of -l work here, too. doc/http.md describes the pages.
    http: Vec<ListenAddress> = Vec::new(), HttpAddresses, "--http=<addr>", Network, "", Works;
    /// Serve items over HTTP, at /cache/KEY. With -Y or -S this needs -o http_token_file.
    http_cache: bool = false, TURNS_ON, "-o http_cache", Network, "", Works;
    /// File with a token that clients of HTTP must send: Authorization: Bearer TOKEN. /live and /ready need none.
    http_token_file: Option<PathBuf> = None, Text { absent: "" }, "-o http_token_file=<file>", Network, "", Works;
    /// Bytes that all replies to one UDP datagram may have together, headers included. They may have 32 times the bytes
    /// of the datagram in any case. A longer reply is replaced by an error. The default is one datagram. A higher value
    /// multiplies what a forged address can send to others.
    udp_reply_max: u32 = 1400, bytes(1400..=16_777_216), "-o udp_reply_max=<bytes>", Network, "", Works;
    /// With -N: time for which a thread polls its network queue before it sleeps, in microseconds. Needs Linux 6.9;
    /// without it, and over loopback, it has no effect.
    busy_poll_usecs: u32 = 0, whole(0..=1_000_000), "-o busy_poll_usecs=<num>", Clients, "", Works;
    /// Microseconds from which a request is slow, or a pipeline of them. stats slowlog shows those. 0: none is slow.
    /// See stats.md for what counts.
    slowlog_us: u32 = 10_000, whole(0..=60_000_000), "-o slowlog_us=<num>", Commands, "", Works;
    /// Mark of the server's sockets, for packet filters.
    sock_cookie_id: u32 = 0, whole(0..=4_294_967_295), "-o sock_cookie_id=<num>", Compatibility, "", NoEffect("only FreeBSD can mark sockets so");
    /// Store large items in one chunk.
    chunked_items: bool = true, TURNS_OFF, "-o no_chunked_items", Compatibility, "", NoEffect("large items are always chains of chunks");
    /// Use the defaults of a future memcached, or of memcached 1.4.
    modern: bool = true, TURNS_ON, "-o [no_]modern", Compatibility, "", NoEffect("larder has one set of defaults");
}

/// When a node of a mesh serves clients.
struct ServeTime;

impl Codec<u32> for ServeTime {
    fn read(&self, text: &str, value: &mut u32) -> Result<(), String> {
        match text {
            "after_sync" => *value = Settings::default().replication_serve_s,
            "immediately" => *value = 0,
            _ => {
                let after = text.strip_prefix("after:");
                let unknown = || format!("{text:?} is not one of {}", SERVE_WORDS.replace(" | ", ", "));
                seconds(0..=86_400).read(after.ok_or_else(unknown)?, value)?;
            }
        }
        Ok(())
    }

    fn show(&self, value: &u32) -> String {
        match *value {
            0 => "immediately".into(),
            s if s == Settings::default().replication_serve_s => "after_sync".into(),
            s => format!("after:{s}"),
        }
    }

    fn limits(&self) -> String {
        SERVE_WORDS.into()
    }
}

/// The values of repl_serve.
const SERVE_WORDS: &str = "after_sync | immediately | after:<seconds>";

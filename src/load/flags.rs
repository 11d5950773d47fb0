//! The table of the flags of `larder-bench`. The parser and the help are generated from it. The flags of TLS are those
//! of all tools.

use larder::tls::{TLS_FLAGS, TLS_FLAGS_HEAD, TlsFlag};

use super::op::Op;

/// One flag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    pub(super) group: &'static str,
    /// One letter, or empty.
    pub(super) short: &'static str,
    pub(super) long: &'static str,
    /// Placeholder of the value. None: the flag takes no value.
    pub(super) hint: Option<&'static str>,
    pub(super) help: &'static str,
}

const fn flag(
    group: &'static str,
    short: &'static str,
    long: &'static str,
    hint: Option<&'static str>,
    help: &'static str,
) -> Flag {
    Flag { group, short, long, hint, help }
}

const SERVER: &str = "Server";
const SENT: &str = "Connections and timing";
const ASKED: &str = "Requests";
const NAMED: &str = "Keys and values";
const TIME: &str = "Duration";
const SHOWN: &str = "Output";

/// The flags of the server, but those of TLS.
const SERVER_FLAGS: &[Flag] = &[
    flag(
        SERVER,
        "H",
        "host",
        Some("NAME"),
        "host name or address of the server, with an optional port, NAME:PORT (127.0.0.1)",
    ),
    flag(SERVER, "p", "port", Some("NUM"), "port of the server (11211)"),
    flag(SERVER, "s", "unix-socket", Some("PATH"), "connect to a Unix socket instead"),
    flag(
        SERVER,
        "",
        "server",
        Some("\"PATH ARGS\""),
        "start this server, and report its CPU time per request. Given twice, the tool alternates the load between two servers and compares them",
    ),
    flag(SERVER, "w", "wire", Some("text|meta|binary"), "protocol (text)"),
];

/// The flags behind those of TLS.
const LOAD_FLAGS: &[Flag] = &[
    flag(SENT, "c", "connections", Some("NUM"), "active connections (50)"),
    flag(SENT, "", "idle", Some("NUM"), "additional idle connections (0)"),
    flag(
        SENT,
        "",
        "connect-rate",
        Some("PER-SECOND"),
        "new connections per second beside the others. Each does a TLS handshake, if any, sends one request, and closes",
    ),
    flag(SENT, "t", "threads", Some("NUM"), "threads of the tool. Each serves an equal part of the connections (1)"),
    flag(SENT, "", "cores", Some("NUM,…"), "cores for the threads, assigned in turn"),
    flag(
        SENT,
        "P",
        "pipeline",
        Some("NUM"),
        "requests in flight per connection. The next batch goes out when all replies have come (1)",
    ),
    flag(
        SENT,
        "r",
        "rate",
        Some("PER-SECOND"),
        "open loop: requests per second. Latency counts from the time when a request is due. Without this flag the loop is \
         closed: a connection sends its next batch when all replies have come",
    ),
    flag(
        SENT,
        "",
        "slo",
        Some("PERCENTILE=TIME"),
        "find the highest rate at which a latency bound holds, such as p99=1ms. --duration is the length of each of its runs",
    ),
    flag(
        SENT,
        "",
        "sleep",
        None,
        "let idle threads sleep. Without this flag they poll, so that the server never spends CPU time on waking them",
    ),
    flag(ASKED, "x", "mix", Some("OP[=SHARE],…"), "{ops} (get)"),
    flag(ASKED, "k", "multiget", Some("NUM"), "keys per get (1)"),
    flag(
        ASKED,
        "",
        "noreply",
        None,
        "send requests without a reply where the protocol allows it. The last request of each batch has a reply",
    ),
    flag(
        ASKED,
        "",
        "ttl",
        Some("SECONDS|SECONDS=SHARE,…"),
        "time to live of items, or several with their shares of the keys. 0 means never, and so does the rest of the shares (0)",
    ),
    flag(NAMED, "n", "keys", Some("NUM"), "number of keys (1000000)"),
    flag(NAMED, "K", "key-size", Some("BYTES|FROM-TO|etc"), "length of a key, with its prefix (32)"),
    flag(
        NAMED,
        "v",
        "value-size",
        Some("BYTES|FROM-TO|etc|kvcache:FILE"),
        "length of a value. etc: Facebook's ETC; kvcache: CacheLib's sizes.json (100)",
    ),
    flag(NAMED, "", "prefix", Some("TEXT"), "prefix of every key (bench:)"),
    flag(NAMED, "", "zipf", Some("ALPHA"), "Zipf distribution of the keys. The default is uniform"),
    flag(
        NAMED,
        "",
        "hot",
        Some("REQUESTS:KEYS"),
        "share of the requests that go to a share of the keys, such as 0.9:0.01",
    ),
    flag(NAMED, "", "fresh", Some("SHARE"), "share of the requests with a key that is new in this run (0)"),
    flag(
        NAMED,
        "",
        "private-keys",
        None,
        "give each connection its own keys, and count a value older than its last acknowledged store as wrong",
    ),
    flag(
        NAMED,
        "",
        "twitter",
        Some("FILE:ROW"),
        "take sizes, mix, times to live and popularity from a row of Twitter's cluster table. Other flags override them",
    ),
    flag(NAMED, "", "seed", Some("NUM"), "random seed. Another seed gives another sequence of the same load (1)"),
    flag(TIME, "d", "duration", Some("SECONDS"), "length of the measured load (10)"),
    flag(TIME, "", "warmup", Some("SECONDS"), "length of the load before it, not measured (0)"),
    flag(
        TIME,
        "",
        "ramp",
        Some("SECONDS"),
        "time before both, in which the rate or the number of connections grows from 0 (0)",
    ),
    flag(TIME, "", "no-fill", None, "do not store the keys before the load"),
    flag(TIME, "", "fill-only", None, "store the keys, without a load"),
    flag(SHOWN, "", "json", None, "print the results as one JSON object"),
    flag(SHOWN, "", "csv", Some("FILE"), "write the figures of each second to this file"),
    flag(SHOWN, "", "html", Some("FILE"), "write a report with charts to this file"),
    flag(
        SHOWN,
        "",
        "progress",
        None,
        "print a progress line every second to standard error, even if it is no terminal",
    ),
    flag(SHOWN, "q", "quiet", None, "print no progress line"),
    flag(SHOWN, "h", "help", None, "print this help"),
    flag(SHOWN, "V", "version", None, "print the version"),
];

/// All flags, in the order of the help.
pub(super) fn flags() -> impl Iterator<Item = Flag> {
    let of_tls = TLS_FLAGS.into_iter().map(|TlsFlag { name, hint, help }| flag(TLS_FLAGS_HEAD, "", name, hint, help));
    SERVER_FLAGS.iter().copied().chain(of_tls).chain(LOAD_FLAGS.iter().copied())
}

/// The flag with this short or long name.
pub(super) fn find(name: &str) -> Option<Flag> {
    flags().find(|flag| flag.long == name || flag.short == name)
}

/// The notation of a flag in the help.
pub(super) fn written(name: &str) -> String {
    match find(name) {
        Some(flag) if flag.short.is_empty() => format!("--{}", flag.long),
        Some(flag) => format!("-{}, --{}", flag.short, flag.long),
        None if name.chars().count() == 1 => format!("-{name}"),
        None => format!("--{name}"),
    }
}

/// Modes. A mode is the first argument.
pub(super) const MODES: [&str; 3] = ["--floor", "--table", "--memory"];

const USAGE: &str = "
usage: larder-bench [options]
       larder-bench -p 11211 -P 50 -x get=10,set=1        put load on a running server
       larder-bench --server larder --server memcached    start two servers and compare them
A mode is the first argument and has its own flags:
       larder-bench --table [--rows \"A; B\"] [--json] [--server \"PATH ARGS\"]...
                                                          measure the rows of doc/measurements/speed.md, or those
                                                          whose names start with A or B, on larder and memcached
       larder-bench --memory                              compare time to first reply and resident memory with memcached
       larder-bench --floor [-l ADDRESS] [-p PORT]        run a null server as a baseline (127.0.0.1:11211)
";

const CODES: &str = "
Units: numbers take k, m or g (10^3, 10^6, 10^9), times us, ms, s, m or h, and lengths k or m (1024, 1024 x 1024).
The tool checks every reply. Exit codes: 0 all replies were correct; 1 a reply was wrong, or a connection was lost;
2 the server answered errors; 64 invalid command line; 69 no server, or another protocol; 71 a system call failed.
For details, see doc/larder-bench.md.
";

/// Column where the texts of the flags start, and maximum line width.
const COLUMN: usize = 42;
const WIDTH: usize = 118;

/// The text of `larder-bench --help`.
pub(super) fn help(version: &str) -> String {
    let mut text =
        format!("larder-bench {version}, a load generator for servers that speak memcached's protocols\n{USAGE}");
    let mut group = "";
    for flag in flags() {
        if flag.group != group {
            group = flag.group;
            text.push_str(&format!("\n{group}\n"));
        }
        let short = if flag.short.is_empty() { "    ".to_string() } else { format!("-{}, ", flag.short) };
        let value = flag.hint.map(|hint| format!("={hint}")).unwrap_or_default();
        let names = format!("  {short}--{}{value}", flag.long);
        let mut line = format!("{names:<COLUMN$}");
        if names.chars().count() >= COLUMN {
            text.push_str(&names);
            text.push('\n');
            line = " ".repeat(COLUMN);
        }
        for word in flag.help.replace("{ops}", &Op::names()).split_whitespace() {
            if line.chars().count() + word.chars().count() > WIDTH {
                text.push_str(line.trim_end());
                text.push('\n');
                line = " ".repeat(COLUMN);
            }
            line.push_str(word);
            line.push(' ');
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(CODES);
    text
}

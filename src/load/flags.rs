//! The flags of `larder-bench`: the table from which the parser and the help are made.

use super::op::Op;

/// One flag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    pub(super) group: &'static str,
    /// One letter, or nothing.
    pub(super) short: &'static str,
    pub(super) long: &'static str,
    /// What its value looks like; None: it takes none.
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

const SERVER: &str = "The server";
const SENT: &str = "How it is asked";
const ASKED: &str = "What is asked";
const NAMED: &str = "Keys and values";
const TIME: &str = "How long";
const SHOWN: &str = "What is shown";

/// All of them, in the order of the help.
pub(super) const FLAGS: &[Flag] = &[
    flag(SERVER, "H", "host", Some("NAME"), "name or address, also with its port, NAME:PORT (127.0.0.1)"),
    flag(SERVER, "p", "port", Some("NUM"), "port (11211)"),
    flag(SERVER, "s", "unix-socket", Some("PATH"), "a unix socket instead"),
    flag(
        SERVER,
        "",
        "server",
        Some("\"PATH ARGS\""),
        "start this server instead, and say its CPU time per request; given twice, the load alternates between them, and they are compared",
    ),
    flag(SERVER, "w", "wire", Some("text|meta|binary"), "protocol (text)"),
    flag(SENT, "c", "connections", Some("NUM"), "connections that ask (50)"),
    flag(SENT, "", "idle", Some("NUM"), "connections beside them, open and silent (0)"),
    flag(SENT, "t", "threads", Some("NUM"), "threads, each with its share of the connections (1)"),
    flag(SENT, "", "cores", Some("NUM,…"), "cores the threads are bound to, in turn"),
    flag(SENT, "P", "pipeline", Some("NUM"), "requests sent together on a connection, then awaited together (1)"),
    flag(
        SENT,
        "r",
        "rate",
        Some("PER-SECOND"),
        "open loop: so many requests a second by the clock, timed from when they were due. Without it, closed loop: \
         a connection asks again when it was answered",
    ),
    flag(
        SENT,
        "",
        "sleep",
        None,
        "sleep while nothing is to be done; without it the threads poll, so that the server never pays for waking them",
    ),
    flag(ASKED, "x", "mix", Some("OP[=SHARE],…"), "{ops} (get)"),
    flag(ASKED, "k", "multiget", Some("NUM"), "keys of a get (1)"),
    flag(
        ASKED,
        "",
        "noreply",
        None,
        "ask for no reply to what can do without; every batch ends with one request that is answered",
    ),
    flag(
        ASKED,
        "",
        "ttl",
        Some("SECONDS|SECONDS=SHARE,…"),
        "time to live of what is stored and touched, or several with their shares of the keys; the rest, and 0: for ever (0)",
    ),
    flag(NAMED, "n", "keys", Some("NUM"), "keys (1000000)"),
    flag(NAMED, "K", "key-size", Some("BYTES|FROM-TO|etc"), "length of a key, prefix included (32)"),
    flag(
        NAMED,
        "v",
        "value-size",
        Some("BYTES|FROM-TO|etc|kvcache:FILE"),
        "length of a value (100); etc: Facebook's ETC; kvcache: CacheLib's sizes.json",
    ),
    flag(NAMED, "", "prefix", Some("TEXT"), "what every key starts with (bench:)"),
    flag(NAMED, "", "zipf", Some("ALPHA"), "popularity by Zipf's law; without it all keys are alike"),
    flag(NAMED, "", "hot", Some("REQUESTS:KEYS"), "this share of the requests for this share of the keys: 0.9:0.01"),
    flag(NAMED, "", "fresh", Some("SHARE"), "share of the requests that name a key for the first time in this run (0)"),
    flag(
        NAMED,
        "",
        "private-keys",
        None,
        "each connection names keys of its own, and a value older than its last store that was acknowledged is wrong",
    ),
    flag(
        NAMED,
        "",
        "twitter",
        Some("FILE:ROW"),
        "sizes, mix, times to live and popularity of a row of Twitter's cluster table; other flags change them",
    ),
    flag(NAMED, "", "seed", Some("NUM"), "another seed is another sequence of the same load (1)"),
    flag(TIME, "d", "duration", Some("SECONDS"), "load that is counted (10)"),
    flag(TIME, "", "warmup", Some("SECONDS"), "load before it that is not (0)"),
    flag(
        TIME,
        "",
        "ramp",
        Some("SECONDS"),
        "before both: the rate, or the number of connections, grows from nothing (0)",
    ),
    flag(TIME, "", "no-fill", None, "do not store the keys first"),
    flag(TIME, "", "fill-only", None, "store the keys, and nothing else"),
    flag(SHOWN, "", "json", None, "figures as one JSON object"),
    flag(SHOWN, "", "progress", None, "a line a second on standard error, terminal or not"),
    flag(SHOWN, "q", "quiet", None, "no such line"),
    flag(SHOWN, "h", "help", None, "this text"),
    flag(SHOWN, "V", "version", None, "the version"),
];

/// By either of its names.
pub(super) fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.long == name || flag.short == name)
}

/// The flag of this name as the help writes it.
pub(super) fn written(name: &str) -> String {
    match find(name) {
        Some(flag) if flag.short.is_empty() => format!("--{}", flag.long),
        Some(flag) => format!("-{}, --{}", flag.short, flag.long),
        None if name.chars().count() == 1 => format!("-{name}"),
        None => format!("--{name}"),
    }
}

/// What the first argument may be instead of a flag.
pub(super) const MODES: [&str; 3] = ["--floor", "--table", "--memory"];

const USAGE: &str = "
usage: larder-bench [options]
       larder-bench -p 11211 -P 50 -x get=10,set=1        load on a server that runs
       larder-bench --server larder --server memcached    the same load on two servers that it starts, in turns
A mode comes first and has flags of its own:
       larder-bench --table [--rows \"A; B\"] [--json] [--server \"PATH ARGS\"]...   the rows of doc/measurements/speed.md, or those
                                                          whose names begin with A or B; one server alone meets memcached
       larder-bench --memory                              time to the first reply and resident memory, beside memcached
       larder-bench --floor [-l ADDRESS] [-p PORT]        a server that does nothing, to measure against (127.0.0.1:11211)
";

const CODES: &str = "
Numbers may end in k, m or g (a thousand, a million, 10^9), times in ms, s, m or h, lengths in k or m (1024, 1024 x 1024).
Every reply is compared with what it must be. Exit codes: 0 all were right; 1 some were not, or a connection was lost;
2 the server answered errors; 64 the command line is wrong; 69 no server, or not this protocol; 71 the system refused.
doc/larder-bench.md says more.
";

/// Where the flags' texts start, and where they are broken.
const COLUMN: usize = 42;
const WIDTH: usize = 118;

/// The text of `larder-bench --help`.
pub(super) fn help(version: &str) -> String {
    let mut text =
        format!("larder-bench {version}, a load generator for servers that speak memcached's protocols\n{USAGE}");
    let mut group = "";
    for flag in FLAGS {
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

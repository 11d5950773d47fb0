//! `larder doctor`: what is wrong with a running server, in words, with the option that changes it.
//!
//! ```text
//! server ──stats, stats settings, stats items, stats hotkeys──▶ ExaminedServer ──CHECKS──▶ findings
//!          ╰─ stats again after a second: the rate of requests
//! ```
//!
//! A check needs rows that a server may lack: it then finds nothing, so that memcached can be examined, too.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use crate::base::Clock;

use super::address::ServerAddress;
use super::connection::{ServerConnection, StatRows};
use super::failure::ToolFailure;
use super::remote::RemoteServer;

/// A server that is silent for longer than this has failed.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Time between the two readings of the rate of requests.
const RATE_TIME: Duration = Duration::from_secs(1);

/// Hits in a hundred gets that more memory would bring, from which on memory is too small.
const MORE_HITS_LEAST: f64 = 1.0;
/// Share of the requests from which on a key is hot.
const HOT_SHARE_LEAST: f64 = 1.0 / 3.0;
/// Rate below which no key is hot.
const HOT_RATE_LEAST: f64 = 100.0;
/// Share of -c from which on connections may run out.
const CONNECTIONS_SHARE_LEAST: f64 = 0.8;
/// Share of huge pages in the memory of a large server below which they are off.
const HUGE_SHARE_LEAST: f64 = 0.5;
const HUGE_RSS_LEAST: f64 = 256.0 * 1024.0 * 1024.0;
/// Days before the end of a certificate.
const CERTIFICATE_DAYS: f64 = 30.0;
/// Share of items with a time to live among those that were evicted.
const EVICTED_WITH_TTL_LEAST: f64 = 0.5;
/// Shares of requests that are refused or interrupted, from which on they matter.
const REFUSED_SHARE_LEAST: f64 = 0.0001;
const YIELDED_SHARE_LEAST: f64 = 0.01;
const DAY_S: f64 = 24.0 * 3600.0;
const MIB: f64 = 1024.0 * 1024.0;

/// What is known of a server.
#[derive(Default)]
struct ExaminedServer {
    stats: StatRows,
    settings: StatRows,
    items: StatRows,
    hot_keys: StatRows,
    /// Requests in a second.
    requests_per_second: f64,
    /// Bytes in huge pages and all bytes of the process, if it runs on this machine.
    huge_and_rss: Option<(f64, f64)>,
}

/// One thing that may be wrong.
struct HealthCheck {
    name: &'static str,
    /// What is wrong, and what to do. `None`: nothing.
    find: fn(&ExaminedServer) -> Option<(String, String)>,
}

/// All checks, the most urgent first.
const CHECKS: [HealthCheck; 9] = [
    HealthCheck { name: "certificate", find: certificate },
    HealthCheck { name: "connections", find: connections },
    HealthCheck { name: "no memory", find: no_memory },
    HealthCheck { name: "memory", find: memory },
    HealthCheck { name: "early evictions", find: early_evictions },
    HealthCheck { name: "hot key", find: hot_key },
    HealthCheck { name: "huge pages", find: huge_pages },
    HealthCheck { name: "large items", find: large_items },
    HealthCheck { name: "long pipelines", find: long_pipelines },
];

/// Examines a server. Returns the findings as text, and their number.
pub(super) fn examine(remote: &RemoteServer) -> Result<(String, usize), ToolFailure> {
    let mut server = ServerConnection::open(remote, SILENCE_MAX)?;
    let before = requests(&server.rows("stats")?);
    let clock = Clock::start();
    let waited = || Duration::from_micros(clock.real_us());
    while waited() < RATE_TIME {
        thread::park_timeout(RATE_TIME.saturating_sub(waited()));
    }
    let settings = optional_rows(&mut server, "stats settings");
    let items = optional_rows(&mut server, "stats items");
    let hot_keys = optional_rows(&mut server, "stats hotkeys");
    let stats = server.rows("stats")?;
    let examined = ExaminedServer {
        requests_per_second: (requests(&stats) - before).max(0.0) / waited().as_secs_f64(),
        settings,
        items,
        hot_keys,
        huge_and_rss: memory_of(&remote.address, &stats),
        stats,
    };
    let found: Vec<_> =
        CHECKS.iter().filter_map(|check| (check.find)(&examined).map(|found| (check.name, found))).collect();
    let version = examined.stats.get("larder_version").map(|version| format!("larder {version}"));
    let version = version.or_else(|| examined.stats.get("version").cloned()).unwrap_or_default();
    let mut text = format!("{remote}: {version}, {} of {} checks find something\n", found.len(), CHECKS.len());
    for (name, (what, cure)) in &found {
        // Ignored: writing to a String cannot fail.
        let _ = write!(text, "\n{name:<16}{what}\n{:<16}cure: {cure}\n", "");
    }
    Ok((text, found.len()))
}

/// The rows that answer a command. A server that does not know the command, or refuses it, has none of them.
fn optional_rows(server: &mut ServerConnection, command: &str) -> StatRows {
    // Ignored: the checks that need them find nothing. A connection that has ended fails at the next `stats`.
    server.rows(command).unwrap_or_default()
}

/// A row as a number.
fn number(rows: &StatRows, name: &str) -> Option<f64> {
    rows.get(name)?.parse().ok()
}

fn requests(stats: &StatRows) -> f64 {
    [
        "cmd_get",
        "cmd_set",
        "cmd_touch",
        "delete_hits",
        "delete_misses",
        "incr_hits",
        "incr_misses",
        "decr_hits",
        "decr_misses",
    ]
    .iter()
    .filter_map(|name| number(stats, name))
    .sum()
}

/// The memory of a process on this machine.
fn memory_of(address: &ServerAddress, stats: &StatRows) -> Option<(f64, f64)> {
    let is_here = match address {
        ServerAddress::Tcp(host, _) => ["localhost", "127.0.0.1", "::1"].contains(&host.as_str()),
        ServerAddress::Unix(_) => true,
    };
    let pid: u32 = stats.get("pid").filter(|_| is_here)?.parse().ok()?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
    };
    Some((bytes("AnonHugePages:")? + bytes("ShmemPmdMapped:").unwrap_or(0.0), bytes("Rss:")?))
}

fn certificate(server: &ExaminedServer) -> Option<(String, String)> {
    let end = number(&server.stats, "ssl_certificate_not_after").filter(|end| *end > 0.0)?;
    let days = (end - number(&server.stats, "time")?) / DAY_S;
    let what = match days {
        days if days < 0.0 => "the certificate has expired".to_string(),
        days if days < CERTIFICATE_DAYS => format!("the certificate expires in {days:.0} days"),
        _ => return None,
    };
    Some((what, "renew the files of -o ssl_chain_cert and ssl_key; larder reads them again by itself".to_string()))
}

fn connections(server: &ExaminedServer) -> Option<(String, String)> {
    let most = number(&server.stats, "max_connections").filter(|most| *most > 0.0)?;
    let open = number(&server.stats, "curr_connections")?;
    let refused = number(&server.stats, "rejected_connections").unwrap_or(0.0);
    let what = if refused > 0.0 {
        format!("{refused} connections were refused, because {most} of -c were open; {open} are open now")
    } else if open >= CONNECTIONS_SHARE_LEAST * most {
        format!("{open} of {most} connections are open; further ones are refused")
    } else {
        return None;
    };
    Some((what, format!("-c {}, or -o idle_timeout=SECONDS if clients leave connections behind", 2.0 * most)))
}

fn no_memory(server: &ExaminedServer) -> Option<(String, String)> {
    let refused = number(&server.stats, "store_no_memory").filter(|refused| *refused > 0.0)?;
    let cure = format!("a larger -m{}, or no -M, so that old items are evicted", twice(server));
    Some((format!("{refused} values were refused for lack of memory"), cure))
}

/// The number of evicted keys that the ghost remembers is about the number of items.
fn memory(server: &ExaminedServer) -> Option<(String, String)> {
    let gets = number(&server.stats, "cmd_get").filter(|gets| *gets > 0.0)?;
    let more = 100.0 * number(&server.stats, "ghost_hits")? / gets;
    let hits = 100.0 * number(&server.stats, "get_hits")? / gets;
    (more >= MORE_HITS_LEAST).then(|| {
        let better = (hits + more).min(100.0);
        let what =
            format!("memory is too small: {hits:.1} % of the gets hit; with twice the memory about {better:.1} %");
        (what, format!("a larger -m{}", twice(server)))
    })
}

/// The value for -m that doubles memory, to be put behind `-m`.
fn twice(server: &ExaminedServer) -> String {
    number(&server.stats, "limit_maxbytes").map(|bytes| format!(" (-m {:.0})", 2.0 * bytes / MIB)).unwrap_or_default()
}

fn early_evictions(server: &ExaminedServer) -> Option<(String, String)> {
    let of_classes = |name: &str| -> Vec<f64> {
        let rows = server.items.iter().filter(|(row, _)| row.rsplit(':').next() == Some(name));
        rows.filter_map(|(_, value)| value.parse().ok()).collect()
    };
    let evicted: f64 = of_classes("evicted").iter().sum();
    let with_ttl: f64 = of_classes("evicted_nonzero").iter().sum();
    let youngest = of_classes("evicted_time").into_iter().filter(|age| *age > 0.0).fold(f64::MAX, f64::min);
    (evicted > 0.0 && with_ttl >= EVICTED_WITH_TTL_LEAST * evicted).then(|| {
        let share = 100.0 * with_ttl / evicted;
        let age =
            if youngest < f64::MAX { format!(", some {youngest} s after their last access") } else { String::new() };
        let what = format!("items leave before their time: {share:.0} % of the evicted ones had a time to live{age}");
        (what, format!("a larger -m{}, or shorter times to live", twice(server)))
    })
}

/// The counts of hot keys cover about two half-lives.
fn hot_key(server: &ExaminedServer) -> Option<(String, String)> {
    let half_life = number(&server.hot_keys, "half_life")?;
    let covered = (2.0 * half_life).min(number(&server.stats, "uptime")?).max(1.0);
    let per_second = number(&server.hot_keys, "1:requests")? / covered;
    let share = per_second / server.requests_per_second.max(1.0);
    (server.requests_per_second >= HOT_RATE_LEAST && share >= HOT_SHARE_LEAST).then(|| {
        let key = server.hot_keys.get("1:key").cloned().unwrap_or_default();
        let what = format!("the key {key} gets about {:.0} % of the requests", 100.0 * share.min(1.0));
        (what, "keep it in the clients for a second, or under several names; stats hotkeys shows it".to_string())
    })
}

fn huge_pages(server: &ExaminedServer) -> Option<(String, String)> {
    let (huge, rss) = server.huge_and_rss?;
    (rss >= HUGE_RSS_LEAST && huge < HUGE_SHARE_LEAST * rss).then(|| {
        let what = format!("{:.0} % of {:.0} MiB lie in huge pages", 100.0 * huge / rss, rss / MIB);
        (what, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, and -L".to_string())
    })
}

fn large_items(server: &ExaminedServer) -> Option<(String, String)> {
    let refused = number(&server.stats, "store_too_large")?;
    let sets = number(&server.stats, "cmd_set")?.max(1.0);
    let most = number(&server.settings, "item_size_max").map(|bytes| format!(" of {bytes} bytes")).unwrap_or_default();
    (refused >= REFUSED_SHARE_LEAST * sets && refused > 0.0).then(|| {
        (format!("{refused} values were refused, because they are above the limit{most}"), "a larger -I".to_string())
    })
}

fn long_pipelines(server: &ExaminedServer) -> Option<(String, String)> {
    let yields = number(&server.stats, "conn_yields")?;
    (yields >= YIELDED_SHARE_LEAST * requests(&server.stats).max(1.0) && yields > 0.0).then(|| {
        let what = format!("clients with long pipelines were interrupted {yields} times for others");
        (what, "a larger -R, if the delay of the others does not matter".to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::{CHECKS, ExaminedServer, StatRows};

    fn rows(text: &str) -> StatRows {
        text.split_whitespace()
            .filter_map(|row| row.split_once('='))
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    fn finding(check: &str, server: &ExaminedServer) -> Option<String> {
        let check = CHECKS.iter().find(|row| row.name == check).expect("a name of the table");
        (check.find)(server).map(|(what, cure)| format!("{what}; cure: {cure}"))
    }

    /// A name of a check; statistics with which it finds nothing; statistics with which it does; what it says then.
    const CASES: [(&str, &str, &str, &str); 9] = [
        (
            "certificate",
            "ssl_certificate_not_after=4000000 time=1000000",
            "ssl_certificate_not_after=1864000 time=1000000",
            "expires in 10 days",
        ),
        (
            "connections",
            "max_connections=1000 curr_connections=799 rejected_connections=0",
            "max_connections=1000 curr_connections=800",
            "cure: -c 2000",
        ),
        ("no memory", "store_no_memory=0", "store_no_memory=3 limit_maxbytes=67108864", "cure: a larger -m (-m 128)"),
        (
            "memory",
            "cmd_get=1000 get_hits=900 ghost_hits=9 limit_maxbytes=67108864",
            "cmd_get=1000 get_hits=900 ghost_hits=41 limit_maxbytes=67108864",
            "90.0 % of the gets hit; with twice the memory about 94.1 %; cure: a larger -m (-m 128)",
        ),
        (
            "early evictions",
            "items:1:evicted=10 items:1:evicted_nonzero=4 items:1:evicted_time=9",
            "items:1:evicted=10 items:1:evicted_nonzero=6 items:1:evicted_time=9",
            "60 % of the evicted ones had a time to live, some 9 s after",
        ),
        (
            "hot key",
            "half_life=60 uptime=1000 1:requests=30000 1:key=a",
            "half_life=60 uptime=1000 1:requests=48000 1:key=a",
            "the key a gets about 40 % of the requests",
        ),
        ("huge pages", "huge=600", "huge=30", "3 % of 1024 MiB lie in huge pages"),
        (
            "large items",
            "store_too_large=0 cmd_set=10",
            "store_too_large=1 cmd_set=10 item_size_max=1048576",
            "of 1048576 bytes; cure: a larger -I",
        ),
        ("long pipelines", "conn_yields=9 cmd_get=1000", "conn_yields=11 cmd_get=1000", "interrupted 11 times"),
    ];

    #[test]
    fn every_check_finds_what_it_is_for_and_nothing_else() {
        let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(CASES.map(|(name, ..)| name).to_vec(), names);
        for (name, calm, ill, said) in CASES {
            let server = |text: &str| {
                let huge = rows(text).get("huge").and_then(|mib| mib.parse::<f64>().ok());
                ExaminedServer {
                    stats: rows(text),
                    settings: rows(text),
                    items: rows(text),
                    hot_keys: rows(text),
                    requests_per_second: 1000.0,
                    huge_and_rss: huge.map(|mib| (mib * 1024.0 * 1024.0, 1024.0 * 1024.0 * 1024.0)),
                }
            };
            assert_eq!(finding(name, &server(calm)), None, "{name}");
            let found = finding(name, &server(ill)).unwrap_or_default();
            assert!(found.contains(said), "{name}: {found}");
            for check in &CHECKS {
                assert!(check.name == name || (check.find)(&server(ill)).is_none(), "{name}: {}, too", check.name);
            }
        }
    }

    #[test]
    fn the_page_has_a_row_for_every_check() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/doc/tools.md");
        let page = std::fs::read_to_string(path).expect("the page is there");
        for check in &CHECKS {
            assert!(page.contains(&format!("\n| {} | ", check.name)), "doc/tools.md lacks {}", check.name);
        }
    }

    #[test]
    fn a_server_without_rows_has_no_findings() {
        assert!(CHECKS.iter().all(|check| (check.find)(&ExaminedServer::default()).is_none()));
    }

    #[test]
    fn a_certificate_that_has_expired_is_told() {
        let server =
            ExaminedServer { stats: rows("ssl_certificate_not_after=5 time=1000000"), ..ExaminedServer::default() };
        assert!(finding("certificate", &server).is_some_and(|found| found.starts_with("the certificate has expired")));
    }
}

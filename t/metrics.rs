//! /metrics and /stats.json. golden/exporter.txt has what prometheus-memcached-exporter makes of each row of `stats`.

use std::collections::{BTreeMap, BTreeSet};

use larder::protocol::HttpReply;

use crate::http::{reply, with_fields};
use crate::http_items::asked;
use crate::support::{Client, Server};

/// Metric, type, group of `stats`, row. A row may be a difference of rows.
const EXPORTER: &str = include_str!("golden/exporter.txt");

/// Metrics that no single row of `stats` has, and those of the process.
const OTHERS: [&str; 9] = [
    "memcached_up",
    "memcached_version",
    "memcached_process_cpu_seconds_total",
    "memcached_process_max_fds",
    "memcached_process_open_fds",
    "memcached_process_resident_memory_bytes",
    "memcached_process_virtual_memory_bytes",
    "memcached_process_virtual_memory_max_bytes",
    "memcached_process_start_time_seconds",
];

/// Rows that change between two reports: they count time, or what the reports themselves take.
const MOVING: [&str; 6] = ["uptime", "time", "rusage_user", "rusage_system", "bytes_read", "bytes_written"];

/// A page of metrics.
struct MetricsPage {
    kinds: BTreeMap<String, String>,
    /// Values by name and labels.
    samples: BTreeMap<String, f64>,
}

impl MetricsPage {
    fn get(client: &mut Client, path: &str) -> Self {
        let (head, body) = asked(client, &format!("GET {path}"), "", b"");
        assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
        let text = String::from_utf8(body).expect("metrics are text");
        let (mut kinds, mut samples, mut family) = (BTreeMap::new(), BTreeMap::new(), String::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a family has a meaning");
                assert!(!help.is_empty() && !kinds.contains_key(name), "{line}");
                family = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a family has a type");
                assert_eq!(name, family);
                kinds.insert(family.clone(), kind.to_owned());
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
                let is_histogram = kinds.get(&family).is_some_and(|kind| kind == "histogram");
                let of = name.split('{').next().unwrap_or_default();
                let suffixes = if is_histogram { &["_bucket", "_sum", "_count"][..] } else { &[""] };
                let is_of_family = suffixes.iter().any(|suffix| of.strip_suffix(suffix) == Some(&family));
                assert!(is_of_family, "samples of a family stand together: {line}");
                let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(samples.insert(name.to_owned(), value).is_none(), "twice: {name}");
            }
        }
        Self { kinds, samples }
    }
}

/// Uses what the metrics count.
fn exercise(client: &mut Client) {
    client.send("set a 0 0 1\r\n1\r\nset b 0 0 5\r\nhello\r\ngets a\r\nget none\r\nincr a 5\r\nincr none 1\r\n");
    client.send("decr a 1\r\ndecr none 1\r\ntouch a 0\r\ntouch none 0\r\ndelete b\r\ndelete none\r\n");
    client.send("cas a 0 0 1 1\r\n2\r\ncas none 0 0 1 1\r\n2\r\nset big 0 0 2000000\r\n");
    client.send(vec![b'x'; 2_000_000]);
    client.send(format!("\r\nset c 0 0 3000\r\n{}\r\nmn\r\n", "y".repeat(3000)));
    client.read_until(b"MN\r\n").expect("all is answered");
}

/// The value of a golden row: `a-b-c` of rows, or a word that means a number.
fn expected(rows: &BTreeMap<String, String>, prefix: &str, row: &str) -> Option<f64> {
    let number = |name: &str| match rows.get(&format!("{prefix}{name}"))?.as_str() {
        "yes" => Some(1.0),
        "no" => Some(0.0),
        number => number.parse::<f64>().ok(),
    };
    row.split('-').map(number).reduce(|sum, next| Some(sum? - next?))?
}

#[test]
fn metrics_are_those_of_the_exporter() {
    let server = Server::start(&["--http=0", "-m", "64"]);
    let (mut text, mut http) = (server.client(), server.http_client());
    exercise(&mut text);
    let groups = BTreeMap::from(["", "items", "slabs", "settings"].map(|group| (group, text.stats(group))));
    let page = MetricsPage::get(&mut http, "/metrics");
    let mut known = BTreeSet::from(OTHERS.map(str::to_owned));
    for line in EXPORTER.lines() {
        let [metric, kind, group, row] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (family, labels) = metric.split_once('{').map_or((metric, ""), |(family, labels)| (family, labels));
        known.insert(family.to_owned());
        let is_by_class = family.starts_with("memcached_slab_");
        let rows = &groups[if group == "stats" { "" } else { group }];
        let classes: BTreeSet<&str> = match (is_by_class, group) {
            (false, _) => BTreeSet::from([""]),
            (true, "items") => rows.keys().filter_map(|name| name.split(':').nth(1)).collect(),
            (true, _) => rows.keys().filter_map(|name| Some(name.split_once(':')?.0)).collect(),
        };
        assert!(!classes.is_empty());
        for class in classes {
            let (prefix, sample) = match (is_by_class, group) {
                (false, _) => (String::new(), metric.to_owned()),
                (true, "items") => (format!("items:{class}:"), by_class(family, class, labels)),
                (true, _) => (format!("{class}:"), by_class(family, class, labels)),
            };
            let wanted = expected(rows, &prefix, row);
            let found = page.samples.get(&sample).copied();
            let is_moving = MOVING.contains(&row) && wanted.is_some() == found.is_some();
            assert!(wanted == found || is_moving, "{sample}: {found:?}, and the row {row} is {wanted:?}");
            if found.is_some() {
                assert_eq!(page.kinds[family], kind, "{family}");
            }
        }
    }
    for family in page.kinds.keys().filter(|family| family.starts_with("memcached_")) {
        assert!(known.contains(family), "the exporter has no {family}");
    }
    assert_eq!(page.samples["memcached_up"], 1.0);
    assert_eq!(page.samples["memcached_version{version=\"1.6.45\"}"], 1.0);
    assert_eq!(page.samples["memcached_commands_total{command=\"set\",status=\"hit\"}"], 3.0);
}

/// The sample of a size class. `labels` are those behind the class, with a brace.
fn by_class(family: &str, class: &str, labels: &str) -> String {
    let labels = labels.trim_end_matches('}');
    let separator = if labels.is_empty() { "" } else { "," };
    format!("{family}{{slab=\"{class}\"{separator}{labels}}}")
}

#[test]
fn the_parts_of_memory_and_the_process_are_shown() {
    let server = Server::start(&["--http=0"]);
    let mut http = server.http_client();
    let page = MetricsPage::get(&mut http, "/metrics");
    let part = |name: &str| page.samples[&format!("larder_memory_bytes{{part=\"{name}\"}}")];
    for name in ["index", "read_buffers", "connections", "slab_free"] {
        assert!(part(name) >= 0.0, "{name}");
    }
    assert!(part("index") > 0.0 && page.samples["memcached_process_resident_memory_bytes"] > 0.0);
    assert!(page.samples["memcached_process_max_fds"] >= 1024.0);
    assert_eq!(page.samples["larder_ready"], 1.0);
    let started = page.samples["memcached_process_start_time_seconds"];
    let time = page.samples["memcached_time_seconds"];
    assert!((0.0..60.0).contains(&(time - started)), "started at {started}, now {time}");
    let again = MetricsPage::get(&mut http, "/metrics");
    assert_eq!(again.samples["memcached_process_start_time_seconds"], started);
}

#[test]
fn latencies_are_histograms() {
    let server = Server::start(&["--http=0", "-t", "1"]);
    let (mut text, mut http) = (server.client(), server.http_client());
    (0..2_000).for_each(|_| text.ask("get none\r\n", "END\r\n"));
    let page = MetricsPage::get(&mut http, "/metrics");
    assert_eq!(page.kinds["larder_command_duration_seconds"], "histogram");
    let sample = |suffix: &str, more: &str| {
        page.samples[&format!("larder_command_duration_seconds_{suffix}{{command=\"get\"{more}}}")]
    };
    let count = sample("count", "");
    assert!(count > 0.0 && sample("bucket", ",le=\"+Inf\"") == count);
    let upper: Vec<f64> = (0..=20).map(|power| f64::from(1 << power) / 1e6).collect();
    let buckets: Vec<f64> = upper.iter().map(|bound| sample("bucket", &format!(",le=\"{bound:.6}\""))).collect();
    assert!(buckets.is_sorted() && buckets.iter().all(|values| *values <= count), "{buckets:?}");
    assert!(sample("sum", "") > 0.0 && page.samples["larder_pipeline_depth_count"] > 0.0);
}

#[test]
fn size_classes_can_be_left_out() {
    let server = Server::start(&["--http=0"]);
    exercise(&mut server.client());
    let mut http = server.http_client();
    let count = |page: &MetricsPage| page.samples.keys().filter(|name| name.contains("slab=\"")).count();
    let all = MetricsPage::get(&mut http, "/metrics?slab=all");
    let off = MetricsPage::get(&mut http, "/metrics?slab=off");
    assert!(count(&all) > 50);
    let shown: Vec<&String> = off.samples.keys().filter(|name| name.contains("slab=\"")).collect();
    assert!(!shown.is_empty() && shown.iter().all(|name| name.starts_with("memcached_slab_items_outofmemory_total")));
    http.ask("GET /metrics?slab=some HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::BadQuery));
}

#[test]
fn the_rows_of_stats_are_json() {
    let server = Server::start(&["--http=0", "-X"]);
    exercise(&mut server.client());
    let mut http = server.http_client();
    let (head, body) = asked(&mut http, "GET /stats.json", "", b"");
    assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
    let text = String::from_utf8(body).expect("JSON is text");
    for expected in [
        "{\"stats\":{\"pid\":",
        "\"version\":\"1.6.45\"",
        "\"curr_items\":2,",
        "\"items:1:number\":",
        "\"active_slabs\":",
        "\"maxconns\":1024,",
        // -X forbids what shows keys.
        "\"hotkeys\":{},\"latency\":{\"sample_rate\":128",
        "\"slowlog\":{},\"prefixes\":{},\"replication\":{}}\n",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let (_, some) = asked(&mut http, "GET /stats.json?group=settings,slabs", "", b"");
    let some = String::from_utf8(some).expect("JSON is text");
    assert!(some.starts_with("{\"settings\":{\"maxbytes\":") && some.contains("},\"slabs\":{\""), "{some}");
    assert!(!some.contains("\"stats\":{"));
    http.ask("GET /stats.json?group=stats,no HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::BadQuery));
    let (head, body) = asked(&mut http, "HEAD /stats.json", "", b"");
    assert!(!head.contains("Content-Length: 0\r\n") && body.is_empty(), "{head}");
}

#[test]
fn prefixes_and_hot_keys_are_json_too() {
    let server = Server::start(&["--http=0"]);
    let mut text = server.client();
    text.ask("set user:1 0 0 1\r\nx\r\n", "STORED\r\n");
    let mut http = server.http_client();
    let (_, body) = asked(&mut http, "GET /stats.json?group=prefixes,hotkeys", "", b"");
    let body = String::from_utf8(body).expect("JSON is text");
    assert!(body.contains("\"user:items\":1,") && body.contains("\"hotkeys\":{\"enabled\":1,"), "{body}");
}

#[test]
fn metrics_need_the_token_if_there_is_one() {
    let directory = crate::support::scratch_directory();
    let file = directory.join("token");
    std::fs::write(&file, "s3cret").expect("the directory is writable");
    let server = Server::start(&["--http=0", "-o", &format!("http_token_file={}", file.display())]);
    let mut http = server.http_client();
    for path in ["/metrics", "/stats.json"] {
        let refused = with_fields(HttpReply::Unauthorized, "WWW-Authenticate: Bearer\r\n");
        http.ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"), refused);
        let (head, _) = asked(&mut http, &format!("GET {path}"), "Authorization: Bearer s3cret\r\n", b"");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    }
}

//! What /metrics shows. A row of `stats` says in its own table how it is shown; here are the metrics that several rows
//! make together, those of settings, and the choice of size classes.
//!
//! ```text
//! rows of a table ──StatMetric──▶ Exposition::row      names of prometheus-memcached-exporter, or larder_<row>
//! ```

use std::collections::{HashMap, HashSet};

use crate::base::{MetricKind, StatDoc, StatMetric, StatValue, documented};
use crate::store::{StoreReport, report_rows};

use super::exposition::{Exposition, metric_of, quoted};
use super::general::ProcessView;
use super::latency::SLOW_LOG_ROWS;
use super::latency_metrics::{OWN_SLOW_LOG, latency_docs};
use super::manual::general;
use super::replication::{NODE_ROWS, PEER_ROWS, PeerFigures, ReplicationFigures};

/// What stands before the name of a row without another metric.
const OWN: &str = "larder_";
/// The same for a row of a size class.
const OWN_SLAB: &str = "larder_slab_";
/// Size classes that `slab=top` shows.
const TOP_CLASSES: usize = 10;
/// The metric that all classes have with any choice: an alert needs it.
const ALWAYS_SHOWN: &str = "outofmemory";

/// The meaning of families to which several rows belong.
const FAMILIES: &[(&str, &str)] = &[
    (COMMANDS, "Commands by their outcome. A set that is a cas counts as cas."),
    (SLAB_COMMANDS, "Commands by their outcome, for each size class."),
    ("memcached_slab_lru_hits_total", "Always 0: larder does not have these lists."),
    ("larder_replication_sent_records_total", "Changes and values that were sent to the other node, by type."),
    ("larder_replication_received_records_total", "Changes and values that have arrived from the other node, by type."),
    ("larder_replication_resyncs_total", "How often this node caught up with the other one, by kind."),
    ("larder_tls_handshakes_total", "TLS handshakes by their result."),
    ("larder_memory_bytes", "Memory of the process by part. Parts of slab pages begin with slab."),
    ("larder_restart_items", "Items of the memory file (-e) that the start has kept or dropped."),
    ("larder_restart_seconds", "Time of the phases of the start with a memory file (-e)."),
];

const COMMANDS: &str = "memcached_commands_total";
const SLAB_COMMANDS: &str = "memcached_slab_commands_total";

/// The meaning of a family.
pub(super) fn family_help<'h>(family: &str, row_help: &'h str) -> &'h str {
    let known = FAMILIES.iter().find(|(name, _)| *name == family).map(|(_, help)| *help);
    known.unwrap_or(if row_help.is_empty() { ABSENT_HELP } else { row_help })
}

/// The meaning of a metric whose row is always 0.
const ABSENT_HELP: &str = "Always 0: larder does not have this.";

/// Settings with a metric, which the exporter shows while the crawler is on: row of `stats settings`, metric, meaning.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("lru_crawler", "memcached_lru_crawler_enabled", "Whether the commands of the LRU crawler are allowed."),
    ("lru_crawler_sleep", "memcached_lru_crawler_sleep", "The setting lru_crawler_sleep, which has no effect."),
    ("lru_crawler_tocrawl", "memcached_lru_crawler_to_crawl", "The setting lru_crawler_tocrawl, which has no effect."),
    (
        "lru_maintainer_thread",
        "memcached_lru_crawler_maintainer_thread",
        "The setting lru_maintainer, which has no effect.",
    ),
    ("hot_lru_pct", "memcached_lru_crawler_hot_percent", "The setting hot_lru_pct, which has no effect."),
    ("warm_lru_pct", "memcached_lru_crawler_warm_percent", "The setting warm_lru_pct, which has no effect."),
    ("hot_max_factor", "memcached_lru_crawler_hot_max_factor", "The setting hot_max_factor, which has no effect."),
    ("warm_max_factor", "memcached_lru_crawler_warm_max_factor", "The setting warm_max_factor, which has no effect."),
];

/// Figures of the process that `stats` does not show. `None`: the system does not tell it.
pub struct ProcessFigures {
    /// Whether /ready answers 200.
    pub is_ready: bool,
    /// CPU time in microseconds.
    pub cpu_us: u64,
    /// Limit on open descriptors.
    pub files_max: Option<u64>,
    /// Open descriptors.
    pub files_open: Option<u64>,
    /// Address space in use and resident memory, in bytes.
    pub memory_bytes: Option<(u64, u64)>,
    /// Limit on the address space, in bytes.
    pub memory_max: Option<u64>,
    /// Date of the start.
    pub started_unix_s: i64,
}

/// The value of a metric of the process.
type ProcessValue = fn(&ProcessFigures) -> Option<String>;

/// The metrics of [`ProcessFigures`]: name, type, meaning, value.
const PROCESS: &[(&str, MetricKind, &str, ProcessValue)] = &[
    ("memcached_up", MetricKind::Gauge, "Always 1: the server answers.", |_| Some("1".into())),
    ("larder_ready", MetricKind::Gauge, "1 while /ready answers 200.", |process| {
        Some(u8::from(process.is_ready).to_string())
    }),
    ("memcached_process_cpu_seconds_total", MetricKind::Counter, "CPU time of the process, in seconds.", |process| {
        Some(StatValue::Micros(process.cpu_us).to_string())
    }),
    ("memcached_process_max_fds", MetricKind::Gauge, "Limit on open file descriptors.", |process| {
        Some(process.files_max?.to_string())
    }),
    (
        "memcached_process_open_fds",
        MetricKind::Gauge,
        "Open file descriptors. Missing on kernels older than 6.2.",
        |process| Some(process.files_open?.to_string()),
    ),
    (
        "memcached_process_resident_memory_bytes",
        MetricKind::Gauge,
        "Resident memory of the process, in bytes.",
        |process| Some(process.memory_bytes?.1.to_string()),
    ),
    ("memcached_process_virtual_memory_bytes", MetricKind::Gauge, "Address space in use, in bytes.", |process| {
        Some(process.memory_bytes?.0.to_string())
    }),
    (
        "memcached_process_virtual_memory_max_bytes",
        MetricKind::Gauge,
        "Limit on the address space, in bytes; -1: no limit.",
        |process| Some(process.memory_max.map_or("-1".into(), |bytes| bytes.to_string())),
    ),
    ("memcached_process_start_time_seconds", MetricKind::Gauge, "Unix time of the start, in seconds.", |process| {
        Some(process.started_unix_s.to_string())
    }),
];

/// Adds figures of the process.
pub fn add_process(exposition: &mut Exposition, process: &ProcessFigures) {
    for (name, kind, help, value) in PROCESS {
        if let Some(value) = value(process) {
            exposition.add(name, *kind, help, String::new(), value);
        }
    }
}

/// The rows of a report by name.
fn by_name(docs: Vec<StatDoc>) -> HashMap<&'static str, StatDoc> {
    docs.into_iter().map(|doc| (doc.name, doc)).collect()
}

/// Adds the rows of plain `stats`. `of_store` calls its argument with each row of the store.
pub fn add_general(
    exposition: &mut Exposition,
    process: &ProcessView,
    of_store: &mut dyn FnMut(crate::base::EmitRow<'_>),
) {
    let docs = by_name(general());
    let mut row = |name: &str, value: &dyn std::fmt::Display| {
        if let Some(doc) = docs.get(name) {
            exposition.row(doc, OWN, "", &value.to_string());
        }
    };
    process.rows(&mut row);
    of_store(&mut row);
    let totals = &process.totals;
    let cas = totals.cas_misses.read() + totals.cas_hits.read() + totals.cas_badval.read();
    let sets = totals.cmd_set.read().saturating_sub(cas);
    add_sets(exposition, COMMANDS, "", sets);
}

/// The exporter shows sets without the commands that are a cas.
fn add_sets(exposition: &mut Exposition, family: &str, labels: &str, sets: u64) {
    let labels = format!("{labels}command=\"set\",status=\"hit\"");
    exposition.add(family, MetricKind::Counter, "", labels, sets.to_string());
}

/// Adds the settings that the exporter shows. `rows` calls its argument with each row of `stats settings`.
pub fn add_settings(exposition: &mut Exposition, rows: &mut dyn FnMut(crate::base::EmitRow<'_>)) {
    let mut found: HashMap<&str, String> = HashMap::new();
    rows(&mut |name, value| {
        if let Some((row, ..)) = SETTINGS.iter().find(|(row, ..)| *row == name) {
            let value = value.to_string();
            let number = match value.as_str() {
                "yes" => "1".into(),
                "no" => "0".into(),
                _ => value,
            };
            found.insert(row, number);
        }
    });
    // The exporter shows none of them while the crawler is off.
    let is_shown = found.get("lru_crawler").is_some_and(|value| value == "1");
    for (row, name, help) in SETTINGS.iter().filter(|_| is_shown) {
        if let Some(value) = found.remove(row) {
            exposition.add(name, MetricKind::Gauge, help, String::new(), value);
        }
    }
}

/// The size classes that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlabChoice {
    /// All, as the exporter does.
    All,
    /// Those with most bytes.
    Top,
    /// No class.
    Off,
}

/// Rows of size classes: class, name, value.
#[derive(Default)]
pub struct ClassRows(Vec<(u8, String, String)>);

impl ClassRows {
    /// Adds a row of `stats items` (`items:<class>:<name>`) or `stats slabs` (`<class>:<name>`, or a name alone).
    pub fn push(&mut self, name: &str, value: &dyn std::fmt::Display) {
        let name = name.strip_prefix("items:").unwrap_or(name);
        let (class, name) = match name.split_once(':') {
            Some((class, name)) => (class.parse().unwrap_or(0), name),
            None => (0, name),
        };
        self.0.push((class, name.to_owned(), value.to_string()));
    }

    fn number(&self, class: u8, wanted: &str) -> u64 {
        let found = self.0.iter().find(|(of, name, _)| *of == class && name == wanted);
        found.and_then(|(.., value)| value.parse().ok()).unwrap_or(0)
    }

    /// The classes that are shown.
    fn chosen(&self, choice: SlabChoice) -> HashSet<u8> {
        let mut by_bytes: Vec<(u64, u8)> = self
            .0
            .iter()
            .filter(|(_, name, _)| name == "total_pages")
            .map(|(class, _, pages)| (pages.parse().unwrap_or(0), *class))
            .collect();
        by_bytes.sort_unstable_by(|one, other| other.cmp(one));
        let count = match choice {
            SlabChoice::All => by_bytes.len(),
            SlabChoice::Top => TOP_CLASSES,
            SlabChoice::Off => 0,
        };
        by_bytes.into_iter().take(count).map(|(_, class)| class).collect()
    }
}

/// Adds the rows of size classes.
pub fn add_classes(exposition: &mut Exposition, rows: &ClassRows, choice: SlabChoice) {
    let docs = by_name([report_rows(StoreReport::Items), report_rows(StoreReport::Slabs)].concat());
    let chosen = rows.chosen(choice);
    for (class, name, value) in &rows.0 {
        let Some(doc) = docs.get(name.as_str()) else { continue };
        match class {
            0 => exposition.row(doc, OWN, "", value),
            class if chosen.contains(class) || name == ALWAYS_SHOWN => {
                exposition.row(doc, OWN_SLAB, &format!("slab=\"{class}\""), value);
            }
            _ => {}
        }
        if name == "cmd_set" && chosen.contains(class) {
            let cas = rows.number(*class, "cas_hits") + rows.number(*class, "cas_badval");
            let sets = rows.number(*class, "cmd_set").saturating_sub(cas);
            add_sets(exposition, SLAB_COMMANDS, &format!("slab=\"{class}\","), sets);
        }
    }
}

/// Figures of another node that are not in the unit of their rows: metric, row, help, and milliseconds.
type PeerSeconds = (&'static str, &'static str, &'static str, fn(&PeerFigures) -> i64);
const PEER_SECONDS: [PeerSeconds; 3] = [
    (
        "larder_replication_lag_seconds",
        "lag_ms",
        "Age of the oldest change that the other node has not acknowledged, in seconds.",
        |peer| peer.lag_ms.cast_signed(),
    ),
    (
        "larder_replication_rtt_seconds",
        "rtt_ms",
        "Time from the latest changes to their acknowledgement by the other node, in seconds.",
        |peer| peer.rtt_ms.cast_signed(),
    ),
    (
        "larder_replication_skew_seconds",
        "skew_ms",
        "By how much the clock of the other node is ahead, in seconds.",
        |peer| peer.skew_ms,
    ),
];

/// Adds the rows of `stats replication`.
pub fn add_replication(exposition: &mut Exposition, figures: &ReplicationFigures) {
    for (doc, row) in documented(NODE_ROWS).iter().zip(NODE_ROWS) {
        exposition.row(doc, OWN, "", &(row.value)(figures).to_string());
    }
    let docs = documented(PEER_ROWS);
    for peer in &figures.peers {
        let labels = format!("peer={}", quoted(&peer.name));
        for (doc, row) in docs.iter().zip(PEER_ROWS) {
            exposition.row(doc, OWN, &labels, &(row.value)(peer).to_string());
        }
        for (family, _, help, ms_of) in PEER_SECONDS {
            let ms = ms_of(peer);
            let (sign, size) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
            let seconds = format!("{sign}{}.{:03}", size / 1000, size % 1000);
            exposition.add(family, MetricKind::Gauge, help, labels.clone(), seconds);
        }
    }
}

const HEAD: &str = "\
# Metrics

<!-- Printed from the tables of the rows by `make doc`. Edit those, not this file. -->

`--http=8080` makes larder answer `/metrics` in the text format of Prometheus. [http.md](http.md) describes the port.

```yaml
scrape_configs:
  - job_name: memcached
    static_configs: [{ targets: ['127.0.0.1:8080'] }]
```

The metrics that begin with `memcached_` have the names, types and labels of prometheus-memcached-exporter, so its
dashboards and alerts work without it. A few types are odd for that reason: `memcached_uptime_seconds` is a counter. All
other rows of `stats` begin with `larder_`. A counter rises until the server starts again, or until `stats reset`.

While a server is down there is no `memcached_up` of 0: alert on `up == 0` of its job, which Prometheus makes itself.
alerts.yaml has the alerts of Grafana's memcached mixin, and some for larder.

Most samples are of size classes. `/metrics?slab=top` shows the ten classes with most memory, and `/metrics?slab=off` no
class. `memcached_slab_items_outofmemory_total` is always there for all classes.
";

/// doc/metrics.md.
pub fn metrics_markdown() -> String {
    let mut text = String::from(HEAD);
    let mut section = |heading: &str, rows: Vec<(String, &str, String, String)>| {
        text.push_str(&format!("\n## {heading}\n\n| metric | type | row | meaning |\n|---|---|---|---|\n"));
        for (metric, kind, row, meaning) in rows {
            text.push_str(&format!("| `{metric}` | {kind} | {row} | {meaning} |\n"));
        }
    };
    let of_rows = |docs: Vec<StatDoc>, own: &str, labels: &str| -> Vec<(String, &str, String, String)> {
        let shown = |doc: &StatDoc| {
            let (family, more, kind) = metric_of(doc, own)?;
            let all: Vec<&str> = [labels, more].into_iter().filter(|labels| !labels.is_empty()).collect();
            let name = if all.is_empty() { family.clone() } else { format!("{family}{{{}}}", all.join(",")) };
            let help = if doc.help.is_empty() { ABSENT_HELP } else { doc.help };
            Some((name, kind.word(), format!("`{}`", doc.name), help.to_owned()))
        };
        docs.iter().filter_map(shown).collect()
    };
    let sets = |family: &str, labels: &str| {
        let name = format!("{family}{{{labels}command=\"set\",status=\"hit\"}}");
        vec![(name, "counter", "`cmd_set`".to_owned(), "Stores that are no cas.".to_owned())]
    };
    let process = PROCESS
        .iter()
        .map(|(name, kind, help, _)| ((*name).to_owned(), kind.word(), String::new(), (*help).to_owned()));
    section("The process", process.collect());
    section("`stats`", [of_rows(general(), OWN, ""), sets(COMMANDS, "")].concat());
    section("`stats latency`", latency_docs());
    section("`stats slowlog`", of_rows(documented(SLOW_LOG_ROWS), OWN_SLOW_LOG, ""));
    let settings = SETTINGS.iter().map(|(row, name, help)| {
        ((*name).to_owned(), MetricKind::Gauge.word(), format!("`{row}`"), (*help).to_owned())
    });
    section("`stats settings`, while the LRU crawler is on", settings.collect());
    let class = "slab=\"<class>\"";
    section("`stats items`, for each size class", of_rows(report_rows(StoreReport::Items), OWN_SLAB, class));
    let is_total =
        |doc: &StatDoc| matches!(doc.metric, StatMetric::Named("larder_active_slabs" | "memcached_malloced_bytes", _));
    let (totals, classes): (Vec<_>, Vec<_>) = report_rows(StoreReport::Slabs).into_iter().partition(is_total);
    let of_classes = [of_rows(classes, OWN_SLAB, class), sets(SLAB_COMMANDS, &format!("{class},"))].concat();
    section("`stats slabs`, for each size class", of_classes);
    section("`stats slabs`", of_rows(totals, OWN, ""));
    section("`stats replication`, with -x", of_rows(documented(NODE_ROWS), OWN, ""));
    let peer = "peer=\"<name>\"";
    let seconds = PEER_SECONDS.map(|(family, row, help, _)| {
        (format!("{family}{{{peer}}}"), MetricKind::Gauge.word(), format!("`{row}`"), help.to_owned())
    });
    let of_peers = [of_rows(documented(PEER_ROWS), OWN, peer), seconds.to_vec()].concat();
    section("`stats replication`, for each other node", of_peers);
    text
}

#[cfg(test)]
mod tests {
    use super::{ClassRows, SlabChoice, add_classes};
    use crate::stats::Exposition;

    #[test]
    fn the_classes_that_are_shown_can_be_chosen() {
        let mut rows = ClassRows::default();
        for class in 1..=12 {
            rows.push(&format!("items:{class}:outofmemory"), &0);
            rows.push(&format!("items:{class}:number"), &1);
            rows.push(&format!("{class}:total_pages"), &class);
            for (name, value) in [("cmd_set", 7), ("cas_hits", 2), ("cas_badval", 1)] {
                rows.push(&format!("{class}:{name}"), &value);
            }
        }
        rows.push("active_slabs", &12);
        for (choice, shown) in [(SlabChoice::All, 12), (SlabChoice::Top, 10), (SlabChoice::Off, 0)] {
            let (mut exposition, mut out) = (Exposition::default(), Vec::new());
            add_classes(&mut exposition, &rows, choice);
            exposition.write_to(&mut out);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.matches("memcached_slab_current_items{").count(), shown, "{choice:?}");
            assert_eq!(text.matches("memcached_slab_items_outofmemory_total{").count(), 12, "{choice:?}");
            assert_eq!(text.matches("command=\"set\",status=\"hit\"} 4\n").count(), shown, "{choice:?}");
            assert!(text.contains("larder_active_slabs 12\n"));
            assert_eq!(choice == SlabChoice::Top, shown == 10 && text.contains("{slab=\"3\"}"));
        }
    }
}

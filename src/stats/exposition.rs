//! Metrics in the text format of Prometheus, version 0.0.4.
//!
//! ```text
//! # HELP memcached_current_items Stored items.
//! # TYPE memcached_current_items gauge
//! memcached_current_items 3
//! ```
//!
//! All samples of a family stand together, and families are in the order of their names.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::base::{MetricKind, StatDoc, StatKind, StatMetric};

/// Metrics that are being collected.
#[derive(Default)]
pub struct Exposition {
    families: BTreeMap<String, MetricFamily>,
}

struct MetricFamily {
    kind: MetricKind,
    help: String,
    samples: Vec<Sample>,
}

struct Sample {
    /// What stands behind the name of the family: `_bucket`.
    suffix: &'static str,
    /// With braces, or empty.
    labels: String,
    value: String,
}

/// The metric of a row: the name of its family, its labels as the table has them, and its type.
pub(super) fn metric_of(doc: &StatDoc, own_prefix: &str) -> Option<(String, &'static str, MetricKind)> {
    match (doc.metric, doc.kind) {
        (StatMetric::Hidden, _) | (StatMetric::Own, StatKind::Absent) => None,
        (StatMetric::Own, StatKind::Gauge) => Some((format!("{own_prefix}{}", doc.name), "", MetricKind::Gauge)),
        (StatMetric::Own, StatKind::Counter) => {
            Some((format!("{own_prefix}{}_total", doc.name), "", MetricKind::Counter))
        }
        (StatMetric::Named(name, kind), _) => {
            let (family, labels) = name.split_once('{').unwrap_or((name, ""));
            Some((family.to_owned(), labels.strip_suffix('}').unwrap_or(labels), kind))
        }
    }
}

impl Exposition {
    /// Adds a row. `own_prefix` stands before its name if it has no other metric, and `labels` before those of the
    /// table.
    pub(super) fn row(&mut self, doc: &StatDoc, own_prefix: &str, labels: &str, value: &str) {
        let Some((family, more, kind)) = metric_of(doc, own_prefix) else { return };
        let mut labels = labels.to_owned();
        if !more.is_empty() {
            push_label(&mut labels, more);
        }
        if more.ends_with('=') {
            labels.push_str(&quoted(value));
            return self.add(&family, kind, doc.help, labels, "1".into());
        }
        self.add(&family, kind, doc.help, labels, value.to_owned());
    }

    /// Adds a metric.
    pub(super) fn add(&mut self, family: &str, kind: MetricKind, help: &str, labels: String, value: String) {
        self.add_sample(family, kind, help, "", labels, value);
    }

    /// Adds a histogram: `(upper bound, values up to it)` in order, the sum of all values, and their number.
    pub(super) fn add_histogram(
        &mut self,
        family: &str,
        help: &str,
        labels: &str,
        buckets: impl Iterator<Item = (String, u64)>,
        (sum, count): (String, u64),
    ) {
        let mut sample = |suffix, labels, value| {
            self.add_sample(family, MetricKind::Histogram, help, suffix, labels, value);
        };
        for (bound, count) in buckets.chain([("+Inf".to_owned(), count)]) {
            let mut labels = labels.to_owned();
            push_label(&mut labels, &format!("le={}", quoted(&bound)));
            sample("_bucket", labels, count.to_string());
        }
        sample("_sum", labels.to_owned(), sum);
        sample("_count", labels.to_owned(), count.to_string());
    }

    fn add_sample(
        &mut self,
        family: &str,
        kind: MetricKind,
        help: &str,
        suffix: &'static str,
        labels: String,
        value: String,
    ) {
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let new =
            || MetricFamily { kind, help: super::metrics::family_help(family, help).to_owned(), samples: Vec::new() };
        self.families.entry(family.to_owned()).or_insert_with(new).samples.push(Sample { suffix, labels, value });
    }

    /// Appends the metrics as text.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for (name, MetricFamily { kind, help, samples }) in &self.families {
            let help = help.replace('\\', "\\\\");
            // Ignored, here and below: writing to a Vec cannot fail.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", kind.word());
            for Sample { suffix, labels, value } in samples {
                let _ = writeln!(out, "{name}{suffix}{labels} {value}");
            }
        }
    }
}

/// Appends a label behind others.
fn push_label(labels: &mut String, label: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(label);
}

/// The value of a label.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::{Exposition, StatDoc, StatKind, StatMetric};
    use crate::base::MetricKind;

    fn doc(name: &'static str, kind: StatKind, metric: StatMetric) -> StatDoc {
        StatDoc { name, help: "Some \\ text.", kind, metric }
    }

    fn shown(exposition: &Exposition) -> String {
        let mut out = Vec::new();
        exposition.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_has_its_own_name_or_the_one_of_its_metric() {
        let mut all = Exposition::default();
        all.row(&doc("b", StatKind::Gauge, StatMetric::Own), "larder_", "", "1");
        all.row(&doc("a", StatKind::Counter, StatMetric::Own), "larder_slab_", "slab=\"1\"", "2");
        all.row(&doc("x", StatKind::Gauge, StatMetric::Hidden), "larder_", "", "3");
        all.row(&doc("y", StatKind::Absent, StatMetric::Own), "larder_", "", "0");
        all.row(
            &doc("z", StatKind::Absent, StatMetric::Named("m{l=\"1\"}", MetricKind::Counter)),
            "",
            "slab=\"2\"",
            "0",
        );
        let text = shown(&all);
        let expected = "# HELP larder_b Some \\\\ text.\n# TYPE larder_b gauge\nlarder_b 1\n\
            # HELP larder_slab_a_total Some \\\\ text.\n# TYPE larder_slab_a_total counter\nlarder_slab_a_total{slab=\"1\"} 2\n\
            # HELP m Some \\\\ text.\n# TYPE m counter\nm{slab=\"2\",l=\"1\"} 0\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_histogram_has_buckets_a_sum_and_a_count() {
        let mut all = Exposition::default();
        let buckets = [("0.001".to_owned(), 2), ("0.002".to_owned(), 3)];
        all.add_histogram("h", "Help.", "l=\"x\"", buckets.into_iter(), ("0.5".into(), 4));
        let expected = "# HELP h Help.\n# TYPE h histogram\nh_bucket{l=\"x\",le=\"0.001\"} 2\n\
            h_bucket{l=\"x\",le=\"0.002\"} 3\nh_bucket{l=\"x\",le=\"+Inf\"} 4\nh_sum{l=\"x\"} 0.5\nh_count{l=\"x\"} 4\n";
        assert_eq!(shown(&all), expected);
    }

    #[test]
    fn a_word_is_the_value_of_a_label() {
        let mut all = Exposition::default();
        let metric = StatMetric::Named("m_info{state=}", MetricKind::Gauge);
        all.row(&doc("state", StatKind::Gauge, metric), "", "", "a\"b");
        assert!(shown(&all).ends_with("m_info{state=\"a\\\"b\"} 1\n"), "{}", shown(&all));
    }
}

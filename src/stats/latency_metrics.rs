//! What /metrics shows of `stats latency`.

use crate::base::{MetricKind, StatValue, documented};

use super::exposition::{Exposition, quoted};
use super::histogram::Distribution;
use super::latency::{Latency, Measured, SLOW_LOG_ROWS};

/// A family of histograms.
struct HistogramFamily {
    name: &'static str,
    /// The label that tells its histograms apart.
    label: &'static str,
    /// The rows of `stats latency` that it shows.
    row: &'static str,
    help: &'static str,
    /// Its upper bounds are below 2 to the powers of these.
    powers: std::ops::RangeInclusive<u32>,
}

/// Bounds from a microsecond to a second.
const COMMAND: HistogramFamily = HistogramFamily {
    name: "larder_command_duration_seconds",
    label: "command",
    row: "<command>",
    help: "Time from the start of a worker's turn until the replies to a pipeline were sent. Of one pipeline in 128.",
    powers: 0..=20,
};

const PIPELINE: HistogramFamily = HistogramFamily {
    name: "larder_pipeline_depth",
    label: "",
    row: "pipeline",
    help: "Commands in a pipeline; each key of a list counts. Of one pipeline in 128.",
    powers: 1..=10,
};

const VALUE: HistogramFamily = HistogramFamily {
    name: "larder_value_bytes",
    label: "op",
    row: "value_read, value_written",
    help: "Bytes of values that were found (get) and sent (set). Of one key in 256.",
    powers: 6..=20,
};

/// What stands before the rows of the slow log.
pub(super) const OWN_SLOW_LOG: &str = "larder_slowlog_";

/// Adds the histograms, and the rows of the slow log as a whole.
pub fn add_latency(exposition: &mut Exposition, latency: &Latency) {
    for (row, doc) in SLOW_LOG_ROWS.iter().zip(documented(SLOW_LOG_ROWS)) {
        exposition.row(&doc, OWN_SLOW_LOG, "", &(row.value)(latency).to_string());
    }
    for (name, measured, values) in latency.distributions() {
        let (family, label) = match (measured, name) {
            (Measured::Command, name) => (COMMAND, name),
            (Measured::Pipeline, _) => (PIPELINE, ""),
            (Measured::Value, "value_read") => (VALUE, "get"),
            (Measured::Value, _) => (VALUE, "set"),
        };
        let labels = if label.is_empty() { String::new() } else { format!("{}={}", family.label, quoted(label)) };
        let bound = |power: u32| match measured {
            // A time of n microseconds is shorter than n + 1.
            Measured::Command => StatValue::Micros(1 << power).to_string(),
            Measured::Pipeline | Measured::Value => ((1u64 << power) - 1).to_string(),
        };
        let sum = match measured {
            Measured::Command => StatValue::Micros(values.sum).to_string(),
            Measured::Pipeline | Measured::Value => values.sum.to_string(),
        };
        add(exposition, &family, &labels, &values, bound, sum);
    }
}

fn add(
    exposition: &mut Exposition,
    family: &HistogramFamily,
    labels: &str,
    values: &Distribution,
    bound: impl Fn(u32) -> String,
    sum: String,
) {
    let buckets = family.powers.clone().map(|power| (bound(power), values.count_below_power(power)));
    exposition.add_histogram(family.name, family.help, labels, buckets, (sum, values.count()));
}

/// The families, for doc/metrics.md: metric, type, row, meaning.
pub(super) fn latency_docs() -> Vec<(String, &'static str, String, String)> {
    let doc = |family: HistogramFamily| {
        let HistogramFamily { name, label, row, help, .. } = family;
        let name = if label.is_empty() { name.to_owned() } else { format!("{name}{{{label}=\"<{label}>\"}}") };
        (name, MetricKind::Histogram.word(), format!("`{row}`"), help.to_owned())
    };
    [COMMAND, PIPELINE, VALUE].map(doc).to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::{Exposition, Latency};
    use super::add_latency;

    #[test]
    fn times_are_in_seconds_and_other_values_in_their_unit() {
        let (latency, mut exposition, mut out) = (Latency::new(0), Exposition::default(), Vec::new());
        let worker = latency.join();
        worker.record(3, [2, 0, 0, 0, 0, 0, 0]);
        latency.leave_out_slow();
        worker.value_written.record(1024, 1);
        add_latency(&mut exposition, &latency);
        exposition.write_to(&mut out);
        let text = String::from_utf8(out).unwrap();
        for line in [
            "larder_command_duration_seconds_bucket{command=\"get\",le=\"0.000002\"} 0",
            "larder_command_duration_seconds_bucket{command=\"get\",le=\"0.000004\"} 2",
            "larder_command_duration_seconds_sum{command=\"get\"} 0.000006",
            "larder_slowlog_left_out_total 1",
            "larder_pipeline_depth_bucket{le=\"1\"} 0",
            "larder_pipeline_depth_bucket{le=\"3\"} 1",
            "larder_pipeline_depth_count 1",
            "larder_value_bytes_bucket{op=\"set\",le=\"1023\"} 0",
            "larder_value_bytes_bucket{op=\"set\",le=\"2047\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(!text.contains("op=\"get\""));
    }
}

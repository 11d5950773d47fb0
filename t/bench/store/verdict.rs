//! A measure beside its bar.

use crate::options::Options;
use larder_bench::figures::Table;

pub(crate) struct Verdict {
    pub(crate) measure: String,
    pub(crate) yardstick: String,
    pub(crate) ours: String,
    pub(crate) bar: String,
    pub(crate) aim: String,
    /// Whether the figure meets its bar; a figure without a bar does.
    pub(crate) passed: bool,
}

impl Verdict {
    /// A figure that must not be above its bar.
    pub(crate) fn at_most(measure: impl Into<String>, yardstick: String, ours: f64, bar: f64, aim: &str) -> Self {
        Self {
            measure: measure.into(),
            yardstick,
            ours: plain(ours),
            bar: format!("≤ {}", plain(bar)),
            aim: aim.to_string(),
            passed: ours <= bar,
        }
    }

    /// A figure that must not be below its bar.
    pub(crate) fn at_least(measure: impl Into<String>, yardstick: String, ours: f64, bar: f64, aim: &str) -> Self {
        Self {
            measure: measure.into(),
            yardstick,
            ours: plain(ours),
            bar: format!("≥ {}", plain(bar)),
            aim: aim.to_string(),
            passed: ours >= bar,
        }
    }

    /// A figure without a bar.
    pub(crate) fn reported(measure: impl Into<String>, yardstick: String, ours: f64, aim: &str) -> Self {
        let (bar, aim) = ("–".to_string(), aim.to_string());
        Self { measure: measure.into(), yardstick, ours: plain(ours), bar, aim, passed: true }
    }
}

/// Ratios to three decimals, counts and bytes to one.
pub(crate) fn plain(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() >= 2.0 || value == 0.0 {
        format!("{value:.0}")
    } else if value.abs() < 10.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.1}")
    }
}

pub(crate) fn summary(options: &Options, verdicts: &[Verdict]) -> Table {
    let [ours, yardstick] = &options.comparison.servers;
    let header = ["measure", &yardstick.name, &ours.name, "must show", "aim", ""];
    let mut table = Table::new(header.map(str::to_string));
    for verdict in verdicts {
        table.row([
            verdict.measure.clone(),
            verdict.yardstick.clone(),
            verdict.ours.clone(),
            verdict.bar.clone(),
            verdict.aim.clone(),
            if verdict.passed { "pass" } else { "**miss**" }.to_string(),
        ]);
    }
    table
}

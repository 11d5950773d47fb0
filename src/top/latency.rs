//! How long requests take: the answer to `stats latency`, which only larder gives.

use larder::stats::COMMANDS;
use larder::tools::StatRows;

/// The latency of a kind of commands, since the start of the server or `stats reset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLatency {
    pub(crate) command: &'static str,
    /// Half of the commands, 99 % and 99.9 % take no longer than this. The last is the longest. In microseconds.
    pub(crate) quantiles_us: [u64; 4],
}

/// The latencies of the rows. A kind that was not measured is absent.
pub(crate) fn latencies(rows: &StatRows) -> Vec<CommandLatency> {
    let latency = |command: &'static str| {
        let number = |name| rows.get(&format!("{command}:{name}"))?.parse().ok();
        Some(CommandLatency {
            command,
            quantiles_us: [number("p50")?, number("p99")?, number("p999")?, number("max")?],
        })
    };
    COMMANDS.into_iter().filter_map(latency).collect()
}

/// A time in microseconds, with its unit.
pub(crate) fn time(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let value = us as f64;
    match us {
        0..1_000 => format!("{us}us"),
        1_000..100_000 => format!("{:.1}ms", value / 1e3),
        100_000..1_000_000 => format!("{:.0}ms", value / 1e3),
        _ => format!("{:.1}s", value / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandLatency, latencies, time};

    #[test]
    fn kinds_that_were_not_measured_are_absent() {
        let rows =
            [("get:p50", "9"), ("get:p99", "80"), ("get:p999", "700"), ("get:max", "701"), ("pipeline:p50", "1")];
        let rows = rows.map(|(name, value)| (name.to_string(), value.to_string())).into();
        assert_eq!(latencies(&rows), [CommandLatency { command: "get", quantiles_us: [9, 80, 700, 701] }]);
        assert!(latencies(&[].into()).is_empty());
    }

    #[test]
    fn times_have_their_unit() {
        assert_eq!([0, 999, 1_500, 123_456, 2_500_000].map(time), ["0us", "999us", "1.5ms", "123ms", "2.5s"]);
    }
}

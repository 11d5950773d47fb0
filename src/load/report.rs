//! The results of a load, as lines for people or as one JSON object for programs.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::figures::grouped;
use super::json::{number, quoted};
use super::op::Op;
use super::outcome::Outcome;
use super::plan::{Pacing, Plan, Popularity, Sharing, SizePlan, TtlPlan, Waiting, Wire};
use super::series::{self, Second, number_of_us};
use super::slo::{CONFIRMATIONS, Found};

/// A load and its results.
pub(super) struct Report<'a> {
    /// The server's name.
    pub(super) target: &'a str,
    /// The plan of the load.
    pub(super) plan: &'a Plan,
    /// Storing the keys, if that was done.
    pub(super) fill: Option<&'a Outcome>,
    /// The search for a rate, if there was one. The load is its last run.
    pub(super) slo: Option<&'a Found>,
    /// The counted part of the load, if there was one.
    pub(super) load: Option<&'a Outcome>,
}

const PERCENTILES: [(&str, f64); 5] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];

impl Report<'_> {
    /// The report for people.
    pub(super) fn lines(&self) -> String {
        let mut text = format!(
            "load            {}\nserver          {}, {}\n",
            describe_asked(self.plan),
            self.target,
            describe_sent(self.plan)
        );
        if let Some(fill) = self.fill {
            let bound = if self.load.is_none() { "" } else { " first" };
            text.push_str(&format!(
                "stored{bound}     {} items in {:.2} s, {} a second\n",
                grouped(fill.stored),
                fill.elapsed.as_secs_f64(),
                grouped(rounded(fill.stored as f64 / fill.elapsed.as_secs_f64().max(1e-9)))
            ));
            push_faults(&mut text, fill);
        }
        if let Some(found) = self.slo {
            push_search(&mut text, found);
        }
        if let Some(load) = self.load {
            push_load(&mut text, self.plan, load);
        }
        text
    }

    /// The report for programs. Durations are in microseconds, and shares are below 1.
    pub(super) fn json(&self) -> String {
        let mut object = Object::new();
        object.text("tool", &format!("larder-bench {}", env!("CARGO_PKG_VERSION")));
        object.text("target", self.target);
        object.text("wire", wire(self.plan));
        object.flag("tls", self.plan.tls.is_some());
        object.text("mix", &mix(self.plan));
        object.number("threads", self.plan.threads as f64);
        object.number("connections", self.plan.connections as f64);
        object.number("idle_connections", self.plan.idle_connections as f64);
        object.number("pipeline", f64::from(self.plan.pipeline));
        object.number("keys_per_get", f64::from(self.plan.keys_per_get));
        object.number("keys", self.plan.keys.count as f64);
        if let Pacing::Open { per_second } = self.plan.pacing {
            object.number("rate_wanted", per_second);
        }
        if let Some(fill) = self.fill {
            object.number("fill_stored", fill.stored as f64);
            object.number("fill_seconds", fill.elapsed.as_secs_f64());
            object.number("fill_faults", (fill.faults + fill.errors) as f64);
        }
        if let Some(found) = self.slo {
            object.search(found);
        }
        if let Some(load) = self.load {
            object.load(load);
            object.by_op(self.plan, load);
            object.series(&load.seconds);
        }
        object.close()
    }
}

fn push_load(text: &mut String, plan: &Plan, load: &Outcome) {
    let seconds = load.elapsed.as_secs_f64().max(1e-9);
    let mut line = |name: &str, value: String| {
        // Ignored: writing to a String cannot fail.
        let _ = writeln!(text, "{name:<16}{value}");
    };
    if load.is_empty() {
        line("requests", "nothing was sent".to_string());
        return push_faults(text, load);
    }
    line(
        "requests",
        format!("{} in {seconds:.2} s, {} a second", grouped(load.requests), grouped(rounded(load.per_second()))),
    );
    if load.keys > load.requests {
        line("keys", format!("{}, {} a second", grouped(load.keys), grouped(rounded(load.keys as f64 / seconds))));
    }
    let fetched = load.hits + load.misses;
    if fetched > 0 {
        let share = 100.0 * load.hits as f64 / fetched as f64;
        line("hits", format!("{} ({share:.2} %), {} misses", grouped(load.hits), grouped(load.misses)));
    }
    if load.stored + load.changed + load.refused > 0 {
        let counts = [load.stored, load.changed, load.refused].map(grouped);
        line("changes", format!("{} stored, {} changed, {} refused", counts[0], counts[1], counts[2]));
    }
    if !load.latency.is_empty() {
        let mut percentiles = format!("mean {}", micros(load.latency.mean()));
        for (name, percent) in PERCENTILES {
            percentiles.push_str(&format!("  {name} {}", micros(load.latency_ns(percent) as f64)));
        }
        line("latency, us", format!("{percentiles}  max {}", micros(load.latency.max() as f64)));
    } else if plan.noreply {
        line("latency, us", "unknown: nothing asked for a reply".to_string());
    }
    let timed: Vec<_> = load.kinds.iter().filter(|kind| !kind.latency.is_empty()).collect();
    if timed.len() > 1 {
        let header = ["p50", "p99", "p99.9", "max"].map(|name| format!("{name:>9}")).concat();
        line("  by kind", format!("{:>12}{header}", "timed"));
        for kind in timed {
            let at = |percent| micros(kind.latency.value_at_percentile(percent) as f64);
            let cells = [at(50.0), at(99.0), at(99.9), micros(kind.latency.max() as f64)];
            let cells = cells.map(|cell| format!("{cell:>9}")).concat();
            line(&format!("  {}", kind.op.name()), format!("{:>12}{cells}", grouped(kind.latency.len())));
        }
    }
    if let Some(wanted) = plan.connects_per_second {
        let at = |percent: f64| micros(load.connect_latency.value_at_percentile(percent) as f64);
        let count = grouped(load.connects);
        let rate = load.connects as f64 / seconds;
        let tails = format!("p50 {}  p99 {}", at(50.0), at(99.0));
        line("connects", format!("{count}, {rate:.1} of {wanted} a second, us from due to reply: {tails}"));
    }
    if matches!(plan.pacing, Pacing::Open { .. }) {
        let never =
            if load.unsent > 0 { format!(", {} were due and never sent", grouped(load.unsent)) } else { String::new() };
        line("late", format!("{} requests were sent more than 1 ms after they were due{never}", grouped(load.late)));
    }
    let megabytes = |bytes: u64| bytes as f64 / seconds / 1e6;
    line(
        "traffic",
        format!("{:.1} MB/s sent, {:.1} MB/s received", megabytes(load.sent_bytes), megabytes(load.received_bytes)),
    );
    let cpu = 100.0 * load.client_cpu.as_secs_f64() / seconds;
    let bound = if load.is_client_bound() { ": * the figures may be the client's" } else { "" };
    line("client", format!("{cpu:.0} % of a core, {:.0} % of its time busy{bound}", 100.0 * load.busy_share));
    push_faults(text, load);
}

/// The rates that a search tried, and its result.
fn push_search(text: &mut String, found: &Found) {
    let name = &found.objective.name;
    let bound = micros(found.objective.bound.as_secs_f64() * 1e9);
    let closed = grouped(rounded(found.closed_loop));
    text.push_str(&format!("closed loop     {closed} requests a second; then open loop, by bisection\n"));
    for probe in &found.probes {
        let held = if probe.holds { "holds" } else { "fails" };
        let rate = grouped(rounded(probe.per_second));
        let latency = micros(probe.latency_ns as f64);
        text.push_str(&format!("  tried         {rate} a second: {name} {latency} us, {held}\n"));
    }
    match (found.rate, &found.confirmed_ns) {
        (Some(rate), Some(spread)) => {
            let [median, low, high] = [spread.median, spread.lowest, spread.highest].map(micros);
            let rate = grouped(rounded(rate));
            text.push_str(&format!(
                "highest rate    {rate} a second with {name} up to {bound} us: {median} us, {low} to {high} in {CONFIRMATIONS} runs\n"
            ));
        }
        _ => text.push_str(&format!("highest rate    none: {name} is above {bound} us at every rate\n")),
    }
}

fn push_faults(text: &mut String, outcome: &Outcome) {
    if outcome.faults + outcome.errors + outcome.lost_connections > 0 {
        let parts = [
            (outcome.faults, "replies were not what they must be"),
            (outcome.errors, "errors"),
            (outcome.lost_connections, "connections lost"),
        ];
        let parts =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", grouped(*count)));
        text.push_str(&format!("WRONG           {}\n", parts.collect::<Vec<_>>().join(", ")));
        for note in &outcome.notes {
            text.push_str(&format!("                {note}\n"));
        }
    }
}

/// The load in words.
pub(super) fn describe(plan: &Plan) -> String {
    format!("{}, {}", describe_asked(plan), describe_sent(plan))
}

fn describe_asked(plan: &Plan) -> String {
    let keys = if plan.keys_per_get > 1 { format!(", {} keys a get", plan.keys_per_get) } else { String::new() };
    let noreply = if plan.noreply { " without replies" } else { "" };
    let popularity = match plan.keys.popularity {
        Popularity::Uniform => String::new(),
        Popularity::Zipf(alpha) => format!(", Zipf {alpha}"),
        Popularity::HotSet { requests, keys } => {
            format!(", {} % of the requests for {} % of the keys", 100.0 * requests, 100.0 * keys)
        }
    };
    let ttl = match &plan.ttl {
        TtlPlan::Never => String::new(),
        TtlPlan::Fixed(seconds) => format!(", {seconds} s to live"),
        TtlPlan::Mix(_) => ", times to live of a mix".to_string(),
    };
    let private = if plan.keys.sharing == Sharing::Private { ", each connection its own" } else { "" };
    let count = grouped(plan.keys.count);
    let (key, value) = (size(&plan.keys.length), size(&plan.values));
    format!("{}{keys}{noreply}, {count} keys of {key}, values of {value}{popularity}{private}{ttl}", mix(plan))
}

fn describe_sent(plan: &Plan) -> String {
    let tls = if plan.tls.is_some() { " over TLS" } else { "" };
    let mut text = format!("{}{tls}, {} connections", wire(plan), grouped(plan.connections as u64));
    if let Some(per_second) = plan.connects_per_second {
        text.push_str(&format!(" and {per_second} new ones a second"));
    }
    if plan.idle_connections > 0 {
        text.push_str(&format!(" and {} idle", grouped(plan.idle_connections as u64)));
    }
    text.push_str(&format!(", {} in flight on each", grouped(plan.pipeline.into())));
    if let Pacing::Open { per_second } = plan.pacing {
        let wanted = if per_second < 1000.0 { number(per_second) } else { grouped(rounded(per_second)) };
        text.push_str(&format!(", {wanted} a second wanted"));
    }
    if plan.threads > 1 {
        text.push_str(&format!(", {} threads", plan.threads));
    }
    text.push_str(if plan.waiting == Waiting::Sleep { ", sleeping" } else { "" });
    text
}

fn wire(plan: &Plan) -> &'static str {
    match plan.wire {
        Wire::Text => "text",
        Wire::Meta => "meta",
        Wire::Binary => "binary",
    }
}

fn mix(plan: &Plan) -> String {
    match &plan.mix.0[..] {
        [(only, _)] => only.name().to_string(),
        shares => {
            let alike = shares.iter().all(|(_, share)| *share == shares[0].1);
            let word = |(op, share): &(Op, f64)| match alike {
                true => op.name().to_string(),
                false => format!("{}={share}", op.name()),
            };
            shares.iter().map(word).collect::<Vec<_>>().join(",")
        }
    }
}

fn size(plan: &SizePlan) -> String {
    match plan {
        SizePlan::Fixed(bytes) => format!("{} B", grouped(u64::from(*bytes))),
        SizePlan::Between(least, most) => format!("{} to {} B", grouped(u64::from(*least)), grouped(u64::from(*most))),
        SizePlan::Etc => "ETC's lengths".to_string(),
        SizePlan::KvcacheReg(_) => "kvcache_reg's lengths".to_string(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are no negative numbers, and `as` saturates"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}

/// Nanoseconds as microseconds.
fn micros(ns: f64) -> String {
    let us = ns / 1e3;
    if us < 100.0 { format!("{us:.1}") } else { format!("{us:.0}") }
}

/// A flat JSON object while it is written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_string())
    }

    fn name(&mut self, name: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        self.0.push_str(&format!("{comma}\n  \"{name}\": "));
    }

    fn number(&mut self, name: &str, value: f64) {
        self.name(name);
        self.0.push_str(&number(value));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(&quoted(value));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.0.push_str(if value { "true" } else { "false" });
    }

    fn load(&mut self, load: &Outcome) {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        self.number("seconds", load.elapsed.as_secs_f64());
        for (name, count) in [
            ("requests", load.requests),
            ("keys_asked", load.keys),
            ("hits", load.hits),
            ("misses", load.misses),
            ("stored", load.stored),
            ("changed", load.changed),
            ("refused", load.refused),
            ("errors", load.errors),
            ("faults", load.faults),
            ("lost_connections", load.lost_connections),
            ("connects", load.connects),
            ("late", load.late),
            ("unsent", load.unsent),
            ("sent_bytes", load.sent_bytes),
            ("received_bytes", load.received_bytes),
        ] {
            self.number(name, count as f64);
        }
        self.number("requests_per_second", load.per_second());
        for (name, value) in latencies(&load.latency) {
            self.number(&name, value);
        }
        for (name, percent) in [("connect_p50_us", 50.0), ("connect_p99_us", 99.0)] {
            self.number(name, load.connect_latency.value_at_percentile(percent) as f64 / 1e3);
        }
        self.number("client_cpu_us", us(load.client_cpu));
        self.number("client_busy_share", load.busy_share);
        self.flag("client_bound", load.is_client_bound());
        let notes: Vec<String> = load.notes.iter().map(|note| quoted(note)).collect();
        self.name("notes");
        self.0.push_str(&format!("[{}]", notes.join(", ")));
    }

    /// The result of a search for a rate.
    fn search(&mut self, found: &Found) {
        self.text("slo", &found.objective.name);
        self.number("slo_bound_us", found.objective.bound.as_secs_f64() * 1e6);
        self.number("slo_rate", found.rate.unwrap_or(0.0));
        if let Some(spread) = &found.confirmed_ns {
            self.number("slo_median_us", spread.median / 1e3);
            self.number("slo_lowest_us", spread.lowest / 1e3);
            self.number("slo_highest_us", spread.highest / 1e3);
        }
        self.number("closed_loop_per_second", found.closed_loop);
        let probes = found.probes.iter().map(|probe| {
            let (rate, latency) = (number(probe.per_second), number_of_us(probe.latency_ns));
            format!("{{\"rate\": {rate}, \"latency_us\": {latency}, \"holds\": {}}}", probe.holds)
        });
        self.name("slo_runs");
        self.0.push_str(&format!("[{}]", probes.collect::<Vec<_>>().join(", ")));
    }

    /// An object for each whole second, on one line.
    fn series(&mut self, seconds: &[Second]) {
        let objects = seconds.iter().map(|second| {
            let mut fields =
                vec![format!("\"requests\": {}", second.requests), format!("\"errors\": {}", second.errors)];
            let latencies = series::PERCENTILES.iter().zip(second.latency_ns);
            fields.extend(
                latencies
                    .map(|((name, _), ns)| format!("\"latency_{}_us\": {}", name.replace('.', "_"), number_of_us(ns))),
            );
            format!("{{{}}}", fields.join(", "))
        });
        let objects: Vec<String> = objects.collect();
        self.name("by_second");
        self.0.push_str(&format!("[{}]", objects.join(", ")));
    }

    /// An object for each kind of request that was timed, on one line.
    fn by_op(&mut self, plan: &Plan, load: &Outcome) {
        let only = plan.mix.kinds();
        let kinds: Vec<(Op, &Histogram<u64>)> = match &only[..] {
            [only] => vec![(*only, &load.latency)],
            _ => load.kinds.iter().map(|kind| (kind.op, &kind.latency)).collect(),
        };
        let kinds = kinds.into_iter().filter(|(_, latency)| !latency.is_empty()).map(|(op, latency)| {
            let mut fields = vec![format!("\"timed\": {}", latency.len())];
            fields.extend(latencies(latency).into_iter().map(|(name, value)| format!("\"{name}\": {}", number(value))));
            format!("\"{}\": {{{}}}", op.name(), fields.join(", "))
        });
        let kinds: Vec<String> = kinds.collect();
        self.name("by_op");
        self.0.push_str(&format!("{{{}}}", kinds.join(", ")));
    }

    fn close(mut self) -> String {
        self.0.push_str("\n}\n");
        self.0
    }
}

/// The figures of a histogram, in microseconds.
fn latencies(latency: &Histogram<u64>) -> Vec<(String, f64)> {
    let mut fields = vec![("latency_mean_us".to_string(), latency.mean() / 1e3)];
    for (name, percent) in PERCENTILES {
        let at = latency.value_at_percentile(percent) as f64 / 1e3;
        fields.push((format!("latency_{}_us", name.replace('.', "_")), at));
    }
    fields.push(("latency_max_us".to_string(), latency.max() as f64 / 1e3));
    fields
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Report;
    use crate::op::Op;
    use crate::outcome::Outcome;
    use crate::plan::{Mix, Plan};

    #[test]
    fn a_load_that_the_client_bounds_says_so() {
        let mut load = Outcome {
            elapsed: Duration::from_secs(2),
            requests: 2_000_000,
            sent_bytes: 1,
            busy_share: 0.99,
            ..Outcome::default()
        };
        load.latency.record(250_000).unwrap();
        let plan = Plan::default();
        let report = Report { target: "127.0.0.1:11211", plan: &plan, fill: None, slo: None, load: Some(&load) };
        let lines = report.lines();
        assert!(lines.contains("requests        2,000,000 in 2.00 s, 1,000,000 a second\n"), "{lines}");
        assert!(lines.contains("99 % of its time busy: * the figures may be the client's"), "{lines}");
        assert!(!lines.contains("WRONG"), "{lines}");
        assert!(report.json().contains("\"client_bound\": true"));
    }

    #[test]
    fn latencies_are_told_by_kind_when_there_is_more_than_one() {
        let mut load = Outcome::of_kinds(&[Op::Get, Op::Set, Op::Delete]);
        load.sent_bytes = 1;
        load.kinds[0].latency.record_n(50_000, 3).unwrap();
        load.kinds[1].latency.record(1_250_000).unwrap();
        let plan = Plan { mix: Mix(vec![(Op::Set, 1.0), (Op::Get, 3.0), (Op::Delete, 0.1)]), ..Plan::default() };
        let report = Report { target: "x", plan: &plan, fill: None, slo: None, load: Some(&load) };
        let lines = report.lines();
        let by_kind = "  by kind              timed      p50      p99    p99.9      max\n\
                       \x20 get                      3     50.0     50.0     50.0     50.0\n\
                       \x20 set                      1     1250     1250     1250     1250\n";
        assert!(lines.contains(by_kind), "{lines}");
        let json = report.json();
        assert!(json.contains("\"by_op\": {\"get\": {\"timed\": 3, \"latency_mean_us\": 50"), "{json}");
        assert!(json.contains("}, \"set\": {\"timed\": 1, ") && !json.contains("\"delete\":"), "{json}");
    }

    #[test]
    fn a_load_that_sent_nothing_says_so_and_has_no_figures() {
        let load = Outcome { elapsed: Duration::from_millis(1), busy_share: 1.0, ..Outcome::default() };
        let report = Report { target: "x", plan: &Plan::default(), fill: None, slo: None, load: Some(&load) };
        let lines = report.lines();
        assert!(lines.contains("requests        nothing was sent\n"), "{lines}");
        assert!(!lines.contains("a second") && !lines.contains("client"), "{lines}");
        assert!(report.json().contains("\"client_bound\": false"));
    }

    #[test]
    fn what_was_wrong_is_told() {
        let load = Outcome {
            faults: 3,
            notes: vec!["item 1 came with the value of item 2".to_string()],
            ..Outcome::default()
        };
        let plan = Plan::default();
        let lines = Report { target: "x", plan: &plan, fill: None, slo: None, load: Some(&load) }.lines();
        assert!(lines.contains("WRONG           3 replies were not what they must be\n"), "{lines}");
        assert!(lines.contains("                item 1 came with the value of item 2\n"), "{lines}");
    }
}

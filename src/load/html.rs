//! The report of a load as one HTML file: figures, charts, and the text for people. It has no script, and loads
//! nothing.

use std::fmt::Write as _;

use super::chart::{Chart, ChartLine, Scale, count, escaped, micros, second_ticks};
use super::figures::grouped;
use super::outcome::Outcome;
use super::report::{Report, describe};
use super::series::PERCENTILES;
use super::slo::Found;

/// Percentiles of the chart of the distribution: 0, 50, 90, 99 … %, evenly spaced by their distance from 100 %.
const NINES: [(&str, f64); 6] =
    [("0 %", 0.0), ("90 %", 90.0), ("99 %", 99.0), ("99.9 %", 99.9), ("99.99 %", 99.99), ("max", 99.999)];
/// Points of this chart between two nines.
const POINTS_PER_NINE: u32 = 8;

/// The page. `date` and `host` say when and where the load ran.
pub(super) fn page(report: &Report<'_>, date: &str, host: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>larder-bench: {0}</title>\n<style>{STYLE}</style>\n<h1>{0}</h1>\n<p>{1}</p>\n<p class=\"quiet\">{2}; \
         client on {3}</p>\n",
        escaped(report.target),
        escaped(&describe(report.plan)),
        escaped(date),
        escaped(host),
    );
    if let Some(load) = report.load {
        page.push_str(&tiles(load));
        if let Some(found) = report.slo {
            push_section(&mut page, &format!("{} by rate", found.objective.name), &by_rate(found));
        }
        push_charts(&mut page, load);
    }
    // Ignored, here and below: writing to a String cannot fail.
    let _ = writeln!(page, "<h2>Report</h2>\n<pre>{}</pre>\n</html>", escaped(&report.lines()));
    page
}

fn tiles(load: &Outcome) -> String {
    let at = |percent| micros(load.latency_ns(percent) as f64 / 1e3);
    let fetched = load.hits + load.misses;
    let hits =
        if fetched > 0 { format!("{:.2} %", 100.0 * load.hits as f64 / fetched as f64) } else { "–".to_string() };
    let tiles = [
        ("requests a second", count(load.per_second())),
        ("p50", at(50.0)),
        ("p99", at(99.0)),
        ("p99.9", at(99.9)),
        ("hits", hits),
        ("errors and wrong replies", grouped(load.errors + load.faults)),
    ];
    let tiles = tiles.map(|(name, value)| format!("<div><b>{value}</b><span>{name}</span></div>\n"));
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.concat())
}

fn push_section(page: &mut String, title: &str, chart: &Chart) {
    let _ = writeln!(page, "<h2>{}</h2>\n<figure>{}</figure>", escaped(title), chart.svg());
}

fn push_charts(page: &mut String, load: &Outcome) {
    let seconds = &load.seconds;
    if seconds.len() > 1 {
        let line = |name: &str, value: &dyn Fn(usize) -> f64| ChartLine {
            name: name.to_string(),
            points: (0..seconds.len()).map(|second| (second as f64 + 1.0, value(second))).collect(),
        };
        let chart = |label: &str, lines, scale, format| Chart {
            label: label.to_string(),
            lines,
            scale,
            ticks: second_ticks(seconds.len() as f64),
            bound: None,
            format,
        };
        let rate = vec![line("requests", &|second| seconds[second].requests as f64)];
        push_section(page, "Requests per second", &chart("requests in each second", rate, Scale::Linear, count));
        let latency = PERCENTILES
            .iter()
            .enumerate()
            .map(|(place, (name, _))| line(name, &|second| seconds[second].latency_ns[place] as f64 / 1e3));
        let latency = chart("latency in each second", latency.collect(), Scale::Log, micros);
        push_section(page, "Latency by second", &latency);
        if seconds.iter().any(|second| second.errors > 0) {
            let errors = vec![line("errors", &|second| seconds[second].errors as f64)];
            let errors = chart("errors and wrong replies in each second", errors, Scale::Linear, count);
            push_section(page, "Errors and wrong replies per second", &errors);
        }
    }
    if !load.latency.is_empty() {
        push_section(page, "Latency by percentile", &distribution(load));
    }
}

/// The latency up to each percentile: in all, and by kind of request.
fn distribution(load: &Outcome) -> Chart {
    let line = |name: &str, latency: &hdrhistogram::Histogram<u64>| {
        let last = POINTS_PER_NINE * 5;
        let points = (0..=last).map(|point| {
            let nines = f64::from(point) / f64::from(POINTS_PER_NINE);
            let percent = 100.0 - 100.0 / 10f64.powf(nines);
            let at = if point == last { latency.max() } else { latency.value_at_percentile(percent) };
            (nines, at as f64 / 1e3)
        });
        ChartLine { name: name.to_string(), points: points.collect() }
    };
    let mut lines = vec![line("all", &load.latency)];
    let timed = load.kinds.iter().filter(|kind| !kind.latency.is_empty());
    lines.extend(timed.map(|kind| line(kind.op.name(), &kind.latency)).take(COLOURS - 1));
    if lines.len() == 2 {
        lines.truncate(1);
    }
    let ticks = NINES.iter().enumerate().map(|(place, (text, _))| (place as f64, (*text).to_string())).collect();
    let label = "latency that a share of the requests did not exceed".to_string();
    Chart { label, lines, scale: Scale::Log, ticks, bound: None, format: micros }
}

/// The percentile of a search at each rate that it tried.
fn by_rate(found: &Found) -> Chart {
    let mut points: Vec<(f64, f64)> =
        found.probes.iter().map(|probe| (probe.per_second, probe.latency_ns as f64 / 1e3)).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let ticks = (0..=5).map(|step| found.closed_loop * f64::from(step) / 5.0).map(|rate| (rate, count(rate))).collect();
    let bound = found.objective.bound.as_secs_f64() * 1e6;
    Chart {
        label: format!("{} at each rate of requests per second", found.objective.name),
        lines: vec![ChartLine { name: found.objective.name.clone(), points }],
        scale: Scale::Log,
        ticks,
        bound: Some((bound, micros(bound))),
        format: micros,
    }
}

/// Number of colours in the style.
const COLOURS: usize = 6;

const STYLE: &str = "
:root{--page:#fcfcfb;--ink:#1b1b19;--quiet:#5f5e59;--grid:#dddcd6;--bound:#c22f2e;
--c0:#2a78d6;--c1:#c2581c;--c2:#14865a;--c3:#7a4fc4;--c4:#a56a00;--c5:#b8387e}
@media(prefers-color-scheme:dark){:root{--page:#1a1a19;--ink:#f2f1ec;--quiet:#a9a8a0;--grid:#3a3a37;--bound:#f0716f;
--c0:#5a9df0;--c1:#eb8a50;--c2:#3cb887;--c3:#a98aea;--c4:#d6a03a;--c5:#e576ab}}
body{background:var(--page);color:var(--ink);font:16px/1.45 system-ui,sans-serif;max-width:900px;margin:24px auto;
padding:0 16px}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:28px 0 4px}p{margin:4px 0}.quiet,figcaption{color:var(--quiet)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:8px 20px;margin:20px 0}
.tiles b{display:block;font-size:24px}.tiles span{color:var(--quiet);font-size:14px}
figure{margin:0}svg{width:100%;height:auto}svg text{fill:var(--quiet);font-size:12px}
.end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:var(--grid)}
.bound{stroke:var(--bound);stroke-dasharray:5 4}
.line{fill:none;stroke-width:2}circle{fill:var(--page);fill-opacity:0}circle:hover{fill-opacity:1}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}
.c5{stroke:var(--c5)}
circle{stroke-opacity:0}circle:hover{stroke-opacity:1}
svg .name{stroke:none}svg .name.c0{fill:var(--c0)}svg .name.c1{fill:var(--c1)}svg .name.c2{fill:var(--c2)}
svg .name.c3{fill:var(--c3)}svg .name.c4{fill:var(--c4)}svg .name.c5{fill:var(--c5)}
pre{overflow-x:auto;font-size:13px}
";

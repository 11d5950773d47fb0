//! The results as a table, and as JSON.

use std::fmt::Write as _;

use super::super::figures::{Spread, Table, short_count};
use super::super::json::{number, quoted};
use super::candidate::LoadWindow;
use super::rounds::Series;
use super::rows::{Row, Unit};

/// A measured row.
pub(super) struct Verdict {
    /// The row.
    pub(super) row: &'static Row,
    /// The figures of the servers, in their order; `None`: not measured.
    pub(super) figures: Vec<Option<Spread>>,
    /// The figure that is compared with the bar.
    pub(super) judged: Spread,
    /// For each server with a series: whether the client limited its rate.
    pub(super) client_bound: Vec<bool>,
}

impl Verdict {
    /// A row that is judged by the ratio of the first server's figures to the second's, round by round.
    pub(super) fn by_ratio(row: &'static Row, rounds: &[Option<Vec<f64>>]) -> Self {
        let figures = rounds.iter().map(|rounds| rounds.as_ref().map(|rounds| Spread::of(rounds.iter().copied())));
        let (ours, theirs) = (rounds[0].as_deref().unwrap_or(&[]), rounds[1].as_deref().unwrap_or(&[]));
        Self { row, figures: figures.collect(), judged: super::rounds::ratio(ours, theirs), client_bound: Vec::new() }
    }

    /// A row that is judged by the first server's figure alone.
    pub(super) fn by_own(row: &'static Row, rounds: &[Option<Vec<f64>>]) -> Self {
        let figures: Vec<Option<Spread>> =
            rounds.iter().map(|rounds| rounds.as_ref().map(|rounds| Spread::of(rounds.iter().copied()))).collect();
        let judged = figures[0].expect("ours is always measured");
        Self { row, figures, judged, client_bound: Vec::new() }
    }

    /// Whether it passes its bar.
    pub(super) fn passes(&self) -> bool {
        self.judged.median <= self.row.bar
    }

    fn verdict(&self) -> &'static str {
        if self.row.aim.is_some_and(|aim| self.judged.median <= aim) {
            "pass, at the aim"
        } else if self.passes() {
            "pass"
        } else {
            "**MISS**"
        }
    }
}

/// Every row beside its bar. The last server is the floor.
pub(super) fn verdicts(names: &[String], verdicts: &[Verdict]) -> Table {
    let mut header = vec!["row".to_string(), "figure".to_string()];
    header.extend(names.iter().cloned());
    header.extend(["judged", "bar", "aim", "× floor", ""].map(str::to_string));
    let mut table = Table::new(header);
    for verdict in verdicts {
        let mut cells = vec![verdict.row.name.to_string(), verdict.row.measure.figure().to_string()];
        let bound = verdict.client_bound.iter().copied().chain(std::iter::repeat(false));
        cells.extend(
            verdict
                .figures
                .iter()
                .zip(bound)
                .map(|(figure, bound)| figure.map_or("–".to_string(), |figure| plain(figure.median)) + mark(bound)),
        );
        let (judged, bar, aim) = judged(verdict);
        cells.extend([judged, bar, aim]);
        cells.push(above_floor(&verdict.figures).map_or("–".to_string(), |times| format!("{times:.2}")));
        cells.push(verdict.verdict().to_string());
        table.row(cells);
    }
    table
}

/// The note below a table with marked figures.
pub(super) const MARKED: &str = "\\* at a rate that is not the server's: it was idle for more than a twentieth of the time, or the client busy for \
     more than nine tenths. CPU time by request holds all the same.\n";

fn mark(client_bound: bool) -> &'static str {
    if client_bound { "\\*" } else { "" }
}

fn judged(verdict: &Verdict) -> (String, String, String) {
    let row = verdict.row;
    match row.measure.unit() {
        Unit::Times | Unit::TimesOwn => {
            let mark = if row.measure.unit() == Unit::Times { "×" } else { "× own" };
            let aim = row.aim.map_or("–".to_string(), |aim| format!("{aim:.2}"));
            let digits = row.measure.decimals();
            (format!("{:.digits$}", verdict.judged), format!("≤ {:.2} {mark}", row.bar), aim)
        }
        Unit::Absolute(what) => {
            let aim = row.aim.map_or("–".to_string(), |aim| format!("{aim:.0}"));
            (format!("{:.0}", verdict.judged), format!("≤ {:.0} {what}", row.bar), aim)
        }
    }
}

/// The ratio of larder's figure to the floor's.
fn above_floor(figures: &[Option<Spread>]) -> Option<f64> {
    let (ours, floor) = (figures.first()?.as_ref()?, figures.last()?.as_ref()?);
    (floor.median > 0.0).then(|| ours.median / floor.median)
}

/// About three significant digits: `0.107`, `5.18`, `98`, `1736`.
fn plain(value: f64) -> String {
    match value.abs() {
        ..1.0 => format!("{value:.3}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// All results of one server in one row.
pub(super) struct Detail {
    /// The row.
    pub(super) load: String,
    /// The server.
    pub(super) series: Series,
    /// CPU of the first server over this one's.
    pub(super) ratio: Spread,
}

/// A table of all results.
pub(super) fn details(details: &[Detail]) -> Table {
    let header = [
        "request",
        "server",
        "per s",
        "CPU µs",
        "user/system",
        "p50/p99/p99.9 µs",
        "RSS MiB",
        "client busy",
        "first server × this one",
    ];
    let mut table = Table::new(header.map(str::to_string));
    for Detail { load, series, ratio } in details {
        let at = |percent: f64| series.spread(|window| window.latency_us(percent)).median;
        let (user, system) = series.user_and_system_us();
        table.row([
            load.clone(),
            series.name.clone(),
            short_count(series.spread(LoadWindow::per_second).median) + mark(series.waited_for_client()),
            format!("{:.3}", series.spread(LoadWindow::cpu_us)),
            format!("{user:.2}/{system:.2}"),
            // Sets without replies have no latency.
            if at(100.0) > 0.0 {
                format!("{:.0}/{:.0}/{:.0}", at(50.0), at(99.0), at(99.9))
            } else {
                "–".to_string()
            },
            format!("{:.1}", series.rss_kib as f64 / 1024.0),
            format!("{:.0} %", 100.0 * series.spread(|window| window.outcome.busy_share).median),
            format!("{ratio:.2}"),
        ]);
    }
    table
}

/// An array with an object for each row of the table, and one for each line of the details.
///
/// `origin` has names and values that say where the figures are from, so that figures of two days are not mixed up.
pub(super) fn json(origin: &[(&str, String)], names: &[String], verdicts: &[Verdict], details: &[Detail]) -> String {
    let origin: String = origin.iter().map(|(name, value)| format!("{}:{},\n", quoted(name), quoted(value))).collect();
    let mut out = format!("{{{origin}\"rows\":[");
    for (place, verdict) in verdicts.iter().enumerate() {
        let row = verdict.row;
        let comma = if place > 0 { "," } else { "" };
        let aim = row.aim.map_or("null".to_string(), |aim| aim.to_string());
        // Ignored, here and below: writing to a String cannot fail.
        let _ = write!(
            out,
            "{comma}\n{{\"row\":{},\"figure\":{},\"judged\":{},\"bar\":{},\"aim\":{aim},\"passes\":{}",
            quoted(row.name),
            quoted(row.measure.figure()),
            spread(&verdict.judged),
            row.bar,
            verdict.passes(),
        );
        for (name, figure) in names.iter().zip(&verdict.figures) {
            let _ = write!(out, ",{}:{}", quoted(name), figure.as_ref().map_or("null".to_string(), spread));
        }
        out.push('}');
    }
    out.push_str("],\n\"details\":[");
    for (place, Detail { load, series, ratio }) in details.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let (user, system) = series.user_and_system_us();
        let _ = write!(
            out,
            "{comma}\n{{\"request\":{},\"server\":{},\"per_s\":{},\"cpu_us\":{},\"user_us\":{},\"system_us\":{}",
            quoted(load),
            quoted(&series.name),
            spread(&series.spread(LoadWindow::per_second)),
            spread(&series.spread(LoadWindow::cpu_us)),
            number(user),
            number(system),
        );
        for (name, percent) in [("p50_us", 50.0), ("p99_us", 99.0), ("p999_us", 99.9)] {
            let _ = write!(out, ",\"{name}\":{}", spread(&series.spread(|window| window.latency_us(percent))));
        }
        let _ = write!(
            out,
            ",\"rss_kib\":{},\"client_busy\":{},\"client_bound\":{},\"ratio\":{}}}",
            series.rss_kib,
            number(series.spread(|window| window.outcome.busy_share).median),
            series.waited_for_client(),
            spread(ratio),
        );
    }
    out.push_str("]}");
    out
}

fn spread(spread: &Spread) -> String {
    let [median, lowest, highest] = [spread.median, spread.lowest, spread.highest].map(number);
    format!("{{\"median\":{median},\"lowest\":{lowest},\"highest\":{highest}}}")
}

#[cfg(test)]
mod tests {
    use super::super::rows::named;
    use super::{Verdict, json, plain, verdicts};

    fn names() -> Vec<String> {
        ["larder", "memcached", "floor"].map(str::to_string).to_vec()
    }

    fn verdict(name: &str, ours: f64) -> Verdict {
        Verdict::by_ratio(named(name)[0], &[Some(vec![ours; 3]), Some(vec![1.0; 3]), Some(vec![ours / 4.0; 3])])
    }

    #[test]
    fn a_row_passes_at_its_bar_and_misses_above_it() {
        for (ours, said) in [(0.40, "pass"), (0.401, "**MISS**"), (0.25, "pass, at the aim")] {
            assert_eq!(verdict("get pipelined 50", ours).verdict(), said, "{ours}");
        }
    }

    #[test]
    fn a_row_shows_every_server_its_bar_and_the_distance_to_the_floor() {
        let table = verdicts(&names(), &[verdict("get pipelined 50", 0.38)]).to_string();
        let row: Vec<&str> = table.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        let expected = [
            "get pipelined 50",
            "CPU µs",
            "0.380",
            "1.00",
            "0.095",
            "0.38 (0.38–0.38)",
            "≤ 0.40 ×",
            "0.25",
            "4.00",
            "pass",
        ];
        assert_eq!(row[1..row.len() - 1], expected);
    }

    #[test]
    fn a_ratio_close_to_its_bar_shows_which_side_it_is_on() {
        let row = named("instructions: get pipelined 50, hot")[0];
        let table = verdicts(&names(), &[Verdict::by_own(row, &[Some(vec![1.0106]), None, None])]).to_string();
        let row: Vec<&str> = table.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        assert_eq!(
            row[3..row.len() - 1],
            ["1.01", "–", "–", "1.011 (1.011–1.011)", "≤ 1.01 × own", "–", "–", "**MISS**"]
        );
    }

    #[test]
    fn a_figure_of_a_rate_that_was_the_clients_is_marked() {
        let bound = Verdict { client_bound: vec![true, false, true], ..verdict("get pipelined 50", 0.38) };
        let table = verdicts(&names(), &[bound]).to_string();
        let row: Vec<&str> = table.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        assert_eq!(row[3..6], ["0.380\\*", "1.00", "0.095\\*"]);
    }

    #[test]
    fn a_row_that_is_judged_alone_needs_no_floor() {
        let row = named("RSS per idle")[0];
        let table =
            verdicts(&names(), &[Verdict::by_own(row, &[Some(vec![310.4]), Some(vec![530.0]), None])]).to_string();
        let row: Vec<&str> = table.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        let expected = ["bytes", "310", "530", "–", "310 (310–310)", "≤ 300 B", "150", "–", "**MISS**"];
        assert_eq!(row[2..row.len() - 1], expected);
    }

    #[test]
    fn json_has_the_same_figures() {
        let text = json(&[("date", "2026-11-30".to_string())], &names(), &[verdict("incr", 0.5)], &[]);
        assert!(text.starts_with(
            "{\"date\":\"2026-11-30\",\n\"rows\":[\n{\"row\":\"incr pipelined 50\",\"figure\":\"CPU µs\",\"judged\":{\"median\":0.5,"
        ));
        assert!(text.contains("\"bar\":0.6,\"aim\":0.4,\"passes\":true,\"larder\":{\"median\":0.5,"));
        assert!(text.ends_with("],\n\"details\":[]}"));
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([0.1071, 5.184, 97.71, 1736.4].map(plain), ["0.107", "5.18", "97.7", "1736"]);
    }
}

//! One load on a few servers, for a terminal: a line for each figure, a column for each server.

use super::super::figures::short_count;
use super::candidate::LoadWindow;
use super::table::Detail;

/// Maximum width of a line.
const WIDTH: usize = 100;
/// Width of the names of the figures.
const LABEL: usize = 18;

/// The figures of each server under `load`. The first line describes the load.
pub(super) fn beside(load: &str, details: &[Detail]) -> String {
    let mut text = wrapped(load);
    let figures: Vec<[String; FIGURES]> = details.iter().map(figures).collect();
    let names = details.iter().map(|detail| detail.series.name.clone());
    text.push('\n');
    text.push_str(&line("", names));
    for (place, label) in LABELS.iter().enumerate() {
        text.push_str(&line(label, figures.iter().map(|of_server| of_server[place].clone())));
    }
    text
}

const FIGURES: usize = 7;
const LABELS: [&str; FIGURES] = [
    "requests a second",
    "CPU us a request",
    "user/system us",
    "p50/p99/p99.9 us",
    "RSS MiB",
    "client busy",
    "CPU, 1st / this",
];

fn figures(Detail { series, ratio, .. }: &Detail) -> [String; FIGURES] {
    let at = |percent: f64| series.spread(|window| window.latency_us(percent)).median;
    let (user, system) = series.user_and_system_us();
    let mark = if series.waited_for_client() { "*" } else { "" };
    // Sets without replies have no latency.
    let has_latency = at(100.0) > 0.0;
    [
        format!("{}{mark}", short_count(series.spread(LoadWindow::per_second).median)),
        format!("{:.2}", series.spread(LoadWindow::cpu_us)),
        format!("{user:.2}/{system:.2}"),
        if has_latency { format!("{:.0}/{:.0}/{:.0}", at(50.0), at(99.0), at(99.9)) } else { "–".into() },
        format!("{:.1}", series.rss_kib as f64 / 1024.0),
        format!("{:.0} %", 100.0 * series.spread(|window| window.outcome.busy_share).median),
        format!("{ratio:.2}"),
    ]
}

fn line(label: &str, cells: impl ExactSizeIterator<Item = String>) -> String {
    let width = (WIDTH - LABEL) / cells.len().max(1) - 2;
    let cut = |cell: String| match cell.char_indices().nth(width) {
        Some(_) => cell.chars().take(width - 1).chain(['…']).collect(),
        None => cell,
    };
    let cells: String = cells.map(|cell| format!("  {:>width$}", cut(cell))).collect();
    format!("{label:LABEL$}{cells}\n").trim_end().to_string() + "\n"
}

/// `text` in lines that fit.
pub(super) fn wrapped(text: &str) -> String {
    let (mut lines, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > WIDTH {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += len;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, line, wrapped};

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let name = || "target/release/larder -t 1 -m 1024 -o slab_chunk_max=512,no_lru_crawler (A)".to_string();
        for servers in 1..=5 {
            let shown = line("requests a second", vec![name(); servers].into_iter());
            assert!(shown.trim_end().chars().count() <= WIDTH, "{shown}");
            assert_eq!(shown.matches("target").count(), servers);
        }
        let text = wrapped(&"a word and another ".repeat(40));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().count() > 5);
    }
}

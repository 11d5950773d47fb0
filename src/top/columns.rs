//! The columns of the table, for the screen and as plain text.

use super::board::{Board, Watched};

/// Headings, and the width of their columns.
pub(crate) const COLUMNS: [(&str, usize); 12] = [
    ("SERVER", 22),
    ("REQ/S", 8),
    ("GET/S", 8),
    ("SET/S", 8),
    ("HIT %", 6),
    ("EVICT/S", 8),
    ("IN/S", 7),
    ("OUT/S", 7),
    ("CLIENTS", 7),
    ("ITEMS", 8),
    ("MEMORY", 15),
    ("UP", 8),
];

/// The cells of a server's row.
pub(crate) fn cells(server: &Watched) -> Vec<String> {
    let mut cells = vec![server.name.clone()];
    let Some(reading) = &server.reading else {
        cells.push(server.failure.clone().unwrap_or_else(|| "…".into()));
        return cells;
    };
    let rate = |value: fn(&super::rates::Rates) -> f64| server.rates.as_ref().map_or("…".into(), |r| short(value(r)));
    let hits = server.rates.as_ref().and_then(|rates| rates.hit_ratio);
    let (bytes, limit) = (reading.number("bytes"), reading.number("limit_maxbytes"));
    cells.extend([
        rate(|rates| rates.requests),
        rate(|rates| rates.gets),
        rate(|rates| rates.sets),
        hits.map_or("-".into(), |ratio| format!("{:.1}", ratio * 100.0)),
        rate(|rates| rates.evictions),
        rate(|rates| rates.received),
        rate(|rates| rates.sent),
        short(reading.number("curr_connections")),
        short(reading.number("curr_items")),
        format!("{}B of {}B", short(bytes), short(limit)),
        time(reading.number("uptime")),
    ]);
    cells
}

/// The table as plain text.
pub(crate) fn plain(board: &Board) -> String {
    let mut text = String::new();
    let heads = COLUMNS.iter().map(|(head, _)| (*head).to_string()).collect();
    for row in std::iter::once(heads).chain(board.servers.iter().map(cells)) {
        let row: Vec<String> = row
            .iter()
            .zip(COLUMNS)
            .enumerate()
            .map(|(at, (cell, (_, width)))| if at == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") })
            .collect();
        text.push_str(row.join(" ").trim_end());
        text.push('\n');
    }
    text
}

/// A number with three digits or so, and the letter of its thousands.
pub(crate) fn short(value: f64) -> String {
    const LETTERS: [&str; 5] = ["", "k", "M", "G", "T"];
    let (mut value, mut letter) = (value, 0);
    while value >= 999.5 && letter + 1 < LETTERS.len() {
        value /= 1000.0;
        letter += 1;
    }
    let digits = usize::from(letter > 0 && value < 99.95);
    format!("{value:.digits$}{}", LETTERS[letter])
}

/// A time in its two largest units.
fn time(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds, never negative")]
    let seconds = seconds as u64;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::{short, time};

    #[test]
    fn numbers_and_times_are_short() {
        let shown: Vec<String> = [0.0, 999.4, 999.6, 12_345.0, 999_600.0, 5e9, 3e15].map(short).to_vec();
        assert_eq!(shown, ["0", "999", "1.0k", "12.3k", "1.0M", "5.0G", "3000T"]);
        let shown: Vec<String> = [59.0, 61.0, 3_700.0, 90_000.0].map(time).to_vec();
        assert_eq!(shown, ["59s", "1m01s", "1h01m", "1d01h"]);
    }
}

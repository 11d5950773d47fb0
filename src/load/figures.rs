//! Medians with their spread, and Markdown tables.

use std::fmt;

/// The median of some measurements, and their range.
#[derive(Clone, Copy)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The smallest.
    pub lowest: f64,
    /// The largest.
    pub highest: f64,
}

impl Spread {
    /// The spread of at least one measurement.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        assert!(!sorted.is_empty(), "a median needs at least one measurement");
        sorted.sort_by(f64::total_cmp);
        let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self { median: f64::midpoint(lower, upper), lowest: sorted[0], highest: sorted[sorted.len() - 1] }
    }
}

/// `{:.3}` chooses the decimals of all three figures.
impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = out.precision().unwrap_or(2);
        write!(out, "{:.decimals$} ({:.decimals$}–{:.decimals$})", self.median, self.lowest, self.highest)
    }
}

/// `801k`, `1.16M`.
pub fn short_count(value: f64) -> String {
    if value >= 999_500.0 { format!("{:.2}M", value / 1e6) } else { format!("{:.0}k", value / 1e3) }
}

/// `5,592,064`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A Markdown table, padded so that it can be read as it is.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(header: impl IntoIterator<Item = String>) -> Self {
        Self { rows: vec![header.into_iter().collect()] }
    }

    /// Adds a row. It has the cells of the header.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let width_of = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width_of).collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (cell, &width) in row.iter().zip(&widths) {
                write!(out, "| {cell:width$} ")?;
            }
            writeln!(out, "|")?;
            if number == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
                writeln!(out, "|{}|", rule.join("|"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Spread, Table, grouped, short_count};

    #[test]
    fn the_median_of_an_even_count_lies_between_its_middle_two() {
        let spread = Spread::of([4.0, 1.0, 10.0, 2.0]);
        assert_eq!((spread.lowest, spread.median, spread.highest), (1.0, 3.0, 10.0));
        assert_eq!(Spread::of([7.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(format!("{:.1}", Spread::of([0.25])), "0.2 (0.2–0.2)");
    }

    #[test]
    fn counts_are_written_short_or_in_groups() {
        assert_eq!(short_count(801_400.0), "801k");
        assert_eq!(short_count(999_500.0), "1.00M");
        assert_eq!([grouped(0), grouped(999), grouped(5_592_064)], ["0", "999", "5,592,064"].map(str::to_string));
    }

    #[test]
    fn a_table_is_as_wide_as_its_widest_cells() {
        let mut table = Table::new(["a", "µs"].map(str::to_string));
        table.row(["longer", "1"].map(str::to_string));
        assert_eq!(table.to_string(), "| a      | µs |\n|--------|----|\n| longer | 1  |\n");
    }
}

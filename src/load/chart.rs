//! Line charts as SVG without scripts. Colours are classes, which the page around a chart defines for light and dark.
//!
//! ```text
//! ┌ top of the scale ─────────────╮
//! │      ╭──╮   ╭────             │  a line for each series, and its name at its end
//! │ ─────╯  ╰───╯                 │
//! └ 0 ── 10 ── 20 ── 30 s ────────╯
//! ```

use std::fmt::Write as _;

use super::figures::grouped;
use super::random::whole;

/// One line of a chart.
pub(super) struct ChartLine {
    /// Its name.
    pub(super) name: String,
    /// Its points.
    pub(super) points: Vec<(f64, f64)>,
}

/// Which scale an axis has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0 to a round number.
    Linear,
    /// From a power of ten to a power of ten.
    Log,
}

/// A chart.
pub(super) struct Chart {
    /// What it shows, in words for readers who do not see it.
    pub(super) label: String,
    /// The lines, in the order of their colours.
    pub(super) lines: Vec<ChartLine>,
    /// The scale of the values.
    pub(super) scale: Scale,
    /// Places on the horizontal axis with their texts.
    pub(super) ticks: Vec<(f64, String)>,
    /// A value that is drawn across the chart, with its text.
    pub(super) bound: Option<(f64, String)>,
    /// Formats a value.
    pub(super) format: fn(f64) -> String,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;
/// Lines of the grid of a linear scale.
const STEPS: f64 = 4.0;
/// Charts with more points have no circles, which show the value of a point.
const CIRCLES_MAX: usize = 200;
/// Least distance of two names, in pixels.
const NAME_HEIGHT: f64 = 15.0;

impl Chart {
    /// The element `svg`.
    pub(super) fn svg(&self) -> String {
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n", escaped(&self.label));
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let bound = self.bound.as_ref().map(|(value, _)| *value);
        let highest = points().map(|(_, y)| y).chain(bound).fold(0.0, f64::max);
        let lowest = points().map(|(_, y)| y).chain(bound).filter(|y| *y > 0.0).fold(highest, f64::min);
        let values = values_of(self.scale, lowest, highest);
        let (bottom, top) = (values[0], values[values.len() - 1]);
        let places = || points().map(|(x, _)| x).chain(self.ticks.iter().map(|(x, _)| *x));
        let (first, last) = places().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        let at_x = |x: f64| LEFT + (x - first) / (last - first).max(1e-9) * (WIDTH - LEFT - RIGHT);
        let height = |share: f64| HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM);
        let at_y = |y: f64| match self.scale {
            Scale::Linear => height((y - bottom) / (top - bottom)),
            Scale::Log => height((y.max(bottom).log10() - bottom.log10()) / (top.log10() - bottom.log10())),
        };
        for value in &values {
            let y = at_y(*value);
            // Ignored, here and below: writing to a String cannot fail.
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", WIDTH - RIGHT);
            let text = (self.format)(*value);
            let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" class=\"end\">{text}</text>", LEFT - 8.0, y + 4.0);
        }
        for (x, text) in &self.ticks {
            let x = at_x(*x);
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" class=\"middle\">{text}</text>", HEIGHT - 8.0);
        }
        if let Some((value, text)) = &self.bound {
            let y = at_y(*value);
            let _ = writeln!(svg, "<path class=\"bound\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", WIDTH - RIGHT);
            let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{text}</text>", WIDTH - RIGHT + 8.0, y + 4.0);
        }
        self.push_lines(&mut svg, at_x, at_y);
        svg.push_str("</svg>\n");
        svg
    }

    fn push_lines(&self, svg: &mut String, at_x: impl Fn(f64) -> f64, at_y: impl Fn(f64) -> f64) {
        for (number, line) in self.lines.iter().enumerate() {
            let points: Vec<String> =
                line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y))).collect();
            let _ = writeln!(svg, "<polyline class=\"line c{number}\" points=\"{}\"/>", points.join(" "));
            if line.points.len() > CIRCLES_MAX {
                continue;
            }
            for (x, y) in &line.points {
                let text = format!("{}: {}", escaped(&line.name), (self.format)(*y));
                let (x, y) = (at_x(*x), at_y(*y));
                let _ = writeln!(
                    svg,
                    "<circle class=\"c{number}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{text}</title></circle>"
                );
            }
        }
        if self.lines.len() < 2 {
            return;
        }
        // Names from top to bottom. Those that are too close move down.
        let mut names: Vec<(f64, usize)> = self
            .lines
            .iter()
            .enumerate()
            .filter_map(|(number, line)| line.points.last().map(|(_, y)| (at_y(*y) + 4.0, number)))
            .collect();
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut free = 0.0;
        for (y, number) in names {
            let y = y.max(free);
            free = y + NAME_HEIGHT;
            let x = WIDTH - RIGHT + 8.0;
            let name = escaped(&self.lines[number].name);
            let _ = writeln!(svg, "<text class=\"name c{number}\" x=\"{x:.1}\" y=\"{y:.1}\">{name}</text>");
        }
    }
}

/// The values of the grid, at least two.
fn values_of(scale: Scale, lowest: f64, highest: f64) -> Vec<f64> {
    match scale {
        Scale::Linear => {
            let step = round_up(highest.max(1e-9) / STEPS);
            let steps = (highest / step).ceil().max(1.0);
            (0..=whole(steps)).map(|number| number as f64 * step).collect()
        }
        Scale::Log => {
            let first = lowest.max(1e-3).log10().floor();
            let count = (highest.max(1e-3).log10().ceil() - first).max(1.0);
            (0..=whole(count)).map(|number| 10f64.powf(first + number as f64)).collect()
        }
    }
}

/// The next 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= value * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// At most nine places for ticks between 0 and `end`, at round numbers.
pub(super) fn second_ticks(end: f64) -> Vec<(f64, String)> {
    let step = round_up((end / 8.0).max(1.0));
    (0..=whole(end / step)).map(|number| number as f64 * step).map(|at| (at, format!("{at} s"))).collect()
}

/// `12k`, `1.5M`.
pub(super) fn count(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        value if value >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        value => grouped(whole(value.round())),
    }
}

/// Microseconds as `250 µs` or `2 ms`.
pub(super) fn micros(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} s", trimmed(value / 1e6)),
        value if value >= 1e3 => format!("{} ms", trimmed(value / 1e3)),
        value => format!("{} µs", trimmed(value)),
    }
}

/// Three digits.
fn trimmed(value: f64) -> String {
    let text = match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// `text` in HTML and SVG.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Chart, ChartLine, Scale, count, escaped, micros, round_up, second_ticks, values_of};

    fn chart(scale: Scale, lines: Vec<ChartLine>) -> String {
        let ticks = second_ticks(2.0);
        Chart { label: "a \"b\" <c>".to_string(), lines, scale, ticks, bound: None, format: count }.svg()
    }

    fn line(name: &str, points: &[(f64, f64)]) -> ChartLine {
        ChartLine { name: name.to_string(), points: points.to_vec() }
    }

    #[test]
    fn every_point_lies_inside() {
        for scale in [Scale::Linear, Scale::Log] {
            let svg =
                chart(scale, vec![line("a", &[(0.0, 5.0), (1.0, 0.0), (2.0, 12_345.0)]), line("b", &[(0.0, 1.0)])]);
            for circle in svg.lines().filter(|line| line.starts_with("<circle")) {
                let number = |name: &str| -> f64 {
                    let rest = circle.split_once(&format!(" {name}=\"")).unwrap().1;
                    rest.split('"').next().unwrap().parse().unwrap()
                };
                assert!((super::LEFT..=super::WIDTH - super::RIGHT).contains(&number("cx")), "{circle}");
                assert!((super::TOP..=super::HEIGHT - super::BOTTOM).contains(&number("cy")), "{circle}");
            }
            assert_eq!(svg.matches("<circle").count(), 4);
            assert!(svg.contains("aria-label=\"a &quot;b&quot; &lt;c&gt;\""), "{svg}");
        }
    }

    #[test]
    fn a_chart_of_nothing_is_a_chart() {
        for scale in [Scale::Linear, Scale::Log] {
            let svg = chart(scale, vec![line("a", &[])]);
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!(values_of(Scale::Linear, 0.0, 90.0), [0.0, 50.0, 100.0]);
        assert_eq!(values_of(Scale::Log, 30.0, 1200.0), [10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!([0.3, 1.0, 7.0, 1200.0].map(round_up), [0.5, 1.0, 10.0, 2000.0]);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([999.0, 12_345.0, 1_500_000.0].map(count), ["999", "12.3k", "1.5M"]);
        assert_eq!([0.5, 250.0, 2000.0, 1.25e6].map(micros), ["0.5 µs", "250 µs", "2 ms", "1.25 s"]);
        assert_eq!(escaped("a<b&\"c\""), "a&lt;b&amp;&quot;c&quot;");
    }
}

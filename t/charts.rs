//! The charts in doc/charts/ show the figures of their source, and so do the pages that repeat some of them.

use std::fs;

/// Every row of figures.json: `["name", 0.18]`.
fn figures() -> Vec<(String, String)> {
    let text = fs::read_to_string("doc/charts/figures.json").expect("the file is there");
    let rows = text.lines().filter_map(|line| {
        let (name, value) =
            line.trim().trim_end_matches(',').strip_prefix("[\"")?.strip_suffix(']')?.split_once("\", ")?;
        let value: f64 = value.parse().expect("a number");
        Some((name.to_string(), format!("{value:.2}")))
    });
    rows.collect()
}

#[test]
fn the_charts_show_their_figures_the_day_and_the_machine() {
    let source = fs::read_to_string("doc/charts/figures.json").expect("the file is there");
    let svg: String = ["cpu", "memory"]
        .map(|name| fs::read_to_string(format!("doc/charts/{name}.svg")).expect("make charts draws it"))
        .concat();
    assert!(figures().len() > 15);
    for (name, value) in figures() {
        let row = format!(">{name}</text>");
        let after = svg.split_once(&row).unwrap_or_else(|| panic!("no bar for {name}: run make charts")).1;
        let shown = after.lines().nth(2).expect("the value follows the bar");
        assert!(shown.ends_with(&format!(">{value}</text>")), "{name}: {shown}: run make charts");
    }
    for line in source.lines().filter(|line| line.contains("\"date\"") || line.contains("\"host\"")) {
        let value = line.split('"').nth(3).expect("a text");
        assert!(svg.contains(value), "{value}: run make charts");
    }
    assert_eq!(svg.matches("prefers-color-scheme:dark").count(), 2);
}

#[test]
fn the_table_of_the_readme_has_the_figures_of_the_charts() {
    let readme = fs::read_to_string("README.md").expect("the page is there");
    for (row, figure) in [
        ("| CPU time of pipelined gets | ", "get pipelined 50"),
        ("| CPU time of pipelined sets | ", "set pipelined 50"),
        ("| memory per item, values of 100 bytes | ", "RSS per item, values of 100 B"),
        ("| misses with the same memory, seven traces of Twitter | ", "misses, Twitter clusters, 7 of them"),
    ] {
        let shown = readme.lines().find_map(|line| line.strip_prefix(row)).expect("the table has the row");
        let figures = figures();
        let (_, value) = figures.iter().find(|(name, _)| name.starts_with(figure)).expect("the charts have the figure");
        assert!(shown.starts_with(value.as_str()), "{row}{value} in doc/charts, {shown} in README.md");
    }
}

//! What `larder-bench` writes beside its lines: figures of each second, a page with charts, the result of a search.

use std::fs;

use crate::support::{Server, scratch_directory};

use super::tool::bench;

/// The fields of a JSON object on one line that are numbers.
fn numbers(object: &str, name: &str) -> Vec<f64> {
    let name = format!("\"{name}\": ");
    let parts = object.split(&name).skip(1);
    let number = |rest: &str| rest.split([',', '}', '\n']).next().and_then(|text| text.parse().ok());
    parts.map(|rest| number(rest).expect("a number")).collect()
}

#[test]
fn each_second_is_a_line_of_csv_and_an_object_of_json() {
    let server = Server::start(&[]);
    let directory = scratch_directory();
    let path = directory.join("seconds.csv");
    let port = server.tcp_address().port();
    let ran = bench(&format!("-p {port} -n 50 -c 2 -t 2 -d 2 --sleep -r 500 --json --csv {}", path.display()));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let csv = fs::read_to_string(&path).expect("the file is written");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "second,requests,errors,latency_p50_us,latency_p99_us,latency_p99_9_us");
    let by_second = ran.stdout.lines().find(|line| line.contains("\"by_second\"")).expect("the object has it");
    let requests = numbers(by_second, "requests");
    let rows: Vec<Vec<f64>> =
        lines[1..].iter().map(|line| line.split(',').map(|field| field.parse().expect("a number")).collect()).collect();
    assert_eq!(rows.iter().map(|row| row[1]).collect::<Vec<_>>(), requests);
    assert!((1..=2).contains(&rows.len()), "{csv}");
    for (number, row) in (1..).zip(&rows) {
        assert_eq!((row[0], row[2]), (f64::from(number), 0.0), "{csv}");
        assert!(row[3] <= row[4] && row[4] <= row[5], "percentiles grow: {csv}");
    }
    assert!(requests.iter().sum::<f64>() <= numbers(&ran.stdout, "requests")[0]);
}

#[test]
fn a_page_has_charts_and_no_script_and_loads_nothing() {
    let server = Server::start(&[]);
    let directory = scratch_directory();
    let path = directory.join("report.html");
    let port = server.tcp_address().port();
    let common = format!("-p {port} -n 50 -c 2 --sleep --html {}", path.display());
    let ran = bench(&format!("{common} -x get=9,set=1 -d 2.1"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let page = fs::read_to_string(&path).expect("the file is written");
    for title in ["Requests per second", "Latency by second", "Latency by percentile", "Report"] {
        assert!(page.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    assert!(page.contains("prefers-color-scheme:dark"), "{page}");
    assert_eq!(page.matches("<svg").count(), 3);
    for word in ["<script", "http", "url(", "src=", "NaN", "inf\""] {
        assert!(!page.contains(word), "{word}");
    }
    for line in ran.stdout.lines() {
        assert!(page.contains(&line.replace('&', "&amp;")), "the page has the report: {line}");
    }
}

#[test]
fn a_search_finds_a_rate_at_which_the_bound_holds() {
    let server = Server::start(&[]);
    let common = format!("-p {} -n 50 -c 4 -d 0.1 --sleep", server.tcp_address().port());
    let ran = bench(&format!("{common} --slo p50=2s"));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let line = ran.stdout.lines().find(|line| line.starts_with("highest rate ")).expect("the result");
    assert!(line.contains(" a second with p50 up to 2000000 us: ") && line.ends_with(" in 5 runs"), "{line}");
    assert!(ran.stdout.contains(" us, holds\n"), "{}", ran.stdout);
    let ran = bench(&format!("{common} --slo p50=2s --json"));
    let rate = numbers(&ran.stdout, "slo_rate")[0];
    let wanted = numbers(&ran.stdout, "rate_wanted")[0];
    assert!(rate > 0.0 && (rate - wanted).abs() < 1.0, "{}", ran.stdout);
    assert!(numbers(&ran.stdout, "rate").len() >= 5, "the runs that confirm are runs, too: {}", ran.stdout);
}

#[test]
fn a_bound_below_every_latency_has_no_rate() {
    let server = Server::start(&[]);
    let directory = scratch_directory();
    let path = directory.join("report.html");
    let port = server.tcp_address().port();
    let ran = bench(&format!("-p {port} -n 50 -c 4 -d 0.05 --sleep --slo p99=1us --html {}", path.display()));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("highest rate    none: p99 is above 1.0 us at every rate\n"), "{}", ran.stdout);
    let page = fs::read_to_string(&path).expect("the file is written");
    assert!(page.contains("<h2>p99 by rate</h2>"), "{page}");
}

#[test]
fn a_file_that_cannot_be_written_ends_the_run_before_the_load() {
    let server = Server::start(&[]);
    let ran = bench(&format!("-p {} -n 50 -c 2 --csv /nowhere/seconds.csv", server.tcp_address().port()));
    assert_eq!(ran.code, Some(71), "{}", ran.stdout);
    assert_eq!(ran.stderr, "larder-bench: /nowhere/seconds.csv: No such file or directory\n");
    assert_eq!(server.stats("")["cmd_set"], "0");
}

#[test]
fn the_page_names_every_field_of_a_search() {
    let page = fs::read_to_string("doc/larder-bench.md").expect("the page is there");
    let server = Server::start(&[]);
    let ran = bench(&format!("-p {} -n 50 -c 2 -d 0.05 --sleep --slo p50=2s --json", server.tcp_address().port()));
    let names = ran.stdout.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next());
    let missing: Vec<&str> = names.filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0], "doc/larder-bench.md lacks them");
}

//! `larder-bench --server … --server …` and `--table`: servers that it starts itself.

use std::process::{Command, Output};

/// Short turns, and everything on one core: a test must run where there is no second one.
fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_larder-bench"))
        .args(arguments)
        .envs([("LARDER_BENCH_PAIRS", "2"), ("LARDER_BENCH_WINDOW_MS", "20")])
        .envs([("LARDER_BENCH_SERVER_CORE", "0"), ("LARDER_BENCH_CLIENT_CORE", "0")])
        .output()
        .expect("the program starts")
}

#[test]
fn two_servers_and_the_floor_meet_under_one_load() {
    let larder = env!("CARGO_BIN_EXE_larder");
    let other = format!("{larder} -R 50");
    let ran = bench(&["--server", larder, "--server", &other, "-n", "500", "-c", "3", "-P", "10", "--sleep"]);
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{stdout}{stderr}");
    let servers: Vec<&str> = stdout.lines().filter_map(|line| line.split('|').nth(2)).map(str::trim).collect();
    assert_eq!(servers[2..], ["larder", "larder -R 50", "floor"], "{stdout}");
    let to_itself = stdout.lines().nth(2).and_then(|line| line.split('|').nth(9)).map(str::trim);
    assert_eq!(to_itself, Some("1.00 (1.00–1.00)"), "{stdout}");
}

#[test]
fn a_flag_that_would_do_nothing_beside_a_server_is_refused() {
    for flags in [["-d", "3"], ["--warmup", "1"], ["-p", "11211"], ["--cores", "0"]] {
        let ran = bench(&[&["--server", "/no/such/program"], &flags[..]].concat());
        assert_eq!(ran.status.code(), Some(64), "{flags:?}");
        assert!(String::from_utf8_lossy(&ran.stderr).contains("not with --server"), "{ran:?}");
    }
}

#[test]
fn a_row_that_is_not_there_is_answered_with_those_that_are() {
    let ran = bench(&["--table", "--rows", "get on the moon"]);
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success());
    assert!(stderr.contains("no such row") && stderr.contains("\n  get pipelined 50\n"), "{stderr}");
}

#[test]
fn a_server_that_does_not_start_is_named() {
    let ran = bench(&["--server", "/no/such/program", "--server", "/neither/this"]);
    assert!(!ran.status.success());
    assert!(String::from_utf8_lossy(&ran.stderr).contains("/no/such/program"), "{ran:?}");
}

#[test]
fn a_row_that_cannot_be_measured_is_named_and_the_table_is_printed() {
    let ran =
        bench(&["--table", "--rows", "incr; get, 1", "--server", "/no/such/program", "--server", "/neither/this"]);
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(!ran.status.success());
    assert!(stdout.starts_with("| row |"), "{stdout}");
    assert!(stderr.contains("not measured: get, 1 in flight, incr pipelined 50"), "{stderr}");
}

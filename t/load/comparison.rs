//! `larder-bench --server … --server …` and `--table`: servers that it starts itself.

use std::process::{Command, Output};

use crate::support::{larder_bench, scratch_directory};

/// Short turns, and everything on one core: a test must run where there is no second one.
fn bench(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program starts")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(larder_bench());
    command
        .args(arguments)
        .envs([("LARDER_BENCH_PAIRS", "2"), ("LARDER_BENCH_WINDOW_MS", "200")])
        .envs([("LARDER_BENCH_SERVER_CORE", "0"), ("LARDER_BENCH_CLIENT_CORE", "0")]);
    command
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

/// Runs in a folder without memcached and without the script that fetches it.
fn bench_without_memcached(arguments: &[&str]) -> Output {
    let directory = scratch_directory();
    command(arguments)
        .current_dir(&directory)
        .env_remove("LARDER_ORACLE")
        .env_remove("LARDER_BENCH_B")
        .output()
        .expect("the program starts")
}

#[test]
fn a_server_alone_is_started_and_loaded_without_another() {
    let ran = bench_without_memcached(&["--server", env!("CARGO_BIN_EXE_larder"), "-n", "500", "-c", "3", "--sleep"]);
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{stdout}{stderr}");
    let servers: Vec<&str> = stdout.lines().filter_map(|line| line.split('|').nth(2)).map(str::trim).collect();
    assert_eq!(servers[2..], ["larder"], "{stdout}");
}

#[test]
fn without_memcached_the_error_names_what_to_set() {
    let ran = bench_without_memcached(&["--table", "--rows", "incr", "--server", env!("CARGO_BIN_EXE_larder")]);
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(69), "{stderr}");
    assert!(stderr.contains("scripts/newest-memcached") && stderr.contains("LARDER_ORACLE"), "{stderr}");
}

#[test]
fn a_memcached_that_is_not_the_yardstick_is_warned_of() {
    for (version, warnings) in [("1.6.45", 0), ("1.6.46", 1), ("1.6.450", 1)] {
        let folder = scratch_directory();
        let program = folder.join("bin/memcached");
        // A process of its own writes the file. If this process had it open for writing, a parallel test could pass the
        // descriptor to a child. Then the kernel would refuse to run the file.
        let lines =
            format!("mkdir bin; printf '#!/bin/sh\necho memcached {version}\n' >bin/memcached; chmod +x bin/memcached");
        let written = Command::new("sh").args(["-c", &lines]).current_dir(&folder).status().expect("there is a shell");
        assert!(written.success());
        let ran = Command::new("scripts/newest-memcached").arg(folder.as_os_str()).output().expect("the script starts");
        assert!(ran.status.success(), "{ran:?}");
        assert_eq!(String::from_utf8_lossy(&ran.stdout).trim_end(), program.to_string_lossy());
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(stderr.matches(&format!("this is memcached {version}; ")).count(), warnings, "{stderr}");
        assert_eq!(stderr.lines().count(), warnings, "{stderr}");
    }
}

#[test]
fn a_server_that_does_not_speak_the_protocol_is_named() {
    let server = format!("{} -B ascii", env!("CARGO_BIN_EXE_larder"));
    let ran = bench(&["--server", &server, "-w", "binary", "-n", "10", "-c", "1"]);
    assert_eq!(ran.status.code(), Some(69), "{ran:?}");
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(stderr.contains("larder-bench: larder"), "{stderr}");
    assert!(stderr.contains(": a no-op of the binary protocol was answered by"), "{stderr}");
}

#[test]
fn modes_print_the_help_and_refuse_what_they_do_not_understand() {
    for mode in ["--floor", "--table", "--memory"] {
        let helped = bench(&[mode, "--help"]);
        assert_eq!(helped.status.code(), Some(0), "{mode}");
        assert!(String::from_utf8_lossy(&helped.stdout).contains("usage: larder-bench"), "{helped:?}");
        for wrong in ["--fast", "extra"] {
            let ran = bench(&[mode, wrong]);
            assert_eq!(ran.status.code(), Some(64), "{ran:?}");
            assert!(String::from_utf8_lossy(&ran.stderr).contains(wrong), "{ran:?}");
        }
    }
    assert_eq!(bench(&["--floor", "-p", "none"]).status.code(), Some(64));
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
    assert_eq!(ran.status.code(), Some(64));
    assert!(stderr.contains("no such row") && stderr.contains("\n  get pipelined 50\n"), "{stderr}");
}

#[test]
fn a_server_that_does_not_start_is_named() {
    for servers in [&["--server", "/no/such/program"][..], &["--server", "/no/such/program", "--server", "/neither"]] {
        let ran = bench(servers);
        assert_eq!(ran.status.code(), Some(69), "{ran:?}");
        assert!(String::from_utf8_lossy(&ran.stderr).contains("/no/such/program"), "{ran:?}");
    }
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

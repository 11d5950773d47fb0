//! `larder-bench` and memcached: every kind of request in every protocol is answered as the tool thinks it must be.

use std::process::{Command, Output};

use super::memcached;
use super::support::{Server, larder_bench};

/// Every kind, with more sets and gets than deletes, so that most keys are there.
const EVERY_KIND: &str = "get=6,gets=2,gat=2,set=4,add,replace,append,prepend,cas=2,delete,incr,decr,touch";

fn bench(server: &Server, arguments: &[&str]) -> Output {
    let port = server.tcp_address().port().to_string();
    let run = Command::new(larder_bench())
        .args(["-p", &port, "-n", "2000", "-c", "7", "-t", "2", "-d", "0.3", "--sleep", "-q"])
        .args(arguments)
        .output();
    run.expect("the program starts")
}

/// Runs the load, and returns its report. All replies must be right.
fn faultless(server: &Server, arguments: &[&str]) -> String {
    let ran = bench(server, arguments);
    let stdout = String::from_utf8_lossy(&ran.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{arguments:?}\n{stdout}{stderr}");
    assert!(!stdout.contains("WRONG"), "{arguments:?}\n{stdout}");
    stdout
}

#[test]
fn larder_bench_finds_nothing_wrong_with_memcached_in_any_protocol() {
    let server = Server::start_program(memcached::program(), &["-m", "256", "-t", "2"]);
    for wire in ["text", "meta", "binary"] {
        for beside in [&["-P", "20"][..], &["-k", "5", "-v", "etc", "--ttl", "1=.3,1000=.3"], &["--private-keys"]] {
            let report = faultless(&server, &[&["-w", wire, "-x", EVERY_KIND], beside].concat());
            let kinds = EVERY_KIND.split(',').map(|word| word.split('=').next().unwrap_or(word));
            for kind in kinds {
                let line = format!("  {kind} ");
                assert!(report.lines().any(|found| found.starts_with(&line)), "{wire} {beside:?}: {kind}\n{report}");
            }
        }
        faultless(&server, &["-w", wire, "-x", "get,set,delete,incr", "--noreply", "-P", "20"]);
        faultless(&server, &["-w", wire, "-x", "get,set", "-r", "3000"]);
    }
}

/// Checks that the tool finds faults. Without this, the test above might not be able to fail.
#[test]
fn larder_bench_finds_a_foreign_value_in_memcached_in_any_protocol() {
    let server = Server::start_program(memcached::program(), &[]);
    for wire in ["text", "meta", "binary"] {
        faultless(&server, &["-w", wire, "--fill-only"]);
        let key = format!("bench:{:026}", 7);
        server.client().ask(format!("set {key} 0 0 5\r\nwrong\r\n"), "STORED\r\n");
        let ran = bench(&server, &["-w", wire, "-x", "get", "-P", "50", "--no-fill"]);
        let stdout = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(ran.status.code(), Some(1), "{wire}: {stdout}");
        assert!(stdout.contains("the value of item 7 has 5 bytes instead of 100"), "{wire}: {stdout}");
    }
}

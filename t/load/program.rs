//! `larder-bench` without a server: exit codes and lines. t/load/ has its tests with one.
//!
//! This is the load program's own integration test, so a bare `cargo test` builds the program, and the others find it.

use std::process::Command;

/// The exit code and standard error of a run with these words.
fn bench(arguments: &str) -> (Option<i32>, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_larder-bench")).args(arguments.split_whitespace()).output();
    let run = run.expect("the program starts");
    (run.status.code(), String::from_utf8(run.stderr).expect("the program writes UTF-8"))
}

#[test]
fn no_server_is_exit_code_69_and_a_line() {
    // Port 1 is privileged and in no range of ephemeral ports, so no other test can listen there.
    let ran = bench("-p 1");
    assert_eq!(ran, (Some(69), "larder-bench: connect to 127.0.0.1:1: Connection refused\n".to_owned()));
}

#[test]
fn a_wrong_command_line_is_exit_code_64_and_a_line() {
    for (arguments, line) in [
        ("--fast", "larder-bench: --fast: no such option; larder-bench --help lists them\n"),
        ("-c 0", "larder-bench: -c, --connections: 0 is outside 1 to 1000000\n"),
        ("-K 5", "larder-bench: keys of 5 bytes: with the prefix \"bench:\" they have 16 to 250\n"),
        (
            "--rate 10 --noreply",
            "larder-bench: requests without replies cannot be timed, so they are for the closed loop\n",
        ),
        (
            "--rate 10 -x get,cas",
            "larder-bench: cas is two requests, one after the other, so it is for the closed loop\n",
        ),
        (
            "-x get,gett",
            "larder-bench: -x, --mix: \"gett\" is not one of get, gets, gat, set, add, replace, append, prepend, \
             cas, delete, incr, decr, touch\n",
        ),
        ("-x get=x", "larder-bench: -x, --mix: \"get=x\": the share is no number from 0 on\n"),
        ("--private-keys -n 10 -c 20", "larder-bench: --private-keys: 10 keys for 20 connections\n"),
        (
            "--private-keys --noreply",
            "larder-bench: --private-keys and --noreply: a store without a reply is not acknowledged\n",
        ),
        ("--private-keys -v 23", "larder-bench: --private-keys: values of 23 bytes have no stamp, which takes 24\n"),
        ("--hot 1:0", "larder-bench: --hot: \"1:0\" has no keys in it: the second share is above 0\n"),
        ("-r 1 -d .1", "larder-bench: -r, --rate: 1 a second are less than one request of each thread in 0.1 s\n"),
        (
            "-r 3 -d 1 -t 4 -c 4",
            "larder-bench: -r, --rate: 3 a second are less than one request of each thread in 1 s\n",
        ),
        ("--hot 90:1", "larder-bench: --hot: \"90:1\" is not two shares of 1, like 0.9:0.01\n"),
        ("-x get=0", "larder-bench: -x, --mix: \"get=0\" has no request in it\n"),
        ("-v kvcache:/nowhere", "larder-bench: /nowhere: No such file or directory\n"),
    ] {
        let ran = bench(arguments);
        assert_eq!(ran, (Some(64), line.to_string()), "{arguments}");
    }
}

//! The program `larder-bench`: exit codes, lines, JSON.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::process::Command;

use larder_bench::order::parse;
use larder_bench::{EXIT_CODES, Op};

use crate::support::{Server, larder_bench};

use super::liar::{Lie, start};

/// The result of a run of the program.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs the program with these words.
pub(super) fn bench(arguments: &str) -> Ran {
    let run = Command::new(larder_bench()).args(arguments.split_whitespace()).output();
    let run = run.expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    Ran { code: run.status.code(), stdout: text(run.stdout), stderr: text(run.stderr) }
}

#[test]
fn figures_for_people_are_lines() {
    let server = Server::start(&[]);
    let port = server.tcp_address().port();
    let ran = bench(&format!("-p {port} -n 500 -c 3 -d 0.05 --sleep -x get=9,set=1 -P 10"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    let first = format!(
        "load            get=9,set=1, 500 keys of 32 B, values of 100 B\nserver          127.0.0.1:{port}, text, 3 connections"
    );
    assert!(ran.stdout.starts_with(&first), "{}", ran.stdout);
    let names = [
        "stored first",
        "requests ",
        "hits ",
        "changes ",
        "latency, us",
        "  by kind ",
        "  get ",
        "  set ",
        "traffic ",
        "client ",
    ];
    for name in names {
        assert!(ran.stdout.lines().any(|line| line.starts_with(name)), "{name} in\n{}", ran.stdout);
    }
    assert_eq!(server.stats("")["curr_items"], "500");
}

#[test]
fn figures_for_programs_are_one_json_object() {
    let server = Server::start(&[]);
    let port = server.tcp_address().port();
    let ran = bench(&format!("-p {port} -n 500 -c 3 -d 0.05 --sleep --json --zipf 0.99"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let object = flat_json(&ran.stdout);
    assert_eq!(object["fill_stored"], "500");
    assert_eq!(object["hits"], object["requests"]);
    assert_eq!(object["faults"], "0");
    assert_eq!(object["mix"], "\"get\"");
    assert_eq!(object["notes"], "[]");
    assert!(object["by_op"].starts_with(&format!("{{\"get\": {{\"timed\": {}, ", object["requests"])));
    assert!(object["latency_p99_9_us"].parse::<f64>().is_ok_and(|us| us > 0.0));
    assert_eq!(server.stats("")["cmd_get"], object["requests"]);
}

#[test]
fn a_unix_socket_is_as_good() {
    let directory = crate::support::scratch_directory();
    let socket = directory.join("s");
    let path = socket.to_str().expect("the path is UTF-8");
    let _server = Server::start(&["-s", path]);
    let ran = bench(&format!("-s {path} -n 500 -c 3 -d 0.02 --sleep"));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_fill_alone_stores_and_no_fill_does_not() {
    let server = Server::start(&[]);
    let port = server.tcp_address().port();
    assert_eq!(bench(&format!("-p {port} -n 500 -c 3 --fill-only")).code, Some(0));
    assert_eq!(server.stats("")["cmd_get"], "0");
    assert_eq!(bench(&format!("-p {port} -n 500 -c 3 --no-fill -d 0.02 --sleep")).code, Some(0));
    assert_eq!(server.stats("")["cmd_set"], "500");
}

#[test]
fn a_lying_server_is_exit_code_1() {
    let ran = bench(&format!("-p {} -n 10 -c 2 -d 0.02 --sleep", start(Lie::Swapped).port()));
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stdout.contains("WRONG") && ran.stdout.contains("came with the value of item"), "{}", ran.stdout);
}

#[test]
fn a_lie_in_the_warmup_counts() {
    let ran = bench(&format!("-p {} -n 10 -c 2 -d 0.02 --warmup 0.02 --ramp 0.01 --sleep", start(Lie::Rotten).port()));
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
}

#[test]
fn a_server_that_answers_errors_is_exit_code_2() {
    let server = Server::start(&["-I", "2k"]);
    let ran = bench(&format!("-p {} -n 10 -c 2 -v 5000 -d 0.02 --sleep", server.tcp_address().port()));
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(ran.stdout.contains("SERVER_ERROR object too large for cache"), "{}", ran.stdout);
}

#[test]
fn another_protocol_is_exit_code_69_and_a_line() {
    let port = start(Lie::None).port();
    let ran = bench(&format!("-p {port} -w meta"));
    assert_eq!(ran.code, Some(69));
    let line =
        format!("larder-bench: 127.0.0.1:{port} does not speak the protocol of --wire: mn was answered by ERROR\n");
    assert_eq!(ran.stderr, line);
}

#[test]
fn a_binary_question_is_told_in_words() {
    let server = Server::start(&["-B", "ascii"]);
    let ran = bench(&format!("-p {} -w binary", server.tcp_address().port()));
    assert_eq!(ran.code, Some(69));
    let line = "the protocol of --wire: a no-op of the binary protocol was answered by ";
    assert!(ran.stderr.contains(line), "{}", ran.stderr);
}

#[test]
fn a_server_without_room_for_all_connections_is_exit_code_2() {
    let server = Server::start(&["-c", "4"]);
    let ran = bench(&format!("-p {} -n 10 -c 10 -d 0.02 --sleep", server.tcp_address().port()));
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("errors, ") && ran.stdout.contains(" connections lost\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the server answered ERROR Too many open connections\n"), "{}", ran.stdout);
}

#[test]
fn a_core_that_is_not_there_is_named_with_its_flag() {
    let ran = bench(&format!("-p {} -n 10 -c 1 --cores 99999", start(Lie::None).port()));
    assert_eq!(ran.code, Some(64), "{}", ran.stderr);
    assert_eq!(ran.stderr, "larder-bench: --cores: core 99999: Invalid argument\n");
}

#[test]
fn the_document_knows_every_kind_of_request() {
    let page = fs::read_to_string("doc/larder-bench.md").expect("the page is there");
    for op in Op::ALL {
        let row = format!("| `{}` | {} |", op.name(), op.help());
        assert!(page.lines().any(|line| line.starts_with(&row)), "doc/larder-bench.md lacks {row}");
    }
}

#[test]
fn the_document_knows_every_exit_code() {
    let page = fs::read_to_string("doc/larder-bench.md").expect("the page is there");
    for (code, when) in EXIT_CODES {
        let row = format!("| {code} | {when} |");
        assert!(page.lines().any(|line| line == row), "doc/larder-bench.md lacks {row}");
    }
}

#[test]
fn the_document_knows_every_name_of_the_json() {
    let page = fs::read_to_string("doc/larder-bench.md").expect("the page is there");
    let server = Server::start(&[]);
    let ran = bench(&format!("-p {} -n 50 -c 3 -d 0.02 --sleep --json -r 5000", server.tcp_address().port()));
    for name in flat_json(&ran.stdout).keys() {
        assert!(page.contains(&format!("`{name}`")), "doc/larder-bench.md lacks {name}");
    }
}

#[test]
fn what_the_documents_show_is_a_command_line() {
    let mut shown = 0;
    for path in ["doc/larder-bench.md", "README.md"] {
        let text = fs::read_to_string(path).expect("the page is there");
        for line in text.lines() {
            let command = line.split('#').next().unwrap_or_default().trim();
            let Some((_, arguments)) = command.split_once("larder-bench -") else { continue };
            if command.contains('`') || command.starts_with('|') {
                continue;
            }
            assert!(parse(shell_words(&format!("-{arguments}"))).is_ok(), "{path}: {line}");
            shown += 1;
        }
    }
    assert!(shown >= 9, "{shown}");
}

/// Words between blanks, or between double quotes.
fn shell_words(line: &str) -> Vec<OsString> {
    let mut quoted = false;
    let words = line.split(|letter: char| {
        quoted ^= letter == '"';
        letter == ' ' && !quoted
    });
    words.filter(|word| !word.is_empty()).map(|word| word.trim_matches('"').into()).collect()
}

/// Names and values, as written, of an object with a line for each.
fn flat_json(text: &str) -> BTreeMap<String, String> {
    let inside = text.trim_end().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("one object");
    let mut object = BTreeMap::new();
    for line in inside.trim().lines() {
        let line = line.trim().trim_end_matches(',');
        let (name, value) = line.split_once(": ").expect("a name and a value");
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).expect("a name in quotes");
        let is_text = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
        let is_list = value.starts_with('[') && value.ends_with(']');
        let is_object = value.starts_with('{') && value.ends_with('}');
        let is_word = ["true", "false"].contains(&value);
        assert!(is_text || is_list || is_object || is_word || value.parse::<f64>().is_ok(), "{line}");
        assert!(object.insert(name.to_string(), value.to_string()).is_none(), "{name} comes twice");
    }
    let commas = inside.trim().lines().filter(|line| line.ends_with(',')).count();
    assert_eq!(commas + 1, object.len(), "a comma behind every line but the last");
    object
}

//! The program larder-top, as a person starts it: plain tables, failures, and exit codes.

#[path = "../support/tls_stub.rs"]
mod tls_stub;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use tls_stub::TlsStub;

fn run(words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_larder-top")).args(words).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes text");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

/// A server whose counter of gets grows by 10 with each reading.
fn serve(listener: &TcpListener) {
    let (stream, _) = listener.accept().expect("a client connects");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut gets = 0;
    while stream.read_line(&mut line).is_ok_and(|len| len > 0) {
        assert_eq!(line, "stats\r\n");
        line.clear();
        gets += 10;
        let rows = [("uptime", 61), ("cmd_get", gets), ("get_hits", gets), ("curr_items", 1234)];
        let rows: String = rows.iter().map(|(name, value)| format!("STAT {name} {value}\r\n")).collect();
        if stream.get_mut().write_all(format!("{rows}END\r\n").as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn rounds_are_plain_tables_and_a_server_that_is_down_has_the_reason() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let server = std::thread::spawn(move || serve(&listener));
    let (code, table, said) = run(&["-n", "1", &address, "127.0.0.1:1"]);
    assert_eq!((code, said.as_str()), (0, ""));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("SERVER ") && lines[0].ends_with(" UP"), "{table}");
    assert!(lines[1].starts_with(&address) && lines[1].contains(" 100.0 ") && lines[1].ends_with(" 1m01s"), "{table}");
    assert!(lines[1].contains(" 1.2k "), "{table}");
    assert!(lines[2].contains("connect to 127.0.0.1:1: Connection refused"), "{table}");
    server.join().expect("it has served");
}

#[test]
fn servers_with_tls_are_shown_and_a_wrong_choice_of_tls_has_its_cure() {
    const ROWS: &[(&str, &str)] = &[("stats", "STAT uptime 61\r\nSTAT curr_items 1234\r\nEND\r\n")];
    let server = TlsStub::start(ROWS, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("top.pem"));
    let row = |flags: &[&str]| {
        let (code, table, said) = run(&[&["-n", "1"], flags, &[&server.address]].concat());
        assert_eq!((code, said.as_str()), (0, ""));
        table.lines().nth(1).expect("a row").to_owned()
    };
    let shown = row(&["--tls-ca", server.ca()]);
    assert!(shown.contains(" 1.2k ") && shown.ends_with(" 1m01s"), "{shown}");
    let cure = "the server uses TLS on this port; --tls, --tls-ca or --tls-insecure turns it on";
    assert!(row(&[]).ends_with(cure), "{}", row(&[]));
}

#[test]
fn mistakes_end_it_with_a_message() {
    assert_eq!(run(&["-n", "0"]), (64, String::new(), "larder-top: --rounds: 0 is outside 1 to 1000000\n".into()));
    let (code, _, said) = run(&["-n", "1", "--tls-ca", "/no/such/file"]);
    assert!(code == 64 && said.starts_with("larder-top: /no/such/file: "), "{said}");
    let (code, help, _) = run(&["-h"]);
    assert!(code == 0 && help.starts_with("usage: larder-top "), "{help}");
}

#[test]
fn the_manual_page_has_every_option() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../doc/larder-top.1"));
    let page = page.expect("the page is there").replace("\\-", "-");
    let (_, help, _) = run(&["-h"]);
    let options: Vec<&str> = help.split_whitespace().filter(|word| word.starts_with("--")).collect();
    assert!(options.len() >= 3, "{help}");
    for option in options {
        assert!(page.contains(option), "doc/larder-top.1 lacks {option}");
    }
}

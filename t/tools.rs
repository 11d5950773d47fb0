//! `larder dump`, `larder load` and `larder ping`: what is dumped is loaded, and each failure has a message and an exit
//! code.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Server, program_under_test, scratch_directory};

/// Runs a tool to its end. Returns its exit code and what it has written to standard error.
fn run(words: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = Command::new(program_under_test()).args(words).output().expect("it runs");
    (status.code().expect("it ends by itself"), String::from_utf8_lossy(&stderr).into_owned())
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the scratch directory has a plain name")
}

fn address(server: &Server) -> String {
    server.tcp_address().to_string()
}

#[test]
fn what_is_dumped_is_loaded_with_keys_flags_and_times() {
    let (source, target) = (Server::start(&["-m", "64"]), Server::start(&["-m", "64"]));
    let directory = scratch_directory();
    let file = directory.join("items");
    let mut client = source.client();
    let large = "x".repeat(300_000);
    client.ask("ms a 3 F5 T1000\r\none\r\n", "HD\r\n");
    client.ask("ms YiBj 3 b\r\ntwo\r\n", "HD\r\n");
    client.ask("ms empty 0\r\n\r\n", "HD\r\n");
    client.ask(format!("ms large {} F4294967295\r\n{large}\r\n", large.len()), "HD\r\n");
    client.ask("ms stale 1\r\ns\r\nmd stale I\r\n", "HD\r\nHD\r\n");
    for batch in 0..9 {
        let items: String = (0..100).map(|item| format!("ms {batch}-{item} 1 q\r\ni\r\n")).collect();
        client.ask(format!("{items}mn\r\n"), "MN\r\n");
    }
    let (code, said) = run(&["dump", &address(&source), path(&file)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("larder dump: 904 items, 0.3 MiB in ") && said.contains("; 1 stale items are left out"));
    let (code, said) = run(&["load", &address(&target), path(&file)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("larder load: 904 items"), "{said}");
    let mut client = target.client();
    client.ask("mg a f v\r\n", "VA 3 f5\r\none\r\n");
    client.send("mg a t\r\n");
    let ttl = client.read_line().expect("it has a time");
    assert!(ttl == b"HD t1000\r\n" || ttl.starts_with(b"HD t99"), "{}", ttl.escape_ascii());
    client.ask("mg YiBj b k t v\r\n", "VA 3 kYiBj b t-1\r\ntwo\r\n");
    client.ask("mg empty v\r\n", "VA 0\r\n\r\n");
    client.ask("mg large f v\r\n", format!("VA 300000 f4294967295\r\n{large}\r\n"));
    client.ask("mg stale v\r\n", "EN\r\n");
    client.ask("mg 2-99 v\r\n", "VA 1\r\ni\r\n");
    assert_eq!(target.stats("")["curr_items"], "904");
    assert!(!directory.join("items.part").exists());
}

#[test]
fn a_dump_is_what_any_client_can_send() {
    let (source, target) = (Server::start(&[]), Server::start(&[]));
    source.client().ask("set a 7 0 3\r\none\r\n", "STORED\r\n");
    let dump = Command::new(program_under_test()).args(["dump", &address(&source)]).output().expect("it runs");
    assert!(dump.status.success());
    let mut client = target.client();
    client.send(&dump.stdout);
    client.expect("MN\r\nMN\r\n");
    client.ask("get a\r\n", "VALUE a 7 3\r\none\r\nEND\r\n");
}

#[test]
fn an_item_that_the_server_has_stays_if_asked_for() {
    let server = Server::start(&[]);
    let directory = scratch_directory();
    let file = directory.join("items");
    let mut client = server.client();
    client.ask("set a 0 0 3\r\nold\r\n", "STORED\r\n");
    fs::write(&file, "mn larder-dump=1 time=1\r\nms a 3 q\r\nnew\r\nms b 3 T1000000000 q\r\nold\r\nmn items=2\r\n")
        .unwrap();
    let (code, said) = run(&["load", "--keep", &address(&server), path(&file)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("; 1 have expired; 1 were there and stay"), "{said}");
    client.ask("get a b\r\n", "VALUE a 0 3\r\nold\r\nEND\r\n");
    assert_eq!(run(&["load", &address(&server), path(&file)]).0, 0);
    client.ask("get a b\r\n", "VALUE a 0 3\r\nnew\r\nEND\r\n");
}

#[test]
fn each_failure_has_a_message_and_an_exit_code() {
    let server = Server::start(&["-I", "1k", "-m", "2"]);
    let directory = scratch_directory();
    let file = directory.join("items");
    let address = address(&server);
    let load = |text: &str| {
        fs::write(&file, text).unwrap();
        run(&["load", &address, path(&file)])
    };
    let large = "x".repeat(5000);
    let (code, said) =
        load(&format!("mn larder-dump=1 time=1\r\nms a 5000 q\r\n{large}\r\nms b 1 q\r\nb\r\nmn items=2\r\n"));
    assert!(said.contains("larder: 1 items: SERVER_ERROR object too large for cache"), "{said}");
    assert_eq!(code, 1);
    server.client().ask("get a b\r\n", "VALUE b 0 1\r\nb\r\nEND\r\n");
    for (text, expected) in [
        ("", "it is no dump of larder"),
        ("mn larder-dump=9 time=1\r\n", "version 9"),
        ("mn larder-dump=1 time=1\r\nms a 1 q\r\na\r\n", "it is cut off after 1 items"),
        ("mn larder-dump=1 time=1\r\nms a 10 q\r\na", "it is cut off in a value"),
        ("mn larder-dump=1 time=1\r\nmn items=3\r\n", "it has 0 items, and its last line says 3"),
        ("mn larder-dump=1 time=1\r\nflush_all\r\nmn items=0\r\n", "behind 0 items: flush_all"),
    ] {
        let (code, said) = load(text);
        assert!(code == 65 && said.contains(expected), "{text:?}: {code} {said}");
    }
    for (words, code, expected) in [
        (&["dump"][..], 64, "see larder dump -h"),
        (&["load", "--what", "h"], 64, "see larder load -h"),
        (&["dump", "127.0.0.1:1"], 69, "connect to 127.0.0.1:1: "),
        (&["dump", &address, "/no/such/folder/items"], 74, "write /no/such/folder/items.part: "),
        (&["load", &address, "/no/such/file"], 74, "read /no/such/file: "),
    ] {
        let (ended, said) = run(words);
        assert!(ended == code && said.contains(expected), "{words:?}: {ended} {said}");
    }
    assert_eq!(run(&["dump", "-h"]).0, 0);
}

#[test]
fn a_server_with_authentication_is_dumped_by_a_user() {
    let directory = scratch_directory();
    let users = directory.join("users");
    fs::write(&users, "ann:secret\n").unwrap();
    let server = Server::start(&["-Y", path(&users)]);
    let dump = |user: &str| {
        let mut command = Command::new(program_under_test());
        command.args(["dump", &address(&server)]).env("LARDER_USER", user).output().expect("it runs")
    };
    assert_eq!(dump("ann:wrong").status.code(), Some(69));
    let dumped = dump("ann:secret");
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    assert!(dumped.stdout.ends_with(b"mn items=0\r\n"));
}

#[test]
fn a_ping_has_the_exit_code_of_the_answer() {
    let server = Server::start(&[]);
    assert_eq!(run(&["ping", &address(&server)]), (0, String::new()));
    server.kill();
    let (code, said) = run(&["ping", &address(&server)]);
    assert!(code == 69 && said.starts_with("larder: "), "{code} {said}");
    assert_eq!(run(&["ping", "127.0.0.1", "file"]).0, 64);
}

/// A server that knows neither `mgdump` nor more than one item, and is busy at first, as memcached 1.6.18 may be.
fn serve_as_an_old_memcached(listener: &TcpListener) {
    for (connection, stream) in (0..2).zip(listener.incoming()) {
        let mut stream = BufReader::new(stream.expect("a client connects"));
        let mut asked = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                break;
            }
            asked += 1;
            let reply = match (connection, line.trim_end()) {
                (0, "lru_crawler mgdump hash") => "ERROR\r\n",
                (0, _) if asked == 2 => "BUSY currently processing crawler request\r\n",
                (0, _) => "key=b%20c exp=-1 la=5 cas=1 fetch=no cls=1 size=60\r\nkey=d exp=-1 la=5\r\nEND\r\n",
                (_, "mg YiBj b k f t u v q") => "VA 1 b kYiBj f0 t-1\r\nv\r\n",
                (_, "mn") => "MN\r\n",
                // The item of the other key has gone meanwhile.
                (_, _) => "",
            };
            stream.get_mut().write_all(reply.as_bytes()).expect("the client reads");
            if reply.ends_with("END\r\n") {
                break;
            }
        }
    }
}

#[test]
fn a_memcached_without_mgdump_is_dumped_by_metadump() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let server = std::thread::spawn(move || serve_as_an_old_memcached(&listener));
    let dumped = Command::new(program_under_test()).args(["dump", &address]).output().expect("it runs");
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    let text = String::from_utf8_lossy(&dumped.stdout).into_owned();
    assert!(text.ends_with("\r\nms YiBj 1 b q\r\nv\r\nmn items=1\r\n"), "{text}");
    server.join().expect("it has served two connections");
}

/// A person reads it from standard output; a program reads the exit code.
#[test]
fn the_doctor_says_what_is_wrong_and_which_option_cures_it() {
    let examined = |server: &Server| {
        let output = Command::new(program_under_test()).args(["doctor", &address(server)]).output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let healthy = Server::start(&[]);
    let (code, text, said) = examined(&healthy);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{text}");
    assert!(text.starts_with(&format!("{}: larder ", address(&healthy))), "{text}");
    assert!(text.ends_with(", 0 of 9 checks find something\n"), "{text}");
    let ill = Server::start(&["-c", "4", "-I", "2k"]);
    let _others: Vec<_> = (0..3)
        .map(|_| {
            let mut client = ill.client();
            client.ask("set a 0 0 1\r\na\r\n", "STORED\r\n");
            client
        })
        .collect();
    let (code, text, said) = examined(&ill);
    assert_eq!((code, said.as_str()), (Some(1), "larder: 1 finding\n"), "{text}");
    assert!(text.contains("\nconnections     4 of 4 connections are open; further ones are refused\n"), "{text}");
    assert!(text.contains("                cure: -c 8, or -o idle_timeout=SECONDS"), "{text}");
    assert_eq!(run(&["doctor"]).0, 64);
    assert_eq!(run(&["doctor", "127.0.0.1:1"]).0, 69);
}

//! SASL over the binary protocol (`-S`): what a client may send before it is authenticated, and its attempts.

use std::fs;
use std::process::Command;

use larder::protocol::binary::Opcode::{self, *};

use crate::support::packet::{Packet, read_reply};
use crate::support::{Client, Server, scratch_directory};

/// `slow word`, hashed with 16 MiB and 3 passes.
const USERS: &str = "user:secret word\nhashed:$argon2id$v=19$m=16384,t=3,p=1$c2FsdHNhbHQ$gQf/rUaDQFYMqHXEz5mw7A\n";

/// A server with -S, and with -Y if `flags` have it.
fn guarded(flags: &[&str]) -> Server {
    let directory = scratch_directory();
    let file = directory.join("users");
    fs::write(&file, USERS).expect("the scratch directory is writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.env("MEMCACHED_SASL_PWDB", &file);
    let mut with_file: Vec<&str> = flags.to_vec();
    if let Some(at) = flags.iter().position(|flag| *flag == "-Y") {
        with_file.insert(at + 1, file.to_str().expect("the path is text"));
    }
    Server::start_command(command, &[&["-S"], &with_file[..]].concat())
}

fn plain(message: &[u8]) -> Packet {
    Packet::store(SaslAuth, "PLAIN", message)
}

fn ask(client: &mut Client, packet: &Packet) -> String {
    client.send(packet.bytes());
    read_reply(client).show()
}

#[test]
fn before_authentication_only_sasl_and_version_are_answered() {
    let server = guarded(&[]);
    for opcode in Opcode::ALL {
        let mut client = server.client();
        match opcode {
            Version => assert_eq!(ask(&mut client, &Packet::of(Version, "")), "version 00 1.6.45"),
            SaslList => assert_eq!(ask(&mut client, &Packet::of(SaslList, "")), "sasl list mechs 00 PLAIN"),
            SaslAuth | SaslStep => {}
            opcode => {
                let expected = format!("{} 20 Auth failure.", opcode.name());
                assert_eq!(ask(&mut client, &Packet::of(*opcode, "a")), expected);
                client.expect_close();
            }
        }
    }
    let mut text = server.client();
    text.ask("version\r\n", "CLIENT_ERROR only the binary protocol is allowed\r\n");
    text.expect_close();
}

#[test]
fn a_right_password_unlocks_the_connection() {
    let server = guarded(&[]);
    for attempt in [
        plain(b"\0user\0secret word"),
        plain(b"user\0user\0secret word"),
        plain(b"\0hashed\0slow word"),
        Packet::store(SaslAuth, "plain", "\0user\0secret word"),
        Packet::store(SaslStep, "PLAIN", "\0user\0secret word"),
    ] {
        for piece_len in [1, 30, usize::MAX] {
            let mut client = server.client();
            let sent = [attempt.bytes(), Packet::store(Set, "a", "1").bytes()].concat();
            sent.chunks(piece_len).for_each(|piece| client.send(piece));
            assert!(read_reply(&mut client).show().ends_with(" 00 Authenticated"));
            assert_eq!(read_reply(&mut client).status, 0);
            // From here on these are unknown commands.
            assert_eq!(ask(&mut client, &plain(b"\0user\0secret word")), "sasl auth 81 Unknown command");
        }
    }
}

#[test]
fn a_client_may_wait_for_the_servers_word_before_its_message() {
    let server = guarded(&[]);
    let mut client = server.client();
    assert_eq!(ask(&mut client, &plain(b"")), "sasl auth 21");
    let step = Packet::store(SaslStep, "PLAIN", "\0user\0secret word");
    assert_eq!(ask(&mut client, &step), "sasl step 00 Authenticated");
}

#[test]
fn failures_are_answered_counted_and_limited() {
    let server = guarded(&["-Y"]);
    let mut client = server.client();
    let attempts = [
        plain(b"\0user\0wrong"),
        plain(b"\0nobody\0secret word"),
        plain(b"\0hashed\0wrong"),
        plain(b"other\0user\0secret word"),
        plain(b"no message"),
        Packet::store(SaslAuth, "SCRAM-SHA-1", "\0user\0secret word"),
    ];
    for attempt in &attempts {
        assert_eq!(ask(&mut client, attempt), "sasl auth 20 Auth failure.");
    }
    for _ in attempts.len()..15 {
        ask(&mut client, &attempts[0]);
    }
    assert_eq!(ask(&mut client, &attempts[0]), "sasl auth 20 Auth failure.");
    client.expect_close();
    let mut text = server.client();
    text.ask("set a 0 0 16\r\nuser secret word\r\n", "STORED\r\n");
    let counted = text.stats("");
    assert_eq!((&*counted["auth_cmds"], &*counted["auth_errors"]), ("17", "16"));
}

#[test]
fn lengths_that_do_not_fit_end_the_connection() {
    let server = guarded(&[]);
    for (packet, expected) in [
        (Packet::of(SaslList, "k"), "sasl list mechs 04 Invalid arguments"),
        (Packet::of(SaslAuth, ""), "sasl auth 04 Invalid arguments"),
        (plain(b"\0user\0secret word").extras([0; 4]), "sasl auth 04 Invalid arguments"),
        (Packet { body_len: Some(20_000), ..plain(b"\0user\0secret word") }, "sasl auth 04 Invalid arguments"),
        (Packet { body_len: Some(u32::MAX), ..plain(b"\0user\0secret word") }, "sasl auth 04 Invalid arguments"),
    ] {
        let mut client = server.client();
        assert_eq!(ask(&mut client, &packet), expected);
        client.expect_close();
    }
}

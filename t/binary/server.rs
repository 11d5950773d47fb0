//! The binary protocol over sockets: what depends on connections, and what text clients see of it.

use larder::protocol::binary::Opcode::*;

use crate::support::packet::{Packet, Reply, read_reply};
use crate::support::{Client, Server, wait_until};

/// Sends packets and reads `count` replies.
fn ask(client: &mut Client, packets: &[Packet], count: usize) -> Vec<Reply> {
    client.send(packets.iter().flat_map(Packet::bytes).collect::<Vec<u8>>());
    (0..count).map(|_| read_reply(client)).collect()
}

fn shown(replies: &[Reply]) -> Vec<String> {
    replies.iter().map(Reply::show).collect()
}

#[test]
fn both_grammars_see_the_same_items() {
    let server = Server::start(&[]);
    let (mut text, mut binary) = (server.client(), server.client());
    text.ask("set a 5 0 3\r\nxyz\r\n", "STORED\r\n");
    let replies = ask(&mut binary, &[Packet::of(GetK, "a"), Packet::store(SetQ, "b", "12"), Packet::of(Noop, "")], 2);
    assert_eq!(replies[0].show().split_whitespace().nth(2).unwrap().as_bytes()[0], b'#');
    assert_eq!(
        (&replies[0].value[..], &replies[0].key[..], &replies[0].extras[..]),
        (&b"xyz"[..], &b"a"[..], &[0, 0, 0, 5][..])
    );
    text.ask("incr b 1\r\n", "13\r\n");
    assert_eq!(ask(&mut binary, &[Packet::of(Get, "b")], 1)[0].value, b"13");
}

#[test]
fn large_values_arrive_and_return_whole_in_any_pieces() {
    let server = Server::start(&["-m", "64", "-I", "8m"]);
    let mut client = server.client();
    for len in [4095, 4096, 65_511, 65_512, 100_000, 1 << 20, 5 << 20] {
        let value: Vec<u8> = (0..len).map(|at: usize| at.to_le_bytes()[0]).collect();
        let request = [Packet::store(Set, "large", &value).bytes(), Packet::of(GetKQ, "large").bytes()].concat();
        for piece_len in [1000, 1 << 16, request.len()] {
            request.chunks(piece_len).for_each(|piece| client.send(piece));
            assert_eq!(read_reply(&mut client).status, 0);
            let reply = read_reply(&mut client);
            assert!(reply.value == value && reply.key == b"large", "{len} bytes");
        }
        assert_eq!(ask(&mut client, &[Packet::store(Append, "large", "!")], 1)[0].status, 0);
        let reply = &ask(&mut client, &[Packet::of(Get, "large")], 1)[0];
        assert!(reply.value.strip_suffix(b"!") == Some(&value[..]));
    }
}

#[test]
fn a_value_that_never_ends_and_one_too_large_leave_the_connection_in_step() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let replies = ask(
        &mut client,
        &[
            Packet::store(Set, "a", vec![b'x'; 2 << 20]),
            Packet { value: vec![b'x'; 3 << 20], ..Packet::new(0x99) },
            Packet::of(Noop, ""),
        ],
        3,
    );
    assert_eq!(shown(&replies), ["set 03 Too large.", "99 81 Unknown command", "noop 00"]);
    let half = Packet { body_len: Some(1000), ..Packet::store(Set, "half", "x") };
    client.send(half.bytes());
    client.finish_sending();
    client.expect_close();
    server.client().ask("get half\r\n", "END\r\n");
}

#[test]
fn a_long_pipeline_is_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut sent = Vec::new();
    for index in 0..5000u32 {
        let (key, opaque) = (format!("key-{}", index % 100), index.to_be_bytes());
        sent.extend(Packet { opaque, ..Packet::store(SetQ, &key, index.to_string()) }.bytes());
        sent.extend(Packet { opaque, ..Packet::of(GetKQ, &key) }.bytes());
        sent.extend(Packet { opaque, ..Packet::of(GetKQ, "missing") }.bytes());
    }
    let mut sender = client.sender();
    let sending = std::thread::spawn(move || std::io::Write::write_all(&mut sender, &sent));
    for index in 0..5000u32 {
        let reply = read_reply(&mut client);
        assert_eq!((reply.opaque, reply.value), (index.to_be_bytes(), index.to_string().into_bytes()));
    }
    sending.join().unwrap().unwrap();
}

#[test]
fn each_group_of_stats_has_the_rows_of_the_text_protocol() {
    let server = Server::start(&[]);
    let (mut text, mut binary) = (server.client(), server.client());
    text.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    for group in ["", "items", "slabs", "sizes", "settings", "conns"] {
        let mut names: Vec<Vec<u8>> = rows(&mut binary, group).into_iter().map(|reply| reply.key).collect();
        names.sort_unstable();
        let expected: Vec<Vec<u8>> = text.stats(group).into_keys().map(String::into_bytes).collect();
        assert_eq!(names, expected, "stats {group}");
    }
    assert_eq!(shown(&ask(&mut binary, &[Packet::of(Stat, "no such group")], 1)), ["stat 01 Not found"]);
    let dumped = rows(&mut binary, "cachedump 1 0");
    assert!(dumped.iter().all(|row| row.key == b"cachedump"));
}

fn rows(client: &mut Client, group: &str) -> Vec<Reply> {
    client.send(Packet::of(Stat, group).bytes());
    let mut rows = Vec::new();
    loop {
        let row = read_reply(client);
        assert_eq!(row.status, 0, "stat {group}");
        if row.key.is_empty() && row.value.is_empty() {
            return rows;
        }
        rows.push(row);
    }
}

#[test]
fn a_client_that_speaks_another_protocol_than_allowed_is_closed_and_lines_are_answered() {
    let line = "CLIENT_ERROR only the binary protocol is allowed\r\n";
    for (allowed, refused, reply) in
        [("ascii", Packet::of(Noop, "").bytes(), ""), ("binary", b"version\r\n".to_vec(), line)]
    {
        let server = Server::start(&["-B", allowed]);
        let mut client = server.client();
        client.send(refused);
        client.expect(reply);
        client.expect_close();
    }
    let server = Server::start(&[]);
    let mut late = server.client();
    late.ask("get a\r\n", "END\r\n");
    late.ask(b"\x80\x0b\0\0\r\nget a\r\n", "ERROR\r\nEND\r\n");
}

#[test]
fn the_log_names_protocol_opcode_key_and_status() {
    let server = Server::start(&["-vv"]);
    let mut client = server.client();
    ask(&mut client, &[Packet::of(GetK, "colour"), Packet::of(Noop, "")], 2);
    let said = ["server listening (auto-negotiate)", "new auto-negotiating client connection"];
    let packets = [" getk colour", " getk status=0x01 body=6", " noop", " noop status=0x00 body=0"];
    for line in said.into_iter().chain(["Client using the binary protocol"]).chain(packets) {
        wait_until(line, || server.stderr().contains(line));
    }
}

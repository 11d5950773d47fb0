//! Large values arrive complete, for any length and any cuts.

use crate::support::{Client, Server};

/// A value that shows a shift by any offset at which buffers or chunks could be confused.
fn value(len: usize, salt: usize) -> Vec<u8> {
    let mut state = (len as u64 + 1) * 0x9e37_79b9 + salt as u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 16).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn round_trip(client: &mut Client, key: &str, bytes: &[u8]) {
    let mut request = format!("set {key} 7 0 {}\r\n", bytes.len()).into_bytes();
    request.extend(bytes);
    request.extend(b"\r\n");
    client.ask(request, "STORED\r\n");
    fetch(client, key, bytes);
}

fn fetch(client: &mut Client, key: &str, bytes: &[u8]) {
    client.send(format!("get {key}\r\n"));
    client.expect(format!("VALUE {key} 7 {}\r\n", bytes.len()));
    client.expect(bytes);
    client.expect("\r\nEND\r\n");
}

#[test]
fn values_around_half_a_page_round_trip() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for len in (512 * 1024 - 120..512 * 1024 + 24).step_by(7) {
        round_trip(&mut client, "half", &value(len, 0));
    }
}

#[test]
fn values_around_every_power_of_two_round_trip() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for power in 0..20 {
        for len in [(1 << power) - 1, 1 << power, (1 << power) + 1] {
            round_trip(&mut client, "power", &value(len, 0));
        }
    }
}

#[test]
fn values_around_the_item_size_limit_round_trip() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for len in (1_000_000..=1_048_000).step_by(7993) {
        round_trip(&mut client, "long", &value(len, 1));
    }
}

#[test]
fn values_of_many_mebibytes_travel_whole() {
    let server = Server::start(&["-I", "64m", "-m", "512"]);
    let mut client = server.client();
    // Chains of 16 KiB chunks: the head holds the value beside this key, and each link 16 bytes less than a chunk.
    let end_of_chain = |links: usize| 16384 - 16 - 8 - "mebibytes".len() + links * 16_368;
    let ends = [128, 1000, 4096, 4098].map(end_of_chain);
    // And about where a last link of the largest class begins to be needed.
    let around = ends.into_iter().chain([end_of_chain(2000) + 16_352]).flat_map(|end| end - 1..=end + 1);
    for len in around.chain([(1 << 20) + 1, (64 << 20) - 1, 64 << 20]) {
        let bytes = value(len, 2);
        let mut request = format!("set mebibytes 7 0 {len}\r\n").into_bytes();
        request.extend(&bytes);
        request.extend(b"\r\nget mebibytes\r\n");
        client.send(request);
        client.expect(format!("STORED\r\nVALUE mebibytes 7 {len}\r\n"));
        assert!(client.read_exactly(len).is_ok_and(|read| read == bytes), "{len} bytes");
        client.expect("\r\nEND\r\n");
    }
}

#[test]
fn a_byte_more_than_the_largest_value_is_refused_and_what_follows_is_understood() {
    let server = Server::start(&["-I", "64m", "-m", "512"]);
    let mut client = server.client();
    let longest = value(64 << 20, 3);
    round_trip(&mut client, "other", &longest);
    client.ask("set large 0 0 3\r\nold\r\n", "STORED\r\n");
    let mut request = format!("set large 7 0 {}\r\n", longest.len() + 1).into_bytes();
    request.extend(&longest);
    request.extend(b"x\r\nget large\r\nadd large 0 0 3\r\nnew\r\n");
    client.ask(request, "SERVER_ERROR object too large for cache\r\nEND\r\nSTORED\r\n");
    client.ask("append other 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
    client.expect_silence();
    fetch(&mut client, "other", &longest);
}

#[test]
fn one_reply_holds_several_large_values() {
    let server = Server::start(&["-m", "64"]);
    let mut client = server.client();
    let values: Vec<Vec<u8>> = (0..8).map(|salt| value(900_000 + salt, salt)).collect();
    for (salt, bytes) in values.iter().enumerate() {
        round_trip(&mut client, &format!("large-{salt}"), bytes);
    }
    client.send("get large-0 large-1 large-2 large-3 large-4 large-5 large-6 large-7\r\n");
    for (salt, bytes) in values.iter().enumerate() {
        client.expect(format!("VALUE large-{salt} 7 {}\r\n", bytes.len()));
        client.expect(bytes);
        client.expect("\r\n");
    }
    client.expect("END\r\n");
}

#[test]
fn append_and_prepend_grow_a_value_across_chunks() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut whole = value(300_000, 0);
    round_trip(&mut client, "grown", &whole);
    for salt in 1..4 {
        let more = value(100_001, salt);
        let (verb, joined) = match salt % 2 {
            0 => ("prepend", [more.as_slice(), whole.as_slice()].concat()),
            _ => ("append", [whole.as_slice(), more.as_slice()].concat()),
        };
        let mut request = format!("{verb} grown 0 0 {}\r\n", more.len()).into_bytes();
        request.extend(&more);
        request.extend(b"\r\n");
        client.ask(request, "STORED\r\n");
        whole = joined;
        fetch(&mut client, "grown", &whole);
    }
}

#[test]
fn a_large_bad_chunk_is_refused_and_the_old_value_stays() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let old = value(700_000, 0);
    round_trip(&mut client, "large", &old);
    let mut request = b"set large 0 0 800000\r\n".to_vec();
    request.extend(vec![b'x'; 800_002]);
    client.ask(request, "CLIENT_ERROR bad data chunk\r\n");
    client.expect_silence();
    fetch(&mut client, "large", &old);
}

#[test]
fn a_value_being_sent_survives_its_replacement() {
    let server = Server::start(&["-t", "2"]);
    let mut reader = server.client();
    let mut writer = server.client();
    let (old, new) = (value(1_000_000, 0), value(1_000_000, 1));
    round_trip(&mut writer, "large", &old);
    // More copies than any socket buffer holds, so that the server is in the middle of sending for long.
    reader.send("get large\r\n".repeat(20));
    for _ in 0..5 {
        round_trip(&mut writer, "large", &new);
        writer.ask("delete large\r\n", "DELETED\r\n");
        round_trip(&mut writer, "large", &new);
    }
    for _ in 0..20 {
        let header = reader.read_line().expect("a header");
        if header == b"END\r\n" {
            continue;
        }
        assert_eq!(header, b"VALUE large 7 1000000\r\n");
        let bytes = reader.read_exactly(1_000_000).expect("a value");
        assert!(bytes == old || bytes == new, "a value that was never stored");
        reader.expect("\r\nEND\r\n");
    }
}

#[test]
fn values_that_are_announced_and_never_sent_keep_no_memory_from_others() {
    let server = Server::start(&["-m", "64"]);
    let mut idle: Vec<Client> = (0..200).map(|_| server.client()).collect();
    for (number, client) in idle.iter_mut().enumerate() {
        client.send(format!("set announced-{number} 0 0 1000000\r\n"));
    }
    let mut client = server.client();
    for round in 0..20 {
        round_trip(&mut client, "sent", &value(600_000 + round, round));
    }
}

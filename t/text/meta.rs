//! Meta commands over sockets: values in pieces, quiet requests, large values.

use crate::support::{Client, Server};

const LARGE: usize = 300_000;

/// A value whose parts differ.
fn value(len: usize) -> Vec<u8> {
    let letters = b"abcdefghijklmnopqrstuvw";
    (0..len).map(|at| letters[at / 7 % letters.len()]).collect()
}

/// Sends a request in three parts, which the server receives one by one.
fn send_in_parts(client: &mut Client, other: &mut Client, request: &[u8], cuts: [usize; 2]) {
    let (first, rest) = request.split_at(cuts[0]);
    let (second, third) = rest.split_at(cuts[1] - cuts[0]);
    for part in [first, second, third] {
        client.send(part);
        // The worker answers its clients in turn, so it has received the part by then.
        other.ask("mn\r\n", "MN\r\n");
    }
}

#[test]
fn a_meta_set_that_arrives_in_parts_is_answered_as_its_line_asks() {
    let server = Server::start(&["-t", "1"]);
    let (mut client, mut other) = (server.client(), server.client());
    for len in [100, 20_000, LARGE] {
        let mut request = format!("ms colour {len} O12 E77 k c s F5 T1000\r\n").into_bytes();
        let line_len = request.len();
        request.extend(value(len));
        request.extend(b"\r\n");
        let cuts = [[1, line_len], [line_len + 1, line_len + len], [line_len + len / 2, line_len + len + 1]];
        for cuts in cuts {
            send_in_parts(&mut client, &mut other, &request, cuts);
            client.expect(format!("HD O12 kcolour c77 s{len}\r\n"));
        }
        client.send("mg colour s f v k\r\n");
        client.expect(format!("VA {len} s{len} f5 kcolour\r\n"));
        client.expect([&value(len)[..], b"\r\n"].concat());
    }
}

#[test]
fn a_quiet_set_that_arrives_in_parts_says_its_failure_only() {
    let server = Server::start(&["-t", "1"]);
    let (mut client, mut other) = (server.client(), server.client());
    for (mode, reply) in [("MS", ""), ("ME", "NS Oabc kcolour\r\n"), ("C5", "EX Oabc kcolour\r\n")] {
        let mut request = format!("ms colour {LARGE} q {mode} Oabc k\r\n").into_bytes();
        let line_len = request.len();
        request.extend(value(LARGE));
        request.extend(b"\r\nmn\r\n");
        send_in_parts(&mut client, &mut other, &request, [line_len + 5, line_len + LARGE]);
        client.expect(format!("{reply}MN\r\n"));
    }
}

#[test]
fn quiet_requests_in_one_packet_answer_what_is_out_of_the_ordinary() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut packet = Vec::new();
    for number in 0..100 {
        packet.extend(format!("ms key{number} 2 q O{number}\r\n{number:02}\r\n").bytes());
    }
    for number in 0..200 {
        packet.extend(format!("mg key{number} q v O{number}\r\n").bytes());
    }
    packet.extend(b"md key7 q\r\nmd key7 q O7\r\nma key8 q O8\r\nmg key8 v q\r\nmn\r\n");
    let mut expected = String::new();
    for number in 0..100 {
        expected += &format!("VA 2 O{number}\r\n{number:02}\r\n");
    }
    // A number that becomes shorter is padded: 08 + 1 is stored as 9 and a blank.
    expected += "NF O7\r\nVA 2\r\n9 \r\nMN\r\n";
    client.ask(packet, expected);
}

#[test]
fn large_values_of_meta_gets_are_sent_in_order_with_small_ones() {
    let server = Server::start(&["-m", "200"]);
    let mut client = server.client();
    let lens = [0, 1, 4095, 4096, 5000, 70_000, LARGE, 1_000_000];
    for len in lens {
        client.send(format!("ms len{len} {len}\r\n"));
        client.send([&value(len)[..], b"\r\n"].concat());
        client.expect("HD\r\n");
    }
    let mut packet = String::new();
    let mut expected = Vec::new();
    for (number, len) in lens.into_iter().cycle().take(40).enumerate() {
        packet += &format!("mg len{len} v O{number} k\r\nmg none{number} k O{number}\r\n");
        expected.extend(format!("VA {len} O{number} klen{len}\r\n").bytes());
        expected.extend(value(len));
        expected.extend(format!("\r\nEN knone{number} O{number}\r\n").bytes());
    }
    client.ask(packet, expected);
}

#[test]
fn a_large_value_under_a_key_in_base64_keeps_its_key() {
    let server = Server::start(&["-t", "1"]);
    let (mut client, mut other) = (server.client(), server.client());
    // "a b", then CR, LF, "c" and NUL.
    let key = "YSBiDQpjAA==";
    let mut request = format!("ms {key} {LARGE} b k O1\r\n").into_bytes();
    let line_len = request.len();
    request.extend(value(LARGE));
    request.extend(b"\r\n");
    send_in_parts(&mut client, &mut other, &request, [line_len, line_len + LARGE / 3]);
    client.expect(format!("HD k{key} b O1\r\n"));
    client.send(format!("mg {key} b k v\r\n"));
    client.expect(format!("VA {LARGE} k{key} b\r\n"));
    client.expect([&value(LARGE)[..], b"\r\n"].concat());
}

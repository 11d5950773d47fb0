//! Datagrams (-U): framing, replies, bounds, and that no sender disturbs another.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;

use larder::protocol::binary::Opcode;

use crate::hostile::{PAGE, Row, code, reply_of, rows_of};
use crate::support::packet::{Packet, Reply};
use crate::support::transcript::expanded;
use crate::support::{Client, DatagramClient, Server, datagram, wait_until};

const UDP: &[&str] = &["-U", "-1"];
/// The header of the table of datagrams.
const DATAGRAMS: &[&str] = &["Datagram", "Replies", "Counted as"];

#[test]
fn every_grammar_is_answered_with_one_reply_per_request() {
    let server = Server::start(UDP);
    let mut client = server.datagram_client();
    client.ask("set a 5 0 3\r\none\r\n", &["STORED\r\n"]);
    client.ask("get a\r\n", &["VALUE a 5 3\r\none\r\nEND\r\n"]);
    client.ask("get a b a\r\n", &["VALUE a 5 3\r\none\r\nVALUE a 5 3\r\none\r\nEND\r\n"]);
    client.ask(
        "get b\r\nmg a v k\r\nincr a 1\r\nbogus\r\nversion\r\n",
        &[
            "END\r\n",
            "VA 3 ka\r\none\r\n",
            "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
            "ERROR\r\n",
            "VERSION 1.6.45\r\n",
        ],
    );
    client.ask("set a 0 0 3 noreply\r\ntwo\r\n", &[]);
    client.ask("set b 0 0 1 noreply\r\nx\r\nmg missing v q\r\nget a\r\n", &["VALUE a 0 3\r\ntwo\r\nEND\r\n"]);
    let packets = [
        Packet::of(Opcode::GetK, "a"),
        Packet::of(Opcode::GetQ, "missing"),
        Packet::store(Opcode::SetQ, "a", "three"),
        Packet::of(Opcode::Noop, ""),
    ];
    let replies = client.replies(&datagram(1, 0, 1, packets.map(|packet| packet.bytes()).concat()));
    let shown: Vec<String> = replies.iter().map(|reply| Reply::read(reply).expect("a whole reply").0.show()).collect();
    assert!(shown[0].starts_with("getk 00 ") && shown[0].ends_with(" [a] two"), "{shown:?}");
    assert_eq!(&shown[1..], ["noop 00"]);
    server.client().ask("get a\r\n", "VALUE a 0 5\r\nthree\r\nEND\r\n");
}

#[test]
fn only_the_grammars_of_the_protocol_option_are_answered() {
    let noop = Packet::of(Opcode::Noop, "").bytes();
    for (protocol, allowed, other) in [("ascii", &b"mn\r\n"[..], &noop[..]), ("binary", &noop, b"mn\r\n")] {
        let server = Server::start(&[UDP, &["-B", protocol]].concat());
        let mut client = server.datagram_client();
        assert_eq!(client.parts_before(&datagram(1, 0, 1, other), allowed), [], "{protocol}");
    }
}

#[test]
fn a_reply_of_several_datagrams_is_numbered() {
    let server = Server::start(&[UDP, &["-o", "udp_reply_max=64k"]].concat());
    let value: String = (0..5000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    server.client().ask(format!("set big 0 0 5000\r\n{value}\r\n"), "STORED\r\n");
    let mut client = server.datagram_client();
    let parts = client.parts_before(&datagram(0x1234, 0, 1, "get big\r\n"), b"mn\r\n");
    let headers: Vec<_> = parts.iter().map(|part| (part.id, part.sequence, part.total, part.payload.len())).collect();
    assert_eq!(headers, [(0x1234, 0, 4, 1392), (0x1234, 1, 4, 1392), (0x1234, 2, 4, 1392), (0x1234, 3, 4, 849)]);
    client.ask("get big\r\nget big\r\n", &[format!("VALUE big 0 5000\r\n{value}\r\nEND\r\n").as_str(); 2]);
    // More datagrams than one call sends.
    let large = "x".repeat(50_000);
    client.ask(format!("set large 0 0 50000\r\n{large}\r\n"), &["STORED\r\n"]);
    client.ask("get large\r\n", &[&format!("VALUE large 0 50000\r\n{large}\r\nEND\r\n")]);
}

#[test]
fn replies_to_a_datagram_have_a_bound() {
    const REFUSED: &str = "SERVER_ERROR reply too large for UDP\r\n";
    let server = Server::start(UDP);
    let mut owner = server.client();
    // With the header, the VALUE line and END, 1366 bytes of value fill a datagram.
    for (key, len) in [("fits", 1366), ("long", 1367), ("huge", 200_000), ("tiny", 1)] {
        owner.ask(format!("set {key} 0 0 {len}\r\n{}\r\n", "x".repeat(len)), "STORED\r\n");
    }
    let mut client = server.datagram_client();
    client.ask("get fits\r\n", &[&format!("VALUE fits 0 1366\r\n{}\r\nEND\r\n", "x".repeat(1366))]);
    client.ask("get long\r\n", &[REFUSED]);
    client.ask("get huge\r\nget tiny\r\nstats\r\n", &[REFUSED, "VALUE tiny 0 1\r\nx\r\nEND\r\n", REFUSED]);
    client.ask("get tiny huge tiny\r\nmg huge v\r\n", &[REFUSED, REFUSED]);
    let get = Packet::of(Opcode::GetK, "huge").bytes();
    let replies = client.replies(&datagram(7, 0, 1, get));
    assert_eq!(
        replies.iter().map(|reply| Reply::read_all(reply)[0].show()).collect::<Vec<_>>(),
        ["getk 03 Too large."]
    );
    // The bound is of all replies together.
    let lines = "get tiny\r\n".repeat(200);
    assert!(lines.len() > 1400);
    let bytes: usize = client.replies(&datagram(7, 0, 1, &lines)).iter().map(|reply| reply.len() + 8).sum();
    assert_eq!(bytes, 200 * 32);
    let lines = "mg fits v\r\n".repeat(100);
    let replies = client.replies(&datagram(7, 0, 1, &lines));
    let bytes: usize = replies.iter().map(|reply| reply.len() + 8).sum();
    assert!(bytes <= 32 * (lines.len() + 8) && bytes > 31 * lines.len(), "{bytes} bytes");
    // A longer datagram may ask for more: here with words that no command reads.
    client.ask(
        format!("get long\r\n{}", "x".repeat(200)),
        &[&format!("VALUE long 0 1367\r\n{}\r\nEND\r\n", "x".repeat(1367))],
    );
    assert!(server.stats("")["udp_replies_refused"].parse::<u32>().is_ok_and(|count| count > 5));
}

#[test]
fn the_requests_of_a_datagram_have_a_bounded_cost() {
    let server = Server::start(&[UDP, &["-t", "1"]].concat());
    let (mut owner, client) = (server.client(), server.datagram_client());
    owner.ask("set replies 0 0 1\r\n0\r\nset silent 0 0 1\r\n0\r\n", "STORED\r\nSTORED\r\n");
    client.send(&datagram(1, 0, 1, "incr replies 1\r\n".repeat(600)));
    client.send(&datagram(2, 0, 1, "incr silent 1 noreply\r\n".repeat(600)));
    wait_until("both datagrams are answered", || owner.stats("")["udp_datagrams"] == "2");
    let values = ["VALUE replies 0 3\r\n512\r\n", "VALUE silent 0 3\r\n600\r\n", "END\r\n"].concat();
    owner.ask("get replies silent\r\n", &values);
    assert_eq!(counted(&mut owner), [0, 1]);
    // Each append copies half a mebibyte.
    owner.ask(format!("set large 0 0 524288\r\n{}\r\n", "x".repeat(524_288)), "STORED\r\n");
    client.send(&datagram(3, 0, 1, "append large 0 0 1 noreply\r\nx\r\n".repeat(600)));
    wait_until("the appends are done", || owner.stats("")["udp_datagrams"] == "3");
    let appended = owner.stats("")["cmd_set"].parse::<u32>().expect("a number") - 3;
    assert!((20..100).contains(&appended), "{appended} appends");
}

#[test]
fn an_incomplete_datagram_takes_nothing_from_the_next() {
    let server = Server::start(&[UDP, &["-t", "1"]].concat());
    let (broken, mut honest) = (server.datagram_client(), server.datagram_client());
    let halves: [&[u8]; 6] = [
        b"set k 0 0 10\r\nabc",
        b"set k 0 0 100000000\r\n",
        b"get k",
        b"ms k 10\r\nabc",
        &Packet::store(Opcode::Set, "k", "value").bytes()[..30],
        &Packet::store(Opcode::Set, "k", "value").bytes()[..10],
    ];
    for half in halves {
        broken.send(&datagram(1, 0, 1, half));
        honest.ask("set other 0 0 5\r\nvalue\r\nget other\r\n", &["STORED\r\n", "VALUE other 0 5\r\nvalue\r\nEND\r\n"]);
    }
    // The rest of the first value is a request of its own.
    assert_eq!(broken.receive().payload, b"CLIENT_ERROR bad data chunk\r\n");
    broken.send(&datagram(2, 0, 1, "version\r\n"));
    let last = std::iter::repeat_with(|| broken.receive()).find(|part| part.id == 2).expect("a reply comes");
    assert_eq!(last.payload, b"VERSION 1.6.45\r\n");
    assert_eq!(server.stats("")["udp_malformed"], "6");
    server.client().ask("get k\r\n", "END\r\n");
}

#[test]
fn a_full_store_takes_more_sets_in_a_datagram_than_it_keeps_free_chunks() {
    const SETS: usize = 60;
    let server = Server::start(&[UDP, &["-m", "1", "-t", "1"]].concat());
    let mut client = server.datagram_client();
    let value = "x".repeat(1000);
    for first in (0..100 * SETS).step_by(SETS) {
        let sets: String = (first..first + SETS).map(|key| format!("set {key} 0 0 1000\r\n{value}\r\n")).collect();
        client.ask(sets, &["STORED\r\n"; SETS]);
    }
    assert_ne!(server.stats("")["evictions"], "0");
}

#[test]
fn commands_that_keep_or_end_a_connection_have_an_answer() {
    const REFUSED: &str = "SERVER_ERROR not available over UDP\r\n";
    let server = Server::start(&[UDP, &["-A"]].concat());
    let mut client = server.datagram_client();
    for command in
        ["shutdown", "shutdown graceful", "watch fetchers", "lru_crawler metadump all", "lru_crawler mgdump 1"]
    {
        client.ask(format!("{command}\r\nmn\r\n"), &[REFUSED, "MN\r\n"]);
    }
    client.ask("quit\r\nversion\r\n", &[]);
    client.ask("version\r\nquit\r\nversion\r\n", &["VERSION 1.6.45\r\n"]);
    client.ask("refresh_certs\r\n", &["Error TLS not enabled\r\n"]);
    client.ask("lru_crawler disable\r\nverbosity 0\r\nflush_all\r\n", &["OK\r\n"; 3]);
    let packets = [Packet::of(Opcode::Quit, ""), Packet::of(Opcode::Noop, "")].map(|packet| packet.bytes()).concat();
    let replies = client.replies(&datagram(7, 0, 1, packets));
    assert_eq!(replies.iter().map(|reply| Reply::read_all(reply)[0].show()).collect::<Vec<_>>(), ["quit 00"]);
}

#[test]
fn every_datagram_has_the_replies_of_its_row() {
    let server = Server::start(&[UDP, &["-t", "1"]].concat());
    let mut client = server.datagram_client();
    let rows = rows_of(DATAGRAMS);
    assert!(rows.len() > 20, "{PAGE} has only {} rows of datagrams", rows.len());
    for Row { line, cells, .. } in rows {
        server.client().ask("flush_all\r\n", "OK\r\n");
        let before = counted(&mut server.client());
        let sent = expanded(&code(&cells[0])[0]);
        let came: Vec<u8> = client.parts_before(&sent, b"mn\r\n").into_iter().flat_map(|part| part.payload).collect();
        assert_eq!(came.escape_ascii().to_string(), reply_of(&cells[1]).escape_ascii().to_string(), "{PAGE}:{line}");
        let expected = match cells[2].as_str() {
            "request" => [0, 0],
            "malformed" => [1, 0],
            "too large" => [0, 1],
            other => panic!("{PAGE}:{line}: nothing is known of `{other}`"),
        };
        let after = counted(&mut server.client());
        assert_eq!([after[0] - before[0], after[1] - before[1]], expected, "{PAGE}:{line}");
    }
}

/// The counts of malformed datagrams and of refused replies.
fn counted(client: &mut Client) -> [u64; 2] {
    let rows = client.stats("");
    ["udp_malformed", "udp_replies_refused"].map(|name| rows[name].parse().expect("a number"))
}

#[test]
fn statistics_count_datagrams() {
    let server = Server::start(&[UDP, &["-t", "2"]].concat());
    let mut client = server.datagram_client();
    client.ask("set a 0 0 1\r\nx\r\n", &["STORED\r\n"]);
    client.send(b"short");
    client.ask("get a\r\n", &["VALUE a 0 1\r\nx\r\nEND\r\n"]);
    let rows = server.stats("");
    let shown = ["udp_datagrams", "udp_malformed", "udp_replies_lost", "cmd_set", "get_hits", "curr_connections"];
    // A question follows each of the two requests.
    assert_eq!(shown.map(|name| rows[name].as_str()), ["5", "1", "0", "1", "1", "1"]);
    let settings = server.stats("settings");
    assert_eq!((settings["udpport"].as_str(), settings["num_threads_per_udp"].as_str()), ("-1", "2"));
    let connections = server.stats("conns");
    let address = format!("udp:{}", server.udp_address());
    let sockets: Vec<&str> = connections
        .iter()
        .filter(|(name, value)| name.ends_with(":addr") && **value == address)
        .filter_map(|(name, _)| name.strip_suffix(":addr"))
        .collect();
    assert_eq!(sockets.len(), 2, "{connections:?}");
    for socket in sockets {
        assert_eq!(connections[&format!("{socket}:UDP")], "UDP");
        assert_eq!(connections[&format!("{socket}:state")], "conn_read");
        assert!(!connections.contains_key(&format!("{socket}:listen_addr")));
        assert!(connections.contains_key(&format!("{socket}:secs_since_last_cmd")));
    }
}

#[test]
fn both_families_and_every_worker_are_served() {
    let Ok(probe) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else { return };
    drop(probe);
    let server = Server::start(&["-U", "-1", "-l", "[::1]", "-t", "3"]);
    let rows = server.stats("conns");
    let prefix = "udp6:[::1]:";
    let port = rows.values().find_map(|addr| addr.strip_prefix(prefix)).expect("it has IPv6 sockets");
    let address: SocketAddr = (Ipv6Addr::LOCALHOST, port.parse().expect("a port")).into();
    // Enough senders for the kernel to give some to each worker.
    for number in 0..100 {
        DatagramClient::new(address).ask(format!("set {number} 0 0 1\r\nx\r\n"), &["STORED\r\n"]);
        server.datagram_client().ask(format!("get {number}\r\n"), &[&format!("VALUE {number} 0 1\r\nx\r\nEND\r\n")]);
    }
}

#[test]
fn a_confined_server_answers_datagrams_and_ends() {
    let mut server = Server::start(&["-U", "-1", "-vv", "-o", "drop_privileges"]);
    let mut client = server.datagram_client();
    client.ask("set a 0 0 1\r\nx\r\nget a\r\n", &["STORED\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n"]);
    wait_until("requests and replies are logged", || {
        let said = server.stderr();
        [" server listening (udp)", " set a 0 0 1", " STORED", " sending key a"].iter().all(|what| said.contains(what))
    });
    let sent = Command::new("kill").arg("-USR1").arg(server.process_id().to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()));
    assert!(server.wait_for_end().success(), "{}", server.stderr());
}

#[test]
fn watchers_see_what_datagrams_do() {
    let server = Server::start(UDP);
    let mut watcher = server.client();
    watcher.ask("watch mutations\r\n", "OK\r\n");
    server.datagram_client().ask("set seen 0 0 1\r\nx\r\n", &["STORED\r\n"]);
    watcher.read_until(b"key=seen").expect("the watcher is told");
}

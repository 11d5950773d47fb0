//! `stats latency` and `stats slowlog`.

use larder::protocol::binary::Opcode;

use crate::support::client::StatRows;
use crate::support::packet::{Packet, read_reply};
use crate::support::{Server, wait_until};

/// Pipelines per measured pipeline.
const SAMPLE_RATE: u64 = 128;

fn number(rows: &StatRows, name: &str) -> u64 {
    rows[name].parse().unwrap_or_else(|_| panic!("{name}: {}", rows[name]))
}

/// A server in whose slow log all requests are.
fn slow_server() -> Server {
    Server::start(&["-t", "1", "-o", "slowlog_us=1"])
}

#[test]
fn about_one_pipeline_in_128_is_measured() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    for _ in 0..6_000 {
        client.ask("set a 0 0 1000\r\n".to_owned() + &"x".repeat(1000) + "\r\n", "STORED\r\n");
        client.ask("get none\r\nget none\r\n", "END\r\nEND\r\n");
    }
    let rows = client.stats("latency");
    assert_eq!(number(&rows, "sample_rate"), SAMPLE_RATE);
    for (command, expected) in [("get", 12_000), ("set", 6_000)] {
        let requests = number(&rows, &format!("{command}:count")) * SAMPLE_RATE;
        assert!((expected / 3..expected * 3).contains(&requests), "{requests} of {expected} {command}");
        let quantiles: Vec<u64> =
            ["p50", "p90", "p99", "p999", "max"].map(|name| number(&rows, &format!("{command}:{name}"))).into();
        assert!(quantiles.is_sorted() && quantiles[4] > 0, "{quantiles:?}");
    }
    assert_eq!((number(&rows, "pipeline:max"), number(&rows, "pipeline:p50") <= 2), (2, true));
    assert_eq!(number(&rows, "value_written:max"), 1000);
    assert!(!rows.contains_key("value_read:count") && !rows.contains_key("delete:count"), "{rows:?}");
}

#[test]
fn stats_reset_clears_what_was_measured_and_the_slow_log() {
    let server = slow_server();
    let mut client = server.client();
    for _ in 0..1_000 {
        client.ask("get a\r\n", "END\r\n");
    }
    assert!(number(&client.stats("latency"), "get:count") > 0);
    client.ask("stats reset\r\n", "RESET\r\n");
    assert!(!client.stats("latency").contains_key("get:count"));
    let rows = client.stats("slowlog");
    // The newest is the request before this one: nothing is slow before it is answered.
    assert_eq!((&*rows["1:command"], &*rows["2:command"]), ("stats", "stats"));
    assert!(!rows.contains_key("3:command"), "{rows:?}");
}

#[test]
fn the_slow_log_says_what_a_pipeline_was() {
    let server = slow_server();
    let mut client = server.client();
    let value = "x".repeat(100_000);
    client.ask(format!("set big 0 0 100000\r\n{value}\r\n"), "STORED\r\n");
    let request = "get big none\r\ndelete none\r\n";
    client.ask(request, format!("VALUE big 0 100000\r\n{value}\r\nEND\r\nNOT_FOUND\r\n"));
    let rows = client.stats("slowlog");
    assert_eq!((&*rows["1:command"], &*rows["1:key"], &*rows["1:requests"]), ("get", "big", "2"));
    assert!(rows["1:client"].starts_with("tcp:127.0.0.1:"), "{}", rows["1:client"]);
    assert_eq!(number(&rows, "1:received"), request.len() as u64);
    let [sent, total, wait, send] = ["1:sent", "1:total", "1:wait", "1:send"].map(|name| number(&rows, name));
    assert!((1..=value.len() as u64 + 100).contains(&sent), "{sent}");
    assert!(total >= 1 && wait + send <= total, "{rows:?}");
    let (now, at) = (number(&client.stats(""), "time"), number(&rows, "1:time"));
    assert!((now - 60..=now + 1).contains(&at), "{at}, now {now}");
}

#[test]
fn the_slow_log_says_what_was_sent_and_how_long_large_sends_took() {
    let server = slow_server();
    let mut client = server.client();
    let value = "x".repeat(900_000);
    client.ask(format!("set big 0 0 900000\r\n{value}\r\n"), "STORED\r\n");
    wait_until("a large send takes a microsecond", || {
        client.ask("get big\r\n", format!("VALUE big 0 900000\r\n{value}\r\nEND\r\n"));
        number(&client.stats("slowlog"), "1:send") > 0
    });
    client.ask("get none\r\n", "END\r\n");
    let rows = client.stats("slowlog");
    assert_eq!(["1:key", "1:sent", "1:send"].map(|name| &*rows[name]), ["none", "5", "0"]);
}

#[test]
fn one_turn_does_not_fill_the_slow_log() {
    let server = slow_server();
    let mut clients: Vec<_> = (0..30).map(|_| server.client()).collect();
    // Each one is known to the worker.
    clients.iter_mut().for_each(|client| client.ask("get before\r\n", "END\r\n"));
    server.signal("STOP");
    clients.iter_mut().enumerate().for_each(|(number, client)| client.send(format!("get k{number}\r\n")));
    server.signal("CONT");
    clients.iter_mut().for_each(|client| client.expect("END\r\n"));
    let rows = clients[0].stats("slowlog");
    let logged = rows.iter().filter(|(name, key)| name.ends_with(":key") && key.starts_with('k')).count();
    assert!((1..30).contains(&logged), "{logged}");
}

#[test]
fn the_slow_log_keeps_128_pipelines() {
    let server = slow_server();
    let mut client = server.client();
    (0..200).for_each(|number| client.ask(format!("get k{number}\r\n"), "END\r\n"));
    let rows = client.stats("slowlog");
    assert_eq!((&*rows["1:key"], &*rows["128:key"]), ("k199", "k72"));
    assert!(!rows.contains_key("129:key"));
}

#[test]
fn a_key_with_control_bytes_cannot_end_its_row() {
    let server = slow_server();
    let mut client = server.client();
    let mut packets = server.client();
    packets.send(Packet::of(Opcode::Get, b"a\r\nEND\r\n").bytes());
    read_reply(&mut packets);
    let rows = client.stats("slowlog");
    assert_eq!((&*rows["1:command"], &*rows["1:key"]), ("get", "a%0D%0AEND%0D%0A"));
}

#[test]
fn the_slow_log_can_be_switched_off_and_kept_secret() {
    let off = Server::start(&["-o", "slowlog_us=0"]);
    let mut client = off.client();
    (0..500).for_each(|_| client.ask("get a\r\n", "END\r\n"));
    client.ask("stats slowlog\r\n", "STAT left_out 0\r\nEND\r\n");
    let secret = Server::start(&["-X", "-o", "slowlog_us=1"]);
    let mut client = secret.client();
    client.ask("get a\r\nstats slowlog\r\n", "END\r\nCLIENT_ERROR stats slowlog not allowed\r\n");
    assert!(client.stats("latency").contains_key("sample_rate"));
}

#[test]
fn what_one_client_asks_is_not_logged_under_another_that_only_reads() {
    let server = slow_server();
    let mut asks = server.client();
    let value = "v".repeat(900_000);
    asks.ask(format!("set large 0 0 900000\r\n{value}\r\n"), "STORED\r\n");
    let mut reads = server.client();
    let port = reads.sender().local_addr().expect("the client is connected").port().to_string();
    reads.send("get large\r\n".repeat(20));
    for _ in 0..20 {
        asks.ask("get secret\r\n", "END\r\n");
        reads.expect(format!("VALUE large 0 900000\r\n{value}\r\nEND\r\n"));
    }
    let rows = asks.stats("slowlog");
    let of_reader: Vec<&str> = rows
        .iter()
        .filter_map(|(name, client)| name.strip_suffix(":client").filter(|_| client.ends_with(&port)))
        .collect();
    assert!(!of_reader.is_empty());
    assert!(of_reader.iter().all(|rank| rows[&*format!("{rank}:key")] != *"secret"), "{rows:?}");
}

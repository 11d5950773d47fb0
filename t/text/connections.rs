//! Connections: their number, their end, clients that stall, and kinds of sockets.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use crate::support::server::scratch_directory;
use crate::support::{Server, wait_until};

#[test]
fn a_client_beyond_the_limit_is_told_and_closed() {
    let server = Server::start(&["-c", "20", "-t", "1"]);
    let mut first = server.client();
    first.ask("get a\r\n", "END\r\n");
    let mut others = Vec::new();
    let rejected = (0..40).find_map(|_| {
        let mut client = server.client();
        // Ignored: a rejected connection may be gone before it is written to.
        let _ = client.try_send(b"get a\r\n");
        let line = client.read_line().expect("an answer or a refusal");
        others.push(client);
        (line != b"END\r\n").then_some(line)
    });
    let line = rejected.expect("40 clients are more than 20");
    assert_eq!(line, b"ERROR Too many open connections\r\n", "{}", line.escape_ascii());
    others.pop().expect("the rejected one").expect_close();
    assert_eq!(first.stats("")["rejected_connections"], "1");
    others.clear();
    wait_until("there is room again", || {
        let mut client = server.client();
        client.try_send(b"get a\r\n").is_ok() && client.read_line().is_ok_and(|line| line == b"END\r\n")
    });
}

#[test]
fn the_connection_limit_counts_clients() {
    let server = Server::start(&["-c", "20", "-t", "1"]);
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    for client in &mut clients {
        client.ask("get a\r\n", "END\r\n");
    }
    assert_eq!(clients[0].stats("")["curr_connections"], "20");
    assert_eq!(clients[0].stats("")["rejected_connections"], "0");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = Server::start(&["-o", "idle_timeout=100,debug_commands"]);
    let mut idle = server.client();
    idle.ask("get a\r\n", "END\r\n");
    let mut busy = server.client();
    busy.ask("debugtime 50\r\n", "OK\r\n");
    idle.ask("get a\r\n", "END\r\n");
    busy.ask("debugtime 99\r\n", "OK\r\n");
    idle.ask("get a\r\n", "END\r\n");
    busy.ask("debugtime 110\r\n", "OK\r\n");
    idle.expect_close();
    wait_until("the kick is counted", || server.stats("")["idle_kicks"] != "0");
}

#[test]
fn a_client_that_is_sent_to_is_not_idle() {
    let server = Server::start(&["-t", "1", "-o", "idle_timeout=100,debug_commands"]);
    let (mut reader, mut operator) = (server.client(), server.client());
    let value = "x".repeat(900_000);
    reader.ask(format!("set a 0 0 900000\r\n{value}\r\n"), "STORED\r\n");
    operator.ask("debugtime p\r\n", "OK\r\n");
    // More than the kernel's buffers hold: the rest waits for the client to read.
    reader.send("get a\r\n".repeat(20));
    wait_until("a reply waits", || operator.stats("conns").values().any(|state| state == "conn_mwrite"));
    for _ in 0..3 {
        operator.ask("debugtime 101\r\n", "OK\r\n");
        operator.ask("get b\r\n", "END\r\n");
    }
    let reply = format!("VALUE a 0 900000\r\n{value}\r\nEND\r\n");
    (0..20).for_each(|_| reader.expect(&reply));
    // Idle time counts from the last byte that the client was sent.
    wait_until("all is sent", || !operator.stats("conns").values().any(|state| state == "conn_mwrite"));
    operator.ask("debugtime 99\r\n", "OK\r\n");
    reader.ask("get b\r\n", "END\r\n");
    assert_eq!(operator.stats("")["idle_kicks"], "0");
    operator.ask("debugtime 101\r\n", "OK\r\n");
    operator.ask("get b\r\n", "END\r\n");
    reader.expect_close();
}

#[test]
fn a_kick_counts_once_however_many_clients_had_the_place_before() {
    let server = Server::start(&["-t", "1", "-o", "idle_timeout=2,debug_commands"]);
    server.client().ask("debugtime p\r\n", "OK\r\n");
    for _ in 0..60 {
        let mut brief = server.client();
        brief.ask("get a\r\n", "END\r\n");
        brief.send("quit\r\n");
        brief.expect_close();
    }
    let mut silent: Vec<_> = (0..3).map(|_| server.client()).collect();
    for client in &mut silent {
        client.ask("get a\r\n", "END\r\n");
    }
    // The client that moves the clock spoke before it moved, so it counts as silent, too.
    silent[2].ask("debugtime 3\r\n", "OK\r\n");
    for client in &mut silent {
        client.expect_close();
    }
    assert_eq!(server.stats("")["idle_kicks"], "3");
}

#[test]
fn the_log_says_that_the_text_protocol_is_spoken() {
    let server = Server::start(&["-vv"]);
    server.client().ask("get a\r\n", "END\r\n");
    for line in [
        "server listening (auto-negotiate)",
        "new auto-negotiating client connection",
        "Client using the ascii protocol",
    ] {
        wait_until(line, || server.stderr().contains(line));
    }
}

#[test]
fn stats_conns_shows_the_asking_client() {
    let server = Server::start(&["-t", "1"]);
    let (mut idle, mut asking) = (server.client(), server.client());
    idle.ask("get a\r\n", "END\r\n");
    let states: Vec<_> = asking.stats("conns").into_iter().filter(|(name, _)| name.ends_with(":state")).collect();
    let count = |state: &str| states.iter().filter(|(_, shown)| shown == state).count();
    assert_eq!((count("conn_read"), count("conn_parse_cmd"), states.len()), (1, 1, 3), "{states:?}");
}

#[test]
fn half_a_set_leaves_no_trace() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    for half in
        ["set a 0 0 5", "set a 0 0 5\r\n", "set a 0 0 5\r\nyy", "set a 0 0 5\r\nyyyyy", "set a 0 0 5\r\nyyyyy\r"]
    {
        let mut broken = server.client();
        broken.send(half);
        broken.finish_sending();
        broken.expect_close();
        client.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    }
    let mut large = server.client();
    large.send("set a 0 0 900000\r\n");
    large.send("y".repeat(500_000));
    large.finish_sending();
    large.expect_close();
    client.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    wait_until("only we are left", || client.stats("")["curr_connections"] == "1");
}

#[test]
fn a_pipeline_of_10000_requests_is_answered_in_order() {
    let server = Server::start(&[]);
    let client = server.client();
    let mut sender = client.sender();
    let requests: String = (0..10_000).map(|n| format!("set key 0 0 5\r\n{n:05}\r\nget key\r\n")).collect();
    let mut client = client;
    thread::scope(|scope| {
        scope.spawn(move || sender.write_all(requests.as_bytes()).expect("the server takes what is sent"));
        for n in 0..10_000 {
            client.expect(format!("STORED\r\nVALUE key 0 5\r\n{n:05}\r\nEND\r\n"));
        }
    });
    client.expect_silence();
}

#[test]
fn a_pipelining_client_does_not_keep_others_waiting() {
    let server = Server::start(&["-t", "1", "-R", "20"]);
    let flood = server.client();
    let mut sender = flood.sender();
    let mut other = server.client();
    let requests = "get a\r\n".repeat(200_000);
    let mut flood = flood;
    thread::scope(|scope| {
        scope.spawn(move || sender.write_all(requests.as_bytes()).expect("the server takes what is sent"));
        let answered = scope.spawn(move || (0..200_000).for_each(|_| flood.expect("END\r\n")));
        let mut asked_meanwhile = 0;
        while !answered.is_finished() {
            other.ask("get b\r\n", "END\r\n");
            asked_meanwhile += 1;
        }
        // 10,000 turns. If a turn had no end, the client would be answered 12 times.
        assert!(asked_meanwhile > 200, "only {asked_meanwhile} answers while the other client was served");
    });
    assert_ne!(server.stats("")["conn_yields"], "0");
}

#[test]
fn a_client_that_does_not_read_stalls_no_other() {
    let server = Server::start(&["-t", "1", "-m", "100"]);
    let mut other = server.client();
    let value = "x".repeat(1_000_000);
    other.ask(format!("set large 0 0 1000000\r\n{value}\r\n"), "STORED\r\n");
    let mut deaf = server.client();
    // 200 MB of answers that the client does not read.
    deaf.send("get large\r\n".repeat(200));
    for _ in 0..100 {
        other.ask("get small\r\n", "END\r\n");
    }
    let memory = resident_bytes(server.process_id());
    assert!(memory < 100 << 20, "{memory} bytes are resident while one client does not read");
    for _ in 0..200 {
        deaf.expect("VALUE large 0 1000000\r\n");
        deaf.expect(&value);
        deaf.expect("\r\nEND\r\n");
    }
    deaf.expect_silence();
}

#[test]
fn requests_of_a_client_that_does_not_read_are_not_collected() {
    let server = Server::start(&["-t", "1"]);
    let client = server.client();
    let mut sender = client.sender();
    let mut client = client;
    client.ask(format!("set a 0 0 1000\r\n{}\r\n", "x".repeat(1000)), "STORED\r\n");
    let reply = format!("VALUE a 0 1000\r\n{}\r\nEND\r\n", "x".repeat(1000));
    const REQUESTS: usize = 100_000;
    thread::scope(|scope| {
        scope.spawn(move || sender.write_all("get a\r\n".repeat(REQUESTS).as_bytes()).expect("taken in the end"));
        // Others are served, and memory stays bounded, while 100 MB of answers wait to be read.
        for _ in 0..200 {
            server.client().ask("get b\r\n", "END\r\n");
        }
        let memory = resident_bytes(server.process_id());
        assert!(memory < 64 << 20, "{memory} bytes are resident");
        for _ in 0..REQUESTS {
            client.expect(&reply);
        }
    });
}

#[test]
fn a_unix_socket_serves_with_the_mode_asked_for() {
    let directory = scratch_directory();
    for (mode, bits) in [(None, 0o700), (Some("0777"), 0o777), (Some("0600"), 0o600)] {
        let path = directory.join(format!("socket-{bits:o}"));
        let path_text = path.to_str().expect("the temporary directory is UTF-8");
        let mut flags = vec!["-s", path_text];
        flags.extend(mode.iter().flat_map(|mode| ["-a", mode]));
        let server = Server::start(&flags);
        let mut client = server.client();
        client.ask("set a 0 0 1\r\nx\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
        let permissions = fs::metadata(&path).expect("the socket is a file").permissions();
        assert_eq!(permissions.mode() & 0o777, bits);
        assert_eq!(client.stats("settings")["domain_socket"], path_text);
    }
}

#[test]
fn a_server_takes_over_the_socket_file_of_one_that_was_killed() {
    let directory = scratch_directory();
    let path = directory.join("socket");
    let path_text = path.to_str().expect("the temporary directory is UTF-8");
    drop(Server::start(&["-s", path_text]));
    assert!(path.exists(), "a killed server leaves its socket file behind");
    let server = Server::start(&["-s", path_text]);
    server.client().ask("get a\r\n", "END\r\n");
}

#[test]
fn two_servers_share_nothing() {
    let (one, two) = (Server::start(&[]), Server::start(&[]));
    one.client().ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    two.client().ask("get a\r\n", "END\r\n");
}

#[test]
fn clients_on_different_workers_see_each_others_writes() {
    let server = Server::start(&["-t", "4"]);
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    for turn in 0..100 {
        let value = format!("{turn:04}");
        clients[turn % 8].ask(format!("set a 0 0 4\r\n{value}\r\n"), "STORED\r\n");
        for client in &mut clients {
            client.ask("get a\r\n", format!("VALUE a 0 4\r\n{value}\r\nEND\r\n"));
        }
    }
}

#[test]
fn clients_over_no_network_queue_are_assigned_in_turn() {
    let server = Server::start(&["-t", "2", "-N", "2", "-o", "busy_poll_usecs=50"]);
    let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    for client in &mut clients {
        client.ask("get a\r\n", "END\r\n");
    }
    let stats = clients[0].stats("");
    assert_eq!((&*stats["round_robin_fallback"], &*stats["unexpected_napi_ids"]), ("4", "0"));
    assert_eq!(clients[0].stats("settings")["num_napi_ids"], "2");
}

fn resident_bytes(process_id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process_id}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

//! Sessions: requests and replies of all sizes, however records are cut, and their end.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;

use super::TlsServer;
use crate::support::{TlsClient, wait_until};

#[test]
fn values_of_all_sizes_are_stored_and_read_with_both_versions() {
    let server = TlsServer::start(&["-m", "64"], "");
    for config in server.configs() {
        let mut client = server.client_with(&config);
        for len in [0, 1, 100, 4_000, 16_384, 16_385, 70_000, 700_000] {
            let value = "x".repeat(len);
            client.ask(format!("set key 7 0 {len}\r\n{value}\r\n"), "STORED\r\n");
            let reply = format!("VALUE key 7 {len}\r\n{value}\r\nEND\r\n");
            client.ask("get key\r\n", &reply);
            client.ask("get key\r\n".repeat(3), reply.repeat(3));
        }
        client.ask("get none\r\n".repeat(1000), "END\r\n".repeat(1000));
    }
}

#[test]
fn records_may_be_cut_anywhere() {
    let server = TlsServer::start(&[], "");
    for config in server.configs() {
        let mut client = server.client_with(&config);
        let mut sealed = Vec::new();
        for request in ["set key 0 0 3\r\nabc\r\n", "get key\r\nget none\r\nset ", "k2 0 0 1\r\nx\r\nget k2\r\n"] {
            client.connection.writer().write_all(request.as_bytes()).expect("the session takes it");
        }
        while client.connection.wants_write() {
            client.connection.write_tls(&mut sealed).expect("a vector takes it");
        }
        for byte in &sealed {
            client.socket.write_all(&[*byte]).expect("the server takes it");
        }
        client.expect("STORED\r\nVALUE key 0 3\r\nabc\r\nEND\r\nEND\r\nSTORED\r\nVALUE k2 0 1\r\nx\r\nEND\r\n");
    }
}

#[test]
fn a_handshake_may_be_cut_anywhere_and_the_first_request_may_come_with_it() {
    let server = TlsServer::start(&[], "");
    for config in server.configs() {
        let mut client = TlsClient::begin(server.socket(), &config, "localhost");
        client.connection.writer().write_all(b"get none\r\n").expect("it waits for the keys");
        while client.connection.is_handshaking() {
            let mut sealed = Vec::new();
            while client.connection.wants_write() {
                client.connection.write_tls(&mut sealed).expect("a vector takes it");
            }
            for byte in &sealed {
                client.socket.write_all(&[*byte]).expect("the server takes it");
            }
            if client.connection.is_handshaking() {
                client.connection.read_tls(&mut client.socket).expect("the server answers");
                client.connection.process_new_packets().expect("the server keeps to the protocol");
            }
        }
        client.flush();
        client.expect("END\r\n");
    }
}

#[test]
fn the_binary_protocol_works_over_tls() {
    let server = TlsServer::start(&[], "");
    let mut client = server.client();
    let noop: [u8; 24] = std::array::from_fn(|index| [0x80, 0x0a].get(index).copied().unwrap_or(0));
    let reply: [u8; 24] = std::array::from_fn(|index| [0x81, 0x0a].get(index).copied().unwrap_or(0));
    client.ask(noop, reply);
}

#[test]
fn the_server_ends_a_session_in_order() {
    let server = TlsServer::start(&[], "");
    for config in server.configs() {
        let mut client = server.client_with(&config);
        client.send("get none\r\nquit\r\n");
        client.expect("END\r\n");
        client.expect_close();
    }
}

#[test]
fn a_client_that_sends_nothing_more_gets_its_replies() {
    let server = TlsServer::start(&[], "");
    for closes_socket in [false, true] {
        let mut client = server.client();
        client.connection.writer().write_all(b"get none\r\nget no").expect("the session takes it");
        client.connection.send_close_notify();
        client.flush();
        if closes_socket {
            client.socket.shutdown(Shutdown::Write).expect("the socket is open");
        }
        client.expect("END\r\n");
        client.expect_close();
    }
}

#[test]
fn a_client_that_does_not_read_is_bounded_and_gets_everything_in_the_end() {
    let server = TlsServer::start(&["-m", "64"], "");
    let mut client = server.client();
    let value = "y".repeat(900_000);
    client.ask(format!("set key 0 0 900000\r\n{value}\r\n"), "STORED\r\n");
    let (requests, reply) = (60, format!("VALUE key 0 900000\r\n{value}\r\nEND\r\n"));
    client.send("get key\r\n".repeat(requests));
    let mut other = server.client();
    wait_until("the server waits for the reader", || {
        other.send("stats conns\r\n");
        String::from_utf8_lossy(&other.read_until(b"END\r\n")).contains("state conn_mwrite")
    });
    assert!(server.stat("write_buf_bytes") < 2 << 20, "values are sealed when they can be sent");
    (0..requests).for_each(|_| client.expect(&reply));
}

#[test]
fn an_idle_client_is_disconnected_and_its_session_ends_in_order() {
    let server = TlsServer::start(&[], "idle_timeout=1");
    let mut client = server.client();
    client.ask("get none\r\n", "END\r\n");
    client.expect_close();
}

#[test]
fn a_session_is_resumed_if_the_operator_allows_it() {
    for (suboption, resumed) in [("ssl_session_cache", 1), ("ssl_min_version=2", 0)] {
        let server = TlsServer::start(&[], suboption);
        for config in server.configs() {
            let before = server.stat("ssl_resumed_sessions");
            // Tickets of TLS 1.3 come with the first reply.
            server.client_with(&config).ask("get none\r\n", "END\r\n");
            server.client_with(&config).ask("get none\r\n", "END\r\n");
            assert_eq!(server.stat("ssl_resumed_sessions") - before, resumed, "{suboption}");
        }
    }
}

#[test]
fn stats_reset_puts_the_counters_of_tls_back() {
    let server = TlsServer::start(&[], "");
    let mut client = server.client();
    assert!(server.stat("ssl_new_sessions") > 0);
    client.ask("stats reset\r\n", "RESET\r\n");
    // The client that asks has begun a session since.
    assert!(server.stat("ssl_new_sessions") <= 1);
    let expires = server.stat("ssl_certificate_not_after");
    assert!(expires > 0, "a gauge stays");
}

#[test]
fn many_clients_are_served_side_by_side() {
    let server = TlsServer::start(&["-t", "2"], "");
    let config = server.config();
    let mut clients: Vec<TlsClient> = (0..50).map(|_| server.client_with(&config)).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(format!("set key{index} 0 0 2\r\nab\r\nget key{index}\r\n"));
    }
    for (index, client) in clients.iter_mut().enumerate() {
        client.expect(format!("STORED\r\nVALUE key{index} 0 2\r\nab\r\nEND\r\n"));
    }
    assert_eq!(server.stat("curr_connections"), 51);
    drop(clients);
    wait_until("the clients are gone", || server.stat("curr_connections") == 1);
}

#[test]
fn a_client_that_is_cut_off_is_forgotten() {
    let server = TlsServer::start(&[], "");
    let mut client = server.client();
    client.ask("get none\r\n", "END\r\n");
    // No notice, only the end of the stream.
    client.socket.shutdown(Shutdown::Both).expect("the socket is open");
    wait_until("the client is gone", || server.stat("curr_connections") == 1);
    let config: Arc<_> = server.config();
    let mut half = TlsClient::begin(server.socket(), &config, "localhost");
    let mut hello = Vec::new();
    half.connection.write_tls(&mut hello).expect("a vector takes it");
    half.socket.write_all(&hello[..hello.len() / 2]).expect("the server takes it");
    half.socket.shutdown(Shutdown::Write).expect("the socket is open");
    let mut rest = Vec::new();
    // Ignored: a reset is an end, too.
    let _ = half.socket.read_to_end(&mut rest);
    wait_until("the client is gone", || server.stat("curr_connections") == 1);
}

#[test]
fn workers_go_before_handshakes_on_a_busy_core() {
    let server = TlsServer::start(&["-t", "1"], "");
    let nice_of = |thread: &str| {
        let tasks = fs::read_dir(format!("/proc/{}/task", server.server.process_id())).expect("the server runs");
        tasks.filter_map(Result::ok).map(|task| task.path()).find_map(|task| {
            let name = fs::read_to_string(task.join("comm")).ok()?;
            let stat = fs::read_to_string(task.join("stat")).ok().filter(|_| name.trim_end() == thread)?;
            stat.rsplit(')').next()?.split_whitespace().nth(16)?.parse::<i32>().ok()
        })
    };
    wait_until("the thread of handshakes has its priority", || {
        nice_of("worker-0").is_some_and(|worker| nice_of("handshakes") == Some((worker + 5).min(19)))
    });
}

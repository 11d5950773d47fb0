//! Links with TLS (-o repl_tls): nodes converge, and refuse others that have no TLS, or a certificate of a stranger.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{Authority, Server, wait_until};

use super::{KEYS, count, flags, free_ports, gets, node, peer_row, set, settles_as, wait_for_state};

/// The name that dialling nodes verify.
const HOST: &str = "127.0.0.1";
const IMMEDIATE: [&str; 2] = ["-o", "repl_serve=immediately"];

/// An authority that has signed a certificate for `name`.
fn authority(name: &str) -> Authority {
    let authority = Authority::new();
    authority.renew(name);
    authority
}

/// A node whose links use TLS with the files of `authority`. Its clients use a Unix socket.
fn tls_node(port: u16, peers: &[u16], authority: &Authority, suboptions: &str, more: &[&str]) -> Server {
    let socket = authority.file(&format!("socket-{port}"));
    let suboptions = authority.suboptions(suboptions);
    let own = ["-s", socket.to_str().expect("the path is UTF-8"), "-Z", "-o", &suboptions, "-o", "repl_tls"];
    let flags = flags(port, peers, &[&own, more].concat());
    Server::start(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn nodes_with_tls_have_the_same_items() {
    let ports @ [one, two, three] = free_ports();
    let authority = authority(HOST);
    let peers_of = |own: u16| ports.into_iter().filter(|port| *port != own).collect::<Vec<_>>();
    let first = tls_node(one, &peers_of(one), &authority, "", &IMMEDIATE);
    let mut clients = vec![first.client()];
    set(&mut clients[0], "a", KEYS);
    let large = "x".repeat(700_000);
    clients[0].ask(format!("set large 0 0 700000\r\n{large}\r\n"), "STORED\r\n");
    // This one takes all items before it serves.
    let second = tls_node(two, &peers_of(two), &authority, "", &[]);
    clients.push(second.client());
    assert_eq!(count(&mut clients[1], "a", KEYS), KEYS);
    let third = tls_node(three, &peers_of(three), &authority, "", &[]);
    clients.push(third.client());
    set(&mut clients[2], "b", KEYS);
    settles_as(&mut clients, "large", Some(&large));
    settles_as(&mut clients, "b99", Some("v"));
    clients[1].ask("delete large\r\n", "DELETED\r\n");
    settles_as(&mut clients, "large", None);
    for server in [&first, &second, &third] {
        assert!(!server.stderr().contains("not authenticated"), "{}", server.stderr());
    }
}

/// Passes bytes on from a port of its own to `port`, and keeps them.
fn relay(port: u16) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let own = listener.local_addr().expect("it is bound").port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&seen);
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            let clone = |socket: &TcpStream| socket.try_clone().expect("there are descriptors");
            for (mut from, mut to) in [(clone(&client), clone(&server)), (clone(&server), clone(&client))] {
                let all = Arc::clone(&all);
                thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(len @ 1..) = from.read(&mut bytes) {
                        all.lock().expect("no thread panics").extend_from_slice(&bytes[..len]);
                        if to.write_all(&bytes[..len]).is_err() {
                            break;
                        }
                    }
                    // Ignored: the other end is gone.
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    (own, seen)
}

#[test]
fn no_value_is_readable_on_the_way() {
    const VALUE: &str = "a value that only the nodes know";
    let authority = authority(HOST);
    for uses_tls in [true, false] {
        let [one, two, unused] = free_ports();
        let (passed_on, seen) = relay(one);
        let start = |port, peer| match uses_tls {
            true => tls_node(port, &[peer], &authority, "", &IMMEDIATE),
            false => node(port, &[peer], &IMMEDIATE),
        };
        let servers = [start(one, unused), start(two, passed_on)];
        let mut clients = servers.each_ref().map(Server::client);
        clients[0].ask(format!("set k 0 0 {}\r\n{VALUE}\r\n", VALUE.len()), "STORED\r\n");
        settles_as(&mut clients, "k", Some(VALUE));
        let is_readable =
            seen.lock().expect("no thread panics").windows(VALUE.len()).any(|bytes| bytes == VALUE.as_bytes());
        assert_eq!(is_readable, !uses_tls);
    }
}

#[test]
fn a_node_with_tls_and_one_without_refuse_each_other_and_say_why() {
    let [one, two] = free_ports();
    let authority = authority(HOST);
    let with = tls_node(one, &[two], &authority, "", &IMMEDIATE);
    let without = node(two, &[one], &IMMEDIATE);
    with.client().ask("set k 0 0 1\r\na\r\n", "STORED\r\n");
    let said = |server: &Server, what: &str| {
        server.stderr().lines().any(|line| line.contains("larder: replication: 127.0.0.1:") && line.contains(what))
    };
    wait_until("the node with TLS says why", || said(&with, ": it does not use TLS, and -o repl_tls demands it"));
    wait_until("the other one says why", || said(&without, ": it uses TLS, and this node has no -o repl_tls"));
    let ended = "it has ended the TLS handshake; it may have no -o repl_tls";
    wait_until("its row says it, too", || peer_row(&with, two, "last_error") == ended);
    let needed = "it uses TLS, and this node has no -o repl_tls";
    wait_until("so does that of the other one", || peer_row(&without, one, "last_error") == needed);
    assert_eq!(gets(&mut without.client(), "k"), b"END\r\n");
}

#[test]
fn a_certificate_of_another_authority_is_refused_until_it_is_renewed() {
    let [one, two] = free_ports();
    let (right, wrong) = (authority(HOST), authority(HOST));
    let first = tls_node(one, &[two], &right, "", &IMMEDIATE);
    let second = tls_node(two, &[one], &wrong, "", &IMMEDIATE);
    let mut clients = [first.client(), second.client()];
    clients[0].ask("set k 0 0 1\r\na\r\n", "STORED\r\n");
    for server in [&first, &second] {
        // Both have dialled, so one of these comes first.
        let what = ["TLS: invalid peer certificate: ", "TLS: received fatal alert: "];
        wait_until("the node says why", || what.iter().any(|what| server.stderr().contains(what)));
    }
    for (server, peer) in [(&first, two), (&second, one)] {
        let refused = "TLS: its certificate is not accepted; the log says why";
        wait_until("so does the row of its peer", || peer_row(server, peer, "last_error") == refused);
    }
    assert_eq!(gets(&mut clients[1], "k"), b"END\r\n");
    let renewed = right.sign(HOST);
    let ca = std::fs::read_to_string(right.file("ca.pem")).expect("the file is there");
    for (name, text) in [("ca.pem", &ca), ("chain.pem", &renewed.chain), ("key.pem", &renewed.key.serialize_pem())] {
        wrong.write(name, text);
    }
    wait_for_state(&first, two, "up");
    settles_as(&mut clients, "k", Some("a"));
}

#[test]
fn with_a_common_name_both_nodes_verify_it() {
    let [one, two, three] = free_ports();
    let authority = authority("node.mesh");
    let name = "repl_tls_name=node.mesh";
    let first = tls_node(one, &[two], &authority, name, &IMMEDIATE);
    let second = tls_node(two, &[one], &authority, name, &IMMEDIATE);
    let mut clients = [first.client(), second.client()];
    clients[0].ask("set k 0 0 1\r\na\r\n", "STORED\r\n");
    settles_as(&mut clients, "k", Some("a"));
    // The same authority has signed it, for a client.
    let (other, signed) = (Authority::new(), authority.sign("client"));
    let ca = std::fs::read_to_string(authority.file("ca.pem")).expect("the file is there");
    for (file, text) in [("ca.pem", &ca), ("chain.pem", &signed.chain), ("key.pem", &signed.key.serialize_pem())] {
        other.write(file, text);
    }
    let stranger = tls_node(three, &[one], &other, name, &IMMEDIATE);
    wait_until("the node says why", || first.stderr().contains("TLS: invalid peer certificate: "));
    assert_eq!(gets(&mut stranger.client(), "k"), b"END\r\n");
}

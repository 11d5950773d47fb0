//! Keys with owners (`-o repl_owner_prefix`): locks that clients take on all nodes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{free_ports, gets, node, peer_row};
use crate::support::{Client, Server, now, wait_until};

/// Rounds in which two clients add one key on two nodes.
const RACES: usize = 200;
/// Keys that clients lock while a node is killed.
const LOCKS: usize = 8;
/// A node that falls silent keeps others from giving locks for this time.
const LEASE: Duration = Duration::from_secs(5);
const STORED: &[u8] = b"STORED\r\n";
const NOT_STORED: &[u8] = b"NOT_STORED\r\n";

fn lock_nodes<const N: usize>() -> [Server; N] {
    let ports = free_ports::<N>();
    let servers = ports.map(|port| {
        let peers: Vec<u16> = ports.into_iter().filter(|peer| *peer != port).collect();
        node(port, &peers, &["-U", "-1", "-o", "repl_owner_prefix=lock.;own:"])
    });
    for (at, server) in servers.iter().enumerate() {
        let mut client = server.client();
        wait_until("locks are given", || {
            // Each node owns some of these.
            (0..32).all(|key| reply(&mut client, &format!("add lock.r{at}.{key} 0 1 1\r\n1\r\n")) != no_owner())
        });
    }
    servers
}

fn no_owner() -> Vec<u8> {
    b"SERVER_ERROR the owner of the key has not answered\r\n".to_vec()
}

fn reply(client: &mut Client, request: &str) -> Vec<u8> {
    client.send(request);
    client.read_line().expect("the server answers")
}

#[test]
fn of_two_adds_on_two_nodes_one_is_stored() {
    let servers = lock_nodes::<2>();
    let mut clients = servers.each_ref().map(Server::client);
    for round in 0..RACES {
        let key = format!("lock.{round}");
        let replies = thread::scope(|scope| {
            let add = format!("add {key} 0 60 1\r\n1\r\n");
            let threads = clients.each_mut().map(|client| {
                let add = add.clone();
                scope.spawn(move || reply(client, &add))
            });
            threads.map(|thread| thread.join().expect("the server answers"))
        });
        let winners = replies.iter().filter(|reply| *reply == STORED).count();
        let losers = replies.iter().filter(|reply| *reply == NOT_STORED).count();
        assert_eq!((winners, losers), (1, 1), "round {round}: {replies:?}");
        // All nodes have it by then, and none has it after the delete.
        assert!(clients.iter_mut().all(|client| gets(client, &key).starts_with(b"VALUE ")), "round {round}");
        clients[round % 2].ask(format!("delete {key}\r\n"), "DELETED\r\n");
        assert!(clients.iter_mut().all(|client| gets(client, &key) == b"END\r\n"), "round {round}");
    }
}

#[test]
fn every_form_of_add_and_delete_is_answered_in_its_place() {
    let servers = lock_nodes::<2>();
    for server in &servers {
        let mut client = server.client();
        client.ask(
            "set a 0 0 1\r\nx\r\nadd lock.a 5 60 1\r\n1\r\nget a\r\nadd lock.a 0 60 1\r\n2\r\nget lock.a\r\n\
             delete lock.a\r\ndelete lock.a\r\ndelete a\r\n",
            "STORED\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nEND\r\nNOT_STORED\r\nVALUE lock.a 5 1\r\n1\r\nEND\r\n\
             DELETED\r\nNOT_FOUND\r\nDELETED\r\n",
        );
        client.ask(
            "add own:b 0 60 1 noreply\r\n1\r\nget own:b\r\ndelete own:b noreply\r\nget own:b\r\n",
            "VALUE own:b 0 1\r\n1\r\nEND\r\nEND\r\n",
        );
        client.ask(
            "ms lock.m 1 ME T60 k\r\n1\r\nms lock.m 1 ME q\r\n1\r\nmd lock.m C1\r\nmd lock.m q\r\nmd lock.m\r\nmn\r\n",
            "HD klock.m\r\nNS\r\nEX\r\nNF\r\nMN\r\n",
        );
        client.ask(
            "ms bG9jay5iNjQ= 1 b ME\r\n1\r\nmg bG9jay5iNjQ= b v\r\nmd bG9jay5iNjQ= b\r\n",
            "HD\r\nVA 1\r\n1\r\nHD\r\n",
        );
        // A value that arrives late, a bad one, and one that no lock has.
        client.send("add lock.c 0 60 3\r\nab");
        server.client().ask("delete lock.other\r\n", "NOT_FOUND\r\n");
        client.ask("c\r\nget lock.c\r\ndelete lock.c\r\n", "STORED\r\nVALUE lock.c 0 3\r\nabc\r\nEND\r\nDELETED\r\n");
        let long = "x".repeat(5000);
        client.ask(
            format!("add lock.c 0 60 5000\r\n{long}\r\nget lock.c\r\n"),
            "SERVER_ERROR object too large for cache\r\nEND\r\n",
        );
        // Time to live.
        client.ask("add lock.t 0 -1 1\r\n1\r\nadd lock.t 0 1 1\r\n1\r\n", "STORED\r\nSTORED\r\n");
        wait_until("the lock is over", || reply(&mut client, "add lock.t 0 1 1\r\n1\r\n") == STORED);
        client.ask("delete lock.t\r\n", "DELETED\r\n");
        let not_there = "SERVER_ERROR not available over UDP\r\n";
        server.datagram_client().ask("add lock.u 0 60 1\r\n1\r\n", &[not_there]);
        client.ask("delete lock.u\r\n", "NOT_FOUND\r\n");
    }
}

/// A request of the binary protocol.
fn packet(opcode: u8, extras: &[u8], key: &str, value: &str) -> Vec<u8> {
    let body_len = u32::try_from(extras.len() + key.len() + value.len()).expect("it is short");
    let key_len = u16::try_from(key.len()).expect("it is short").to_be_bytes();
    let mut bytes =
        vec![0x80, opcode, key_len[0], key_len[1], u8::try_from(extras.len()).expect("it is short"), 0, 0, 0];
    bytes.extend(body_len.to_be_bytes());
    bytes.extend([0, 0, 0, opcode]);
    bytes.extend([0; 8]);
    bytes.extend_from_slice(extras);
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

#[test]
fn the_binary_protocol_asks_owners_too() {
    const ADD: u8 = 0x02;
    const DELETE: u8 = 0x04;
    const NOOP: u8 = 0x0a;
    const ADD_QUIETLY: u8 = 0x12;
    const DELETE_QUIETLY: u8 = 0x14;
    let servers = lock_nodes::<2>();
    for server in &servers {
        let mut client = server.client();
        let extras = [0, 0, 0, 0, 0, 0, 0, 60];
        let requests = [
            packet(ADD, &extras, "lock.b", "1"),
            packet(ADD_QUIETLY, &extras, "lock.b", "1"),
            packet(ADD_QUIETLY, &extras, "lock.q", "1"),
            packet(DELETE, &[], "lock.b", ""),
            packet(DELETE_QUIETLY, &[], "lock.q", ""),
            packet(DELETE_QUIETLY, &[], "lock.q", ""),
            packet(NOOP, &[], "", ""),
        ];
        client.send(requests.concat());
        // Opcode and status.
        let expected = [(ADD, 0), (ADD_QUIETLY, 2), (DELETE, 0), (DELETE_QUIETLY, 1), (NOOP, 0)];
        for (opcode, status) in expected {
            let header = client.read_exactly(24).expect("the server answers");
            assert_eq!((header[1], u16::from_be_bytes([header[6], header[7]])), (opcode, status), "{header:?}");
            let body = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
            client.read_exactly(usize::try_from(body).expect("it is short")).expect("the body follows");
        }
    }
}

#[test]
fn a_lock_has_one_holder_while_its_owner_is_killed() {
    let [doomed, servers @ ..] = lock_nodes::<3>();
    let (is_held, taken) = ([const { AtomicBool::new(false) }; LOCKS], [const { AtomicUsize::new(0) }; LOCKS]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for server in servers.iter().chain(&servers) {
            let (is_held, taken, is_over) = (&is_held, &taken, &is_over);
            scope.spawn(move || {
                let mut client = server.client();
                for lock in (0..LOCKS).cycle() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    match &reply(&mut client, &format!("add lock.{lock} 0 3 1\r\n1\r\n"))[..] {
                        STORED => {
                            assert!(!is_held[lock].swap(true, Ordering::SeqCst), "lock {lock} has two holders");
                            taken[lock].fetch_add(1, Ordering::SeqCst);
                            is_held[lock].store(false, Ordering::SeqCst);
                            // If there is no owner, the lock is still there, until its time to live is over.
                            while reply(&mut client, &format!("delete lock.{lock}\r\n")) == no_owner() {}
                        }
                        NOT_STORED => {}
                        other => assert_eq!(other, no_owner(), "{}", String::from_utf8_lossy(other)),
                    }
                }
            });
        }
        let count = || taken.each_ref().map(|count| count.load(Ordering::SeqCst));
        let taken_from = |before: [usize; LOCKS]| count().iter().zip(before).all(|(now, before)| *now > before);
        wait_until("all locks are taken", || taken_from([10; LOCKS]));
        doomed.kill();
        let before = count();
        wait_until("locks are given again", || taken_from(before.map(|count| count + 10)));
        is_over.store(true, Ordering::SeqCst);
    });
}

/// A node that is killed ends its connections, and refuses new ones. No client waits for its lease.
#[test]
fn locks_are_given_again_before_the_lease_of_a_killed_node_is_over() {
    let [server, doomed] = lock_nodes::<2>();
    let mut client = server.client();
    doomed.kill();
    let killed = now();
    wait_until("all locks are given", || {
        (0..32).all(|key| reply(&mut client, &format!("add lock.k{key} 0 1 1\r\n1\r\n")) != no_owner())
    });
    assert!(killed.elapsed() < LEASE, "{:?}", killed.elapsed());
}

#[test]
fn no_lock_is_given_twice_while_its_owner_is_stopped() {
    let servers = lock_nodes::<2>();
    let mut clients = servers.each_ref().map(Server::client);
    for lock in 0..LOCKS {
        clients[lock % 2].ask(format!("add lock.{lock} 0 600 1\r\n1\r\n"), "STORED\r\n");
    }
    servers[0].signal("STOP");
    // First there is an error, and then another owner, which has the lock.
    for lock in 0..LOCKS {
        wait_until("another node owns the lock", || {
            let reply = reply(&mut clients[1], &format!("add lock.{lock} 0 600 1\r\n1\r\n"));
            assert_ne!(reply, STORED);
            reply == NOT_STORED
        });
    }
    clients[1].ask("delete lock.0\r\nadd lock.0 0 600 1\r\n2\r\n", "DELETED\r\nSTORED\r\n");
    servers[0].signal("CONT");
    for lock in 0..LOCKS {
        wait_until("the owner has returned", || {
            let reply = reply(&mut clients[0], &format!("add lock.{lock} 0 600 1\r\n3\r\n"));
            assert_ne!(reply, STORED);
            reply == NOT_STORED
        });
    }
    assert!(gets(&mut clients[0], "lock.0").starts_with(b"VALUE lock.0 0 1 "));
}

#[test]
fn nodes_with_other_prefixes_say_so_on_both_sides() {
    let ports @ [one, two] = free_ports();
    let servers = [0, 1].map(|index| {
        let prefixes = ["repl_owner_prefix=lock.", "repl_owner_prefix=own:;lock."][index];
        node(ports[index], &[ports[1 - index]], &["-o", prefixes])
    });
    for (server, peer) in servers.iter().zip([two, one]) {
        wait_until("a row says so", || peer_row(server, peer, "other_owners") == "1");
        wait_until("the log says so", || server.stderr().contains("it has another -o repl_owner_prefix"));
    }
    let servers = lock_nodes::<2>();
    assert!(servers.iter().all(|server| !server.stderr().contains("it has another -o repl_owner_prefix")));
}

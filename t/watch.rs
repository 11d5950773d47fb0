//! `watch`: lines, filters, slow and lost watchers, and counts of lost lines.

use std::io::Write as _;

use larder::protocol::binary::Opcode;

use crate::support::packet::{Packet, read_reply};
use crate::support::{Client, Server, wait_until};

/// A client that watches `words`.
fn watcher(server: &Server, words: &str) -> Client {
    let mut client = server.client();
    // The watch thread answers when the workers can see that a client watches.
    client.ask(format!("watch {words}\r\n"), "OK\r\n");
    client
}

/// The next line, without time, number, descriptor and port.
fn line(watcher: &mut Client) -> String {
    let line = String::from_utf8(watcher.read_line().expect("a line comes")).expect("lines are text");
    let (head, rest) = line.split_once(" type=").unwrap_or_else(|| panic!("{line:?}"));
    assert!(head.starts_with("ts=") && head.contains(" gid="), "{line:?}");
    let rest = rest.trim_end().split(' ').filter(|word| !word.starts_with("cfd=") && !word.starts_with("rport="));
    rest.collect::<Vec<_>>().join(" ")
}

/// As [`line`], also without the words that begin with `unsteady`.
fn line_without(watcher: &mut Client, unsteady: &str) -> String {
    let line = line(watcher);
    line.split(' ').filter(|word| !word.starts_with(unsteady)).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_stream_shows_its_events() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    let all = "fetchers mutations deletions touches numbers flushes connevents rawcmds evictions";
    let mut watcher = watcher(&server, all);
    for (request, reply, expected) in [
        ("get none\r\n", "END\r\n", vec!["item_get key=none status=not_found clsid=0 size=0"]),
        (
            "set a%b 5 60 3\r\nabc\r\n",
            "STORED\r\n",
            vec!["item_store key=a%25b status=stored cmd=set ttl=60 clsid=1 size=3"],
        ),
        ("get a%b\r\n", "VALUE a%b 5 3\r\nabc\r\nEND\r\n", vec!["item_get key=a%25b status=found clsid=1 size=3"]),
        (
            "add a%b 0 0 1\r\nx\r\n",
            "NOT_STORED\r\n",
            vec!["item_store key=a%25b status=not_stored cmd=add ttl=0 clsid=0 size=1"],
        ),
        (
            "cas q 0 0 1 7\r\nx\r\n",
            "NOT_FOUND\r\n",
            vec!["item_store key=q status=not_found cmd=cas ttl=0 clsid=0 size=1"],
        ),
        (
            "set e 0 -1 1 noreply\r\nx\r\nget e\r\n",
            "END\r\n",
            vec![
                "item_store key=e status=stored cmd=set ttl=-1 clsid=0 size=1",
                "item_get key=e status=expired clsid=0 size=0",
            ],
        ),
        ("set n 0 0 1\r\n1\r\n", "STORED\r\n", vec!["item_store key=n status=stored cmd=set ttl=0 clsid=1 size=1"]),
        ("incr n 1\r\n", "2\r\n", vec!["item_arith key=n status=stored cmd=incr clsid=1 size=1"]),
        ("decr q 1\r\n", "NOT_FOUND\r\n", vec!["item_arith key=q status=not_found cmd=decr clsid=0 size=0"]),
        ("touch n 100\r\n", "TOUCHED\r\n", vec!["item_touch key=n status=found ttl=100 clsid=1 size=1"]),
        (
            "gat 0 n\r\n",
            "VALUE n 0 1\r\n2\r\nEND\r\n",
            vec!["item_get key=n status=found clsid=1 size=1", "item_touch key=n status=found ttl=0 clsid=1 size=1"],
        ),
        ("delete n\r\ndelete n\r\n", "DELETED\r\nNOT_FOUND\r\n", vec!["deleted key=n cmd=delete clsid=1 size=1"]),
        ("flush_all\r\n", "OK\r\n", vec!["flush_all delay=0"]),
        (
            "get r q\r\n",
            "END\r\n",
            vec!["item_get key=r status=not_found clsid=0 size=0", "item_get key=q status=not_found clsid=0 size=0"],
        ),
    ] {
        client.ask(request, reply);
        for expected in expected {
            assert_eq!(line(&mut watcher), expected, "after {request:?}");
        }
    }
    let large = "x".repeat(2_000_000);
    client.ask(format!("set big 0 0 2000000\r\n{large}\r\n"), "SERVER_ERROR object too large for cache\r\n");
    assert_eq!(line(&mut watcher), "item_store key=big status=too_large cmd=set ttl=0 clsid=0 size=2000000");
    let large = "x".repeat(500_000);
    client.ask(format!("set big 0 0 500000\r\n{large}\r\n"), "STORED\r\n");
    let stored = line(&mut watcher);
    assert!(stored.starts_with("item_store key=big status=stored cmd=set ttl=0 clsid="), "{stored}");
    let mut other = server.client();
    assert_eq!(line(&mut watcher), "conn_new rip=127.0.0.1 transport=tcp");
    other.send("quit\r\n");
    assert_eq!(line(&mut watcher), "conn_close rip=127.0.0.1 transport=tcp reason=normal");
    assert!(server.stats("conns").values().any(|state| state == "conn_watch"));
}

#[test]
fn meta_commands_show_the_same_events() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    let mut watcher = watcher(&server, "fetchers mutations deletions touches numbers");
    for (request, reply, expected) in [
        (
            "ms YgAgMQ== 2 b T60\r\nhi\r\n",
            "HD\r\n",
            vec!["item_store key=b%00%201 status=stored cmd=set ttl=60 clsid=1 size=2"],
        ),
        ("mg YgAgMQ== b v\r\n", "VA 2\r\nhi\r\n", vec!["item_get key=b%00%201 status=found clsid=1 size=2"]),
        (
            "ma YgAgMQ== b\r\n",
            "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
            vec!["item_arith key=b%00%201 status=non_numeric cmd=incr clsid=1 size=2"],
        ),
        ("md YgAgMQ== b\r\n", "HD\r\n", vec!["deleted key=b%00%201 cmd=md clsid=1 size=2"]),
        ("mg none\r\n", "EN\r\n", vec!["item_get key=none status=not_found clsid=0 size=0"]),
        ("ms a 1 ME T9\r\nx\r\n", "HD\r\n", vec!["item_store key=a status=stored cmd=add ttl=9 clsid=1 size=1"]),
        ("ms a 1 ME T9\r\nx\r\n", "NS\r\n", vec!["item_store key=a status=not_stored cmd=add ttl=9 clsid=0 size=1"]),
        ("ms a 1 MA\r\ny\r\n", "HD\r\n", vec!["item_store key=a status=stored cmd=append ttl=9 clsid=1 size=2"]),
        ("ms a 1 C1\r\ny\r\n", "EX\r\n", vec!["item_store key=a status=exists cmd=cas ttl=0 clsid=0 size=1"]),
        (
            "mg a T90 v\r\n",
            "VA 2\r\nxy\r\n",
            vec!["item_get key=a status=found clsid=1 size=2", "item_touch key=a status=found ttl=90 clsid=1 size=2"],
        ),
        ("mg new N30 v\r\n", "VA 0 W\r\n\r\n", vec!["item_get key=new status=not_found clsid=0 size=0"]),
        (
            "ma number N0 J5\r\n",
            "HD\r\n",
            vec![
                "item_store key=number status=stored cmd=add ttl=0 clsid=1 size=1",
                "item_arith key=number status=stored cmd=incr clsid=1 size=1",
            ],
        ),
        ("ma number MD\r\n", "HD\r\n", vec!["item_arith key=number status=stored cmd=decr clsid=1 size=1"]),
        // An item that becomes stale is not deleted.
        ("md number I\r\nmg none\r\n", "HD\r\nEN\r\n", vec!["item_get key=none status=not_found clsid=0 size=0"]),
        ("md number x\r\n", "HD\r\n", vec!["deleted key=number cmd=md clsid=1 size=1"]),
    ] {
        client.ask(request, reply);
        for expected in expected {
            assert_eq!(line(&mut watcher), expected, "after {request:?}");
        }
    }
}

#[test]
fn binary_packets_show_the_same_events() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    let mut watcher = watcher(&server, "fetchers mutations deletions touches numbers");
    for (packet, expected) in [
        (Packet::store(Opcode::Set, "a", "abc"), "item_store key=a status=stored cmd=set ttl=0 clsid=1 size=3"),
        (Packet::of(Opcode::Get, "a"), "item_get key=a status=found clsid=1 size=3"),
        (Packet::of(Opcode::GetK, "none"), "item_get key=none status=not_found clsid=0 size=0"),
        (Packet::store(Opcode::Add, "a", "x"), "item_store key=a status=not_stored cmd=add ttl=0 clsid=0 size=1"),
        (Packet::store(Opcode::Append, "a", "de"), "item_store key=a status=stored cmd=append ttl=0 clsid=1 size=5"),
        (Packet::of(Opcode::Delete, "a"), "deleted key=a cmd=delete clsid=1 size=5"),
    ] {
        client.send(packet.bytes());
        read_reply(&mut client);
        assert_eq!(line(&mut watcher), expected);
    }
}

#[test]
fn a_value_that_is_refused_on_its_way_is_shown() {
    let server = Server::start(&["-m", "8", "-t", "1", "-M", "-I", "4m"]);
    let mut watcher = watcher(&server, "mutations");
    let mut client = server.client();
    let value = "v".repeat(1 << 20);
    let mut refused = false;
    for number in 0..20 {
        client.send(format!("set large:{number} 0 60 {}\r\n{value}\r\n", value.len()));
        let reply = String::from_utf8(client.read_line().expect("a reply")).expect("text");
        let shown = line(&mut watcher);
        let expected = if reply == "STORED\r\n" {
            "stored"
        } else {
            refused = true;
            "no_memory"
        };
        assert!(
            shown.starts_with(&format!("item_store key=large%3A{number} status={expected} cmd=set ttl=60 ")),
            "{shown}"
        );
    }
    assert!(refused, "8 MB hold no 20 MB");
}

#[test]
fn a_watcher_that_leaves_is_a_connection_that_closes() {
    let server = Server::start(&["-t", "1"]);
    let mut stays = watcher(&server, "connevents");
    let leaves = watcher(&server, "fetchers");
    assert_eq!(line(&mut stays), "conn_new rip=127.0.0.1 transport=tcp");
    drop(leaves);
    assert_eq!(line(&mut stays), "conn_close rip=127.0.0.1 transport=tcp reason=normal");
}

#[test]
fn system_events_show_pages_that_move_and_items_that_are_swept() {
    let server = Server::start(&["-m", "16", "-t", "1", "-o", "debug_commands"]);
    let mut watcher = watcher(&server, "sysevents");
    let mut client = server.client();
    client.ask("set short 0 10 3\r\nabc\r\n", "STORED\r\n");
    client.ask("debugtime 20\r\n", "OK\r\n");
    assert_eq!(line_without(&mut watcher, "elapsed="), "lru_crawler examined=1 reclaimed=1");
    let value = "v".repeat(1000);
    client.send((0..20_000).map(|n| format!("set small:{n} 0 0 1000 noreply\r\n{value}\r\n")).collect::<String>());
    let value = "v".repeat(9000);
    client.send((0..2000).map(|n| format!("set large:{n} 0 0 9000 noreply\r\n{value}\r\n")).collect::<String>());
    client.expect_silence();
    let moved = line(&mut watcher);
    assert!(moved.starts_with("slab_move src=") && moved.contains(" dst="), "{moved}");
}

#[test]
fn evictions_and_expirations_are_shown() {
    let server = Server::start(&["-m", "8", "-t", "1", "-o", "debug_commands"]);
    let mut client = server.client();
    let mut expirations = watcher(&server, "expirations");
    client.ask("set short 0 10 3\r\nabc\r\n", "STORED\r\n");
    client.ask("debugtime 20\r\n", "OK\r\n");
    let expired = line(&mut expirations);
    assert!(expired.starts_with("expired key=short fetch=no ttl=-1 la="), "{expired}");
    let mut evictions = watcher(&server, "evictions prefix=old sample=2");
    let value = "v".repeat(1000);
    let store = |name: &str, count: u32| -> String {
        (0..count).map(|n| format!("set {name}:{n} 0 0 1000 noreply\r\n{value}\r\n")).collect()
    };
    client.send(store("old", 1000));
    client.send(store("new", 20_000));
    client.expect_silence();
    let evicted = line(&mut evictions);
    assert!(evicted.starts_with("eviction key=old%3A") && evicted.contains(" fetch=no ttl=0 la="), "{evicted}");
}

#[test]
fn a_prefix_and_a_sample_thin_the_lines() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    let mut users = watcher(&server, "mutations prefix=user:");
    let mut tenth = watcher(&server, "mutations sample=10");
    for n in 0..40 {
        client.ask(format!("set user:{n} 0 0 1\r\nx\r\nset page:{n} 0 0 1\r\nx\r\n"), "STORED\r\nSTORED\r\n");
    }
    for n in 0..40 {
        assert!(line(&mut users).starts_with(&format!("item_store key=user%3A{n} ")));
    }
    let of_tenth: Vec<String> = (0..8).map(|_| line(&mut tenth)).collect();
    assert!(of_tenth[7].starts_with("item_store key=page%3A39 "), "{of_tenth:?}");
    client.ask("delete user:1\r\nset user:x 0 0 1\r\nx\r\n", "DELETED\r\nSTORED\r\n");
    assert!(line(&mut users).starts_with("item_store key=user%3Ax "), "deletes are another stream");
}

#[test]
fn a_watcher_that_does_not_read_loses_lines_and_delays_no_client() {
    let server = Server::start(&["-t", "1", "-o", "watcher_logbuf_size=8"]);
    let mut client = server.client();
    let mut slow = watcher(&server, "fetchers");
    let long = "k".repeat(200);
    let gets = format!("get {long}\r\n").repeat(500);
    wait_until("lines are lost", || {
        client.send(&gets);
        (0..500).for_each(|_| client.expect("END\r\n"));
        server.stats("")["log_watcher_skipped"] != "0"
    });
    let figures = server.stats("");
    assert_ne!(figures["log_watcher_sent"], "0");
    assert_ne!(figures["log_worker_written"], "0");
    // When it reads again, a line says how many it has lost.
    let mut lost = 0;
    while lost == 0 {
        client.ask("get a\r\n", "END\r\n");
        let line = slow.read_line().unwrap();
        let skipped =
            line.strip_prefix(b"skipped=").map(|rest| String::from_utf8_lossy(rest).trim_end().parse::<u64>());
        lost = skipped.map_or(0, Result::unwrap);
    }
    assert!(lost > 0);
}

#[test]
fn a_watcher_that_sends_without_end_delays_no_other() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    let mut quiet = watcher(&server, "fetchers");
    let mut loud = watcher(&server, "flushes").sender();
    let flood = std::thread::spawn(move || while loud.write_all(&[b'x'; 1 << 16]).is_ok() {});
    for _ in 0..20 {
        client.ask("get none\r\n", "END\r\n");
        assert_eq!(line(&mut quiet), "item_get key=none status=not_found clsid=0 size=0");
    }
    drop(server);
    flood.join().expect("it ends with the server");
}

#[test]
fn a_watcher_is_told_of_lines_that_did_not_fit_a_worker() {
    const GETS: usize = 20_000;
    let server = Server::start(&["-t", "1", "-o", "worker_logbuf_size=4"]);
    let mut watchers = [watcher(&server, "fetchers"), watcher(&server, "fetchers mutations")];
    let mut stranger = watcher(&server, "deletions");
    let mut client = server.client();
    client.send("get a\r\n".repeat(GETS));
    (0..GETS).for_each(|_| client.expect("END\r\n"));
    assert_ne!(server.stats("")["log_worker_dropped"], "0");
    for watcher in &mut watchers {
        let mut gets = 0;
        while gets < GETS {
            let line = watcher.read_line().unwrap();
            let skipped = std::str::from_utf8(&line).unwrap().strip_prefix("skipped=");
            gets += skipped.map_or(1, |lines| lines.trim_end().parse().unwrap());
        }
        assert_eq!(gets, GETS, "each get is a line or is counted");
    }
    client.ask("set a 0 0 1\r\nx\r\ndelete a\r\n", "STORED\r\nDELETED\r\n");
    assert!(line(&mut stranger).starts_with("deleted key=a "), "no event of its stream was lost");
}

#[test]
fn a_watcher_that_is_gone_frees_its_place() {
    let server = Server::start(&["-t", "2"]);
    let mut watchers: Vec<Client> = (0..20).map(|_| watcher(&server, "fetchers")).collect();
    assert_eq!(server.stats("")["log_watchers"], "20");
    let mut client = server.client();
    client.ask("watch mutations\r\n", "WATCHER_TOO_MANY log watcher limit reached\r\n");
    client.ask("get a\r\n", "END\r\n");
    for watcher in &mut watchers {
        assert_eq!(line(watcher), "item_get key=a status=not_found clsid=0 size=0");
    }
    watchers.clear();
    wait_until("all places are free", || server.stats("")["log_watchers"] == "0");
    wait_until("they do not count as clients", || server.stats("")["curr_connections"] == "2");
    let written = &server.stats("")["log_worker_written"];
    client.ask("get a\r\n", "END\r\n");
    assert_eq!(&server.stats("")["log_worker_written"], written, "no client watches");
}

#[test]
fn replies_before_a_watch_come_first_and_words_are_checked() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for words in ["nothing", "fetch", "fetchers nothing", "fetchers noreply", "sample=0"] {
        client.ask(format!("watch {words}\r\n"), "ERROR\r\n");
    }
    client.ask("get a\r\nwatch\r\nget b\r\n", "END\r\nOK\r\n");
    server.client().ask("get c\r\n", "END\r\n");
    assert_eq!(
        line(&mut client),
        "item_get key=c status=not_found clsid=0 size=0",
        "what a watcher sends is discarded"
    );
    let server = Server::start(&["-W"]);
    server.client().ask("watch nothing\r\n", "CLIENT_ERROR watch commands not allowed\r\n");
}

#[test]
fn clients_can_watch_a_server_that_has_dropped_its_privileges() {
    let server = Server::start(&["-o", "drop_privileges"]);
    let mut watcher = watcher(&server, "fetchers");
    server.client().ask("get a\r\n", "END\r\n");
    assert_eq!(line(&mut watcher), "item_get key=a status=not_found clsid=0 size=0");
}

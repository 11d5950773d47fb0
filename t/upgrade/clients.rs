//! What clients see of an upgrade, client by client.

use crate::restart::file::MemoryFile;
use crate::support::{Server, wait_until};

/// Without a memory file, with huge pages, and with a memory file.
fn with_and_without_file(test: impl Fn(Server)) {
    test(Server::start(&[]));
    test(Server::start(&["-L"]));
    let file = MemoryFile::new();
    test(file.serve(&[]));
}

#[test]
fn upgrade_keeps_items_with_all_that_belongs_to_them() {
    with_and_without_file(|mut server| {
        let mut client = server.client();
        let large = "x".repeat(700_000);
        client.ask(format!("set large 3 0 700000\r\n{large}\r\n"), "STORED\r\n");
        client.ask("set short 4294967295 100 5\r\nvalue\r\nset gone 0 100 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
        client.ask("delete gone\r\nincr none 1\r\n", "DELETED\r\nNOT_FOUND\r\n");
        client.send("gets short\r\n");
        let before = client.read_until(b"END\r\n").expect("the server answers");
        server.upgrade();
        client.send("gets short\r\n");
        assert_eq!(client.read_until(b"END\r\n").expect("the server answers"), before);
        client.ask("get large\r\n", format!("VALUE large 3 700000\r\n{large}\r\nEND\r\n"));
        client.ask("get gone\r\n", "END\r\n");
        client.send("mg short t\r\n");
        let line = client.read_line().expect("the server answers");
        assert!([&b"HD t100\r\n"[..], b"HD t99\r\n", b"HD t98\r\n"].contains(&&line[..]), "{}", line.escape_ascii());
        // No unique is drawn twice.
        client.send("set new 0 0 1\r\nx\r\ngets new\r\n");
        let new = client.read_until(b"END\r\n").expect("the server answers");
        let unique = |reply: &[u8]| -> u64 {
            let text = String::from_utf8_lossy(reply).into_owned();
            let line = text.lines().find(|line| line.starts_with("VALUE ")).expect("it was found").to_owned();
            line.rsplit(' ').next().and_then(|unique| unique.parse().ok()).expect("a number ends the line")
        };
        assert!(unique(&new) > unique(&before));
    });
}

#[test]
fn upgrade_continues_half_a_request_and_replies_that_were_not_read() {
    with_and_without_file(|mut server| {
        let mut half = server.client();
        half.ask("set key 0 0 5\r\nvalue\r\n", "STORED\r\n");
        half.send("get k");
        let value = "y".repeat(500_000);
        let mut slow = server.client();
        slow.ask(format!("set large 0 0 500000\r\n{value}\r\n"), "STORED\r\n");
        // More than a socket takes.
        let requests = 40;
        slow.send("get large\r\n".repeat(requests));
        let mut idle = server.client();
        server.upgrade();
        half.send("ey\r\n");
        half.expect("VALUE key 0 5\r\nvalue\r\nEND\r\n");
        let reply = format!("VALUE large 0 500000\r\n{value}\r\nEND\r\n");
        (0..requests).for_each(|_| slow.expect(&reply));
        idle.ask("get key\r\n", "VALUE key 0 5\r\nvalue\r\nEND\r\n");
    });
}

#[test]
fn upgrade_lets_counters_go_on() {
    let mut server = Server::start(&["-t", "3"]);
    let mut clients: Vec<_> = (0..5).map(|_| server.client()).collect();
    for client in &mut clients {
        client.ask("set key 0 0 1\r\nx\r\nget key\r\nget none\r\n", "STORED\r\nVALUE key 0 1\r\nx\r\nEND\r\nEND\r\n");
    }
    let rows = ["get_hits", "get_misses", "cmd_set", "bytes_read", "total_connections"];
    let before = server.stats("");
    server.upgrade();
    let after = server.stats("");
    let number =
        |name: &str, stats: &crate::support::client::StatRows| -> u64 { stats[name].parse().expect("a number") };
    for name in rows {
        assert!(number(name, &after) >= number(name, &before), "{name}");
        assert!(number(name, &after) <= number(name, &before) + 1000, "{name}");
    }
    assert_eq!((after["get_hits"].as_str(), after["cmd_set"].as_str()), ("5", "5"));
    assert_eq!((after["upgrades"].as_str(), after["upgrade_closed"].as_str()), ("1", "0"));
    wait_until("five clients are there, and the one that asks", || server.stats("")["curr_connections"] == "6");
    assert!(number("get_misses", &after) > 0 && after["upgrade_stall_time"] != "0.000000");
    server.client().ask("stats reset\r\n", "RESET\r\n");
    assert_eq!(server.stats("")["get_hits"], "0");
}

#[test]
fn upgrade_lets_counts_of_the_store_go_on() {
    let mut server = Server::start(&["-m", "8", "-t", "2"]);
    let mut client = server.client();
    let value = "v".repeat(10_000);
    for number in 0..2000 {
        client.ask(format!("set key{number} 0 0 10000\r\n{value}\r\n"), "STORED\r\n");
    }
    client.ask("incr none 1\r\ntouch key1999 100\r\n", "NOT_FOUND\r\nTOUCHED\r\n");
    let reports = |server: &Server| ["", "items", "slabs"].map(|group| server.stats(group));
    let before = reports(&server);
    // Twice: what went on once goes on again.
    for _ in 0..2 {
        server.upgrade();
        let after = reports(&server);
        assert_eq!((after[0]["total_items"].as_str(), after[0]["evictions"] != "0"), ("2000", true));
        for ((before, after), names) in before.iter().zip(&after).zip([
            &["total_items", "evictions", "evicted_unfetched", "direct_reclaims"][..],
            &[":evicted", ":evicted_unfetched", ":outofmemory"],
            &[":cmd_set", ":touch_hits"],
        ]) {
            let counts = before.iter().filter(|(name, _)| names.iter().any(|end| name.ends_with(end)));
            counts.for_each(|(name, count)| assert_eq!(&after[name.as_str()], count, "{name}"));
        }
    }
    server.client().ask("stats reset\r\n", "RESET\r\n");
    let stats = server.stats("");
    assert_eq!((stats["total_items"].as_str(), stats["evictions"].as_str()), ("0", "0"));
}

#[test]
fn upgrade_twice() {
    with_and_without_file(|mut server| {
        let mut client = server.client();
        client.ask("set key 0 0 1\r\n0\r\n", "STORED\r\n");
        let mut pids = vec![server.process_id()];
        for round in 1..=3 {
            server.upgrade();
            client.ask("incr key 1\r\n", format!("{round}\r\n"));
            pids.push(server.process_id());
            server.client().ask("get key\r\n", format!("VALUE key 0 1\r\n{round}\r\nEND\r\n"));
        }
        pids.dedup();
        assert_eq!(pids.len(), 4, "each time another process");
        let stats = server.stats("");
        assert_eq!((stats["upgrades"].as_str(), stats["restart_pages"].as_str()), ("3", "kept"));
    });
}

#[test]
fn upgrade_keeps_a_memory_file_for_the_next_start() {
    let file = MemoryFile::new();
    let mut server = file.serve(&[]);
    server.client().ask("set key 5 0 5\r\nvalue\r\n", "STORED\r\n");
    server.upgrade();
    server.client().ask("set other 0 0 1\r\nx\r\n", "STORED\r\n");
    server.kill();
    wait_until("the process has ended", || server.try_client().is_err());
    let server = file.serve(&[]);
    let stats = server.stats("");
    assert_eq!((stats["restart_state"].as_str(), stats["restart_items"].as_str()), ("unclean", "2"));
    server.client().ask("get key\r\n", "VALUE key 5 5\r\nvalue\r\nEND\r\n");
}

//! Dumps of all keys: complete, filtered, several at once, and for clients that do not read.

use std::collections::HashMap;

use crate::support::{Client, Server, wait_until};

/// Stores keys `<name>:<from>` to `<name>:<to - 1>`.
fn store(client: &mut Client, name: &str, numbers: std::ops::Range<u32>) {
    let lines: Vec<String> = numbers.map(|n| format!("set {name}:{n} 0 0 50 noreply\r\n{n:050}\r\n")).collect();
    client.send(lines.concat());
    client.expect_silence();
}

/// How often each key of a metadump was listed.
fn listed(client: &mut Client, scope: &str) -> HashMap<String, u32> {
    client.ask(format!("lru_crawler metadump {scope}\r\n"), "OK\r\n");
    let rows = String::from_utf8(client.read_until(b"END\r\n").expect("the dump ends")).expect("rows are ASCII");
    let mut listed = HashMap::new();
    for row in rows.lines().filter(|row| *row != "END") {
        let key = row.strip_prefix("key=").and_then(|row| row.split(' ').next()).unwrap_or_else(|| panic!("{row}"));
        *listed.entry(key.to_owned()).or_default() += 1;
    }
    listed
}

fn assert_lists_once(listed: &HashMap<String, u32>, name: &str, numbers: std::ops::Range<u32>) {
    let missing = numbers.map(|n| format!("{name}%3A{n}")).find(|key| !listed.contains_key(key));
    assert_eq!(missing, None, "of {} keys", listed.len());
    let twice = listed.iter().find(|(_, count)| **count != 1);
    assert_eq!(twice, None);
}

#[test]
fn dumps_list_every_lasting_key_once_while_others_store_and_the_index_grows() {
    let server = Server::start(&["-m", "256", "-t", "2"]);
    store(&mut server.client(), "lasting", 0..10_000);
    let before: u64 = server.stats("")["hash_power_level"].parse().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = server.client();
            for step in 0..40 {
                store(&mut client, "other", step * 2000..(step + 1) * 2000);
                store(&mut client, "lasting", step * 100..step * 100 + 1000);
            }
        });
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.client();
                    (0..4).for_each(|_| assert_lists_once(&listed(&mut client, "all"), "lasting", 0..10_000));
                })
            })
            .collect();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        writer.join().unwrap();
    });
    assert!(server.stats("")["hash_power_level"].parse::<u64>().unwrap() > before, "the index has grown");
    let all = listed(&mut server.client(), "hash");
    assert_lists_once(&all, "other", 0..80_000);
    assert_eq!(all.len(), 90_000);
}

#[test]
fn rows_are_memcacheds() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set b%c~ 7 0 3\r\nxyz\r\n", "STORED\r\n");
    client.send("lru_crawler metadump all\r\n");
    let row = String::from_utf8(client.read_until(b"END\r\n").unwrap()).unwrap();
    let time: u64 = server.stats("")["time"].parse().unwrap();
    let after = row.strip_prefix("OK\r\nkey=b%25c~ exp=-1 la=").unwrap_or_else(|| panic!("{row:?}"));
    let (la, after) = after.split_once(' ').unwrap();
    assert!(time - la.parse::<u64>().unwrap() < 60, "{la} at {time}");
    assert_eq!(after, "cas=1 fetch=no cls=1 size=27 flags=7 \nEND\r\n");
    client.ask("get b%c~\r\n", "VALUE b%c~ 7 3\r\nxyz\r\nEND\r\n");
    client.ask("touch b%c~ 100\r\n", "TOUCHED\r\n");
    client.send("lru_crawler metadump 1,2\r\n");
    let row = String::from_utf8(client.read_until(b"END\r\n").unwrap()).unwrap();
    let exp: u64 = row.split(" exp=").nth(1).and_then(|row| row.split(' ').next()).unwrap().parse().unwrap();
    assert!((98..=101).contains(&(exp - time)), "{exp} at {time}");
    assert!(row.contains(" fetch=yes "), "{row}");
    client.ask("lru_crawler mgdump all\r\n", "OK\r\nmg b%c~\r\nEN\r\n");
    client.ask("lru_crawler mgdump 63\r\n", "OK\r\nEN\r\n");
    // A key that was stored in base64 is listed so.
    client.ask("delete b%c~\r\nms YWJj 1 b\r\nx\r\n", "DELETED\r\nHD\r\n");
    client.ask("lru_crawler mgdump all\r\n", "OK\r\nmg YWJj b\r\nEN\r\n");
}

#[test]
fn expired_and_flushed_items_are_not_listed() {
    let server = Server::start(&["-o", "debug_commands"]);
    let mut client = server.client();
    client.ask("set short 0 10 1\r\nx\r\n", "STORED\r\n");
    client.ask("set long 0 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("debugtime 20\r\n", "OK\r\n");
    client.ask("lru_crawler mgdump all\r\n", "OK\r\nmg long\r\nEN\r\n");
    client.ask("flush_all\r\n", "OK\r\n");
    client.ask("lru_crawler mgdump all\r\n", "OK\r\nEN\r\n");
}

#[test]
fn a_dump_takes_a_prefix_and_a_limit() {
    let server = Server::start(&[]);
    let mut client = server.client();
    store(&mut client, "user", 0..300);
    store(&mut client, "page", 0..3000);
    let users = listed(&mut client, "all prefix=user:");
    assert_lists_once(&users, "user", 0..300);
    assert_eq!(users.len(), 300);
    assert_eq!(listed(&mut client, "all limit=7").len(), 7);
    assert_eq!(listed(&mut client, "hash limit=7 prefix=page:1").len(), 7);
    assert_eq!(listed(&mut client, "all prefix=nobody").len(), 0);
    assert_eq!(listed(&mut client, "all limit=0").len(), 0);
}

#[test]
fn requests_behind_and_before_a_dump_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    store(&mut client, "key", 0..5000);
    client.send("get none\r\nlru_crawler metadump all\r\nget none\r\nlru_crawler mgdump all limit=0\r\nquit\r\n");
    client.expect("END\r\nOK\r\n");
    let rows = client.read_until(b"END\r\n").unwrap();
    assert_eq!(rows.iter().filter(|byte| **byte == b'\n').count(), 5001);
    client.expect("END\r\nOK\r\nEN\r\n");
    client.expect_close();
}

#[test]
fn several_dumps_and_another_client_share_a_worker() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    store(&mut client, "key", 0..20_000);
    let mut readers: Vec<Client> = (0..3).map(|_| server.client()).collect();
    readers.iter_mut().for_each(|reader| reader.send("lru_crawler metadump all\r\nget none\r\n"));
    std::thread::scope(|scope| {
        let readers: Vec<_> = readers
            .iter_mut()
            .map(|reader| {
                scope.spawn(|| {
                    let rows = reader.read_until(b"END\r\n").expect("the dump ends");
                    reader.expect("END\r\n");
                    rows.iter().filter(|byte| **byte == b'\n').count()
                })
            })
            .collect();
        // Dumps rest while this client sends requests.
        while !readers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            client.ask("get key:1\r\n", format!("VALUE key:1 0 50\r\n{:050}\r\nEND\r\n", 1));
        }
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), 20_002));
    });
}

#[test]
fn a_dump_reader_that_idles_or_dies_pins_no_memory() {
    let server = Server::start(&["-m", "16", "-t", "1"]);
    let mut client = server.client();
    store(&mut client, "key", 0..60_000);
    let mut idle: Vec<Client> = (0..8).map(|_| server.client()).collect();
    idle.iter_mut().for_each(|reader| reader.send("lru_crawler metadump all\r\n"));
    // All of them wait for their readers.
    wait_until("the dumps wait", || {
        let rows = server.stats("conns");
        rows.iter().filter(|(name, state)| name.ends_with(":state") && *state == "conn_mwrite").count() == 8
    });
    let held: u64 = server.stats("")["response_obj_bytes"].parse().unwrap();
    assert!(held < 8 * (512 << 10), "{held} bytes for 8 readers");
    // Memory is reused meanwhile: dumps pin nothing.
    (0..4).for_each(|round| store(&mut client, "new", round * 50_000..(round + 1) * 50_000));
    assert!(server.stats("")["evictions"].parse::<u64>().unwrap() > 0);
    idle.drain(..4);
    wait_until("the dead readers are gone", || server.stats("")["curr_connections"] == "6");
    for reader in &mut idle {
        let rows = reader.read_until(b"END\r\n").unwrap();
        assert!(rows.starts_with(b"OK\r\nkey="), "a slow reader gets its dump");
    }
}

#[test]
fn dumps_can_be_forbidden() {
    let server = Server::start(&["-X"]);
    let mut client = server.client();
    client.ask("lru_crawler metadump all\r\n", "ERROR metadump not allowed\r\n");
    client.ask("lru_crawler mgdump x\r\n", "ERROR key dump not allowed\r\n");
    client.ask("stats cachedump 1 0\r\n", "CLIENT_ERROR stats cachedump not allowed\r\n");
    let server = Server::start(&["-o", "no_lru_crawler"]);
    let mut client = server.client();
    for command in ["metadump", "mgdump", "crawl"] {
        client.ask(format!("lru_crawler {command} all\r\n"), "CLIENT_ERROR lru crawler disabled\r\n");
    }
    assert_eq!(server.stats("settings")["lru_crawler"], "no");
    client.ask("lru_crawler enable\r\n", "OK\r\n");
    client.ask("lru_crawler enable\r\n", "ERROR failed to start lru crawler thread\r\n");
    assert_eq!(server.stats("settings")["lru_crawler"], "yes");
    client.ask("lru_crawler mgdump all\r\n", "OK\r\nEN\r\n");
    client.ask("lru_crawler disable\r\n", "OK\r\n");
    client.ask("lru_crawler disable\r\n", "OK\r\n");
    client.ask("lru_crawler mgdump all\r\n", "CLIENT_ERROR lru crawler disabled\r\n");
}

#[test]
fn tuning_commands_answer_as_memcached() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (command, reply) in [
        ("lru_crawler", "ERROR"),
        ("lru_crawler crawl", "ERROR"),
        ("lru_crawler crawl all", "OK"),
        ("lru_crawler crawl 1,2", "OK"),
        ("lru_crawler crawl 1,x", "BADCLASS invalid class id"),
        ("lru_crawler crawl 0", "BADCLASS invalid class id"),
        ("lru_crawler crawl ,", "NOTSTARTED no items to crawl"),
        ("lru_crawler crawl hash", "ERROR an unknown error happened"),
        ("lru_crawler crawl all all", "ERROR"),
        ("lru_crawler sleep 5", "OK"),
        ("lru_crawler sleep 1000001", "CLIENT_ERROR sleep must be one second or less"),
        ("lru_crawler tocrawl x", "CLIENT_ERROR bad command line format"),
        ("lru_crawler metadump", "ERROR"),
        ("lru_crawler metadump x", "BADCLASS invalid class id"),
        ("lru_crawler metadump all x", "ERROR"),
        ("lru tune 10 20 0.2 2.0", "OK"),
        ("lru tune 50 40 0.2 2.0", "ERROR hot and warm pcts must not exceed 80"),
        ("lru mode flat", "OK"),
        ("lru temp_ttl -1", "OK"),
        ("lru", "ERROR"),
        ("extstore item_size 5", "OK"),
        ("extstore", "ERROR"),
        ("refresh_certs", "Error TLS not enabled"),
        ("stats extstore", "END"),
        ("stats proxy", "END"),
        ("stats ext", "END"),
        ("stats p", "END"),
    ] {
        client.ask(format!("{command}\r\n"), format!("{reply}\r\n"));
    }
    client.send("lru_crawler enable noreply\r\nlru mode flat noreply\r\nlru_crawler metadump all noreply\r\n");
    client.expect_silence();
}

#[test]
fn an_ordered_crawl_frees_what_has_expired() {
    let server = Server::start(&["-o", "debug_commands"]);
    let mut client = server.client();
    let lines: Vec<String> = (0..1000).map(|n| format!("set k{n} 0 10 1 noreply\r\nx\r\n")).collect();
    client.send(lines.concat());
    client.ask("debugtime 20\r\n", "OK\r\n");
    client.ask("lru_crawler crawl all\r\n", "OK\r\n");
    wait_until("the expired items are freed", || server.stats("")["curr_items"] == "0");
}

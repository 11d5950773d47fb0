//! `stats` and its groups. Names are memcached's (golden/stats_*.txt); values are checked where a client can know them.

use std::collections::BTreeSet;

use crate::support::client::StatRows;
use crate::support::golden::{STATS_NAMES, without_numbers};
use crate::support::{Client, Server, wait_until};

#[test]
fn stats_print_every_name_memcached_prints() {
    let server = Server::start(&[]);
    server.client().ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    for (group, golden) in STATS_NAMES {
        let names: BTreeSet<String> = server.stats(group).into_keys().map(|name| without_numbers(&name)).collect();
        let missing: Vec<&str> = golden.lines().filter(|name| !names.contains(*name)).collect();
        assert!(missing.is_empty(), "`stats {group}` lacks {missing:?}");
    }
}

#[test]
fn stats_count_what_was_done() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 0 1\r\n5\r\n", "STORED\r\n");
    client.ask("get a b\r\n", "VALUE a 0 1\r\n5\r\nEND\r\n");
    client.ask("incr a 1\r\nincr b 1\r\ndecr a 1\r\ndecr b 1\r\n", "6\r\nNOT_FOUND\r\n5\r\nNOT_FOUND\r\n");
    client.ask("touch a 0\r\ntouch b 0\r\n", "TOUCHED\r\nNOT_FOUND\r\n");
    client.ask("cas a 0 0 1 0\r\n5\r\ncas b 0 0 1 0\r\n5\r\n", "EXISTS\r\nNOT_FOUND\r\n");
    client.ask("gat 0 a\r\n", "VALUE a 0 1\r\n5\r\nEND\r\n");
    client.ask("delete a\r\ndelete a\r\n", "DELETED\r\nNOT_FOUND\r\n");
    client.ask("flush_all\r\n", "OK\r\n");
    let rows = client.stats("");
    let counted = [
        ("cmd_get", 2),
        ("cmd_set", 3),
        ("get_hits", 1),
        ("get_misses", 1),
        ("incr_hits", 1),
        ("incr_misses", 1),
        ("decr_hits", 1),
        ("decr_misses", 1),
        ("touch_hits", 2),
        ("touch_misses", 1),
        ("cmd_touch", 3),
        ("cas_badval", 1),
        ("cas_misses", 1),
        ("cas_hits", 0),
        ("delete_hits", 1),
        ("delete_misses", 1),
        ("cmd_flush", 1),
        ("curr_connections", 1),
    ];
    for (name, count) in counted {
        assert_eq!(rows[name], count.to_string(), "{name}");
    }
}

#[test]
fn stats_count_expired_and_flushed_misses_separately() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 -1 1\r\nx\r\nget a\r\n", "STORED\r\nEND\r\n");
    client.ask("set b 0 0 1\r\nx\r\nflush_all\r\nget b\r\n", "STORED\r\nOK\r\nEND\r\n");
    let rows = client.stats("");
    assert_eq!(rows["get_misses"], "2");
    assert_eq!(rows["get_hits"], "0");
    assert_eq!(rows["get_expired"], "1");
}

#[test]
fn stats_say_how_many_items_there_are() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for key in 0..10 {
        client.ask(format!("set key-{key} 0 0 100\r\n{}\r\n", "x".repeat(100)), "STORED\r\n");
    }
    let rows = client.stats("");
    assert_eq!(rows["curr_items"], "10");
    assert_eq!(rows["total_items"], "10");
    let bytes: u64 = rows["bytes"].parse().expect("a number");
    assert!((1000..4000).contains(&bytes), "10 items of 100 bytes take {bytes}");
    client.ask("delete key-0\r\n", "DELETED\r\n");
    assert_eq!(client.stats("")["curr_items"], "9");
}

#[test]
fn stats_settings_show_the_flags() {
    let server = Server::start(&["-m", "100", "-c", "500", "-t", "2", "-f", "1.5", "-R", "7", "-M", "-D", "/"]);
    let rows = server.stats("settings");
    assert_eq!(rows["maxbytes"], (100 << 20).to_string());
    assert_eq!(rows["maxconns"], "500");
    assert_eq!(rows["num_threads"], "2");
    assert_eq!(rows["growth_factor"], "1.50");
    assert_eq!(rows["reqs_per_event"], "7");
    assert_eq!(rows["evictions"], "off");
    assert_eq!(rows["stat_key_prefix"], "/");
    assert_eq!(rows["detail_enabled"], "yes");
    assert_eq!(rows["inter"], "127.0.0.1");
}

#[test]
fn the_largest_values_of_n_and_r_are_those_of_memcached() {
    let server = Server::start(&["-n", "2147483647", "-R", "2147483647"]);
    let rows = server.stats("settings");
    assert_eq!((rows["chunk_size"].as_str(), rows["reqs_per_event"].as_str()), ("2147483647", "2147483647"));
    server.client().ask("set a 0 0 1\r\nx\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
    assert_eq!(server.stats("slabs")["1:chunk_size"], (16 << 10).to_string(), "no chunk is above slab_chunk_max");
}

#[test]
fn stats_settings_show_what_commands_have_tuned() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (command, rows) in [
        ("lru_crawler sleep 5", &[("lru_crawler_sleep", "5")][..]),
        ("lru_crawler tocrawl 7", &[("lru_crawler_tocrawl", "7")]),
        ("lru tune 10 0 0.5 3.0", &[("hot_lru_pct", "10"), ("warm_lru_pct", "0"), ("warm_max_factor", "3.00")]),
        ("lru mode flat", &[("lru_segmented", "no")]),
        ("lru mode segmented", &[("lru_segmented", "yes")]),
        ("lru temp_ttl 30", &[("temp_lru", "yes"), ("temporary_ttl", "30")]),
        ("lru temp_ttl -1", &[("temp_lru", "no"), ("temporary_ttl", "30")]),
        ("slabs automove 0", &[("slab_automove", "0")]),
        ("slabs automove freeratio 0.05", &[("slab_automove_freeratio", "0.050")]),
        ("extstore item_size 700", &[("ext_item_size", "700")]),
        ("extstore max_frag 0.5", &[("ext_max_frag", "0.50")]),
        ("extstore drop_unread 1", &[("ext_drop_unread", "yes")]),
        ("verbosity 2", &[("verbosity", "2")]),
    ] {
        client.ask(format!("{command}\r\n"), "OK\r\n");
        let settings = server.stats("settings");
        for (row, value) in rows {
            assert_eq!(settings[*row], *value, "{row} after {command}");
        }
    }
}

#[test]
fn stats_settings_of_flags_without_effect_are_memcacheds() {
    for (options, row, value) in [
        ("temporary_ttl=61", "temp_lru", "yes"),
        ("no_modern", "temp_lru", "no"),
        ("inline_ascii_resp", "inline_ascii_response", "no"),
        ("no_lru_maintainer", "lru_segmented", "no"),
        ("lru_maintainer", "lru_segmented", "yes"),
    ] {
        assert_eq!(Server::start(&["-o", options]).stats("settings")[row], value, "-o {options}");
    }
}

#[test]
fn stats_settings_name_the_protocols_that_clients_may_use() {
    assert_eq!(Server::start(&[]).stats("settings")["binding_protocol"], "auto-negotiate");
    assert_eq!(Server::start(&["-B", "ascii"]).stats("settings")["binding_protocol"], "ascii");
}

#[test]
fn rows_about_memcacheds_lists_are_0_whatever_is_asked_for() {
    let server = Server::start(&["-m", "8", "-t", "1"]);
    let mut client = server.client();
    let value = "v".repeat(1000);
    for key in 0..30_000 {
        client.ask(format!("set key-{key} 0 0 1000\r\n{value}\r\n"), "STORED\r\n");
        client.ask(format!("get key-{key}\r\n"), format!("VALUE key-{key} 0 1000\r\n{value}\r\nEND\r\n"));
    }
    let (items, slabs) = (client.stats("items"), client.stats("slabs"));
    let sum = |rows: &StatRows, name: &str| {
        let values = rows.iter().filter(|(row, _)| row.rsplit(':').next() == Some(name)).map(|(_, value)| value);
        values.map(|value| value.parse::<u64>().expect("a number")).sum::<u64>()
    };
    for name in ["moves_to_cold", "moves_to_warm", "hits_to_hot", "hits_to_warm", "hits_to_cold", "hits_to_temp"] {
        assert_eq!(sum(&items, name), 0, "{name}");
    }
    assert_eq!(client.stats("")["moves_to_cold"], "0");
    assert!(sum(&items, "moves_to_main") > 0, "items that were asked for leave the small queue");
    assert_eq!(sum(&slabs, "get_hits"), 30_000);
}

#[test]
fn the_age_of_a_class_is_known_before_anything_is_evicted() {
    let server = Server::start(&["-o", "debug_commands"]);
    let mut client = server.client();
    client.ask("debugtime p\r\n", "OK\r\n");
    for key in 0..1000 {
        client.ask(format!("set key-{key} 0 0 100\r\n{}\r\n", "x".repeat(100)), "STORED\r\n");
    }
    let ages = |client: &mut Client| {
        let rows = client.stats("items").into_iter().filter(|(row, _)| row.ends_with(":age"));
        rows.map(|(_, age)| age).collect::<Vec<_>>()
    };
    assert_eq!(ages(&mut client), ["0"]);
    client.ask("debugtime 700\r\n", "OK\r\n");
    client.ask("set late 0 0 100\r\n".to_string() + &"x".repeat(100) + "\r\n", "STORED\r\n");
    // Items keep the minute of their last access, so an age may lack up to a minute.
    let shown: Vec<u32> = ages(&mut client).iter().filter_map(|age| age.parse().ok()).collect();
    assert!(matches!(shown[..], [641..=700]), "{shown:?}");
}

#[test]
fn stats_items_and_slabs_speak_of_the_same_class() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 0 300\r\n".to_string() + &"x".repeat(300) + "\r\n", "STORED\r\n");
    let slabs = client.stats("slabs");
    let class = slabs.keys().find_map(|name| name.strip_suffix(":used_chunks")).expect("one class is in use");
    let count = |name: &str| slabs[&format!("{class}:{name}")].parse::<u64>().expect("a number");
    assert_eq!(count("used_chunks"), 1, "what a worker keeps ready for the stores to come is not used");
    assert_eq!(count("used_chunks") + count("free_chunks"), count("total_chunks"));
    assert_eq!(slabs["active_slabs"], "1");
    assert_eq!(client.stats("items")[&format!("items:{class}:number")], "1");
    assert!((300..600).contains(&count("chunk_size")), "a value of 300 bytes in a chunk of {}", count("chunk_size"));
}

#[test]
fn stats_sizes_counts_items_by_size_without_preparation() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 0 1\r\nx\r\nset b 0 0 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
    let rows = client.stats("sizes");
    let counts: Vec<&str> = rows.values().map(String::as_str).collect();
    assert_eq!(counts, ["2"], "{rows:?}");
}

#[test]
fn stats_conns_show_every_client() {
    let server = Server::start(&[]);
    let mut first = server.client();
    let _second = server.client();
    let clients = |rows: &StatRows| rows.keys().filter(|name| name.ends_with(":listen_addr")).count();
    wait_until("both clients show", || clients(&first.stats("conns")) == 2);
    let rows = first.stats("conns");
    assert!(rows.values().any(|state| state == "conn_listening"), "{rows:?}");
    assert!(rows.values().any(|address| address.starts_with("tcp:127.0.0.1:")), "{rows:?}");
}

#[test]
fn stats_cachedump_names_items_with_size_and_time_left() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set forever 0 0 5\r\nhello\r\n", "STORED\r\n");
    client.ask("set dated 0 1000 3\r\nbye\r\n", "STORED\r\n");
    let slabs = client.stats("slabs");
    let class = slabs.keys().find_map(|name| name.strip_suffix(":used_chunks")).expect("a class is in use");
    let mut dump = String::new();
    // memcached shows items only after its background thread has moved them to the COLD queue.
    wait_until("both items are in the dump", || {
        client.send(format!("stats cachedump {class} 0\r\n"));
        dump = String::from_utf8(client.read_until(b"END\r\n").expect("an end")).expect("ASCII");
        dump.lines().count() == 3
    });
    assert!(dump.contains("ITEM forever [5 b; 0 s]\r\n"), "{dump}");
    let dated = dump.lines().find_map(|line| line.strip_prefix("ITEM dated [3 b; ")).expect("the dated item");
    let seconds: u64 = dated.strip_suffix(" s]").expect("a time").parse().expect("a number");
    assert!(seconds > 0, "{dump}");
    client.send(format!("stats cachedump {class} 1\r\n"));
    let dump = String::from_utf8(client.read_until(b"END\r\n").expect("an end")).expect("ASCII");
    assert_eq!(dump.lines().count(), 2, "a limit of one item: {dump}");
}

#[test]
fn stats_hotkeys_name_what_all_workers_are_asked_for() {
    let server = Server::start(&["-t", "2"]);
    let mut clients = [server.client(), server.client()];
    let requests = 20_000;
    for (number, client) in clients.iter_mut().enumerate() {
        client.ask(format!("set hot 0 0 1000\r\n{}\r\n", "x".repeat(1000)), "STORED\r\n");
        for part in 0..requests / 100 {
            let keys: Vec<String> = (0..100).map(|key| format!("{number}-{part}-{key}")).collect();
            client.send(format!("get {}\r\n", keys.join(" ")) + &"delete hot\r\n".repeat(100));
            client.expect(format!("END\r\n{}", if part == 0 { "DELETED\r\n" } else { "NOT_FOUND\r\n" }));
            client.expect("NOT_FOUND\r\n".repeat(99));
        }
    }
    let rows = server.stats("hotkeys");
    assert_eq!(rows["1:key"], "hot", "{rows:?}");
    let count = |name: &str| rows[name].parse::<u64>().expect("a number");
    let (writes, expected) = (count("1:writes"), 2 * requests);
    assert!((expected / 2..expected * 2).contains(&writes), "{writes} of {expected}");
    assert!(count("1:requests") >= writes);
    clients[0].ask("stats reset\r\n", "RESET\r\n");
    assert!(!server.stats("hotkeys").contains_key("1:key"));
}

#[test]
fn stats_hotkeys_show_keys_that_were_sent_in_base64() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.client();
    // "a\r\n b": no text command can name it, and it must not end the row.
    client.ask("ms YQ0KIGI= 1 b\r\nx\r\n", "HD\r\n");
    for _ in 0..200 {
        client.ask("mg YQ0KIGI= b v\r\n".repeat(100), "VA 1\r\nx\r\n".repeat(100));
    }
    assert_eq!(server.stats("hotkeys")["1:key"], "a%0D%0A%20b");
}

#[test]
fn stats_say_what_connections_hold() {
    let server = Server::start(&["-t", "1"]);
    let mut observer = server.client();
    let figure = |observer: &mut Client, name: &str| observer.stats("")[name].parse::<u64>().expect("a number");
    let (own, lent) = (figure(&mut observer, "read_buf_count"), figure(&mut observer, "read_buf_bytes"));
    assert_eq!(figure(&mut observer, "read_buf_bytes_free"), lent);
    let connection_bytes = figure(&mut observer, "connection_bytes");
    assert!(connection_bytes > 0);

    let mut slow = server.client();
    slow.send("get col");
    wait_until("half a request is kept", || figure(&mut observer, "read_buf_count") == own + 1);
    assert_eq!(figure(&mut observer, "read_buf_bytes"), lent + 7);
    assert_eq!(figure(&mut observer, "connection_bytes"), 2 * connection_bytes);
    slow.ask("our\r\n", "END\r\n");
    assert_eq!(figure(&mut observer, "read_buf_count"), own);

    // More than sockets hold, of small values: they are copied.
    let value = "x".repeat(4000);
    slow.ask(format!("set colour 0 0 4000\r\n{value}\r\n"), "STORED\r\n");
    slow.send("get colour\r\n".repeat(10_000) + "get col");
    wait_until("replies wait for their reader", || figure(&mut observer, "write_buf_bytes") > 100_000);
    drop(slow);
    wait_until("nothing is held for who has left", || {
        figure(&mut observer, "connection_bytes") == connection_bytes && figure(&mut observer, "read_buf_count") == own
    });
    wait_until("the output buffer is all there is", || figure(&mut observer, "write_buf_bytes") <= 2 << 20);
}

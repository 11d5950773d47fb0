//! A clean stop keeps everything.

use larder::base::Clock;

use super::file::{MemoryFile, end, kept};
use crate::support::{Server, client::Client};

/// Stores one item of each kind.
fn store_all_kinds(client: &mut Client) {
    client.ask("set plain 0 0 5\r\nfirst\r\n", "STORED\r\n");
    client.ask("set flags 4294967295 100 3\r\nabc\r\n", "STORED\r\n");
    client.ask("ms chosen 1 E777 F5\r\nx\r\n", "HD\r\n");
    client.ask("ms Zm9vIGJhcg== 2 b\r\nhi\r\n", "HD\r\n");
    client.ask("set gone 0 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("delete gone\r\n", "DELETED\r\n");
    client.ask("set stale 0 0 5\r\nvalue\r\n", "STORED\r\n");
    client.ask("md stale I T60\r\n", "HD\r\n");
    client.ask("set empty 0 0 0\r\n\r\n", "STORED\r\n");
    client.ask("set number 0 0 1\r\n7\r\n", "STORED\r\n");
    client.ask("incr number 5\r\n", "12\r\n");
    client.ask("touch number 200\r\n", "TOUCHED\r\n");
    let large = large();
    client.ask([format!("set large 9 0 {}\r\n", large.len()).as_bytes(), &large, b"\r\n"].concat(), "STORED\r\n");
}

fn large() -> Vec<u8> {
    (0..400_000u32).flat_map(u32::to_le_bytes).take(900_000).collect()
}

/// All kinds are as they were stored.
fn expect_all_kinds(client: &mut Client) {
    client.ask("get plain\r\n", "VALUE plain 0 5\r\nfirst\r\nEND\r\n");
    client.ask("mg flags v f\r\n", "VA 3 f4294967295\r\nabc\r\n");
    client.ask("mg chosen v f c t\r\n", "VA 1 f5 c777 t-1\r\nx\r\n");
    client.ask("mg Zm9vIGJhcg== b k v\r\n", "VA 2 kZm9vIGJhcg== b\r\nhi\r\n");
    client.ask("get gone\r\n", "END\r\n");
    client.ask("get empty\r\n", "VALUE empty 0 0\r\n\r\nEND\r\n");
    client.ask("get number\r\n", "VALUE number 0 2\r\n12\r\nEND\r\n");
    let large = large();
    client.ask(
        "get large\r\n",
        [format!("VALUE large 9 {}\r\n", large.len()).as_bytes(), &large, b"\r\nEND\r\n"].concat(),
    );
}

/// The value of a flag in a meta reply.
fn number(client: &mut Client, request: &str, flag: char) -> u64 {
    client.send(request);
    let line = String::from_utf8(client.read_line().expect("the server answers")).expect("it is text");
    let word = line.split_whitespace().find_map(|word| word.strip_prefix(flag));
    word.unwrap_or_else(|| panic!("{flag} in {line:?}")).parse().expect("it is a number")
}

#[test]
fn every_way_to_stop_keeps_all_items() {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    assert_eq!(kept(&server), ["cold", "0", "0"]);
    store_all_kinds(&mut server.client());
    let cas = number(&mut server.client(), "mg plain c\r\n", 'c');
    end(server, "-TERM");
    // Each server starts in the second in which the one before it stopped.
    for stop in ["-INT", "-USR1", "shutdown", "shutdown graceful", "-TERM"] {
        let mut server = file.serve(&["-t", "3"]);
        assert_eq!(kept(&server), ["clean", "8", "0"], "before {stop}");
        expect_all_kinds(&mut server.client());
        assert_eq!(number(&mut server.client(), "mg plain c\r\n", 'c'), cas);
        if stop.starts_with('-') {
            assert!(end(server, stop).success());
        } else {
            server.client().send(format!("{stop}\r\n"));
            assert!(server.wait_for_end().success());
        }
    }
    let server = file.serve(&["-o", "drop_privileges"]);
    let mut client = server.client();
    expect_all_kinds(&mut client);
    client.ask("mg stale v\r\n", "VA 5 X W\r\nvalue\r\n");
    let stats = server.stats("");
    assert_eq!((stats["curr_items"].as_str(), stats["total_items"].as_str()), ("8", "0"));
    assert!(stats["uptime"].parse::<u32>().expect("it is a number") < 1000);
    assert!(number(&mut client, "ms plain 1 c\r\nx\r\n", 'c') > cas);
    assert!(server.stderr().contains("8 items kept after a clean stop, ready in"), "{}", server.stderr());
    assert!(end(server, "-TERM").success(), "the filter allows all that a stop needs");
    assert_eq!(kept(&file.serve(&[])), ["clean", "8", "0"]);
}

#[test]
fn a_clean_stop_keeps_the_index_and_a_damaged_one_is_built_again() {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    store_all_kinds(&mut server.client());
    let pages = file.len();
    end(server, "-TERM");
    let with_index = file.len();
    assert!(with_index > pages, "the index lies behind the pages");
    // Nothing, what is known of the pages, and of the index: a byte of a part, its length and its checksum.
    let (whole, of_pages, built) = ("(kept pages and index", "(kept index", "(index");
    for (damaged, expected) in [
        (None, whole),
        (Some(with_index - 1), of_pages),
        (Some(with_index - 100), of_pages),
        (Some(pages + 100), built),
        (Some(pages), built),
        (Some(pages + 8), built),
    ] {
        let copy = file.copied();
        damaged.iter().for_each(|at| copy.overwrite(*at, &[copy.bytes(*at, 1)[0] ^ 1]));
        let server = copy.serve(&[]);
        assert_eq!(kept(&server), ["clean", "8", "0"], "{damaged:?}");
        assert!(server.stderr().contains(expected), "{damaged:?} {}", server.stderr());
        assert_eq!(copy.len(), pages, "the kept index is needed only once");
        expect_all_kinds(&mut server.client());
        let mut client = server.client();
        client.ask("set plain 0 0 1\r\nx\r\n", "STORED\r\n");
        end(server, "-TERM");
        let server = copy.serve(&[]);
        assert!(server.stderr().contains(whole), "{}", server.stderr());
        server.client().ask("get plain\r\n", "VALUE plain 0 1\r\nx\r\nEND\r\n");
    }
    let copy = file.copied();
    copy.cut(pages + 100);
    let server = copy.serve(&[]);
    assert_eq!(kept(&server), ["clean", "8", "0"]);
    assert!(server.stderr().contains(built), "{}", server.stderr());
}

/// What a server knows of its pages: items, bytes, sizes, and the use of each class.
fn known(server: &Server) -> Vec<(String, String)> {
    let rows = ["", "items", "slabs", "sizes"].map(|of| server.stats(of));
    let is_of_pages = |name: &str| {
        let row = name.rsplit(':').next().unwrap_or(name);
        let is_size = row.bytes().all(|byte| byte.is_ascii_digit());
        is_size
            || ["curr_items", "bytes", "number", "mem_requested"].contains(&row)
            || ["used_chunks", "free_chunks", "total_pages"].contains(&row)
    };
    rows.into_iter().flatten().filter(|(name, _)| is_of_pages(name)).collect()
}

#[test]
fn pages_that_were_kept_and_pages_that_were_read_are_known_alike() {
    let file = MemoryFile::new();
    let flags = &["-m", "8", "-o", "slab_automove=0,track_sizes"];
    let server = file.serve(flags);
    let mut client = server.client();
    // Items are evicted, deleted, replaced by longer ones, and are chains.
    for number in 0..30_000 {
        let value = "v".repeat(100 + number % 700);
        client.send(format!("set key{number} 0 0 {} noreply\r\n{value}\r\n", value.len()));
    }
    (0..30_000).step_by(11).for_each(|number| client.send(format!("delete key{number} noreply\r\n")));
    for number in 0..5 {
        client.ask(
            [format!("set large{number} 0 0 60000\r\n").as_bytes(), &[b'l'; 60_000], b"\r\n"].concat(),
            "STORED\r\n",
        );
    }
    end(server, "-TERM");
    let copy = file.copied();
    let last = copy.len() - 1;
    copy.overwrite(last, &[copy.bytes(last, 1)[0] ^ 1]);
    let (kept, read) = (file.serve(flags), copy.serve(flags));
    assert_eq!(kept.stats("")["restart_pages"], "kept");
    assert_eq!(read.stats("")["restart_pages"], "read");
    assert_eq!(known(&kept), known(&read));
    // Both go on alike.
    for server in [&kept, &read] {
        let mut client = server.client();
        for number in 0..20_000 {
            client.send(format!("set more{number} 0 0 300 noreply\r\n{number:0300}\r\n"));
        }
        client.ask("mn\r\n", "MN\r\n");
    }
    let evictions = [&kept, &read].map(|server| server.stats("")["evictions"].parse::<u64>().expect("a number"));
    assert!(evictions[0].abs_diff(evictions[1]) * 20 < evictions[0], "{evictions:?}");
}

#[test]
fn a_kept_index_has_each_item_that_is_live_and_no_other() {
    let file = MemoryFile::new();
    let serve = || file.serve(&["-m", "64", "-o", "debug_commands"]);
    let server = serve();
    let mut client = server.client();
    for number in 0..20_000 {
        let deadline_s = if number % 5 == 0 { 50 } else { 0 };
        client.send(format!("set key{number} 0 {deadline_s} 5 noreply\r\n{number:05}\r\n"));
    }
    (0..20_000).step_by(7).for_each(|number| client.ask(format!("delete key{number}\r\n"), "DELETED\r\n"));
    client.ask("debugtime 60\r\n", "OK\r\n");
    end(server, "-TERM");
    let last = file.len() - 1;
    file.overwrite(last, &[file.bytes(last, 1)[0] ^ 1]);
    for round in 0..2 {
        let server = serve();
        let said = server.stderr();
        assert!(said.contains(["(kept index", "(kept pages and index"][round]), "{said}");
        assert_eq!(said.contains("expired"), round == 0, "{said}");
        let mut client = server.client();
        for number in 0..20_000 {
            let is_live = number % 5 != 0 && number % 7 != 0;
            let value = if is_live { format!("VALUE key{number} 0 5\r\n{number:05}\r\n") } else { String::new() };
            client.ask(format!("get key{number}\r\n"), format!("{value}END\r\n"));
        }
        end(server, "-TERM");
    }
}

#[test]
fn tokens_deadlines_and_an_ordered_flush_go_on() {
    let file = MemoryFile::new();
    let server = file.serve(&["-o", "debug_commands"]);
    let mut client = server.client();
    client.ask("ms won 1 T100\r\nx\r\n", "HD\r\n");
    client.ask("mg won R200\r\n", "HD W\r\n");
    client.ask("set soon 0 50 1\r\nx\r\n", "STORED\r\n");
    client.ask("set later 0 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("flush_all 80\r\n", "OK\r\n");
    end(server, "-TERM");
    let server = file.serve(&["-o", "debug_commands"]);
    let mut client = server.client();
    client.ask("mg won R200\r\n", "HD Z\r\n");
    let left_s = number(&mut client, "mg won t\r\n", 't');
    assert!((90..=100).contains(&left_s), "{left_s}");
    client.ask("debugtime 40\r\n", "OK\r\n");
    client.ask("mg soon\r\n", "HD\r\n");
    client.ask("debugtime 11\r\n", "OK\r\n");
    client.ask("mg soon\r\n", "EN\r\n");
    client.ask("mg later\r\n", "HD\r\n");
    client.ask("debugtime 30\r\n", "OK\r\n");
    client.ask("mg later\r\n", "EN\r\n");
}

#[test]
fn time_without_a_server_counts() {
    let file = MemoryFile::new();
    let server = file.serve(&["-o", "debug_commands"]);
    let mut client = server.client();
    client.ask("set soon 0 50 1\r\nx\r\n", "STORED\r\n");
    client.ask("set later 0 5000 1\r\nx\r\n", "STORED\r\n");
    // The server's clock is 60 s ahead when it stops, as if the items had been stored a minute ago.
    client.ask("debugtime 60\r\n", "OK\r\n");
    end(server, "-TERM");
    let server = file.serve(&[]);
    server.client().ask("mg soon\r\n", "EN\r\n");
    let left_s = number(&mut server.client(), "mg later t\r\n", 't');
    assert!((4900..=4940).contains(&left_s), "{left_s}");
}

/// Where a copy of the state has the start of the machine, and the wall clock in milliseconds.
const BOOT_ID_AT: usize = 24;
const UNIX_MS_AT: usize = 56;

/// A file with three items after a restart of the machine. The wall clock says that the stop was `down_s` seconds
/// ago.
fn after_reboot(down_s: i64) -> MemoryFile {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    let mut client = server.client();
    client.ask("set forever 0 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("set soon 0 50 1\r\nx\r\n", "STORED\r\n");
    client.ask("set later 0 5000 1\r\nx\r\n", "STORED\r\n");
    end(server, "-TERM");
    file.change_state(|state| {
        state[BOOT_ID_AT..BOOT_ID_AT + 16].fill(0x5a);
        let stopped = &mut state[UNIX_MS_AT..UNIX_MS_AT + 8];
        let unix_ms = i64::from_le_bytes(stopped.try_into().expect("these are 8 bytes")) - down_s * 1000;
        stopped.copy_from_slice(&unix_ms.to_le_bytes());
    });
    file
}

#[test]
fn whatever_the_wall_clock_says_after_a_reboot_no_item_lives_longer_and_new_ones_live() {
    let year_s = 365 * 86_400;
    // The clock went back, a minute passed, and the clock is far ahead.
    for (down_s, has_soon, has_later) in
        [(-100_000, true, true), (60, false, true), (10_000, false, false), (40 * year_s, false, false)]
    {
        let file = after_reboot(down_s);
        let server = file.serve(&[]);
        let mut client = server.client();
        client.ask("mg forever\r\n", "HD\r\n");
        let hit = |is_hit: bool| if is_hit { "HD\r\n" } else { "EN\r\n" };
        client.ask("mg soon\r\n", hit(has_soon));
        client.ask("mg later\r\n", hit(has_later));
        if has_later {
            let left_s = number(&mut client, "mg later t\r\n", 't');
            assert!(left_s <= 5000, "{down_s}: {left_s}");
        }
        client.ask("set new 0 100 1\r\nx\r\n", "STORED\r\n");
        let left_s = number(&mut client, "mg new t\r\n", 't');
        assert!((90..=100).contains(&left_s), "{down_s}: {left_s}");
    }
}

#[test]
fn the_next_evictions_are_those_that_would_have_been() {
    let file = MemoryFile::new();
    let server = file.serve(&["-m", "4", "-t", "1", "-o", "slab_automove=0"]);
    let mut client = server.client();
    let set = |client: &mut Client, from: u32, to: u32| {
        for number in from..to {
            client.ask(format!("set key{number:06} 0 0 1000\r\n{number:01000}\r\n"), "STORED\r\n");
        }
    };
    set(&mut client, 0, 6000);
    // Items that were read stay in every process that evicts.
    let held: Vec<u32> = (5000..6000).step_by(10).collect();
    for _ in 0..3 {
        held.iter().for_each(|number| {
            client.send(format!("mg key{number:06}\r\n"));
            client.read_line().expect("the server answers");
        });
    }
    let before = server.stats("items");
    let ring = |stats: &crate::support::client::StatRows| {
        let rows = stats.iter().filter(|(name, _)| name.ends_with(":number_hot"));
        rows.map(|(_, value)| value.parse::<u64>().unwrap_or(0)).sum::<u64>()
    };
    end(server, "-TERM");
    let server = file.serve(&["-m", "4", "-t", "1", "-o", "slab_automove=0"]);
    // A worker that stops has some new items that the queue did not have yet.
    let (before, after) = (ring(&before), ring(&server.stats("items")));
    assert!((before..before + 64).contains(&after), "the small queue had {before} items, and now {after}");
    let mut client = server.client();
    set(&mut client, 6000, 7000);
    let stayed = held.iter().filter(|number| {
        client.send(format!("mg key{number:06}\r\n"));
        client.read_line().expect("the server answers") == b"HD\r\n"
    });
    let stayed = stayed.count();
    assert!(stayed > 90, "{stayed} of {}", held.len());
}

#[test]
fn restarts_in_quick_succession_take_no_time_from_a_deadline() {
    let file = MemoryFile::new();
    let mut server = file.serve(&[]);
    server.client().ask("set key 0 1000 1\r\nx\r\n", "STORED\r\n");
    let clock = Clock::start();
    for _ in 0..6 {
        end(server, "-TERM");
        server = file.serve(&[]);
    }
    let mut client = server.client();
    client.send("mg key t\r\n");
    let line = client.read_line().expect("the server answers");
    let left_s = std::str::from_utf8(&line).ok().and_then(|line| line.trim_end().strip_prefix("HD t")?.parse().ok());
    assert!(
        left_s.is_some_and(|left_s: u64| left_s + clock.real_us() / 1_000_000 + 2 >= 1000),
        "{}",
        line.escape_ascii()
    );
}

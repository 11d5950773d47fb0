//! Huge pages if the kernel gives them, and no message if it does not.

use std::fs;

use crate::support::{Client, Server};

const ITEMS: usize = 20_000;

fn store_and_fetch(client: &mut Client) {
    let value = "v".repeat(400);
    for first in (0..ITEMS).step_by(100) {
        let sets: String = (first..first + 100).map(|key| format!("set key-{key} 0 0 400\r\n{value}\r\n")).collect();
        client.send(sets);
        client.expect("STORED\r\n".repeat(100));
    }
    client.ask("get key-7\r\n", format!("VALUE key-7 0 400\r\n{value}\r\nEND\r\n"));
}

fn proc_file(server: &Server, name: &str) -> String {
    fs::read_to_string(format!("/proc/{}/{name}", server.process_id())).expect("the server runs")
}

/// Number of the server's mappings of at least 16 MiB that ask for huge pages.
fn mappings_that_ask(server: &Server) -> usize {
    let maps = proc_file(server, "smaps");
    let mut is_large = false;
    let asks = maps.lines().filter(|line| {
        if let Some(size) = line.strip_prefix("Size:") {
            is_large = size.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") >= 16 << 10;
        }
        is_large && line.strip_prefix("VmFlags:").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hg"))
    });
    asks.count()
}

/// Anonymous huge pages that the server has, in KiB.
fn huge_kib(server: &Server) -> u64 {
    let rollup = proc_file(server, "smaps_rollup");
    let line = rollup.lines().find_map(|line| line.strip_prefix("AnonHugePages:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn kernel_knows_huge_pages() -> bool {
    fs::exists("/sys/kernel/mm/transparent_hugepage/enabled").is_ok_and(|exists| exists)
}

#[test]
fn without_huge_pages_the_server_starts_and_serves_in_silence() {
    for flags in [&["-m", "1024"][..], &["-m", "1024", "-L"]] {
        let server = Server::start_without_huge_pages(flags);
        store_and_fetch(&mut server.client());
        let status = proc_file(&server, "status");
        assert!(!status.contains("THP_enabled:\t1"), "the kernel was told: {status}");
        assert_eq!((huge_kib(&server), server.stderr().as_str()), (0, ""), "{flags:?}");
    }
}

#[test]
fn large_pages_are_asked_for_slabs_only_when_told_and_for_the_index_of_a_large_cache() {
    if !kernel_knows_huge_pages() {
        return;
    }
    // In a large cache the ghost asks, too. It takes no memory before the first eviction.
    for (flags, wanted) in
        [(&["-m", "64"][..], 0), (&["-m", "64", "-L"], 1), (&["-m", "1024"], 2), (&["-m", "1024", "-L"], 3)]
    {
        let server = Server::start(flags);
        store_and_fetch(&mut server.client());
        assert_eq!(mappings_that_ask(&server), wanted, "{flags:?}");
        assert_eq!(server.stderr(), "", "{flags:?}");
    }
}

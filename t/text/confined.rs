//! A server with restricted system calls (-o drop_privileges) behaves as without.

use std::process::Command;

use crate::support::server::scratch_directory;
use crate::support::{Server, wait_until};

const STATS: [&str; 11] =
    ["", "settings", "items", "slabs", "sizes", "conns", "prefixes", "hotkeys", "latency", "slowlog", "detail dump"];

#[test]
fn a_confined_server_serves_grows_and_ends() {
    let directory = scratch_directory();
    let pidfile = directory.join("pid");
    let pidfile_text = pidfile.to_str().expect("the temporary directory is UTF-8");
    let mut server = Server::start(&[
        "-v",
        "-m",
        "16",
        "-P",
        pidfile_text,
        "-o",
        "drop_privileges,hashpower=12,idle_timeout=100,slowlog_us=1",
    ]);
    let mut client = server.client();
    assert_eq!(client.stats("settings")["drop_privileges"], "yes");
    // More than -m holds, in small and large items: memory moves, items leave, and the index grows.
    let large = "x".repeat(900_000);
    for number in 0..30 {
        client.ask(format!("set large-{number} 0 0 900000\r\n{large}\r\n"), "STORED\r\n");
    }
    let sets: String = (0..60_000).map(|number| format!("set small-{number} 0 0 5 noreply\r\nvalue\r\n")).collect();
    client.send(sets);
    client.expect_silence();
    for group in STATS {
        client.send(format!("stats {group}\r\n"));
        client.read_until(b"END\r\n").expect("an answer");
    }
    client.ask("cache_memlimit 8\r\nverbosity 2\r\n", "OK\r\nOK\r\n");
    client.ask("flush_all\r\n", "OK\r\n");
    wait_until("clients are logged", || server.stderr().contains("flush_all"));
    for signal in ["-HUP", "-USR1"] {
        let sent = Command::new("kill").arg(signal).arg(server.process_id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()));
        if signal == "-HUP" {
            client.ask("get a\r\n", "END\r\n");
        }
    }
    assert!(server.wait_for_end().success(), "{}", server.stderr());
    assert!(!server.stderr().contains("is not allowed"));
}

//! larder as process 1 of a container: here, of a process namespace of its own.

use std::process::Command;

use super::file::{MemoryFile, kept};
use crate::support::{Server, program_under_test, wait_until};

/// A server that is process 1 of a new namespace, and its process id out here.
fn process_1(file: &MemoryFile) -> (Server, String) {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]).arg(program_under_test());
    let server = Server::start_command(command, &["-e", file.path()]);
    assert_eq!(server.stats("")["pid"], "1");
    let unshare = server.process_id();
    let children = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
    (server, children.expect("unshare runs").trim().to_owned())
}

fn send(signal: &str, process: &str) {
    let sent = Command::new("kill").args(["-s", signal, process]).status();
    assert!(sent.expect("there is a kill").success());
}

#[test]
fn process_1_keeps_its_items_whatever_ends_it() {
    for (signal, state) in [("TERM", "clean"), ("INT", "clean"), ("USR1", "clean"), ("KILL", "unclean")] {
        let file = MemoryFile::new();
        let (mut server, process) = process_1(&file);
        server.client().ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
        send(signal, &process);
        assert_eq!(server.wait_for_end().success(), signal != "KILL", "{signal}");
        let (server, _) = process_1(&file);
        assert_eq!(kept(&server), [state, "1", "0"], "{signal}");
        server.client().ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
    }
}

#[test]
fn process_1_refuses_an_upgrade_and_goes_on() {
    let file = MemoryFile::new();
    let (mut server, process) = process_1(&file);
    let mut client = server.client();
    client.ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    send("USR2", &process);
    let line = "upgrade: the end of process 1 would end its container; process 1 goes on";
    wait_until("the upgrade is refused", || server.stderr().contains(line));
    client.ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
    send("TERM", &process);
    assert!(server.wait_for_end().success());
    assert_eq!(kept(&process_1(&file).0), ["clean", "1", "0"]);
}

//! larder as process 1 of a container, and on a file system that is full: here, in namespaces of its own.

use std::process::Command;

use super::bad_files::is_root;
use super::file::{MemoryFile, kept};
use crate::support::{Server, program_under_test, scratch_directory, wait_until};

/// A command that runs the program of its later arguments in new namespaces. Only root can do so without one for users.
fn unshare(kinds: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    let of_users = if is_root() { &[][..] } else { &["--map-root-user"] };
    command.args(of_users).args(kinds).arg("--");
    command
}

/// A server that is process 1 of a new namespace, and its process id out here.
fn process_1(file: &MemoryFile) -> (Server, String) {
    let mut command = unshare(&["--pid", "--fork", "--mount-proc", "--kill-child"]);
    command.arg(program_under_test());
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

/// A command that becomes `program` with a tmpfs of 16 MiB at `folder`, which no other process sees, after `before`.
fn on_small_tmpfs(folder: &str, before: &str) -> Command {
    let mut command = unshare(&["--mount"]);
    let script = format!("mount -t tmpfs -o size=16m tmpfs {folder} && {before} exec \"$@\"");
    command.args(["sh", "-c", &script, "sh"]).arg(program_under_test());
    command
}

#[test]
fn a_full_tmpfs_evicts_or_ends_the_start() {
    let folder = scratch_directory();
    let (folder, file) = (folder.to_str().expect("text"), folder.join("items"));
    let file = file.to_str().expect("text");
    let mut server = Server::start_command(on_small_tmpfs(folder, ""), &["-e", file, "-m", "64"]);
    let mut client = server.client();
    for number in 0..4000 {
        client.ask(format!("set key{number} 0 0 5000\r\n{number:05000}\r\n"), "STORED\r\n");
    }
    assert_ne!(server.stats("")["evictions"], "0");
    assert!(server.stderr().contains("allocate a page: No space left on device"), "{}", server.stderr());
    server.signal("TERM");
    assert!(server.wait_for_end().success());
    let fill = format!("head -c 16m /dev/zero > {folder}/other;");
    let mut command = on_small_tmpfs(folder, &fill);
    let output = command.args(["-p", "-1", "-u", "root", "-e", file]).output().expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(71), "{said}");
    assert!(said.contains("allocate the superblock of") && said.contains("No space left on device"), "{said}");
}

//! Upgrades that fail: the old process goes on with everything that it had, and says why.

use std::process::Command;

use crate::restart::file::MemoryFile;
use crate::support::{Server, program_under_test, wait_until};

use super::program::ProgramFile;

/// What the log says about an upgrade with a program that does `script`, and that items and clients stay.
fn reason(flags: &[&str], script: Option<&str>, expected: &str) {
    let program = ProgramFile::new();
    let mut server = program.serve(flags);
    let mut client = server.client();
    client.ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    client.send("get ke");
    let pid = server.process_id();
    match script {
        Some(script) => program.replace_by_script(script),
        None => program.remove(),
    }
    server.signal("USR2");
    wait_until("the upgrade has failed", || server.stderr().contains(&format!("; process {pid} goes on")));
    let said = server.stderr();
    assert!(said.contains(expected), "{said}");
    client.send("pt\r\n");
    client.expect("VALUE kept 7 5\r\nvalue\r\nEND\r\n");
    client.ask("set kept 0 0 3\r\nnew\r\n", "STORED\r\n");
    let stats = server.stats("");
    assert_eq!((stats["pid"].as_str(), stats["upgrades"].as_str()), (pid.to_string().as_str(), "0"));
    // A later upgrade works.
    program.restore();
    server.upgrade();
    client.ask("get kept\r\n", "VALUE kept 0 3\r\nnew\r\nEND\r\n");
}

#[test]
fn upgrade_rolls_back_when_the_new_program_ends() {
    reason(&[], Some("exit 3"), "upgrade: the other process has ended (exit status: 3)");
    reason(&[], Some("kill -9 $$"), "upgrade: the other process has ended (signal: 9 (SIGKILL))");
}

#[test]
fn upgrade_rolls_back_when_the_items_cannot_move() {
    let program = format!("ulimit -f 64; exec {} \"$@\"", program_under_test().display());
    let mut command = Command::new("sh");
    command.args(["-c", &program, "sh"]);
    let server = Server::start_command(command, &[]);
    let mut client = server.client();
    client.ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    server.signal("USR2");
    let line = "upgrade: move the items to a memory file: File too large; process ";
    wait_until("the upgrade has failed", || server.stderr().contains(line));
    client.ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
}

#[test]
fn upgrade_rolls_back_when_there_is_no_program() {
    reason(&[], None, "No such file or directory");
}

#[test]
fn upgrade_rolls_back_when_the_new_program_hangs_and_refuses_another_one_meanwhile() {
    let program = ProgramFile::new();
    let server = program.serve(&[]);
    let mut client = server.client();
    client.ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    program.replace_by_script("exec sleep 60");
    server.signal("USR2");
    wait_until("the program is started", || server.stderr().contains(" is started"));
    server.signal("USR2");
    wait_until("the second upgrade is refused", || server.stderr().contains("another one is under way"));
    // Clients are served meanwhile.
    client.ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
    // The server waits for 10 seconds, which is as long as a test waits. So a part of them goes by first.
    wait_until("some seconds are over", || server.stats("")["uptime"].parse::<u64>().is_ok_and(|uptime| uptime >= 4));
    wait_until("the upgrade has failed", || server.stderr().contains("does not answer in time"));
    client.ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
    assert_eq!(server.stats("")["upgrades"], "0");
}

#[test]
fn upgrade_is_refused_where_programs_cannot_be_started() {
    let server = Server::start(&["-o", "drop_privileges"]);
    server.signal("USR2");
    wait_until("it is refused", || server.stderr().contains("-o drop_privileges forbids to start a program"));
    server.client().ask("mn\r\n", "MN\r\n");
}

#[test]
fn upgrade_rolls_back_when_the_new_program_refuses_its_options() {
    reason(&[], Some("exec LARDER \"$@\" --nosuch"), "upgrade: the other process has ended (exit status: 64)");
    reason(&[], Some("exec LARDER \"$@\" -Y /no/such/file"), "/no/such/file");
}

#[test]
fn upgrade_rolls_back_when_the_new_program_refuses_the_items() {
    let file = MemoryFile::new();
    reason(&[], Some(&format!("exec LARDER \"$@\" -e {}", file.path())), "only a restart can begin or end its use");
    let other = format!("exec LARDER \"$@\" -e {}.other", file.path());
    reason(&["-e", file.path()], Some(&other), "names another file; only a restart can change it");
}

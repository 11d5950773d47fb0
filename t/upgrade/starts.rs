//! Upgrades of servers that were started in special ways.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::ProgramFile;
use crate::restart::file::MemoryFile;
use crate::support::{Client, ScratchDirectory, Server, program_under_test, scratch_directory, wait_until};

/// A daemon in a folder. It is ended with the test.
struct Daemon {
    folder: PathBuf,
    pidfile: PathBuf,
    directory: ScratchDirectory,
}

impl Daemon {
    /// Starts `larder -d` as the user `user` in the folder `work` of a scratch directory. Its file of -P has a relative
    /// name there, unless the folder does not stay.
    fn start(user: &str, stays: bool) -> Self {
        let directory = scratch_directory();
        let folder = directory.join("work");
        fs::create_dir(&folder).expect("the scratch directory is writable");
        let pidfile = if stays { folder.join("pid") } else { directory.join("pid") };
        let named = if stays { Path::new("pid") } else { &pidfile };
        let mut command = Command::new(program_under_test());
        command.args(["-d", "-v", "-p", "0", "-u", user, "-s"]).arg(directory.join("socket")).arg("-P").arg(named);
        command.stderr(fs::File::create(directory.join("stderr")).expect("the scratch directory is writable"));
        for writable in [&*directory, &folder] {
            Command::new("chmod").arg("777").arg(writable).status().expect("there is a chmod");
        }
        let started = command.current_dir(&folder).status();
        assert!(started.is_ok_and(|status| status.success()), "the daemon starts");
        Self { folder, pidfile, directory }
    }

    fn client(&self) -> Client {
        let socket = UnixStream::connect(self.directory.join("socket")).expect("it listens");
        Client::over_unix(socket).expect("the socket takes options")
    }

    fn process_id(&self) -> String {
        fs::read_to_string(&self.pidfile).expect("it is written").trim().to_owned()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.join("stderr")).expect("it is text")
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.process_id()]).status();
        assert!(status.is_ok_and(|status| status.success()), "there is a kill");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

#[test]
fn upgrade_of_a_daemon_changes_its_pidfile_and_runs_as_the_same_user() {
    // Only root can change its user. For others -u has no effect.
    let daemon = Daemon::start("nobody", true);
    let mut client = daemon.client();
    client.ask("set key 0 0 1\r\nx\r\n", "STORED\r\n");
    let user = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
        status.lines().find(|line| line.starts_with("Uid:")).expect("it has a user").to_owned()
    };
    let mut pids = vec![daemon.process_id()];
    let first_user = user(&pids[0]);
    for _ in 0..2 {
        daemon.signal("USR2");
        wait_until("the pidfile names the next process", || !pids.contains(&daemon.process_id()));
        pids.push(daemon.process_id());
        client.ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
        let pid = &client.stats("")["pid"];
        assert_eq!(pids.last(), Some(pid));
        let folder = || fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs");
        wait_until("the next process has left its folder", || folder() == Path::new("/"));
        assert_eq!(user(pid), first_user);
    }
    daemon.client().ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
}

#[test]
fn upgrade_of_a_daemon_names_a_folder_that_it_cannot_enter_again() {
    let daemon = Daemon::start("nobody", false);
    daemon.client().ask("set key 0 0 1\r\nx\r\n", "STORED\r\n");
    fs::remove_dir(&daemon.folder).expect("it is empty");
    daemon.signal("USR2");
    let line = format!("upgrade: enter {}: No such file or directory; ", daemon.folder.display());
    wait_until("the upgrade has failed", || daemon.said().contains(&line));
    daemon.client().ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
}

#[test]
fn upgrade_needs_no_folder_that_the_process_is_in() {
    let folder = scratch_directory();
    let mut command = Command::new(program_under_test());
    command.current_dir(&folder);
    let mut server = Server::start_command(command, &[]);
    server.client().ask("set key 0 0 1\r\nx\r\n", "STORED\r\n");
    drop(folder);
    server.upgrade();
    server.client().ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
}

#[test]
fn upgrade_does_not_wait_for_the_reader_of_standard_error() {
    let directory = scratch_directory();
    let pipe = directory.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()), "there is a mkfifo");
    // Opened for both, so that no open waits. Nothing is read from it.
    let mut unread =
        fs::File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&pipe).expect("it is there");
    let script = format!("exec {} \"$@\" 2>{}", program_under_test().display(), pipe.display());
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]);
    let mut server = Server::start_command(command, &["-v"]);
    while unread.write(&[b'.'; 4096]).is_ok() {}
    while unread.write(b".").is_ok() {}
    let mut client = server.client();
    client.ask("set key 0 0 1\r\nx\r\n", "STORED\r\n");
    server.upgrade();
    client.ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
}

/// Upgrades to a program with another setting, which `stats settings` shows as `row`.
fn upgrade_with(change: &str, row: &str, flags: &[&str]) {
    let program = ProgramFile::new();
    let mut server = program.serve(flags);
    let mut client = server.client();
    let values: Vec<String> = (0..150).map(|number: usize| format!("{number:03}").repeat(1 + number * 60)).collect();
    for (number, value) in values.iter().enumerate() {
        client.ask(format!("set key{number} {number} 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
    }
    let before = server.stats("settings");
    program.replace_by_script(&format!("exec LARDER \"$@\" {change}"));
    server.upgrade();
    assert_ne!(server.stats("settings")[row], before[row]);
    for (number, value) in values.iter().enumerate() {
        let expected = format!("VALUE key{number} {number} {}\r\n{value}\r\nEND\r\n", value.len());
        client.ask(format!("get key{number}\r\n"), expected);
    }
    client.ask("set new 0 0 3\r\nabc\r\n", "STORED\r\n");
    client.ask("delete new\r\n", "DELETED\r\n");
    server.kill();
    wait_until("the process has ended", || server.try_client().is_err());
}

#[test]
fn upgrade_may_change_the_size_classes() {
    for (change, row) in
        [("-f 2", "growth_factor"), ("-o slab_chunk_max=4", "slab_chunk_max"), ("-n 200", "chunk_size")]
    {
        upgrade_with(change, row, &[]);
        let file = MemoryFile::new();
        upgrade_with(change, row, &["-e", file.path()]);
        let server = file.serve(&["-f", "1.5"]);
        let stats = server.stats("");
        assert_eq!((stats["restart_items"].as_str(), stats["restart_damaged"].as_str()), ("150", "0"));
    }
}

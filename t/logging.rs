//! The server's messages on standard error while it runs. It never waits for their reader.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::server::scratch_directory;
use crate::support::{Client, Server, wait_until};

/// Waits until a line of the log contains `part`. Returns the line without its time.
fn line_with(server: &Server, part: &str) -> String {
    let mut found = None;
    wait_until(&format!("the log says {part:?}"), || {
        found = server.stderr().lines().find(|line| line.contains(part)).map(str::to_string);
        found.is_some()
    });
    let line = found.expect("the wait ended with a line");
    let (time, said) = line.split_once(' ').expect("a time comes first");
    assert!(is_time(time), "{line}");
    said.to_string()
}

/// `2026-07-09T08:15:00.250Z`.
fn is_time(word: &str) -> bool {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}

/// A client of the server that is about to listen on `socket`.
fn connect(socket: &Path) -> Client {
    let mut stream = None;
    wait_until("the server listens", || {
        stream = UnixStream::connect(socket).ok();
        stream.is_some()
    });
    Client::over_unix(stream.expect("the wait ended with a stream")).expect("a socket can be read from")
}

#[test]
fn the_start_line_has_version_address_memory_threads_and_clients() {
    let server = Server::start(&["-v", "-m", "100", "-t", "2", "-c", "77"]);
    let version = env!("CARGO_PKG_VERSION");
    let address = server.tcp_address();
    assert_eq!(
        line_with(&server, "listens on"),
        format!("larder {version} (memcached 1.6.45) listens on {address}: 100 MiB for items, 2 threads, 77 clients")
    );
    assert_eq!(Server::start(&[]).stderr(), "", "nothing without -v");
}

#[test]
fn a_client_beyond_the_limit_is_told_of_once_in_a_while() {
    let server = Server::start(&["-v", "-c", "1"]);
    let mut first = server.client();
    first.ask("get a\r\n", "END\r\n");
    for _ in 0..20 {
        drop(server.try_client());
    }
    wait_until("all are refused", || first.stats("")["rejected_connections"] == "20");
    let said = line_with(&server, "--conn-limit");
    assert_eq!(said, "larder: -c, --conn-limit: the limit 1 is reached, another client is refused");
    assert_eq!(server.stderr().matches("--conn-limit").count(), 1);
}

#[test]
fn a_client_that_waits_for_its_turn_is_told_of() {
    let server = Server::start(&["-v", "-c", "1", "-o", "no_maxconns_fast"]);
    let mut first = server.client();
    first.ask("get a\r\n", "END\r\n");
    let _waiting = server.try_client();
    assert!(line_with(&server, "--conn-limit").ends_with("the limit 1 is reached, another client waits"));
}

#[test]
fn an_idle_client_that_is_disconnected_is_told_of() {
    let server = Server::start(&["-v", "-t", "1", "-o", "idle_timeout=2,debug_commands"]);
    let _silent = server.client();
    wait_until("both are there", || server.stats("")["curr_connections"] == "2");
    server.client().ask("debugtime 100\r\n", "OK\r\n");
    let said = line_with(&server, "idle");
    assert!(said.ends_with(" disconnected: idle for 2 s, -o idle_timeout"), "{said}");
}

#[test]
fn a_client_of_a_protocol_that_is_not_allowed_is_told_of() {
    for (protocol, request) in
        [("ascii", &b"\x80\0\0\0"[..]), ("binary", b"get a\r\n"), ("binary", b"GET / HTTP/1.1\r\n")]
    {
        let server = Server::start(&["-v", "-t", "1", "-B", protocol]);
        let mut client = server.try_client().unwrap();
        client.send(request);
        let said = line_with(&server, "protocol");
        assert_eq!(said, "larder: -B, -Y or -S does not allow a client's protocol, it is disconnected", "{protocol}");
    }
}

/// Sets the soft limit of a server's open files. Returns the soft limit before.
fn limit_open_files(server: &Server, soft: u64) -> u64 {
    let process = server.process_id().cast_signed();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a null pointer sets nothing, and `limit` is valid during the call.
    let read = unsafe { libc::prlimit(process, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) };
    let before = std::mem::replace(&mut limit.rlim_cur, soft);
    // SAFETY: `limit` is valid during the call, which changes nothing but the limit of the server's process.
    let set = unsafe { libc::prlimit(process, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!((read, set), (0, 0), "prlimit: {}", std::io::Error::last_os_error());
    before
}

#[test]
fn a_lack_of_descriptors_is_logged_and_the_client_waits() {
    let server = Server::start(&["-v"]);
    server.client().ask("get a\r\n", "END\r\n");
    let before = limit_open_files(&server, 0);
    let mut client = server.client();
    let line = line_with(&server, "accept a client");
    assert_eq!(line, "larder: accept a client: Too many open files; it waits");
    limit_open_files(&server, before);
    client.ask("get a\r\n", "END\r\n");
}

#[test]
fn a_client_that_reads_no_replies_is_logged_when_it_is_disconnected() {
    let server = Server::start(&["-v", "-t", "1", "-o", "resp_obj_mem_limit=1"]);
    let mut other = server.client();
    other.ask(format!("set v 0 0 3000\r\n{}\r\n", "x".repeat(3000)), "STORED\r\n");
    let mut silent: Vec<_> = (0..200).map(|_| server.client()).collect();
    for client in &mut silent {
        // Ignored: it may be closed before it has sent all.
        let _ = client.try_send("get v\r\n".repeat(4000).as_bytes());
    }
    let line = line_with(&server, "does not read");
    assert!(
        line.starts_with("larder: no memory for replies that a client does not read, it is disconnected"),
        "{line}"
    );
}

#[test]
fn a_lack_of_memory_is_logged() {
    let server = Server::start(&["-v", "-m", "2", "-M"]);
    let mut client = server.client();
    let value = "x".repeat(100_000);
    let mut key = 0;
    wait_until("the memory is full", || {
        key += 1;
        client.send(format!("set {key} 0 0 {}\r\n{value}\r\n", value.len()));
        !client.read_line().unwrap().starts_with(b"STORED")
    });
    assert_eq!(line_with(&server, "memory"), "larder: no memory to store an item");
}

#[test]
fn what_clients_send_is_escaped() {
    let server = Server::start(&["-vv"]);
    server.client().ask("get \x1b[2J\0\rx\r\n", "END\r\n");
    assert!(line_with(&server, "get").ends_with(" get \\x1b[2J\\x00\\rx"));
}

#[test]
fn the_journal_gets_levels_instead_of_times() {
    let directory = scratch_directory();
    let (socket, said) = (directory.join("socket"), directory.join("err"));
    let file = fs::File::create(&said).unwrap();
    let stream = file.metadata().map(|of| format!("{}:{}", of.dev(), of.ino())).unwrap();
    let mut child = larder(&["-vv", "-k", "-s", socket.to_str().unwrap()])
        .env("JOURNAL_STREAM", stream)
        .stderr(file)
        .spawn()
        .unwrap();
    wait_until("the start is told of", || fs::read_to_string(&said).unwrap().contains("listens on"));
    let _ignored = child.kill();
    child.wait().unwrap();
    let said = fs::read_to_string(&said).unwrap();
    for line in said.lines() {
        assert!(["<3>", "<4>", "<6>", "<7>"].iter().any(|level| line.starts_with(level)), "{line}");
    }
    assert!(said.contains("<6>larder ") && said.contains("<7>slab class"), "{said}");
}

#[test]
fn a_line_of_json_has_time_level_and_message() {
    let server = Server::start(&["-v", "-o", "log=json"]);
    let line = || server.stderr().lines().find(|line| line.contains("listens on")).map(str::to_string);
    wait_until("the start is told of", || line().is_some());
    let line = line().expect("the wait ended with a line");
    let (time, rest) =
        line.strip_prefix(r#"{"time":""#).and_then(|line| line.split_once('"')).expect("the time is first");
    assert!(is_time(time), "{line}");
    assert!(rest.starts_with(r#","level":"info","message":"larder "#) && rest.ends_with(r#" clients"}"#), "{line}");
}

#[test]
fn a_log_reader_that_stops_reading_stops_no_client() {
    let directory = scratch_directory();
    let socket = directory.join("socket");
    let mut child = larder(&["-vv", "-s", socket.to_str().unwrap()]).stderr(Stdio::piped()).spawn().unwrap();
    let mut client = connect(&socket);
    // A pipe takes 64 KiB, the queue 256.
    for _ in 0..20_000 {
        client.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    }
    let dropped: u64 = client.stats("")["log_lines_dropped"].parse().unwrap();
    let status = Command::new("kill").arg(child.id().to_string()).status();
    assert!(status.is_ok_and(|status| status.success()));
    let mut ended = None;
    wait_until("SIGTERM ends it", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert!(dropped > 0);
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
}

#[test]
fn a_reader_that_reads_again_learns_what_was_dropped() {
    let directory = scratch_directory();
    let socket = directory.join("socket");
    let mut child = larder(&["-vv", "-s", socket.to_str().unwrap()]).stderr(Stdio::piped()).spawn().unwrap();
    let mut client = connect(&socket);
    wait_until("a line is dropped", || {
        client.ask("get a\r\n".repeat(100), "END\r\n".repeat(100));
        client.stats("")["log_lines_dropped"] != "0"
    });
    let reader = std::thread::spawn({
        let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        move || {
            let mut said = std::io::BufRead::lines(&mut stderr).map_while(Result::ok);
            said.any(|line| line.contains("log lines were dropped: standard error was not read"))
        }
    });
    wait_until("the reader has seen it", || {
        client.ask("get a\r\n", "END\r\n");
        reader.is_finished()
    });
    let _ignored = child.kill();
    child.wait().unwrap();
    assert!(reader.join().unwrap());
}

fn larder(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    command.args(if is_root { &["-u", "root"][..] } else { &[] }).args(arguments);
    command.env_remove("MEMCACHED_PORT_FILENAME").stdin(Stdio::null());
    command
}

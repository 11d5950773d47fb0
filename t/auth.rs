//! Authentication over the text protocol (`-Y`): what a client may send before it, attempts, the user file.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use larder::protocol::Verb;

use crate::support::{Client, ScratchDirectory, Server, scratch_directory, wait_until};

const UNAUTHENTICATED: &str = "CLIENT_ERROR unauthenticated\r\n";
const FAILURE: &str = "CLIENT_ERROR authentication failure\r\n";
const BAD_TOKEN: &str = "CLIENT_ERROR bad authentication token format\r\n";
const TOO_LONG: &str = "CLIENT_ERROR auth token too long\r\n";
const BAD_TERMINATION: &str = "CLIENT_ERROR bad command line termination\r\n";

/// `slow word`, hashed with 16 MiB and 3 passes: some tens of milliseconds.
const SLOW_HASH: &str = "$argon2id$v=19$m=16384,t=3,p=1$c2FsdHNhbHQ$gQf/rUaDQFYMqHXEz5mw7A";

/// A server whose clients must authenticate.
struct Guarded {
    server: Server,
    directory: ScratchDirectory,
}

impl Guarded {
    fn start(users: &str, flags: &[&str]) -> Self {
        let directory = scratch_directory();
        let file = directory.join("users");
        fs::write(&file, users).expect("the scratch directory is writable");
        let server = Server::start(&[&["-Y", path_text(&file)], flags].concat());
        Self { server, directory }
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// A client that has authenticated.
    fn client_of(&self, token: &str) -> Client {
        let mut client = self.client();
        client.ask(attempt(token), "STORED\r\n");
        client
    }

    /// Replaces the user file in one step, and asks the server to read it.
    fn rewrite(&self, users: &str) {
        let new = self.directory.join("new");
        fs::write(&new, users).expect("the scratch directory is writable");
        fs::rename(new, self.directory.join("users")).expect("both are in the scratch directory");
        self.reload();
    }

    fn reload(&self) {
        let process_id = self.server.process_id().to_string();
        let status = Command::new("kill").args(["-s", "HUP", &process_id]).status().expect("every system has kill");
        assert!(status.success());
    }
}

/// Tells other threads to end, also when the test has failed.
pub(crate) struct SetAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("scratch directories have plain names")
}

fn attempt(token: &str) -> String {
    format!("set any 0 0 {}\r\n{token}\r\n", token.len())
}

fn counts(client: &mut Client) -> (String, String) {
    let stats = client.stats("");
    (stats["auth_cmds"].clone(), stats["auth_errors"].clone())
}

#[test]
fn a_right_token_opens_the_connection_for_every_command() {
    let guarded = Guarded::start("foo:bar\nbaz:a b:c\n", &[]);
    for token in ["foo bar", "baz a b:c"] {
        let mut client = guarded.client();
        client.ask(
            attempt(token) + "set k 0 0 7\r\nfoo bad\r\nget k\r\n",
            "STORED\r\nSTORED\r\nVALUE k 0 7\r\nfoo bad\r\nEND\r\n",
        );
        assert_eq!(client.stats("settings")["auth_enabled_ascii"], path_text(&guarded.directory.join("users")));
    }
    let mut client = guarded.client();
    client.ask("set a b c 7 noreply\r\nfoo bar\r\n", "STORED\r\n");
    assert_eq!(client.stats("")["cmd_set"], "2", "an attempt is no set");
    client.ask("get a any\r\n", "END\r\n");
}

#[test]
fn no_command_is_executed_before() {
    let guarded = Guarded::start("foo:bar\n", &["-A", "-o", "debug_commands"]);
    let mut operator = guarded.client_of("foo bar");
    operator.ask("set k 0 0 1\r\n1\r\n", "STORED\r\n");
    let before = operator.stats("");
    for verb in Verb::ALL {
        let word = String::from_utf8_lossy(verb.name());
        let mut client = guarded.client();
        if word.len() < 5 {
            // Such a short line ends the connection. With a key it does not.
            client.send(format!("{word}\r\n"));
            client.expect_close();
            client = guarded.client();
        } else {
            client.ask(format!("{word}\r\n"), UNAUTHENTICATED);
        }
        for arguments in ["k 0", "k 0 1", "k 0 0 1", "reset", "detail dump", "k 0 0 1 1", "k 0 0 1 noreply"] {
            if word != "set" {
                client.ask(format!("{word} {arguments}\r\n"), UNAUTHENTICATED);
            }
        }
        client.ask(attempt("foo bar"), "STORED\r\n");
    }
    let after = operator.stats("");
    for name in ["cmd_get", "cmd_set", "cmd_flush", "cmd_touch", "cmd_meta", "curr_items", "delete_hits", "incr_hits"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    operator.ask("get k\r\n", "VALUE k 0 1\r\n1\r\nEND\r\n");
    let mut binary = guarded.client();
    binary.send(b"\x80\x0b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    binary.expect_close();
}

#[test]
fn every_fault_of_an_attempt_has_its_reply() {
    let guarded = Guarded::start("foo:bar\n", &[]);
    let long = "x".repeat(16_384 - 4);
    let script = [
        (attempt("foo baR"), FAILURE),
        (attempt("fo bar"), FAILURE),
        (attempt("foo ba"), FAILURE),
        (attempt("foo bar "), FAILURE),
        (attempt(" foo bar"), FAILURE),
        (attempt("foo bar\0"), FAILURE),
        (attempt("foo "), FAILURE),
        (attempt(" "), FAILURE),
        (attempt(&format!("foo {long}")), FAILURE),
        (attempt(&format!("foo {long}x")).lines().next().unwrap_or_default().to_string() + "\r\n", TOO_LONG),
        ("set a 0 0 2147483648\r\n".into(), TOO_LONG),
        ("set a 0 0 4294967296\r\n".into(), UNAUTHENTICATED),
        ("set a 0 0 -1\r\n".into(), UNAUTHENTICATED),
        (attempt("foobar"), BAD_TOKEN),
        (attempt(""), BAD_TOKEN),
        ("set a 0 0 7\r\nfoo barxx".into(), BAD_TERMINATION),
        (attempt("foo bar"), "STORED\r\n"),
    ];
    let (asked, replies): (Vec<&str>, Vec<&str>) = script.iter().map(|(asked, reply)| (asked.as_str(), *reply)).unzip();
    let mut client = guarded.client();
    for (asked, reply) in &script {
        client.ask(asked, reply);
    }
    assert_eq!(counts(&mut client), ("10".into(), "9".into()), "what is no token is no attempt");
    guarded.client().ask(asked.concat(), replies.concat());
    let mut slow = guarded.client();
    let sender = slow.sender();
    thread::scope(|scope| {
        scope.spawn(move || asked.concat().as_bytes().chunks(1).for_each(|byte| send(&sender, byte)));
        slow.expect(replies.concat());
    });
}

fn send(mut socket: &std::net::TcpStream, bytes: &[u8]) {
    std::io::Write::write_all(&mut socket, bytes).expect("the server takes what is sent");
}

#[test]
fn endless_and_very_short_lines_close_the_connection() {
    let guarded = Guarded::start("foo:bar\n", &[]);
    for line in ["\r\n".to_string(), "quit\r\n".into(), "mn\r\n".into(), "x".repeat(3000)] {
        let mut client = guarded.client();
        client.send(line);
        client.expect_close();
    }
}

#[test]
fn a_connection_ends_after_16_failures() {
    let guarded = Guarded::start("foo:bar\n", &[]);
    let mut guesser = guarded.client();
    (0..15).for_each(|_| guesser.ask(attempt("foo guess"), FAILURE));
    let mut sequential = guarded.client();
    (0..15).for_each(|_| sequential.ask(attempt("foo guess"), FAILURE));
    guesser.send(attempt("foo guess") + &attempt("foo bar"));
    guesser.expect(FAILURE);
    guesser.expect_close();
    sequential.ask(attempt("foo bar"), "STORED\r\n");
    assert_eq!(counts(&mut sequential), ("32".into(), "31".into()));
}

#[test]
fn sighup_reads_the_file_again_and_a_bad_file_changes_nothing() {
    let guarded = Guarded::start("foo:bar\n", &[]);
    let mut old = guarded.client_of("foo bar");
    let accepts = |token: &str| {
        let mut client = guarded.client();
        client.send(attempt(token));
        client.read_line().expect("a reply") == b"STORED\r\n"
    };
    guarded.rewrite("new:word\nmore:word\n");
    wait_until("the new user is known", || accepts("new word"));
    assert!(!accepts("foo bar"));
    old.ask("get a\r\n", "END\r\n");
    wait_until("the reload is logged", || guarded.server.stderr().contains("larder: 2 users in "));
    for (bad, said) in
        [("new:other\nbroken\n", "users:2: no colon between user and password"), ("", "users:1: no users")]
    {
        guarded.rewrite(bad);
        wait_until("the fault is logged", || guarded.server.stderr().contains(said));
        assert!(accepts("new word"));
        assert!(!accepts("new other"));
    }
    fs::remove_file(guarded.directory.join("users")).unwrap();
    guarded.reload();
    wait_until("the fault is logged", || guarded.server.stderr().contains("No such file or directory; the users stay"));
    assert!(accepts("new word"));
    assert_eq!(guarded.server.stderr().lines().filter(|line| line.contains("the users stay")).count(), 3);
}

#[test]
fn a_confined_server_reloads_users_and_verifies_hashes() {
    let guarded = Guarded::start("foo:bar\n", &["-o", "drop_privileges"]);
    let mut inside = guarded.client_of("foo bar");
    guarded.rewrite(&format!("slow:{SLOW_HASH}\n"));
    wait_until("the reload is logged", || guarded.server.stderr().contains("larder: 1 users in "));
    guarded.client_of("slow slow word").ask("get a\r\n", "END\r\n");
    fs::remove_file(guarded.directory.join("users")).expect("the file is there");
    guarded.reload();
    wait_until("the fault is logged", || guarded.server.stderr().contains("the users stay"));
    inside.ask("get a\r\n", "END\r\n");
}

#[test]
fn a_reload_under_load_refuses_no_remaining_user() {
    let files = ["stays:word\n", "stays:word\nother:word\n", "other:x\n\nstays:word\n"];
    let guarded = Guarded::start(files[0], &["-t", "2"]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let end = SetAtEnd(&is_over);
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut attempts = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        guarded.client_of("stays word").ask("get a\r\n", "END\r\n");
                        attempts += 1;
                    }
                    attempts
                })
            })
            .collect();
        for round in 1..=60 {
            guarded.rewrite(files[round % files.len()]);
            wait_until("the file is read", || guarded.server.stderr().matches("users in").count() >= round);
        }
        drop(end);
        assert!(clients.into_iter().all(|client| client.join().unwrap() > 0));
    });
    assert_eq!(counts(&mut guarded.client_of("stays word")).1, "0");
}

#[test]
fn hundreds_of_guessers_do_not_stop_a_client_that_is_in() {
    let guarded = Guarded::start(&format!("foo:bar\nslow:{SLOW_HASH}\n"), &["-t", "2"]);
    let mut inside = guarded.client_of("foo bar");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let end = SetAtEnd(&is_over);
        for _ in 0..4 {
            scope.spawn(|| {
                let mut guessers: Vec<Client> = (0..100).map(|_| guarded.client()).collect();
                while !is_over.load(Ordering::Relaxed) {
                    for guesser in &mut guessers {
                        // The connection was closed after too many failures: open another one.
                        if guesser.try_send(attempt("foo guess").as_bytes()).is_err() {
                            *guesser = guarded.client();
                        }
                    }
                }
            });
        }
        wait_until("the flood is refused", || counts(&mut inside).1.parse::<u64>().unwrap() > 500);
        for round in 0..500 {
            inside.ask(format!("set k 0 0 3\r\n{:03}\r\n", round), "STORED\r\n");
            inside.ask("get k\r\n", format!("VALUE k 0 3\r\n{round:03}\r\nEND\r\n"));
        }
        guarded.client_of("foo bar").ask("get k\r\n", "VALUE k 0 3\r\n499\r\nEND\r\n");
        drop(end);
    });
}

#[test]
fn a_hashed_password_is_verified_beside_the_other_clients_of_its_worker() {
    const GUESSERS: usize = 8;
    let guarded = Guarded::start(&format!("foo:bar\nslow:{SLOW_HASH}\n"), &["-t", "1"]);
    let mut inside = guarded.client_of("foo bar");
    let mut guessers: Vec<Client> = (0..GUESSERS).map(|_| guarded.client()).collect();
    // An unknown user, and a user without a hash, wait for a hash, too.
    for (guesser, token) in guessers.iter_mut().zip(["slow guess", "foo guess", "nobody guess"].iter().cycle()) {
        guesser.send(attempt(token));
    }
    let mut slow = guarded.client();
    slow.send(attempt("slow slow word") + "get a\r\n");
    wait_until("all attempts have come", || counts(&mut inside).0 == (GUESSERS + 2).to_string());
    for _ in 0..100 {
        inside.ask("get a\r\n", "END\r\n");
    }
    let failed: usize = counts(&mut inside).1.parse().unwrap();
    assert!(failed < GUESSERS, "all hashes were verified before 100 gets were answered");
    guessers.iter_mut().for_each(|guesser| guesser.expect(FAILURE));
    slow.expect("STORED\r\nEND\r\n");
    // From now on the password is known: a client that sends it does not wait for the hashes of others.
    guessers.iter_mut().for_each(|guesser| guesser.send(attempt("slow guess")));
    guarded.client_of("slow slow word");
    let failed: usize = counts(&mut inside).1.parse().unwrap();
    assert!(failed < 2 * GUESSERS, "the known password waited for all hashes");
    guessers.iter_mut().for_each(|guesser| guesser.expect(FAILURE));
}

#[test]
fn clients_that_leave_while_their_passwords_are_verified_are_closed() {
    let guarded = Guarded::start(&format!("foo:bar\nslow:{SLOW_HASH}\n"), &["-t", "1"]);
    let mut inside = guarded.client_of("foo bar");
    for _ in 0..3 {
        guarded.client().send(attempt("slow guess"));
    }
    let mut last = guarded.client();
    last.ask(attempt("slow slow word"), "STORED\r\n");
    last.ask("get a\r\n", "END\r\n");
    drop(last);
    wait_until("the others are gone", || inside.stats("")["curr_connections"] == "1");
}

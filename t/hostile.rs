//! Every row of the tables in doc/hostile-input.md is sent to a server, which must do what the row says.

use std::fs;

use crate::support::transcript::{bytewise, expanded};
use crate::support::{Client, ScratchDirectory, Server, scratch_directory, wait_until};

pub(crate) const PAGE: &str = "doc/hostile-input.md";
/// Headers of the two kinds of table.
const INPUTS: &[&str] = &["Input", "Reply", "Connection"];
const CLIENTS: &[&str] = &["Clients", "Each sends", "Then", "Reply", "Connection"];
/// Connections of this process while a table is played: those of a row, and a few others.
const OPEN_FILES: u64 = 4096;

/// What a row says about its connection after the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Open,
    Waiting,
    Closed,
}

pub(crate) struct Row {
    pub line: usize,
    /// Code of the paragraph about the server's options: the options, and the user in their file.
    pub options: Vec<String>,
    pub cells: Vec<String>,
}

/// A server with the options of a row. `users` in them stands for a file.
pub(crate) struct Configured {
    pub options: Vec<String>,
    server: Server,
    _directory: ScratchDirectory,
}

impl Configured {
    pub(crate) fn start(options: &[String]) -> Self {
        let directory = scratch_directory();
        let file = directory.join("users");
        if let [_, user, ..] = options {
            fs::write(&file, format!("{user}\n")).expect("the scratch directory is writable");
        }
        let file = file.to_str().expect("scratch directories have plain names");
        let words = options.iter().take(1).flat_map(|words| words.split(' '));
        let flags: Vec<&str> = words.map(|word| if word == "users" { file } else { word }).collect();
        // One worker serves requests in the order of their arrival.
        let server = Server::start(&[&["-t", "1"], &flags[..]].concat());
        Self { options: options.to_vec(), server, _directory: directory }
    }

    pub(crate) fn client(&self) -> Client {
        self.server.client()
    }

    /// Succeeds if one client is connected and has been served.
    pub(crate) fn waits_for_one(&self) -> Result<(), String> {
        let mut observer = self.client();
        if let [_, user, ..] = &self.options[..] {
            let token = user.replace(':', " ");
            observer.ask(format!("set k 0 0 {}\r\n{token}\r\n", token.len()), "STORED\r\n");
        }
        // The worker serves everything that came before the first question until it answers the second one.
        connections(&mut observer);
        wait_until("the clients of earlier rows are gone", || connections(&mut observer) <= 2);
        if connections(&mut observer) == 2 { Ok(()) } else { Err("the server does not wait".into()) }
    }
}

#[test]
fn every_input_has_the_reply_and_the_fate_of_its_row() {
    let mut faults = String::new();
    let mut configured = Configured::start(&[]);
    let rows = rows_of(INPUTS);
    assert!(rows.len() > 60, "{PAGE} has only {} rows of inputs", rows.len());
    for Row { line, options, cells } in rows {
        if configured.options != options {
            configured = Configured::start(&options);
        }
        let (input, reply, fate) = (expanded(&code(&cells[0])[0]), reply_of(&cells[1]), fate_of(&cells[2]));
        for in_one_packet in [true, false] {
            if options.is_empty() {
                configured.client().ask("flush_all\r\n", "OK\r\n");
            }
            let mut client = configured.client();
            send(&mut client, &input, in_one_packet);
            if let Err(fault) = answered(&configured, &mut client, &reply, fate) {
                let delivery = if in_one_packet { "in one packet" } else { "byte by byte" };
                faults += &format!("\n{PAGE}:{line}: {delivery}: {fault}");
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn slow_silent_and_lost_clients_have_the_fate_of_their_row_and_others_are_served() {
    larder::sys::process::raise_open_files(OPEN_FILES, 0).expect("the limit of open files is readable");
    let rows = rows_of(CLIENTS);
    assert!(rows.len() > 5, "{PAGE} has only {} rows of clients", rows.len());
    for Row { line, cells, .. } in rows {
        let server = Server::start(&[]);
        let count: usize = cells[0].parse().unwrap_or_else(|e| panic!("{PAGE}:{line}: {}: {e}", cells[0]));
        let mut clients: Vec<_> = (0..count).map(|_| server.client()).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            send(client, &expanded(&code(&cells[1])[0].replace("{n}", &n.to_string())), true);
        }
        match cells[2].as_str() {
            "waits" | "reads nothing" => {}
            "ends its side" => clients.iter_mut().for_each(Client::finish_sending),
            "disappears" => clients.clear(),
            other => panic!("{PAGE}:{line}: nothing is known of `{other}`"),
        }
        serves_others(&server);
        let remaining = if fate_of(&cells[4]) == Fate::Waiting { count } else { 0 };
        // The connection that asks is one itself.
        let what = format!("{PAGE}:{line}: {remaining} clients are connected");
        wait_until(&what, || connections(&mut server.client()) == remaining + 1);
        if cells[3] == "unread" {
            continue;
        }
        for client in &mut clients {
            client.finish_sending();
            closed_after(client, &reply_of(&cells[3])).unwrap_or_else(|fault| panic!("{PAGE}:{line}: {fault}"));
        }
    }
}

pub(crate) fn send(client: &mut Client, input: &[u8], in_one_packet: bool) {
    // Ignored: a server may close before the end of the input. What follows tells whether it was right.
    if in_one_packet {
        let _ = client.try_send(input);
    } else {
        bytewise(input).for_each(|part| drop(client.try_send(part)));
    }
}

fn answered(server: &Configured, client: &mut Client, reply: &[u8], fate: Fate) -> Result<(), String> {
    if fate == Fate::Closed {
        return closed_after(client, reply);
    }
    client.try_expect(reply)?;
    if fate == Fate::Open {
        client.send("version\r\n");
        let line = client.read_line().map_err(|e| format!("the connection is not open: {e}"))?;
        let is_answer = [b"VERSION 1.6.45\r\n".as_slice(), b"CLIENT_ERROR unauthenticated\r\n"].contains(&&line[..]);
        return if is_answer { Ok(()) } else { Err(format!("then came `{}`", line.escape_ascii())) };
    }
    server.waits_for_one()?;
    client.finish_sending();
    closed_after(client, b"")
}

fn closed_after(client: &mut Client, reply: &[u8]) -> Result<(), String> {
    let said = client.read_to_close().map_err(|e| format!("the server does not close: {e}"))?;
    if said == reply { Ok(()) } else { Err(format!("before closing came `{}`", said.escape_ascii())) }
}

fn serves_others(server: &Server) {
    let mut other = server.client();
    other.ask("set other 0 0 5\r\nvalue\r\n", "STORED\r\n");
    other.ask("get other\r\n", "VALUE other 0 5\r\nvalue\r\nEND\r\n");
}

fn connections(client: &mut Client) -> usize {
    client.stats("")["curr_connections"].parse().expect("a number")
}

/// The rows of all tables of the page with this header.
pub(crate) fn rows_of(header: &[&str]) -> Vec<Row> {
    let page = fs::read_to_string(PAGE).expect("the page is there");
    let mut rows = Vec::new();
    let mut options = Vec::new();
    let mut inside = false;
    for (index, line) in page.lines().enumerate() {
        let cells = cells_of(line);
        if line.starts_with("## ") {
            options.clear();
        } else if line.starts_with("Server options: ") {
            options = code(line);
        } else if cells == header {
            inside = true;
        } else if cells.is_empty() {
            inside = false;
        } else if inside && !line.starts_with("|---") {
            assert_eq!(cells.len(), header.len(), "{PAGE}:{}: cells", index + 1);
            rows.push(Row { line: index + 1, options: options.clone(), cells });
        }
    }
    rows
}

fn cells_of(line: &str) -> Vec<String> {
    let Some(inside) = line.strip_prefix("| ").and_then(|rest| rest.strip_suffix(" |")) else {
        return if line.starts_with("|---") { vec![line.to_string()] } else { Vec::new() };
    };
    inside.split(" | ").map(str::to_string).collect()
}

/// The code spans of a cell.
pub(crate) fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_string).collect()
}

pub(crate) fn reply_of(cell: &str) -> Vec<u8> {
    let lines = code(cell);
    assert_eq!(lines.is_empty(), cell == "nothing", "`{cell}` is no reply");
    lines.iter().flat_map(|line| expanded(&format!("{line}\\r\\n"))).collect()
}

pub(crate) fn fate_of(cell: &str) -> Fate {
    match cell {
        "open" => Fate::Open,
        "waiting" => Fate::Waiting,
        "closed" => Fate::Closed,
        other => panic!("{PAGE}: `{other}` is no state of a connection"),
    }
}

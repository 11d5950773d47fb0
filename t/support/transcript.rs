//! Transcripts: what a client sends, and what the server must answer, byte for byte.
//!
//! ```text
//! $ -M -m 64              flags of the server (first line, optional)
//! C: get {250*k}          sent, with CRLF behind it; {250*k} is 250 times `k`
//! c: half a li            sent as it stands; `c:` is also the way to send a line that ends with LF only (`\n`)
//! S: VALUE k 0 1 {cas}    must come, with CRLF; {cas} is any number, remembered under its name
//! C: cas k 0 0 1 {cas}    and sent back by that name
//! S: STAT pid {*}         {*} is anything up to the line end
//! C: set a 0 {now+60} 1   the wall clock, in seconds since 1970, plus 60
//! close                   the server closes without another byte
//! ```
//!
//! Escapes are `\r \n \0 \\ \xNN`. When a transcript does not end with `close`, the server must have said nothing more.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::thread;

use super::client::Client;
use super::server::Server;

/// How the bytes of a transcript travel. The answers must not depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivery {
    /// Each line alone, its answer awaited before the next.
    LineByLine,
    ByteByByte,
    OnePacket,
}

impl Delivery {
    pub(crate) const ALL: [Delivery; 3] = [Delivery::LineByLine, Delivery::ByteByByte, Delivery::OnePacket];
}

pub(crate) struct Transcript {
    pub(crate) flags: Vec<String>,
    steps: Vec<Step>,
}

enum Step {
    Send(Vec<Piece>),
    Expect(Vec<Piece>),
    Closed,
}

enum Piece {
    Bytes(Vec<u8>),
    Number(String),
    Anything,
}

const RUN_EDGE_BYTES: usize = 300;
/// Not a divisor of any buffer size, so that the cuts fall everywhere.
const RUN_STRIDE_BYTES: usize = 4099;

type Numbers = HashMap<String, String>;

/// Plays `script` against servers of its own, once per delivery; panics with all that differed.
pub(crate) fn play_in_every_delivery(script: &str) {
    let transcript = Transcript::parse(script);
    let mut faults = String::new();
    for delivery in Delivery::ALL {
        let flags: Vec<&str> = transcript.flags.iter().map(String::as_str).collect();
        let server = Server::start(&flags);
        if let Err(fault) = transcript.play(&mut server.client(), delivery) {
            faults += &format!("\n{delivery:?}: {fault}");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

impl Transcript {
    pub(crate) fn parse(script: &str) -> Self {
        let mut transcript = Transcript { flags: Vec::new(), steps: Vec::new() };
        for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            let (mark, text) = line.split_at_checked(2).expect("a transcript line starts with its mark");
            let text = text.strip_prefix(' ').unwrap_or(text);
            let steps = &mut transcript.steps;
            match mark {
                "$ " => transcript.flags = text.split_whitespace().map(str::to_string).collect(),
                "C:" => steps.push(Step::Send(pieces(text, b"\r\n"))),
                "c:" => steps.push(Step::Send(pieces(text, b""))),
                "S:" => steps.push(Step::Expect(pieces(text, b"\r\n"))),
                "s:" => steps.push(Step::Expect(pieces(text, b""))),
                "cl" if line == "close" => steps.push(Step::Closed),
                _ => panic!("no transcript line starts like `{line}`"),
            }
        }
        transcript
    }

    /// Plays the conversation over `client`. The error names the step and the server's reply.
    pub(crate) fn play(&self, client: &mut Client, delivery: Delivery) -> Result<(), String> {
        let mut numbers = Numbers::new();
        let mut from = 0;
        while from < self.steps.len() {
            let act = from..self.end_of_act(from, delivery, &numbers);
            from = act.end;
            self.send(act.clone(), client, delivery, &numbers)?;
            for at in act {
                let step = &self.steps[at];
                step.check(client, &mut numbers).map_err(|e| format!("step {}, {step}:\n{e}", at + 1))?;
            }
        }
        match self.steps.last() {
            Some(Step::Closed) => Ok(()),
            _ => expect_nothing_more(client),
        }
    }

    /// Where sending has to stop: before an answer, or before a number that only an answer contains.
    fn end_of_act(&self, from: usize, delivery: Delivery, numbers: &Numbers) -> usize {
        let mut answered = false;
        let stop = self.steps[from..].iter().enumerate().position(|(nth, step)| match step {
            Step::Send(pieces) => match delivery {
                Delivery::LineByLine => answered,
                Delivery::ByteByByte | Delivery::OnePacket => nth > 0 && bytes_of(pieces, numbers).is_none(),
            },
            Step::Expect(_) | Step::Closed => {
                answered = true;
                false
            }
        });
        stop.map_or(self.steps.len(), |stop| from + stop)
    }

    fn send(
        &self,
        act: Range<usize>,
        client: &mut Client,
        delivery: Delivery,
        numbers: &Numbers,
    ) -> Result<(), String> {
        let mut packet = Vec::new();
        for step in &self.steps[act] {
            let Step::Send(pieces) = step else { continue };
            packet.extend(bytes_of(pieces, numbers).ok_or_else(|| format!("{step}: a number that no reply had"))?);
            if let Delivery::LineByLine = delivery {
                // Ignored, here and below: a server may close early; the steps to come say whether it was right to.
                let _ = client.try_send(&std::mem::take(&mut packet));
            }
        }
        match delivery {
            Delivery::LineByLine => {}
            Delivery::OnePacket => drop(client.try_send(&packet)),
            Delivery::ByteByByte => {
                for part in bytewise(&packet) {
                    drop(client.try_send(part));
                    thread::yield_now();
                }
            }
        }
        Ok(())
    }
}

impl Step {
    fn check(&self, client: &mut Client, numbers: &mut Numbers) -> Result<(), String> {
        match self {
            Step::Send(_) => Ok(()),
            Step::Closed => match client.read_to_close() {
                Ok(rest) if rest.is_empty() => Ok(()),
                Ok(rest) => Err(format!("before closing came `{}`", rest.escape_ascii())),
                Err(e) => Err(format!("the server does not close: {e}")),
            },
            Step::Expect(pieces) => match bytes_of(pieces, numbers) {
                Some(bytes) => client.try_expect(&bytes),
                None => {
                    let line = client.read_line().map_err(|e| e.to_string())?;
                    matched(pieces, &line, numbers).ok_or_else(|| format!("got `{}`", line.escape_ascii()))
                }
            },
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, pieces) = match self {
            Step::Send(pieces) => ("C: ", pieces),
            Step::Expect(pieces) => ("S: ", pieces),
            Step::Closed => return out.write_str("close"),
        };
        out.write_str(mark)?;
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => write!(out, "{}", bytes.escape_ascii())?,
                Piece::Number(name) => write!(out, "{{{name}}}")?,
                Piece::Anything => out.write_str("{*}")?,
            }
        }
        Ok(())
    }
}

/// Single bytes, except inside a long run of the same byte, where all cuts are alike.
pub(crate) fn bytewise(packet: &[u8]) -> impl Iterator<Item = &[u8]> {
    packet.chunk_by(|one, next| one == next).flat_map(|run| {
        let edge = run.len().min(RUN_EDGE_BYTES);
        let (head, rest) = run.split_at(edge);
        let (middle, tail) = rest.split_at(rest.len().saturating_sub(RUN_EDGE_BYTES));
        head.chunks(1).chain(middle.chunks(RUN_STRIDE_BYTES)).chain(tail.chunks(1))
    })
}

fn expect_nothing_more(client: &mut Client) -> Result<(), String> {
    // Ignored: when sending fails, reading says why.
    let _ = client.try_send(b"version\r\n");
    match client.read_line() {
        Ok(line) if line.starts_with(b"VERSION ") => Ok(()),
        Ok(line) => Err(format!("after the last line came `{}`", line.escape_ascii())),
        Err(e) => Err(format!("after the last line: {e}")),
    }
}

/// The bytes of a line, when every number in it is known.
fn bytes_of(pieces: &[Piece], numbers: &Numbers) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(fixed) => bytes.extend(fixed),
            Piece::Number(name) => bytes.extend(numbers.get(name)?.as_bytes()),
            Piece::Anything => return None,
        }
    }
    Some(bytes)
}

/// Compares a received line piece by piece, and remembers its numbers.
fn matched(pieces: &[Piece], line: &[u8], numbers: &mut Numbers) -> Option<()> {
    let mut rest = line;
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => rest = rest.strip_prefix(bytes.as_slice())?,
            Piece::Number(name) => {
                let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let (number, after) = rest.split_at(len);
                let number = String::from_utf8(number.to_vec()).ok().filter(|digits| !digits.is_empty())?;
                let known = numbers.entry(name.clone()).or_insert_with(|| number.clone());
                rest = (*known == number).then_some(after)?;
            }
            Piece::Anything => rest = rest.strip_suffix(b"\r\n").map(|_| b"\r\n".as_slice())?,
        }
    }
    rest.is_empty().then_some(())
}

fn pieces(text: &str, line_end: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((plain, braced)) = rest.split_once('{') {
        let (inside, after) = braced.split_once('}').expect("a brace in a transcript is closed");
        pieces.push(Piece::Bytes(unescaped(plain)));
        pieces.push(braced_piece(inside));
        rest = after;
    }
    let mut last = unescaped(rest);
    last.extend(line_end);
    pieces.push(Piece::Bytes(last));
    pieces
}

/// The bytes of a text without numbers from a server.
pub(crate) fn expanded(text: &str) -> Vec<u8> {
    bytes_of(&pieces(text, b""), &Numbers::new()).unwrap_or_else(|| panic!("`{text}` names an unknown number"))
}

fn braced_piece(inside: &str) -> Piece {
    if inside == "*" {
        return Piece::Anything;
    }
    if let Some(offset) = inside.strip_prefix("now") {
        let offset: i64 = offset.parse().expect("`now` is followed by a signed number of seconds");
        return Piece::Bytes((wall_clock_s() + offset).to_string().into_bytes());
    }
    match inside.split_once('*') {
        Some((count, text)) => Piece::Bytes(unescaped(text).repeat(count.parse().expect("a count stands before `*`"))),
        None => Piece::Number(inside.to_string()),
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(quote @ (b'"' | b'\'')) => quote,
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).expect("two hex digits follow `\\x`")
            }
            other => panic!("`{text}` has an escape of {other:?}"),
        });
    }
    bytes
}

#[expect(clippy::disallowed_methods, reason = "a client's idea of the time is the wall clock")]
fn wall_clock_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("seconds fit for 292 billion years")
}

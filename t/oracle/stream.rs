//! Random streams of commands, valid and broken, from a seed.
//!
//! ```text
//! Stream ──▶ Batch ──▶ Batch ──▶ ...      one connection and one delivery each
//!              └─ Command, Command ...    a line and, behind stores, data; one in four is broken on purpose
//! ```
//!
//! Few keys, so that commands meet. Times to live are never, long, or over: nothing depends on the hour.

use std::fmt;

use super::differences::{self, Tally};
use super::random::Random;
use super::support::client::shown;

/// Connections a stream is spread over.
pub(crate) const CONNECTIONS: usize = 3;

const BATCH_COMMANDS_MAX: usize = 24;
/// A line that a server may see without its end must stay below the length that closes a connection.
const BROKEN_LEN_MAX: usize = 600;
/// Maximum number of bytes that a broken store may need beyond its data.
const DEFICIT_MAX: i128 = 200;
/// A store that announces more than this takes no data at all.
const ANNOUNCED_MAX: i128 = 0x7fff_ffff - 2;

/// What follows an open end. No empty line, of which a value of blanks only could be made.
pub(crate) const PADDING: &[u8] = b".\r\nget k1\r\nversion\r\n";

const STORAGE_VERBS: [&str; 6] = ["set", "add", "replace", "append", "prepend", "cas"];
const RETRIEVAL_VERBS: [&str; 4] = ["get", "gets", "gat", "gats"];
const FLAGS: [&str; 6] = ["0", "0", "0", "1", "42", "4294967295"];
pub(super) const TIMES: [&str; 14] = [
    "0",
    "0",
    "0",
    "0",
    "0",
    "0",
    "100000",
    "2592000",
    "2592001",
    "2000000000",
    "-1",
    "-100",
    "00000100000",
    "000000100000",
];
pub(super) const NUMBERS: [&str; 17] = [
    "0",
    "1",
    "5",
    "9",
    "10",
    "99",
    "100",
    "1000",
    "18446744073709551614",
    "18446744073709551615",
    "4294967295",
    "9223372036854775807",
    "007",
    "12345678901234567890",
    "0000000000000000000005",
    "00000000000000000000005",
    "000000000000000000000",
];
const VALUES: [&str; 14] =
    ["", "x", " 5", "5 ", "5x", "+5", "-5", "5 6", "0x10", "18446744073709551616", "\r\nx", "END\r\n", "1.5", "00"];
const BAD_WORDS: [&str; 26] = [
    "-1",
    "-0",
    "+5",
    "abc",
    "1.5",
    "0x10",
    "99999999999999999999",
    "18446744073709551616",
    "4294967296",
    "2147483648",
    "2147483646",
    "-2147483649",
    "1e3",
    "5x",
    "noreply",
    "NOREPLY",
    "0",
    "00",
    "00000000000",
    "000000000000",
    "-0000000000",
    "-00000000000",
    "\0",
    "\t",
    "\u{ff}",
    "-",
];
/// Commands that may stand inside data, and are executed when a refused store leaves its data unread.
const HARMLESS_LINES: [&str; 5] = ["version", "touch k1 0", "touch k2 -1", "junk", "verbosity 0"];

#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) commands: Vec<Command>,
    pub(crate) connection: usize,
    pub(crate) delivery: Cuts,
    pub(crate) ending: Ending,
    /// Number of `PADDING`s behind the last command, for a store that needs more data than it has.
    pub(crate) padding: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Open,
    ClosedByServer,
    ClosedByClient,
}

/// Where a packet is cut on its way.
#[derive(Clone, Debug)]
pub(crate) enum Cuts {
    Nowhere,
    Everywhere,
    /// At these thousandths of its length.
    At(Vec<usize>),
}

#[derive(Clone)]
pub(crate) struct Command {
    pub(super) line: Vec<u8>,
    line_end: &'static [u8],
    /// Stands for `UNIQUE` in the line: the unique number seen this many values ago.
    pub(super) unique_back: Option<usize>,
    pub(super) data: Vec<u8>,
    intact: bool,
}

/// Where a command's unique number stands in its line.
pub(super) const UNIQUE: &[u8] = b"{unique}";

impl Cuts {
    pub(crate) fn parts<'a>(&self, packet: &'a [u8]) -> Vec<&'a [u8]> {
        match self {
            Cuts::Nowhere => vec![packet],
            Cuts::Everywhere => packet.chunks(1).collect(),
            Cuts::At(thousandths) => {
                let mut from = 0;
                let ends = thousandths.iter().map(|place| packet.len() * place / 1000).chain([packet.len()]);
                let parts = ends.map(|end| &packet[std::mem::replace(&mut from, end)..end]);
                parts.filter(|part| !part.is_empty()).collect()
            }
        }
    }
}

impl Command {
    pub(super) fn of_line(line: impl Into<Vec<u8>>) -> Self {
        Command { line: line.into(), line_end: b"\r\n", unique_back: None, data: Vec::new(), intact: true }
    }

    /// A line, and the data that follows it.
    pub(crate) fn with_data(line: impl Into<Vec<u8>>, data: &[u8]) -> Self {
        Command { data: data.to_vec(), ..Command::of_line(line) }
    }

    /// The bytes for the server whose unique numbers `recent` returns.
    pub(crate) fn bytes(&self, recent: impl Fn(usize) -> u64) -> Vec<u8> {
        let mut bytes = match self.unique_back {
            Some(back) => {
                let at = self.line.windows(UNIQUE.len()).position(|window| window == UNIQUE);
                let (before, after) = self.line.split_at(at.expect("its line has the place for it"));
                [before, recent(back).to_string().as_bytes(), &after[UNIQUE.len()..]].concat()
            }
            None => self.line.clone(),
        };
        bytes.extend(self.line_end);
        bytes.extend(&self.data);
        bytes
    }

    /// The words of the line; never none.
    pub(crate) fn words(&self) -> Vec<&[u8]> {
        let mut words: Vec<&[u8]> = self.line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            words.push(b"");
        }
        words
    }

    pub(crate) fn starts_with_small_letter(&self) -> bool {
        self.line.first().is_some_and(u8::is_ascii_lowercase)
    }

    pub(crate) fn starts_with_blank(&self) -> bool {
        self.line.starts_with(b" ")
    }

    /// The word at `index`, when it is a number.
    pub(crate) fn number(&self, index: usize) -> Option<i128> {
        std::str::from_utf8(self.words().get(index)?).ok()?.parse().ok()
    }

    /// The words that stand where numbers do.
    pub(crate) fn numbers(&self) -> Vec<&[u8]> {
        let words = self.words();
        let places = match words[0] {
            b"get" | b"gets" => 0..0,
            b"gat" | b"gats" => 1..2,
            b"incr" | b"decr" | b"touch" | b"delete" => 2..words.len(),
            b"ms" => 2..3,
            // Numbers behind the letters of flags are digits only.
            _ if self.is_meta() => 0..0,
            _ if self.is_storage() => 2..words.len(),
            _ => 1..words.len(),
        };
        words.get(places).unwrap_or_default().to_vec()
    }

    /// The times to live it gives.
    pub(crate) fn exptimes(&self) -> impl Iterator<Item = i128> {
        let (one, other) = match self.words()[0] {
            b"gat" | b"gats" => (self.number(1), None),
            b"touch" => (self.number(2), None),
            _ if self.is_storage() => (self.number(3), None),
            _ => (self.flag_number(b'T'), self.flag_number(b'N')),
        };
        one.into_iter().chain(other)
    }

    /// The time a flush waits.
    pub(crate) fn flush_delay(&self) -> Option<i128> {
        if self.words()[0] == b"flush_all" { self.number(1) } else { None }
    }

    pub(crate) fn is_storage(&self) -> bool {
        STORAGE_VERBS.iter().any(|verb| verb.as_bytes() == self.words()[0])
    }

    pub(crate) fn is_retrieval(&self) -> bool {
        RETRIEVAL_VERBS.iter().any(|verb| verb.as_bytes() == self.words()[0])
    }

    /// Whether it keeps a reference to an item until its reply is sent.
    pub(crate) fn holds_item(&self) -> bool {
        self.is_retrieval() || self.words()[0] == b"mg"
    }

    pub(crate) fn is_arith(&self) -> bool {
        matches!(self.words()[0], b"incr" | b"decr" | b"ma")
    }

    /// Whether its data is there and holds nothing but blanks and line ends.
    pub(crate) fn data_is_blank(&self) -> bool {
        self.data.len() > 2 && self.data.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether an `ms` brings the data that it announces.
    pub(crate) fn has_whole_data(&self) -> bool {
        let announced = self.number(2).and_then(|len| usize::try_from(len).ok());
        self.data.strip_suffix(b"\r\n").map(<[u8]>::len) == announced
    }

    fn len(&self) -> usize {
        self.line.len() + self.data.len()
    }

    /// Bytes of data it asks for and does not bring.
    fn deficit(&self) -> i128 {
        let announced = match self.words()[0] {
            b"ms" => self.number(2),
            _ if self.is_storage() => self.number(4),
            _ => None,
        };
        let announced = announced.filter(|len| (0..=ANNOUNCED_MAX).contains(len));
        announced.map_or(0, |announced| announced + 2 - self.data.len() as i128)
    }

    /// Number of `PADDING`s that must follow it. `None`: it needs too much data.
    pub(crate) fn padding(&self) -> Option<usize> {
        if self.deficit() > DEFICIT_MAX {
            return None;
        }
        let missing = usize::try_from(self.deficit().max(0)).unwrap_or(0);
        Some(if self.is_open_ended() { 1 + missing / PADDING.len() } else { 0 })
    }

    /// Whether the bytes behind it may not be read as a line of their own.
    fn is_open_ended(&self) -> bool {
        self.deficit() > 0 || !self.data.is_empty() && !self.data.ends_with(b"\n")
    }
}

impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = self.unique_back.map_or(String::new(), |back| format!("   ({back} values ago)"));
        write!(out, "{}{} {}{back}", shown(&self.line), shown(self.line_end), shown(&self.data))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Ending::Open => "the sentinel",
            Ending::ClosedByServer => "the server's close",
            Ending::ClosedByClient => "the close after ours",
        })
    }
}

pub(crate) struct Stream {
    pub(super) random: Random,
    keys: Vec<Vec<u8>>,
    kind: Kind,
}

/// What a stream consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Classic,
    /// Meta commands, and some classic ones between them.
    Meta,
}

impl Stream {
    pub(crate) fn new(seed: u64, kind: Kind) -> Self {
        let mut keys: Vec<Vec<u8>> = (0..12).map(|n| format!("k{n}").into_bytes()).collect();
        let odd: [&[u8]; 6] = [b"0", b"noreply", b"a\0b", b"\x01\x7f\x80\xff", b"tab\tkey", b"VALUE"];
        keys.extend(odd.map(<[u8]>::to_vec));
        keys.extend([vec![b'x'; 250], vec![b'y'; 249]]);
        Stream { random: Random::with_seed(seed), keys, kind }
    }

    pub(crate) fn next_batch(&mut self, tally: &mut Tally) -> Batch {
        let connection = self.random.below(CONNECTIONS);
        if self.random.once_in(150) {
            let (ending, command) = self.last_words();
            let delivery = Cuts::Nowhere;
            return Batch { commands: vec![command], connection, delivery, ending, padding: 0 };
        }
        let mut commands: Vec<Command> = Vec::new();
        let mut padding = 0;
        for _ in 0..=self.random.below(BATCH_COMMANDS_MAX) {
            let command = self.command();
            let Some(needed) = command.padding() else { continue };
            if differences::is_avoided(&command, &commands, tally) {
                continue;
            }
            commands.push(command);
            if needed > 0 {
                // It may consume a part of the next line, so the next lines must be ones that may be cut.
                padding = needed;
                break;
            }
        }
        let bytes: usize = commands.iter().map(Command::len).sum();
        Batch { commands, connection, delivery: self.cuts(bytes), ending: Ending::Open, padding }
    }

    fn cuts(&mut self, bytes: usize) -> Cuts {
        match self.random.below(10) {
            0 if bytes < 600 => Cuts::Everywhere,
            0..=3 => {
                let count = 1 + self.random.below(4);
                let mut places: Vec<usize> = (0..count).map(|_| self.random.below(1000)).collect();
                places.sort_unstable();
                Cuts::At(places)
            }
            _ => Cuts::Nowhere,
        }
    }

    /// What ends a connection.
    fn last_words(&mut self) -> (Ending, Command) {
        let junk = self.random.below(20_000);
        let broken = |line: Vec<u8>| Command { line_end: b"", ..Command::of_line(line) };
        match self.random.below(6) {
            0 => (Ending::ClosedByServer, Command::of_line("quit")),
            1 => (Ending::ClosedByServer, Command::of_line("quit now please")),
            2 => (Ending::ClosedByServer, Command::of_line("GET / HTTP/1.1")),
            3 => (Ending::ClosedByServer, broken(vec![b'j'; 3000 + junk])),
            4 => (Ending::ClosedByClient, broken(b"set k1 0 0 10\r\nabc".to_vec())),
            _ => (Ending::ClosedByClient, broken(b"get k".to_vec())),
        }
    }

    fn command(&mut self) -> Command {
        let is_meta = matches!(self.kind, Kind::Meta) && !self.random.once_in(5);
        let mut command = match self.random.below(100) {
            _ if is_meta => self.meta_command(),
            0..35 => self.store(),
            35..65 => self.retrieval(),
            65..80 => self.arith(),
            80..88 => self.with_key("delete", &["", "", "", " 0", " noreply", " 0 noreply", " noreplY", " x noreply"]),
            88..94 => self.touch(),
            94 => {
                Command::of_line(self.random.pick(&["flush_all", "flush_all 0", "flush_all -1", "flush_all noreply"]))
            }
            _ => Command::of_line(self.random.pick(&ADMIN_LINES)),
        };
        if self.random.once_in(4) {
            self.break_it(&mut command);
        }
        command
    }

    fn byte(&mut self) -> u8 {
        self.random.next().to_le_bytes()[0]
    }

    pub(super) fn key(&mut self) -> Vec<u8> {
        let at = self.random.below(self.keys.len());
        self.keys[at].clone()
    }

    fn with_key(&mut self, verb: &str, endings: &[&str]) -> Command {
        let key = self.key();
        Command::of_line([verb.as_bytes(), b" ", &key, self.random.pick(endings).as_bytes()].concat())
    }

    fn noreply(&mut self) -> &'static str {
        if self.random.once_in(6) { " noreply" } else { "" }
    }

    fn store(&mut self) -> Command {
        let verb = self.random.pick(&STORAGE_VERBS);
        let mut data = self.value();
        let (flags, time, len) = (self.random.pick(&FLAGS), self.random.pick(&TIMES), data.len());
        let mut command = self.with_key(verb, &[""]);
        command.line.extend(format!(" {flags} {time} {len}").bytes());
        if verb == "cas" {
            command.unique_back = Some(self.random.below(4));
            command.line.push(b' ');
            command.line.extend(UNIQUE);
        }
        command.line.extend(self.noreply().bytes());
        data.extend(b"\r\n");
        command.data = data;
        command
    }

    pub(super) fn value(&mut self) -> Vec<u8> {
        let len = match self.random.below(400) {
            // Of meta commands none above 512 KiB (differences.rs).
            0 => self.random.below(if matches!(self.kind, Kind::Meta) { 500_000 } else { 900_000 }),
            1..10 => self.random.below(20_000),
            10..60 => self.random.below(1500),
            60..160 => return self.random.pick(&NUMBERS).into(),
            160..260 => return self.random.pick(&VALUES).into(),
            260..280 => return self.random.pick(&HARMLESS_LINES).into(),
            _ => self.random.below(12),
        };
        // Letters up to l: a part that is taken for a line is no meta command, which would be another protocol's.
        (0..len).map(|_| b'a' + self.byte() % 12).collect()
    }

    fn retrieval(&mut self) -> Command {
        let verb = self.random.pick(&RETRIEVAL_VERBS);
        let renews = verb.starts_with("gat");
        let mut line = verb.as_bytes().to_vec();
        if renews {
            line.extend(format!(" {}", self.random.pick(&TIMES)).bytes());
        }
        let count = if !renews && self.random.once_in(40) { 200 } else { 1 + self.random.below(4) };
        for _ in 0..count {
            line.push(b' ');
            line.extend(self.key());
        }
        Command::of_line(line)
    }

    fn arith(&mut self) -> Command {
        let verb = self.random.pick(&["incr", "decr"]);
        let mut command = self.with_key(verb, &[" "]);
        command.line.extend(self.random.pick(&NUMBERS).bytes());
        command.line.extend(self.noreply().bytes());
        command
    }

    fn touch(&mut self) -> Command {
        let mut command = self.with_key("touch", &[" "]);
        command.line.extend(self.random.pick(&TIMES).bytes());
        command.line.extend(self.noreply().bytes());
        command
    }

    /// Spoils a line or its data. Long ones are spared: cut short of its end, a long line closes the connection.
    fn break_it(&mut self, command: &mut Command) {
        if command.line.is_empty() || command.len() > BROKEN_LEN_MAX {
            return;
        }
        command.intact = false;
        if let Some(at) = command.line.windows(UNIQUE.len()).position(|window| window == UNIQUE) {
            command.unique_back = None;
            command.line.splice(at..at + UNIQUE.len(), *b"1");
        }
        match self.random.below(4) {
            0 => self.break_data(command),
            1 => self.break_bytes(command),
            _ => self.break_words(command),
        }
    }

    fn break_data(&mut self, command: &mut Command) {
        let data = &mut command.data;
        let text_len = data.len().saturating_sub(2);
        match self.random.below(6) {
            0 => data.truncate(text_len),
            1 => {
                data.truncate(text_len);
                data.push(b'\n');
            }
            2 => data.truncate(text_len / 2),
            3 => data.splice(text_len..text_len, *b"more").for_each(drop),
            4 => data.splice(text_len.., *b"\n\r").for_each(drop),
            _ => data.clear(),
        }
    }

    fn break_bytes(&mut self, command: &mut Command) {
        let line = &mut command.line;
        match self.random.below(7) {
            0 => line.make_ascii_uppercase(),
            1 => line.insert(0, b' '),
            2 => command.line_end = b"\n",
            3 => line.push(b'\r'),
            4 => line.extend(b"  "),
            5 => {
                let len = self.random.below(60);
                *line = (0..len).map(|_| self.byte()).filter(|byte| *byte != b'\n').collect();
            }
            _ => {
                let at = self.random.below(line.len());
                line[at] = Some(self.byte()).filter(|byte| *byte != b'\n').unwrap_or(b' ');
            }
        }
    }

    fn break_words(&mut self, command: &mut Command) {
        let mut words: Vec<Vec<u8>> = command.words().into_iter().map(<[u8]>::to_vec).collect();
        let at = self.random.below(words.len());
        match self.random.below(8) {
            0 => drop(words.remove(at)),
            1 => words.insert(at, words[at].clone()),
            2..=4 => words[at] = self.random.pick(&BAD_WORDS).into(),
            5 => words.truncate(at),
            6 => words.extend((0..=self.random.below(3)).map(|_| self.random.pick(&BAD_WORDS).into())),
            _ => words[at] = vec![b'z'; 251],
        }
        let blanks = if self.random.once_in(4) { "   " } else { " " };
        command.line = words.join(blanks.as_bytes());
    }
}

/// Lines without a key whose answers are the same on every server.
const ADMIN_LINES: [&str; 23] = [
    "version",
    "version now",
    "verbosity 0",
    "verbosity 0 noreply",
    "verbosity",
    "verbosity abc",
    "stats nothing",
    "stats detail nothing",
    "stats cachedump 63 0",
    "stats cachedump 128 0",
    "stats cachedump",
    "cache_memlimit",
    "cache_memlimit 1024",
    "cache_memlimit 7",
    "slabs",
    "slabs automove 0",
    "slabs automove x",
    "shutdown",
    "stats detail on",
    "stats detail off",
    "stats reset",
    "stats settings",
    "",
];

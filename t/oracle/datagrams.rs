//! Random datagrams for both servers: commands of the other streams, with headers that are right or broken.
//!
//! A question follows each datagram, from the same socket. When its reply comes, all replies to the datagram have come,
//! since each server has one worker. A socket holds a hundred datagrams, so the replies to one have fewer.

use std::fmt::Write as _;

use super::binary;
use super::differences::{self, Tally};
use super::duel::{FLAGS, THEIR_FLAGS, draw_first_uniques};
use super::memcached;
use super::packets;
use super::random::Random;
use super::replies::{self, Reply, Uniques};
use super::stream::{Command, Ending, Kind, PADDING, Stream};
use super::support::datagrams::ReplyPart;
use super::support::packet::Reply as PacketReply;
use super::support::{DatagramClient, Server, datagram};

const QUESTION: &[u8] = b"mn\r\n";
/// Larder's bound of replies is no rule of memcached.
const OUR_FLAGS: &[&str] = &["-U", "-1", "-o", "udp_reply_max=16m"];
/// Limits of a datagram, so that its replies fit the client's buffer: keys to fetch, and the length of a value.
const KEYS_MAX: usize = 12;
const VALUE_LEN_MAX: usize = 6000;
/// Values that are joined to others are short, so that these remain short.
const JOINED_LEN_MAX: usize = 60;
const ID: u16 = 7;

/// What is sent to both servers.
pub(super) struct Datagram {
    header: Header,
    body: Body,
}

enum Body {
    Lines {
        commands: Vec<Command>,
        padding: usize,
    },
    Packets(binary::Batch),
    /// Bytes of a command that both ignore.
    Rest(&'static [u8]),
}

#[derive(Clone, Copy, Debug)]
enum Header {
    Right,
    /// The number of datagrams.
    Total(u16),
    /// Another sequence number than 0.
    Sequence(u16),
    /// The header ends after this many bytes.
    Short(usize),
}

pub(super) struct DatagramStream {
    random: Random,
    classic: Stream,
    meta: Stream,
}

struct Side {
    /// Runs as long as the client is used.
    _server: Server,
    client: DatagramClient,
    uniques: Uniques,
}

/// Both servers, asked the same.
struct Pair {
    ours: Side,
    theirs: Side,
}

/// A pair for lines and one for packets: differences.rs says why they are not mixed.
pub(super) struct DatagramDuel {
    of_lines: Pair,
    of_packets: Pair,
}

impl DatagramStream {
    pub(super) fn new(seed: u64) -> Self {
        let [classic, meta] = [Kind::Classic, Kind::Meta].map(|kind| Stream::new(seed, kind));
        Self { random: Random::with_seed(seed), classic, meta }
    }

    pub(super) fn next(&mut self, tally: &mut Tally) -> Datagram {
        let header = match self.random.below(60) {
            0 => Header::Total(*self.random.pick(&[&0, &2, &256, &u16::MAX])),
            1 => Header::Short(self.random.below(9)),
            2 => Header::Sequence(*self.random.pick(&[&1, &256, &u16::MAX])),
            _ => Header::Right,
        };
        if matches!(header, Header::Sequence(_)) {
            // memcached executes the commands, so they change nothing.
            return Datagram { header, body: Body::Rest(b"version\r\n") };
        }
        let body = match self.random.below(10) {
            0 => Body::Rest(self.random.pick(&[&b"get k1"[..], b"", b"gat 0", b"version", b"mg k1 v", b"\x80"])),
            1 | 2 => Body::Packets(packets::next_small_batch(&mut self.random, VALUE_LEN_MAX, tally)),
            3..6 => lines(&mut self.meta, tally),
            _ => lines(&mut self.classic, tally),
        };
        Datagram { header, body }
    }
}

/// The commands of one batch that fit a datagram.
fn lines(stream: &mut Stream, tally: &mut Tally) -> Body {
    loop {
        let mut batch = stream.next_batch(tally);
        if !matches!(batch.ending, Ending::Open) {
            continue;
        }
        let (mut keys, total) = (0, batch.commands.len());
        batch.commands.retain(|command| fits(command, &mut keys, tally));
        if batch.padding > 0 && batch.commands.len() < total {
            // The padding is for the last command, which may be gone.
            continue;
        }
        while batch.commands.first().is_some_and(|command| !command.starts_with_small_letter()) {
            tally.count(differences::DATAGRAM_FIRST_BYTE);
            batch.commands.remove(0);
        }
        if batch.padding > 0 {
            tally.count(differences::DATAGRAM_VALUE);
        }
        if !batch.commands.is_empty() {
            return Body::Lines { commands: batch.commands, padding: batch.padding };
        }
    }
}

/// Whether a command may be a part of a datagram, given the number of its keys so far.
fn fits(command: &Command, keys: &mut usize, tally: &mut Tally) -> bool {
    if command.words()[0] == b"shutdown" {
        tally.count(differences::DATAGRAM_SHUTDOWN);
        return false;
    }
    let joins = command.is_storage() && matches!(command.words()[0], b"append" | b"prepend")
        || command.words()[0] == b"ms" && command.has_flag(b'M');
    if command.is_retrieval() {
        *keys += command.words().len();
    }
    *keys <= KEYS_MAX && command.data.len() <= if joins { JOINED_LEN_MAX } else { VALUE_LEN_MAX }
}

impl DatagramDuel {
    pub(super) fn start() -> Self {
        Self { of_lines: Pair::start(), of_packets: Pair::start() }
    }

    /// Sends the datagram to both servers, or says how the replies differ.
    pub(super) fn play(&mut self, sent: &Datagram, tally: &mut Tally) -> Result<(), String> {
        match sent.body {
            Body::Packets(_) => {
                tally.count(differences::DATAGRAM_GRAMMARS);
                self.of_packets.play(sent, tally)
            }
            Body::Lines { .. } | Body::Rest(_) => self.of_lines.play(sent, tally),
        }
    }
}

impl Pair {
    fn start() -> Self {
        let ours = Server::start(&[FLAGS, OUR_FLAGS].concat());
        let theirs = Server::start_program(memcached::program(), &[FLAGS, THEIR_FLAGS, &["-U", "-1"]].concat());
        Self { ours: Side::of(ours), theirs: Side::of(theirs) }
    }

    fn play(&mut self, sent: &Datagram, tally: &mut Tally) -> Result<(), String> {
        let (our_bytes, their_bytes) = (sent.bytes(&self.ours.uniques), sent.bytes(&self.theirs.uniques));
        let ours = self.ours.client.parts_before(&our_bytes, QUESTION);
        let theirs = self.theirs.client.parts_before(&their_bytes, QUESTION);
        check_framing(&ours)?;
        let theirs = without_empty(theirs, tally);
        if matches!(sent.header, Header::Sequence(_)) && !theirs.is_empty() {
            tally.count(differences::DATAGRAM_SEQUENCE);
            return if ours.is_empty() { Ok(()) } else { Err(format!("{}larder answers", sent.told())) };
        }
        if sent.has_lists() {
            tally.count(differences::DATAGRAM_LISTS);
        } else if sent.has_exact_lengths() && numbers(&ours) != numbers(&theirs) {
            return Err(format!(
                "{}numbers of datagrams\n   larder: {:?}\nmemcached: {:?}",
                sent.told(),
                numbers(&ours),
                numbers(&theirs)
            ));
        }
        let (ours, theirs) = (payloads(&ours), payloads(&theirs));
        let (ours, theirs) = match &sent.body {
            Body::Packets(_) => (self.ours.packets(&ours, &mut Tally::default()), self.theirs.packets(&theirs, tally)),
            Body::Lines { .. } | Body::Rest(_) => {
                (self.ours.lines(&ours, &mut Tally::default()), self.theirs.lines(&theirs, tally))
            }
        };
        let at = ours.iter().zip(&theirs).take_while(|(our, their)| our == their).count();
        match (ours.get(at), theirs.get(at)) {
            (None, None) => Ok(()),
            (our, their) => {
                Err(format!("{}after {at} equal replies\n   larder: {our:?}\nmemcached: {their:?}", sent.told()))
            }
        }
    }
}

impl Side {
    fn of(server: Server) -> Self {
        draw_first_uniques(&server);
        Self { client: server.datagram_client(), _server: server, uniques: Uniques::default() }
    }

    fn lines(&mut self, payloads: &[u8], tally: &mut Tally) -> Vec<String> {
        replies::parse(payloads, &mut self.uniques, tally).iter().map(Reply::to_string).collect()
    }

    fn packets(&mut self, payloads: &[u8], tally: &mut Tally) -> Vec<String> {
        let replies = PacketReply::read_all(payloads).into_iter();
        replies.filter_map(|reply| binary::shown(reply, &mut self.uniques, tally)).collect()
    }
}

/// Each reply has all its datagrams, in order, and they repeat the id.
fn check_framing(parts: &[ReplyPart]) -> Result<(), String> {
    let mut expected = 0;
    for ReplyPart { id, sequence, total, payload } in parts {
        if *id != ID || *sequence != expected || sequence >= total || payload.is_empty() {
            return Err(format!("larder sends datagram {sequence} of {total} of {id}, after {expected} others"));
        }
        expected = (sequence + 1) % total;
    }
    if expected == 0 { Ok(()) } else { Err(format!("larder's last reply ends after {expected} datagrams")) }
}

/// memcached sends a header alone for some requests that have no reply.
fn without_empty(parts: Vec<ReplyPart>, tally: &mut Tally) -> Vec<ReplyPart> {
    let (empty, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.payload.is_empty());
    empty.iter().for_each(|_| tally.count(differences::DATAGRAM_EMPTY));
    others
}

fn numbers(parts: &[ReplyPart]) -> Vec<(u16, u16)> {
    parts.iter().map(|part| (part.sequence, part.total)).collect()
}

fn payloads(parts: &[ReplyPart]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.payload.iter().copied()).collect()
}

impl Datagram {
    fn bytes(&self, uniques: &Uniques) -> Vec<u8> {
        let requests = match &self.body {
            Body::Lines { commands, padding } => {
                let mut bytes: Vec<u8> =
                    commands.iter().flat_map(|command| command.bytes(|back| uniques.recent(back))).collect();
                bytes.extend(PADDING.repeat(*padding));
                bytes
            }
            Body::Packets(batch) => batch.bytes(uniques),
            Body::Rest(bytes) => bytes.to_vec(),
        };
        match self.header {
            Header::Right => datagram(ID, 0, 1, requests),
            Header::Total(total) => datagram(ID, 0, total, requests),
            Header::Sequence(sequence) => datagram(ID, sequence, 1, requests),
            Header::Short(len) => datagram(ID, 0, 1, "")[..len.min(8)].to_vec(),
        }
    }

    /// Whether a reply of it may have several values.
    fn has_lists(&self) -> bool {
        match &self.body {
            Body::Lines { commands, padding } => {
                *padding > 0 || commands.iter().any(|command| command.is_retrieval() && command.words().len() > 2)
            }
            Body::Packets(_) | Body::Rest(_) => false,
        }
    }

    /// Whether both servers send replies of the same lengths: no CAS uniques, no statistics.
    fn has_exact_lengths(&self) -> bool {
        match &self.body {
            Body::Lines { commands, .. } => commands
                .iter()
                .all(|command| !command.is_meta() && ![&b"gets"[..], b"gats", b"stats"].contains(&command.words()[0])),
            Body::Packets(_) => false,
            Body::Rest(_) => true,
        }
    }

    fn told(&self) -> String {
        let mut text = format!("{:?}\n", self.header);
        match &self.body {
            Body::Lines { commands, padding } => {
                for command in commands {
                    writeln!(text, "  {command}").expect("strings take text");
                }
                writeln!(text, "  padding: {padding}").expect("strings take text");
            }
            Body::Packets(batch) => text += &batch.told(),
            Body::Rest(bytes) => writeln!(text, "  {}", bytes.escape_ascii()).expect("strings take text"),
        }
        text
    }

    /// Requests that it has.
    pub(super) fn requests(&self) -> usize {
        match &self.body {
            Body::Lines { commands, .. } => commands.len(),
            Body::Packets(batch) => batch.len(),
            Body::Rest(_) => 1,
        }
    }
}

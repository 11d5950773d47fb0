//! Random packets of the binary protocol, whole and broken, for both servers.
//!
//! A batch is sent over one connection. It ends with a noop that has an opaque of its own, or with a packet that closes
//! the connection. CAS uniques are compared as ordinals of their first appearance, like those of the text protocol.

use std::fmt::Write as _;

use larder::protocol::binary::Opcode::{self, *};

use super::duel::{FLAGS, THEIR_FLAGS};
use super::memcached;
use super::random::Random;
use super::replies::Uniques;
use super::support::packet::{Packet, Reply, read_reply};
use super::support::{Client, Server};

const PACKETS_MAX: usize = 24;
/// Keys whose values begin with a letter, and keys of numbers. Numbers are not joined to anything: memcached pads a
/// number that became shorter, or does not if it has not sent the old one yet.
const DATA_KEYS: [&str; 4] = ["k1", "k2", "key with\r\nblanks", "\0\x01"];
const NUMBER_KEYS: [&str; 2] = ["n1", "n2"];
const FETCHES: [Opcode; 9] = [Get, GetQ, GetK, GetKQ, Gat, GatQ, GatK, GatKQ, Touch];
const STORES: [Opcode; 6] = [Set, SetQ, Add, AddQ, Replace, ReplaceQ];
const JOINS: [Opcode; 4] = [Append, AppendQ, Prepend, PrependQ];
const COUNTS: [Opcode; 4] = [Increment, IncrementQ, Decrement, DecrementQ];
const EXPTIMES: [u32; 6] = [0, 0, 100_000, 2_592_000, 2_592_001, u32::MAX];
/// Longer than -I at its default, whatever counts.
const TOO_LARGE: usize = (1 << 20) + 100;

/// Packets of one connection. Each has a CAS unique that the server has sent, and how many replies ago.
pub(super) struct Batch {
    packets: Vec<(Packet, Option<usize>)>,
    is_closed: bool,
    piece_len: usize,
}

/// A server and the connection to it.
struct Side {
    server: Server,
    client: Client,
    uniques: Uniques,
}

/// Both servers.
pub(super) struct PacketDuel {
    ours: Side,
    theirs: Side,
    noops: u32,
}

impl PacketDuel {
    pub(super) fn start() -> Self {
        let ours = Side::of(Server::start(FLAGS));
        let theirs = Side::of(Server::start_program(memcached::program(), &[FLAGS, THEIR_FLAGS].concat()));
        Self { ours, theirs, noops: 0 }
    }

    /// Sends the batch to both. Returns the number of its packets, or how the replies differ.
    pub(super) fn play(&mut self, batch: &Batch) -> Result<usize, String> {
        self.noops += 1;
        let (ours, theirs) = (self.ours.play(batch, self.noops), self.theirs.play(batch, self.noops));
        if ours == theirs {
            return Ok(batch.packets.len());
        }
        let story = batch.told();
        let at = ours.iter().zip(&theirs).take_while(|(our, their)| our == their).count();
        let (our, their) = (ours.get(at), theirs.get(at));
        Err(format!("{story}after {at} equal replies\n   larder: {our:?}\nmemcached: {their:?}"))
    }
}

impl Batch {
    /// The bytes for the server whose unique numbers `uniques` has.
    pub(super) fn bytes(&self, uniques: &Uniques) -> Vec<u8> {
        let with_cas = |(packet, back): &(Packet, Option<usize>)| {
            packet.clone().cas(back.map_or(0, |back| uniques.recent(back))).bytes()
        };
        self.packets.iter().flat_map(with_cas).collect()
    }

    pub(super) const fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn told(&self) -> String {
        let mut story = String::new();
        for (packet, back) in &self.packets {
            let start = &packet.bytes()[..packet.bytes().len().min(80)];
            writeln!(story, "  {} cas {back:?}", start.escape_ascii()).expect("strings take text");
        }
        story
    }
}

impl Side {
    fn of(server: Server) -> Self {
        let client = server.client();
        Self { server, client, uniques: Uniques::default() }
    }

    fn play(&mut self, batch: &Batch, noop: u32) -> Vec<String> {
        let mut bytes = batch.bytes(&self.uniques);
        let end = Packet { opaque: noop.to_be_bytes(), ..Packet::of(Noop, "") };
        if !batch.is_closed {
            bytes.extend(end.bytes());
        }
        for piece in bytes.chunks(batch.piece_len) {
            // Ignored: a server that has closed shows it by its replies.
            let _ = self.client.try_send(piece);
        }
        let replies = if batch.is_closed {
            let said = self.client.read_to_close();
            self.client = self.server.client();
            match said {
                Ok(said) => Reply::read_all(&said),
                Err(error) => return vec![format!("it does not close: {error}")],
            }
        } else {
            let mut replies = Vec::new();
            loop {
                let reply = read_reply(&mut self.client);
                if reply.opcode == Noop as u8 && reply.opaque == end.opaque {
                    break replies;
                }
                replies.push(reply);
            }
        };
        replies.into_iter().filter_map(|reply| shown(reply, &mut self.uniques)).collect()
    }
}

/// A reply in a form that both servers share. `None`: a row of statistics.
pub(super) fn shown(mut reply: Reply, uniques: &mut Uniques) -> Option<String> {
    if reply.opcode == Stat as u8 && !reply.key.is_empty() {
        return None;
    }
    let unique = (reply.cas != 0).then(|| uniques.ordinal(reply.cas));
    reply.cas = 0;
    if reply.value.first().is_some_and(u8::is_ascii_digit) && !reply.extras.is_empty() {
        // A number that became shorter is padded, or not.
        reply.value.truncate(reply.value.trim_ascii_end().len());
    }
    if reply.opcode == Version as u8 {
        reply.value.clear();
    }
    Some(format!("{:02x?} {unique:?} {}", reply.opaque, reply.show()))
}

/// The next batch.
pub(super) fn next_batch(random: &mut Random) -> Batch {
    let mut packets: Vec<(Packet, Option<usize>)> =
        (0..1 + random.below(PACKETS_MAX)).map(|_| sound_packet(random)).collect();
    let is_closed = random.once_in(8);
    if is_closed {
        packets.push((closing_packet(random), None));
    }
    let piece_len = if random.once_in(4) { 1 + random.below(100) } else { usize::MAX };
    Batch { packets, is_closed, piece_len }
}

/// The next batch for a datagram: none of its packets closes a connection or has a longer value.
pub(super) fn next_small_batch(random: &mut Random, value_len_max: usize) -> Batch {
    let packets = (0..1 + random.below(PACKETS_MAX)).map(|_| sound_packet(random));
    let packets = packets.filter(|(packet, _)| packet.value.len() <= value_len_max).collect();
    Batch { packets, is_closed: false, piece_len: usize::MAX }
}

fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len())]
}

fn sound_packet(random: &mut Random) -> (Packet, Option<usize>) {
    let is_number = random.once_in(3);
    let key = if is_number { one_of(random, &NUMBER_KEYS) } else { one_of(random, &DATA_KEYS) };
    let exptime = one_of(random, &EXPTIMES);
    let mut packet = match random.below(20) {
        0..=6 => {
            let opcode = one_of(random, &FETCHES);
            let packet = Packet::of(opcode, key);
            if opcode.extras_len() > 0 { packet.extras(exptime.to_be_bytes()) } else { packet }
        }
        7..=11 => {
            let value = if is_number { number(random).to_string().into_bytes() } else { data(random) };
            let flags = one_of(random, &[0, 0, 5, u32::MAX]);
            let extras = [flags.to_be_bytes(), exptime.to_be_bytes()].concat();
            Packet::store(one_of(random, &STORES), key, value).extras(extras)
        }
        12 | 13 if !is_number => Packet::store(one_of(random, &JOINS), key, data(random)),
        // No number is created under a key of data. Of an empty value there memcached says that it is no number before
        // it compares the CAS unique, and of others afterwards.
        12..=15 if !is_number => {
            return (Packet::arith(one_of(random, &COUNTS), key, number(random), number(random), u32::MAX), None);
        }
        12..=15 => {
            let (delta, initial) = (number(random), number(random));
            Packet::arith(one_of(random, &COUNTS), key, delta, initial, exptime)
        }
        16 | 17 => Packet::of(one_of(random, &[Delete, DeleteQ]), key),
        18 => return (rare_packet(random), None),
        _ => Packet::of(Noop, ""),
    };
    packet.opaque = u32::try_from(random.below(1 << 30)).expect("it has 30 bits").to_be_bytes();
    let is_conditional = packet.opcode != Noop as u8 && random.once_in(5);
    let back = if is_conditional { Some(random.below(4)) } else { None };
    (packet, back)
}

fn rare_packet(random: &mut Random) -> Packet {
    match random.below(9) {
        0 => Packet::of(Version, ""),
        1 => Packet::of(Flush, ""),
        2 => Packet::of(FlushQ, "").extras(""),
        3 => Packet::of(Stat, one_of(random, &["reset", "settings", "", "nonsense", "detail", "detail x"])),
        4 => Packet::of(SaslList, ""),
        5 => Packet::store(SaslAuth, "PLAIN", "\0user\0password"),
        6 => Packet::new(one_of(random, &[0x1b, 0x1f, 0x30, 0x3c, 0x40, 0x80, 0xff])),
        7 => Packet::store(one_of(random, &[Set, AddQ, Replace, Append]), "k1", vec![b'x'; TOO_LARGE]),
        _ => Packet::of(GetK, [b'k'; 250]),
    }
}

/// A packet after which a server closes. None with a key that is longer than the body: memcached waits for the key.
fn closing_packet(random: &mut Random) -> Packet {
    let opcode = one_of(random, Opcode::ALL);
    let key = if matches!(opcode, Quit | QuitQ | Flush | FlushQ | Noop | Version | SaslList) { "" } else { "k1" };
    let sound = Packet::of(opcode, key);
    match random.below(6) {
        0 => Packet { key: vec![b'k'; 251 + random.below(300)], ..sound },
        1 => sound.extras(vec![0; 1 + random.below(3)]),
        2 => Packet { body_len: Some(u32::MAX - u32::try_from(random.below(1 << 30)).expect("30 bits")), ..sound },
        3 => Packet::of(Noop, "key"),
        4 => Packet::of(one_of(random, &[Quit, QuitQ]), ""),
        _ => Packet::of(one_of(random, &[Get, GetQ, Set, Delete, Append]), ""),
    }
}

fn number(random: &mut Random) -> u64 {
    one_of(random, &[0, 1, 5, 9, 10, 99, 100, 1 << 32, u64::MAX - 1, u64::MAX])
}

/// A value that begins with a letter.
fn data(random: &mut Random) -> Vec<u8> {
    let len = match random.below(40) {
        0 => 2000 + random.below(4000),
        1 => 60_000 + random.below(20_000),
        _ => random.below(60),
    };
    (0..len).map(|index| b'a' + u8::try_from(index % 26).expect("it is below 26")).collect()
}

//! Random packets of the binary protocol, whole and broken, and which of them the accepted differences keep out.

use larder::protocol::binary::HEADER_LEN;
use larder::protocol::binary::Opcode::{self, *};

use super::binary::Batch;
use super::differences::{self, Difference, Tally};
use super::random::Random;
use super::support::packet::Packet;

const PACKETS_MAX: usize = 24;
/// Few keys, so that packets meet. Most counts are of the last two.
const DATA_KEYS: [&str; 4] = ["k1", "k2", "key with\r\nblanks", "\0\x01"];
const NUMBER_KEYS: [&str; 2] = ["n1", "n2"];
const FETCHES: [Opcode; 8] = [Get, GetQ, GetK, GetKQ, Gat, GatQ, GatK, GatKQ];
const STORES: [Opcode; 6] = [Set, SetQ, Add, AddQ, Replace, ReplaceQ];
const JOINS: [Opcode; 4] = [Append, AppendQ, Prepend, PrependQ];
const COUNTS: [Opcode; 4] = [Increment, IncrementQ, Decrement, DecrementQ];
const FLUSHES: [Opcode; 2] = [Flush, FlushQ];
/// Opcodes whose key and extras may have the wrong lengths in memcached.
const UNCHECKED: [Opcode; 6] = [Touch, Gat, GatQ, GatK, GatKQ, Stat];
const EXPTIMES: [u32; 10] =
    [0, 0, 0, 100_000, 2_592_000, 2_592_001, i32::MAX.unsigned_abs(), i32::MIN.unsigned_abs(), 60, u32::MAX];
/// The first exptime that is a negative number for both.
const NEGATIVE_MIN: u32 = u32::MAX - 2_592_000 + 1;
/// Values that are counted, or look as if they could be.
const NUMBERS: [&str; 14] = [
    "0",
    "9",
    "10",
    "99",
    "007",
    " 5",
    "5 ",
    "5x",
    "+5",
    "-5",
    "-0",
    " ",
    "18446744073709551615",
    "18446744073709551616",
];
/// Groups of statistics. The last ones are larder's, or have a form that only memcached takes.
const GROUPS: [&str; 15] = [
    "reset",
    "settings",
    "settings x",
    "",
    "items",
    "items x",
    "slabs x",
    "sizes x",
    "detail",
    "detail x",
    "detail dump",
    "nonsense",
    "conns",
    "cachedump 1 1",
    "settingsx",
];
/// Longer than -I at its default, whatever counts.
const TOO_LARGE: usize = (1 << 20) + 100;
/// The longest value before a broken packet. A server that closes before it has read all bytes loses its replies.
const SHORT_LEN_MAX: usize = 60;

/// A packet, and how many replies ago its CAS unique was sent.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) packet: Packet,
    pub(super) unique_back: Option<usize>,
}

type KeptOut = (&'static Difference, fn(&Sent, &[Sent]) -> bool);

/// What is kept out of streams. The functions see the packet and those before it in its batch.
const KEPT_OUT: [KeptOut; 11] = [
    (differences::PACKET_MAGIC, |sent, _| sent.packet.magic != Packet::new(0).magic),
    (differences::PACKET_LENGTHS, |sent, _| sent.head_len() > sent.body_len()),
    (differences::PACKET_UNKNOWN, |sent, _| sent.opcode().is_none() && sent.body_len() > 0),
    (differences::PACKET_UNCHECKED, |sent, _| {
        let unchecked = sent.opcode().filter(|opcode| UNCHECKED.contains(opcode));
        let fits = |opcode: Opcode| {
            let extras_len = sent.head_len() - sent.key_len();
            extras_len == opcode.extras_len() && sent.head_len() == sent.body_len()
        };
        unchecked.is_some_and(|opcode| !fits(opcode))
    }),
    (differences::PACKET_GROUPS, |sent, _| {
        sent.is_any(&[Stat]) && GROUPS[12..].iter().any(|group| group.as_bytes() == sent.packet.key)
    }),
    (differences::PACKET_TOO_LARGE, |sent, _| sent.unique_back.is_some() && sent.packet.value.len() >= TOO_LARGE),
    (differences::DATES, |sent, _| (i32::MIN.unsigned_abs()..NEGATIVE_MIN).contains(&sent.exptime())),
    (differences::SECONDS, |sent, _| !sent.is_any(&FLUSHES) && (1..10_000).contains(&sent.exptime())),
    (differences::FLUSHES, |sent, _| sent.is_any(&FLUSHES) && (1..NEGATIVE_MIN).contains(&sent.exptime())),
    (differences::ODD_VALUES, |sent, _| {
        let is_odd = sent.packet.value.trim_ascii().is_empty() || sent.packet.value == b"-0";
        (sent.is_any(&STORES) || sent.is_any(&JOINS)) && sent.has_number_key() && is_odd
            // Of an empty value memcached says that it is no number before it compares the CAS unique.
            || sent.is_any(&COUNTS) && !sent.has_number_key() && sent.unique_back.is_some()
    }),
    // The blanks show when something is appended.
    (differences::PADDING, |sent, _| sent.is_any(&JOINS) && sent.has_number_key()),
];

impl Sent {
    fn opcode(&self) -> Option<Opcode> {
        Opcode::from_wire(self.packet.opcode)
    }

    fn is_any(&self, opcodes: &[Opcode]) -> bool {
        self.opcode().is_some_and(|opcode| opcodes.contains(&opcode))
    }

    fn has_number_key(&self) -> bool {
        NUMBER_KEYS.iter().any(|key| key.as_bytes() == self.packet.key)
    }

    /// The length of the key, as its header says.
    fn key_len(&self) -> usize {
        self.packet.key_len.map_or(self.packet.key.len(), usize::from)
    }

    /// The length of key and extras, as its header says.
    fn head_len(&self) -> usize {
        self.key_len() + self.packet.extras_len.map_or(self.packet.extras.len(), usize::from)
    }

    /// The length of the body, as its header says.
    fn body_len(&self) -> usize {
        let Packet { extras, key, value, body_len, .. } = &self.packet;
        body_len.map_or(extras.len() + key.len() + value.len(), |len| len as usize)
    }

    /// The exptime, which comes last in the extras; 0 without one.
    fn exptime(&self) -> u32 {
        self.packet.extras.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }
}

/// The next batch. If it has a broken packet, that is the last one.
pub(super) fn next_batch(random: &mut Random, tally: &mut Tally) -> Batch {
    let is_broken = random.once_in(5);
    let value_len_max = if is_broken { SHORT_LEN_MAX } else { usize::MAX };
    let mut batch = next_small_batch(random, value_len_max, tally);
    if is_broken {
        let broken = Sent { packet: broken_packet(random), unique_back: None };
        push(&mut batch.packets, broken, tally);
    } else if random.once_in(4) {
        batch.piece_len = 1 + random.below(100);
    }
    batch
}

/// The next batch without broken packets and without longer values.
pub(super) fn next_small_batch(random: &mut Random, value_len_max: usize, tally: &mut Tally) -> Batch {
    let mut packets = Vec::new();
    for _ in 0..=random.below(PACKETS_MAX) {
        let sent = sound_packet(random);
        if sent.packet.value.len() <= value_len_max {
            push(&mut packets, sent, tally);
        }
    }
    Batch { packets, piece_len: usize::MAX }
}

/// Adds a packet, unless a difference is known to come of it.
fn push(packets: &mut Vec<Sent>, sent: Sent, tally: &mut Tally) {
    match KEPT_OUT.iter().find(|(_, applies)| applies(&sent, packets)) {
        Some((difference, _)) => tally.count(difference),
        None => packets.push(sent),
    }
}

fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len())]
}

fn sound_packet(random: &mut Random) -> Sent {
    let is_number = random.once_in(3);
    let key = if is_number { one_of(random, &NUMBER_KEYS) } else { one_of(random, &DATA_KEYS) };
    let exptime = one_of(random, &EXPTIMES);
    let mut packet = match random.below(20) {
        0..=6 => {
            let opcode = if random.once_in(9) { Touch } else { one_of(random, &FETCHES) };
            let packet = Packet::of(opcode, key);
            if opcode.extras_len() > 0 { packet.extras(exptime.to_be_bytes()) } else { packet }
        }
        7..=11 => {
            let flags = one_of(random, &[0, 0, 5, u32::MAX]);
            let extras = [flags.to_be_bytes(), exptime.to_be_bytes()].concat();
            Packet::store(one_of(random, &STORES), key, value(is_number, random)).extras(extras)
        }
        12 | 13 => Packet::store(one_of(random, &JOINS), key, value(is_number, random)),
        14 | 15 => {
            let exptime = if is_number { exptime } else { u32::MAX };
            Packet::arith(one_of(random, &COUNTS), key, number(random), number(random), exptime)
        }
        16 | 17 => Packet::of(one_of(random, &[Delete, DeleteQ]), key),
        18 => rare_packet(random),
        _ => Packet::of(Noop, ""),
    };
    packet.opaque = u32::try_from(random.below(1 << 30)).expect("it has 30 bits").to_be_bytes();
    if random.once_in(20) {
        packet.data_type = random.next().to_le_bytes()[0];
        packet.vbucket = u16::from(random.next().to_le_bytes()[0]) << 4;
    }
    let is_conditional = packet.opcode != Noop as u8 && random.once_in(5);
    Sent { packet, unique_back: if is_conditional { Some(random.below(4)) } else { None } }
}

fn rare_packet(random: &mut Random) -> Packet {
    match random.below(9) {
        0 => Packet::of(Version, ""),
        1 => Packet::of(one_of(random, &FLUSHES), "").extras(one_of(random, &EXPTIMES).to_be_bytes()),
        2 => Packet::of(one_of(random, &FLUSHES), "").extras(""),
        3 => Packet::of(Stat, one_of(random, &GROUPS)),
        4 => Packet::of(SaslList, ""),
        5 => Packet::store(SaslAuth, "PLAIN", "\0user\0password"),
        6 => Packet::new(one_of(random, &[0x1b, 0x1f, 0x30, 0x3c, 0x40, 0x80, 0xff])),
        7 => Packet::store(one_of(random, &[Set, AddQ, Replace, Append]), "k1", vec![b'x'; TOO_LARGE]),
        _ => Packet::of(GetK, [b'k'; 250]),
    }
}

/// A packet of which at least one field is wrong, or that makes the server close. Its body is as long as its header
/// says, or longer than any body may be.
fn broken_packet(random: &mut Random) -> Packet {
    let opcode = one_of(random, Opcode::ALL);
    let key = if matches!(opcode, Quit | QuitQ | Flush | FlushQ | Noop | Version | SaslList) { "" } else { "k1" };
    let sound = Packet::of(opcode, key);
    match random.below(11) {
        0 => Packet { key: vec![b'k'; 251 + random.below(300)], ..sound },
        1 => sound.extras(vec![0; random.below(30)]),
        2 => Packet { body_len: Some(u32::MAX - u32::try_from(random.below(1 << 30)).expect("30 bits")), ..sound },
        3 => Packet { key: b"key".to_vec(), ..sound },
        4 => Packet::of(one_of(random, &[Quit, QuitQ]), ""),
        5 => Packet { key: Vec::new(), ..sound },
        6 => Packet { value: vec![b'v'; 1 + random.below(60)], ..sound },
        7 => Packet { key_len: Some(one_of(random, &[0, 1, 3, 250, 251, u16::MAX])), ..sound },
        8 => Packet { extras_len: Some(one_of(random, &[0, 1, 4, 8, 20, 255])), ..sound },
        9 => Packet { value: vec![0; random.below(HEADER_LEN)], ..Packet::new(one_of(random, &[0x1b, 0x30, 0xff])) },
        _ => Packet { magic: one_of(random, &[0, b'a', 0x81, 0xff]), ..sound },
    }
}

fn number(random: &mut Random) -> u64 {
    one_of(random, &[0, 1, 5, 9, 10, 99, 100, 1 << 32, u64::MAX - 1, u64::MAX])
}

fn value(is_number: bool, random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 if is_number => number(random).to_string().into_bytes(),
        1 if is_number => one_of(random, &NUMBERS).into(),
        _ => data(random),
    }
}

/// A value that begins with a letter, or is empty.
fn data(random: &mut Random) -> Vec<u8> {
    let len = match random.below(40) {
        0 => 2000 + random.below(4000),
        1 => 60_000 + random.below(20_000),
        _ => random.below(60),
    };
    (0..len).map(|index| b'a' + u8::try_from(index % 26).expect("it is below 26")).collect()
}

//! Random packets, valid and broken, for the parser: it must survive, and its results must be right (I11).

use larder::base::{Key, Moment, RelTime};
use larder::protocol::binary::{self, HEADER_LEN, Opcode, parse};
use larder::protocol::{Echo, Fetch, Grammar, Parsed, Request, Then, Value};

use crate::fuzz_parser::hold_cuts;
use crate::model_engine::ModelEngine;
use crate::random::{Random, each_seed};
use crate::session::Session;
use crate::support::packet::Packet;

#[test]
fn whatever_the_parser_says_of_random_packets_is_so() {
    each_seed("fuzz binary parser", 20_000, |seed| {
        hold_bytes(&packets(&mut Random::with_seed(seed), 3));
    });
}

/// Checks the parser's results for these bytes, and for each prefix of them.
pub(crate) fn hold_bytes(bytes: &[u8]) {
    let parsed = parse(bytes);
    if let Some((request, consumed)) = quick(bytes) {
        assert_eq!(parsed, Parsed::Request { request, consumed }, "the fast path differs");
    }
    hold(&parsed, bytes);
    for cut in 0..bytes.len().min(600) {
        hold(&parse(&bytes[..cut]), &bytes[..cut]);
        hold_cut(&parsed, &parse(&bytes[..cut]), cut);
    }
}

#[test]
fn answers_do_not_depend_on_how_random_packets_are_cut() {
    each_seed("fuzz binary pieces", 1000, |seed| {
        let mut random = Random::with_seed(seed);
        let bytes = packets(&mut random, 12);
        hold_pieces(&bytes, &mut random);
    });
}

/// Checks that the replies to these bytes are the same, whole and cut at random.
pub(crate) fn hold_pieces(bytes: &[u8], random: &mut Random) {
    hold_cuts(bytes, random, session, session);
}

fn session() -> Session<ModelEngine> {
    let mut session = Session::new(ModelEngine::new(Moment::at(RelTime(1000))));
    session.grammar = Grammar::Binary;
    session.engine.value_len_max = 40;
    session
}

/// The result of the fast path.
fn quick(bytes: &[u8]) -> Option<(Request<'_>, usize)> {
    if let Some((key, echo, consumed)) = binary::quick::get(bytes) {
        return Some((Request::Fetch(Fetch::plain(key, Echo::Binary(echo))), consumed));
    }
    binary::quick::set(bytes).map(|(set, consumed)| (Request::Store(set.into()), consumed))
}

/// Checks what must hold for every result of the parser.
fn hold(parsed: &Parsed<'_>, bytes: &[u8]) {
    let field =
        |at: usize, len: usize| bytes[at..at + len].iter().fold(0usize, |all, byte| all << 8 | usize::from(*byte));
    match *parsed {
        Parsed::NeedMore => {
            let head_len = if bytes.len() < HEADER_LEN { HEADER_LEN } else { HEADER_LEN + field(2, 2) + field(4, 1) };
            assert!(bytes.len() < head_len, "extras and key have arrived");
            assert!(head_len <= HEADER_LEN + Key::LEN_MAX + 20, "no more than this is waited for");
        }
        Parsed::Close => assert_ne!(bytes.first(), Some(&0x80), "a request is closed with a reply"),
        Parsed::Skipped { .. } => panic!("packets are not lines"),
        Parsed::Refused { consumed, then, .. } => match then {
            Then::Close => assert_eq!(consumed, HEADER_LEN),
            Then::Swallow(len) => {
                assert_eq!(consumed + usize::try_from(len).expect("a body has 32 bits"), HEADER_LEN + field(8, 4))
            }
        },
        Parsed::Request { request, consumed } => {
            assert!((HEADER_LEN..=bytes.len()).contains(&consumed));
            hold_request(&request, bytes, consumed);
        }
    }
}

fn hold_request(request: &Request<'_>, bytes: &[u8], consumed: usize) {
    let body_len = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
    let key = match request {
        Request::Fetch(fetch) => fetch.key,
        Request::Delete(delete) => delete.key,
        Request::Arith(arith) => arith.key,
        Request::Store(storage) => {
            let value_len = storage.value_len as usize;
            match storage.value {
                Value::Whole(value) => {
                    assert_eq!(value, &bytes[consumed - value_len..consumed]);
                    assert_eq!(consumed, HEADER_LEN + body_len);
                }
                Value::Coming => {
                    assert!(consumed + value_len == HEADER_LEN + body_len && bytes.len() < consumed + value_len)
                }
                Value::BadTerminator => panic!("values have no terminator"),
            }
            storage.key
        }
        Request::Admin(..) => return assert_eq!(consumed, HEADER_LEN + body_len),
        other => panic!("no opcode means {other:?}"),
    };
    assert!(bytes[..consumed].as_ptr_range().contains(&key.bytes().as_ptr()), "a key is borrowed");
    assert_eq!(key.bytes().len(), usize::from(u16::from_be_bytes([bytes[2], bytes[3]])));
}

/// Checks that the first `cut` bytes have the same meaning as all, no meaning yet, or the same without the value.
fn hold_cut(whole: &Parsed<'_>, part: &Parsed<'_>, cut: usize) {
    match (*whole, *part) {
        (_, Parsed::NeedMore) => {}
        (Parsed::Request { consumed, .. }, _) if consumed <= cut => assert_eq!(whole, part),
        (
            Parsed::Request { request: Request::Store(all), .. },
            Parsed::Request { request: Request::Store(some), .. },
        ) => {
            assert_eq!((some.key, some.value_len, some.value), (all.key, all.value_len, Value::Coming));
        }
        (_, _) => assert_eq!(whole, part),
    }
}

/// Random bytes that resemble what clients send.
pub(crate) fn packets(random: &mut Random, count: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..1 + random.below(count)).flat_map(|_| packet(random).bytes()).collect();
    if random.once_in(4) {
        bytes.truncate(random.below(bytes.len() + 1));
    }
    if random.once_in(8) && !bytes.is_empty() {
        let at = random.below(bytes.len());
        bytes[at] = random.next().to_le_bytes()[0];
    }
    bytes
}

fn packet(random: &mut Random) -> Packet {
    let mut number = |choices: &[u32]| choices[random.below(choices.len())];
    let (client_flags, exptime) = (number(&[0, 0, 5, u32::MAX]), number(&[0, 0, 100, 3_000_000, u32::MAX]));
    let (delta, initial) = (u64::from(number(&[0, 1, 7])), u64::from(number(&[0, 10])));
    let opcode = Opcode::ALL[random.below(Opcode::ALL.len())];
    let key = *random.pick(&[&&b"a"[..], &&b"b"[..], &&b"key with\r\nany\0bytes"[..], &&b""[..], &&b"settings"[..]]);
    let mut packet = Packet::of(opcode, key);
    packet.extras = match opcode.extras_len() {
        8 => [client_flags.to_be_bytes(), exptime.to_be_bytes()].concat(),
        20 => [&delta.to_be_bytes()[..], &initial.to_be_bytes(), &exptime.to_be_bytes()].concat(),
        4 => exptime.to_be_bytes().to_vec(),
        _ => Vec::new(),
    };
    if (random.once_in(8)) != (opcode.extras_len() == 8 || packet.extras.is_empty() && random.once_in(2)) {
        packet.value = (0..random.below(60)).map(|_| *random.pick(&[&b'x', &b'5', &0x80, &b'\n'])).collect();
    }
    packet.cas = u64::from(*random.pick(&[&0, &0, &0, &1, &2, &9u8]));
    if random.once_in(20) {
        packet.opcode = random.next().to_le_bytes()[0];
    }
    match random.below(40) {
        0 => packet.key = vec![b'k'; 245 + random.below(10)],
        1 => packet.key_len = Some(random.next().to_le_bytes()[0].into()),
        2 => packet.extras_len = Some(random.next().to_le_bytes()[0]),
        3 => packet.body_len = Some(u32::from(random.next().to_le_bytes()[0])),
        4 => packet.body_len = Some(u32::MAX - u32::from(random.next().to_le_bytes()[0] % 3)),
        5 => packet.extras = vec![7; random.below(30)],
        _ => {}
    }
    packet
}

//! Requests as their bytes, and replies taken from bytes that come in any pieces.

use super::{Codec, Request};
use crate::items::{ItemId, Items};
use crate::op::Op;
use crate::outcome::Outcome;
use crate::plan::{Plan, SizePlan, TtlPlan, Wire};
use crate::window::{Queue, Taken, Window};

fn codec(wire: Wire, noreply: bool) -> Codec {
    let plan = Plan { values: SizePlan::Fixed(8), ttl: TtlPlan::Fixed(60), ..Plan::default() };
    Codec::new(Items::new(&plan).unwrap(), wire, noreply, 0)
}

fn ids(numbers: &[u64]) -> Vec<ItemId> {
    numbers.iter().map(|&number| ItemId::item(number)).collect()
}

fn ask(codec: &mut Codec, queue: &mut Queue, op: Op, numbers: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    codec.push_request(&mut out, queue, Request { op, ids: &ids(numbers), unique: None, quiet: false, due_ns: 1 });
    out
}

fn key(number: u64) -> String {
    format!("bench:{number:026}")
}

fn value(codec: &Codec, number: u64) -> String {
    let mut value = Vec::new();
    codec.items.push_value(ItemId::item(number), 0, &mut value);
    String::from_utf8(value).unwrap()
}

/// Takes `reply` as a connection does that receives it one byte at a time.
fn take_bytewise(codec: &Codec, queue: &mut Queue, reply: &[u8]) -> (Outcome, Option<String>) {
    let mut window = Window::new(2, &[]);
    let (mut from, mut to, mut least) = (0, 0, 1);
    while to < reply.len() {
        to += 1;
        while to - from >= least {
            match codec.take(queue, &reply[from..to], &mut window) {
                Taken::Bytes(bytes) => {
                    from += bytes;
                    least = 1;
                }
                Taken::More(more) => {
                    assert!(more > to - from, "more than there is");
                    least = more;
                }
                Taken::Lost(why) => return (window.outcome, Some(why)),
                Taken::Refused => return (window.outcome, Some("turned away".to_string())),
            }
        }
    }
    assert_eq!(from, reply.len(), "all of it is understood");
    (window.outcome, None)
}

#[test]
fn text_requests_are_what_the_protocol_says() {
    let mut codec = codec(Wire::Text, false);
    let mut queue = Queue::new();
    let (one, two, stored) = (key(1), key(2), value(&codec, 1));
    for (op, numbers, bytes) in [
        (Op::Get, &[1, 2][..], format!("get {one} {two}\r\n")),
        (Op::Gat, &[1], format!("gat 60 {one}\r\n")),
        (Op::Set, &[1], format!("set {one} 0 60 8\r\n{stored}\r\n")),
        (Op::Delete, &[1], format!("delete {one}\r\n")),
        (Op::Incr, &[1], format!("incr {one} 1\r\n")),
        (Op::Touch, &[1], format!("touch {one} 60\r\n")),
    ] {
        assert_eq!(ask(&mut codec, &mut queue, op, numbers), bytes.as_bytes());
    }
    assert_eq!(queue.len(), 7);
}

#[test]
fn meta_requests_are_what_the_protocol_says() {
    let mut codec = codec(Wire::Meta, false);
    let mut queue = Queue::new();
    let (one, two, stored) = (key(1), key(2), value(&codec, 1));
    for (op, numbers, bytes) in [
        (Op::Get, &[1, 2][..], format!("mg {one} k v q\r\nmg {two} k v\r\n")),
        (Op::Gat, &[1], format!("mg {one} k v T60\r\n")),
        (Op::Add, &[1], format!("ms {one} 8 ME T60\r\n{stored}\r\n")),
        (Op::Delete, &[1], format!("md {one}\r\n")),
        (Op::Decr, &[1], format!("ma {one} MD v\r\n")),
        (Op::Touch, &[1], format!("mg {one} T60\r\n")),
    ] {
        assert_eq!(ask(&mut codec, &mut queue, op, numbers), bytes.as_bytes());
    }
}

/// Asks for the second half of a cas.
fn swap(codec: &mut Codec, queue: &mut Queue, unique: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let request = Request { op: Op::Cas, ids: &ids(&[1]), unique: Some(unique), quiet: false, due_ns: 1 };
    codec.push_request(&mut out, queue, request);
    out
}

#[test]
fn pieces_go_before_and_behind() {
    // Eight letters, four bits each, the lowest first.
    let (one, number) = (key(1), "baaaaaaa");
    for (wire, op, bytes) in [
        (Wire::Text, Op::Append, format!("append {one} 0 60 10\r\n({number})\r\n")),
        (Wire::Text, Op::Prepend, format!("prepend {one} 0 60 10\r\n[{number}]\r\n")),
        (Wire::Meta, Op::Append, format!("ms {one} 10 MA\r\n({number})\r\n")),
        (Wire::Meta, Op::Prepend, format!("ms {one} 10 MP\r\n[{number}]\r\n")),
    ] {
        let asked = ask(&mut codec(wire, false), &mut Queue::new(), op, &[1]);
        assert_eq!(asked, bytes.as_bytes());
    }
    let frame = ask(&mut codec(Wire::Binary, false), &mut Queue::new(), Op::Append, &[1]);
    let head = [0x80, 0x0e, 0, 32, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(frame[..24], head);
    assert_eq!((frame.len(), frame[56], frame[65]), (66, b'(', b')'));
}

#[test]
fn a_piece_for_a_key_that_is_not_there_is_refused() {
    for (wire, reply, stored) in [
        (Wire::Text, b"STORED\r\n".to_vec(), 1),
        (Wire::Text, b"NOT_STORED\r\n".to_vec(), 0),
        (Wire::Meta, b"HD\r\n".to_vec(), 1),
        (Wire::Meta, b"NS\r\n".to_vec(), 0),
        (Wire::Binary, frame(0x0e, 0, 1, &[], ""), 1),
        (Wire::Binary, frame(0x0e, 5, 1, &[], "Not stored."), 0),
    ] {
        let mut codec = codec(wire, false);
        let mut queue = Queue::new();
        ask(&mut codec, &mut queue, Op::Append, &[1]);
        let (outcome, lost) = take_bytewise(&codec, &mut queue, &reply);
        assert_eq!((outcome.stored, outcome.refused, lost), (stored, 1 - stored, None), "{wire:?}");
    }
}

/// A unique that no half of a word holds.
const UNIQUE: u64 = 0x0123_4567_89ab_cdef;

struct Exchange {
    wire: Wire,
    fetch: Vec<u8>,
    fetched: Vec<u8>,
    swap: Vec<u8>,
}

/// Each protocol's gets, its answer, and the cas that follows.
fn exchanges() -> [Exchange; 3] {
    let (one, stored) = (key(1), value(&codec(Wire::Text, false), 1));
    let mut fetched = frame(0, 0, 1, &[0; 4], &stored);
    fetched[16..24].copy_from_slice(&UNIQUE.to_be_bytes());
    let mut fetch = vec![0x80, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    fetch.extend(one.as_bytes());
    let mut swap = vec![0x80, 1, 0, 32, 8, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 1];
    swap.extend(UNIQUE.to_be_bytes());
    swap.extend([0, 0, 0, 0, 0, 0, 0, 60]);
    swap.extend(format!("{one}{stored}").bytes());
    let text = |text: String| text.into_bytes();
    [
        Exchange {
            wire: Wire::Text,
            fetch: text(format!("gets {one}\r\n")),
            fetched: text(format!("VALUE {one} 0 8 {UNIQUE}\r\n{stored}\r\nEND\r\n")),
            swap: text(format!("cas {one} 0 60 8 {UNIQUE}\r\n{stored}\r\n")),
        },
        Exchange {
            wire: Wire::Meta,
            fetch: text(format!("mg {one} v k f c\r\n")),
            fetched: text(format!("VA 8 k{one} f0 c{UNIQUE}\r\n{stored}\r\n")),
            swap: text(format!("ms {one} 8 T60 C{UNIQUE}\r\n{stored}\r\n")),
        },
        Exchange { wire: Wire::Binary, fetch, fetched, swap },
    ]
}

#[test]
fn a_cas_is_sent_with_the_unique_that_its_gets_told() {
    for Exchange { wire, fetch, fetched, swap: stored } in exchanges() {
        let mut codec = codec(wire, false);
        let mut queue = Queue::new();
        assert_eq!(ask(&mut codec, &mut queue, Op::Cas, &[1]), fetch, "{wire:?}");
        let mut window = Window::new(2, &[Op::Gets, Op::Cas]);
        assert_eq!(codec.take(&mut queue, &fetched, &mut window), Taken::Bytes(fetched.len()), "{wire:?}");
        assert_eq!(window.uniques, [(ItemId::item(1), UNIQUE)], "{wire:?}");
        assert_eq!(swap(&mut codec, &mut queue, UNIQUE), stored, "{wire:?}");
        let outcome = window.close();
        assert_eq!((outcome.hits, outcome.kinds[0].latency.len()), (1, 1), "{wire:?}");
    }
}

#[test]
fn a_gets_of_the_mix_keeps_no_uniques() {
    for Exchange { wire, fetched, .. } in exchanges() {
        let mut codec = codec(wire, false);
        let mut queue = Queue::new();
        ask(&mut codec, &mut queue, Op::Gets, &[1]);
        let mut window = Window::new(2, &[]);
        assert_eq!(codec.take(&mut queue, &fetched, &mut window), Taken::Bytes(fetched.len()), "{wire:?}");
        assert!(window.uniques.is_empty());
    }
}

#[test]
fn a_cas_may_lose_or_find_nothing() {
    for noreply in [false, true] {
        for (wire, reply, stored) in [
            (Wire::Text, b"STORED\r\n".to_vec(), 1),
            (Wire::Text, b"EXISTS\r\n".to_vec(), 0),
            (Wire::Text, b"NOT_FOUND\r\n".to_vec(), 0),
            (Wire::Meta, b"HD\r\n".to_vec(), 1),
            (Wire::Meta, b"EX\r\n".to_vec(), 0),
            (Wire::Meta, b"NF\r\n".to_vec(), 0),
            (Wire::Binary, frame(1, 0, 1, &[], ""), 1),
            (Wire::Binary, frame(1, 2, 1, &[], "Data exists for key."), 0),
            (Wire::Binary, frame(1, 1, 1, &[], "Not found"), 0),
        ] {
            let mut codec = codec(wire, noreply);
            let mut queue = Queue::new();
            swap(&mut codec, &mut queue, UNIQUE);
            let (outcome, lost) = take_bytewise(&codec, &mut queue, &reply);
            assert_eq!((outcome.stored, outcome.refused, lost), (stored, 1 - stored, None), "{wire:?}");
            assert!(queue.is_empty(), "{wire:?}");
        }
    }
}

#[test]
fn a_binary_set_is_a_frame() {
    let mut codec = codec(Wire::Binary, false);
    let frame = ask(&mut codec, &mut Queue::new(), Op::Set, &[1]);
    let head = [0x80, 1, 0, 32, 8, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60];
    assert_eq!(frame[..32], head);
    assert_eq!(frame[32..], *format!("{}{}", key(1), value(&codec, 1)).as_bytes());
}

#[test]
fn values_and_misses_of_a_text_get_are_told_apart() {
    for (present, hits) in [(&[1, 2, 3, 2][..], 4), (&[1, 3], 2), (&[2], 1), (&[3, 2], 2), (&[2, 2], 2), (&[], 0)] {
        let mut codec = codec(Wire::Text, false);
        let mut queue = Queue::new();
        ask(&mut codec, &mut queue, Op::Get, &[1, 2, 3, 2]);
        let blocks: String =
            present.iter().map(|&id| format!("VALUE {} 0 8\r\n{}\r\n", key(id), value(&codec, id))).collect();
        let (outcome, lost) = take_bytewise(&codec, &mut queue, format!("{blocks}END\r\n").as_bytes());
        assert_eq!((lost, outcome.faults), (None, 0), "{present:?}");
        assert_eq!((outcome.hits, outcome.misses, outcome.requests), (hits, 4 - hits, 1), "{present:?}");
        assert!(queue.is_empty());
    }
}

#[test]
fn values_and_misses_of_a_meta_get_are_told_apart() {
    for (present, end) in [(&[1, 2, 3][..], ""), (&[3], ""), (&[1], "EN\r\n"), (&[], "EN\r\n"), (&[2], "EN key\r\n")] {
        let mut codec = codec(Wire::Meta, false);
        let mut queue = Queue::new();
        ask(&mut codec, &mut queue, Op::Get, &[1, 2, 3]);
        let blocks: String =
            present.iter().map(|&id| format!("VA 8 k{}\r\n{}\r\n", key(id), value(&codec, id))).collect();
        let (outcome, lost) = take_bytewise(&codec, &mut queue, format!("{blocks}{end}").as_bytes());
        assert_eq!((lost, outcome.faults), (None, 0), "{present:?}");
        assert_eq!((outcome.hits, outcome.hits + outcome.misses), (present.len() as u64, 3), "{present:?}");
        assert!(queue.is_empty());
    }
}

fn frame(opcode: u8, status: u8, opaque: u8, extra: &[u8], value: &str) -> Vec<u8> {
    let body = extra.len() + value.len();
    let mut frame = vec![0x81, opcode, 0, 0, u8::try_from(extra.len()).unwrap(), 0, 0, status];
    frame.extend([0, 0, 0, u8::try_from(body).unwrap(), 0, 0, 0, opaque, 0, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend(extra);
    frame.extend(value.as_bytes());
    frame
}

#[test]
fn values_and_misses_of_a_binary_get_are_told_apart() {
    for (found, hits) in [(&[1, 2, 1][..], 3), (&[2], 1), (&[], 0), (&[1], 1), (&[2, 1], 2)] {
        let mut codec = codec(Wire::Binary, false);
        let mut queue = Queue::new();
        let asked = ask(&mut codec, &mut queue, Op::Get, &[1, 2, 1]);
        let opcodes = [0, 1, 2].map(|number| asked[number * (24 + 32) + 1]);
        assert_eq!((opcodes, &asked[3 * (24 + 32)..][..2]), ([0x0d; 3], &[0x80, 0x0a][..]));
        let replies = found.iter().map(|&number| frame(0x0d, 0, number, &[0; 4], &value(&codec, number.into())));
        let replies: Vec<Vec<u8>> = replies.chain([end_of_get(1)]).collect();
        let (outcome, lost) = take_bytewise(&codec, &mut queue, &replies.concat());
        assert_eq!((lost, outcome.faults), (None, 0), "{found:?}");
        assert_eq!((outcome.hits, outcome.misses, outcome.requests), (hits, 3 - hits, 1), "{found:?}");
        assert!(queue.is_empty());
    }
    for (status, hits) in [(0, 1), (1, 0)] {
        let mut codec = codec(Wire::Binary, false);
        let mut queue = Queue::new();
        ask(&mut codec, &mut queue, Op::Get, &[1]);
        let reply = if status == 0 { frame(0, 0, 1, &[0; 4], &value(&codec, 1)) } else { frame(0, 1, 1, &[], "") };
        let (outcome, lost) = take_bytewise(&codec, &mut queue, &reply);
        assert_eq!((lost, outcome.hits, outcome.misses, outcome.requests), (None, hits, 1 - hits, 1));
    }
}

/// The reply to the noop behind a get of many keys, of which this one is the last.
fn end_of_get(last: u8) -> Vec<u8> {
    let mut end = frame(0x0a, 0, 0, &[], "");
    end[12..16].copy_from_slice(&(!u32::from(last)).to_be_bytes());
    end
}

#[test]
fn a_binary_answer_to_another_request_is_out_of_step() {
    let value = |number| value(&codec(Wire::Binary, false), number);
    for (asked, reply) in [
        (&[1][..], frame(0, 0, 2, &[0; 4], &value(2))),
        (&[1], end_of_get(2)),
        (&[1, 2], frame(0x0d, 0, 3, &[0; 4], &value(3))),
        (&[1, 2], frame(0, 0, 2, &[0; 4], &value(2))),
        (&[1, 2], end_of_get(1)),
        (&[1, 2], [frame(0x0d, 0, 2, &[0; 4], &value(2)), end_of_get(1)].concat()),
    ] {
        let mut codec = codec(Wire::Binary, false);
        let mut queue = Queue::new();
        ask(&mut codec, &mut queue, Op::Get, asked);
        let (_, lost) = take_bytewise(&codec, &mut queue, &reply);
        assert!(lost.is_some_and(|why| why.starts_with("out of step")), "{}", reply.escape_ascii());
    }
}

#[test]
fn an_answer_that_the_request_cannot_have_is_out_of_step() {
    for (wire, op, reply) in [
        (Wire::Text, Op::Get, "STORED\r\n"),
        (Wire::Text, Op::Set, "END\r\n"),
        (Wire::Text, Op::Set, "DELETED\r\n"),
        (Wire::Text, Op::Delete, "TOUCHED\r\n"),
        (Wire::Text, Op::Touch, "VALUE x 0 1\r\nx\r\n"),
        (Wire::Text, Op::Get, "VALUE  0 1\r\n"),
        (Wire::Text, Op::Get, "VALUE x 0 -1\r\n"),
        (Wire::Text, Op::Get, "VALUE x 0 99999999999999999999\r\n"),
        (Wire::Text, Op::Get, "\r\n"),
        (Wire::Text, Op::Get, "VALUE x 0 1 5\r\nx\r\nEND\r\n"),
        (Wire::Text, Op::Gets, "VALUE x 0 1\r\nx\r\nEND\r\n"),
        (Wire::Text, Op::Gets, "VALUE x 0 1 -5\r\nx\r\nEND\r\n"),
        (Wire::Text, Op::Cas, "STORED\r\n"),
        (Wire::Text, Op::Append, "EXISTS\r\n"),
        (Wire::Meta, Op::Gets, "VA 1 kx\r\nx\r\n"),
        (Wire::Meta, Op::Gets, "VA 1 kx c5\r\nx\r\n"),
        (Wire::Meta, Op::Append, "EX\r\n"),
        (Wire::Meta, Op::Get, "HD\r\n"),
        (Wire::Meta, Op::Get, "VA 1\r\nx\r\n"),
        (Wire::Meta, Op::Set, "EN\r\n"),
        (Wire::Meta, Op::Set, "\n"),
        (Wire::Binary, Op::Get, "ERROR\r\n"),
    ] {
        let mut codec = codec(wire, false);
        let mut queue = Queue::new();
        ask(&mut codec, &mut queue, op, &[1]);
        let (outcome, lost) = take_bytewise(&codec, &mut queue, reply.as_bytes());
        assert!(lost.is_some_and(|why| why.contains("out of step")), "{reply:?}");
        assert_eq!(outcome.requests, 0);
    }
}

#[test]
fn the_refusal_of_a_client_is_understood_in_every_protocol() {
    for wire in [Wire::Text, Wire::Meta, Wire::Binary] {
        for op in [Op::Get, Op::Set, Op::Incr] {
            let mut codec = codec(wire, false);
            let mut queue = Queue::new();
            ask(&mut codec, &mut queue, op, &[1]);
            let taken = codec.take(&mut queue, super::TOO_MANY_CONNECTIONS, &mut Window::new(2, &[]));
            assert_eq!(taken, Taken::Refused, "{wire:?} {op:?}");
        }
    }
}

#[test]
fn errors_are_counted_and_end_their_request_only_when_it_asked_for_a_reply() {
    for (noreply, left) in [(false, 0), (true, 1)] {
        let mut codec = codec(Wire::Text, noreply);
        let mut queue = Queue::new();
        ask(&mut codec, &mut queue, Op::Set, &[1]);
        let (outcome, _) = take_bytewise(&codec, &mut queue, b"SERVER_ERROR out of memory storing object\r\n");
        assert_eq!((outcome.errors, outcome.faults), (1, 0));
        assert_eq!(queue.len(), left);
    }
}

#[test]
fn a_fence_confirms_what_asked_for_no_reply() {
    for (wire, answer) in [
        (Wire::Text, b"VERSION 1\r\n".to_vec()),
        (Wire::Meta, b"MN\r\n".to_vec()),
        (Wire::Binary, frame(10, 0, 0, &[], "")),
    ] {
        let codec = codec(wire, true);
        let mut queue = Queue::new();
        codec.push_fence(&mut Vec::new(), &mut queue, 7, 1);
        let (outcome, lost) = take_bytewise(&codec, &mut queue, &answer);
        assert_eq!((outcome.requests, lost), (7, None));
        assert!(queue.is_empty());
        assert_eq!(codec.is_fence_answer(&answer), Some(true));
    }
}

#[test]
fn a_counter_keeps_its_upper_digits() {
    let mut codec = codec(Wire::Text, false);
    for (line, faults) in [("15000000005000000017\r\n", 0), ("25000000005000000017\r\n", 1), ("17\r\n", 1)] {
        let mut queue = Queue::new();
        ask(&mut codec, &mut queue, Op::Incr, &[1]);
        let (outcome, lost) = take_bytewise(&codec, &mut queue, line.as_bytes());
        assert_eq!((outcome.faults, outcome.requests, lost), (faults, 1, None), "{line}");
    }
}

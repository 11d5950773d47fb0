//! Requests as their bytes, and replies taken from bytes that come in any pieces.

use super::{Request, Speech};
use crate::load::items::{ItemId, Items};
use crate::load::outcome::Outcome;
use crate::load::plan::{Op, Plan, SizePlan, TtlPlan, Wire};
use crate::load::window::{Queue, Taken, Window};

fn speech(wire: Wire, noreply: bool) -> Speech {
    let plan = Plan { values: SizePlan::Fixed(8), ttl: TtlPlan::Fixed(60), ..Plan::default() };
    Speech::new(Items::new(&plan).unwrap(), wire, noreply, 0)
}

fn ids(numbers: &[u64]) -> Vec<ItemId> {
    numbers.iter().map(|&number| ItemId::item(number)).collect()
}

fn ask(speech: &mut Speech, queue: &mut Queue, op: Op, numbers: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    speech.push_request(&mut out, queue, Request { op, ids: &ids(numbers), quiet: false, due_ns: 1 });
    out
}

fn key(number: u64) -> String {
    format!("bench:{number:026}")
}

fn value(speech: &Speech, number: u64) -> String {
    let mut value = Vec::new();
    speech.items.push_value(ItemId::item(number), 0, &mut value);
    String::from_utf8(value).unwrap()
}

/// Takes `reply` as a connection does that receives it one byte at a time.
fn take_bytewise(speech: &Speech, queue: &mut Queue, reply: &[u8]) -> (Outcome, Option<String>) {
    let mut window = Window::new(2);
    let (mut from, mut to, mut least) = (0, 0, 1);
    while to < reply.len() {
        to += 1;
        while to - from >= least {
            match speech.take(queue, &reply[from..to], &mut window) {
                Taken::Bytes(bytes) => {
                    from += bytes;
                    least = 1;
                }
                Taken::More(more) => {
                    assert!(more > to - from, "more than there is");
                    least = more;
                }
                Taken::Lost(why) => return (window.outcome, Some(why)),
            }
        }
    }
    assert_eq!(from, reply.len(), "all of it is understood");
    (window.outcome, None)
}

#[test]
fn text_requests_are_what_the_protocol_says() {
    let mut speech = speech(Wire::Text, false);
    let mut queue = Queue::new();
    let (one, two, stored) = (key(1), key(2), value(&speech, 1));
    for (op, numbers, bytes) in [
        (Op::Get, &[1, 2][..], format!("get {one} {two}\r\n")),
        (Op::Gat, &[1], format!("gat 60 {one}\r\n")),
        (Op::Set, &[1], format!("set {one} 0 60 8\r\n{stored}\r\n")),
        (Op::Delete, &[1], format!("delete {one}\r\n")),
        (Op::Incr, &[1], format!("incr {one} 1\r\n")),
        (Op::Touch, &[1], format!("touch {one} 60\r\n")),
    ] {
        assert_eq!(ask(&mut speech, &mut queue, op, numbers), bytes.as_bytes());
    }
    assert_eq!(queue.len(), 7);
}

#[test]
fn meta_requests_are_what_the_protocol_says() {
    let mut speech = speech(Wire::Meta, false);
    let mut queue = Queue::new();
    let (one, two, stored) = (key(1), key(2), value(&speech, 1));
    for (op, numbers, bytes) in [
        (Op::Get, &[1, 2][..], format!("mg {one} k v q\r\nmg {two} k v\r\n")),
        (Op::Gat, &[1], format!("mg {one} k v T60\r\n")),
        (Op::Add, &[1], format!("ms {one} 8 ME T60\r\n{stored}\r\n")),
        (Op::Delete, &[1], format!("md {one}\r\n")),
        (Op::Decr, &[1], format!("ma {one} MD v\r\n")),
        (Op::Touch, &[1], format!("mg {one} T60\r\n")),
    ] {
        assert_eq!(ask(&mut speech, &mut queue, op, numbers), bytes.as_bytes());
    }
}

#[test]
fn a_binary_set_is_a_frame() {
    let mut speech = speech(Wire::Binary, false);
    let frame = ask(&mut speech, &mut Queue::new(), Op::Set, &[1]);
    let head = [0x80, 1, 0, 32, 8, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60];
    assert_eq!(frame[..32], head);
    assert_eq!(frame[32..], *format!("{}{}", key(1), value(&speech, 1)).as_bytes());
}

#[test]
fn values_and_misses_of_a_text_get_are_told_apart() {
    for (present, hits) in [(&[1, 2, 3, 2][..], 4), (&[1, 3], 2), (&[2], 1), (&[3, 2], 2), (&[2, 2], 2), (&[], 0)] {
        let mut speech = speech(Wire::Text, false);
        let mut queue = Queue::new();
        ask(&mut speech, &mut queue, Op::Get, &[1, 2, 3, 2]);
        let blocks: String =
            present.iter().map(|&id| format!("VALUE {} 0 8\r\n{}\r\n", key(id), value(&speech, id))).collect();
        let (outcome, lost) = take_bytewise(&speech, &mut queue, format!("{blocks}END\r\n").as_bytes());
        assert_eq!((lost, outcome.faults), (None, 0), "{present:?}");
        assert_eq!((outcome.hits, outcome.misses, outcome.requests), (hits, 4 - hits, 1), "{present:?}");
        assert!(queue.is_empty());
    }
}

#[test]
fn values_and_misses_of_a_meta_get_are_told_apart() {
    for (present, end) in [(&[1, 2, 3][..], ""), (&[3], ""), (&[1], "EN\r\n"), (&[], "EN\r\n"), (&[2], "EN key\r\n")] {
        let mut speech = speech(Wire::Meta, false);
        let mut queue = Queue::new();
        ask(&mut speech, &mut queue, Op::Get, &[1, 2, 3]);
        let blocks: String =
            present.iter().map(|&id| format!("VA 8 k{}\r\n{}\r\n", key(id), value(&speech, id))).collect();
        let (outcome, lost) = take_bytewise(&speech, &mut queue, format!("{blocks}{end}").as_bytes());
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
    let (get, quiet) = (0, 9);
    for (replies, hits) in [
        (&[(quiet, 1, 0), (quiet, 2, 0), (get, 1, 0)][..], 3),
        (&[(quiet, 2, 0), (get, 1, 1)], 1),
        (&[(get, 1, 1)], 0),
        (&[(get, 1, 0)], 1),
    ] {
        let mut speech = speech(Wire::Binary, false);
        let mut queue = Queue::new();
        ask(&mut speech, &mut queue, Op::Get, &[1, 2, 1]);
        let frames: Vec<Vec<u8>> = replies
            .iter()
            .map(|&(opcode, number, status)| match status {
                0 => frame(opcode, 0, number, &[0; 4], &value(&speech, number.into())),
                _ => frame(opcode, status, number, &[], "Not found"),
            })
            .collect();
        let (outcome, lost) = take_bytewise(&speech, &mut queue, &frames.concat());
        assert_eq!((lost, outcome.faults), (None, 0), "{replies:?}");
        assert_eq!((outcome.hits, outcome.misses, outcome.requests), (hits, 3 - hits, 1), "{replies:?}");
        assert!(queue.is_empty());
    }
}

#[test]
fn a_binary_answer_to_another_request_is_out_of_step() {
    let mut speech = speech(Wire::Binary, false);
    let mut queue = Queue::new();
    ask(&mut speech, &mut queue, Op::Get, &[1]);
    let (_, lost) = take_bytewise(&speech, &mut queue, &frame(0, 0, 2, &[0; 4], &value(&speech, 2)));
    assert!(lost.is_some_and(|why| why.starts_with("out of step")));
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
        (Wire::Meta, Op::Get, "HD\r\n"),
        (Wire::Meta, Op::Get, "VA 1\r\nx\r\n"),
        (Wire::Meta, Op::Set, "EN\r\n"),
        (Wire::Meta, Op::Set, "\n"),
        (Wire::Binary, Op::Get, "ERROR\r\n"),
    ] {
        let mut speech = speech(wire, false);
        let mut queue = Queue::new();
        ask(&mut speech, &mut queue, op, &[1]);
        let (outcome, lost) = take_bytewise(&speech, &mut queue, reply.as_bytes());
        assert!(lost.is_some_and(|why| why.contains("out of step")), "{reply:?}");
        assert_eq!(outcome.requests, 0);
    }
}

#[test]
fn errors_are_counted_and_end_their_request_only_when_it_asked_for_a_reply() {
    for (noreply, left) in [(false, 0), (true, 1)] {
        let mut speech = speech(Wire::Text, noreply);
        let mut queue = Queue::new();
        ask(&mut speech, &mut queue, Op::Set, &[1]);
        let (outcome, _) = take_bytewise(&speech, &mut queue, b"SERVER_ERROR out of memory storing object\r\n");
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
        let speech = speech(wire, true);
        let mut queue = Queue::new();
        speech.push_fence(&mut Vec::new(), &mut queue, 7, 1);
        let (outcome, lost) = take_bytewise(&speech, &mut queue, &answer);
        assert_eq!((outcome.requests, lost), (7, None));
        assert!(queue.is_empty());
        assert_eq!(speech.is_fence_answer(&answer), Some(true));
    }
}

#[test]
fn a_counter_keeps_its_upper_digits() {
    let mut speech = speech(Wire::Text, false);
    for (line, faults) in [("15000000005000000017\r\n", 0), ("25000000005000000017\r\n", 1), ("17\r\n", 1)] {
        let mut queue = Queue::new();
        ask(&mut speech, &mut queue, Op::Incr, &[1]);
        let (outcome, lost) = take_bytewise(&speech, &mut queue, line.as_bytes());
        assert_eq!((outcome.faults, outcome.requests, lost), (faults, 1, None), "{line}");
    }
}

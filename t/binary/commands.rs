//! Every opcode and every status, from bytes to bytes, against the model. Each conversation is sent request by request
//! and in pieces of several sizes: the answers must not depend on that.

use larder::base::{Moment, RelTime};
use larder::command::Switches;
use larder::protocol::Grammar;
use larder::protocol::binary::Opcode::{self, *};

use crate::model_engine::ModelEngine;
use crate::session::Session;
use crate::support::packet::{Packet, show_replies};

const MOMENT: Moment = Moment::at(RelTime(1000));

fn session() -> Session<ModelEngine> {
    let mut session = Session::new(ModelEngine::new(MOMENT));
    session.grammar = Grammar::Binary;
    session.engine.value_len_max = 1000;
    session
}

/// Packets and their replies.
fn talk(script: &[(Packet, &str)]) {
    talk_to(session, script);
}

fn talk_to(make: impl Fn() -> Session<ModelEngine>, script: &[(Packet, &str)]) {
    let mut by_request = make();
    for (index, (packet, expected)) in script.iter().enumerate() {
        let answered = by_request.say(&packet.bytes(), &());
        assert_eq!(show_replies(&answered), lines(expected), "of request {index}");
    }
    let said: Vec<u8> = script.iter().flat_map(|(packet, _)| packet.bytes()).collect();
    let expected: String = script.iter().map(|(_, expected)| lines(expected)).collect();
    for piece_len in [1, 2, 3, 5, 7, 23, 24, 25, 64, usize::MAX] {
        for batch_limit in [1, 2, usize::MAX] {
            let mut session = make();
            session.batch_limit = batch_limit;
            let answered: Vec<u8> = said.chunks(piece_len).flat_map(|piece| session.say(piece, &())).collect();
            assert_eq!(show_replies(&answered), expected, "in pieces of {piece_len}");
        }
    }
}

fn lines(replies: &str) -> String {
    if replies.is_empty() { String::new() } else { format!("{replies}\n") }
}

/// A packet that closes the connection, and the last reply.
fn closes(packet: &Packet, expected: &str) {
    let mut session = session();
    let answered = session.say(&[packet.bytes(), Packet::of(Noop, "").bytes()].concat(), &());
    assert_eq!(show_replies(&answered), lines(expected), "{}", packet.bytes().escape_ascii());
    assert!(session.closed, "{}", packet.bytes().escape_ascii());
}

fn flags(client_flags: u32, exptime: u32) -> Vec<u8> {
    [client_flags.to_be_bytes(), exptime.to_be_bytes()].concat()
}

#[test]
fn a_fetch_gives_flags_value_and_cas_and_the_key_if_its_opcode_says_so() {
    talk(&[
        (Packet::store(Set, "a", "xyz").extras(flags(5, 0)), "set 00 #1"),
        (Packet::of(Get, "a"), "get 00 #1 x00000005 xyz"),
        (Packet::of(GetQ, "a"), "getq 00 #1 x00000005 xyz"),
        (Packet::of(GetK, "a"), "getk 00 #1 x00000005 [a] xyz"),
        (Packet::of(GetKQ, "a"), "getkq 00 #1 x00000005 [a] xyz"),
        (Packet::of(Gat, "a"), "gat 00 #1 x00000005 xyz"),
        (Packet::of(GatQ, "a"), "gatq 00 #1 x00000005 xyz"),
        (Packet::of(GatK, "a"), "gatk 00 #1 x00000005 [a] xyz"),
        (Packet::of(GatKQ, "a"), "gatkq 00 #1 x00000005 [a] xyz"),
        (Packet::of(Touch, "a"), "touch 00 #1 x00000005"),
        (Packet::of(Get, "a").cas(77), "get 00 #1 x00000005 xyz"),
        (Packet::store(Set, "", "").extras(""), "set 04 Invalid arguments"),
    ]);
}

#[test]
fn a_fetch_that_misses_gives_a_text_or_the_key_or_nothing() {
    talk(&[
        (Packet::of(Get, "zz"), "get 01 Not found"),
        (Packet::of(GetQ, "zz"), ""),
        (Packet::of(GetK, "zz"), "getk 01 [zz]"),
        (Packet::of(GetKQ, "zz"), ""),
        (Packet::of(Gat, "zz"), "gat 01 Not found"),
        (Packet::of(GatQ, "zz"), ""),
        (Packet::of(GatK, "zz"), "gatk 01 [zz]"),
        (Packet::of(GatKQ, "zz"), ""),
        (Packet::of(Touch, "zz"), "touch 01 Not found"),
        (Packet::of(GetK, [b'k'; 250]), &format!("getk 01 [{}]", "k".repeat(250))),
    ]);
}

#[test]
fn keys_and_values_may_have_any_bytes_and_values_none() {
    talk(&[
        (Packet::store(Set, "a b\r\n\0", "\r\n\r\n"), "set 00 #1"),
        (Packet::of(GetK, "a b\r\n\0"), r"getk 00 #1 x00000000 [a b\r\n\x00] \r\n\r\n"),
        (Packet::store(Set, "empty", ""), "set 00 #2"),
        (Packet::of(Get, "empty"), "get 00 #2 x00000000"),
    ]);
}

#[test]
fn each_store_keeps_its_condition_and_quiet_ones_answer_only_refusals() {
    talk(&[
        (Packet::store(Add, "a", "1").extras(flags(1, 0)), "add 00 #1"),
        (Packet::store(Add, "a", "2"), "add 02 Data exists for key."),
        (Packet::store(AddQ, "a", "2"), "addq 02 Data exists for key."),
        (Packet::store(AddQ, "b", "2"), ""),
        (Packet::store(Replace, "zz", "1"), "replace 01 Not found"),
        (Packet::store(ReplaceQ, "zz", "1"), "replaceq 01 Not found"),
        (Packet::store(Replace, "a", "3").extras(flags(9, 0)), "replace 00 #3"),
        (Packet::store(ReplaceQ, "a", "4").extras(flags(9, 0)), ""),
        (Packet::store(Append, "a", ">"), "append 00 #5"),
        (Packet::store(Prepend, "a", "<"), "prepend 00 #6"),
        (Packet::store(AppendQ, "a", ">"), ""),
        (Packet::store(PrependQ, "a", "<"), ""),
        (Packet::of(Get, "a"), "get 00 #8 x00000009 <<4>>"),
        (Packet::store(Append, "zz", "x"), "append 05 Not stored."),
        (Packet::store(AppendQ, "zz", "x"), "appendq 05 Not stored."),
        (Packet::store(Prepend, "zz", "x"), "prepend 05 Not stored."),
        (Packet::store(PrependQ, "zz", "x"), "prependq 05 Not stored."),
        (Packet::store(SetQ, "a", "5"), ""),
        (Packet::of(Get, "a"), "get 00 #9 x00000000 5"),
    ]);
}

#[test]
fn a_cas_unique_is_a_condition_of_every_change() {
    talk(&[
        (Packet::store(Set, "a", "1"), "set 00 #1"),
        (Packet::store(Set, "a", "2").cas(99), "set 02 Data exists for key."),
        (Packet::store(SetQ, "a", "2").cas(99), "setq 02 Data exists for key."),
        (Packet::store(Set, "zz", "2").cas(99), "set 01 Not found"),
        (Packet::store(Add, "zz", "2").cas(99), "add 01 Not found"),
        (Packet::store(Replace, "zz", "2").cas(99), "replace 01 Not found"),
        (Packet::store(Add, "a", "2").cas(1), "add 00 #2"),
        (Packet::store(Replace, "a", "3").cas(2), "replace 00 #3"),
        (Packet::store(Append, "a", ">").cas(99), "append 02 Data exists for key."),
        (Packet::store(Append, "a", ">").cas(3), "append 00 #4"),
        (Packet::store(Prepend, "zz", ">").cas(3), "prepend 05 Not stored."),
        (Packet::of(Delete, "a").cas(99), "delete 02 Data exists for key."),
        (Packet::of(Delete, "zz").cas(99), "delete 01 Not found"),
        (Packet::of(DeleteQ, "a").cas(99), "deleteq 02 Data exists for key."),
        (Packet::of(Delete, "a").cas(4), "delete 00"),
        (Packet::arith(Increment, "n", 1, 5, 0).cas(99), "increment 00 #5 \\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x05"),
        (Packet::arith(Increment, "n", 1, 5, 0).cas(99), "increment 02 Data exists for key."),
        (Packet::arith(IncrementQ, "n", 1, 5, 0).cas(5), ""),
        (Packet::of(Get, "n"), "get 00 #6 x00000000 6"),
    ]);
}

#[test]
fn a_number_is_created_changed_and_answered_in_eight_bytes() {
    let number = |n: u64| n.to_be_bytes().escape_ascii().to_string();
    talk(&[
        (Packet::arith(Increment, "n", 1, 10, u32::MAX), "increment 01 Not found"),
        (Packet::arith(IncrementQ, "n", 1, 10, u32::MAX), "incrementq 01 Not found"),
        (Packet::arith(Increment, "n", 1, 10, 0), &format!("increment 00 #1 {}", number(10))),
        (Packet::arith(Increment, "n", 5, 10, 0), &format!("increment 00 #2 {}", number(15))),
        (Packet::arith(IncrementQ, "n", 5, 10, 0), ""),
        (Packet::arith(Decrement, "n", 3, 0, 0), &format!("decrement 00 #4 {}", number(17))),
        (Packet::arith(DecrementQ, "n", 30, 0, 0), ""),
        (Packet::arith(Increment, "n", u64::MAX, 0, 0), &format!("increment 00 #6 {}", number(u64::MAX))),
        (Packet::arith(Increment, "n", 1, 0, 0), &format!("increment 00 #7 {}", number(0))),
        (Packet::arith(DecrementQ, "m", 1, u64::MAX, 0), ""),
        (Packet::of(Get, "m"), "get 00 #8 x00000000 18446744073709551615"),
        (Packet::store(Set, "text", "abc"), "set 00 #9"),
        (Packet::arith(IncrementQ, "text", 1, 10, 0), "incrementq 06 Non-numeric server-side value for incr or decr"),
    ]);
}

#[test]
fn a_binary_exptime_is_unsigned() {
    let mut session = session();
    for (exptime, found) in [(0, true), (100, true), (2_592_000, true), (2_592_001, false), (u32::MAX, true)] {
        session.say(&Packet::store(SetQ, "a", "x").extras(flags(0, exptime)).bytes(), &());
        let answered = session.say(&Packet::of(Get, "a").bytes(), &());
        assert_eq!(show_replies(&answered).starts_with("get 00"), found, "{exptime}");
        session.say(&Packet::store(SetQ, "a", "x").bytes(), &());
        session.say(&Packet::of(GatQ, "a").extras(exptime.to_be_bytes()).bytes(), &());
        let answered = session.say(&Packet::of(Get, "a").bytes(), &());
        assert_eq!(show_replies(&answered).starts_with("get 00"), found, "gat {exptime}");
    }
}

#[test]
fn a_delete_answers_a_miss_even_if_it_is_quiet() {
    talk(&[
        (Packet::store(SetQ, "a", "1"), ""),
        (Packet::of(Delete, "a"), "delete 00"),
        (Packet::of(Delete, "a"), "delete 01 Not found"),
        (Packet::of(DeleteQ, "a"), "deleteq 01 Not found"),
        (Packet::store(SetQ, "a", "1"), ""),
        (Packet::of(DeleteQ, "a"), ""),
    ]);
}

#[test]
fn a_value_longer_than_allowed_is_swallowed_and_only_its_set_removes_the_old_one() {
    let long = "x".repeat(1001);
    talk(&[
        (Packet::store(SetQ, "a", "1"), ""),
        (Packet::store(Add, "a", &long), "add 03 Too large."),
        (Packet::store(ReplaceQ, "a", &long), "replaceq 03 Too large."),
        (Packet::store(Append, "a", &long), "append 03 Too large."),
        (Packet::of(Get, "a"), "get 00 #1 x00000000 1"),
        (Packet::store(Set, "a", &long).cas(1), "set 03 Too large."),
        (Packet::of(Get, "a"), "get 00 #1 x00000000 1"),
        (Packet::store(SetQ, "a", &long), "setq 03 Too large."),
        (Packet::of(Get, "a"), "get 01 Not found"),
    ]);
}

#[test]
fn a_store_without_memory_is_status_82() {
    let make = || {
        let mut session = session();
        session.engine.out_of_memory = true;
        session
    };
    talk_to(
        make,
        &[
            (Packet::store(Set, "a", "1"), "set 82 Out of memory"),
            (Packet::store(AddQ, "a", "1"), "addq 82 Out of memory"),
            (Packet::of(Noop, ""), "noop 00"),
        ],
    );
}

#[test]
fn a_flush_is_immediate_or_delayed_or_forbidden() {
    talk(&[
        (Packet::store(SetQ, "a", "1"), ""),
        (Packet::of(Flush, "").extras(100u32.to_be_bytes()), "flush 00"),
        (Packet::of(Get, "a"), "get 00 #1 x00000000 1"),
        (Packet::of(Flush, "").extras(""), "flush 00"),
        (Packet::of(Get, "a"), "get 01 Not found"),
        (Packet::store(SetQ, "a", "1"), ""),
        (Packet::of(FlushQ, ""), ""),
        (Packet::of(FlushQ, "").extras(""), ""),
        (Packet::of(Get, "a"), "get 01 Not found"),
    ]);
    let make = || {
        let mut session = session();
        session.switches = Switches { flush_enabled: false, ..Switches::default() };
        session
    };
    talk_to(
        make,
        &[(Packet::of(Flush, ""), "flush 20 Auth failure."), (Packet::of(FlushQ, ""), "flushq 20 Auth failure.")],
    );
}

#[test]
fn without_cas_every_unique_is_0_and_none_matches() {
    let make = || {
        let mut session = session();
        session.switches = Switches { use_cas: false, ..Switches::default() };
        session
    };
    talk_to(
        make,
        &[
            (Packet::store(Set, "a", "1"), "set 00"),
            (Packet::of(Get, "a"), "get 00 x00000000 1"),
            (Packet::store(Append, "a", "2"), "append 00"),
            (Packet::arith(Increment, "a", 1, 0, 0), r"increment 00 \x00\x00\x00\x00\x00\x00\x00\r"),
        ],
    );
}

#[test]
fn the_rest_of_the_opcodes_answer_with_their_own() {
    talk(&[
        (Packet::of(Noop, ""), "noop 00"),
        (Packet::of(Version, ""), "version 00 1.6.45"),
        (Packet::of(Stat, "reset"), "stat 00"),
        (Packet::of(Stat, "settings"), "stat 00 [maxconns] 1024\nstat 00"),
        (Packet::of(Stat, "settings x"), "stat 00 [maxconns] 1024\nstat 00"),
        (Packet::of(Stat, "nonsense"), "stat 01 Not found"),
        (Packet::of(Stat, "items x"), "stat 01 Not found"),
        (Packet::of(Stat, "conns x"), "stat 01 Not found"),
        (Packet::of(Stat, " items"), "stat 01 Not found"),
        // A line feed is a byte like others: these are no `stat reset` and no `stat items`.
        (Packet::of(Stat, "\n"), "stat 01 Not found"),
        (Packet::of(Stat, "items\nx"), "stat 01 Not found"),
        (Packet::of(Stat, "detail"), "stat 01 Not found"),
        (Packet::of(Stat, "detail dump"), "stat 00 [detailed] END\\r\\n\nstat 00"),
        (Packet::of(Stat, "detail on"), "stat 00"),
        (Packet::store(SetQ, "p:x", "1"), ""),
        (
            Packet::of(Stat, "detail dump"),
            "stat 00 [detailed] PREFIX p get 0 hit 0 set 1 del 0\\r\\nEND\\r\\n\nstat 00",
        ),
        (Packet::of(SaslList, ""), "sasl list mechs 81 Unknown command"),
        (Packet::store(SaslAuth, "PLAIN", "\0user\0password"), "sasl auth 81 Unknown command"),
        (Packet::store(SaslStep, "PLAIN", ""), "sasl step 81 Unknown command"),
        (Packet::of(Noop, ""), "noop 00"),
    ]);
}

#[test]
fn an_unknown_opcode_is_answered_and_its_body_swallowed() {
    for opcode in (0..=u8::MAX).filter(|opcode| Opcode::from_wire(*opcode).is_none()) {
        let unknown = Packet { key: b"key".to_vec(), extras: vec![1; 9], value: vec![0x80; 50], ..Packet::new(opcode) };
        let answer = format!("{opcode:02x} 81 Unknown command");
        talk(&[(Packet::new(opcode), &answer), (unknown, &answer), (Packet::of(Noop, ""), "noop 00")]);
    }
}

#[test]
fn a_quit_ends_the_connection_with_or_without_a_reply() {
    closes(&Packet::of(Quit, ""), "quit 00");
    closes(&Packet::of(QuitQ, ""), "");
}

#[test]
fn lengths_that_do_not_fit_the_opcode_are_answered_and_the_connection_closed() {
    let name = |packet: &Packet| Opcode::from_wire(packet.opcode).unwrap().name();
    let invalid = |packet: Packet| closes(&packet, &format!("{} 04 Invalid arguments", name(&packet)));
    for opcode in Opcode::ALL.iter().copied() {
        let (key, stores) = match opcode {
            Quit | QuitQ | Flush | FlushQ | Noop | Version | SaslList => ("", false),
            Set | SetQ | Add | AddQ | Replace | ReplaceQ | Append | AppendQ | Prepend | PrependQ => ("a", true),
            SaslAuth | SaslStep => ("PLAIN", true),
            _ => ("a", false),
        };
        let sound = Packet::of(opcode, key);
        if opcode != Stat {
            let other_key: &[u8] = if key.is_empty() { b"k" } else { b"" };
            invalid(Packet { key: other_key.to_vec(), ..sound.clone() });
        }
        if !stores {
            invalid(Packet { value: b"v".to_vec(), ..sound.clone() });
        }
        for extras_len in [0, 1, 4, 8, 20, 24] {
            let is_omitted = extras_len == 0 && matches!(opcode, Flush | FlushQ);
            if extras_len != opcode.extras_len() && !is_omitted {
                invalid(sound.clone().extras(vec![0; extras_len]));
            }
        }
        invalid(Packet { key: vec![b'k'; 251], ..sound.clone() });
        for body_len in [(1 << 30) + 1, 1 << 31, u32::MAX] {
            invalid(Packet { body_len: Some(body_len), ..sound.clone() });
        }
    }
}

#[test]
fn a_key_longer_than_the_body_is_no_command() {
    for opcode in [Get, Set, Append, Noop, Stat] {
        let answer = format!("{} 81 Unknown command", opcode.name());
        closes(&Packet { key_len: Some(5), ..Packet::new(opcode as u8) }, &answer);
        let extras_len = Some(u8::try_from(opcode.extras_len() + 9).expect("extras are short"));
        closes(&Packet { extras_len, body_len: Some(1), ..Packet::of(opcode, "k") }, &answer);
    }
    closes(&Packet { key_len: Some(u16::MAX), ..Packet::new(0x99) }, "99 81 Unknown command");
}

#[test]
fn another_magic_closes_without_a_reply() {
    for magic in [0x00, 0x7f, 0x81, b'g'] {
        let mut session = session();
        let mut bytes = Packet::of(Noop, "").bytes();
        bytes[0] = magic;
        assert_eq!(show_replies(&session.say(&[Packet::of(Noop, "").bytes(), bytes].concat(), &())), "noop 00\n");
        assert!(session.closed);
    }
}

#[test]
fn fetches_are_counted_as_in_the_text_protocol() {
    let mut session = session();
    for packet in [
        Packet::store(Set, "a", "1"),
        Packet::of(Get, "a"),
        Packet::of(GetKQ, "zz"),
        Packet::of(Gat, "a"),
        Packet::of(Touch, "zz"),
        Packet::store(Set, "a", "1").cas(77),
        Packet::arith(Increment, "m", 1, 1, u32::MAX),
    ] {
        session.say(&packet.bytes(), &());
    }
    let counters = &session.counters;
    assert_eq!((counters.cmd_get.read(), counters.get_hits.read(), counters.get_misses.read()), (2, 1, 1));
    assert_eq!((counters.cmd_touch.read(), counters.touch_hits.read(), counters.touch_misses.read()), (2, 1, 1));
    assert_eq!((counters.cmd_set.read(), counters.cas_badval.read(), counters.incr_misses.read()), (2, 1, 1));
}

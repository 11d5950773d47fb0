//! Every command and every refusal, from bytes to bytes, against the model: no socket, no store. Each conversation is
//! sent in one piece, byte by byte, and in a few odd pieces. The answers must not depend on that.

use larder::base::{Moment, RelTime};
use larder::command::Switches;
use larder::protocol::ShutdownMode;

use crate::model_engine::ModelEngine;
use crate::session::Session;

const MOMENT: Moment = Moment::at(RelTime(1000));

fn session() -> Session<ModelEngine> {
    Session::new(ModelEngine::new(MOMENT))
}

/// Requests and the replies that must follow.
fn talk(script: &[(&str, &str)]) {
    talk_to(session, script);
}

fn talk_to(make: impl Fn() -> Session<ModelEngine>, script: &[(&str, &str)]) {
    let mut line_by_line = make();
    for (said, expected) in script {
        let answered = line_by_line.say(said.as_bytes(), &());
        assert_eq!(String::from_utf8_lossy(&answered), *expected, "after {said:?}");
    }
    let said: String = script.iter().map(|(said, _)| *said).collect();
    let expected: String = script.iter().map(|(_, expected)| *expected).collect();
    for piece_len in [1, 2, 3, 5, 7, 64, usize::MAX] {
        for batch_limit in [1, 2, usize::MAX] {
            let mut session = make();
            session.batch_limit = batch_limit;
            let pieces = said.as_bytes().chunks(piece_len);
            let answered: Vec<u8> = pieces.flat_map(|piece| session.say(piece, &())).collect();
            assert_eq!(String::from_utf8_lossy(&answered), expected, "in pieces of {piece_len}");
        }
    }
}

const BAD: &str = "CLIENT_ERROR bad command line format\r\n";
const LONG: &str = concat!(
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
);

#[test]
fn values_come_back_with_flags_and_in_the_order_asked_for() {
    talk(&[
        ("set a 5 0 3\r\nfoo\r\n", "STORED\r\n"),
        ("set b 4294967295 0 0\r\n\r\n", "STORED\r\n"),
        ("get b x a a\r\n", "VALUE b 4294967295 0\r\n\r\nVALUE a 5 3\r\nfoo\r\nVALUE a 5 3\r\nfoo\r\nEND\r\n"),
        ("gets a\r\n", "VALUE a 5 3 1\r\nfoo\r\nEND\r\n"),
        ("get a\n", "VALUE a 5 3\r\nfoo\r\nEND\r\n"),
        ("get  a  x \r\n", "VALUE a 5 3\r\nfoo\r\nEND\r\n"),
        ("bget a\r\n", "VALUE a 5 3\r\nfoo\r\nEND\r\n"),
        ("get nothing\r\n", "END\r\n"),
        ("get noreply\r\n", "END\r\n"),
        ("set a 0 0 4\r\n\r\n\r\n\r\n", "STORED\r\n"),
        ("get a\r\n", "VALUE a 0 4\r\n\r\n\r\n\r\nEND\r\n"),
    ]);
}

#[test]
fn a_retrieval_without_keys_or_with_a_key_that_is_none_is_refused_alone() {
    talk(&[
        ("get\r\nget \r\ngets\r\ngat\r\ngat 10\r\ngat 10 \r\n", &BAD.repeat(6)),
        ("set a 0 0 1\r\nx\r\n", "STORED\r\n"),
        (&format!("get a {LONG}\r\nget {LONG}\r\nget a\r\n"), &format!("{BAD}{BAD}VALUE a 0 1\r\nx\r\nEND\r\n")),
        (&format!("get {}{LONG} a\r\n", "a ".repeat(40)), BAD),
        (&format!("get {}\r\n", &LONG[1..]), "END\r\n"),
        ("gat x a\r\n", "CLIENT_ERROR invalid exptime argument\r\n"),
        (&format!("gat x {LONG}\r\n"), "CLIENT_ERROR invalid exptime argument\r\n"),
        (&format!("gat 0 {LONG}\r\n"), BAD),
    ]);
}

#[test]
fn gat_gives_value_and_a_new_deadline() {
    let mut session = session();
    let answered = session.say(b"set a 0 10 1\r\nx\r\ngats 100 a b\r\n", &());
    assert_eq!(answered, b"STORED\r\nVALUE a 0 1 1\r\nx\r\nEND\r\n");
    session.engine.moment = Moment::at(RelTime(1050));
    assert_eq!(session.say(b"gat -1 a\r\nget a\r\n", &()), b"VALUE a 0 1\r\nx\r\nEND\r\nEND\r\n");
    let counters = &session.counters;
    assert_eq!((counters.cmd_touch.read(), counters.touch_hits.read(), counters.touch_misses.read()), (3, 2, 1));
    assert_eq!((counters.cmd_get.read(), counters.get_misses.read(), counters.get_expired.read()), (1, 1, 1));
}

#[test]
fn each_storage_command_keeps_its_condition() {
    talk(&[
        ("add a 1 0 1\r\nx\r\nadd a 0 0 1\r\ny\r\n", "STORED\r\nNOT_STORED\r\n"),
        ("replace a 2 0 1\r\nz\r\nreplace b 0 0 1\r\ny\r\n", "STORED\r\nNOT_STORED\r\n"),
        ("append a 9 0 2\r\n>>\r\nprepend a 9 -1 2\r\n<<\r\n", "STORED\r\nSTORED\r\n"),
        ("append b 0 0 1\r\nx\r\nprepend b 0 0 1\r\nx\r\n", "NOT_STORED\r\nNOT_STORED\r\n"),
        ("gets a\r\n", "VALUE a 2 5 4\r\n<<z>>\r\nEND\r\n"),
        ("cas a 0 0 1 3\r\n1\r\ncas a 0 0 1 4\r\n2\r\n", "EXISTS\r\nSTORED\r\n"),
        ("cas a 0 0 1 0\r\n1\r\ncas a 0 0 1 18446744073709551615\r\n2\r\n", "EXISTS\r\nEXISTS\r\n"),
        ("cas b 0 0 1 4\r\nx\r\n", "NOT_FOUND\r\n"),
        ("gets a\r\n", "VALUE a 0 1 5\r\n2\r\nEND\r\n"),
    ]);
}

#[test]
fn noreply_silences_success_and_refusal_when_it_is_the_last_word() {
    talk(&[
        ("set a 0 0 1 noreply\r\nx\r\nset a 0 0 1 noreply \r\ny\r\nset a 0 0 1 x noreply\r\nz\r\n", ""),
        ("set a 0 0 1 noreply x\r\nx\r\n", "STORED\r\n"),
        ("add a 0 0 1 noreply\r\nx\r\ncas a 0 0 1 99 noreply\r\nx\r\ncas a 0 0 1 noreply\r\nx\r\n", ""),
        ("set a 0 0 3 noreply\r\nfooxxset a x 0 3 noreply\r\nfoo\r\n", ""),
        (&format!("set {LONG} 0 0 3 noreply\r\nfoo\r\ndelete {LONG} noreply\r\n"), ""),
        ("delete b noreply\r\ndelete b 0 noreply\r\ndelete noreply\r\ndelete b foo noreply\r\n", ""),
        ("incr b 1 noreply\r\nincr a x noreply\r\nincr a noreply\r\ntouch b 0 noreply\r\ntouch a noreply\r\n", ""),
        ("verbosity 1 noreply\r\nverbosity noreply\r\nflush_all x noreply\r\ncache_memlimit noreply\r\n", ""),
        ("flush_all noreply\r\nflush_all 0 noreply\r\nget a\r\n", "END\r\n"),
        ("touch noreply\r\nincr noreply\r\nset noreply\r\nset a 0 0 noreply\r\n", &BAD.repeat(4)),
    ]);
}

#[test]
fn a_refused_storage_line_takes_its_data_block_with_it() {
    talk(&[
        ("set a -1 0 7\r\nversion\r\nset a 4294967296 0 7\r\nversion\r\n", &BAD.repeat(2)),
        ("set a 0 abc 7\r\nversion\r\nset a 0 9223372036854775808 7\r\nversion\r\n", &BAD.repeat(2)),
        ("cas a 0 0 7 abc\r\nversion\r\ncas a 0 0 7 -1\r\nversion\r\ncas a 0 0 7\r\nversion\r\n", &BAD.repeat(3)),
        ("cas a 0 0 7 18446744073709551616\r\nversion\r\n", BAD),
        (&format!("set {LONG} 0 0 7\r\nversion\r\n"), BAD),
        ("set a ++5 0 7\r\nversion\r\nset a 0x10 0 7\r\nversion\r\nset a 0 1.5 7\r\nversion\r\n", &BAD.repeat(3)),
        ("set a +5 +0 1\r\nx\r\nget a\r\n", "STORED\r\nVALUE a 5 1\r\nx\r\nEND\r\n"),
    ]);
}

#[test]
fn a_storage_line_without_a_valid_length_takes_nothing_with_it() {
    talk(&[
        ("set\r\nset a\r\nset a 0 0\r\nset a 0 0 \r\ncas a 0 0\r\n", &BAD.repeat(5)),
        ("set a 0 0 -1\r\nset a 0 0 abc\r\nset a 0 0 1x\r\nset a 0 0 +1\r\n", &BAD.repeat(4)),
        ("set a 0 0 2147483646\r\nset a 0 0 4294967296\r\nset a 0 0 abc noreply\r\n", &BAD.repeat(3)),
        ("get a\r\n", "END\r\n"),
    ]);
}

#[test]
fn a_data_block_without_crlf_is_refused_and_the_old_value_kept() {
    talk(&[
        ("set a 0 0 1\r\nz\r\n", "STORED\r\n"),
        ("set a 0 0 3\r\nfooxxget a\r\n", "CLIENT_ERROR bad data chunk\r\nVALUE a 0 1\r\nz\r\nEND\r\n"),
        ("set a 0 0 3\r\nfoo\n\nget a\r\n", "CLIENT_ERROR bad data chunk\r\nVALUE a 0 1\r\nz\r\nEND\r\n"),
        ("set a 0 0 1\r\nxyz\r\n", &format!("CLIENT_ERROR bad data chunk\r\n{BAD}")),
        ("set a 0 0 1\nx\r\n", "STORED\r\n"),
    ]);
}

#[test]
fn a_value_that_is_too_large_is_swallowed_and_a_set_drops_the_old_one() {
    let make = || {
        let mut session = session();
        session.engine.value_len_max = 10;
        session
    };
    const TOO_LARGE: &str = "SERVER_ERROR object too large for cache\r\n";
    talk_to(
        make,
        &[
            ("set a 0 0 1\r\nz\r\nadd a 0 0 11\r\nversion\r\n12\r\n", &format!("STORED\r\n{TOO_LARGE}")),
            ("append a 0 0 11 noreply\r\nversion\r\n12\r\n", ""),
            ("get a\r\n", "VALUE a 0 1\r\nz\r\nEND\r\n"),
            ("append a 0 0 10\r\n0123456789\r\n", "NOT_STORED\r\n"),
            ("set a 0 0 11\r\nget a\r\n....\r\nget a\r\n", &format!("{TOO_LARGE}END\r\n")),
            ("set a 0 0 1\r\nz\r\nset a 0 0 11 noreply\r\nget a\r\n....xxget a\r\n", "STORED\r\nEND\r\n"),
        ],
    );
    let mut session = make();
    session.say(b"set a 0 0 2000000000\r\n", &());
    assert_eq!(session.counters.store_too_large.read(), 1);
}

#[test]
fn want_of_memory_is_told_and_a_set_drops_the_old_value() {
    let mut session = session();
    session.say(b"set a 0 0 1\r\nz\r\n", &());
    session.engine.out_of_memory = true;
    const NO_MEMORY: &str = "SERVER_ERROR out of memory storing object\r\n";
    let answered = session.say(b"add b 0 0 1\r\nx\r\nget a\r\nset a 0 0 1\r\ny\r\nget a\r\n", &());
    let expected = format!("{NO_MEMORY}VALUE a 0 1\r\nz\r\nEND\r\n{NO_MEMORY}END\r\n");
    assert_eq!(String::from_utf8(answered).unwrap(), expected);
    assert_eq!(session.counters.store_no_memory.read(), 2);
}

#[test]
fn a_busy_store_is_asked_again_and_gives_up_on_the_last_try() {
    let requests: [(&[u8], &[u8], &[u8]); 3] = [
        (b"set n 0 0 1\r\n2\r\n", b"STORED\r\n", b"SERVER_ERROR out of memory storing object\r\n"),
        (b"append n 0 0 1\r\n2\r\n", b"STORED\r\n", b"SERVER_ERROR out of memory storing object\r\n"),
        (b"incr n 1\r\n", b"2\r\n", b"SERVER_ERROR out of memory\r\n"),
    ];
    for (request, success, failure) in requests {
        for piece_len in [1, 100] {
            for (busy_turns, expected) in [(3, success), (1000, failure)] {
                let mut session = session();
                session.say(b"set n 0 0 1\r\n1\r\n", &());
                session.engine.busy_turns = busy_turns;
                let answered: Vec<u8> = request.chunks(piece_len).flat_map(|piece| session.say(piece, &())).collect();
                assert_eq!(answered, expected, "{} turns", busy_turns);
            }
        }
    }
}

#[test]
fn delete_ignores_what_is_no_hold_time_and_takes_0_only() {
    const USAGE: &str = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";
    talk(&[
        ("set a 0 0 1\r\nx\r\ndelete a\r\ndelete a\r\n", "STORED\r\nDELETED\r\nNOT_FOUND\r\n"),
        ("set a 0 0 1\r\nx\r\ndelete a 0\r\n", "STORED\r\nDELETED\r\n"),
        ("delete a 5\r\ndelete a 5 c\r\n", &USAGE.repeat(2)),
        ("delete a b c\r\ndelete a 0 noreply x\r\n", "NOT_FOUND\r\nNOT_FOUND\r\n"),
        ("delete a 0 noreply x y\r\n", "ERROR\r\n"),
        (&format!("delete\r\ndelete \r\ndelete {LONG}\r\n"), &BAD.repeat(3)),
    ]);
}

#[test]
fn numbers_wrap_upwards_and_stop_at_0_downwards() {
    const NON_NUMERIC: &str = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    talk(&[
        ("set n 7 0 2\r\n99\r\nincr n 1\r\ndecr n 91\r\n", "STORED\r\n100\r\n9\r\n"),
        ("get n\r\n", "VALUE n 7 3\r\n9  \r\nEND\r\n"),
        ("decr n 10\r\n", "0\r\n"),
        ("set n 0 0 20\r\n18446744073709551615\r\nincr n 2\r\n", "STORED\r\n1\r\n"),
        ("incr n 18446744073709551615\r\n", "0\r\n"),
        ("set t 0 0 2\r\nno\r\nincr t 1\r\ndecr t 1\r\n", &format!("STORED\r\n{NON_NUMERIC}{NON_NUMERIC}")),
        ("incr absent 1\r\ndecr absent 1\r\n", "NOT_FOUND\r\nNOT_FOUND\r\n"),
        (
            "incr n -1\r\nincr n +1\r\nincr n 1.5\r\nincr n 18446744073709551616\r\n",
            &"CLIENT_ERROR invalid numeric delta argument\r\n".repeat(4),
        ),
        (&format!("incr\r\nincr n\r\nincr {LONG} 1\r\nincr {LONG} x\r\n"), &BAD.repeat(4)),
        ("incr n 1 2 3\r\n", "1\r\n"),
    ]);
}

#[test]
fn touch_changes_the_deadline_and_not_the_cas_unique() {
    talk(&[
        ("set a 0 0 1\r\nx\r\ntouch a 100\r\ngets a\r\n", "STORED\r\nTOUCHED\r\nVALUE a 0 1 1\r\nx\r\nEND\r\n"),
        ("touch a -1\r\nget a\r\ntouch a 0\r\n", "TOUCHED\r\nEND\r\nNOT_FOUND\r\n"),
        ("touch a x\r\ntouch a +5\r\n", &"CLIENT_ERROR invalid exptime argument\r\n".repeat(2)),
        (&format!("touch\r\ntouch a\r\ntouch {LONG} x\r\n"), &BAD.repeat(3)),
    ]);
}

#[test]
fn lines_that_are_no_command() {
    talk(&[
        ("\r\n\na\r\nab\n", &BAD.repeat(4)),
        ("ab\r\nabc\n get a\r\nGET a\r\nget\ta\r\nnonsense x y\r\n", &"ERROR\r\n".repeat(6)),
        ("get a\tb\r\nget a\0b\r\nget a\r\r\n", &"END\r\n".repeat(3)),
        ("set a\0b 0 0 1\r\nx\r\nget a\0b\r\n", "STORED\r\nVALUE a\0b 0 1\r\nx\r\nEND\r\n"),
        ("nonsense HTTP/1.1 x\r\nHTTP/1.1\r\n", &"ERROR\r\n".repeat(2)),
        ("mgx a v\r\nlru_crawler enabled\r\n", &"ERROR\r\n".repeat(2)),
    ]);
}

#[test]
fn a_browser_or_an_endless_line_closes_the_connection() {
    let endless = vec![b'x'; 5000];
    let endless_line = [b"version\r\n", &endless[..], b"\r\nversion\r\n"].concat();
    for said in [
        &b"version\r\nGET / HTTP/1.1\r\nversion\r\n"[..],
        &[b"version\r\n", &endless[..]].concat(),
        &endless_line,
        &[b"version\r\nset ", &endless[..], b"\r\n"].concat(),
    ] {
        for piece_len in [1, 100, usize::MAX] {
            let mut session = session();
            let answered: Vec<u8> = said.chunks(piece_len).flat_map(|piece| session.say(piece, &())).collect();
            assert_eq!(answered, b"VERSION 1.6.45\r\n");
            assert!(session.closed);
        }
    }
}

#[test]
fn a_list_of_keys_may_be_longer_than_the_input_buffer() {
    for reply_len_max in [1, 100, 1 << 20] {
        let mut session = session();
        session.input_len_max = 3000;
        session.reply_len_max = reply_len_max;
        let (mut line, mut expected) = (String::from("get"), String::new());
        for number in 0..2000 {
            line += &format!(" key_{number}");
            if number % 3 == 0 {
                session.say(format!("set key_{number} 0 0 4\r\n{number:04}\r\n").as_bytes(), &());
                expected += &format!("VALUE key_{number} 0 4\r\n{number:04}\r\n");
            }
        }
        line += "\r\nversion\r\n";
        expected += "END\r\nVERSION 1.6.45\r\n";
        let answered: Vec<u8> = line.as_bytes().chunks(777).flat_map(|piece| session.say(piece, &())).collect();
        assert_eq!(String::from_utf8(answered).unwrap(), expected);
        let gat = line.replacen("get", "gat 5", 1);
        assert_eq!(String::from_utf8(session.say(gat.as_bytes(), &())).unwrap(), expected);
        assert_eq!(session.counters.cmd_get.read(), 2000);
    }
}

#[test]
fn an_endless_key_in_a_long_list_is_refused_and_the_line_skipped() {
    let mut session = session();
    session.input_len_max = 3000;
    let line = format!("get {}{} a b c\r\nversion\r\n", "a ".repeat(2500), "k".repeat(10_000));
    let answered = session.say(line.as_bytes(), &());
    assert_eq!(String::from_utf8(answered).unwrap(), format!("{BAD}VERSION 1.6.45\r\n"));
    let answered = session.say(format!("get {}\r\nversion\r\n", "k".repeat(10_000)).as_bytes(), &());
    assert_eq!(String::from_utf8(answered).unwrap(), format!("{BAD}VERSION 1.6.45\r\n"));
    session.say(format!("gat {}", "1".repeat(10_000)).as_bytes(), &());
    assert!(session.closed);
}

#[test]
fn a_refused_key_behind_a_full_sink_takes_back_nothing_that_was_sent() {
    let mut session = session();
    session.reply_len_max = 1;
    session.say(b"set a 0 0 1\r\nx\r\n", &());
    let line = format!("get {}{LONG}\r\nget a\r\n", "a ".repeat(100));
    assert_eq!(
        String::from_utf8(session.say(line.as_bytes(), &())).unwrap(),
        format!("{BAD}VALUE a 0 1\r\nx\r\nEND\r\n")
    );
}

#[test]
fn quit_answers_what_came_before_and_nothing_after() {
    for quit in ["quit\r\n", "quit now\r\n"] {
        let mut session = session();
        let answered = session.say(format!("get a\r\n{quit}version\r\n").as_bytes(), &());
        assert_eq!((answered.as_slice(), session.closed), (&b"END\r\n"[..], true));
    }
}

#[test]
fn flush_all_drops_what_was_stored_before_and_not_what_follows() {
    talk(&[
        ("set a 0 0 1\r\nx\r\nflush_all\r\nset b 0 0 1\r\ny\r\n", "STORED\r\nOK\r\nSTORED\r\n"),
        ("get a b\r\n", "VALUE b 0 1\r\ny\r\nEND\r\n"),
        ("flush_all -5\r\nget b\r\n", "OK\r\nEND\r\n"),
        ("set a 0 0 1\r\nx\r\nflush_all 1\r\nget a\r\n", "STORED\r\nOK\r\nEND\r\n"),
        ("flush_all x\r\nflush_all 99999999999999999999\r\n", &"CLIENT_ERROR invalid exptime argument\r\n".repeat(2)),
        ("set a 0 0 1\r\nx\r\nflush_all 2592001\r\nget a\r\n", "STORED\r\nOK\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        ("flush_all 0 0 0\r\n", "OK\r\n"),
    ]);
}

#[test]
fn a_delayed_flush_comes_a_second_early_and_a_later_order_replaces_it() {
    for order in ["flush_all 11\r\n", "flush_all 1700001011\r\n"] {
        let mut session = session();
        session.say(format!("set a 0 0 1\r\nx\r\n{order}").as_bytes(), &());
        session.engine.begin_turn_at(Moment::at(RelTime(1009)));
        assert_eq!(session.say(b"get a\r\n", &()), b"VALUE a 0 1\r\nx\r\nEND\r\n");
        session.engine.begin_turn_at(Moment::at(RelTime(1010)));
        assert_eq!(session.say(b"get a\r\n", &()), b"END\r\n");
        assert_eq!(session.say(b"flush_all 100\r\nget a\r\n", &()), b"OK\r\nEND\r\n");
        assert_eq!((session.counters.cmd_flush.read(), session.counters.get_flushed.read()), (2, 2));
    }
}

#[test]
fn what_the_operator_forbids_is_refused() {
    let make = || {
        let mut session = session();
        session.switches = Switches { flush_enabled: false, dump_enabled: false, ..Switches::default() };
        session
    };
    talk_to(
        make,
        &[
            ("flush_all\r\nflush_all noreply\r\n", "CLIENT_ERROR flush_all not allowed\r\n"),
            ("stats detail on\r\n", "CLIENT_ERROR stats detail not allowed\r\n"),
            ("stats cachedump 1 0\r\n", "CLIENT_ERROR stats cachedump not allowed\r\n"),
            ("shutdown\r\nshutdown graceful\r\nshutdown x\r\n", &"SERVER_ERROR: shutdown not enabled\r\n".repeat(3)),
            ("debugtime 5\r\n", "ERROR\r\n"),
        ],
    );
}

#[test]
fn shutdown_ends_the_server_as_it_was_told() {
    for (line, mode) in [("shutdown\r\n", ShutdownMode::Now), ("shutdown graceful\r\n", ShutdownMode::Graceful)] {
        let mut session = session();
        session.switches.shutdown_command = true;
        assert_eq!(session.say(b"shutdown soon\r\n", &()), b"CLIENT_ERROR invalid shutdown mode\r\n");
        assert_eq!(session.say(line.as_bytes(), &()), b"");
        assert_eq!((session.operator.ended.get(), session.closed), (Some(mode), true));
    }
}

#[test]
fn debugtime_moves_the_clock_that_all_threads_read() {
    use larder::command::Operator as _;
    let mut session = session();
    session.switches.debug_commands = true;
    let before = session.operator.clock().read().now;
    assert_eq!(session.say(b"debugtime 100\r\ndebugtime p\r\n", &()), b"OK\r\nOK\r\n");
    assert_eq!(session.operator.clock().read().now, RelTime(before.0 + 100));
    assert_eq!(session.say(b"debugtime\r\ndebugtime x\r\ndebugtime r\r\n", &()), b"ERROR\r\nERROR\r\nOK\r\n");
}

#[test]
fn verbosity_and_memory_limit_have_bounds() {
    talk(&[
        ("verbosity 0\r\nverbosity 9\r\nverbosity 0 1 2\r\n", "OK\r\nOK\r\nOK\r\n"),
        ("verbosity\r\nverbosity x\r\nverbosity -1\r\nverbosity 4294967296\r\n", &BAD.repeat(4)),
        ("cache_memlimit 64\r\ncache_memlimit 64 x y\r\n", "OK\r\nOK\r\n"),
        ("cache_memlimit\r\ncache_memlimit x\r\ncache_memlimit -1\r\n", "ERROR\r\nERROR\r\nERROR\r\n"),
        ("cache_memlimit 7\r\n", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"),
        ("cache_memlimit 1000000001\r\n", "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"),
        ("cache_memlimit 999999999\r\n", "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n"),
    ]);
    let mut session = session();
    session.say(b"verbosity 9\r\n", &());
    assert_eq!(session.operator.verbosity(), 2);
}

#[test]
fn each_group_of_stats_has_its_rows() {
    talk(&[
        (
            "stats items\r\nstats  slabs x\r\n",
            "STAT group Items\r\nSTAT curr_items 0\r\nEND\r\nSTAT group Slabs\r\nSTAT curr_items 0\r\nEND\r\n",
        ),
        ("stats sizes\r\n", "STAT group Sizes\r\nSTAT curr_items 0\r\nEND\r\n"),
        ("stats settings\r\n", "STAT maxconns 1024\r\nEND\r\n"),
        ("stats conns\r\n", "END\r\n"),
        ("stats x\r\nstats item\r\nstats resetx\r\nstats noreply\r\n", &"ERROR\r\n".repeat(4)),
    ]);
    let mut session = session();
    session.operator.connections.borrow_mut().push((27, "tcp:10.0.0.9:4711".to_string()));
    let answered = String::from_utf8(session.say(b"stats conns\r\n", &())).unwrap();
    assert!(answered.starts_with("STAT 27:addr tcp:10.0.0.9:4711\r\nSTAT 27:listen_addr tcp:0.0.0.0:11211\r\n"));
    let answered = String::from_utf8(session.say(b"stats\r\n", &())).unwrap();
    for row in [
        "STAT version 1.6.45\r\nSTAT libevent epoll\r\n",
        "STAT larder_version 0.1.0\r\n",
        "STAT get_hits 5\r\n",
        "STAT threads 4\r\n",
        "STAT group General\r\n",
    ] {
        assert!(answered.contains(row), "{row} in {answered}");
    }
    assert_eq!(session.say(b"stats reset\r\n", &()), b"RESET\r\n");
    assert_eq!(session.operator.resets.get(), 1);
}

#[test]
fn stats_detail_counts_prefixes_while_it_is_on() {
    talk(&[
        ("stats detail\r\nstats detail x\r\n", &"CLIENT_ERROR usage: stats detail on|off|dump\r\n".repeat(2)),
        ("set a:b 0 0 1\r\nx\r\nstats detail dump\r\n", "STORED\r\nEND\r\n"),
        ("stats detail on\r\nset a:b 0 0 1 noreply\r\nx\r\nset a:b -1 0 1 noreply\r\nx\r\n", "OK\r\n"),
        ("get a:b a:c a\r\ngat 0 a:x\r\n", "VALUE a:b 0 1\r\nx\r\nEND\r\nEND\r\n"),
        ("delete a:b\r\ndelete a:b\r\ntouch a:b 0\r\n", "DELETED\r\nNOT_FOUND\r\nNOT_FOUND\r\n"),
        ("stats detail dump\r\n", "PREFIX a get 3 hit 1 set 1 del 2\r\nEND\r\n"),
        (
            "stats detail off\r\nget a:b\r\nstats detail dump\r\n",
            "OK\r\nEND\r\nPREFIX a get 3 hit 1 set 1 del 2\r\nEND\r\n",
        ),
        ("stats reset\r\nstats detail dump\r\n", "RESET\r\nEND\r\n"),
    ]);
}

#[test]
fn cachedump_shows_lengths_and_dates() {
    talk(&[
        ("set abc 0 100 3\r\nfoo\r\nstats cachedump 1 0\r\n", "STORED\r\nITEM abc [3 b; 1700001100 s]\r\nEND\r\n"),
        ("touch abc 0\r\nstats cachedump 63 1\r\n", "TOUCHED\r\nITEM abc [3 b; 0 s]\r\nEND\r\n"),
        ("stats cachedump\r\nstats cachedump 1\r\n", &"CLIENT_ERROR bad command line\r\n".repeat(2)),
        ("stats cachedump x 0\r\nstats cachedump 1 x\r\nstats cachedump -1 0\r\n", &BAD.repeat(3)),
        ("stats cachedump 128 0\r\n", "CLIENT_ERROR Illegal slab id\r\n"),
    ]);
    let mut session = session();
    for number in 0..40_000 {
        session.say(format!("set {}{number} 0 0 0 noreply\r\n\r\n", &LONG[..200]).as_bytes(), &());
    }
    let dumped = session.say(b"stats cachedump 1 0\r\n", &());
    assert!((2_000_000..=(2 << 20) + 5).contains(&dumped.len()), "{} bytes", dumped.len());
    assert!(dumped.ends_with(b"\r\nEND\r\n"));
}

#[test]
fn counters_count_what_happened() {
    let mut session = session();
    session.say(b"set n 0 0 1\r\n1\r\nadd n 0 0 1\r\n2\r\nset x 0 0 1\r\nxyz\r\nset f 0 0 9999999\r\n", &());
    session.say(&vec![b'.'; 10_000_001], &());
    session.say(b"get n\r\nget n n absent\r\nincr n 1\r\nincr m 1\r\ndecr n 1\r\ndecr m 1\r\ntouch n 0\r\n", &());
    session.say(b"cas m 0 0 1 1\r\nx\r\ncas n 0 0 1 77\r\nx\r\ndelete n\r\ndelete n\r\n", &());
    let rows: Vec<(&str, u64)> = session.counters.rows().filter(|row| row.1 > 0).map(|row| (row.0, row.1)).collect();
    assert_eq!(
        rows,
        [
            ("cmd_get", 4),
            ("cmd_set", 5),
            ("cmd_touch", 1),
            ("get_hits", 3),
            ("get_misses", 1),
            ("delete_misses", 1),
            ("delete_hits", 1),
            ("incr_misses", 1),
            ("incr_hits", 1),
            ("decr_misses", 1),
            ("decr_hits", 1),
            ("cas_misses", 1),
            ("cas_badval", 1),
            ("touch_hits", 1),
            ("store_too_large", 1),
        ]
    );
}

//! Meta commands against the model: times, counters, and a cache without memory.

use larder::base::{Moment, RelTime};
use larder::command::Switches;

use crate::model_engine::ModelEngine;
use crate::session::Session;

const START_S: u32 = 1000;

fn session() -> Session<ModelEngine> {
    Session::new(ModelEngine::new(Moment::at(RelTime(START_S))))
}

/// Requests with their second after the start, and the replies that must follow.
fn talk(script: &[(u32, &str, &str)]) {
    let mut session = session();
    for (second, said, expected) in script {
        session.engine.begin_turn_at(Moment::at(RelTime(START_S + second)));
        let answered = session.say(said.as_bytes(), &());
        assert_eq!(String::from_utf8_lossy(&answered), *expected, "{second} s: {said:?}");
    }
}

#[test]
fn times_to_live_count_down() {
    talk(&[
        (0, "ms a 1 T100\r\nx\r\nmg a t\r\n", "HD\r\nHD t100\r\n"),
        (1, "mg a t\r\nme a\r\n", "HD t99\r\nME a exp=99 la=1 cas=1 fetch=yes cls=1 size=2\r\n"),
        (99, "mg a t v\r\n", "VA 1 t1\r\nx\r\n"),
        (100, "mg a t v\r\n", "EN\r\n"),
        (100, "ma a N50 J7 v t\r\n", "VA 1 t50\r\n7\r\n"),
        (120, "ma a t v T1000\r\nmg a t\r\n", "VA 1 t30\r\n8\r\nHD t1000\r\n"),
        (120, "md a I T10\r\nmg a t T20\r\nmg a t\r\n", "HD\r\nHD t10 X W\r\nHD t20 Z X\r\n"),
    ]);
}

#[test]
fn idle_time_is_that_before_the_access() {
    talk(&[
        (0, "ms a 1\r\nx\r\n", "HD\r\n"),
        (60, "mg a l h\r\nmg a h\r\n", "HD l60 h0\r\nHD h1\r\n"),
        (180, "mg a u l\r\n", "HD l180\r\n"),
    ]);
}

#[test]
fn one_client_renews_an_item_that_is_about_to_expire() {
    talk(&[
        (0, "ms a 1 T100\r\nx\r\nmg a R30\r\n", "HD\r\nHD\r\n"),
        (70, "mg a R30 v\r\n", "VA 1\r\nx\r\n"),
        (71, "mg a R30 v\r\nmg a R30 v\r\n", "VA 1 W\r\nx\r\nVA 1 Z\r\nx\r\n"),
        (72, "ms a 1 T100\r\ny\r\nmg a R30 v\r\n", "HD\r\nVA 1\r\ny\r\n"),
        (172, "mg a R30 N60 v t\r\nmg a R30 N60 v t\r\n", "VA 0 t60 W\r\n\r\nVA 0 t60 Z\r\n\r\n"),
    ]);
}

#[test]
fn meta_commands_are_counted_as_the_classic_ones() {
    let mut session = session();
    session
        .say(b"ms a 1\r\n5\r\nmg a v\r\nmg b v q\r\nmg a T0\r\nmg c N0\r\nma a\r\nma b\r\nma a MD\r\nma b MD\r\nma x N0\r\nma y N0 MD\r\n", &());
    session.say(b"md a\r\nmd a q\r\nme c\r\nms c 1 C5\r\nx\r\nms d 1 C5\r\nx\r\nmn\r\n", &());
    let counters = &session.counters;
    let read = [&counters.cmd_get, &counters.get_hits, &counters.get_misses].map(|counter| counter.read());
    assert_eq!(read, [3, 2, 1]);
    let read = [&counters.cmd_touch, &counters.touch_hits, &counters.cmd_set, &counters.cmd_meta];
    assert_eq!(read.map(|counter| counter.read()), [1, 1, 3, 1]);
    let counted = [&counters.incr_hits, &counters.incr_misses, &counters.decr_hits, &counters.decr_misses];
    assert_eq!(counted.map(|counter| counter.read()), [1, 1, 1, 1]);
    let others = [&counters.delete_hits, &counters.delete_misses, &counters.cas_badval, &counters.cas_misses];
    assert_eq!(others.map(|counter| counter.read()), [1, 1, 1, 1]);
}

#[test]
fn a_set_without_memory_removes_the_old_value_in_each_mode() {
    for mode in ["MS", "ME", "MA", "MR", "C5"] {
        let mut session = session();
        assert_eq!(session.say(b"ms a 1\r\nx\r\n", &()), b"HD\r\n");
        session.engine.out_of_memory = true;
        let said = format!("ms a 1 q {mode}\r\ny\r\nmg a\r\n");
        let answered = session.say(said.as_bytes(), &());
        assert_eq!(String::from_utf8_lossy(&answered), "SERVER_ERROR out of memory storing object\r\nEN\r\n", "{mode}");
    }
}

#[test]
fn without_cas_uniques_they_are_0_everywhere() {
    let mut session = session();
    session.switches = Switches { use_cas: false, ..Switches::default() };
    let said = b"ms a 1 c\r\n5\r\nmg a c\r\nma a c v\r\nme a\r\n";
    let answered = session.say(said, &());
    let expected = "HD c0\r\nHD c0\r\nVA 1 c0\r\n6\r\nME a exp=-1 la=0 cas=0 fetch=yes cls=1 size=2\r\n";
    assert_eq!(String::from_utf8_lossy(&answered), expected);
}

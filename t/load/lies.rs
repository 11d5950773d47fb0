//! Wrong answers of a server are found, and late ones are counted.

use std::time::Duration;

use larder_bench::{KeyPlan, Mix, Op, Outcome, Pacing, Plan, Session, Sharing, Target, Waiting};

use super::liar::{Lie, start};

fn plan() -> Plan {
    Plan {
        connections: 2,
        waiting: Waiting::Sleep,
        keys: KeyPlan { count: 10, ..Plan::default().keys },
        ..Plan::default()
    }
}

fn faults_of(lie: Lie, plan: &Plan) -> Outcome {
    let mut session = Session::open(plan, &Target::Tcp(start(lie))).expect("it listens");
    // Twice, so that there are two stores to tear.
    for _ in 0..2 {
        let filled = session.fill().expect("sets are answered");
        assert_eq!((filled.stored, filled.faults), (10, 0));
    }
    session.run(Duration::from_millis(20)).expect("gets are answered")
}

#[test]
fn an_honest_server_is_not_accused() {
    let outcome = faults_of(Lie::None, &plan());
    assert_eq!((outcome.faults, outcome.lost_connections), (0, 0), "{:?}", outcome.notes);
    assert!(outcome.hits > 0);
}

#[test]
fn every_lie_is_found_out_and_told_in_words() {
    for (lie, word) in [
        (Lie::Swapped, "came with the value of item"),
        (Lie::Truncated, "has 99 bytes instead of 100"),
        (Lie::Empty, "has 0 bytes instead of 100"),
        (Lie::CutOff, "a value of 100 bytes is followed by"),
        (Lie::Torn, "is torn"),
        (Lie::OtherItem, "which was not asked for"),
        (Lie::Rotten, "is torn"),
        (Lie::Talkative, "out of step"),
        (Lie::Unfinished, "connection"),
    ] {
        let outcome = faults_of(lie, &plan());
        assert!(outcome.faults > 0, "{lie:?}");
        // The extra bytes follow a right answer: the first of each connection, which is then given up.
        let hits = if lie == Lie::Talkative { 2 } else { 0 };
        assert_eq!(outcome.hits, hits, "{lie:?}: {:?}", outcome.notes);
        assert!(outcome.notes.iter().any(|note| note.contains(word)), "{lie:?}: {:?}", outcome.notes);
    }
}

#[test]
fn a_value_that_was_replaced_is_stale_where_keys_are_private() {
    let keys = KeyPlan { sharing: Sharing::Private, ..plan().keys };
    let plan = Plan { keys, ..plan() };
    let outcome = faults_of(Lie::Stale, &plan);
    assert!(outcome.faults > 0);
    assert_eq!(outcome.hits, 0, "{:?}", outcome.notes);
    assert!(outcome.notes.iter().all(|note| note.contains("is stale")), "{:?}", outcome.notes);
    let outcome = faults_of(Lie::None, &plan);
    assert_eq!(outcome.faults, 0, "{:?}", outcome.notes);
    assert!(outcome.hits > 0);
}

#[test]
fn a_connection_that_was_given_up_is_opened_again_for_the_next_window() {
    let address = start(Lie::CutOff);
    let mut session = Session::open(&plan(), &Target::Tcp(address)).expect("it listens");
    session.fill().expect("sets are answered");
    for _ in 0..2 {
        let outcome = session.run(Duration::from_millis(5)).expect("gets are answered");
        assert_eq!(outcome.lost_connections, 2, "{:?}", outcome.notes);
    }
}

/// One connection, a request due every millisecond, and a server that delays the first reply for 40 ms. The requests
/// that are due meanwhile cannot be sent earlier.
#[test]
fn requests_that_a_stalled_server_kept_from_being_sent_count_from_when_they_were_due() {
    let plan = Plan { connections: 1, pacing: Pacing::Open { per_second: 1000.0 }, mix: Mix::only(Op::Get), ..plan() };
    let mut session = Session::open(&plan, &Target::Tcp(start(Lie::Late(40)))).expect("it listens");
    session.fill().expect("sets are answered");
    let outcome = session.run(Duration::from_millis(60)).expect("gets are answered");
    assert_eq!(outcome.requests + outcome.unsent, 60);
    assert_eq!(outcome.latency.len(), 60);
    assert!(outcome.late + outcome.unsent >= 38, "late {}, unsent {}", outcome.late, outcome.unsent);
    let slow = outcome.latency.count_between(19_000_000, u64::MAX);
    assert!(slow >= 20, "of those due in the first 20 ms each waited 20 ms or more, {slow} did");
}

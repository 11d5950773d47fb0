//! Sessions against a larder of their own.

use std::time::Duration;

use larder_bench::{
    KeyPlan, Mix, Op, Outcome, Pacing, Plan, Popularity, Session, Sharing, SizePlan, Target, TtlPlan, Waiting,
};

use crate::support::{Server, wait_until};

const WINDOW: Duration = Duration::from_millis(50);
const WINDOWS_MAX: usize = 100;
const KEYS: u64 = 2000;

fn plan() -> Plan {
    Plan {
        connections: 5,
        waiting: Waiting::Sleep,
        keys: KeyPlan { count: KEYS, ..Plan::default().keys },
        ..Plan::default()
    }
}

fn faultless(outcome: &Outcome) {
    assert_eq!((outcome.faults, outcome.errors, outcome.lost_connections), (0, 0, 0), "{:?}", outcome.notes);
    assert!(outcome.requests > 0);
}

fn open(plan: &Plan, server: &Server) -> Session {
    Session::open(plan, &Target::Tcp(server.tcp_address())).expect("the server accepts connections")
}

/// Fills and runs one window.
fn run(plan: &Plan, flags: &[&str]) -> (Server, Outcome) {
    let server = Server::start(flags);
    let mut session = open(plan, &server);
    let filled = session.fill().expect("the server answers");
    faultless(&filled);
    // On a busy machine a window may end before the client has run.
    let outcome = (0..WINDOWS_MAX)
        .map(|_| session.run(WINDOW).expect("the server answers"))
        .find(|outcome| outcome.requests > 0)
        .expect("some window has requests");
    faultless(&outcome);
    (server, outcome)
}

#[test]
fn a_fill_stores_every_key_once() {
    let server = Server::start(&[]);
    let mut session = open(&plan(), &server);
    let outcome = session.fill().expect("the server answers");
    faultless(&outcome);
    assert_eq!((outcome.requests, outcome.stored), (KEYS, KEYS));
    // The page mover may be at work, and an item that it moves is counted twice, or not, while threads' counts are
    // added up.
    wait_until("every key is counted once", || server.stats("")["curr_items"] == KEYS.to_string());
    assert_eq!(server.stats("")["cmd_set"], KEYS.to_string());
}

#[test]
fn gets_hit_and_every_one_is_timed() {
    let (server, outcome) = run(&plan(), &[]);
    assert_eq!((outcome.hits, outcome.misses), (outcome.requests, 0));
    assert_eq!(outcome.latency.len(), outcome.requests);
    assert_eq!(server.stats("")["get_hits"], outcome.hits.to_string());
}

#[test]
fn a_pipeline_of_gets_with_many_keys_counts_keys() {
    for pipeline in [1, 7] {
        let (server, outcome) = run(&Plan { pipeline, keys_per_get: 30, ..plan() }, &[]);
        assert_eq!(outcome.keys, 30 * outcome.requests);
        assert_eq!(outcome.hits, outcome.keys);
        assert_eq!(server.stats("")["get_hits"], outcome.hits.to_string());
    }
}

#[test]
fn missing_keys_are_misses_wherever_they_stand_in_a_get() {
    let keys = KeyPlan { fresh: 0.5, ..plan().keys };
    for keys_per_get in [1, 5] {
        let (server, outcome) = run(&Plan { pipeline: 10, keys_per_get, keys: keys.clone(), ..plan() }, &[]);
        assert!(outcome.misses > 0);
        assert!(outcome.hits > 0);
        assert_eq!(outcome.hits + outcome.misses, outcome.keys);
        assert_eq!(server.stats("")["get_misses"], outcome.misses.to_string());
    }
}

#[test]
fn every_kind_of_request_is_answered_as_it_must_be() {
    let mix = Mix(Op::ALL.into_iter().map(|op| (op, 1.0)).collect());
    let plan = Plan { pipeline: 20, mix, ttl: TtlPlan::Fixed(1000), values: SizePlan::Etc, ..plan() };
    let (_, outcome) = run(&plan, &[]);
    for (name, count) in [
        ("hits", outcome.hits),
        ("misses", outcome.misses),
        ("stored", outcome.stored),
        ("changed", outcome.changed),
        ("refused", outcome.refused),
    ] {
        assert!(count > 0, "{name}");
    }
    let sum = outcome.hits + outcome.misses + outcome.stored + outcome.changed + outcome.refused;
    assert_eq!(sum, outcome.requests);
}

#[test]
fn keys_that_connections_have_to_themselves_are_all_stored_and_none_is_stale() {
    let mix = Mix(Op::ALL.into_iter().map(|op| (op, 1.0)).collect());
    let keys = KeyPlan { sharing: Sharing::Private, fresh: 0.1, ..plan().keys };
    let plan = Plan { pipeline: 20, threads: 2, mix, keys, ..plan() };
    let server = Server::start(&[]);
    let mut session = open(&plan, &server);
    let filled = session.fill().expect("the server answers");
    // Counters and keys, in equal numbers.
    assert_eq!((filled.stored, filled.faults), (2 * KEYS, 0), "{:?}", filled.notes);
    for _ in 0..2 {
        let outcome = session.run(WINDOW).expect("the server answers");
        faultless(&outcome);
        assert!(outcome.hits > 0 && outcome.stored > 0 && outcome.changed > 0, "{outcome:?}");
    }
}

#[test]
fn a_cas_is_a_gets_and_a_store_with_its_unique() {
    for pipeline in [1, 10] {
        let (server, outcome) = run(&Plan { pipeline, mix: Mix::only(Op::Cas), ..plan() }, &[]);
        let [gets, cas] = &outcome.kinds[..] else { panic!("{:?}", outcome.kinds) };
        assert_eq!((gets.op, cas.op), (Op::Gets, Op::Cas));
        assert_eq!(gets.latency.len(), outcome.hits);
        assert_eq!(cas.latency.len(), outcome.stored + outcome.refused);
        assert_eq!(outcome.requests, gets.latency.len() + cas.latency.len());
        let stats = server.stats("");
        assert_eq!(stats["cas_hits"], outcome.stored.to_string());
        assert_eq!(stats["cas_badval"], outcome.refused.to_string());
        // What was fetched when the window ended was not stored any more.
        let left = outcome.hits - outcome.stored - outcome.refused;
        assert!(outcome.stored > 0 && left <= u64::from(5 * pipeline), "{left}");
    }
}

#[test]
fn a_cas_after_a_store_of_another_connection_is_refused() {
    let keys = KeyPlan { count: 1, ..plan().keys };
    let (server, outcome) = run(&Plan { mix: Mix::only(Op::Cas), keys, ..plan() }, &[]);
    assert!(outcome.refused > 0, "{outcome:?}");
    assert_eq!(server.stats("")["cas_badval"], outcome.refused.to_string());
}

#[test]
fn values_that_grow_at_both_ends_are_known_again() {
    let keys = KeyPlan { count: 50, ..plan().keys };
    let mix = Mix(vec![(Op::Append, 5.0), (Op::Prepend, 5.0), (Op::Get, 5.0), (Op::Set, 1.0), (Op::Gets, 1.0)]);
    let (server, outcome) = run(&Plan { pipeline: 10, keys_per_get: 3, mix, keys, ..plan() }, &[]);
    assert_eq!((outcome.misses, outcome.refused), (0, 0));
    assert_eq!(server.stats("")["cmd_set"], (50 + outcome.stored).to_string());
}

#[test]
fn latencies_of_a_mix_are_kept_by_kind() {
    let mix = Mix(vec![(Op::Set, 1.0), (Op::Get, 3.0)]);
    for pacing in [Pacing::Closed, Pacing::Open { per_second: 2000.0 }] {
        let (_, outcome) = run(&Plan { pipeline: 4, mix: mix.clone(), pacing, ..plan() }, &[]);
        let [gets, sets] = &outcome.kinds[..] else { panic!("{:?}", outcome.kinds) };
        assert_eq!((gets.op, sets.op), (Op::Get, Op::Set));
        assert_eq!(gets.latency.len() + sets.latency.len(), outcome.latency.len());
        assert!(sets.latency.len() >= outcome.stored && outcome.stored > 0);
        assert!(gets.latency.len() >= outcome.hits && outcome.hits > 0);
    }
    assert!(run(&plan(), &[]).1.kinds.is_empty());
}

#[test]
fn requests_without_replies_are_counted_when_they_are_known_to_be_done() {
    let plan = Plan { pipeline: 100, noreply: true, mix: Mix::only(Op::Set), ..plan() };
    let (server, outcome) = run(&plan, &[]);
    assert_eq!(outcome.requests % 100, 0);
    assert_eq!(server.stats("")["cmd_set"], (KEYS + outcome.requests).to_string());
}

#[test]
fn an_open_loop_asks_as_often_as_it_should() {
    let plan = Plan { pacing: Pacing::Open { per_second: 2000.0 }, ..plan() };
    let (_, outcome) = run(&plan, &[]);
    assert_eq!(outcome.requests + outcome.unsent, 100);
    assert_eq!(outcome.latency.len(), 100);
}

#[test]
fn large_values_come_back_whole() {
    let keys = KeyPlan { count: 20, ..plan().keys };
    let mix = Mix(vec![(Op::Get, 1.0), (Op::Set, 1.0)]);
    let values = SizePlan::Between(1, 700_000);
    let (_, outcome) = run(&Plan { pipeline: 3, keys, mix, values, connections: 2, ..plan() }, &["-m", "256"]);
    assert!(outcome.hits > 0);
    assert!(outcome.stored > 0);
}

#[test]
fn popularity_and_lengths_of_every_kind_are_served() {
    for popularity in [Popularity::Zipf(0.99), Popularity::HotSet { requests: 0.9, keys: 0.1 }] {
        let keys = KeyPlan { length: SizePlan::Etc, prefix: String::new(), popularity, ..plan().keys };
        let (_, outcome) = run(&Plan { pipeline: 10, keys, values: SizePlan::Etc, threads: 2, ..plan() }, &[]);
        assert_eq!(outcome.hits, outcome.requests);
    }
}

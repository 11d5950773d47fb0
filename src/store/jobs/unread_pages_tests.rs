//! Tests of unread pages: a class that is out of chunks, beside a class of items that no client has read.

use super::rig::Rig;
use crate::store::engine::{Engine as _, MoveTuning, Refusal};

/// More items than fit.
const OLD: usize = 25_000;
const OLD_LEN: usize = 1000;
/// Items of another class, worth six of 16 pages.
const BURST: usize = 4000;
const NEW_LEN: usize = 1300;

/// A full cache of 16 MiB with items of `OLD_LEN` bytes.
fn full_cache() -> Rig {
    let mut rig = Rig::new(16, true);
    rig.store("old", OLD, OLD_LEN);
    rig
}

#[test]
fn a_burst_into_another_class_gets_pages_of_older_items_that_were_never_read() {
    let mut rig = full_cache();
    rig.store("new", BURST, NEW_LEN);
    let found = rig.found("new", BURST);
    assert!(found * 100 >= BURST * 98, "{found} of {BURST}");
}

#[test]
fn items_that_were_read_keep_their_pages() {
    let mut rig = full_cache();
    rig.found("old", OLD);
    let pages = rig.pages(rig.class(OLD_LEN));
    rig.store("new", BURST, NEW_LEN);
    // One page is the other class's first, which it has in any case.
    assert!(rig.pages(rig.class(OLD_LEN)) >= pages - 1);
}

#[test]
fn a_class_claims_no_page_as_long_as_its_own_items_are_older() {
    let mut rig = full_cache();
    rig.store("new", BURST, NEW_LEN);
    let pages = rig.pages(rig.class(NEW_LEN));
    rig.store("newer", 2000, OLD_LEN);
    assert_eq!(rig.pages(rig.class(NEW_LEN)), pages);
}

#[test]
fn a_store_evicts_when_the_page_does_not_come() {
    let mut rig = full_cache();
    let first_page = rig.store.slabs.classes.per_page(rig.class(NEW_LEN)) as usize;
    rig.store("new", first_page, NEW_LEN);
    let evictions = rig.store.evictions();
    // The page mover takes no step.
    for _ in 0..10 {
        assert_eq!(rig.set("another", NEW_LEN), Err(Refusal::Busy));
    }
    assert_eq!(rig.store.evictions(), evictions);
    rig.store.clock.shift(1);
    assert_eq!(rig.set("another", NEW_LEN), Err(Refusal::Busy), "evicted chunks have their grace period");
    assert!(rig.store.evictions() > evictions);
    assert_eq!(rig.set("another", NEW_LEN), Ok(()));
}

#[test]
fn a_caller_that_does_not_wait_evicts_instead() {
    let mut rig = full_cache();
    let first_page = rig.store.slabs.classes.per_page(rig.class(NEW_LEN)) as usize;
    rig.store("new", first_page, NEW_LEN);
    assert_eq!(rig.set("another", NEW_LEN), Err(Refusal::Busy), "it waits for the page");
    let evictions = rig.store.evictions();
    rig.client.1.let_stores_wait(false);
    // The page mover takes no step.
    assert_eq!(rig.set("another", NEW_LEN), Err(Refusal::Busy), "evicted chunks have their grace period");
    assert_eq!(rig.set("another", NEW_LEN), Ok(()));
    assert!(rig.store.evictions() > evictions);
}

#[test]
fn a_claimed_page_stays_if_its_items_were_read_or_replaced_meanwhile() {
    let mut rig = full_cache();
    let first_page = rig.store.slabs.classes.per_page(rig.class(NEW_LEN)) as usize;
    rig.store("new", first_page, NEW_LEN);
    assert_eq!(rig.set("another", NEW_LEN), Err(Refusal::Busy));
    let found = rig.found("old", OLD);
    assert!(found > 10_000, "{found}");
    let moved = rig.moved();
    rig.run();
    // The page mover takes one page for the first page of the other class, which was beyond the limit.
    assert!(rig.moved() <= moved + 1, "{} pages", rig.moved() - moved);
    assert_eq!(rig.pages(rig.class(NEW_LEN)), 1);
}

#[test]
fn classes_of_steady_stores_do_not_exchange_pages() {
    let mut rig = Rig::new(16, true);
    // No other moves: on a clock that stands still, each step of the page mover compares the classes.
    rig.store.page_moves.tune(MoveTuning { ratio: 0.0, ..MoveTuning::default() });
    let round = |rig: &mut Rig, number: usize| {
        rig.store(&format!("one-{number}"), 100, OLD_LEN);
        rig.store(&format!("two-{number}"), 100, NEW_LEN);
        rig.step();
    };
    (0..200).for_each(|number| round(&mut rig, number));
    let moved = rig.moved();
    (200..600).for_each(|number| round(&mut rig, number));
    assert!(rig.moved() - moved <= 4, "{} pages moved", rig.moved() - moved);
}

#[test]
fn no_claim_outlives_automatic_moves() {
    let mut rig = full_cache();
    let first_page = rig.store.slabs.classes.per_page(rig.class(NEW_LEN)) as usize;
    rig.store("new", first_page, NEW_LEN);
    assert_eq!(rig.set("another", NEW_LEN), Err(Refusal::Busy));
    rig.store.page_moves.tune(MoveTuning { level: 0, ..MoveTuning::default() });
    assert!(rig.store.page_moves.claims.take_claim().is_none());
    let evictions = rig.store.evictions();
    assert_eq!(rig.set("another", NEW_LEN), Err(Refusal::Busy), "evicted chunks have their grace period");
    assert!(rig.store.evictions() > evictions);
}

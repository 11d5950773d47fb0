//! Tests of unread pages: a class that is out of chunks, beside a class of items that no client has read.

use super::rig::Rig;
use crate::store::engine::Refusal;

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

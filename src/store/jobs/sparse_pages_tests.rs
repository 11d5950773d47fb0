//! Tests of sparse pages: memory becomes full while some classes hold few items.

use super::rig::Rig;

/// Three sizes, each in the next larger class.
const LENS: [usize; 3] = [600, 760, 960];
/// Items that fill little of a page.
const FEW: usize = 20;
/// About 12 of 16 pages of the longest values.
const MANY: usize = 11_500;

/// A cache of 16 MiB that is almost full, and two classes with few items.
fn almost_full() -> Rig {
    let mut rig = Rig::new(16, true);
    rig.store("short", FEW, LENS[0]);
    rig.store("medium", FEW, LENS[1]);
    rig.store("long", MANY, LENS[2]);
    assert_eq!(rig.store.evictions(), 0);
    assert_eq!([0, 1].map(|size| rig.pages(rig.class(LENS[size]))), [1, 1]);
    rig
}

/// Stores long values as long as nothing is evicted, and returns how many.
fn store_until_eviction(rig: &mut Rig) -> usize {
    (0..MANY)
        .take_while(|number| {
            rig.store(&format!("more-{number}"), 1, LENS[2]);
            rig.store.evictions() == 0
        })
        .count()
}

#[test]
fn a_class_that_would_evict_gets_a_page_with_few_items_and_they_are_kept() {
    let mut rig = almost_full();
    let moved = rig.moved();
    store_until_eviction(&mut rig);
    assert_eq!(rig.moved(), moved + 1);
    assert_eq!(rig.pages(rig.class(LENS[0])), 0, "its items are in chunks of the next class");
    assert_eq!([rig.found("short", FEW), rig.found("medium", FEW)], [FEW; 2]);
}

#[test]
fn a_class_without_a_page_stores_in_chunks_of_a_larger_class() {
    let mut rig = almost_full();
    store_until_eviction(&mut rig);
    let evictions = rig.store.evictions();
    rig.store("another", FEW, LENS[0]);
    assert_eq!((rig.store.evictions(), rig.pages(rig.class(LENS[0]))), (evictions, 0));
    assert_eq!(rig.found("another", FEW), FEW);
}

#[test]
fn a_class_that_is_out_of_chunks_takes_larger_ones_before_the_first_eviction() {
    let mut rig = Rig::new(16, true);
    rig.store("long", FEW, LENS[2]);
    rig.store("medium", 20_000, LENS[1]);
    let per_page = rig.store.slabs.classes.per_page(rig.class(LENS[2]));
    assert_eq!(rig.pages(rig.class(LENS[2])), 1);
    let free = rig.store.slabs.lock(rig.class(LENS[2])).ready();
    assert!(free < per_page / 8, "{free} of {per_page} chunks are free");
    assert_eq!(rig.found("long", FEW), FEW);
}

#[test]
fn classes_do_not_exchange_sparse_pages() {
    let mut rig = Rig::new(16, true);
    let lens = [450, 560, 700, 880, 1100, 1380];
    for number in 0..4000 {
        for len in lens {
            rig.store(&format!("{len}-{number}"), 1, len);
        }
        if rig.store.evictions() > 0 {
            break;
        }
    }
    assert!(rig.store.evictions() > 0);
    assert!(rig.moved() <= lens.len() as u64, "{} pages moved", rig.moved());
}

#[test]
fn a_class_that_evicts_moves_items_out_of_lent_chunks() {
    let mut rig = Rig::new(16, true);
    let [medium, long] = [LENS[1], LENS[2]].map(|len| rig.class(len));
    let [of_medium, of_long] = [medium, long].map(|class| rig.store.slabs.classes.per_page(class) as usize);
    rig.store("long", 1, LENS[2]);
    rig.store("lent", FEW, LENS[1]);
    assert_eq!(rig.pages(medium), 0, "in chunks of the next class");
    rig.store("half", of_long / 2, LENS[2]);
    rig.store("medium", of_medium * 3 / 4, LENS[1]);
    assert_eq!(rig.pages(medium), 1);
    rig.store("many", MANY, LENS[2]);
    store_until_eviction(&mut rig);
    rig.store("newer", of_long, LENS[2]);
    assert!(rig.store.evictions() > FEW as u64);
    assert_eq!(rig.found("half", FEW), 0, "items that came later were evicted");
    assert_eq!(rig.found("lent", FEW), FEW);
}

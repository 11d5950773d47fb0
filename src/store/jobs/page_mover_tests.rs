//! Tests of the page mover, step by step on a clock that stands still.

use super::rig::Rig;
use super::{MoverState, NextStep};
use crate::base::atomic::Ordering;
use crate::base::{ClockTick, Deadline, RelTime};
use crate::item::Extras;
use crate::store::engine::{Engine as _, EngineAdmin as _, MoveTuning, Reassign, Write};

#[test]
fn without_evictions_no_live_item_leaves_for_a_page() {
    let mut rig = Rig::new(8, false);
    let count = rig.fill("small", 1_000_000, 100);
    assert!(count > 40_000, "{count} items fill 8 MiB");
    // Each class may have one page.
    let large = [400, 1000, 3000, 9000];
    assert!(large.into_iter().all(|len| rig.set(&format!("large-{len}"), len).is_ok()));
    assert!(rig.store.pages_beyond() >= 4);
    rig.run();
    assert_eq!((rig.store.items(), rig.moved()), (count as u64 + 4, 0), "no class has a page to give");
    // Two of three items leave: the others fit into less than half of the pages.
    (0..count).filter(|number| number % 3 > 0).for_each(|number| rig.delete(&format!("small-{number}")));
    rig.run();
    assert_eq!((rig.store.pages_beyond(), rig.store.evictions()), (0, 0));
    assert!((0..count).step_by(3).all(|number| rig.has(&format!("small-{number}"))));
    assert!(large.into_iter().all(|len| rig.has(&format!("large-{len}"))));
}

#[test]
fn without_evictions_an_order_that_would_cost_items_is_not_carried_out() {
    let mut rig = Rig::new(4, false);
    let count = rig.fill("small", 1_000_000, 100);
    assert!(rig.set("large", 3000).is_ok());
    let (small, large) = (rig.class(100), rig.class(3000));
    assert_eq!(rig.store.reassign(Some(small), large), Reassign::Started);
    rig.run();
    assert_eq!((rig.moved(), rig.store.page_moves.counts.busy_items.total()), (0, 1));
    assert_eq!(rig.store.page_moves.last_busy_status(), "busy_nomem");
    assert!((0..count).all(|number| rig.has(&format!("small-{number}"))));
    (0..count).step_by(2).for_each(|number| rig.delete(&format!("small-{number}")));
    assert_eq!(rig.store.reassign(Some(small), large), Reassign::Started);
    rig.run();
    assert!(rig.moved() > 0);
    assert_eq!(rig.store.page_moves.last_busy_status(), "none", "the last page has moved");
    assert!((1..count).step_by(2).all(|number| rig.has(&format!("small-{number}"))));
}

#[test]
fn the_last_page_of_a_class_goes_only_if_no_other_class_could_give_one() {
    let mut rig = Rig::new(4, true);
    rig.fill("small", 10_000, 100);
    assert!(rig.set("last", 3000).is_ok());
    let (rich, poor, class_in_need) = (rig.class(100), rig.class(3000), 1);
    rig.client.1.set_memory_limit(1 << 20);
    // A lease holds its pages.
    rig.mover.shunned.push(rich);
    rig.store.page_moves.class_in_need.store(class_in_need, Ordering::Relaxed);
    assert!(matches!(rig.step(), NextStep::Rest(..)));
    assert!(matches!(rig.mover.state, MoverState::Idle));
    assert_eq!(rig.store.page_moves.take_class_in_need(), Some(class_in_need), "it is still asked for");
    rig.run();
    let pages = |class| rig.store.slabs.lock(class).usage().pages;
    assert_eq!((pages(rich), pages(poor)), (1, 1));
    rig.store.page_moves.class_in_need.store(class_in_need, Ordering::Relaxed);
    rig.run();
    let pages = |class| rig.store.slabs.lock(class).usage().pages;
    assert_eq!(pages(rich) + pages(poor), 1);
}

#[test]
fn an_order_costs_no_item_and_counts_as_no_set_while_memory_is_free() {
    let mut rig = Rig::new(64, true);
    let count = rig.fill("small", 20_000, 100);
    assert!(rig.set("large", 3000).is_ok());
    assert!((0..count).step_by(2).all(|number| rig.has(&format!("small-{number}"))));
    let stored = rig.store.stored_bytes();
    for _ in 0..2 {
        assert_eq!(rig.store.reassign(Some(rig.class(100)), rig.class(3000)), Reassign::Started);
        rig.run();
    }
    assert_eq!((rig.moved(), rig.store.items(), rig.store.evictions()), (2, count as u64 + 1, 0));
    assert!((0..count).all(|number| rig.has(&format!("small-{number}"))));
    assert_eq!(rig.store.stored_bytes(), stored, "copies are nothing new");
    let out_of_memory = rig.store.statistics.class_tallies.iter().map(|tally| tally.out_of_memory.total());
    assert_eq!(out_of_memory.sum::<u64>(), 0);
}

#[test]
fn an_unneeded_class_loses_all_pages_and_no_item() {
    let mut rig = Rig::new(64, true);
    let count = rig.fill("small", 20_000, 100);
    let (old, pages) = (rig.class(100), 3);
    assert_eq!(rig.store.slabs.lock(old).usage().pages, pages);
    rig.store.slabs.classes.add(128).unwrap();
    let new = rig.class(100);
    assert_ne!(old, new);
    rig.store.page_moves.clear_out(old, pages);
    rig.run();
    assert_eq!((rig.moved(), rig.store.items(), rig.store.evictions()), (3, count as u64, 0));
    assert_eq!((rig.store.class_items(old), rig.store.class_items(new)), (0, count as u64));
    assert!((0..count).all(|number| rig.has(&format!("small-{number}"))));
}

#[test]
fn pages_of_an_unneeded_class_stay_where_memory_is_full() {
    let mut rig = Rig::new(4, true);
    rig.fill("small", 10_000, 1000);
    assert!(rig.store.evictions() > 0);
    let (old, count) = (rig.class(1000), rig.store.items());
    rig.store.slabs.classes.add(1032).unwrap();
    rig.store.page_moves.clear_out(old, 4);
    rig.run();
    assert_eq!((rig.moved(), rig.store.items()), (0, count));
}

#[test]
fn pages_of_an_unneeded_class_stay_while_automatic_moves_are_off() {
    let mut rig = Rig::new(64, true);
    rig.fill("small", 20_000, 100);
    let (old, pages) = (rig.class(100), 3);
    rig.store.slabs.classes.add(128).unwrap();
    rig.store.tune_moves(MoveTuning { level: 0, ..MoveTuning::default() });
    rig.store.page_moves.clear_out(old, pages);
    rig.run();
    assert_eq!(rig.moved(), 0);
    rig.store.tune_moves(MoveTuning::default());
    rig.run();
    assert_eq!(rig.moved(), 3, "then they go");
}

#[test]
fn without_evictions_an_unneeded_class_loses_its_pages_too() {
    let mut rig = Rig::new(64, false);
    let count = rig.fill("small", 20_000, 100);
    let old = rig.class(100);
    rig.store.slabs.classes.add(128).unwrap();
    rig.store.page_moves.clear_out(old, 3);
    rig.run();
    assert_eq!((rig.moved(), rig.store.items()), (3, count as u64));
}

#[test]
fn a_copy_ends_when_its_original_would_have() {
    let mut rig = Rig::new(64, true);
    rig.fill("small", 100, 100);
    let (old, end) = (rig.class(100), Deadline::at(RelTime(rig.client.1.now().0 + 100)));
    rig.touch("small-7", end);
    rig.store.slabs.classes.add(128).unwrap();
    rig.store.page_moves.clear_out(old, 1);
    rig.run();
    let page = rig.store.slabs.lock(rig.class(100)).pages()[0];
    let is_due = |now| rig.store.slabs.dues.is_due(page, ClockTick(now));
    assert_eq!((rig.moved(), is_due(end.0 - 1), is_due(end.0)), (1, false, true));
    rig.store.clock.shift(101);
    assert!(!rig.has("small-7"));
    assert!(rig.has("small-8"));
}

#[test]
fn small_items_are_main_in_a_class_that_has_not_evicted() {
    let mut rig = Rig::new(8, true);
    rig.fill("small", 100_000, 100);
    rig.store("more", 100, 100);
    let (old, before) = (rig.class(100), (rig.store.items(), rig.store.evictions()));
    rig.client.1.bring_all_pending_inserts(&rig.client.0.pin());
    assert!(rig.store.policy_use(old).ring_len > 0);
    rig.client.1.set_memory_limit(64 << 20);
    rig.store.slabs.classes.add(128).unwrap();
    let pages = rig.store.slabs.lock(old).usage().pages;
    rig.store.page_moves.clear_out(old, pages);
    rig.run();
    rig.job.1.bring_all_pending_inserts(&rig.job.0.pin());
    assert_eq!((rig.store.class_items(rig.class(100)), rig.store.evictions()), before);
    let [old, new] = [old, rig.class(100)].map(|class| rig.store.policy_use(class));
    assert_eq!((old.stale, new.ring_len, new.stale), (old.ring_len, 0, 0));
}

#[test]
fn a_held_page_of_an_unneeded_class_is_tried_again() {
    let mut rig = Rig::new(64, true);
    let count = rig.fill("small", 20_000, 100);
    let (old, key) = (rig.class(100), rig.hashed("small-1234"));
    let held = rig.client.1.reserve(&rig.client.0.pin(), &Write::set(key), 100).ok();
    rig.store.slabs.classes.add(128).unwrap();
    rig.store.page_moves.clear_out(old, 3);
    while rig.store.page_moves.counts.busy_items.total() == 0 {
        rig.step();
    }
    assert_eq!(rig.store.page_moves.last_busy_status(), "busy_floating");
    drop(held);
    rig.run();
    assert_eq!((rig.moved(), rig.store.items()), (3, count as u64));
    assert_eq!(rig.store.page_moves.last_busy_status(), "none");
}

#[test]
fn a_page_held_for_long_stays_in_an_unneeded_class() {
    let mut rig = Rig::new(64, true);
    rig.fill("small", 20_000, 100);
    let (old, key) = (rig.class(100), rig.hashed("small-1234"));
    let _held = rig.client.1.reserve(&rig.client.0.pin(), &Write::set(key), 100).ok();
    rig.store.slabs.classes.add(128).unwrap();
    rig.store.page_moves.clear_out(old, 3);
    rig.run();
    assert_eq!((rig.moved(), rig.store.slabs.lock(old).usage().pages), (2, 1));
}

#[test]
fn a_value_of_more_than_a_page_is_not_copied_out_of_an_unneeded_class() {
    let mut rig = Rig::new(64, true);
    let len = 66 * (16384 - 16) + 10_000;
    assert!(rig.set("long", len).is_ok());
    let tail = |rig: &Rig| rig.layout("long", u32::try_from(len).unwrap()).tail_class.unwrap();
    let (old, fitted_bytes) = (tail(&rig), rig.store.slabs.classes.chunk_bytes(tail(&rig)) - 8);
    rig.store.slabs.classes.add(fitted_bytes).unwrap();
    assert_ne!(tail(&rig), old);
    rig.store.page_moves.clear_out(old, 1);
    rig.run();
    assert_eq!((rig.moved(), rig.store.slabs.lock(old).usage().pages), (0, 1));
    assert_ne!(rig.store.page_moves.counts.busy_items.total(), 0, "it has been tried");
}

#[test]
fn a_class_that_is_needed_again_keeps_its_pages() {
    let mut rig = Rig::new(64, true);
    rig.fill("small", 20_000, 100);
    let old = rig.class(100);
    rig.store.slabs.classes.add(128).unwrap();
    // Two bytes more than the new class holds.
    assert!(rig.set("small-1234", 104).is_ok());
    assert_eq!(rig.class(104), old);
    rig.store.page_moves.clear_out(old, 3);
    rig.run();
    assert_eq!(rig.moved(), 0);
}

#[test]
fn a_page_of_an_unneeded_class_is_put_back_when_memory_is_full() {
    let mut rig = Rig::new(64, true);
    let count = rig.fill("small", 20_000, 100);
    let old = rig.class(100);
    rig.store.slabs.classes.add(128).unwrap();
    rig.store.page_moves.clear_out(old, 3);
    while rig.store.class_items(rig.class(100)) == 0 {
        rig.step();
    }
    let pages = rig.store.slabs.pages_used();
    rig.client.1.set_memory_limit((pages << 20) + rig.store.side_bytes());
    assert_eq!((pages, rig.store.pages_beyond()), (4, 0));
    rig.run();
    assert_eq!((rig.moved(), rig.store.items(), rig.store.evictions()), (0, count as u64, 0));
    assert!((0..count).all(|number| rig.has(&format!("small-{number}"))));
}

#[test]
fn an_order_is_carried_out_though_memory_is_beyond_the_limit() {
    let mut rig = Rig::new(8, true);
    rig.fill("small", 20_000, 100);
    assert!(rig.set("large", 3000).is_ok());
    let large = rig.class(3000);
    rig.client.1.set_memory_limit(1 << 20);
    assert_eq!(rig.store.reassign(Some(rig.class(100)), large), Reassign::Started);
    while rig.moved() == 0 {
        rig.step();
    }
    assert_eq!(rig.store.slabs.lock(large).usage().pages, 2);
}

#[test]
fn a_class_with_too_few_last_links_gets_a_page_without_ghost_hits() {
    let mut rig = Rig::new(15, true);
    let len = 2 * 16384 + 12_000;
    let layout = rig.layout("chain", len);
    let (full, last) = (layout.head_class, layout.tail_class.unwrap());
    let vacated = |rig: &Rig, class| rig.store.statistics.class_tallies[usize::from(class)].vacated.total();
    // Every key is new: there are no ghost hits.
    let set = |rig: &mut Rig, numbers: std::ops::Range<usize>| {
        for number in numbers {
            while rig.set(&format!("chain-{number}"), len as usize).is_err() {
                rig.step();
            }
        }
    };
    set(&mut rig, 0..400);
    assert!(vacated(&rig, last) > 0 && vacated(&rig, full) == 0, "last links ran out first");
    for number in (400..1000).step_by(50) {
        set(&mut rig, number..number + 50);
        rig.run();
    }
    let before = vacated(&rig, last);
    set(&mut rig, 1000..1200);
    assert_eq!(vacated(&rig, last), before, "its own policy decides who leaves");
    assert!(vacated(&rig, full) > 0);
}

#[test]
fn the_last_page_of_a_class_goes_to_a_class_in_need_when_unused_for_long() {
    let mut rig = Rig::new(4, true);
    assert!(rig.set("rare", 3000).is_ok());
    let (rare, common) = (rig.class(3000), rig.class(100));
    let mut number = 0;
    // Each key is stored again after its eviction, while the ghost still knows it.
    let mut work = |rig: &mut Rig, seconds: i64| {
        rig.store.clock.shift(seconds);
        for _ in 0..40_000 {
            number = (number + 1) % 40_000;
            if !rig.has(&format!("small-{number}")) {
                let _is_stored = rig.set(&format!("small-{number}"), 100);
            }
        }
        rig.run();
    };
    let pages = |rig: &Rig, class| rig.store.slabs.lock(class).usage().pages;
    (0..3).for_each(|_| work(&mut rig, 1));
    let before = pages(&rig, common);
    // A read and a touch both count as use.
    work(&mut rig, 200);
    assert!(rig.has("rare"));
    for _ in 0..2 {
        work(&mut rig, 200);
        assert_eq!((pages(&rig, rare), pages(&rig, common)), (1, before));
        rig.touch("rare", Deadline::NEVER);
    }
    work(&mut rig, 200);
    assert_eq!((pages(&rig, rare), pages(&rig, common)), (1, before));
    work(&mut rig, 300);
    assert_eq!((pages(&rig, rare), pages(&rig, common)), (0, before + 1));
    assert!(!rig.has("rare"));
    assert_eq!(rig.store.reassign(Some(common), rare), Reassign::Started);
    work(&mut rig, 1);
    assert_eq!(pages(&rig, rare), 1, "a page that it has just got is in use");
    assert!(rig.set("rare", 3000).is_ok());
}

/// Lengths of values, each in a class of its own.
const LENGTHS: [usize; 12] = [60, 100, 200, 300, 500, 800, 1300, 2100, 3400, 5500, 9000, 14_500];

#[test]
fn the_last_pages_of_empty_classes_go_to_a_class_that_evicts() {
    let mut rig = Rig::new(16, true);
    for len in LENGTHS {
        rig.set("once", len).unwrap();
    }
    rig.delete("once");
    let common = rig.class(LENGTHS[1]);
    let mut number = 0;
    for _ in 0..20 {
        rig.store.clock.shift(1);
        for _ in 0..20_000 {
            number += 1;
            while rig.set(&format!("small-{number}"), LENGTHS[1]).is_err() {
                rig.step();
            }
        }
        rig.run();
    }
    let usage = |class| rig.store.slabs.lock(class).usage().pages;
    let others: u32 = rig.store.slabs.classes.ids().filter(|class| *class != common).map(usage).sum();
    assert_eq!(others, 0, "beside {} pages of the class that evicts", usage(common));
}

#[test]
fn a_lower_limit_is_met_though_every_class_had_a_page() {
    let mut rig = Rig::new(16, true);
    for len in LENGTHS {
        rig.set("once", len).unwrap();
    }
    rig.set("kept", LENGTHS[1]).unwrap();
    rig.client.1.set_memory_limit(8 << 20);
    for _ in 0..5 {
        rig.store.clock.shift(1);
        rig.run();
    }
    assert_eq!(rig.store.pages_beyond(), 0);
    assert!(rig.has("kept"));
}

#[test]
fn an_order_takes_the_last_page_of_an_empty_class_but_of_no_other() {
    let mut rig = Rig::new(16, true);
    rig.set("small", 100).unwrap();
    rig.set("large", 3000).unwrap();
    let (small, large) = (rig.class(100), rig.class(3000));
    assert_eq!(rig.store.reassign(Some(large), small), Reassign::NoSpare);
    rig.delete("large");
    assert_eq!(rig.store.reassign(Some(large), small), Reassign::Started);
    rig.run();
    assert_eq!((rig.moved(), rig.store.slabs.lock(small).usage().pages), (1, 2));
}

#[test]
fn a_page_of_short_items_goes_before_one_of_a_long_chain() {
    let mut rig = Rig::new(32, true);
    let (large, small) = (rig.class(16_300), rig.class(100));
    rig.set("small", 100).unwrap();
    rig.set("chain", 2 << 20).unwrap();
    let mut number = 0;
    while rig.store.slabs.has_page(rig.store.side_bytes()) {
        rig.set(&format!("one-{number}"), 16_300).unwrap();
        number += 1;
    }
    let chain_len = |rig: &mut Rig| {
        let key = rig.hashed("chain");
        let (participant, worker) = &mut rig.client;
        worker.peek(&participant.pin(), key).map(|item| item.value_len())
    };
    assert_eq!(rig.store.evictions(), 0);
    for moved in 1..=8 {
        assert_eq!(rig.store.reassign(Some(large), small), Reassign::Started);
        rig.run();
        assert_eq!((rig.moved(), chain_len(&mut rig)), (moved, Some(2 << 20)));
    }
    assert!((7 * 64..=8 * 64).contains(&rig.store.evictions()), "{} of 8 pages", rig.store.evictions());
}

#[test]
fn a_page_that_a_client_is_still_filling_goes_last() {
    let mut rig = Rig::new(16, true);
    let (large, small) = (rig.class(16_300), rig.class(100));
    rig.set("small", 100).unwrap();
    let key = rig.hashed("arriving");
    let held = rig.client.1.allocate_whole(&rig.client.0.pin(), key, Extras::default(), Deadline::NEVER, 2 << 20).ok();
    assert!(held.is_some());
    let mut number = 0;
    while rig.store.slabs.has_page(rig.store.side_bytes()) {
        rig.set(&format!("chain-{number}"), 1 << 20).unwrap();
        number += 1;
    }
    for moved in 1..=4 {
        assert_eq!(rig.store.reassign(Some(large), small), Reassign::Started);
        rig.run();
        assert_eq!((rig.moved(), rig.store.page_moves.counts.busy_items.total()), (moved, 0));
    }
}

#[test]
fn stats_reset_hides_nothing_from_the_page_mover() {
    let mut rig = Rig::new(4, true);
    for number in 0..80_000 {
        // Some keys are stored again after their eviction.
        let _is_stored = rig.set(&format!("small-{}", number % 40_000), 100);
        rig.has(&format!("small-{}", number / 2));
    }
    rig.run();
    let decides = |rig: &Rig| {
        let (small, store) = (rig.class(100), rig.store);
        let seen: Vec<_> = super::samples(&rig.job.1).iter().map(|class| (class.missed, class.vacated)).collect();
        (seen, store.evictions(), store.stored_bytes(), store.class_activity(small))
    };
    let before = decides(&rig);
    assert!(before.0.iter().any(|(missed, vacated)| *missed > 0 && *vacated > 0), "{before:?}");
    rig.client.1.reset_stats();
    assert_eq!(decides(&rig), before);
}

#[test]
fn pages_that_are_ordered_into_the_pool_stay_there() {
    let mut rig = Rig::new(8, true);
    rig.fill("small", 20_000, 1000);
    assert!(rig.store.evictions() > 0, "memory is full");
    let class = rig.class(1000);
    let (pages, per_page) = (rig.store.slabs.lock(class).usage().pages, rig.store.slabs.classes.per_page(class));
    for moved in 1..pages {
        let before = rig.store.items();
        assert_eq!(rig.store.reassign(Some(class), 0), Reassign::Started);
        rig.run();
        assert_eq!(rig.store.slabs.pool_ready(), moved as usize);
        assert!(before - rig.store.items() <= u64::from(per_page), "only what was on the page may leave");
    }
    assert_eq!(rig.store.reassign(Some(class), 0), Reassign::NoSpare);
}

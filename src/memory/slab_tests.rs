//! Tests of the slab allocator: the state of each chunk, and when a page can leave its class.

use super::super::size_class::ClassPlan;
use super::{ChunkRef, LIMBO_LONG, PAGE_BYTES, RECLAIMED_MAX, Retired, SizeClasses, SlabAllocator};

fn allocator(limit_pages: u32) -> SlabAllocator {
    let plan = ClassPlan { first: 64, growth_factor: 1.5, chunk_max: 16384, explicit: Vec::new() };
    SlabAllocator::new(SizeClasses::build(&plan), u64::from(limit_pages * PAGE_BYTES)).unwrap()
}

#[test]
fn a_page_is_handed_out_chunk_by_chunk_and_refilled_from_what_comes_back() {
    let slabs = allocator(1);
    let class = slabs.classes.largest();
    let mut guard = slabs.lock(class);
    assert!(guard.grow(0, false));
    let mut chunks = Vec::new();
    assert_eq!(guard.take(1000, |chunk| chunks.push(chunk)), 64);
    assert!(!guard.grow(0, false), "the limit is one page");
    guard.give_back(chunks[7]);
    assert_eq!(guard.take(1000, |chunk| assert_eq!(chunk, chunks[7])), 1);
    assert!(guard.grow(0, true), "a forced page goes beyond the limit");
}

#[test]
fn a_page_that_comes_early_costs_no_chunk_of_the_one_before() {
    let slabs = allocator(4);
    let class = slabs.classes.largest();
    let mut guard = slabs.lock(class);
    assert!(guard.grow(0, false));
    assert_eq!(guard.take(10, |_| {}), 10);
    assert!(guard.grow(0, false));
    assert_eq!(guard.ready(), 54 + 64);
    assert_eq!(guard.take(1000, |_| {}), 54 + 64);
}

#[test]
fn other_bytes_count_against_the_same_limit() {
    let slabs = allocator(4);
    let (page, half) = (u64::from(PAGE_BYTES), u64::from(PAGE_BYTES) / 2);
    assert_eq!(slabs.pages_allowed(0), 4);
    assert_eq!((slabs.pages_allowed(half), slabs.pages_allowed(half + 1)), (4, 3), "to the nearest page");
    assert!(slabs.has_page(3 * page + half));
    assert!(!slabs.has_page(3 * page + half + 1));
    assert_eq!(slabs.pages_allowed(100 * page), 0);
    assert!((0..4).all(|_| slabs.lock(1).grow(0, false)));
    assert_eq!((slabs.pages_owed(half), slabs.pages_owed(half + 1)), (0, 1), "what may be had is not owed");
}

#[test]
fn a_retired_chunk_waits_for_its_stamp_and_its_leases() {
    let slabs = allocator(2);
    let epochs = std::sync::Arc::new(crate::sync::Epochs::new(1));
    let class = 1;
    let mut guard = slabs.lock(class);
    assert!(guard.grow(0, false));
    let mut chunk = None;
    guard.take(1, |taken| chunk = Some(taken));
    let chunk = chunk.unwrap();
    slabs.leases.add(chunk);
    guard.retire(epochs.stamp(), [Retired { chunk, head: chunk }].into_iter());
    let ready = guard.ready();
    assert_eq!(guard.reclaim(|_| false), 0);
    assert_eq!(guard.usage().limbo, 1);
    assert_eq!(guard.reclaim(|_| true), 1);
    assert_eq!((guard.usage().limbo, guard.ready()), (0, ready), "the lease keeps it");
    assert_eq!(slabs.leases.end(chunk), [chunk], "the last lease gives the chunk back");
}

#[test]
fn limbo_is_emptied_in_bounded_steps_and_kept_short_by_threads_that_add() {
    let slabs = allocator(4);
    let epochs = crate::sync::Epochs::new(1);
    let mut guard = slabs.lock(1);
    assert!(guard.grow(0, false));
    let mut chunks = Vec::new();
    guard.take(10_000, |chunk| chunks.push(Retired { chunk, head: chunk }));
    guard.retire(epochs.stamp(), chunks.iter().copied());
    epochs.advance();
    assert_eq!(guard.reclaim(|_| true), RECLAIMED_MAX);
    assert_eq!(guard.usage().limbo, (10_000 - RECLAIMED_MAX) as u64);
    for batch in chunks[..RECLAIMED_MAX].chunks(64) {
        guard.take(64, |_| {});
        guard.retire(epochs.stamp(), batch.iter().copied());
        guard.shorten_limbo(batch.len(), &epochs);
        epochs.advance();
    }
    assert_eq!(guard.usage().limbo, (10_000 - 2 * RECLAIMED_MAX) as u64, "twice what came has gone");
    (0..200).for_each(|_| guard.shorten_limbo(64, &epochs));
    assert!(guard.usage().limbo <= LIMBO_LONG as u64);
}

#[test]
fn chunks_are_taken_from_limbo_unless_they_are_leased_or_their_page_leaves() {
    let slabs = allocator(4);
    let epochs = crate::sync::Epochs::new(1);
    let class = slabs.classes.largest();
    let mut guard = slabs.lock(class);
    assert!(guard.grow(0, false) && guard.grow(0, false));
    let mut chunks = Vec::new();
    guard.take(128, |chunk| chunks.push(chunk));
    let (leased, leaving) = (chunks[0], chunks[1].page());
    slabs.leases.add(leased);
    guard.retire(epochs.stamp(), chunks.iter().map(|chunk| Retired { chunk: *chunk, head: *chunk }));
    assert!(guard.close_page(leaving));
    assert_eq!(guard.take_from_limbo(200, |_| false, |_| {}), 0);
    let mut taken = Vec::new();
    assert_eq!(guard.take_from_limbo(10, |_| true, |chunk| taken.push(chunk)), 10);
    assert_eq!(guard.take_from_limbo(200, |_| true, |chunk| taken.push(chunk)), 54);
    assert!(taken.iter().all(|chunk| chunk.page() != leaving && *chunk != leased));
    assert_eq!((guard.usage().limbo, guard.ready(), guard.chunks_out(leaving).0), (0, 0, 1));
    drop(guard);
    assert_eq!(slabs.leases.end(leased), [leased]);
}

#[test]
fn a_page_leaves_its_class_when_its_last_chunk_is_home_and_not_before() {
    let slabs = allocator(4);
    let class = slabs.classes.largest();
    let mut guard = slabs.lock(class);
    assert!(guard.grow(0, false) && guard.grow(0, false));
    let mut chunks = Vec::new();
    assert_eq!(guard.take(128, |chunk| chunks.push(chunk)), 128);
    let page = chunks[0].page();
    let (its, others): (Vec<ChunkRef>, Vec<ChunkRef>) = chunks.iter().partition(|chunk| chunk.page() == page);
    its[1..].iter().for_each(|chunk| guard.give_back(*chunk));
    assert_eq!(guard.ready(), 63);
    assert!(guard.close_page(page) && !guard.close_page(page));
    assert_eq!((guard.ready(), guard.take(1000, |_| {})), (0, 0), "a closed page has nothing to take");
    let epochs = std::sync::Arc::new(crate::sync::Epochs::new(1));
    assert!(guard.detach_page(page, &epochs).is_none(), "one chunk is still out");
    guard.give_back(others[0]);
    assert_eq!((guard.ready(), guard.chunks_out(page)), (1, (1, 64)));
    guard.give_back(its[0]);
    let version = guard.pages_version();
    assert!(guard.detach_page(page, &epochs).is_some());
    assert_ne!(guard.pages_version(), version);
    assert_eq!(guard.usage().chunks, 64);
    let mut thread = epochs.join();
    let pin = thread.pin();
    assert!(slabs.arena.try_locate(&pin, its[5]).is_none(), "who still names its chunks finds none");
    assert!(slabs.arena.try_locate(&pin, others[5]).is_some());
}

#[test]
fn a_page_that_is_opened_again_has_its_free_chunks() {
    let slabs = allocator(4);
    let class = slabs.classes.largest();
    let mut guard = slabs.lock(class);
    assert!(guard.grow(0, false) && guard.grow(0, false) && guard.grow(0, false));
    let mut chunks = Vec::new();
    assert_eq!(guard.take(150, |chunk| chunks.push(chunk)), 150);
    chunks.iter().step_by(2).for_each(|chunk| guard.give_back(*chunk));
    for page in guard.pages().to_vec() {
        assert!(guard.close_page(page));
        let closed = guard.ready();
        guard.reopen_page(page);
        assert!(guard.ready() > closed);
    }
    assert_eq!(guard.ready(), 192 - 75);
    assert_eq!(guard.take(1000, |_| {}), 192 - 75);
}

#[test]
fn an_empty_page_is_counted_until_a_chunk_of_it_is_taken_or_it_leaves() {
    let slabs = allocator(4);
    let class = slabs.classes.largest();
    let mut guard = slabs.lock(class);
    assert!(guard.grow(0, false) && guard.grow(0, false));
    assert_eq!(slabs.empty_pages(class), 2);
    let mut chunks = Vec::new();
    assert_eq!(guard.take(65, |chunk| chunks.push(chunk)), 65);
    assert_eq!(slabs.empty_pages(class), 0);
    let epochs = crate::sync::Epochs::new(1);
    assert!(guard.detach_empty_page(&epochs).is_none());
    chunks.iter().for_each(|chunk| guard.give_back(*chunk));
    assert_eq!(slabs.empty_pages(class), 2);
    let page = chunks[0].page();
    assert!(guard.close_page(page));
    assert_eq!(slabs.empty_pages(class), 1);
    guard.reopen_page(page);
    assert_eq!(slabs.empty_pages(class), 2);
    assert!(guard.detach_empty_page(&epochs).is_some() && guard.detach_empty_page(&epochs).is_some());
    assert!(guard.detach_empty_page(&epochs).is_none());
    assert_eq!((slabs.empty_pages(class), guard.ready(), guard.usage().pages), (0, 0, 0));
}

//! Tests of items in memory: bytes are read back as written, at every chunk boundary.

use std::io::IoSliceMut;
use std::sync::Arc;

use super::{Deadline, Extras, LINKS_AHEAD, Layout, PendingItem, SlabAllocator};
use crate::base::{Key, KeyHasher};
use crate::item::header::Word0;
use crate::item::{ItemRef, LinkInfo};
use crate::memory::{ChunkRef, ClassPlan, Retired, SizeClasses};
use crate::sync::Epochs;

fn slabs() -> &'static SlabAllocator {
    let plan = ClassPlan { first: 64, growth_factor: 1.5, chunk_max: 4096, explicit: Vec::new() };
    Box::leak(Box::new(SlabAllocator::new(SizeClasses::build(&plan), 8 << 20).unwrap()))
}

fn chunk(slabs: &SlabAllocator, class: u8) -> ChunkRef {
    let mut guard = slabs.lock(class);
    let mut chunk = None;
    if guard.take(1, |taken| chunk = Some(taken)) == 0 {
        assert!(guard.grow(0, true));
        guard.take(1, |taken| chunk = Some(taken));
    }
    chunk.unwrap()
}

fn pending(slabs: &'static SlabAllocator, key: &[u8], client_flags: u32, value_len: u32) -> PendingItem {
    let key = Key::new(key).unwrap();
    let layout = Layout::new(&slabs.classes, key, Extras::flags(client_flags), value_len);
    let head = chunk(slabs, layout.head_class);
    let hashed = KeyHasher::with_seed(1).hash(key);
    let mut pending = PendingItem::new(slabs, head, layout, hashed, Extras::flags(client_flags), Deadline::NEVER);
    while let Some(class) = pending.next_link_class() {
        pending.push_link(chunk(slabs, class));
    }
    pending
}

fn value(len: u32) -> Vec<u8> {
    (0..len).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
}

#[test]
fn what_is_filled_is_read_back_at_every_chunk_edge() {
    let slabs = slabs();
    let epochs = Arc::new(Epochs::new(1));
    let mut thread = epochs.join();
    let edges = [4096 - 16, 4096, 2 * 4096 - 48, 3 * 4096, 64, 0];
    for len in edges.iter().flat_map(|edge: &u32| edge.saturating_sub(70)..edge + 40) {
        let wanted = value(len);
        let mut item = pending(slabs, b"colour", len % 2, len);
        for piece in wanted.chunks(1000) {
            assert_eq!(item.fill(piece), piece.len());
        }
        assert_eq!(item.fill(b"more"), 0, "nothing is missing any more");
        assert_eq!(item.pieces().collect::<Vec<_>>().concat(), wanted);
        let head = item.complete().link(LinkInfo::main(5));
        let guard = thread.pin();
        let read = ItemRef::try_view(&guard, slabs, head).unwrap();
        assert_eq!(read.pieces().collect::<Vec<_>>().concat(), wanted);
        assert_eq!((read.key(), read.client_flags(), read.value_len()), (&b"colour"[..], len % 2, len));
        assert!(read.contiguous().is_none_or(|all| all == wanted));
        let all: Vec<ChunkRef> = read.chunks().collect();
        all.into_iter().for_each(|chunk| slabs.give_back(chunk));
    }
}

#[test]
fn every_link_names_the_one_that_readers_should_ask_for() {
    let slabs = slabs();
    let item = pending(slabs, b"colour", 0, 60_000);
    let links: Vec<ChunkRef> = item.chunks().skip(1).collect();
    assert!(links.len() > 2 * LINKS_AHEAD as usize);
    for (at, link) in links.iter().enumerate() {
        let named = Word0::load(slabs.arena().head(*link)).link_ahead();
        assert_eq!(named, links.get(at + LINKS_AHEAD as usize).copied(), "link {at}");
    }
}

#[test]
fn spare_slices_lend_exactly_what_is_missing() {
    let slabs = slabs();
    let wanted = value(10_000);
    let mut item = pending(slabs, b"colour", 0, 10_000);
    item.fill(&wanted[..100]);
    while item.remaining() > 0 {
        let from = 10_000 - item.remaining() as usize;
        let mut slices: [IoSliceMut<'_>; 2] = [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])];
        let count = item.spare(&mut slices);
        let mut written = 0;
        for slice in slices.iter_mut().take(count) {
            let part = &wanted[from + written..][..slice.len()];
            slice.copy_from_slice(part);
            written += part.len();
        }
        item.advance(written);
    }
    assert_eq!(item.pieces().collect::<Vec<_>>().concat(), wanted);
}

#[test]
fn dropping_a_pending_item_returns_its_chunks() {
    let slabs = slabs();
    let first = pending(slabs, b"colour", 0, 10_000);
    drop(first);
    let classes = || slabs.classes.ids().map(|class| slabs.lock(class).usage());
    let free: u64 = classes().map(|usage| usage.free).sum();
    let chunks: u64 = classes().map(|usage| usage.chunks).sum();
    assert_eq!(free, chunks);
    assert!(chunks > 0);
}

#[test]
fn a_pending_item_cannot_be_viewed() {
    let slabs = slabs();
    let epochs = Arc::new(Epochs::new(1));
    let mut thread = epochs.join();
    let item = pending(slabs, b"colour", 0, 10);
    let guard = thread.pin();
    assert!(ItemRef::try_view(&guard, slabs, item.head).is_none());
}

#[test]
fn a_leased_item_outlives_its_pin_and_its_unlinking() {
    let slabs = slabs();
    let epochs = Arc::new(Epochs::new(1));
    let mut thread = epochs.join();
    let wanted = value(10_000);
    let mut item = pending(slabs, b"colour", 0, 10_000);
    item.fill(&wanted);
    let head = item.complete().link(LinkInfo::main(5));
    let guard = thread.pin();
    let read = ItemRef::try_view(&guard, slabs, head).unwrap();
    let lease = read.lease();
    let chunks: Vec<ChunkRef> = read.chunks().collect();
    drop(guard);
    for chunk in &chunks {
        let mut class = slabs.lock(slabs.class_of(*chunk));
        class.retire(epochs.stamp(), [Retired { chunk: *chunk, head: chunks[0] }].into_iter());
        class.reclaim(|_| true);
    }
    assert_eq!(lease.pieces().collect::<Vec<_>>().concat(), wanted);
    drop(lease);
    let free: u64 = slabs.classes.ids().map(|class| slabs.lock(class).usage().free).sum();
    let all: u64 = slabs.classes.ids().map(|class| slabs.lock(class).usage().chunks).sum();
    assert_eq!((free, slabs.leases.len()), (all, 0));
}

#[test]
fn a_value_without_memory_takes_no_bytes_until_it_gets_a_link() {
    let slabs = slabs();
    let wanted = value(10_000);
    let layout = Layout::new(&slabs.classes, Key::new(b"colour").unwrap(), Extras::default(), 10_000);
    let hashed = KeyHasher::with_seed(1).hash(Key::new(b"colour").unwrap());
    let mut item =
        PendingItem::new(slabs, chunk(slabs, layout.head_class), layout, hashed, Extras::default(), Deadline::NEVER);
    let mut filled = item.fill(&wanted);
    assert!(filled < 4096 && item.room_ahead() == 0);
    assert_eq!(item.fill(&wanted[filled..]), 0);
    while let Some(class) = item.next_link_class() {
        item.push_link(chunk(slabs, class));
        filled += item.fill(&wanted[filled..]);
    }
    assert_eq!((filled, item.remaining()), (10_000, 0));
    assert_eq!(item.pieces().collect::<Vec<_>>().concat(), wanted);
}

#[test]
fn a_lease_goes_on_where_its_reader_stopped() {
    let slabs = slabs();
    let epochs = Arc::new(Epochs::new(1));
    let mut thread = epochs.join();
    let wanted = value(20_000);
    let mut item = pending(slabs, b"colour", 0, 20_000);
    item.fill(&wanted);
    let head = item.complete().link(LinkInfo::main(5));
    let guard = thread.pin();
    let read = ItemRef::try_view(&guard, slabs, head).unwrap();
    for step in [1, 7, 4079, 4080, 4081, 12_345, 20_000, usize::MAX] {
        let mut lease = read.lease();
        let mut sent = 0;
        while lease.remaining() > 0 {
            assert!(lease.pieces().collect::<Vec<_>>().concat() == wanted[sent..], "after {sent} in steps of {step}");
            lease.advance(step);
            // Steps of one byte alone would take seconds.
            let stride = if step == 1 { 1009 } else { 0 };
            lease.advance(stride);
            sent = wanted.len().min(sent.saturating_add(step.saturating_add(stride)));
            assert_eq!(lease.remaining(), wanted.len() - sent);
        }
        assert_eq!(lease.pieces().count(), 0);
    }
    assert!(slabs.leases.is_empty());
}

#[test]
fn a_long_chain_takes_any_last_link_and_a_short_one_only_its_own() {
    let slabs = slabs();
    for (links, may_widen) in [(31, false), (32, true)] {
        let len = 4096 - 16 - 8 - 6 + links * (4096 - 16) + 100;
        let key = Key::new(b"colour").unwrap();
        let layout = Layout::new(&slabs.classes, key, Extras::default(), len);
        let hashed = KeyHasher::with_seed(1).hash(key);
        let head = chunk(slabs, layout.head_class);
        let mut item = PendingItem::new(slabs, head, layout, hashed, Extras::default(), Deadline::NEVER);
        for _ in 0..links {
            assert!(!item.may_widen_last_link(), "a whole link comes next");
            item.push_link(chunk(slabs, item.next_link_class().unwrap()));
        }
        assert_eq!(item.may_widen_last_link(), may_widen);
        item.widen_last_link();
        assert!(!item.may_widen_last_link(), "once is enough");
        assert_eq!(item.next_link_class(), Some(layout.head_class));
        item.push_link(chunk(slabs, layout.head_class));
        assert_eq!(item.fill(&value(len)), len as usize);
        assert_eq!(item.links_by_class(), Some([(layout.head_class, links), (layout.head_class, 1)]));
        assert_eq!(item.pieces().collect::<Vec<_>>().concat(), value(len));
        assert_eq!(item.next_link_class(), None);
    }
}

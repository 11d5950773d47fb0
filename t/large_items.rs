//! Large items without a socket: whole at every edge of a chunk, and no greedier than they need to be.

use larder::base::Deadline;
use larder::store::{Engine as _, Fetched, Item as _, StoreConfig, StoreReport};

use crate::store::{Rig, config, hashed};

/// Bytes that differ from themselves at every offset a chunk could be mixed up by.
fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut state = 1u64;
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 16).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// What an item takes beside its value: header and key, and in a chain the extension.
const HEADER: usize = 16;
const EXTENSION: usize = 8;
const KEY: &str = "colour";

fn round_trip(rig: &mut Rig, pattern: &[u8], len: usize) {
    let value = &pattern[..len];
    assert_eq!(rig.set(KEY, value, Deadline::NEVER), Ok(()), "{len} bytes");
    let is_whole = rig.turn(|worker, pin| {
        let key = hashed(worker, KEY);
        let Fetched::Hit(item) = worker.fetch(pin, key) else { return false };
        let mut rest = value;
        item.for_each_piece(&mut |piece| rest = rest.strip_prefix(piece).unwrap_or(b"differs"));
        rest.is_empty() && item.value_len() as usize == len
    });
    assert!(is_whole, "{len} bytes");
}

/// Around the longest value that fits: one byte less, it, one more.
fn around(room: usize) -> impl Iterator<Item = usize> {
    room.saturating_sub(1)..=room + 1
}

#[test]
fn values_round_trip_around_every_class_and_every_chunk_of_a_chain() {
    let mut rig = Rig::new(config(64));
    let pattern = pattern(1 << 20);
    let sizes: Vec<usize> = rig.store.classes().map(|(_, chunk_bytes, _)| chunk_bytes as usize).collect();
    let chunk_max = *sizes.iter().max().unwrap();
    let in_head = chunk_max - HEADER - EXTENSION - KEY.len();
    let in_link = chunk_max - HEADER;
    let alone = sizes.iter().map(|size| size - HEADER - KEY.len());
    let tails = sizes.iter().flat_map(|size| (0..3).map(move |links| in_head + links * in_link + size - HEADER));
    let full = (0..).map(|links| in_head + links * in_link).take_while(|room| *room < pattern.len());
    for len in alone.chain(tails).chain(full).flat_map(around).chain([0, 1, pattern.len()]) {
        round_trip(&mut rig, &pattern, len);
    }
}

#[test]
fn values_of_many_mebibytes_round_trip() {
    let mut rig = Rig::new(StoreConfig { value_len_max: 64 << 20, ..config(256) });
    let pattern = pattern(64 << 20);
    let (in_head, in_link) = (16384 - HEADER - EXTENSION - KEY.len(), 16384 - HEADER);
    let boundary = |mebibytes: usize| in_head + (mebibytes << 20) / in_link * in_link;
    for len in [2, 7, 33].into_iter().map(boundary).flat_map(around).chain([pattern.len() - 1, pattern.len()]) {
        round_trip(&mut rig, &pattern, len);
    }
}

#[test]
fn a_large_set_evicts_no_more_than_it_needs_and_a_page() {
    let mut rig = Rig::new(config(32));
    let pattern = pattern(1 << 20);
    // One chunk of the largest class each.
    let small = &pattern[..16_000];
    let mut evictions = 0;
    for number in 0..6000 {
        rig.set(&format!("small-{number}"), small, Deadline::NEVER).unwrap();
    }
    for round in 0..50 {
        for len in [20_000, 100_000, 500_000, 1 << 20] {
            let before = rig.report(StoreReport::General)["evictions"];
            rig.set(&format!("large-{round}-{len}"), &pattern[..len], Deadline::NEVER).unwrap();
            let evicted = rig.report(StoreReport::General)["evictions"] - before;
            let needed = 1 + (len as u64 - 16_000).div_ceil(16384 - 16);
            assert!(evicted <= needed + 64, "{len} bytes: {evicted} chunks were vacated for {needed}");
            evictions += evicted;
            // Small ones take the large ones' place again.
            for number in 0..needed {
                rig.set(&format!("again-{round}-{len}-{number}"), small, Deadline::NEVER).unwrap();
            }
        }
    }
    assert!(evictions > 0, "the cache was full");
}

#[test]
fn the_first_large_set_of_a_full_cache_evicts_no_more_than_it_needs_and_a_page() {
    for len in [20_000, 100_000, 500_000, 1 << 20] {
        let mut rig = Rig::new(config(32));
        let pattern = pattern(1 << 20);
        let mut number = 0;
        while rig.report(StoreReport::General)["evictions"] == 0 {
            rig.set(&format!("small-{number}"), &pattern[..16_000], Deadline::NEVER).unwrap();
            number += 1;
        }
        let evicted = rig.report(StoreReport::General)["evictions"];
        assert!(evicted <= 1 + 64, "{evicted} chunks were vacated for the first one that was missing");
        rig.set("large", &pattern[..len], Deadline::NEVER).unwrap();
        let evicted = rig.report(StoreReport::General)["evictions"] - evicted;
        let needed = 1 + (len as u64 - 16_000).div_ceil(16384 - 16);
        assert!(evicted <= needed + 64, "{len} bytes: {evicted} chunks were vacated for {needed}");
    }
}

#[test]
fn a_large_set_among_large_values_evicts_one_for_one() {
    let mut rig = Rig::new(config(32));
    let pattern = pattern(1 << 20);
    for number in 0..60 {
        rig.set(&format!("large-{number}"), &pattern, Deadline::NEVER).unwrap();
    }
    let first = rig.report(StoreReport::General)["evictions"];
    let mut before = first;
    for number in 0..100 {
        rig.set(&format!("more-{number}"), &pattern, Deadline::NEVER).unwrap();
        let now = rig.report(StoreReport::General)["evictions"];
        assert!(now - before <= 2, "set {number} evicted {}", now - before);
        before = now;
    }
    assert!((95..=102).contains(&(before - first)), "100 sets evicted {}", before - first);
}

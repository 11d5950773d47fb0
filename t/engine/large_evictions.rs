//! Evictions for a large item: no more than it needs, and a page.

use std::collections::HashMap;

use larder::base::Deadline;
use larder::store::{
    Engine as _, MoveTuning, Pending as _, Refusal, StoreConfig, StoreOutcome, StoreReport, Upload, Write,
};

use crate::large_items::pattern;
use crate::store::{HALF_A_PAGE, Rig, config, hashed};

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
            // Small items replace the large ones again.
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

/// Stores a value as a connection does: it keeps the memory that it already has for the value from turn to turn.
fn set_in_turns(rig: &mut Rig, key: &str, value: &[u8]) {
    let mut held: Option<Upload> = None;
    let mut filled = 0;
    loop {
        let is_stored = rig.turn(|worker, pin| {
            let mut pending = match held.take() {
                Some(pending) => pending,
                None => {
                    let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
                    worker.reserve(pin, &Write::set(hashed(worker, key)), len)?
                }
            };
            while filled < value.len() {
                filled += pending.fill(&value[filled..]);
                if filled < value.len()
                    && let Err(refusal) = worker.extend(pin, &mut pending)
                {
                    held = Some(pending);
                    return Err(refusal);
                }
            }
            assert!(worker.commit(pin, pending).is_ok_and(StoreOutcome::is_stored));
            Ok(())
        });
        match is_stored {
            Ok(()) => return,
            Err(Refusal::Busy) => std::thread::yield_now(),
            Err(refusal) => panic!("{key}: {refusal:?}"),
        }
    }
}

const LARGE: [usize; 4] = [2 << 20, 8 << 20, 33 << 20, 64 << 20];
const PAGE_BYTES: u64 = 1 << 20;
const CHUNK_BYTES: u64 = 16384;
const CHUNKS_PER_PAGE: u64 = 64;

/// Number of chunks of the largest class in a value, without a last link that may be shorter.
fn whole_chunks(len: usize) -> u64 {
    1 + (len as u64 - (CHUNK_BYTES - 16 - 8 - 11)) / (CHUNK_BYTES - 16)
}

/// Fills a cache with values of these lengths by turns and stores one of `len` bytes. Returns how many items left for
/// it, and their bytes, those included that left for pages which classes got beyond the limit for a while.
fn evicted_for(limit_mib: u64, victim_lens: &[usize], pattern: &[u8], len: usize) -> (u64, u64) {
    let mut rig = Rig::new(StoreConfig { value_len_max: 64 << 20, ..config(limit_mib) });
    // So pages move only if a class lacks memory, not because a class has better use for them.
    rig.store.tune_moves(MoveTuning { level: 0, ..rig.store.move_tuning() });
    rig.store.start_jobs().expect("threads start");
    let mut numbers = 0..;
    while rig.report(StoreReport::General)["evictions"] == 0 {
        for victim_len in victim_lens {
            for number in numbers.by_ref().take(1 + 1_000_000 / victim_len) {
                set_in_turns(&mut rig, &format!("key-{number:07}"), &pattern[..*victim_len]);
            }
        }
    }
    let before = settled(&mut rig);
    set_in_turns(&mut rig, "large-value", &pattern[..len]);
    let after = settled(&mut rig);
    let evicted = after["evictions"] - before["evictions"];
    assert!(rig.get("large-value").is_some_and(|found| found == pattern[..len]), "{len} bytes left for others");
    assert_eq!(after["curr_items"], before["curr_items"] + 1 - evicted);
    let own_bytes = (len + 16 + 8 + "large-value".len()) as u64;
    (evicted, before["bytes"] + own_bytes - after["bytes"])
}

#[test]
fn a_set_of_many_mebibytes_among_small_items_moves_no_more_pages_than_it_needs_and_one() {
    let pattern = pattern(64 << 20);
    for len in LARGE {
        let (_, evicted_bytes) = evicted_for(128, &[440 - 16 - "key-0000000".len()], &pattern, len);
        let needed_bytes = (whole_chunks(len) + 1) * CHUNK_BYTES;
        assert!(evicted_bytes <= needed_bytes + PAGE_BYTES, "{len} bytes: {evicted_bytes} left for {needed_bytes}");
    }
}

#[test]
fn a_set_of_many_mebibytes_among_large_items_evicts_no_more_than_it_needs_and_a_page() {
    let pattern = pattern(64 << 20);
    let chunk = 16_300;
    let [two, eight, half, all] = LARGE;
    for (victim_len, len) in [
        (chunk, two),
        (chunk, all),
        (20_000, eight),
        (100_000, half),
        (500_000, two),
        (1 << 20, eight),
        (2 << 20, eight),
        (8 << 20, half),
        (8 << 20, two),
    ] {
        let (evicted, _) = evicted_for(128, &[victim_len], &pattern, len);
        // The last evicted item may be longer than the missing memory. Short last links of others are of no use.
        let vacated = evicted.saturating_sub(1) * if victim_len == chunk { 1 } else { whole_chunks(victim_len) };
        let needed = whole_chunks(len) + 1;
        assert!(vacated < needed + CHUNKS_PER_PAGE, "{len} bytes among {victim_len}: {vacated} for {needed} chunks");
    }
}

#[test]
fn a_set_of_many_mebibytes_among_items_of_all_sizes_evicts_no_more_than_it_needs_and_a_page() {
    let pattern = pattern(64 << 20);
    let longest = LARGE[0];
    for len in LARGE {
        let (_, evicted_bytes) = evicted_for(128, &[413, 3000, 16_300, longest], &pattern, len);
        let needed_bytes = (whole_chunks(len) + 1) * CHUNK_BYTES;
        // The last evicted item may be longer than the missing memory.
        let most = needed_bytes + PAGE_BYTES + longest as u64;
        assert!(evicted_bytes < most, "{len} bytes: {evicted_bytes} left for {needed_bytes}");
    }
}

#[test]
fn a_value_of_half_the_cache_is_still_there_when_memory_is_within_its_limit_again() {
    let pattern = pattern(8 << 20);
    let mut rig = Rig::new(StoreConfig { value_len_max: 8 << 20, ..config(16) });
    rig.store.start_jobs().expect("threads start");
    let mut numbers = 0..;
    for len in [7 << 20, 3 << 20, 6 << 20, (8 << 20) - 100, 5 << 20] {
        for number in numbers.by_ref().take(20_000) {
            set_in_turns(&mut rig, &format!("small-{number}"), &pattern[..900]);
        }
        set_in_turns(&mut rig, "large", &pattern[..len]);
        settled(&mut rig);
        assert!(rig.get("large").is_some_and(|found| found == pattern[..len]), "{len} bytes left for their own memory");
    }
}

/// Waits until memory is within its limit, no page is being moved, and nothing changes any more. Returns the report at
/// that time.
fn settled(rig: &mut Rig) -> HashMap<String, u64> {
    let mut before = HashMap::new();
    loop {
        let general = rig.report(StoreReport::General);
        let bytes: u64 =
            ["slab_bytes", "hash_bytes", "ghost_bytes", "ring_bytes"].iter().map(|name| general[*name]).sum();
        let is_within = bytes <= rig.store.limit_bytes() + HALF_A_PAGE && general["slab_reassign_running"] == 0;
        if is_within && general == before {
            return general;
        }
        before = general;
        rig.turn(|_, _| ());
        std::thread::yield_now();
    }
}

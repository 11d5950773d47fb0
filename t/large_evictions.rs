//! What leaves for a large item: no more than it needs, and a page.

use larder::base::Deadline;
use larder::store::StoreReport;

use crate::large_items::pattern;
use crate::store::{Rig, config};

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

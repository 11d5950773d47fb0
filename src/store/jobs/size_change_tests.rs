//! Tests of sizes that change, so that old items give way to those of another size, and of many sizes in a small store.

use super::rig::Rig;

/// Number of values of the other size. They take 11 of 16 MiB.
const NEW: u64 = 1100;
const NEW_LEN: usize = 10_000;
/// Requests that the rig sends in a second of its clock.
const PER_SECOND: u64 = 300;

/// A number below `limit`, the same each time.
fn scattered(number: u64, limit: u64) -> u64 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % limit
}

/// Gets values at random, `NEW` of them in a round, and stores what is missing. Returns the percentage that is found in
/// the last round.
fn found_after(rig: &mut Rig, rounds: u64) -> u64 {
    let mut found = 0;
    for number in 0..rounds * NEW {
        if number % PER_SECOND == 0 {
            rig.store.clock.shift(1);
            rig.run();
        }
        let name = format!("new-{}", scattered(number, NEW));
        let is_there = rig.has(&format!("{name}-0"));
        if !is_there {
            rig.store(&name, 1, NEW_LEN);
        }
        found += u64::from(is_there && number >= (rounds - 1) * NEW);
    }
    found * 100 / NEW
}

#[test]
fn values_of_another_size_find_room_after_a_flush() {
    let mut rig = Rig::new(16, true);
    rig.store("old", 25_000, 1000);
    rig.flush();
    let found = found_after(&mut rig, 5);
    assert!(found >= 98, "{found} %");
}

#[test]
fn values_of_another_size_find_room_beside_items_that_are_never_read() {
    let mut rig = Rig::new(16, true);
    rig.store("old", 150_000, 100);
    let found = found_after(&mut rig, 6);
    assert!(found >= 95, "{found} %");
}

#[test]
fn the_newest_values_are_found_while_sizes_drift() {
    const KEYS: usize = 50_000;
    const NEWEST: usize = KEYS / 25;
    let mut rig = Rig::new(64, true);
    for number in 0..KEYS {
        if number % 500 == 0 {
            rig.store.clock.shift(1);
            rig.run();
        }
        rig.store(&format!("value-{number}"), 1, 100 + number * 11_900 / KEYS);
    }
    let found = (KEYS - NEWEST..KEYS).filter(|number| rig.has(&format!("value-{number}-0"))).count();
    assert!(found * 100 >= NEWEST * 95, "{found} of {NEWEST}");
}

#[test]
fn many_classes_do_not_exceed_a_small_limit_by_a_page_each() {
    let mut rig = Rig::with_growth_factor(8, true, 1.05);
    for number in 0..6000 {
        // From 20 B to 16 KB: each octave is equally frequent.
        let octave = 20 << scattered(number, 10);
        let len = octave + scattered(number + 1, octave);
        rig.store(&format!("value-{number}"), 1, usize::try_from(len.min(16_000)).unwrap());
    }
    rig.run();
    assert!(rig.store.evictions() > 0);
    let pages = rig.store.slabs.pages_used();
    assert!(pages <= 8 + 3, "{pages} pages");
}

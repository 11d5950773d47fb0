//! Values that are written once and first read late, in a store of a few mebibytes: nothing is stored after a miss.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use larder::base::{Deadline, RelTime};
use larder::memory::ClassPlan;
use larder::store::{Engine as _, StoreConfig, StoreReport};

use crate::random::Random;
use crate::store::{Rig, config};

const VALUE: [u8; 4000] = [b'v'; 4000];

fn set(rig: &mut Rig, key: &str, len: usize) {
    set_until(rig, key, len, Deadline::NEVER);
}

fn set_until(rig: &mut Rig, key: &str, len: usize, deadline: Deadline) {
    rig.set(key, &VALUE[..len], deadline).unwrap();
}

/// Stores twice what fits, in values of these lengths that are never read. Returns the number of values that it holds.
fn fill(rig: &mut Rig, lens: &[usize]) -> usize {
    let fill_one = |rig: &mut Rig, number: usize| set(rig, &format!("dead-{number}"), lens[number % lens.len()]);
    let before = rig.report(StoreReport::General)["evictions"];
    let fits = (0..).find(|number| {
        fill_one(rig, *number);
        rig.report(StoreReport::General)["evictions"] > before
    });
    let fits = fits.unwrap();
    (fits..2 * fits).for_each(|number| fill_one(rig, number));
    fits
}

/// Stores `keys` keys and reads each after `distance` further stores. Returns the percentage that is found, after the
/// first fifth.
fn found_late(rig: &mut Rig, keys: usize, distance: usize, lens: &[usize]) -> usize {
    let mut found = 0;
    for number in 0..keys + distance {
        if number < keys {
            set(rig, &format!("late-{number}"), lens[number % lens.len()]);
        }
        let Some(read) = number.checked_sub(distance) else { continue };
        found += usize::from(rig.get(&format!("late-{read}")).is_some() && read >= keys / 5);
    }
    found * 100 / (keys - keys / 5)
}

/// Stores a burst and reads it back. Returns the percentage that is found.
fn burst(rig: &mut Rig, keys: usize, len: usize) -> usize {
    (0..keys).for_each(|number| set(rig, &format!("burst-{number}"), len));
    (0..keys).filter(|number| rig.get(&format!("burst-{number}")).is_some()).count() * 100 / keys
}

#[test]
fn a_first_read_is_a_hit_however_late_it_comes() {
    for percent in [5, 20, 50, 75] {
        let mut rig = Rig::new(config(8));
        let fits = fill(&mut rig, &[1000]);
        let found = found_late(&mut rig, 5 * fits, fits * percent / 100, &[1000]);
        assert!(found >= 98, "{found} % are found after {percent} % of what fits");
    }
}

#[test]
fn a_first_read_is_a_hit_in_each_of_several_classes() {
    let lens = [100, 1000, 4000];
    let mut rig = Rig::new(config(16));
    let fits = fill(&mut rig, &lens);
    let found = found_late(&mut rig, 5 * fits, fits * 40 / 100, &lens);
    assert!(found >= 95, "{found} %");
}

#[test]
fn a_first_read_is_a_hit_after_a_flush_and_a_refill() {
    let mut rig = Rig::new(config(8));
    fill(&mut rig, &[1000]);
    rig.store.start_jobs().unwrap();
    rig.turn(|worker, _| worker.flush_now());
    while rig.report(StoreReport::General)["curr_items"] > 0 {
        std::thread::yield_now();
    }
    let fits = fill(&mut rig, &[1000]);
    let found = found_late(&mut rig, 3 * fits, fits * 40 / 100, &[1000]);
    assert!(found >= 95, "{found} %");
}

#[test]
fn items_that_were_read_once_long_ago_give_way_to_those_whose_first_read_is_to_come() {
    let mut rig = Rig::new(config(8));
    let fits = fill(&mut rig, &[1000]);
    (0..2 * fits).for_each(|number| drop(rig.get(&format!("dead-{number}"))));
    let found = found_late(&mut rig, 5 * fits, fits * 50 / 100, &[1000]);
    assert!(found >= 95, "{found} %");
}

#[test]
fn sessions_beside_dead_items_lose_no_visitor() {
    let an_hour = Deadline::at(RelTime(3600));
    for (share, deadline) in [6, 3, 2].into_iter().flat_map(|share| [(share, Deadline::NEVER), (share, an_hour)]) {
        let mut rig = Rig::new(config(8));
        let visitors = fill(&mut rig, &[1000]) / share;
        let (mut random, mut seen, mut lost) = (Random::with_seed(3), vec![false; visitors], 0);
        for _ in 0..10 * visitors {
            let visitor = random.below(visitors);
            let key = format!("visitor-{visitor}");
            lost += usize::from(rig.get(&key).is_none() && seen[visitor]);
            seen[visitor] = true;
            set_until(&mut rig, &key, 1000, deadline);
        }
        assert_eq!(lost, 0, "views of {visitors} visitors");
    }
}

#[test]
fn clients_with_large_values_find_what_they_have_just_stored() {
    const CLIENTS: usize = 8;
    let classes = ClassPlan { chunk_max: 512 << 10, ..config(32).classes };
    let mut rig = Rig::new(StoreConfig { classes, ..config(32) });
    let value = vec![b'v'; 500 << 10];
    let mut lost = Vec::new();
    for number in 0..600_usize {
        rig.set(&format!("large-{number}"), &value, Deadline::NEVER).unwrap();
        // Meanwhile the other clients have stored.
        let Some(read) = number.checked_sub(CLIENTS - 1) else { continue };
        if rig.get(&format!("large-{read}")).is_none() {
            lost.push(read);
        }
    }
    // The hand still evicts a few of those stored just before the first eviction.
    let first_evicted = 60 - CLIENTS..75;
    assert!(lost.iter().all(|read| first_evicted.contains(read)), "{lost:?} are lost");
}

#[test]
fn a_burst_into_an_unread_cache_is_found_almost_whole() {
    for (percent, least) in [(20, 99), (40, 99), (80, 99)] {
        let mut rig = Rig::new(config(8));
        let fits = fill(&mut rig, &[1000]);
        let found = burst(&mut rig, fits * percent / 100, 1000);
        assert!(found >= least, "{found} % of a burst of {percent} %");
    }
}

#[test]
fn a_burst_into_a_cache_in_use_leaves_the_popular_where_they_are() {
    for (percent, least) in [(20, 95), (40, 90), (80, 45)] {
        let mut rig = Rig::new(config(8));
        let fits = fill(&mut rig, &[1000]);
        let mut random = Random::with_seed(5);
        // Half of the gets are for a twentieth of what fits.
        let mut ask = |rig: &mut Rig, gets: usize| {
            let (mut popular, mut missed) = (0, 0);
            for _ in 0..gets {
                let is_popular = random.once_in(2);
                let number = if is_popular { random.below(fits / 20) } else { random.below(2 * fits) };
                let key = format!("used-{number}");
                let is_there = rig.get(&key).is_some();
                popular += usize::from(is_popular);
                missed += usize::from(is_popular && !is_there);
                if !is_there {
                    set(rig, &key, 1000);
                }
            }
            missed * 100 / popular
        };
        ask(&mut rig, 10 * fits);
        let found = burst(&mut rig, fits * percent / 100, 1000);
        let missed = ask(&mut rig, 2 * fits);
        assert!(found >= least, "{found} % of a burst of {percent} %");
        assert!(missed <= 1, "{missed} % of gets for the popular miss after a burst of {percent} %");
    }
}

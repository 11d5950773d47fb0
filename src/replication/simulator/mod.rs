//! The simulator: several replicas on virtual time, with everything that can go wrong between them, from one seed.
//!
//! ```text
//! seed ─▶ Plan          nodes, sizes, clock skews, and when what goes wrong
//!           │
//!           ▼
//!         World         replicas, their caches (Model), their connections (Network), their clients
//!           │
//!           ▼
//!         History       what clients did and saw; which rules hold
//! ```
//!
//! It drives the code that the server runs. A failing seed is printed. `SEED=n make simulate` runs it again, and does
//! the same thing at the same virtual times.

mod forgotten;
mod history;
mod kills;
mod limits;
pub(super) mod model;
mod network;
mod overflows;
mod owners;
mod plan;
mod random;
mod reports;
mod restarts;
mod scenarios;
mod shortages;
mod world;

use super::Counts;

use history::Violation;
use world::SimulatedWorld;

/// A deliberate fault of the code, which the simulator must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A node does not remember deletes of other nodes.
    LostTombstone,
    /// Of two changes in the same tick, the one of the lower node number wins.
    WrongTieBreak,
    /// Whatever arrives last wins.
    AppliedOlder,
    /// A node that was killed does not find the deletes that it has kept, and does not know that.
    LostOwnDelete,
    /// The owner of a key does not ask whether the others agree.
    ActsAlone,
}

/// Seeds in `cargo test`.
const SEEDS: u64 = 300;

fn run(seed: u64, fault: Option<Fault>) -> Result<Vec<Counts>, Violation> {
    SimulatedWorld::new(seed, fault).run()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn simulated_nodes_converge_and_keep_their_promises() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if let Err(violation) = run(seed, None) {
            panic!("SEED={seed}: {violation}");
        }
    }
}

#[test]
fn a_seed_repeats_its_run() {
    for seed in 0..20 {
        let runs = [(); 2].map(|()| run(seed, Some(Fault::AppliedOlder)));
        assert_eq!(runs[0], runs[1], "seed {seed}");
    }
}

#[test]
fn runs_reach_what_they_are_for() {
    let counts: Vec<Counts> = (0..100).flat_map(|seed| run(seed, None).unwrap()).collect();
    let sum = |count: fn(&Counts) -> u64| counts.iter().map(count).sum::<u64>();
    assert!(sum(|counts| counts.ignored_older) > 100);
    assert!(sum(|counts| counts.gaps) > 10);
    assert!(sum(|counts| counts.in_doubt) > 10);
    assert!(sum(|counts| counts.sessions) > 100);
}

fn is_found(fault: Fault) -> bool {
    (0..1000).any(|seed| run(seed, Some(fault)).is_err())
}

#[test]
fn a_lost_tombstone_is_found() {
    assert!(is_found(Fault::LostTombstone));
}

#[test]
fn a_lost_own_delete_is_found() {
    assert!(is_found(Fault::LostOwnDelete));
}

#[test]
fn a_wrong_tie_break_is_found() {
    assert!(is_found(Fault::WrongTieBreak));
}

#[test]
fn an_applied_older_record_is_found() {
    assert!(is_found(Fault::AppliedOlder));
}

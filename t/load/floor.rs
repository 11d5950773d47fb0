//! The floor under the loads of the table.

use std::thread;
use std::time::Duration;

use larder_bench::bench::{Measure, ROWS};
use larder_bench::floor::Floor;
use larder_bench::{KeyPlan, Plan, Session, Target, Waiting, Wire};

const WINDOW: Duration = Duration::from_millis(20);

/// The client checks every byte, so the test finds a floor that does too little.
#[test]
fn the_floor_answers_every_load_of_the_table_rightly() {
    let mut floor = Floor::bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
    let target = Target::Tcp(floor.address().expect("it is bound"));
    thread::spawn(move || floor.run());
    for row in ROWS {
        let plan = match row.measure {
            Measure::Cpu(_, plan) | Measure::TwoThreads(plan) | Measure::Instructions(plan) => plan(),
            Measure::Tail(plan) | Measure::HotKeys(plan) => plan(),
            // The floor takes no part in these.
            Measure::Idle(_) | Measure::Fair(_) | Measure::Storm(..) | Measure::Evicting(_) => continue,
            Measure::Connects(_) => continue,
        };
        if plan.wire != Wire::Text || plan.tls.is_some() {
            continue;
        }
        let keys = KeyPlan { count: 1, ..plan.keys.clone() };
        let plan = Plan { keys, connections: plan.connections.min(5), waiting: Waiting::Sleep, ..plan };
        let mut session = Session::open(&plan, &target).expect("the floor accepts connections");
        session.fill().expect("the floor answers");
        let outcome = session.run(WINDOW).expect("the floor answers");
        assert_eq!((outcome.faults, outcome.errors, outcome.misses), (0, 0, 0), "{}: {:?}", row.name, outcome.notes);
        assert!(outcome.requests > 0, "{}", row.name);
    }
}

//! Tests of long values, of which few fit.

use super::rig::Rig;

/// About 35 fit.
const LONG: usize = 400_000;
/// Clients that have stored a value and not read it yet.
const CLIENTS: usize = 12;

#[test]
fn a_value_that_waits_for_its_first_read_stays_while_older_ones_leave() {
    let mut rig = Rig::new(16, true);
    for number in 0..200 {
        rig.store(&format!("value-{number}"), 1, LONG);
        if let Some(oldest) = usize::checked_sub(number, CLIENTS) {
            assert!(rig.has_long(&format!("value-{oldest}-0")), "{oldest} of {number}");
        }
    }
    assert!(rig.store.evictions() > 100);
}

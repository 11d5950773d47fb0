//! Counts that go on in the process that takes the items over. They go by name, so that another version can read them.
//!
//! ```text
//! store:total_items    moves:slabs of the page mover    class:count
//! ```
//!
//! Only what an operator sees goes on. Decisions depend on totals since the start, which begin at 0 in each process.

use crate::base::atomic::Ordering;
use crate::store::cache::Store;

use super::counts::{COMMANDS, Tally};

const STORE: &str = "store";
const MOVES: &str = "moves";
const TOTAL_ITEMS: &str = "total_items";
const SWEEPS: &str = "sweeps";
const EVICTED_IDLE: &str = "evicted_idle";

impl Store {
    /// All counts since the last `stats reset` that are not 0.
    pub fn counts_to_go_on(&'static self) -> impl Iterator<Item = (String, u64)> {
        let tally =
            |owner: String| move |(name, tally): (&str, &Tally)| (format!("{owner}:{name}"), tally.since_reset());
        let of_class = move |class: u8| {
            let commands = COMMANDS.iter().zip(self.commands(class));
            let commands = commands.map(move |(command, count)| (format!("{class}:{}", command.name), count));
            let idle = self.statistics.evicted_idle_s[usize::from(class)].load(Ordering::Relaxed);
            let tallies =
                self.statistics.class_tallies[usize::from(class)].rows().into_iter().map(tally(class.to_string()));
            tallies.chain(commands).chain([(format!("{class}:{EVICTED_IDLE}"), idle)])
        };
        let moves = self.page_moves.counts.rows().into_iter().map(tally(MOVES.into()));
        let of_all = [
            (format!("{STORE}:{TOTAL_ITEMS}"), self.items_stored_since_reset()),
            (format!("{STORE}:{SWEEPS}"), self.sweeps.begun.since_reset()),
        ];
        let counts = moves.chain(of_all).chain(self.slabs.classes.ids().flat_map(of_class));
        counts.filter(|(_, count)| *count != 0)
    }

    /// Lets the counts of another process go on here. Unknown names are ignored.
    pub fn go_on_with_counts<'c>(&self, counts: impl Iterator<Item = (&'c str, u64)>) {
        for (name, count) in counts {
            let Some((owner, name)) = name.split_once(':') else { continue };
            match (owner, name) {
                (STORE, TOTAL_ITEMS) => _ = self.statistics.items_stored_at_reset.fetch_sub(count, Ordering::Relaxed),
                (STORE, SWEEPS) => self.sweeps.begun.go_on_with(count),
                (MOVES, _) => go_on(&self.page_moves.counts.rows(), name, count),
                (class, _) => self.go_on_in_class(class.parse().unwrap_or(0), name, count),
            }
        }
    }

    fn go_on_in_class(&self, class: u8, name: &str, count: u64) {
        let (statistics, class) = (&self.statistics, usize::from(class));
        let Some(tallies) = statistics.class_tallies.get(class) else { return };
        if name == EVICTED_IDLE {
            statistics.evicted_idle_s[class].store(count, Ordering::Relaxed);
        } else if let Some(number) = COMMANDS.iter().position(|command| command.name == name) {
            statistics.commands_at_reset[class][number].fetch_sub(count, Ordering::Relaxed);
        } else {
            go_on(&tallies.rows(), name, count);
        }
    }
}

fn go_on(rows: &[(&str, &Tally)], name: &str, count: u64) {
    rows.iter().filter(|row| row.0 == name).for_each(|row| row.1.go_on_with(count));
}

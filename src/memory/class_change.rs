//! The size classes of a memory file, when a server with other settings starts with it.
//!
//! ```text
//! the file's classes     64  80  104  …  16384            those with pages keep their ids
//! the new settings       64      128  …       …  65536
//! ────────────────────────────────────────────────────
//! classes                64  80  104  128  …  16384  …  65536
//! ```
//!
//! No item moves for this. The classes that hold items are those that the last server has fitted to them, so they go on
//! with the new ones. Two kinds become former classes: those with chunks above the new largest size, and with `-o
//! slab_sizes` all that are not in the list.

use super::live_state::ClassTable;
use super::size_class::{CLASS_MAX, ClassPlan, LINK_LEAST_SHARE};

/// The classes for new settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedClasses {
    /// The classes.
    pub table: ClassTable,
    /// Whether all classes of the settings are among them. Otherwise there are not enough ids.
    pub is_complete: bool,
}

impl ClassTable {
    /// The classes for `plan`, in a file that has these classes. `has_pages` says for an id whether the file has pages
    /// of this class. `None`: there are not enough ids.
    pub fn changed(&self, plan: &ClassPlan, has_pages: impl Fn(u8) -> bool) -> Option<ChangedClasses> {
        let planned = plan.lay_out();
        let chunk_max = *planned.last()?;
        let may_stay = |bytes: u32| planned.contains(&bytes) || plan.may_be_fitted() && bytes < chunk_max;
        let mut table = Self::default();
        for id in (1..=CLASS_MAX).filter(|id| has_pages(*id)).map(usize::from) {
            table.sizes[id] = self.sizes[id];
            table.serves_links[id] = self.serves_links[id];
            table.is_former[id] = !may_stay(self.sizes[id]);
        }
        let missing: Vec<u32> = planned.iter().copied().filter(|bytes| !table.sizes.contains(bytes)).collect();
        let free: Vec<usize> = (1..=usize::from(CLASS_MAX)).filter(|id| table.sizes[*id] == 0).collect();
        let is_complete = missing.len() <= free.len();
        if !is_complete && !plan.may_be_fitted() {
            return None;
        }
        // Without enough ids, some sizes are left out, but not the largest one.
        let added = missing.len().min(free.len());
        for (number, id) in free[..added].iter().enumerate() {
            table.sizes[*id] = missing[(number + 1) * missing.len() / added - 1];
        }
        // It is the largest of the plan, unless there was no id for that.
        let serves = |id: &u8| table.sizes[usize::from(*id)] > 0 && !table.is_former[usize::from(*id)];
        table.largest = (1..=CLASS_MAX).filter(serves).max_by_key(|id| table.sizes[usize::from(*id)])?;
        let chunk_max = table.sizes[usize::from(table.largest)];
        let last = (1..=usize::from(CLASS_MAX)).rev().find(|id| table.sizes[*id] > 0)?;
        for id in 1..=last {
            // An id below `last` that nothing uses.
            if table.sizes[id] == 0 {
                (table.sizes[id], table.is_former[id]) = (self.sizes[id], true);
            }
            let is_large = !plan.may_be_fitted() || table.sizes[id] >= chunk_max / LINK_LEAST_SHARE;
            table.serves_links[id] = !table.is_former[id] && (table.serves_links[id] || is_large);
        }
        Some(ChangedClasses { table, is_complete })
    }
}

#[cfg(test)]
mod tests {
    use super::super::size_class::SizeClasses;
    use super::{CLASS_MAX, ChangedClasses, ClassPlan, ClassTable};

    fn plan(growth_factor: f64, chunk_max: u32, explicit: &[u32]) -> ClassPlan {
        ClassPlan { first: 64, growth_factor, chunk_max, explicit: explicit.to_vec() }
    }

    fn table(plan: &ClassPlan) -> ClassTable {
        SizeClasses::build(plan).table()
    }

    /// The classes for `after` in a file made with `before`, checked for what holds for all changes.
    fn changed(before: &ClassTable, after: &ClassPlan, with_pages: &[u8]) -> ChangedClasses {
        let changed = before.changed(after, |id| with_pages.contains(&id)).unwrap();
        let classes = SizeClasses::restore(&changed.table).unwrap();
        assert_eq!(classes.table(), changed.table);
        for id in with_pages {
            assert_eq!(classes.chunk_bytes(*id), before.sizes[usize::from(*id)], "a class with pages keeps its size");
        }
        let planned = SizeClasses::build(after);
        assert_eq!(classes.chunk_max(), planned.chunk_max());
        for bytes in 1..=classes.chunk_max() {
            let class = classes.class_for(bytes).unwrap();
            assert!(!classes.is_former(class) && classes.chunk_bytes(class) >= bytes);
            let of_plan = planned.chunk_bytes(planned.class_for(bytes).unwrap());
            assert!(!changed.is_complete || classes.chunk_bytes(class) <= of_plan, "{bytes}");
            assert!(!classes.is_former(classes.class_for_link(bytes).unwrap()));
        }
        changed
    }

    #[test]
    fn classes_that_hold_items_go_on_beside_the_new_ones() {
        let (before, after) = (plan(1.25, 16384, &[]), plan(2.0, 16384, &[]));
        let before = table(&before);
        let ChangedClasses { table: after, is_complete } = changed(&before, &after, &[3, 7]);
        assert!(is_complete);
        let serving = |id: u8| !after.is_former[usize::from(id)];
        assert!(serving(3) && serving(7));
        assert_eq!((1..=CLASS_MAX).filter(|id| after.sizes[usize::from(*id)] > 0).count(), 10, "8 of the plan, and 2");
    }

    #[test]
    fn a_change_there_and_back_leaves_the_classes_of_the_settings() {
        for [one, other] in [
            [plan(1.25, 16384, &[]), plan(1.08, 16384, &[])],
            [plan(1.25, 16384, &[]), plan(1.25, 8192, &[])],
            [plan(1.25, 16384, &[]), plan(1.25, 16384, &[200, 400])],
            [plan(1.25, 65536, &[]), plan(1.5, 1024, &[96])],
        ] {
            let before = table(&one);
            let pages = [1, 4, before.largest];
            let there = changed(&before, &other, &pages);
            let back = changed(&there.table, &one, &pages);
            assert!(there.is_complete && back.is_complete);
            assert!(pages.iter().all(|id| !back.table.is_former[usize::from(*id)]));
            assert_eq!(changed(&there.table, &other, &pages), there, "a second time changes nothing");
        }
    }

    #[test]
    fn no_new_item_uses_a_chunk_above_the_largest_or_one_that_is_not_in_the_list() {
        let before = table(&plan(1.25, 16384, &[]));
        let all: Vec<u8> = (1..=before.largest).collect();
        let smaller = changed(&before, &plan(1.25, 8192, &[]), &all).table;
        for id in all.iter().map(|id| usize::from(*id)) {
            assert_eq!(smaller.is_former[id], before.sizes[id] > 8192);
        }
        let listed = changed(&before, &plan(1.25, 16384, &[96, 400]), &all).table;
        for id in all.iter().map(|id| usize::from(*id)) {
            assert_eq!(listed.is_former[id], ![96, 400, 16384].contains(&before.sizes[id]));
        }
    }

    #[test]
    fn without_enough_ids_some_sizes_are_left_out_unless_they_were_given_one_by_one() {
        let before = table(&plan(1.02, 16384, &[]));
        let all: Vec<u8> = (1..=before.largest).collect();
        let finer = changed(&before, &plan(1.03, 32768, &[]), &all);
        assert!(!finer.is_complete);
        let most = (1..=27).map(|number| 40_000 + 8 * number).collect::<Vec<u32>>();
        assert!(before.changed(&plan(1.25, 65536, &most), |id| all.contains(&id)).is_none());
        assert!(before.changed(&plan(1.25, 65536, &most[1..]), |id| all.contains(&id)).is_some());
        let full = ClassTable { sizes: Box::new([64; 128]), ..ClassTable::default() };
        let ChangedClasses { table, is_complete } = full.changed(&plan(1.25, 16384, &[]), |_| true).unwrap();
        assert!(!is_complete && table.sizes[usize::from(table.largest)] == 64, "no id for the largest class");
    }
}

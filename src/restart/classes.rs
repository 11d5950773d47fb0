//! The size classes of a memory file, under the settings of this start.

use crate::memory::{CLASS_MAX, ChangedClasses, ClassPlan, HandState, LiveState, checksum, chunk_bytes_in, class_in};
use crate::settings::Settings;

use super::header::{Header, OtherSetting, class_settings};
use super::open::made_with;

/// Bytes of an item other than key, client flags and value. -n does not count them.
const ITEM_HEADER_BYTES: u32 = 16;
/// Bytes of the proof of an item in a memory file.
const PROOF_BYTES: u32 = 4;

/// The layout of the size classes for these settings.
pub fn class_plan(settings: &Settings) -> ClassPlan {
    let proof_bytes = if settings.memory_file.is_some() { PROOF_BYTES } else { 0 };
    ClassPlan {
        first: ITEM_HEADER_BYTES + proof_bytes + settings.chunk_size_min,
        growth_factor: settings.growth_factor,
        chunk_max: settings.slab_chunk_max,
        explicit: settings.slab_sizes.clone().unwrap_or_default(),
    }
}

/// How the size classes of a file change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassChange {
    /// They stay.
    None,
    /// They become those of other settings: the settings that differ from those in the header.
    Made(Vec<OtherSetting>),
    /// There are not enough class ids for these settings.
    Impossible(Vec<OtherSetting>),
}

impl ClassChange {
    /// What an operator is told of it.
    pub fn line(&self) -> Option<String> {
        let Self::Made(others) = self else { return None };
        (!others.is_empty()).then(|| format!("its size classes were {}", made_with(others)))
    }
}

/// A number that stands for settings that size classes depend on. Never 0.
fn number_of(settings: &[(String, String)]) -> u64 {
    let text: String = settings.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    checksum(text.as_bytes()).clamp(1, u64::MAX - 1)
}

/// Gives the state of a file the size classes for `settings`. The file itself is not changed. Pages keep their classes,
/// so items stay where they are.
pub(super) fn change_classes(
    state: &mut LiveState,
    header: &Header,
    page_table: &[u32],
    settings: &Settings,
) -> ClassChange {
    let wanted = number_of(&class_settings(settings));
    let made_for = if state.class_settings == 0 { number_of(&header.settings) } else { state.class_settings };
    if made_for == wanted {
        return ClassChange::None;
    }
    let mut pages = [0; CLASS_MAX as usize + 1];
    for format in page_table {
        let class = usize::from(class_in(*format));
        if state.classes.sizes.get(class).is_some_and(|bytes| *bytes > 0 && *bytes == chunk_bytes_in(*format)) {
            pages[class] += 1;
        }
    }
    let others = header.other_settings(settings);
    let Some(ChangedClasses { table, is_complete }) =
        state.classes.changed(&class_plan(settings), |class| pages[usize::from(class)] > 0)
    else {
        return ClassChange::Impossible(others);
    };
    for (id, hand) in state.hands.iter_mut().enumerate() {
        if table.sizes[id] != state.classes.sizes[id] {
            *hand = HandState::default();
        }
    }
    state.classes = table;
    // Sizes that were left out are looked at again by the next start.
    state.class_settings = if is_complete { wanted } else { !wanted };
    ClassChange::Made(others)
}

#[cfg(test)]
mod tests {
    use super::{ClassChange, Header, LiveState, Settings, change_classes, class_plan};
    use crate::memory::SizeClasses;

    fn state(settings: &Settings) -> LiveState {
        LiveState { classes: SizeClasses::build(&class_plan(settings)).table(), ..LiveState::default() }
    }

    #[test]
    fn classes_change_with_the_settings_whatever_the_header_says_later() {
        let (one, other) = (Settings::default(), Settings { growth_factor: 2.0, ..Settings::default() });
        let header = Header::new(&one, 1);
        let mut state = state(&one);
        let before = state.clone();
        assert_eq!(change_classes(&mut state, &header, &[], &one), ClassChange::None);
        assert_eq!(state, before);
        let ClassChange::Made(others) = change_classes(&mut state, &header, &[], &other) else { panic!("-f differs") };
        assert_eq!((others[0].in_file.as_str(), others[0].now.as_str(), others.len()), ("1.25", "2.00", 1));
        let changed = state.clone();
        for header in [&header, &Header::new(&other, 1)] {
            assert_eq!(change_classes(&mut state, header, &[], &other), ClassChange::None);
            assert_eq!(state, changed);
        }
        assert_eq!(change_classes(&mut state, &header, &[], &one), ClassChange::Made(Vec::new()));
        assert_eq!(state.classes, before.classes);
    }

    #[test]
    fn an_eviction_hand_does_not_go_on_in_another_class() {
        let (one, other) = (Settings::default(), Settings { growth_factor: 2.0, ..Settings::default() });
        let mut state = state(&one);
        state.hands.iter_mut().for_each(|hand| hand.target = 7);
        // One page, of class 5.
        let page = 5 << 24 | state.classes.sizes[5];
        change_classes(&mut state, &Header::new(&one, 1), &[0, page], &other);
        assert_eq!((state.hands[5].target, state.hands[4].target), (7, 0));
    }
}

//! What the settings mean for the store.

use crate::memory::ClassPlan;
use crate::settings::Settings;
use crate::store::{JOB_THREADS, MoveTuning, StoreConfig};

/// The bytes of an item that are neither key nor flags nor value: what -n does not count.
const ITEM_HEADER_BYTES: u32 = 16;

/// How pages move between size classes.
pub(super) fn move_tuning(settings: &Settings) -> MoveTuning {
    MoveTuning {
        level: if settings.slab_reassign { settings.slab_automove } else { 0 },
        ratio: settings.slab_automove_ratio,
        window: settings.slab_automove_window,
    }
}

/// The store's share of the settings.
pub(super) fn store_config(settings: &Settings) -> StoreConfig {
    let classes = ClassPlan {
        first: ITEM_HEADER_BYTES + settings.chunk_size_min,
        growth_factor: settings.growth_factor,
        chunk_max: settings.slab_chunk_max,
        explicit: settings.slab_sizes.clone().unwrap_or_default(),
    };
    StoreConfig {
        limit_bytes: settings.memory_limit_bytes,
        classes,
        value_len_max: u32::try_from(settings.item_size_max).unwrap_or(u32::MAX),
        evictions: settings.evictions,
        use_cas: settings.use_cas,
        hashpower: settings.hashpower_init,
        threads_max: settings.threads as usize + JOB_THREADS,
        large_pages: settings.large_pages,
    }
}

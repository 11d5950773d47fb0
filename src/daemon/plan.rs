//! Derives the store's configuration from the settings.

use crate::restart::class_plan;
use crate::settings::Settings;
use crate::store::{JOB_THREADS, StoreConfig};

/// Binary logarithm of the index bytes that correspond to one bucket of memcached. The index has an eighth of the
/// buckets, of 64 bytes each.
const HASHPOWER_TO_BYTES: u32 = 3;
/// With the default hash power, the index starts with at most this share of `-m`, as a power of two. A few thousand
/// large items fill `-m 64` and need a tenth of the half mebibyte that the default takes.
const INDEX_SHARE: u32 = 10;

/// The hash power to start with.
fn hashpower(settings: &Settings) -> u32 {
    let asked = settings.hashpower_init;
    let small = settings.memory_limit_bytes.max(1).ilog2().saturating_sub(INDEX_SHARE + HASHPOWER_TO_BYTES);
    if asked == Settings::default().hashpower_init { asked.min(small) } else { asked }
}

/// The store's part of the settings. `hash_seed` is that of a mesh.
pub(super) fn store_config(settings: &Settings, hash_seed: Option<u64>) -> StoreConfig {
    StoreConfig {
        limit_bytes: settings.memory_limit_bytes,
        classes: class_plan(settings),
        value_len_max: u32::try_from(settings.item_size_max).unwrap_or(u32::MAX),
        evictions: settings.evictions,
        use_cas: settings.use_cas,
        hashpower: hashpower(settings),
        threads_max: settings.threads as usize + JOB_THREADS + usize::from(settings.replicates()),
        large_pages: settings.large_pages,
        hash_seed,
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, store_config};

    #[test]
    fn the_index_of_a_small_cache_begins_small_unless_asked_for() {
        let begins = |mib: u64, hashpower_init: Option<u32>| {
            let mut settings = Settings { memory_limit_bytes: mib << 20, ..Settings::default() };
            settings.hashpower_init = hashpower_init.unwrap_or(settings.hashpower_init);
            store_config(&settings, None).hashpower
        };
        assert_eq!((begins(64, None), begins(512, None), begins(1 << 17, None)), (13, 16, 16), "2^13 is 64 KiB");
        assert_eq!(begins(1, None), 7);
        assert_eq!((begins(64, Some(12)), begins(64, Some(20))), (12, 20));
    }
}

//! The lookup of a key in steps. Several keys take each step together, so that their loads from memory overlap.
//!
//! ```text
//! begin ────────────▶ prefetch_item ────────▶ Engine::fetch_candidate
//! hash; prefetch      read the bucket;        compare the key
//! the bucket          prefetch the item
//! ```

use crate::base::{Key, KeyHash};
use crate::store::Engine;

/// The state of a key's lookup. `B` is the engine's bucket and `C` its candidate for an item.
#[derive(Clone, Copy)]
pub struct Lookup<B, C> {
    /// Hash of the key.
    pub hash: KeyHash,
    /// Its bucket in the index.
    pub bucket: B,
    /// The chunk where the item probably is.
    pub candidate: Option<C>,
}

impl<B: Copy, C: Copy> Lookup<B, C> {
    /// Hashes the key and prefetches its bucket.
    #[inline(always)]
    pub fn begin<E: Engine<Bucket = B>>(key: Key<'_>, engine: &E) -> Self {
        let hash = engine.hash(key).hash;
        Self { hash, bucket: engine.prefetch_bucket(hash), candidate: None }
    }

    /// [`Lookup::begin`] for a request that stores.
    #[inline(always)]
    pub fn begin_store<E: Engine<Bucket = B>>(key: Key<'_>, engine: &E) -> Self {
        let hash = engine.hash(key).hash;
        Self { hash, bucket: engine.prefetch_for_store(hash), candidate: None }
    }

    /// Reads the bucket, and prefetches the item that it names.
    #[inline]
    pub fn prefetch_item<'pin, E: Engine<Bucket = B, Candidate<'pin> = C>>(&mut self, engine: &E, pin: &'pin E::Pin) {
        self.candidate = engine.prefetch_item(pin, self.bucket, self.hash);
    }
}

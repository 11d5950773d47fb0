//! A key looked up in steps, so that those of several keys can overlap: while the memory that a step has asked for is on
//! its way, other keys take the same step.
//!
//! ```text
//! begin ────────────▶ prefetch_item ────────▶ Engine::fetch_candidate
//! hash; its bucket    what stands there;      the key compared
//! is asked for        that is asked for
//! ```

use crate::base::{Key, KeyHash};
use crate::store::Engine;

/// How far the lookup of a key has come. `B` is the engine's bucket and `C` its candidate for an item.
#[derive(Clone, Copy)]
pub struct Lookup<B, C> {
    /// Of the key.
    pub hash: KeyHash,
    /// Where the index keeps it.
    pub bucket: B,
    /// Where the item probably is.
    pub candidate: Option<C>,
}

impl<B: Copy, C: Copy> Lookup<B, C> {
    /// Asks for the key's bucket.
    #[inline]
    pub fn begin<E: Engine<Bucket = B>>(key: Key<'_>, engine: &E) -> Self {
        let hash = engine.hash(key).hash;
        Self { hash, bucket: engine.prefetch_bucket(hash), candidate: None }
    }

    /// As [`Lookup::begin`], for a key that a value is to be stored under.
    #[inline]
    pub fn begin_store<E: Engine<Bucket = B>>(key: Key<'_>, engine: &E) -> Self {
        let hash = engine.hash(key).hash;
        Self { hash, bucket: engine.prefetch_for_store(hash), candidate: None }
    }

    /// By now the bucket is there, or on its way: asks for the item that stands in it.
    #[inline]
    pub fn prefetch_item<'pin, E: Engine<Bucket = B, Candidate<'pin> = C>>(&mut self, engine: &E, pin: &'pin E::Pin) {
        self.candidate = engine.prefetch_item(pin, self.bucket, self.hash);
    }
}

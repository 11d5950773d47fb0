//! Hashing of keys: 64 bits, keyed with a seed drawn at start, so that nobody who can choose keys can
//! choose buckets.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_nano_inline};

use super::key::Key;

/// Hashes keys with one store's secrets.
pub struct KeyHasher(RapidSecrets);

impl KeyHasher {
    /// A hasher of the given seed. The same seed gives the same hashes, in every process and release.
    pub const fn with_seed(seed: u64) -> Self {
        Self(RapidSecrets::seed(seed))
    }

    /// The hash of `key`.
    #[inline]
    pub fn hash<'a>(&self, key: Key<'a>) -> HashedKey<'a> {
        HashedKey { key, hash: KeyHash(rapidhash_v3_nano_inline::<true, false>(key.bytes(), &self.0)) }
    }
}

/// The hash of a key. Low bits choose the bucket, the top 16 are the tag that stands in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// The 16 bits a bucket keeps of the hash; never 0, which marks an empty slot.
    #[inline]
    pub const fn tag(self) -> u16 {
        let tag = (self.0 >> 48) as u16;
        if tag == 0 { 1 } else { tag }
    }
}

/// A key together with its hash, so that it is computed once per request.
#[derive(Clone, Copy, Debug)]
pub struct HashedKey<'a> {
    /// The key.
    pub key: Key<'a>,
    /// Its hash under the store's seed.
    pub hash: KeyHash,
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyHash, KeyHasher};

    #[test]
    fn a_tag_is_never_zero() {
        assert_eq!(KeyHash(0x0000_ffff_ffff_ffff).tag(), 1);
        assert_eq!(KeyHash(0xabcd_0000_0000_0000).tag(), 0xabcd);
    }

    #[test]
    fn another_seed_gives_other_hashes() {
        let key = Key::new(b"colour").unwrap();
        let here = KeyHasher::with_seed(1).hash(key).hash;
        assert_eq!(here, KeyHasher::with_seed(1).hash(key).hash);
        assert_ne!(here, KeyHasher::with_seed(2).hash(key).hash);
    }
}

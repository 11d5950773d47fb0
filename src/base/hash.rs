//! The key hash: 64 bits, with a seed drawn at start, so that a client that chooses keys cannot choose buckets. It is
//! rapidhash version 3, nano.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_nano_inline};

use super::key::Key;

/// Hashes keys with the secrets of one store.
pub struct KeyHasher(RapidSecrets);

impl KeyHasher {
    /// A hasher with the given seed. The same seed gives the same hashes in every process and release.
    pub const fn with_seed(seed: u64) -> Self {
        Self(RapidSecrets::seed(seed))
    }

    /// The hash of `key`.
    #[inline]
    pub fn hash<'a>(&self, key: Key<'a>) -> HashedKey<'a> {
        let hash = match self.hash_medium(key.bytes()) {
            Some(hash) => hash,
            None => rapidhash_v3_nano_inline::<true, false>(key.bytes(), &self.0),
        };
        HashedKey { key, hash: KeyHash(hash) }
    }

    /// The same function for 17 to 48 bytes, the length of most keys. The crate's function covers all lengths and is
    /// too long to be inlined. Its call, with saved and restored registers, would cost almost half of the work.
    #[inline]
    fn hash_medium(&self, bytes: &[u8]) -> Option<u64> {
        let len = bytes.len();
        if !(17..=48).contains(&len) {
            return None;
        }
        let RapidSecrets { seed, secrets } = &self.0;
        let (low, high) = halves(bytes.first_chunk()?);
        let mut state = folded_product(low ^ secrets[2], high ^ seed);
        if len > 32 {
            let (low, high) = halves(bytes[16..].first_chunk()?);
            state = folded_product(low ^ secrets[2], high ^ state);
        }
        let (low, high) = halves(bytes.last_chunk()?);
        let (low, high) = product(low ^ len as u64 ^ secrets[1], high ^ state);
        Some(folded_product(low ^ LAST_SECRET, high ^ len as u64 ^ secrets[1]))
    }
}

/// The last of rapidhash's secrets, the only one that does not depend on the seed.
const LAST_SECRET: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// Sixteen bytes as two numbers, the first one as the low half.
#[inline]
fn halves(bytes: &[u8; 16]) -> (u64, u64) {
    parts(u128::from_le_bytes(*bytes))
}

/// Both halves of a product, the low one first.
#[inline]
fn product(one: u64, other: u64) -> (u64, u64) {
    parts(u128::from(one) * u128::from(other))
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn parts(wide: u128) -> (u64, u64) {
    (wide as u64, (wide >> 64) as u64)
}

/// The mixing function of rapidhash.
#[inline]
fn folded_product(one: u64, other: u64) -> u64 {
    let (low, high) = product(one, other);
    low ^ high
}

/// The hash of a key. The low bits choose the bucket; the top 16 are the tag stored there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// The 16 bits of the hash that a bucket stores. Never 0, which marks an empty slot.
    #[inline]
    pub const fn tag(self) -> u16 {
        let tag = (self.0 >> 48) as u16;
        if tag == 0 { 1 } else { tag }
    }
}

/// A key with its hash, so that a request hashes it only once.
#[derive(Clone, Copy, Debug)]
pub struct HashedKey<'a> {
    /// The key.
    pub key: Key<'a>,
    /// Its hash under the store's seed.
    pub hash: KeyHash,
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyHash, KeyHasher, rapidhash_v3_nano_inline};

    #[test]
    fn every_length_has_the_hash_that_rapidhash_gives_it() {
        let bytes: [u8; Key::LEN_MAX] = std::array::from_fn(|index| 0xf7 ^ index.to_le_bytes()[0]);
        for seed in [0, 1, u64::MAX] {
            let hasher = KeyHasher::with_seed(seed);
            for len in 1..=Key::LEN_MAX {
                let hash = hasher.hash(Key::new(&bytes[..len]).unwrap()).hash;
                assert_eq!(hash.0, rapidhash_v3_nano_inline::<true, false>(&bytes[..len], &hasher.0), "{len}");
            }
        }
    }

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

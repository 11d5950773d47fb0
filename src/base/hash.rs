//! The key hash: 64 bits, with a random seed, so that a client that chooses keys cannot choose buckets. It is rapidhash
//! version 3, nano. The seed is drawn at start, or when a memory file (-e) is made: the file keeps it with the index.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_micro_inline, rapidhash_v3_nano_inline};

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

/// The secrets of [`fingerprint`]. They are part of the format of memory files.
static FINGERPRINT_SECRETS: RapidSecrets = RapidSecrets::seed(0x6c61_7264_6572_0001);

/// 64 bits that tell whether bytes have changed. They are the same in every process and release. They are no defence
/// against bytes that were chosen to have the same fingerprint.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    rapidhash_v3_micro_inline::<true, true>(bytes, &FINGERPRINT_SECRETS)
}

/// One number out of two, for fingerprints of several parts. The order of the two matters.
#[inline]
pub fn combined(one: u64, other: u64) -> u64 {
    let (low, high) = product(one ^ FINGERPRINT_SECRETS.secrets[0], other ^ FINGERPRINT_SECRETS.secrets[1]);
    // Both numbers themselves are part of the result, in case one factor is 0.
    low ^ high ^ one.rotate_left(32) ^ other
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
    use super::{Key, KeyHash, KeyHasher, combined, fingerprint, rapidhash_v3_nano_inline};

    #[test]
    fn fingerprints_are_those_of_earlier_releases() {
        let bytes: Vec<u8> = (0..=255).collect();
        let prints = [0, 4, 16, 80, 81, 256].map(|len| fingerprint(&bytes[..len]));
        assert_eq!(prints, PRINTS, "a memory file of an earlier release would lose its items");
        assert_eq!([combined(1, 2), combined(2, 1)], COMBINED);
    }

    const PRINTS: [u64; 6] = [
        2_091_190_791_513_701_136,
        3_778_173_195_166_271_840,
        1_098_145_212_479_650_782,
        10_596_102_463_909_649_319,
        2_743_590_396_889_515_746,
        5_008_448_280_795_942_792,
    ];
    const COMBINED: [u64; 2] = [5_486_097_980_139_224_230, 3_968_436_535_067_059_437];

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
    fn hashes_and_tags_are_those_of_earlier_releases() {
        // The index in a memory file depends on them: a change of them needs another `VERSION` in kept_index.rs.
        let hasher = KeyHasher::with_seed(7);
        for (key, hash, tag) in [
            ("colour", 0xe259_22cd_c8fa_edfc, 0xe259),
            ("a key of thirty-two characters..", 0xd58d_6792_dc50_7009, 0xd58d),
            ("a key that is longer than forty-eight characters, by far", 0x5b5a_20cc_4aae_340a, 0x5b5a),
        ] {
            let hashed = hasher.hash(Key::new(key.as_bytes()).unwrap());
            assert_eq!((hashed.hash, hashed.hash.tag()), (KeyHash(hash), tag), "{key}");
        }
    }

    #[test]
    fn another_seed_gives_other_hashes() {
        let key = Key::new(b"colour").unwrap();
        let here = KeyHasher::with_seed(1).hash(key).hash;
        assert_eq!(here, KeyHasher::with_seed(1).hash(key).hash);
        assert_ne!(here, KeyHasher::with_seed(2).hash(key).hash);
    }
}

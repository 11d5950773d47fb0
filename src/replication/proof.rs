//! The proof that a node knows the secret of its mesh: a keyed BLAKE2 hash of the peer's challenge.
//!
//! It covers both nonces and all that the prover says of itself. So a proof is valid for one link in one direction. A
//! node that receives its own proof rejects it, and an introduction that was changed on its way is rejected.

use blake2::digest::consts::U32;
use blake2::digest::{KeyInit as _, Mac as _};
use blake2::{Blake2b256, Blake2bMac, Digest as _};
use subtle::ConstantTimeEq as _;

use super::frame::{Hello, Nonce, PROOF_BYTES};

/// What the node that says `hello` answers to `challenge` on a link where its own nonce is `own`. Zeros without a
/// secret.
pub(super) fn prove(secret: Option<&[u8]>, challenge: &Nonce, own: &Nonce, hello: &Hello<'_>) -> [u8; PROOF_BYTES] {
    let Some(secret) = secret else { return [0; PROOF_BYTES] };
    keyed(secret, &[b"larder: proof", challenge, own, &hello.unproven_bytes()])
}

/// A keyed hash of `parts` behind each other. All but the last have fixed lengths.
pub(super) fn keyed(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // A secret has any length, a key has not.
    let key = Blake2b256::digest(secret);
    let mut mac = Blake2bMac::<U32>::new_from_slice(&key).expect("a digest has the length of a key");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// The seed of key hashes, which all nodes of a mesh share. Without a secret, clients could know it, and choose keys
/// whose hashes collide.
pub fn hash_seed(secret: Option<&[u8]>, cluster: &[u8]) -> u64 {
    let mut digest = Blake2b256::new();
    digest.update(b"larder: the seed of key hashes");
    digest.update(Blake2b256::digest(secret.unwrap_or_default()));
    digest.update(cluster);
    digest.finalize().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A digest of prefixes, the same for all lists that have the same keys; 0 without any.
pub fn owner_digest(prefixes: &[String]) -> u64 {
    let mut sorted: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    // A shorter prefix comes first.
    sorted.dedup_by(|next, kept| next.starts_with(*kept));
    let mut digest = Blake2b256::new();
    digest.update(b"larder: prefixes of keys with owners");
    for prefix in &sorted {
        digest.update((prefix.len() as u64).to_le_bytes());
        digest.update(prefix);
    }
    let digest = digest.finalize().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if sorted.is_empty() { 0 } else { digest.max(1) }
}

/// Whether two proofs or seals are the same, in constant time.
pub(super) fn is_same<const N: usize>(proof: &[u8; N], expected: &[u8; N]) -> bool {
    proof.ct_eq(expected).into()
}

#[cfg(test)]
mod tests {
    use super::{is_same, owner_digest, prove};
    use crate::base::{NodeNumber, Version};
    use crate::replication::frame::{Hello, NodeId};
    use crate::replication::vector::VersionVector;

    /// A node without a past.
    fn hello_of(node: NodeId) -> Hello<'static> {
        Hello {
            proof: [0; 32],
            cluster: b"test",
            node,
            number: NodeNumber::new(3),
            incarnation: 1,
            clock: Version::ZERO,
            seen: VersionVector::default(),
            forgotten: VersionVector::default(),
            flushed: Version::ZERO,
            value_bytes_max: 1 << 20,
            owner_digest: 0,
            positions: Vec::new(),
        }
    }

    #[test]
    fn lists_of_prefixes_with_the_same_keys_have_one_digest() {
        let digest = |prefixes: &[&str]| owner_digest(&prefixes.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(digest(&[]), 0);
        assert_eq!(digest(&["lock.", "s."]), digest(&["s.", "lock.a", "lock.", "s."]));
        let others: [&[&str]; 4] = [&[], &["lock."], &["lock.s."], &["lock", "s."]];
        assert!(others.iter().all(|other| digest(other) != digest(&["lock.", "s."])));
    }

    #[test]
    fn a_proof_depends_on_secret_nonces_and_introduction() {
        let (one, two) = ([1; 16], [2; 16]);
        let hello = hello_of(NodeId(7));
        let proof = prove(Some(b"secret"), &one, &two, &hello);
        assert!(is_same(&proof, &prove(Some(b"secret"), &one, &two, &Hello { proof, ..hello.clone() })));
        let others = [
            prove(Some(b"other"), &one, &two, &hello),
            prove(Some(b"secret"), &two, &one, &hello),
            prove(Some(b"secret"), &one, &two, &hello_of(NodeId(8))),
            prove(Some(b"secret"), &one, &two, &Hello { flushed: Version::from_bits(9), ..hello.clone() }),
            prove(None, &one, &two, &hello),
        ];
        assert!(others.iter().all(|other| !is_same(&proof, other)));
    }
}

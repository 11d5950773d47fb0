//! The proof that a node knows the secret of its mesh: a keyed BLAKE2 hash of the peer's challenge.
//!
//! It covers both nonces and the prover's id. So a proof is valid for one link in one direction. A node that receives
//! its own proof rejects it.

use blake2::digest::consts::U32;
use blake2::digest::{KeyInit as _, Mac as _};
use blake2::{Blake2b256, Blake2bMac, Digest as _};
use subtle::ConstantTimeEq as _;

use super::frame::{NodeId, Nonce, PROOF_BYTES};

/// The proof of `prover` for `challenge`, on a link where its own nonce is `own`. Zeros without a secret.
pub(super) fn prove(secret: Option<&[u8]>, challenge: &Nonce, own: &Nonce, prover: NodeId) -> [u8; PROOF_BYTES] {
    let Some(secret) = secret else { return [0; PROOF_BYTES] };
    // A secret has any length, a key has not.
    let key = Blake2b256::digest(secret);
    let mut mac = Blake2bMac::<U32>::new_from_slice(&key).expect("a digest has the length of a key");
    mac.update(challenge);
    mac.update(own);
    mac.update(&prover.0.to_le_bytes());
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

/// Whether two proofs are the same, in constant time.
pub(super) fn is_same(proof: &[u8; PROOF_BYTES], expected: &[u8; PROOF_BYTES]) -> bool {
    proof.ct_eq(expected).into()
}

#[cfg(test)]
mod tests {
    use super::{NodeId, is_same, prove};

    #[test]
    fn a_proof_depends_on_secret_nonces_and_prover() {
        let (one, two) = ([1; 16], [2; 16]);
        let proof = prove(Some(b"secret"), &one, &two, NodeId(7));
        assert!(is_same(&proof, &prove(Some(b"secret"), &one, &two, NodeId(7))));
        let others = [
            prove(Some(b"other"), &one, &two, NodeId(7)),
            prove(Some(b"secret"), &two, &one, NodeId(7)),
            prove(Some(b"secret"), &one, &two, NodeId(8)),
            prove(None, &one, &two, NodeId(7)),
        ];
        assert!(others.iter().all(|other| !is_same(&proof, other)));
    }
}

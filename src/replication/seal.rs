//! Seals: what shows that a frame is whole, and comes from the node that the link was made with.
//!
//! ```text
//! nonces of both nodes, secret ──keyed BLAKE2──▶ one key for each direction of a link
//! type, sequence and body of a frame, key ──keyed BLAKE2──▶ the 16 bytes of its seal
//! ```
//!
//! A frame that was changed, repeated, moved to another place or sent back has another seal. Frames that begin
//! or refuse a link have a checksum instead, because the nodes share no key yet, or have none in common. Without a
//! secret all frames have one.

use std::fmt;

use blake2::Blake2bMac;
use blake2::digest::consts::U16;
use blake2::digest::{KeyInit as _, Mac as _};

use super::frame::Nonce;
use super::proof::keyed;

/// Bytes of a seal.
pub(super) const SEAL_BYTES: usize = 16;

/// The key of one direction of a link.
#[derive(Clone)]
pub struct FrameKey(Blake2bMac<U16>);

impl fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameKey(…)")
    }
}

/// The keys of a link.
#[derive(Clone, Debug)]
pub(super) struct LinkKeys {
    /// For frames of this node.
    pub(super) own: FrameKey,
    /// For frames of the peer.
    pub(super) theirs: FrameKey,
}

impl LinkKeys {
    /// The keys of a link with these nonces.
    pub(super) fn new(secret: &[u8], own: &Nonce, theirs: &Nonce) -> Self {
        let key = |sender, receiver| FrameKey::new(&keyed(secret, &[b"larder: frames", sender, receiver]));
        Self { own: key(own, theirs), theirs: key(theirs, own) }
    }
}

impl FrameKey {
    fn new(key: &[u8; 32]) -> Self {
        Self(Blake2bMac::new_from_slice(key).expect("a digest has the length of a key"))
    }
}

/// The seal of the bytes of a frame behind it.
pub(super) fn seal(bytes: &[u8], key: Option<&FrameKey>) -> [u8; SEAL_BYTES] {
    match key {
        Some(FrameKey(mac)) => mac.clone().chain_update(bytes).finalize().into_bytes().into(),
        None => {
            let mut seal = [0; SEAL_BYTES];
            seal[..4].copy_from_slice(&crc32fast::hash(bytes).to_le_bytes());
            seal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LinkKeys, seal};

    #[test]
    fn a_seal_depends_on_secret_link_direction_and_bytes() {
        let (one, two) = ([1; 16], [2; 16]);
        let keys = LinkKeys::new(b"secret", &one, &two);
        let right = seal(b"bytes", Some(&keys.own));
        // The peer makes the same key from the same nonces.
        assert_eq!(right, seal(b"bytes", Some(&LinkKeys::new(b"secret", &two, &one).theirs)));
        let others = [
            seal(b"bytes", Some(&keys.theirs)),
            seal(b"bytes", Some(&LinkKeys::new(b"other", &one, &two).own)),
            seal(b"bytes", Some(&LinkKeys::new(b"secret", &one, &[3; 16]).own)),
            seal(b"other", Some(&keys.own)),
            seal(b"bytes", None),
        ];
        assert!(others.iter().all(|other| *other != right));
    }
}

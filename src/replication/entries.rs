//! What a synchronization compares and fetches: entries, and hashes, behind each other.

use crate::base::{KeyHash, Version};

use super::wire::FieldReader;

/// What a node knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncEntry {
    /// The key.
    pub hash: KeyHash,
    /// The version of the item or tombstone.
    pub version: Version,
    /// Whether it is a tombstone.
    pub is_deleted: bool,
}

const SYNC_ENTRY_BYTES: usize = 17;

/// Entries behind each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncEntries<'f> {
    bytes: &'f [u8],
    latest: Version,
}

impl<'f> SyncEntries<'f> {
    /// Appends an entry to bytes for [`SyncEntries::of`].
    pub(super) fn push(bytes: &mut Vec<u8>, entry: SyncEntry) {
        bytes.extend_from_slice(&entry.hash.0.to_le_bytes());
        bytes.extend_from_slice(&entry.version.bits().to_le_bytes());
        bytes.push(u8::from(entry.is_deleted));
    }

    /// The entries in `bytes`; `None` if the last one is cut.
    pub(super) fn of(bytes: &'f [u8]) -> Option<Self> {
        let entries = Self { bytes, latest: Version::ZERO };
        let latest = entries.iter().map(|entry| entry.version).max().unwrap_or_default();
        bytes.len().is_multiple_of(SYNC_ENTRY_BYTES).then_some(Self { latest, ..entries })
    }

    /// The highest version.
    pub(super) const fn latest(self) -> Version {
        self.latest
    }

    pub(super) const fn bytes(self) -> &'f [u8] {
        self.bytes
    }

    /// All entries.
    pub(super) fn iter(self) -> impl Iterator<Item = SyncEntry> + 'f {
        self.bytes.chunks_exact(SYNC_ENTRY_BYTES).filter_map(|bytes| {
            let mut reader = FieldReader::new(bytes);
            let (hash, version) = (KeyHash(reader.u64()?), reader.version()?);
            Some(SyncEntry { hash, version, is_deleted: reader.u8()? != 0 })
        })
    }
}

/// Hashes behind each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashes<'f>(&'f [u8]);

impl<'f> Hashes<'f> {
    /// Appends a hash to bytes for [`Hashes::of`].
    pub(super) fn push(bytes: &mut Vec<u8>, hash: KeyHash) {
        bytes.extend_from_slice(&hash.0.to_le_bytes());
    }

    /// The hashes in `bytes`; `None` if the last one is cut.
    pub(super) fn of(bytes: &'f [u8]) -> Option<Self> {
        bytes.len().is_multiple_of(8).then_some(Self(bytes))
    }

    pub(super) const fn bytes(self) -> &'f [u8] {
        self.0
    }

    /// All hashes.
    pub(super) fn iter(self) -> impl Iterator<Item = KeyHash> + 'f {
        self.0.as_chunks().0.iter().map(|bytes| KeyHash(u64::from_le_bytes(*bytes)))
    }
}

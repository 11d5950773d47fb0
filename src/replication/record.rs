//! Records: changes of keys as they travel.
//!
//! ```text
//! Set        1 │ version 8 │ key length 1 │ key │ client flags 4 │ marks 1 │ ttl 1 + 8? │ length 4 │ data
//! Touch      2 │ version 8 │ hash 8 │ base 8 │ ttl 1 + 8?
//! Delete     3 │ version 8 │ hash 8
//! Outdated   4 │ version 8 │ hash 8
//! Flush      5 │ version 8
//! ```

use crate::base::{Key, KeyHash, Version, VersionedValue};

use super::tally::RecordCounts;
use super::wire::{FieldReader, FieldWriter};

/// A change of a key, or of all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeRecord<'r> {
    /// The key has this value.
    Set(VersionedValue<'r>),
    /// The item with the version `base` got another deadline, and so another version.
    Touch {
        /// The new version.
        version: Version,
        /// The key.
        hash: KeyHash,
        /// The version before.
        base: Version,
        /// Milliseconds that it has left; `None` if it does not expire.
        ttl_ms: Option<u64>,
    },
    /// The key was deleted.
    Delete {
        /// When.
        version: Version,
        /// The key.
        hash: KeyHash,
    },
    /// The key had a value of this version, which its node has lost by eviction or expiry. Older values are out of
    /// date.
    Outdated {
        /// The version of the lost value.
        version: Version,
        /// The key.
        hash: KeyHash,
    },
    /// All older values were dropped.
    Flush {
        /// When.
        version: Version,
    },
}

impl ChangeRecord<'_> {
    /// The version of the change.
    pub const fn version(&self) -> Version {
        match self {
            Self::Set(value) => value.version,
            Self::Touch { version, .. }
            | Self::Delete { version, .. }
            | Self::Outdated { version, .. }
            | Self::Flush { version } => *version,
        }
    }
}

impl<'r> ChangeRecord<'r> {
    fn read(reader: &mut FieldReader<'r>) -> Option<Self> {
        let kind = reader.u8()?;
        let version = reader.version()?;
        let record = match kind {
            1 => Self::Set(read_value(reader, version)?),
            2 => {
                let (hash, base) = (KeyHash(reader.u64()?), reader.version()?);
                Self::Touch { version, hash, base, ttl_ms: reader.optional_u64()? }
            }
            3 => Self::Delete { version, hash: KeyHash(reader.u64()?) },
            4 => Self::Outdated { version, hash: KeyHash(reader.u64()?) },
            5 => Self::Flush { version },
            _ => return None,
        };
        Some(record)
    }
}

fn read_value<'r>(reader: &mut FieldReader<'r>, version: Version) -> Option<VersionedValue<'r>> {
    let key_len = reader.u8()?;
    let key = Key::new(reader.bytes(usize::from(key_len))?)?;
    let (client_flags, marks, ttl_ms) = (reader.u32()?, reader.u8()?, reader.optional_u64()?);
    let len = usize::try_from(reader.u32()?).ok()?;
    Some(VersionedValue { version, key, client_flags, marks, ttl_ms, data: reader.bytes(len)? })
}

/// Records behind each other, which the decoder has checked.
#[derive(Clone, Copy, Debug)]
pub struct Records<'r> {
    reader: FieldReader<'r>,
    latest: Version,
}

impl<'r> Records<'r> {
    /// The records in `bytes`; `None` if they are anything else.
    pub(super) fn checked(bytes: &'r [u8]) -> Option<Self> {
        let (mut reader, mut latest) = (FieldReader::new(bytes), Version::ZERO);
        while !reader.is_empty() {
            latest = latest.max(ChangeRecord::read(&mut reader)?.version());
        }
        Some(Self { reader: FieldReader::new(bytes), latest })
    }

    /// The highest version.
    pub(super) const fn latest(self) -> Version {
        self.latest
    }

    pub(super) const fn bytes(self) -> &'r [u8] {
        self.reader.rest()
    }
}

impl<'r> Iterator for Records<'r> {
    type Item = ChangeRecord<'r>;

    fn next(&mut self) -> Option<ChangeRecord<'r>> {
        ChangeRecord::read(&mut self.reader)
    }
}

/// Records that are about to be sent.
#[derive(Debug, Default)]
pub(super) struct RecordBatch {
    writer: FieldWriter,
    counts: RecordCounts,
    latest: Version,
}

impl RecordBatch {
    pub(super) fn clear(&mut self) {
        self.writer.clear();
        (self.counts, self.latest) = (RecordCounts::default(), Version::ZERO);
    }

    pub(super) fn len(&self) -> usize {
        self.writer.as_slice().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of records.
    pub(super) fn counts(&self) -> RecordCounts {
        self.counts
    }

    pub(super) fn records(&self) -> Records<'_> {
        Records { reader: FieldReader::new(self.writer.as_slice()), latest: self.latest }
    }

    pub(super) fn push(&mut self, record: &ChangeRecord<'_>) {
        self.latest = self.latest.max(record.version());
        self.counts.note(record);
        let writer = &mut self.writer;
        let kind = match record {
            ChangeRecord::Set(_) => 1,
            ChangeRecord::Touch { .. } => 2,
            ChangeRecord::Delete { .. } => 3,
            ChangeRecord::Outdated { .. } => 4,
            ChangeRecord::Flush { .. } => 5,
        };
        writer.u8(kind);
        writer.version(record.version());
        match record {
            ChangeRecord::Set(value) => put_value(writer, value),
            ChangeRecord::Touch { hash, base, ttl_ms, .. } => {
                writer.u64(hash.0);
                writer.version(*base);
                writer.optional_u64(*ttl_ms);
            }
            ChangeRecord::Delete { hash, .. } | ChangeRecord::Outdated { hash, .. } => writer.u64(hash.0),
            ChangeRecord::Flush { .. } => {}
        }
    }
}

fn put_value(writer: &mut FieldWriter, value: &VersionedValue<'_>) {
    writer.u8(value.key.len());
    writer.bytes(value.key.bytes());
    writer.u32(value.client_flags);
    writer.u8(value.marks);
    writer.optional_u64(value.ttl_ms);
    // A value is at most 1 GiB, so the length fits.
    writer.u32(u32::try_from(value.data.len()).unwrap_or(u32::MAX));
    writer.bytes(value.data);
}

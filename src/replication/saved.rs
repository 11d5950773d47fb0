//! What a node needs to know of itself after a restart with its items.
//!
//! ```text
//! magic 8 │ generation 8 │ is whole 1 │ node 8 │ number 2 │ latest 8 │ flushed 8 │
//! seen, forgotten │ positions │ tombstones │ sum 4
//! ```
//!
//! The generation is that of the memory file that has the items. Without this, or with that of other items, a node
//! with items is another node, which has seen nothing. It compares them with all peers, and drops what may be deleted.
//!
//! A clean stop writes it whole. A node that runs writes a note of it a few times a second, with the latest tombstones.
//! After a kill the items are newer than the note, which is harmless: the node sees some changes of its peers again.
//! But the note lacks its own latest deletes. So the node draws versions with another number from then on: it has seen
//! the changes with the former number up to the note, and no more. Peers compare their items with it.

use crate::base::{KeyHash, NodeNumber, Version};

use super::frame::{LogPosition, NodeId, read_positions, write_positions};
use super::replica::Replica;
use super::tombstones::Tombstones;
use super::vector::VersionVector;
use super::wire::{FieldReader, FieldWriter};

/// The first bytes.
const MAGIC: [u8; 8] = *b"LRDRMSH2";
/// Deletes in a note, so that a note is small. In tests a node has few.
pub(super) const NOTE_TOMBSTONES: usize = if cfg!(test) { 3 } else { 6_000 };
/// Bytes of the checksum at the end.
const SUM_BYTES: usize = 4;

/// What a node needs to know of itself after a restart with its items.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Nothing has changed since. Otherwise items may have changed, and [`Saved::after_kill`] follows.
    pub is_whole: bool,
    /// Its id.
    pub node: NodeId,
    /// Its number in versions.
    pub number: NodeNumber,
    /// No version above this one was drawn, and no item has one.
    pub latest: Version,
    pub(super) seen: VersionVector,
    pub(super) flushed: Version,
    pub(super) tombstones: Tombstones,
    pub(super) positions: Vec<LogPosition>,
}

impl Saved {
    /// A node that has seen nothing. `latest` is at or above the versions of its items.
    pub fn new(node: NodeId, number: NodeNumber, latest: Version) -> Self {
        Self {
            is_whole: true,
            node,
            number,
            latest,
            seen: VersionVector::default(),
            flushed: Version::ZERO,
            tombstones: Tombstones::new(0),
            positions: Vec::new(),
        }
    }

    /// The same of a node that has changed items since, until it was killed. `numbers` are random. `latest` is at or
    /// above the versions of its items. `None`: the mesh knows each of the numbers.
    pub fn after_kill(self, numbers: impl IntoIterator<Item = NodeNumber>, latest: Version) -> Option<Self> {
        let number = numbers.into_iter().find(|number| !self.knows(*number))?;
        Some(Self { is_whole: true, number, latest: self.latest.max(latest), ..self })
    }

    /// The same with so few tombstones that it fits into a note.
    #[must_use]
    pub fn with_latest_tombstones(&self) -> Self {
        Self { tombstones: self.tombstones.latest(NOTE_TOMBSTONES), ..self.clone() }
    }

    /// Whether a change with this number was seen.
    fn knows(&self, number: NodeNumber) -> bool {
        let vectors = [&self.seen, self.tombstones.forgotten(), self.tombstones.inserted()];
        number == self.number || vectors.iter().any(|vector| vector.of(number) > Version::ZERO)
    }

    /// The bytes for a file.
    pub fn encode(&self, generation: u64) -> Vec<u8> {
        let mut writer = FieldWriter::default();
        writer.bytes(&MAGIC);
        writer.u64(generation);
        writer.bool(self.is_whole);
        writer.u64(self.node.0);
        writer.u16(self.number.get());
        writer.version(self.latest);
        writer.version(self.flushed);
        writer.vector(&self.seen);
        writer.vector(self.tombstones.forgotten());
        write_positions(&mut writer, self.positions.iter());
        for (hash, version) in self.tombstones.iter() {
            writer.u64(hash.0);
            writer.version(version);
        }
        let sum = crc32fast::hash(writer.as_slice());
        writer.u32(sum);
        writer.into_bytes()
    }

    /// What `bytes` say. `None`: they are damaged, or belong to items of another generation.
    pub fn decode(bytes: &[u8], generation: u64) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_BYTES)?)?;
        if FieldReader::new(sum).u32()? != crc32fast::hash(body) {
            return None;
        }
        let mut reader = FieldReader::new(body);
        if reader.array()? != MAGIC || reader.u64()? != generation {
            return None;
        }
        let is_whole = reader.bool()?;
        let (node, number) = (NodeId(reader.u64()?), NodeNumber::new(reader.u16()?));
        let (latest, flushed) = (reader.version()?, reader.version()?);
        let (seen, forgotten) = (reader.vector()?, reader.vector()?);
        let positions = read_positions(&mut reader)?;
        let mut tombstones = Tombstones::new(reader.rest().len() / 16);
        tombstones.forget_like(&forgotten);
        while !reader.is_empty() {
            tombstones.insert(KeyHash(reader.u64()?), reader.version()?);
        }
        Some(Self { is_whole, node, number, latest, seen, flushed, tombstones, positions })
    }

    /// As [`Replica::deleted_version`].
    #[cfg(test)]
    pub(super) fn deleted_version(&self, hash: KeyHash) -> Version {
        self.tombstones.version(hash).max(self.flushed)
    }
}

impl Replica {
    /// What a restart with the present items has to know.
    pub fn saved(&self, unix_ms: u64) -> Saved {
        Saved { is_whole: true, ..self.saved_with(self.tombstones.clone(), unix_ms) }
    }

    /// What a restart has to know if this node goes on and is killed later. Of deletes it has the latest ones.
    pub fn note(&self, unix_ms: u64) -> Saved {
        self.saved_with(self.tombstones.latest(NOTE_TOMBSTONES), unix_ms)
    }

    /// What has to be different for another note.
    pub(super) fn note_key(&self) -> NoteKey {
        NoteKey {
            log_end: self.log.end(),
            positions: self.positions(),
            tombstones: self.tombstones.len(),
            sessions: self.counts.sessions,
            flushed: self.flushed,
        }
    }

    fn saved_with(&self, tombstones: Tombstones, unix_ms: u64) -> Saved {
        Saved {
            is_whole: false,
            node: self.node,
            number: self.clock.number(),
            latest: self.clock.present(unix_ms),
            seen: self.seen.clone(),
            flushed: self.flushed,
            tombstones,
            positions: self.positions(),
        }
    }
}

/// What changes when a node learns of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoteKey {
    log_end: u64,
    positions: Vec<LogPosition>,
    tombstones: usize,
    sessions: u64,
    flushed: Version,
}

#[cfg(test)]
mod tests {
    use super::{KeyHash, LogPosition, NodeId, NodeNumber, Saved, Tombstones, Version};

    fn saved() -> Saved {
        let version = |ms: u64| Version::from_bits(ms << 22 | 3);
        let mut tombstones = Tombstones::new(10);
        (1..5).for_each(|key| tombstones.insert(KeyHash(key << 40), version(key)));
        tombstones.forget_through(version(1));
        Saved {
            is_whole: false,
            node: NodeId(7),
            number: NodeNumber::new(3),
            latest: version(9),
            seen: [version(8)].into_iter().collect(),
            flushed: version(2),
            tombstones,
            positions: vec![LogPosition { node: NodeId(5), incarnation: 6, next: 7 }],
        }
    }

    #[test]
    fn a_node_reads_what_it_has_saved() {
        let read = Saved::decode(&saved().encode(4), 4).unwrap();
        assert_eq!((read.node, read.number, read.latest), (NodeId(7), NodeNumber::new(3), saved().latest));
        assert_eq!((read.seen, read.flushed, read.positions), (saved().seen, saved().flushed, saved().positions));
        assert_eq!(read.tombstones.forgotten(), saved().tombstones.forgotten());
        let all = |tombstones: &Tombstones| tombstones.iter().collect::<Vec<_>>();
        assert_eq!(all(&read.tombstones), all(&saved().tombstones));
    }

    #[test]
    fn after_a_kill_a_node_takes_a_number_that_no_change_has() {
        let version = |number: u64| Version::from_bits(1 << 22 | number);
        let mut saved = saved();
        saved.seen.raise(version(1));
        saved.tombstones.insert(KeyHash(9), version(2));
        saved.tombstones.forget_through(version(4));
        let numbers = [3, 1, 2, 4, 5, 6].map(NodeNumber::new);
        let latest = Version::from_bits(99 << 22);
        let after = saved.clone().after_kill(numbers, latest).unwrap();
        assert_eq!((after.number, after.latest, after.is_whole), (NodeNumber::new(5), latest, true));
        assert_eq!(saved.clone().after_kill(numbers, Version::ZERO).map(|after| after.latest), Some(saved.latest));
        assert!(saved.after_kill(numbers.into_iter().take(4), latest).is_none());
    }

    #[test]
    fn a_note_fits_into_its_place_in_the_memory_file() {
        let mut tombstones = Tombstones::new(6_000);
        (0..6_000_u64).for_each(|key| tombstones.insert(KeyHash(key << 40), Version::from_bits((key + 1) << 22)));
        let every: crate::replication::VersionVector =
            (1..1024).map(|number| Version::from_bits(1 << 22 | number)).collect();
        tombstones.forget_like(&every);
        let position = LogPosition { node: NodeId(5), incarnation: 6, next: 7 };
        let saved = Saved { tombstones, seen: every, positions: vec![position; 32], ..saved() };
        assert!(saved.encode(1).len() + 4 <= crate::memory::NOTE_BYTES_MAX);
    }

    #[test]
    fn no_changed_bit_no_missing_end_and_no_other_generation_is_read() {
        let bytes = saved().encode(4);
        assert!(Saved::decode(&bytes, 5).is_none());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Saved::decode(&flipped, 4).is_none(), "bit {bit}");
        }
        assert!((0..bytes.len()).all(|len| Saved::decode(&bytes[..len], 4).is_none()));
    }
}

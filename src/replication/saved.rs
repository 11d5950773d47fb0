//! What a node needs to know of itself after a restart with its items.
//!
//! ```text
//! magic 8 │ generation 8 │ is whole 1 │ node 8 │ number 2 │ latest 8 │ flushed 8 │ since 8 │
//! seen, forgotten │ positions │ tombstones │ sum 4
//! ```
//!
//! The generation is that of the memory file that has the items. Without this, or with that of other items, a node
//! with items is another node, which has seen nothing. It compares them with all peers, and drops what may be deleted.
//!
//! A clean stop writes it whole. A node that runs writes a note of it a few times a second, with the latest tombstones.
//! After a kill the items are newer than the note, which is harmless: the node sees some changes of its peers again.
//! Its own sets are among the items, and its own deletes in the note or in [`LeftDeletes`]. So it makes its log anew,
//! and peers go on there.
//!
//! If some of its own deletes may be in neither, it draws versions with another number from then on: it has seen the
//! changes with the former number up to the note, and no more. Peers compare their items with it.

use crate::base::{KeyHash, NodeNumber, Version};

use super::cache::{RemovalReason, ReplicatedCache};
use super::frame::{LogPosition, NodeId, read_positions, write_positions};
use super::kept_deletes::LeftDeletes;
use super::log::{Change, LogEntry};
use super::replica::Replica;
use super::tombstones::Tombstones;
use super::vector::VersionVector;
use super::wire::{FieldReader, FieldWriter};

/// The first bytes.
const MAGIC: [u8; 8] = *b"LRDRMSH3";
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
    /// All changes of this node after this version are in `log`. In a note: among the items and tombstones.
    pub(super) since: Version,
    /// Changes of this node that peers may lack. A file has none of them.
    pub(super) log: Vec<LogEntry>,
}

/// Changes of a killed node that are among its items.
#[derive(Clone, Debug, Default)]
pub struct KeptItems {
    /// No item has a higher version.
    pub latest: Version,
    /// Its own, in any order.
    pub own: Vec<(KeyHash, Version)>,
    /// Its own items up to this version may not be in `own`.
    pub since: Version,
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
            since: latest,
            log: Vec::new(),
        }
    }

    /// The same of a node that has changed items since, until it was killed. `look` looks at its items, which `cache`
    /// has: at those with this number and a version above this one. `numbers` are random. `None`: the node needs
    /// another number, and the mesh knows each of them.
    pub fn after_kill<C: ReplicatedCache>(
        mut self,
        left: &LeftDeletes,
        numbers: impl IntoIterator<Item = NodeNumber>,
        cache: &mut C,
        look: impl FnOnce(&mut C, NodeNumber, Version) -> KeptItems,
    ) -> Option<Self> {
        for (hash, version) in &left.deletes {
            self.tombstones.insert(*hash, *version);
            cache.remove(*hash, *version, RemovalReason::Deleted);
        }
        if left.flushed > self.flushed {
            self.flushed = left.flushed;
            cache.flush(left.flushed);
        }
        self.tombstones.flush(self.flushed);
        let own = self.number;
        let since = self.since.max(self.tombstones.forgotten().of(own));
        let items = look(cache, own, since);
        self.latest = self.latest.max(items.latest).max(Version::from_ticks(left.reserved_ticks, own));
        self.is_whole = true;
        if left.number != Some(own) || left.overwritten > self.seen.of(own) {
            self.number = numbers.into_iter().find(|number| !self.knows(*number))?;
            return Some(Self { since: self.latest, ..self });
        }
        self.seen.raise(Version::from_ticks(self.latest.ticks(), own));
        self.since = since.max(items.since);
        let sets = items.own.into_iter().map(|(hash, version)| LogEntry { version, change: Change::Set(hash) });
        let deletes = self.tombstones.iter().map(|(hash, version)| LogEntry { version, change: Change::Delete(hash) });
        let flush = LogEntry { version: self.flushed, change: Change::Flush };
        let is_own = |entry: &LogEntry| entry.version.node() == own && entry.version > self.since;
        self.log = sets.chain(deletes).chain([flush]).filter(is_own).collect();
        self.log.sort_unstable_by_key(|entry| entry.version);
        Some(self)
    }

    /// The same with so few tombstones that it fits into a note.
    #[must_use]
    pub fn with_latest_tombstones(&self) -> Self {
        Self { tombstones: self.tombstones.latest(NOTE_TOMBSTONES), ..self.clone() }
    }

    /// A note with the same, of a node that may change items afterwards.
    #[must_use]
    pub fn as_note(&self) -> Self {
        Self { is_whole: false, ..self.with_latest_tombstones() }
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
        writer.version(self.log.last().map_or(self.since, |entry| entry.version));
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
        let (latest, flushed, since) = (reader.version()?, reader.version()?, reader.version()?);
        let (seen, forgotten) = (reader.vector()?, reader.vector()?);
        let positions = read_positions(&mut reader)?;
        let mut tombstones = Tombstones::new(reader.rest().len() / 16);
        tombstones.forget_like(&forgotten);
        while !reader.is_empty() {
            tombstones.insert(KeyHash(reader.u64()?), reader.version()?);
        }
        let log = Vec::new();
        Some(Self { is_whole, node, number, latest, seen, flushed, tombstones, positions, since, log })
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
        Saved { is_whole: true, since: self.log.latest(), ..self.saved_with(self.tombstones.clone(), unix_ms) }
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
            since: self.since,
            log: Vec::new(),
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
    use super::{Change, KeptItems, KeyHash, LeftDeletes, LogPosition, NodeId, NodeNumber, Saved, Tombstones, Version};
    use crate::replication::simulator::model::Model;

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
            positions: vec![LogPosition { node: NodeId(5), incarnation: 6, next: Some(7), through: version(7) }],
            since: version(4),
            log: Vec::new(),
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

    /// The same node after a kill. `left` is what it has kept of its deletes.
    fn after_kill(saved: Saved, left: &LeftDeletes, numbers: &[u16], items: &KeptItems) -> Option<Saved> {
        let numbers = numbers.iter().map(|number| NodeNumber::new(*number));
        let mut cache = Model::new(usize::MAX, 0);
        saved.after_kill(left, numbers, &mut cache, |_, _, _| items.clone())
    }

    #[test]
    fn after_a_kill_that_has_lost_deletes_a_node_takes_a_number_that_no_change_has() {
        let version = |number: u64| Version::from_bits(1 << 22 | number);
        let mut saved = saved();
        saved.seen.raise(version(1));
        saved.tombstones.insert(KeyHash(9), version(2));
        saved.tombstones.forget_through(version(4));
        let numbers = [3, 1, 2, 4, 5, 6];
        let items = KeptItems { latest: Version::from_bits(99 << 22), ..KeptItems::default() };
        let left = LeftDeletes { number: Some(NodeNumber::new(3)), ..LeftDeletes::default() };
        let lost = [LeftDeletes::default(), LeftDeletes { overwritten: Version::from_bits(9 << 22 | 3), ..left }];
        for left in lost {
            let after = after_kill(saved.clone(), &left, &numbers, &items).unwrap();
            assert_eq!((after.number, after.latest, after.is_whole), (NodeNumber::new(5), items.latest, true));
            assert_eq!((after.seen, after.since, after.log), (saved.seen.clone(), items.latest, Vec::new()));
            let after = after_kill(saved.clone(), &left, &numbers, &KeptItems::default());
            assert_eq!(after.map(|after| after.latest), Some(saved.latest));
            assert!(after_kill(saved.clone(), &left, &numbers[..4], &items).is_none());
        }
    }

    #[test]
    fn after_a_kill_the_log_has_what_the_items_and_the_deletes_have() {
        let version = |ms: u64| Version::from_bits(ms << 22 | 3);
        let left = LeftDeletes {
            number: Some(NodeNumber::new(3)),
            reserved_ticks: version(30).ticks(),
            flushed: version(5),
            // The note has them up to here.
            overwritten: version(8),
            deletes: vec![(KeyHash(60), version(6)), (KeyHash(62), version(21)), (KeyHash(61), version(3))],
        };
        let own = vec![(KeyHash(71), version(20)), (KeyHash(70), version(7)), (KeyHash(72), version(4))];
        let items = KeptItems { latest: version(22), own, since: version(4) };
        let after = after_kill(saved(), &left, &[], &items).unwrap();
        let log: Vec<(u64, Change)> =
            after.log.iter().map(|entry| (entry.version.bits() >> 22, entry.change)).collect();
        let [set, delete] = [Change::Set, Change::Delete];
        assert_eq!(
            log,
            [
                (5, Change::Flush),
                (6, delete(KeyHash(60))),
                (7, set(KeyHash(70))),
                (20, set(KeyHash(71))),
                (21, delete(KeyHash(62)))
            ]
        );
        assert_eq!((after.number, after.since, after.latest), (NodeNumber::new(3), version(4), version(30)));
        assert_eq!((after.seen.of(after.number), after.flushed), (version(30), version(5)));
        assert_eq!(after.tombstones.version(KeyHash(62)), version(21));
        // A file has no log. So a peer that lacks some of it compares.
        let read = Saved::decode(&after.encode(4), 4).unwrap();
        assert_eq!((read.since, read.log), (version(21), Vec::new()));
    }

    #[test]
    fn a_note_fits_into_its_place_in_the_memory_file() {
        let mut tombstones = Tombstones::new(6_000);
        (0..6_000_u64).for_each(|key| tombstones.insert(KeyHash(key << 40), Version::from_bits((key + 1) << 22)));
        let every: crate::replication::VersionVector =
            (1..1024).map(|number| Version::from_bits(1 << 22 | number)).collect();
        tombstones.forget_like(&every);
        let position = LogPosition { node: NodeId(5), incarnation: 6, next: Some(7), through: Version::ZERO };
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

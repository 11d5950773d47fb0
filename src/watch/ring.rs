//! A ring: the events that one thread has noted and that the watch thread has not taken yet.
//!
//! The watch thread locks it only to swap two vectors, so the owner hardly ever waits.

use crate::protocol::Streams;
use crate::sync::Leaf;

use super::event::Event;

/// Noted events, oldest first, and the bytes of their subjects.
#[derive(Default)]
pub(super) struct Noted {
    pub(super) records: Vec<Record>,
    pub(super) subjects: Vec<u8>,
    /// Events that found the ring full, by the bit of their stream.
    pub(super) lost: [u64; Streams::BITS],
}

impl Noted {
    /// Events of `streams` that found the ring full.
    pub(super) fn lost_of(&self, streams: Streams) -> u64 {
        let lost = self.lost.iter().enumerate();
        lost.filter(|(bit, _)| streams.meets(Streams::from_bits(1 << bit))).map(|(_, events)| events).sum()
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.subjects.clear();
        self.lost = Default::default();
    }

    fn bytes(&self) -> usize {
        self.records.len() * size_of::<Record>() + self.subjects.len()
    }
}

/// A noted event.
#[derive(Clone, Copy)]
pub(super) struct Record {
    /// Its number among all events.
    pub(super) gid: u64,
    /// Microseconds since the server started.
    pub(super) at_us: u64,
    pub(super) event: Event,
    /// Bytes of its subject.
    pub(super) subject_len: u8,
}

/// The result of [`EventRing::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// The event is in the ring.
    Noted,
    /// The event is in the ring, which is now half full: the watch thread should not wait longer.
    HalfFull,
    /// The ring was full.
    Lost,
}

/// A bounded ring of events.
pub struct EventRing {
    noted: Leaf<Noted>,
    bytes_max: usize,
}

impl EventRing {
    /// A ring that holds up to `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { noted: Leaf::default(), bytes_max }
    }

    /// Notes an event.
    pub(super) fn push(&self, gid: u64, at_us: u64, event: Event, subject: &[u8]) -> Pushed {
        let mut noted = self.noted.lock();
        let subject = &subject[..subject.len().min(usize::from(u8::MAX))];
        let before = noted.bytes();
        let after = before + size_of::<Record>() + subject.len();
        if after > self.bytes_max {
            if let Some(lost) = noted.lost.get_mut(event.stream().first_bit()) {
                *lost += 1;
            }
            return Pushed::Lost;
        }
        let subject_len = u8::try_from(subject.len()).unwrap_or(u8::MAX);
        noted.records.push(Record { gid, at_us, event, subject_len });
        noted.subjects.extend_from_slice(subject);
        let half = self.bytes_max / 2;
        if before < half && after >= half { Pushed::HalfFull } else { Pushed::Noted }
    }

    /// Swaps the noted events with `emptied`.
    pub(super) fn swap(&self, emptied: &mut Noted) {
        std::mem::swap(&mut *self.noted.lock(), emptied);
    }
}

#[cfg(test)]
mod tests {
    use super::{EventRing, Noted, Pushed, Record};
    use crate::protocol::Streams;
    use crate::watch::Event;

    #[test]
    fn a_ring_is_bounded_and_can_be_used_again() {
        let ring = EventRing::new(10 * (size_of::<Record>() + 3));
        let push = |gid| ring.push(gid, 0, Event::Flushed { fd: 1, delay_s: 0 }, b"abc");
        let pushed: Vec<Pushed> = (0..11).map(push).collect();
        assert_eq!(
            (pushed[3], pushed[4], pushed[9], pushed[10]),
            (Pushed::Noted, Pushed::HalfFull, Pushed::Noted, Pushed::Lost)
        );
        let mut noted = Noted::default();
        ring.swap(&mut noted);
        assert_eq!((noted.records.len(), noted.subjects.len()), (10, 30));
        assert_eq!((noted.lost_of(Streams::FLUSHES), noted.lost_of(Streams::FETCHERS)), (1, 0));
        assert_eq!(push(11), Pushed::Noted);
        noted.clear();
        ring.swap(&mut noted);
        assert_eq!((noted.records.len(), noted.lost_of(Streams::FLUSHES)), (1, 0));
    }
}

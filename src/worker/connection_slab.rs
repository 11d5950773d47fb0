//! The connection slab of one worker. A poll token is an index, and the index of a closed connection is reused.

use crate::sys::spare::try_reserve;

/// A slab of connections.
pub(super) struct ConnectionSlab<C> {
    places: Vec<SlabEntry<C>>,
    free: Option<u32>,
    count: usize,
}

enum SlabEntry<C> {
    Taken(C),
    Free { next: Option<u32> },
}

impl<C> ConnectionSlab<C> {
    /// An empty slab.
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: None, count: 0 }
    }

    /// The index that the next [`ConnectionSlab::enter`] uses.
    pub(super) fn next_place(&self) -> u32 {
        self.free.unwrap_or_else(|| u32::try_from(self.places.len()).unwrap_or(u32::MAX))
    }

    /// Makes room for one more. False: there is no memory for it.
    pub(super) fn reserve(&mut self) -> bool {
        self.free.is_some() || try_reserve(&mut self.places, 1)
    }

    /// Takes in a connection at [`ConnectionSlab::next_place`].
    pub(super) fn enter(&mut self, connection: C) {
        self.count += 1;
        match self.free {
            None => self.places.push(SlabEntry::Taken(connection)),
            Some(place) => {
                let old = std::mem::replace(&mut self.places[place as usize], SlabEntry::Taken(connection));
                self.free = match old {
                    SlabEntry::Free { next } => next,
                    SlabEntry::Taken(_) => unreachable!("only free places are on the list"),
                };
            }
        }
    }

    /// The connection at index `place`. `None` if it is closed.
    #[inline]
    pub(super) fn at(&mut self, place: u32) -> Option<&mut C> {
        match self.places.get_mut(place as usize) {
            Some(SlabEntry::Taken(connection)) => Some(connection),
            Some(SlabEntry::Free { .. }) | None => None,
        }
    }

    /// Removes and returns the connection at index `place`.
    pub(super) fn leave(&mut self, place: u32) -> Option<C> {
        let slot = self.places.get_mut(place as usize)?;
        if matches!(slot, SlabEntry::Free { .. }) {
            return None;
        }
        let SlabEntry::Taken(connection) = std::mem::replace(slot, SlabEntry::Free { next: self.free }) else {
            return None;
        };
        self.free = Some(place);
        self.count -= 1;
        Some(connection)
    }

    /// Number of connections.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// All connections.
    pub(super) fn iter(&self) -> impl Iterator<Item = &C> {
        self.places.iter().filter_map(|place| match place {
            SlabEntry::Taken(connection) => Some(connection),
            SlabEntry::Free { .. } => None,
        })
    }

    /// The indices in use.
    pub(super) fn taken(&self) -> Vec<u32> {
        let taken = |(index, place): (usize, &SlabEntry<C>)| match place {
            SlabEntry::Taken(_) => u32::try_from(index).ok(),
            SlabEntry::Free { .. } => None,
        };
        self.places.iter().enumerate().filter_map(taken).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionSlab;

    #[test]
    fn a_place_that_was_left_is_used_again() {
        let mut connections = ConnectionSlab::new();
        for name in ["a", "b", "c"] {
            connections.enter(name);
        }
        assert_eq!(connections.leave(1), Some("b"));
        assert_eq!(connections.leave(1), None);
        assert_eq!(connections.leave(9), None);
        assert_eq!(connections.leave(0), Some("a"));
        assert_eq!((connections.count(), connections.taken()), (1, vec![2]));
        assert_eq!(connections.next_place(), 0);
        connections.enter("d");
        connections.enter("e");
        connections.enter("f");
        assert_eq!(
            (connections.at(0).copied(), connections.at(1).copied(), connections.at(3).copied()),
            (Some("d"), Some("e"), Some("f"))
        );
        assert_eq!(connections.at(4), None);
        assert_eq!((connections.count(), connections.next_place()), (4, 4));
    }
}

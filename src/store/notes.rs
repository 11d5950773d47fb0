//! Notes: what a node of a mesh keeps in the memory file while it runs, so that it is there after a kill.

use std::io;

use crate::base::atomic::fixed::AtomicU64;

use super::cache::Store;

impl Store {
    /// Keeps note 0 or 1.
    ///
    /// # Errors
    /// The kernel's error; `InvalidInput` for a note of more than [`crate::memory::NOTE_BYTES_MAX`] bytes;
    /// `Unsupported` without a memory file.
    pub fn keep_note(&self, number: usize, bytes: &[u8]) -> io::Result<()> {
        let superblock = self.slabs.arena().superblock().ok_or(io::ErrorKind::Unsupported)?;
        superblock.write_note(number, bytes)
    }

    /// Words of the memory file for what is kept at each change. `None` without a memory file.
    pub fn kept_words(&self) -> Option<&[AtomicU64]> {
        self.slabs.arena().node_words()
    }

    /// The notes that the memory file has, with whatever follows them; empty without one.
    pub fn kept_notes(&self) -> [Vec<u8>; 2] {
        let superblock = self.slabs.arena().superblock();
        superblock.and_then(|superblock| superblock.read_notes().ok()).unwrap_or_default()
    }
}

//! The superblock: the first mebibytes of a memory file (-e), which no item uses. doc/restart.md draws the whole file.
//!
//! ```text
//! 0          4096      8192      12288                            640 KiB  768 KiB  896 KiB
//! ┌──────────┬─────────┬─────────┬──────────────────────────────┬─┬────────┬────────┬─────────┐
//! │ header   │ state 1 │ state 2 │ page table: 4 bytes per page │ │ note 1 │ note 2 │ deletes │   slab pages follow
//! └──────────┴─────────┴─────────┴──────────────────────────────┴─┴────────┴────────┴─────────┘
//! ```
//!
//! The header is written once. The state changes rarely, and both copies are written one after the other. A process
//! that is killed in between leaves one complete copy. An entry of the page table is one page's format, see `arena.rs`.
//!
//! The notes are what a node of a mesh knows. It writes them in turns, and each one has its own checksum. The deletes
//! are its own latest ones: see src/replication/kept_deletes.rs.
//!
//! All but the deletes is written with `pwrite`, not through the mapping: the kernel keeps both views the same.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::sync::Leaf;

use super::chunk_ref::ChunkRef;
use super::live_state::LiveState;
use super::size_class::PAGE_BYTES;

/// Bytes of the header, and of each copy of the state.
pub const BLOCK_BYTES: usize = 4096;
const STATES_AT: [u64; 2] = [BLOCK_BYTES as u64, 2 * BLOCK_BYTES as u64];
/// Where the page table begins.
pub const PAGE_TABLE_AT: u64 = 3 * BLOCK_BYTES as u64;
/// Bytes of an entry of the page table.
const ENTRY_BYTES: usize = 4;
/// Slab pages that the superblock takes.
pub const SUPERBLOCK_PAGES: u32 = 1;
const _: () = assert!(
    PAGE_TABLE_AT + (ENTRY_BYTES * ChunkRef::PAGES_MAX as usize) as u64 <= (SUPERBLOCK_PAGES * PAGE_BYTES) as u64,
    "the page table has an entry for every page"
);

/// Where the notes are.
const NOTES_AT: [u64; 2] = [640 << 10, 768 << 10];
/// Most bytes of a note.
pub const NOTE_BYTES_MAX: usize = 128 << 10;
const _: () = assert!(
    PAGE_TABLE_AT + (ENTRY_BYTES * ChunkRef::PAGES_MAX as usize) as u64 <= NOTES_AT[0]
        && NOTES_AT[1] + NOTE_BYTES_MAX as u64 <= NODE_WORDS_AT as u64
        && NODE_WORDS_AT + 8 * NODE_WORDS <= (SUPERBLOCK_PAGES * PAGE_BYTES) as usize,
    "the notes lie behind the page table, and the deletes behind the notes"
);
/// Where the deletes of a node are.
pub(super) const NODE_WORDS_AT: usize = 896 << 10;
/// How many words of 8 bytes they have.
pub(super) const NODE_WORDS: usize = 16 << 10;

/// The first bytes of every memory file.
pub const MAGIC: [u8; 8] = *b"larder\x1a\n";

/// The superblock of an open memory file.
pub struct Superblock {
    file: File,
    live: Leaf<LiveState>,
}

impl Superblock {
    /// The superblock of `file`, whose state is `live`. Nothing is written yet.
    pub fn new(file: File, live: LiveState) -> Self {
        Self { file, live: Leaf::new(live) }
    }

    /// The newest complete copy of the state. `None`: neither is complete.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn read_state(file: &File) -> io::Result<Option<LiveState>> {
        let mut newest: Option<LiveState> = None;
        for at in STATES_AT {
            let mut block = [0; BLOCK_BYTES];
            file.read_exact_at(&mut block, at)?;
            if let Some(state) = LiveState::decode(&block)
                && newest.as_ref().is_none_or(|newest| newest.sequence < state.sequence)
            {
                newest = Some(state);
            }
        }
        Ok(newest)
    }

    /// The entries of the page table for the first `pages` pages, up to the last page that has a class.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn read_page_table(file: &File, pages: u32) -> io::Result<Vec<u32>> {
        let mut bytes = vec![0; pages as usize * ENTRY_BYTES];
        file.read_exact_at(&mut bytes, PAGE_TABLE_AT)?;
        let (entries, _) = bytes.as_chunks::<4>();
        let used = entries.iter().rposition(|entry| *entry != [0; ENTRY_BYTES]).map_or(0, |last| last + 1);
        Ok(entries[..used].iter().map(|entry| u32::from_le_bytes(*entry)).collect())
    }

    /// Whether a file of `len` bytes, at most those of the superblock, holds nothing but the two copies of a state.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn is_unfinished(file: &File, len: u64) -> io::Result<bool> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        let blocks = bytes.chunks(BLOCK_BYTES).enumerate();
        let mut others = blocks.filter(|(number, _)| !STATES_AT.contains(&((number * BLOCK_BYTES) as u64)));
        Ok(others.all(|(_, block)| block.iter().all(|byte| *byte == 0)))
    }

    /// Changes the state and writes it. Rare: the lock is held while the kernel copies two blocks.
    ///
    /// # Errors
    /// The kernel's error. The file then holds the previous state.
    pub fn update<R>(&self, change: impl FnOnce(&mut LiveState) -> R) -> io::Result<R> {
        let mut live = self.live.lock();
        let result = change(&mut live);
        live.sequence += 1;
        let block = live.encode();
        // The order matters: the second copy is written when the first one is complete.
        for at in STATES_AT {
            self.file.write_all_at(&block, at)?;
        }
        Ok(result)
    }

    /// Waits until the file on disk has the state. Without this, a machine that goes down would bring an older one
    /// back.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Writes note 0 or 1, of at most [`NOTE_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// The kernel's error, or `InvalidInput` for a longer note.
    pub fn write_note(&self, number: usize, bytes: &[u8]) -> io::Result<()> {
        let at = NOTES_AT.get(number).filter(|_| bytes.len() <= NOTE_BYTES_MAX);
        self.file.write_all_at(bytes, *at.ok_or(io::ErrorKind::InvalidInput)?)
    }

    /// Both notes, with whatever follows them.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn read_notes(&self) -> io::Result<[Vec<u8>; 2]> {
        let mut notes = [const { Vec::new() }; 2];
        for (note, at) in notes.iter_mut().zip(NOTES_AT) {
            note.resize(NOTE_BYTES_MAX, 0);
            self.file.read_exact_at(note, at)?;
        }
        Ok(notes)
    }

    /// The file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Length of the file in bytes.
    pub fn file_len(&self) -> io::Result<u64> {
        self.file.metadata().map(|facts| facts.len())
    }

    /// Cuts off what lies behind all pages, from this offset on.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn cut_behind(&self, at: u64) -> io::Result<()> {
        self.file.set_len(at)
    }

    /// Reads the state.
    pub fn state<R>(&self, read: impl FnOnce(&LiveState) -> R) -> R {
        read(&self.live.lock())
    }

    /// Writes the header.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn write_header(&self, block: &[u8; BLOCK_BYTES]) -> io::Result<()> {
        self.file.write_all_at(block, 0)
    }

    /// Writes the entries of the first pages.
    ///
    /// # Errors
    /// The kernel's error.
    pub(super) fn set_pages(&self, formats: impl Iterator<Item = u32>) -> io::Result<()> {
        let bytes: Vec<u8> = formats.flat_map(u32::to_le_bytes).collect();
        self.file.write_all_at(&bytes, PAGE_TABLE_AT)
    }

    /// Writes the entry of `page`.
    pub(super) fn set_page(&self, page: u32, format: u32) {
        // Ignored: the block was allocated when the file was made. If the entry stays as it was, the items of the page
        // do not prove themselves at the next start.
        let _ = self.file.write_all_at(&format.to_le_bytes(), PAGE_TABLE_AT + (page as usize * ENTRY_BYTES) as u64);
    }
}

/// A checksum of `bytes`. It is the same in every process.
pub fn checksum(bytes: &[u8]) -> u64 {
    crate::base::fingerprint(bytes)
}

//! The arena: one reserved mapping that is divided into pages, and the address of every chunk.
//!
//! ```text
//! base                                                     base + reserve
//! ├─ page 0 ─┼─ page 1 ─┼─ page 2 ─┼─ … ─┤
//!  never used   class 5    class 1          a page belongs to one class at a time (I7)
//!              ┌──┬──┬──┬──┬──┬─┐
//!              │0 │1 │2 │3 │4 │ │           chunk i starts at i × chunk size (I1); the rest of the page is lost
//!              └──┴──┴──┴──┴──┴─┘
//! ```
//!
//! The first 16 bytes of a chunk are two atomics ([`ChunkHead`]), whatever the chunk holds. So the CLOCK hand and the
//! sweeper can walk pages while writers run.
//!
//! A page that leaves its class gets format 0. Only after the grace period of that change does the page get another
//! format or is it overwritten with zeros. So a pinned thread may use a format that it loaded once until its pin
//! ends: the chunks stay where the format says. A thread that does not know whether a chunk of the page is in use
//! calls [`PageArena::try_locate`], which loads the format once.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use crate::base::atomic::fixed::AtomicU64;
use crate::base::atomic::{AtomicU32, Ordering};
use crate::base::fingerprint;
use crate::sync::{Pin, Standstill};
use crate::sys::cpu::prefetch;
use crate::sys::mapping::{Mapping, Space};

use super::chunk_ref::ChunkRef;
use super::size_class::PAGE_BYTES;
use super::superblock::{NODE_WORDS, NODE_WORDS_AT, SUPERBLOCK_PAGES, Superblock};

/// The first 16 bytes of every chunk. `item/header.rs` defines their meaning.
#[repr(C)]
pub struct ChunkHead {
    /// Zero in a free chunk. In a chunk that a worker holds: zero, or the remains of an item.
    pub word0: AtomicU64,
    /// In a free chunk: the reference of the next free chunk.
    pub word1: AtomicU64,
}

const _: () = assert!(size_of::<ChunkHead>() == 16);
const _: () = assert!(align_of::<ChunkHead>() == 8, "chunks are 8-aligned (I1)");

/// All slab memory. `SlabAllocator` hands out the pages.
pub struct PageArena {
    mapping: Mapping,
    /// The address of the first byte of the mapping.
    base: NonNull<u8>,
    /// Class and chunk size by page, see [`format`]; 0 while the page has no class. Index 0 is never used.
    formats: Box<[AtomicU32]>,
    /// The superblock of a memory file. It has a copy of `formats`.
    superblock: OnceLock<Arc<Superblock>>,
}

/// What holds the pages.
pub enum Backing {
    /// Memory of this process.
    Anonymous,
    /// A memory file.
    File(ArenaFile),
}

/// An open memory file that belongs to this process.
pub struct ArenaFile {
    /// The file. Its superblock is allocated.
    pub file: File,
    /// Its superblock.
    pub superblock: Arc<Superblock>,
    /// The page table that it had when it was opened; empty for a new file.
    pub page_table: Vec<u32>,
    /// When the kernel provides its space.
    pub space: Space,
    /// Whether its items have proofs. Without them, only a process that is handed the file by its last owner can use
    /// its items.
    pub has_proofs: bool,
    /// Another process hands it over. Until it has done so, nothing in the file may change.
    pub is_handed: bool,
    /// A mapping of the file, see `PageArena::map_ahead`.
    pub mapped_ahead: Option<Mapping>,
}

/// The address of a chunk, with its reference and its page's format.
#[derive(Clone, Copy)]
pub struct Located<'a> {
    first: NonNull<u8>,
    chunk: ChunkRef,
    /// The format of the chunk's page. The class alone would leave three bytes of padding here, and the compiler
    /// would copy those separately.
    format: u32,
    _arena: PhantomData<&'a PageArena>,
}

// SAFETY: the mapping is plain memory that lives as long as the arena. All access goes through atomics (`head`), or
// through pointers whose users prove that they have exclusive access or that there are no writers.
unsafe impl Send for PageArena {}
// SAFETY: as above.
unsafe impl Sync for PageArena {}

/// The low 24 bits of a page's format are the chunk size in bytes, the high byte is the class.
const CHUNK_BYTES_MASK: u32 = (1 << 24) - 1;
const _: () = assert!(PAGE_BYTES <= CHUNK_BYTES_MASK);

const fn format(class: u8, chunk_bytes: u32) -> u32 {
    (class as u32) << 24 | chunk_bytes
}

/// The chunk size in a format.
pub const fn chunk_bytes_in(format: u32) -> u32 {
    format & CHUNK_BYTES_MASK
}

/// The class in a format.
#[inline]
pub const fn class_in(format: u32) -> u8 {
    format.to_be_bytes()[0]
}

/// The bytes of a mapping that holds the superblock and `pages` pages.
fn mapped_bytes(pages: u32) -> usize {
    (pages.min(ChunkRef::PAGES_MAX - 1) as usize + 1) * PAGE_BYTES as usize
}

impl PageArena {
    /// Bytes of `formats` per page.
    pub(super) const TABLE_BYTES_PER_PAGE: usize = size_of::<AtomicU32>();

    /// Reserves address space for `pages_wanted` pages if possible, and for `pages_least` at least. A file's pages have
    /// the formats of its page table.
    ///
    /// # Errors
    /// The kernel's error, if not even `pages_least` pages can be reserved.
    pub fn reserve(backing: Backing, pages_wanted: u32, pages_least: u32) -> io::Result<Self> {
        let (wanted, least) = (mapped_bytes(pages_wanted), mapped_bytes(pages_least));
        let (mapping, superblock, page_table) = match backing {
            Backing::Anonymous => (Mapping::reserve(wanted, least)?, OnceLock::new(), Vec::new()),
            Backing::File(ArenaFile { file, superblock, page_table, space, mapped_ahead, .. }) => {
                let mapping = match mapped_ahead.filter(|mapping| mapping.len() >= least) {
                    Some(mapping) => mapping,
                    None => Mapping::reserve_in_file(&file, space, wanted, least)?,
                };
                (mapping, superblock.into(), page_table)
            }
        };
        let pages = mapping.len() / PAGE_BYTES as usize;
        let base = NonNull::new(mapping.as_ptr()).expect("the kernel maps nothing at address 0 unasked");
        // The superblock has no chunks, whatever the file says.
        let entries = page_table.into_iter().skip(SUPERBLOCK_PAGES as usize);
        let none = std::iter::repeat_n(0, SUPERBLOCK_PAGES as usize);
        let formats = none.chain(entries).chain(std::iter::repeat(0)).take(pages).map(AtomicU32::new).collect();
        Ok(Self { mapping, base, formats, superblock })
    }

    /// Maps a file that another process uses, for [`ArenaFile::mapped_ahead`], and lets the kernel map the memory of
    /// its pages while `may_go_on`. It changes nothing in the file.
    ///
    /// # Errors
    /// The kernel's error.
    pub(super) fn map_ahead(
        file: &File,
        space: Space,
        pages_wanted: u32,
        may_go_on: impl Fn() -> bool,
    ) -> io::Result<Mapping> {
        let page_table = Superblock::read_page_table(file, ChunkRef::PAGES_MAX)?;
        let used = (0..page_table.len()).filter(|page| page_table[*page] != 0);
        let least = mapped_bytes(u32::try_from(page_table.len()).unwrap_or(u32::MAX));
        let mapping = Mapping::reserve_in_file(file, space, mapped_bytes(pages_wanted).max(least), least)?;
        let page_bytes = PAGE_BYTES as usize;
        // Ignored: the memory is then mapped when it is touched.
        used.take_while(|_| may_go_on()).for_each(|page| {
            let _ = mapping.populate_for_loads(page * page_bytes, page_bytes);
        });
        Ok(mapping)
    }

    /// The superblock, if the pages lie in a memory file.
    pub fn superblock(&self) -> Option<&Arc<Superblock>> {
        self.superblock.get()
    }

    /// Words of the superblock for what a node of a mesh keeps. `None` without a memory file.
    pub fn node_words(&self) -> Option<&[AtomicU64]> {
        self.superblock.get().filter(|_| self.mapping.bytes_in_file() >= PAGE_BYTES as usize)?;
        // SAFETY: the words lie within the first page of the mapping.
        let first = unsafe { self.base.add(NODE_WORDS_AT) };
        // SAFETY: the memory is mapped for as long as the arena lives, and the file has blocks for its superblock. The
        // words are aligned to 8 bytes. This process uses them through atomics only.
        Some(unsafe { std::slice::from_raw_parts(first.as_ptr().cast(), NODE_WORDS) })
    }

    /// Moves the pages after those that are in a memory file to this file, up to page `end`. `None` means all other
    /// pages, none of which was ever used. The first call also writes the page table.
    ///
    /// # Errors
    /// The kernel's error. The pages are unchanged.
    pub(super) fn move_to_file(
        &self,
        _standstill: &Standstill<'_>,
        superblock: &Arc<Superblock>,
        end: Option<u32>,
    ) -> io::Result<()> {
        let superblock = if let Some(before) = self.superblock.get() {
            before
        } else {
            superblock.set_pages(self.formats.iter().map(|format| format.load(Ordering::Relaxed)))?;
            self.superblock.get_or_init(|| Arc::clone(superblock))
        };
        let (page_bytes, file) = (PAGE_BYTES as usize, superblock.file());
        let start = self.mapping.bytes_in_file() / page_bytes;
        let end_bytes = end.map_or(self.mapping.len(), |end| end as usize * page_bytes);
        if end.is_some() && superblock.file_len()? < end_bytes as u64 {
            file.set_len(end_bytes as u64)?;
        }
        let pages = start..end.map_or(start, |end| end as usize);
        // A page without a class is filled with zeros before it gets one.
        let used = pages.filter(|page| self.formats[*page].load(Ordering::Relaxed) != 0);
        let used: Vec<_> = used.map(|page| page * page_bytes..(page + 1) * page_bytes).collect();
        // SAFETY: threads use the memory of pages only while they are pinned, and none is.
        unsafe { self.mapping.move_to_file(file, end_bytes, &used) }
    }

    /// Whether all pages are in a memory file.
    pub fn is_in_file(&self) -> bool {
        self.mapping.bytes_in_file() == self.mapping.len()
    }

    /// The first page that is not in a memory file.
    pub(super) fn first_page_in_memory(&self) -> u32 {
        u32::try_from(self.mapping.bytes_in_file() / PAGE_BYTES as usize).unwrap_or(u32::MAX)
    }

    /// Whether any page up to `last_page` lacks memory in the file.
    pub(super) fn has_holes(&self, last_page: u32) -> bool {
        self.mapping.has_holes((last_page as usize + 1) * PAGE_BYTES as usize)
    }

    /// The fingerprint of a page's bytes.
    pub(super) fn digest(&self, page: u32, _standstill: &Standstill<'_>) -> u64 {
        let (first, page_bytes) = (page as usize * PAGE_BYTES as usize, PAGE_BYTES as usize);
        assert!(first + page_bytes <= self.mapping.len());
        // SAFETY: the page lies within the mapping.
        let first = unsafe { self.base.add(first) };
        // SAFETY: the memory is mapped and initialised. Threads use the memory of pages only while they are pinned, and
        // none is.
        fingerprint(unsafe { std::slice::from_raw_parts(first.as_ptr(), page_bytes) })
    }

    /// The number of pages up to the end of the memory file, as far as they are reserved.
    pub(super) fn pages_in_file(&self) -> u32 {
        let len = self.superblock.get().and_then(|superblock| superblock.file_len().ok()).unwrap_or(u64::MAX);
        let pages = u32::try_from(len.div_ceil(u64::from(PAGE_BYTES))).unwrap_or(u32::MAX);
        pages.min(self.last_page() + 1)
    }

    /// Waits until the memory file holds all pages.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn sync(&self) -> io::Result<()> {
        self.mapping.sync()
    }

    /// The highest page number.
    #[expect(clippy::cast_possible_truncation, reason = "at most `ChunkRef::PAGES_MAX` pages are reserved")]
    pub fn last_page(&self) -> u32 {
        self.formats.len() as u32 - 1
    }

    /// Write-protects the arena: any later store to it ends the process.
    #[cfg(test)]
    pub fn forbid_stores(&self) -> io::Result<()> {
        self.mapping.forbid_stores()
    }

    /// Asks the kernel for huge pages.
    ///
    /// # Errors
    /// The kernel's error; the arena is unchanged.
    pub fn advise_huge_pages(&self) -> io::Result<()> {
        self.mapping.advise_huge_pages(0)
    }

    /// Gives `page`, which holds only zeros, to a class. Called before any of its chunks is handed out.
    pub(super) fn format_page(&self, page: u32, class: u8, chunk_bytes: u32) {
        // Release: a thread that learns of a chunk of this page also sees the chunk's size, and that it is free.
        self.formats[page as usize].store(format(class, chunk_bytes), Ordering::Release);
        self.keep_format(page);
    }

    /// Writes a page's format to the superblock. Before a page is filled with zeros, the file knows that it has no
    /// class. When the page is zeros, the file knows its class. So the table is right whenever a process dies.
    fn keep_format(&self, page: u32) {
        if let Some(superblock) = self.superblock.get() {
            superblock.set_page(page, self.formats[page as usize].load(Ordering::Relaxed));
        }
    }

    /// Takes `page`, whose chunks are all free, from its class. A thread that loaded the format may use it until the
    /// grace period of this change is over.
    pub(super) fn unformat_page(&self, page: u32) {
        self.formats[page as usize].store(0, Ordering::Release);
        self.keep_format(page);
    }

    /// The format of `page` in the page table.
    pub(super) fn format_of_page(&self, page: u32) -> u32 {
        self.formats[page as usize].load(Ordering::Relaxed)
    }

    /// Allocates the memory of a page in a file, where a store to a page without memory ends the process.
    ///
    /// # Errors
    /// The kernel's error if there is no space.
    pub(super) fn allocate_page(&self, page: u32) -> io::Result<()> {
        self.mapping.allocate(page as usize * PAGE_BYTES as usize, PAGE_BYTES as usize)
    }

    /// Fills a page that has no class with zeros.
    ///
    /// # Safety
    /// The page was never formatted, or the grace period since it left its class is over.
    pub(super) unsafe fn clear_page(&self, page: u32) {
        assert!(self.formats[page as usize].load(Ordering::Relaxed) == 0, "page {page} belongs to a class");
        // SAFETY: the page table has an entry for this page, so the page lies within the mapping.
        let first = unsafe { self.base.add(page as usize * PAGE_BYTES as usize) };
        // SAFETY: the page lies in the mapping. The caller guarantees that no thread can still find a chunk of it. So
        // these plain stores race with no access, not even an atomic one.
        unsafe { first.as_ptr().write_bytes(0, PAGE_BYTES as usize) };
    }

    /// Returns the memory of a page without a class to the kernel. The page reads as zeros when it is touched again.
    ///
    /// # Errors
    /// The kernel's error; the page is unchanged.
    ///
    /// # Safety
    /// As for [`PageArena::clear_page`].
    pub(super) unsafe fn discard_page(&self, page: u32) -> io::Result<()> {
        assert!(self.formats[page as usize].load(Ordering::Relaxed) == 0, "page {page} belongs to a class");
        // SAFETY: the caller guarantees that no thread reads or writes the page.
        unsafe { self.mapping.discard(page as usize * PAGE_BYTES as usize, PAGE_BYTES as usize) }
    }

    #[inline]
    fn format_of(&self, chunk: ChunkRef) -> u32 {
        self.formats[chunk.page() as usize].load(Ordering::Relaxed)
    }

    /// The class of the chunk's page; 0 if the page has no class.
    #[inline]
    pub fn class_of(&self, chunk: ChunkRef) -> u8 {
        class_in(self.format_of(chunk))
    }

    /// The class of `page`; 0 if the page has no class.
    pub fn class_of_page(&self, page: u32) -> u8 {
        self.formats.get(page as usize).map_or(0, |format| class_in(format.load(Ordering::Relaxed)))
    }

    /// The chunk's size in bytes.
    #[inline]
    pub fn chunk_bytes(&self, chunk: ChunkRef) -> u32 {
        self.format_of(chunk) & CHUNK_BYTES_MASK
    }

    /// The chunk's offset in the mapping, if a page of this format has such a chunk.
    #[inline]
    fn offset(&self, chunk: ChunkRef, format: u32) -> Option<usize> {
        let size = (format & CHUNK_BYTES_MASK) as usize;
        let within = chunk.index() as usize * size;
        let exists = size != 0 && within + size <= PAGE_BYTES as usize;
        exists.then_some(chunk.page() as usize * PAGE_BYTES as usize + within)
    }

    /// The address of the chunk's first byte.
    ///
    /// # Panics
    /// If there is no such chunk.
    #[inline]
    pub fn chunk_ptr(&self, chunk: ChunkRef) -> NonNull<u8> {
        self.locate(chunk).first()
    }

    /// The chunk's two atomic words.
    #[inline]
    pub fn head(&self, chunk: ChunkRef) -> &ChunkHead {
        self.locate(chunk).head()
    }

    /// The chunk's location.
    ///
    /// # Panics
    /// If there is no such chunk. The caller knows that the chunk is in use, so its page has not left its class.
    #[inline]
    pub fn locate(&self, chunk: ChunkRef) -> Located<'_> {
        // One branch that is never taken makes every `ChunkRef` safe to look up, whatever its origin (I1).
        self.find(chunk).unwrap_or_else(|| no_such_chunk(chunk))
    }

    /// As [`PageArena::locate`], with the chunk's size in bytes.
    #[inline]
    pub fn locate_sized(&self, chunk: ChunkRef) -> (NonNull<u8>, &ChunkHead, u32) {
        let located = self.locate(chunk);
        let (first, head) = (located.first(), located.head());
        (first, head, self.chunk_bytes(chunk))
    }

    /// As [`PageArena::locate`], for a reference that may be any 32 bits. `None` if there is no such chunk, or no
    /// longer. The chunk exists as long as the pin lasts, even if its page leaves its class.
    #[inline]
    pub fn try_locate(&self, _pin: &Pin, chunk: ChunkRef) -> Option<Located<'_>> {
        self.find(chunk)
    }

    /// The location of a chunk that exists. The caller knows that it goes on to exist.
    #[inline]
    pub(super) fn find(&self, chunk: ChunkRef) -> Option<Located<'_>> {
        // Acquire: a thread that sees the format also sees that the page's earlier content was overwritten with
        // zeros.
        let format = self.formats.get(chunk.page() as usize)?.load(Ordering::Acquire);
        let offset = self.offset(chunk, format)?;
        // SAFETY: the page table has an entry for this page, so the page lies within the mapping. `offset` has
        // checked that the chunk lies within the page.
        let first = unsafe { self.base.add(offset) };
        Some(Located { first, chunk, format, _arena: PhantomData })
    }

    /// As [`PageArena::try_locate`], but returns only the two atomic words.
    #[inline]
    pub fn try_head(&self, pin: &Pin, chunk: ChunkRef) -> Option<&ChunkHead> {
        self.try_locate(pin, chunk).map(|located| located.head())
    }

    /// Prefetches the chunk's first two cache lines. Only a hint.
    #[inline]
    pub fn prefetch(&self, chunk: ChunkRef) {
        if let Some(located) = self.find(chunk) {
            located.prefetch();
        }
    }
}

impl<'a> Located<'a> {
    /// The address of the chunk's first byte.
    #[inline]
    pub const fn first(self) -> NonNull<u8> {
        self.first
    }

    /// The chunk's two atomic words, which start at its first byte.
    #[inline]
    pub const fn head(self) -> &'a ChunkHead {
        // SAFETY: the chunk lies in the mapping, is 8-aligned and at least 32 bytes long (I1), as `find` has
        // checked. While a thread can find the chunk, its first 16 bytes are accessed only as these two atomics:
        // `clear_page` writes when none can. Zeros are valid values of them.
        unsafe { self.first.cast::<ChunkHead>().as_ref() }
    }

    /// The chunk's reference.
    #[inline]
    pub const fn chunk(self) -> ChunkRef {
        self.chunk
    }

    /// The chunk's size in bytes.
    pub(super) const fn chunk_bytes(self) -> u32 {
        chunk_bytes_in(self.format)
    }

    /// The class of the chunk's page.
    #[inline]
    pub const fn class(self) -> u8 {
        class_in(self.format)
    }

    /// Prefetches the chunk's first two cache lines. Only a hint.
    #[inline]
    pub fn prefetch(self) {
        prefetch(self.first.as_ptr());
        prefetch(self.first.as_ptr().wrapping_add(64));
    }
}

#[cold]
fn no_such_chunk(chunk: ChunkRef) -> ! {
    panic!("{chunk:?} names no chunk");
}

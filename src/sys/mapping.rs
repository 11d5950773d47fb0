//! Mapped memory: address space that is reserved as a whole. The kernel provides memory for a part when it is first
//! touched.
//!
//! ```text
//! anonymous   untouched parts cost nothing and read as zeros      discard: MADV_DONTNEED
//! a file      a part must be allocated before it is touched       discard: a hole is punched
//! both        the first part was moved to a file, which takes its place (`move_to_file`)
//! ```
//!
//! A table in a fresh mapping needs no initialisation. A store to a part of a file that has no space ends the process
//! (SIGBUS). So the owner calls `allocate` first, which returns the error instead.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::sync::OnceLock;

use memmap2::{Advice, MmapOptions, MmapRaw, UncheckedAdvice};

use crate::base::atomic::{AtomicUsize, Ordering};

use super::process::mappable_bytes;
use super::syscall::syscall;

/// The alignment of ranges in a mapping, in bytes. If the kernel's pages are larger, `discard` needs larger ranges.
const KERNEL_PAGE_MIN: usize = 4096;

/// A range of readable and writable memory. Unmapped when dropped.
pub struct Mapping {
    raw: MmapRaw,
    /// The file behind its first `in_file` bytes, and how its space comes. Empty: all of it is anonymous memory.
    file: OnceLock<(File, Space)>,
    in_file: AtomicUsize,
    /// Unused bytes before the first huge page boundary.
    skipped: usize,
    len: usize,
}

/// When the kernel provides the space of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// It must be allocated before it is touched: the file system may be full.
    Ahead,
    /// At the first touch: the file is memory of this process, and no file system bounds it.
    OnTouch,
}

/// The size of a huge page on the kernels that larder supports. A mapping of at least this size starts on such a
/// boundary.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

impl Mapping {
    /// Reserves `wanted` bytes, or a half or a quarter of them and so on, but not less than `least`. How much the
    /// machine grants depends on its overcommit policy and on resource limits. If a limit bounds the mappable bytes,
    /// a mapping larger than `least` takes at most half of the rest. Stacks and the heap need memory, too.
    ///
    /// # Errors
    /// The kernel's error for the last and smallest attempt.
    pub fn reserve(wanted: usize, least: usize) -> io::Result<Self> {
        largest_possible(wanted, least, |len| {
            let mut options = MmapOptions::new();
            let spare = if len < HUGE_PAGE_BYTES { 0 } else { HUGE_PAGE_BYTES };
            options.len(len.saturating_add(spare));
            if !cfg!(miri) {
                // The mapping does not count as committed memory: the memory limit bounds how much is touched. Miri
                // does not know this flag.
                options.no_reserve_swap();
            }
            let raw = MmapRaw::from(options.map_anon()?);
            let skipped = raw.as_ptr().addr().wrapping_neg() % HUGE_PAGE_BYTES;
            Ok(Self { raw, file: OnceLock::new(), in_file: AtomicUsize::new(0), skipped: skipped.min(spare), len })
        })
    }

    /// As [`Mapping::reserve`], for the bytes of `file`, which other mappings of it share. The mapping may be longer
    /// than the file.
    ///
    /// # Errors
    /// The kernel's error for the last and smallest attempt.
    pub fn reserve_in_file(file: &File, space: Space, wanted: usize, least: usize) -> io::Result<Self> {
        largest_possible(wanted, least, |len| {
            let raw = MmapOptions::new().len(len).map_raw(file)?;
            Ok(Self { raw, file: (file.try_clone()?, space).into(), in_file: AtomicUsize::new(len), skipped: 0, len })
        })
    }

    /// Allocates the space of a range in the file, which may become longer. Until then no thread may touch the range.
    /// Anonymous memory needs no allocation.
    ///
    /// # Errors
    /// The kernel's error if there is no space; the range is unchanged.
    pub fn allocate(&self, offset: usize, len: usize) -> io::Result<()> {
        match self.file_at(offset) {
            None => Ok(()),
            Some((file, Space::Ahead)) => allocate_file(file, offset as u64, len as u64),
            // The last bytes suffice to make the file long enough. The others come when they are touched.
            Some((file, Space::OnTouch)) => {
                let last = len.min(KERNEL_PAGE_MIN);
                allocate_file(file, (offset + len - last) as u64, last as u64)
            }
        }
    }

    /// Whether the file lacks the space of a part of its first `len` bytes, as a copy that skipped zeros does.
    pub fn has_holes(&self, len: usize) -> bool {
        let Some((file, Space::Ahead)) = self.file.get() else { return false };
        // SAFETY: takes no pointers, and the file is open. Nothing else uses its position.
        let hole = unsafe { syscall!(lseek(file.as_raw_fd(), 0, libc::SEEK_HOLE)) };
        hole.map_or(true, |hole| usize::try_from(hole).is_ok_and(|hole| hole < len))
    }

    /// Waits until the file holds what was stored in the mapping. Immediate for a file in memory.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn sync(&self) -> io::Result<()> {
        self.file.get().map_or(Ok(()), |(file, _)| file.sync_data())
    }

    fn file_at(&self, offset: usize) -> Option<&(File, Space)> {
        // Relaxed: it changes only while no other thread uses the mapping.
        self.file.get().filter(|_| offset < self.in_file.load(Ordering::Relaxed))
    }

    /// How many bytes from the start on are in a file.
    pub fn bytes_in_file(&self) -> usize {
        self.in_file.load(Ordering::Relaxed)
    }

    /// Continues the part that is in a file up to byte `end`. Of the anonymous memory between, it copies the parts
    /// `used` to `file`. Then it maps the file in the place of this memory. Other calls must name the same file.
    ///
    /// # Errors
    /// The kernel's error; the mapping is unchanged.
    ///
    /// # Safety
    /// No other thread uses the mapping.
    pub unsafe fn move_to_file(&self, file: &File, end: usize, used: &[Range<usize>]) -> io::Result<()> {
        let start = self.bytes_in_file();
        assert!(start.is_multiple_of(KERNEL_PAGE_MIN) && start <= end && end <= self.len);
        for part in used {
            assert!(start <= part.start && part.start <= part.end && part.end <= end);
            let first = self.as_ptr().wrapping_add(part.start);
            // SAFETY: the part lies in the mapping, and the caller guarantees that no thread writes to it.
            let bytes = unsafe { std::slice::from_raw_parts(first, part.len()) };
            file.write_all_at(bytes, part.start as u64)?;
        }
        if self.file.get().is_none() {
            // Ignored: no other thread sets it.
            let _ = self.file.set((file.try_clone()?, Space::OnTouch));
        }
        if start < end {
            let (first, offset) = (self.as_ptr().wrapping_add(start), file_offset(start as u64)?);
            let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
            // SAFETY: the range lies in the mapping, which this type owns. The file has its bytes, and the caller
            // guarantees that no thread uses them.
            let mapped = unsafe { libc::mmap(first.cast(), end - start, access, flags, file.as_raw_fd(), offset) };
            if mapped == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        self.in_file.store(end, Ordering::Relaxed);
        Ok(())
    }

    /// The address of the first byte.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.raw.as_mut_ptr().wrapping_add(self.skipped)
    }

    /// The number of bytes that were granted.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Always false: the kernel maps at least a page.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Asks for huge pages from byte `start` on.
    ///
    /// # Errors
    /// The kernel's error if it has no huge pages; the mapping stays usable.
    pub fn advise_huge_pages(&self, start: usize) -> io::Result<()> {
        #[cfg(test)]
        refusal::kernel_without_huge_pages()?;
        let start = start.min(self.len);
        self.raw.advise_range(Advice::HugePage, self.skipped + start, self.len - start)
    }

    /// Asks for small pages, even if the system's default is huge ones.
    ///
    /// # Errors
    /// The kernel's error if it has no huge pages at all.
    pub fn advise_small_pages(&self) -> io::Result<()> {
        #[cfg(test)]
        refusal::kernel_without_huge_pages()?;
        self.raw.advise_range(Advice::NoHugePage, self.skipped, self.len)
    }

    /// Allocates the memory of `len` bytes from byte `start` on (or of all that follow, if there are fewer).
    /// Otherwise memory is allocated when it is first touched, which may take milliseconds for a huge page.
    ///
    /// # Errors
    /// The kernel's error if it has no such call or no memory; the mapping stays usable.
    pub fn populate(&self, start: usize, len: usize) -> io::Result<()> {
        #[cfg(test)]
        refusal::kernel_without_huge_pages()?;
        let start = start.min(self.len);
        let len = len.min(self.len - start);
        if len == 0 || cfg!(miri) {
            return Ok(());
        }
        self.raw.advise_range(Advice::PopulateWrite, self.skipped + start, len)
    }

    /// Maps the memory that a range of the file already has, so that later loads need not wait for it.
    ///
    /// # Errors
    /// The kernel's error if it has no such call, or if the file is shorter; the mapping stays usable.
    pub fn populate_for_loads(&self, start: usize, len: usize) -> io::Result<()> {
        self.raw.advise_range(Advice::PopulateRead, self.skipped + start, len)
    }

    /// Write-protects the mapping: any later store to it ends the process.
    #[cfg(test)]
    pub fn forbid_stores(&self) -> io::Result<()> {
        // SAFETY: the range is the mapping. A thread that stores to it gets a signal, as the caller intends.
        unsafe { syscall!(mprotect(self.as_ptr().cast(), self.len, libc::PROT_READ)) }.map(drop)
    }

    /// Returns the memory of a range to the kernel. The range reads as zeros when it is touched again.
    ///
    /// # Errors
    /// The kernel's error; the range is unchanged.
    ///
    /// # Safety
    /// No thread reads or writes the range, or holds a reference into it.
    pub unsafe fn discard(&self, offset: usize, len: usize) -> io::Result<()> {
        assert!(offset.is_multiple_of(KERNEL_PAGE_MIN), "the kernel would round {offset} down");
        assert!(offset <= self.len());
        assert!(len <= self.len() - offset);
        if let Some((file, _)) = self.file_at(offset) {
            return punch_hole(file, offset, len);
        }
        // SAFETY: the range lies in the mapping, and the caller guarantees that no thread needs its content.
        let discarded =
            unsafe { self.raw.unchecked_advise_range(UncheckedAdvice::DontNeed, self.skipped + offset, len) };
        if discarded.is_ok() || cfg!(miri) {
            return discarded;
        }
        // Locked memory (-k) needs its own advice, available since Linux 5.18.
        let first = self.as_ptr().wrapping_add(offset);
        // SAFETY: as above.
        unsafe { syscall!(madvise(first.cast(), len, libc::MADV_DONTNEED_LOCKED)) }.map(drop)
    }
}

/// Calls `map` with `wanted` bytes, or with a half or a quarter of them and so on, but not with less than `least`.
fn largest_possible(
    wanted: usize,
    least: usize,
    mut map: impl FnMut(usize) -> io::Result<Mapping>,
) -> io::Result<Mapping> {
    let share = mappable_bytes().map_or(usize::MAX, |left| usize::try_from(left / 2).unwrap_or(usize::MAX));
    let mut len = wanted.max(least);
    loop {
        if len > share && len > least {
            len = (len / 2).max(least);
            continue;
        }
        match map(len) {
            Ok(mapping) => return Ok(mapping),
            Err(error) if len == least => return Err(error),
            Err(_) => len = (len / 2).max(least),
        }
    }
}

/// Allocates the space of a range of `file`, which may become longer.
///
/// # Errors
/// The kernel's error if there is no space.
pub fn allocate_file(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let (offset, len) = (file_offset(offset)?, file_offset(len)?);
    loop {
        // SAFETY: takes no pointers, and the file is open.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), offset, len) } {
            0 => return Ok(()),
            libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn file_offset(bytes: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// Frees the space of a range of `file`. The range reads as zeros.
fn punch_hole(file: &File, offset: usize, len: usize) -> io::Result<()> {
    let (offset, len) = (file_offset(offset as u64)?, file_offset(len as u64)?);
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: takes no pointers, and the file is open.
    unsafe { syscall!(fallocate(file.as_raw_fd(), mode, offset, len)) }.map(drop)
}

/// Simulates a kernel without huge pages and without populating, for tests of the code that asks for them.
#[cfg(test)]
pub mod refusal {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static REFUSALS: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Runs `work`, and refuses all requests of this thread meanwhile. Returns the number of refused requests.
    pub fn without_huge_pages(work: impl FnOnce()) -> u32 {
        REFUSALS.set(Some(0));
        work();
        REFUSALS.take().unwrap_or(0)
    }

    pub(super) fn kernel_without_huge_pages() -> io::Result<()> {
        let Some(refusals) = REFUSALS.get() else { return Ok(()) };
        REFUSALS.set(Some(refusals + 1));
        Err(io::Error::from_raw_os_error(libc::EINVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::{HUGE_PAGE_BYTES, Mapping, Space, syscall};

    #[test]
    #[cfg(not(miri))]
    fn a_discarded_range_is_zeros_again() {
        let mapping = Mapping::reserve(1 << 20, 1 << 20).unwrap();
        // SAFETY: the mapping is 1 MiB long, and no other thread knows it.
        unsafe { mapping.as_ptr().write_bytes(7, 8192) };
        // SAFETY: no thread accesses the first 4096 bytes meanwhile.
        unsafe { mapping.discard(0, 4096) }.unwrap();
        let at = |offset: usize| {
            // SAFETY: all offsets used are below 8192.
            let byte = unsafe { mapping.as_ptr().add(offset) };
            // SAFETY: mapped memory is initialised.
            unsafe { byte.read() }
        };
        assert_eq!((at(0), at(4095), at(4096)), (0, 0, 7));
    }

    #[test]
    #[cfg(not(miri))]
    fn a_file_keeps_what_was_stored_and_loses_what_was_discarded() {
        use std::os::unix::fs::{FileExt as _, MetadataExt as _};

        let path = std::env::temp_dir().join(format!("larder-mapping-{}", std::process::id()));
        let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mapping = Mapping::reserve_in_file(&file, Space::Ahead, 1 << 20, 1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0, "space is allocated when it is needed");
        mapping.allocate(4096, 8192).unwrap();
        // SAFETY: the file is 12288 bytes long by now, and no other thread knows the mapping.
        unsafe { mapping.as_ptr().write_bytes(7, 12288) };
        mapping.sync().unwrap();
        let allocated = file.metadata().unwrap().blocks();
        // SAFETY: no thread accesses the second 4096 bytes meanwhile.
        unsafe { mapping.discard(4096, 4096) }.unwrap();
        let mut bytes = [1; 12288];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((bytes[0], bytes[4096], bytes[8191], bytes[8192]), (7, 0, 0, 7));
        assert_eq!(file.metadata().unwrap().len(), 12288);
        assert!(file.metadata().unwrap().blocks() < allocated);
    }

    #[test]
    #[cfg(not(miri))]
    fn locked_memory_can_be_discarded() {
        let mapping = Mapping::reserve(1 << 20, 1 << 20).unwrap();
        // SAFETY: the mapping is 1 MiB long, and no other thread knows it.
        unsafe { mapping.as_ptr().write_bytes(7, 8192) };
        // SAFETY: the range is mapped.
        unsafe { syscall!(mlock(mapping.as_ptr().cast(), 8192)) }.unwrap();
        // SAFETY: no thread accesses the first 4096 bytes meanwhile.
        unsafe { mapping.discard(0, 4096) }.unwrap();
        // SAFETY: mapped memory is initialised.
        assert_eq!(unsafe { mapping.as_ptr().read() }, 0);
    }

    #[test]
    #[cfg(not(miri))]
    fn populated_memory_is_zeros_on_a_huge_page_boundary() {
        let mapping = Mapping::reserve(3 * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES).unwrap();
        assert_eq!((mapping.as_ptr().addr() % HUGE_PAGE_BYTES, mapping.len()), (0, 3 * HUGE_PAGE_BYTES));
        // Ignored: the kernel may lack huge pages or this call.
        let _ = mapping.advise_huge_pages(HUGE_PAGE_BYTES);
        let _ = mapping.populate(HUGE_PAGE_BYTES, usize::MAX);
        for offset in [0, HUGE_PAGE_BYTES, 3 * HUGE_PAGE_BYTES - 1] {
            // SAFETY: the offsets are below the length asked for.
            let byte = unsafe { mapping.as_ptr().add(offset) };
            // SAFETY: mapped memory is initialised.
            assert_eq!(unsafe { byte.read() }, 0);
        }
    }

    #[test]
    #[cfg(not(miri))]
    fn a_mapping_of_small_pages_gets_no_huge_ones() {
        let mapping = Mapping::reserve(3 * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES).unwrap();
        if mapping.advise_small_pages().is_err() {
            // The kernel has no huge pages.
            return;
        }
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", mapping.as_ptr().addr());
        let flags = maps.lines().skip_while(|line| !line.starts_with(&start)).find(|line| line.starts_with("VmFlags:"));
        assert!(flags.is_some_and(|flags| flags.split(' ').any(|flag| flag == "nh")), "{flags:?}");
    }

    #[test]
    fn a_reserve_beyond_the_address_space_shrinks_to_what_can_be_had() {
        let mapping = Mapping::reserve(1 << 50, 1 << 20).unwrap();
        assert!(mapping.len() >= 1 << 20);
    }
}

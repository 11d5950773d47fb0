//! The server's allocator: the system's, with a spare block for small allocations when memory runs out.
//!
//! ```text
//! large and driven by a client    try_copy, try_reserve: refused, and that client is closed
//! small, anywhere                 the spare block goes back to the system, and the allocation is tried again
//! ```
//!
//! Without the block, the first small allocation that fails ends the process. While the block is spent, large
//! allocations are refused. Each of them, and each connection that closes, tries to get the block back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;

use crate::base::atomic::fixed::{AtomicBool, AtomicPtr, Ordering};

/// The allocator of the server program.
pub struct SpareAllocator;

/// Only address space until it is used, since nothing is written to it.
const SPARE_BYTES: usize = 1 << 20;
/// The largest allocation that may use the spare block.
const SMALL_BYTES_MAX: usize = 64 << 10;

static SPARE: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static IS_SPENT: AtomicBool = AtomicBool::new(false);

const fn spare_layout() -> Layout {
    match Layout::from_size_align(SPARE_BYTES, 16) {
        Ok(layout) => layout,
        Err(_) => panic!("16 is a power of two"),
    }
}

/// Whether the spare block was used and is not replaced yet.
#[inline]
pub fn is_spent() -> bool {
    IS_SPENT.load(Ordering::Relaxed)
}

/// Allocates a spare block, unless one is there. Returns false if memory is short.
pub fn refill() -> bool {
    if SPARE.load(Ordering::Relaxed).is_null() {
        // SAFETY: the layout has a size.
        let block = unsafe { System.alloc(spare_layout()) };
        if block.is_null() {
            return false;
        }
        if SPARE.compare_exchange(null_mut(), block, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // SAFETY: allocated above with this layout, and not published: another thread was faster.
            unsafe { System.dealloc(block, spare_layout()) };
        }
    }
    IS_SPENT.store(false, Ordering::Relaxed);
    true
}

/// Returns the spare block to the system for an allocation of `bytes`. False if there is no block, or `bytes` is too
/// large.
#[cold]
fn release(bytes: usize) -> bool {
    if bytes > SMALL_BYTES_MAX {
        return false;
    }
    IS_SPENT.store(true, Ordering::Relaxed);
    let block = SPARE.swap(null_mut(), Ordering::Relaxed);
    if block.is_null() {
        return false;
    }
    // SAFETY: allocated in `refill` with this layout, and taken out by this thread alone.
    unsafe { System.dealloc(block, spare_layout()) };
    true
}

// SAFETY: every call goes to the system's allocator with the caller's arguments. A failed allocation is tried once more
// after memory was returned to it.
unsafe impl GlobalAlloc for SpareAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the contract.
        let start = unsafe { System.alloc(layout) };
        if start.is_null() && release(layout.size()) {
            // SAFETY: as above.
            return unsafe { System.alloc(layout) };
        }
        start
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let start = unsafe { System.alloc_zeroed(layout) };
        if start.is_null() && release(layout.size()) {
            // SAFETY: as in `alloc`.
            return unsafe { System.alloc_zeroed(layout) };
        }
        start
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let moved = unsafe { System.realloc(start, layout, new_size) };
        if moved.is_null() && release(new_size) {
            // SAFETY: as in `alloc`; a reallocation that failed has left the block as it was.
            return unsafe { System.realloc(start, layout, new_size) };
        }
        moved
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(start, layout) };
    }
}

/// Makes room for `more` elements. False: there is no memory for them.
#[must_use]
pub fn try_reserve<T>(elements: &mut Vec<T>, more: usize) -> bool {
    if elements.capacity() - elements.len() >= more {
        return true;
    }
    (!is_spent() || refill()) && elements.try_reserve(more).is_ok()
}

/// A copy of `bytes`. None: there is no memory for it.
#[must_use]
pub fn try_copy(bytes: &[u8]) -> Option<Box<[u8]>> {
    let mut copy = Vec::new();
    if (is_spent() && !refill()) || copy.try_reserve_exact(bytes.len()).is_err() {
        return None;
    }
    copy.extend_from_slice(bytes);
    Some(copy.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::{SMALL_BYTES_MAX, is_spent, refill, try_copy, try_reserve};

    #[test]
    fn a_small_want_that_cannot_be_met_takes_the_spare_block() {
        assert!(refill());
        assert!(!super::release(SMALL_BYTES_MAX + 1));
        assert!(!is_spent(), "a large want may not have it");
        assert!(super::release(SMALL_BYTES_MAX));
        assert!(is_spent());
        assert!(!super::release(SMALL_BYTES_MAX), "it is gone");
        assert_eq!(try_copy(b"abc").as_deref(), Some(&b"abc"[..]));
        assert!(!is_spent(), "there was memory to have it back");
        assert!(!try_reserve(&mut Vec::<u8>::new(), isize::MAX.cast_unsigned()));
    }
}

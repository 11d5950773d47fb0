//! A value that did not arrive together with its request: announced, then admitted, then received into its
//! chunks.
//!
//! ```text
//! announce ─▶ Announced: no memory ──extend: first byte, admission──▶ Receiving: 64 KiB ahead at most ─▶ commit
//! ```

use std::num::NonZeroU32;

use crate::base::{Deadline, HashedKey, Key, KeyHash};
use crate::item::{Layout, PendingItem};
use crate::memory::PAGE_BYTES;
use crate::store::cache::Store;
use crate::store::engine::{Refusal, StoreMode, StoreOutcome};
use crate::store::pressure::alloc::AHEAD_BYTES;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

use super::admission::{Answer, Kind, Ticket};

/// Share of memory that arriving values may use, once for values of one chunk and once for chains. At least a
/// page.
const UPLOAD_SHARE: u64 = 16;

/// A client makes progress when this many bytes of its value have come.
const PROGRESS_BYTES: usize = 32 << 10;

/// An arriving value, with its ticket.
pub struct Upload {
    ticket: Ticket,
    /// Bytes that came since the client last made enough progress.
    progress_bytes: usize,
    stage: Stage,
}

enum Stage {
    Announced(Announced),
    Receiving(PendingItem),
}

/// What is kept of a request until its value arrives.
struct Announced {
    key: Box<[u8]>,
    hash: KeyHash,
    client_flags: u32,
    deadline: Deadline,
    value_len: u32,
}

impl Upload {
    /// The value's memory, if it has any.
    pub fn receiving(&mut self) -> Option<&mut PendingItem> {
        match &mut self.stage {
            Stage::Announced(_) => None,
            Stage::Receiving(pending) => Some(pending),
        }
    }

    /// Counts bytes that have come. Returns whether the client makes progress: a byte now and then is none.
    pub fn note_progress(&mut self, bytes: usize) -> bool {
        self.progress_bytes += bytes;
        let makes_progress = self.progress_bytes >= PROGRESS_BYTES;
        if makes_progress {
            self.progress_bytes = 0;
        }
        makes_progress
    }

    /// Gives up its place among the values that wait, if it has one.
    pub fn leave_queue(&mut self) {
        self.ticket.leave_queue();
    }

    /// Whether it waits until other values have arrived.
    pub fn is_waiting(&self) -> bool {
        self.ticket.is_waiting()
    }

    /// Whether it has memory.
    #[inline]
    pub fn is_begun(&self) -> bool {
        matches!(self.stage, Stage::Receiving(_))
    }

    /// Bytes of the value that are still to come.
    #[inline]
    pub fn remaining(&self) -> u32 {
        match &self.stage {
            Stage::Announced(announced) => announced.value_len,
            Stage::Receiving(pending) => pending.remaining(),
        }
    }

    /// Whether it needs memory before it can continue.
    #[inline]
    pub fn is_short(&self) -> bool {
        match &self.stage {
            Stage::Announced(_) => true,
            Stage::Receiving(pending) => pending.room_ahead() == 0 && pending.remaining() > 0,
        }
    }

    /// The key of the value.
    pub fn key(&self) -> &[u8] {
        match &self.stage {
            Stage::Announced(announced) => &announced.key,
            Stage::Receiving(pending) => pending.key(),
        }
    }

    /// Copies as many of `bytes` as are missing and have memory. Returns their number.
    #[inline]
    pub fn fill(&mut self, bytes: &[u8]) -> usize {
        self.receiving().map_or(0, |pending| pending.fill(bytes))
    }
}

/// The bytes that a value counts for in its share.
fn counted_bytes(value_len: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(value_len)
}

impl Store {
    fn upload_share(&self) -> u64 {
        (self.limit_bytes() / UPLOAD_SHARE).max(u64::from(PAGE_BYTES))
    }
}

impl WorkerStore {
    /// Announces a value that will arrive. It has no memory until [`WorkerStore::go_on_with`] allocates some.
    pub(in crate::store) fn announce_upload(
        &self,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<Upload, Refusal> {
        let store = self.store;
        if value_len > store.config.value_len_max {
            return Err(Refusal::TooLarge);
        }
        let in_one_chunk = Layout::in_one_chunk(&store.slabs.classes, key.key, client_flags, value_len);
        let kind = if in_one_chunk.is_some() { Kind::OneChunk } else { Kind::Chain };
        let announced = Announced { key: key.key.bytes().into(), hash: key.hash, client_flags, deadline, value_len };
        Ok(Upload { ticket: store.admission.ticket(kind), progress_bytes: 0, stage: Stage::Announced(announced) })
    }

    /// Allocates memory for the next bytes of a value that [is short](Upload::is_short).
    pub(in crate::store) fn go_on_with(&mut self, pin: &Pin, upload: &mut Upload) -> Result<(), Refusal> {
        let store = self.store;
        if let Stage::Announced(announced) = &upload.stage {
            match upload.ticket.ask(counted_bytes(announced.value_len), store.upload_share()) {
                Answer::Admitted => {}
                Answer::Wait => return Err(Refusal::Busy),
                Answer::Full => return Err(Refusal::NoMemory),
            }
            let Announced { key, hash, client_flags, deadline, value_len } = announced;
            let key = Key::new(key).ok_or(Refusal::NoMemory)?;
            let key = HashedKey { key, hash: *hash };
            let head = self.allocate_head(pin, key, *client_flags, *deadline, *value_len)?;
            upload.stage = Stage::Receiving(head);
        }
        match &mut upload.stage {
            Stage::Announced(_) => Ok(()),
            Stage::Receiving(pending) => self.allocate_links(pin, pending, AHEAD_BYTES),
        }
    }

    /// Stores a value that has been received.
    ///
    /// # Errors
    /// As [`WorkerStore::put`].
    pub(in crate::store) fn put_upload(
        &mut self,
        pin: &Pin,
        upload: Upload,
        mode: StoreMode,
    ) -> Result<StoreOutcome, Upload> {
        let Upload { ticket, progress_bytes, stage } = upload;
        match stage {
            Stage::Announced(_) => Err(Upload { ticket, progress_bytes, stage }),
            Stage::Receiving(pending) => match self.put(pin, pending, mode) {
                Ok(outcome) => {
                    drop(ticket);
                    if self.has_waiting_uploads() {
                        // The next value may be another worker's, which would otherwise check after a
                        // millisecond.
                        self.wake_workers();
                    }
                    Ok(outcome)
                }
                Err(pending) => Err(Upload { ticket, progress_bytes, stage: Stage::Receiving(pending) }),
            },
        }
    }

    /// Whether a value that [is waiting](Upload::is_waiting) would not be admitted now.
    pub fn must_wait(&self, upload: &Upload) -> bool {
        upload.ticket.must_wait(counted_bytes(upload.remaining()), self.store.upload_share())
    }

    /// Whether values wait until others have arrived: a stalled one should then give up its memory.
    pub fn has_waiting_uploads(&self) -> bool {
        self.store.admission.is_contended()
    }

    /// Makes all workers take a turn, and look for values that can continue or have stalled.
    pub fn wake_workers(&self) {
        self.store.wake_workers();
    }
}

//! A value that did not arrive together with its request: announced, then admitted, then received into its
//! chunks.
//!
//! ```text
//! announce ─▶ Announced: no memory ──extend: first byte, admission──▶ Receiving: 64 KiB ahead at most ─▶ commit
//! ```

use std::io::IoSliceMut;
use std::num::NonZeroU32;

use crate::base::{Deadline, KeyHash, StoreMode};
use crate::item::PendingItem;
use crate::memory::PAGE_BYTES;
use crate::store::cache::Store;
use crate::store::engine::{Pending, Refusal, Write, WriteOptions};
use crate::store::worker_store::WorkerStore;

use super::admission::{AdmissionOutcome, Ticket};

/// Share of memory that arriving values may use, once for values of one chunk and once for chains. At least a
/// page.
const UPLOAD_SHARE: u64 = 16;

/// A client makes progress when this many bytes of its value have come.
const PROGRESS_BYTES: usize = 32 << 10;

/// An arriving value, with its ticket.
pub struct Upload {
    pub(in crate::store) ticket: Ticket,
    /// Bytes that came since the client last made enough progress.
    pub(in crate::store) progress_bytes: usize,
    pub(in crate::store) mode: StoreMode,
    pub(in crate::store) options: WriteOptions,
    pub(in crate::store) stage: Stage,
}

pub(in crate::store) enum Stage {
    Announced(Announced),
    Receiving(PendingItem),
}

/// What is kept of a request until its value arrives.
pub(in crate::store) struct Announced {
    pub(in crate::store) key: Box<[u8]>,
    pub(in crate::store) hash: KeyHash,
    pub(in crate::store) client_flags: u32,
    pub(in crate::store) deadline: Deadline,
    pub(in crate::store) value_len: u32,
}

impl Upload {
    /// A value that will arrive. It has no memory yet.
    pub(in crate::store) fn announced(ticket: Ticket, write: &Write<'_>, value_len: u32) -> Self {
        let Write { key, client_flags, deadline, mode, .. } = *write;
        let announced = Announced { key: key.key.bytes().into(), hash: key.hash, client_flags, deadline, value_len };
        Self { ticket, progress_bytes: 0, mode, options: write.all_options(), stage: Stage::Announced(announced) }
    }

    /// Asks for the value's admission, which it keeps.
    ///
    /// # Errors
    /// It must wait, or too many values wait.
    pub(in crate::store) fn admit(&mut self, store: &Store) -> Result<(), Refusal> {
        match self.ticket.ask(counted_bytes(self.remaining()), store.upload_share()) {
            AdmissionOutcome::Admitted => Ok(()),
            AdmissionOutcome::Wait => Err(Refusal::Busy),
            AdmissionOutcome::Full => Err(Refusal::NoMemory),
        }
    }

    /// The value's memory, if it has any.
    pub(in crate::store) fn receiving(&mut self) -> Option<&mut PendingItem> {
        match &mut self.stage {
            Stage::Announced(_) => None,
            Stage::Receiving(pending) => Some(pending),
        }
    }
}

impl Pending for Upload {
    #[inline]
    fn is_begun(&self) -> bool {
        matches!(self.stage, Stage::Receiving(_))
    }

    #[inline]
    fn remaining(&self) -> u32 {
        match &self.stage {
            Stage::Announced(announced) => announced.value_len,
            Stage::Receiving(pending) => pending.remaining(),
        }
    }

    #[inline]
    fn room_ahead(&self) -> u32 {
        match &self.stage {
            Stage::Announced(_) => 0,
            Stage::Receiving(pending) => pending.room_ahead(),
        }
    }

    #[inline]
    fn is_short(&self) -> bool {
        !self.is_begun() || self.room_ahead() == 0 && self.remaining() > 0
    }

    fn key(&self) -> &[u8] {
        match &self.stage {
            Stage::Announced(announced) => &announced.key,
            Stage::Receiving(pending) => pending.key(),
        }
    }

    #[inline]
    fn fill(&mut self, bytes: &[u8]) -> usize {
        self.receiving().map_or(0, |pending| pending.fill(bytes))
    }

    fn spare<'s>(&'s mut self, slices: &mut [IoSliceMut<'s>]) -> usize {
        self.receiving().map_or(0, |pending| pending.spare(slices))
    }

    fn advance(&mut self, n: usize) {
        if let Some(pending) = self.receiving() {
            pending.advance(n);
        }
    }

    fn note_progress(&mut self, bytes: usize) -> bool {
        self.progress_bytes += bytes;
        let makes_progress = self.progress_bytes >= PROGRESS_BYTES;
        if makes_progress {
            self.progress_bytes = 0;
        }
        makes_progress
    }

    fn is_waiting(&self) -> bool {
        self.ticket.is_waiting()
    }

    fn leave_queue(&mut self) {
        self.ticket.leave_queue();
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
    /// Whether there is no room yet for a value that waits.
    pub(in crate::store) fn has_no_room_for(&self, upload: &Upload) -> bool {
        upload.ticket.must_wait(counted_bytes(upload.remaining()), self.store.upload_share())
    }
}

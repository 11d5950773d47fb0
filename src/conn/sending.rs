//! Sends the replies of a drive.
//!
//! ```text
//! flush ─▶ flush_text            the rest of the text, which is small: the most frequent send, and not measured
//!    └───▶ flush_large           values that are not copied, a full queue, TLS: LargeSends knows their time and bytes
//!              └─▶ flush_all, or flush_sealed with TLS
//! ```

use std::io;

use crate::sys::ticks::ticks;

use super::connection::{Connection, Turn};
use super::state::{CloseReason, ConnectionState};
use super::write_queue::{Flushed, WriteQueue};

impl Connection {
    /// Sends all replies, at the end of a drive. Returns false if the client must read first, or is gone.
    #[inline]
    pub(super) fn flush(&mut self, turn: &mut Turn<'_>, queue: &mut WriteQueue<'_, '_>) -> bool {
        if self.transport.is_tls() || queue.has_values() {
            return self.flush_large(turn, queue);
        }
        let mut written = 0;
        let flushed = queue.flush_text(&self.transport, &mut written);
        turn.ctx.counters.bytes_written.add(written);
        if matches!(flushed, Ok(Flushed::All)) {
            return true;
        }
        // The text has gone to the backlog. So its length no longer tells what was sent.
        turn.ctx.counters.large_sends.add(queue.is_first_send(), ticks(), 0, written);
        self.unflushed(flushed, turn)
    }

    /// The same for replies that may be large, at any time.
    #[inline(never)]
    pub(super) fn flush_large(&mut self, turn: &mut Turn<'_>, queue: &mut WriteQueue<'_, '_>) -> bool {
        let began = ticks();
        let mut written = 0;
        let flushed = if self.transport.is_tls() {
            queue.flush_sealed(&mut self.transport, turn.tls, &mut written)
        } else {
            queue.flush_all(&self.transport, &mut written)
        };
        let took = ticks().wrapping_sub(began);
        turn.ctx.counters.large_sends.add(queue.is_first_send(), began, took, written);
        turn.ctx.counters.bytes_written.add(written);
        matches!(flushed, Ok(Flushed::All)) || self.unflushed(flushed, turn)
    }

    /// Handles a flush that did not send all. Returns false.
    #[cold]
    fn unflushed(&mut self, flushed: io::Result<Flushed>, turn: &Turn<'_>) -> bool {
        match flushed {
            Ok(Flushed::All) => {}
            Ok(Flushed::Part(backlog)) => self.keep_backlog(backlog, turn),
            Err(error) => {
                turn.ctx.counters.response_obj_oom.add(u64::from(error.kind() == io::ErrorKind::OutOfMemory));
                self.state = ConnectionState::Closing(CloseReason::Broken);
            }
        }
        false
    }
}

//! Admission: bounds how many bytes of values may be arriving at a time.
//!
//! ```text
//! announced ──first byte──▶ queue, oldest first ──fits the share──▶ admitted ──stored, refused or cut off──▶ gone
//! ```
//!
//! From its admission on, a value counts with its whole length. So an admitted value never waits for another
//! one, and there is no deadlock. A value longer than the share is admitted when no other one is. Values of one
//! chunk and chains each have a share, so a small value never waits for large ones. The lock is the last in the
//! lock order: its holder takes no other.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use crate::sync::Leaf;

/// Values that may wait in one queue. Each may hold a full input buffer on the heap: 16 MiB together. Any
/// further value is refused at once.
const WAITING_MAX: usize = 256;

/// The shares of arriving values.
#[derive(Default)]
pub(in crate::store) struct Admission {
    of_one_chunk: Leaf<AdmissionQueue>,
    of_chains: Leaf<AdmissionQueue>,
}

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum ValueKind {
    /// It fits one chunk.
    OneChunk,
    /// It needs a chain.
    Chain,
}

#[derive(Default)]
struct AdmissionQueue {
    /// Bytes of the admitted values.
    admitted_bytes: u64,
    /// The numbers of the waiting values, oldest first.
    waiting: VecDeque<NonZeroU32>,
    /// The last assigned number.
    last_number: u32,
}

/// The answer to a value that asks for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum AdmissionOutcome {
    /// It may allocate memory.
    Admitted,
    /// It must ask again.
    Wait,
    /// Too many values wait.
    Full,
}

/// A value's place in the queue or its part of the share. Dropping it gives either back.
pub(in crate::store) struct Ticket {
    queue: &'static Leaf<AdmissionQueue>,
    /// The value's length, once it is admitted.
    admitted_bytes: Option<NonZeroU32>,
    /// Its number, while it waits.
    number: Option<NonZeroU32>,
}

impl Admission {
    /// A ticket for a value of that kind. It has not asked yet.
    pub(in crate::store) const fn ticket(&'static self, kind: ValueKind) -> Ticket {
        let queue = match kind {
            ValueKind::OneChunk => &self.of_one_chunk,
            ValueKind::Chain => &self.of_chains,
        };
        Ticket { queue, admitted_bytes: None, number: None }
    }

    /// Whether any value waits.
    pub(in crate::store) fn is_contended(&self) -> bool {
        !self.of_one_chunk.lock().waiting.is_empty() || !self.of_chains.lock().waiting.is_empty()
    }
}

impl AdmissionQueue {
    fn has_room(&self, bytes: NonZeroU32, share_bytes: u64) -> bool {
        self.admitted_bytes == 0 || self.admitted_bytes + u64::from(bytes.get()) <= share_bytes
    }
}

impl Ticket {
    /// Asks for the admission of a value of `bytes` bytes. All admitted values must fit into `share_bytes`.
    pub(in crate::store) fn ask(&mut self, bytes: NonZeroU32, share_bytes: u64) -> AdmissionOutcome {
        if self.admitted_bytes.is_some() {
            return AdmissionOutcome::Admitted;
        }
        let mut queue = self.queue.lock();
        let is_next = queue.waiting.front().copied() == self.number;
        if is_next && queue.has_room(bytes, share_bytes) {
            queue.waiting.pop_front();
            queue.admitted_bytes += u64::from(bytes.get());
            (self.admitted_bytes, self.number) = (Some(bytes), None);
            return AdmissionOutcome::Admitted;
        }
        if self.number.is_none() {
            if queue.waiting.len() >= WAITING_MAX {
                return AdmissionOutcome::Full;
            }
            // Numbers repeat after 2^32. Far fewer values wait.
            let number = NonZeroU32::new(queue.last_number.wrapping_add(1)).unwrap_or(NonZeroU32::MIN);
            queue.last_number = number.get();
            queue.waiting.push_back(number);
            self.number = Some(number);
        }
        AdmissionOutcome::Wait
    }

    /// Gives up the place in the queue. The next [`Ticket::ask`] goes to the end.
    pub(in crate::store) fn leave_queue(&mut self) {
        if let Some(number) = self.number.take() {
            self.queue.lock().waiting.retain(|other| *other != number);
        }
    }

    /// Whether its value waits.
    pub(in crate::store) const fn is_waiting(&self) -> bool {
        self.number.is_some()
    }

    /// Whether its value waits, and would not be admitted now.
    pub(in crate::store) fn must_wait(&self, bytes: NonZeroU32, share_bytes: u64) -> bool {
        let Some(number) = self.number else { return false };
        let queue = self.queue.lock();
        queue.waiting.front() != Some(&number) || !queue.has_room(bytes, share_bytes)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave_queue();
        if let Some(bytes) = self.admitted_bytes {
            self.queue.lock().admitted_bytes -= u64::from(bytes.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::{Admission, AdmissionOutcome, Ticket, ValueKind, WAITING_MAX};

    const SHARE_BYTES: u64 = 100;

    fn admission() -> &'static Admission {
        Box::leak(Box::default())
    }

    fn ask(ticket: &mut Ticket, bytes: u32) -> AdmissionOutcome {
        ticket.ask(NonZeroU32::new(bytes).unwrap(), SHARE_BYTES)
    }

    #[test]
    fn values_beyond_the_share_wait_and_are_admitted_oldest_first() {
        let admission = admission();
        let [mut of_60, mut of_40, mut of_50, mut of_10] = [(); 4].map(|()| admission.ticket(ValueKind::Chain));
        assert_eq!([ask(&mut of_60, 60), ask(&mut of_40, 40)], [AdmissionOutcome::Admitted; 2]);
        assert_eq!([ask(&mut of_50, 50), ask(&mut of_10, 10)], [AdmissionOutcome::Wait; 2]);
        assert!(admission.is_contended());
        drop(of_40);
        assert_eq!(ask(&mut of_10, 10), AdmissionOutcome::Wait, "it would fit, but another one came first");
        assert_eq!(ask(&mut of_50, 50), AdmissionOutcome::Wait, "only 40 bytes are free");
        assert!(of_50.must_wait(NonZeroU32::new(50).unwrap(), SHARE_BYTES));
        drop(of_60);
        assert!(!of_50.must_wait(NonZeroU32::new(50).unwrap(), SHARE_BYTES));
        assert_eq!([ask(&mut of_50, 50), ask(&mut of_10, 10)], [AdmissionOutcome::Admitted; 2]);
        assert!(!admission.is_contended());
    }

    #[test]
    fn a_value_longer_than_the_share_is_admitted_alone() {
        let admission = admission();
        let [mut long, mut short] = [(); 2].map(|()| admission.ticket(ValueKind::Chain));
        assert_eq!([ask(&mut long, 500), ask(&mut long, 500)], [AdmissionOutcome::Admitted; 2]);
        assert_eq!(ask(&mut short, 1), AdmissionOutcome::Wait);
        drop(long);
        assert_eq!(ask(&mut short, 1), AdmissionOutcome::Admitted);
    }

    #[test]
    fn a_value_of_one_chunk_does_not_wait_for_chains() {
        let admission = admission();
        let [mut chain, mut small] = [ValueKind::Chain, ValueKind::OneChunk].map(|kind| admission.ticket(kind));
        assert_eq!([ask(&mut chain, 100), ask(&mut small, 100)], [AdmissionOutcome::Admitted; 2]);
    }

    #[test]
    fn a_value_that_leaves_the_queue_goes_to_its_end() {
        let admission = admission();
        let [mut first, mut second, mut third] = [(); 3].map(|()| admission.ticket(ValueKind::Chain));
        assert_eq!(ask(&mut first, 100), AdmissionOutcome::Admitted);
        assert_eq!([ask(&mut second, 100), ask(&mut third, 60)], [AdmissionOutcome::Wait; 2]);
        second.leave_queue();
        assert!(!second.is_waiting());
        assert_eq!(ask(&mut second, 100), AdmissionOutcome::Wait);
        drop(first);
        assert_eq!([ask(&mut second, 100), ask(&mut third, 60)], [AdmissionOutcome::Wait, AdmissionOutcome::Admitted]);
    }

    #[test]
    fn a_value_that_stops_waiting_delays_no_other() {
        let admission = admission();
        let [mut first, mut second, mut third] = [(); 3].map(|()| admission.ticket(ValueKind::Chain));
        assert_eq!(ask(&mut first, 100), AdmissionOutcome::Admitted);
        assert_eq!([ask(&mut second, 100), ask(&mut third, 100)], [AdmissionOutcome::Wait; 2]);
        drop(second);
        drop(first);
        assert_eq!(ask(&mut third, 100), AdmissionOutcome::Admitted);
    }

    #[test]
    fn no_more_than_a_bounded_number_waits() {
        let admission = admission();
        let mut tickets: Vec<Ticket> = (0..WAITING_MAX + 2).map(|_| admission.ticket(ValueKind::Chain)).collect();
        let answers: Vec<AdmissionOutcome> = tickets.iter_mut().map(|ticket| ask(ticket, 100)).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == AdmissionOutcome::Wait).count(), WAITING_MAX);
        assert_eq!((answers[0], answers[WAITING_MAX + 1]), (AdmissionOutcome::Admitted, AdmissionOutcome::Full));
    }
}

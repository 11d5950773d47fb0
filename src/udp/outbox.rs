//! Replies on their way out: several datagrams in one call.
//!
//! ```text
//! text       │ reply to a   │ reply to b, 2000 bytes   │
//! waiting    [ a 0 of 1 ]   [ b 0 of 2 ] [ b 1 of 2 ]       sent when SENT_MAX wait, and at the end of the batch
//! ```

use std::io;
use std::ops::Range;

use crate::counters::Counters;
use crate::sys::datagram::{Arrival, Outgoing, RECEIVED_MAX, SENT_MAX};

use super::frame::{HEADER_LEN, Id, framed};

/// With this many bytes of text, the waiting datagrams are sent before the next reply.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Sends datagrams. Returns how many the kernel took, or why it did not take the first.
pub(super) trait Send: FnMut(&[Outgoing<'_>]) -> io::Result<usize> {}
impl<F: FnMut(&[Outgoing<'_>]) -> io::Result<usize>> Send for F {}

/// The replies to one batch of datagrams.
pub(super) struct Outbox<'w, S> {
    text: &'w mut Vec<u8>,
    waiting: [Waiting; SENT_MAX],
    count: usize,
    arrivals: &'w [Arrival; RECEIVED_MAX],
    counters: &'w Counters,
    send: S,
}

/// A datagram that waits to be sent.
#[derive(Default)]
struct Waiting {
    /// Index of the datagram that it answers.
    arrival: usize,
    header: [u8; HEADER_LEN],
    /// Where its payload is in the text.
    payload: Range<usize>,
}

impl<'w, S: Send> Outbox<'w, S> {
    /// An empty outbox. Clears `text` and appends to it.
    pub(super) fn new(
        text: &'w mut Vec<u8>,
        arrivals: &'w [Arrival; RECEIVED_MAX],
        counters: &'w Counters,
        send: S,
    ) -> Self {
        text.clear();
        Self { text, waiting: std::array::from_fn(|_| Waiting::default()), count: 0, arrivals, counters, send }
    }

    /// The buffer of the replies. The next one begins at its end.
    pub(super) const fn text(&mut self) -> &mut Vec<u8> {
        self.text
    }

    /// Queues `text[from..]` as a reply to one of the arrivals. Returns the bytes of its datagrams.
    pub(super) fn push(&mut self, arrival: usize, id: Id, from: usize) -> usize {
        let mut bytes = 0;
        for (header, payload) in framed(id, self.text.len() - from) {
            if self.count == SENT_MAX {
                self.send_waiting();
            }
            bytes += header.len() + payload.len();
            let payload = from + payload.start..from + payload.end;
            self.waiting[self.count] = Waiting { arrival, header, payload };
            self.count += 1;
        }
        if self.text.len() >= TEXT_BYTES_MAX {
            self.flush();
        }
        bytes
    }

    /// Sends the waiting datagrams, and clears the text.
    pub(super) fn flush(&mut self) {
        self.send_waiting();
        self.text.clear();
    }

    /// Sends the waiting datagrams. What the kernel does not take is lost, as any datagram may be.
    fn send_waiting(&mut self) {
        let datagrams: [Outgoing<'_>; SENT_MAX] = std::array::from_fn(|index| {
            let Waiting { arrival, header, payload } = &self.waiting[index];
            let payload = self.text.get(payload.clone()).unwrap_or_default();
            Outgoing { to: &self.arrivals[*arrival].reply_to, header, payload }
        });
        let mut rest = &datagrams[..self.count];
        while !rest.is_empty() {
            let (taken, is_sent) = match (self.send)(rest) {
                Ok(sent) if sent > 0 => (sent, true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (rest.len(), false),
                // The error concerns this receiver only.
                Ok(_) | Err(_) => (1, false),
            };
            if is_sent {
                let bytes: usize = rest[..taken].iter().map(|sent| sent.header.len() + sent.payload.len()).sum();
                self.counters.bytes_written.add(bytes as u64);
            } else {
                self.counters.udp_replies_lost.add(taken as u64);
            }
            rest = &rest[taken..];
        }
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::{Outbox, SENT_MAX};
    use crate::counters::Counters;
    use crate::sys::datagram::{Arrival, Outgoing, RECEIVED_MAX};

    /// Pushes `replies` of one byte and flushes. `send` gets the number of datagrams offered, call by call. Returns the
    /// offers, and the counts of bytes sent and datagrams lost.
    fn offers(replies: usize, mut send: impl FnMut(usize) -> io::Result<usize>) -> (Vec<usize>, u64, u64) {
        let (mut text, mut offers, counters) = (Vec::new(), Vec::new(), Counters::default());
        let arrivals = [Arrival::default(); RECEIVED_MAX];
        let taken = |datagrams: &[Outgoing<'_>]| {
            offers.push(datagrams.len());
            send(datagrams.len())
        };
        let mut outbox = Outbox::new(&mut text, &arrivals, &counters, taken);
        for _ in 0..replies {
            let from = outbox.text().len();
            outbox.text().push(b'x');
            assert_eq!(outbox.push(0, [0, 1], from), 9);
        }
        outbox.flush();
        assert!(text.is_empty());
        (offers, counters.bytes_written.read(), counters.udp_replies_lost.read())
    }

    #[test]
    fn many_replies_go_in_few_calls() {
        assert_eq!(offers(2 * SENT_MAX + 1, Ok), (vec![SENT_MAX, SENT_MAX, 1], 9 * 33, 0));
        assert_eq!(offers(0, Ok), (vec![], 0, 0));
    }

    #[test]
    fn what_the_kernel_leaves_is_offered_again() {
        let (offered, bytes, lost) = offers(10, |offered| Ok(offered.div_ceil(2)));
        assert_eq!((offered, bytes, lost), (vec![10, 5, 2, 1], 90, 0));
        let mut is_first = true;
        let interrupted = |offered| {
            if std::mem::take(&mut is_first) { Err(ErrorKind::Interrupted.into()) } else { Ok(offered) }
        };
        assert_eq!(offers(3, interrupted), (vec![3, 3], 27, 0));
    }

    #[test]
    fn a_full_buffer_loses_replies_and_does_not_hold_the_worker() {
        let full = |offered| if offered == 10 { Ok(4) } else { Err(ErrorKind::WouldBlock.into()) };
        assert_eq!(offers(10, full), (vec![10, 6], 36, 6));
    }

    #[test]
    fn a_receiver_that_cannot_be_reached_costs_only_its_own_reply() {
        let mut calls = 0;
        let unreachable = |offered| {
            calls += 1;
            if calls == 2 { Err(ErrorKind::PermissionDenied.into()) } else { Ok(if calls == 1 { 1 } else { offered }) }
        };
        assert_eq!(offers(5, unreachable), (vec![5, 4, 3], 36, 1));
    }
}

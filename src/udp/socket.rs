//! A UDP socket of a worker: receives several datagrams, answers them, sends the replies.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use crate::base::{Clock, RelTime};
use crate::command::Context;
use crate::conn::{Activity, Cache, ConnectionConfig, ReadBuf, Recorder, keep_output};
use crate::sync::PinGuard;
use crate::sys::datagram::{Arrival, Outgoing, RECEIVED_MAX, receive_datagrams, send_datagrams};

use super::answer::Answerer;
use super::outbox::Outbox;

/// Datagrams that a socket answers before other clients are served.
const DATAGRAMS_PER_TURN: usize = 64;

// The longest datagram of IPv6. That of IPv4 is shorter.
const _: () = assert!(ReadBuf::BYTES >= 65_527, "no datagram is cut");

/// A UDP socket. Each worker has one for each address, and the kernel distributes the senders among the workers.
pub struct DatagramSocket {
    socket: OwnedFd,
    /// Whether datagrams may be waiting.
    is_ready: bool,
}

/// What a worker lends to a socket.
pub struct DatagramTurn<'w> {
    /// For the commands.
    pub ctx: Context<'w, Cache>,
    /// Input buffers.
    pub inputs: &'w mut [ReadBuf; RECEIVED_MAX],
    /// The output buffer.
    pub output: &'w mut Vec<u8>,
    /// Settings that connections have, too.
    pub config: &'w ConnectionConfig,
    /// Bytes that the replies to any datagram may have (-o udp_reply_max).
    pub reply_max: usize,
    /// Start of the turn.
    pub now: RelTime,
    /// Measures how long the store is busy.
    pub clock: &'w Clock,
    /// The log level.
    pub verbosity: u8,
    /// Where events go, while a client watches.
    pub watch: Option<&'w Recorder>,
}

impl From<OwnedFd> for DatagramSocket {
    fn from(socket: OwnedFd) -> Self {
        Self { socket, is_ready: false }
    }
}

impl DatagramSocket {
    /// Its descriptor.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The socket.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Notes that the kernel reports datagrams.
    pub const fn report(&mut self) {
        self.is_ready = true;
    }

    /// Whether datagrams may be waiting. The kernel does not report these again.
    pub const fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Answers datagrams, until none waits or the socket's share of the turn is used up.
    pub fn serve(&mut self, turn: &mut DatagramTurn<'_>, pin: &mut PinGuard<'_>) {
        turn.ctx.client_fd = self.fd();
        turn.ctx.owned.is_datagram = true;
        turn.config.connection_table.note(self.fd(), Activity::ReceivingDatagrams, turn.now);
        let mut arrivals = [Arrival::default(); RECEIVED_MAX];
        let mut budget = turn.config.requests_max;
        for _ in 0..DATAGRAMS_PER_TURN / RECEIVED_MAX {
            if !self.is_ready || budget == 0 {
                return;
            }
            turn.inputs.iter_mut().for_each(|input| input.restore(None));
            let buffers = turn.inputs.each_mut().map(ReadBuf::room);
            // Ignored: none has arrived, or the kernel has no memory. It reports the next one.
            let count = receive_datagrams(self.socket.as_fd(), buffers, &mut arrivals).unwrap_or(0);
            // Fewer than asked for: none is left.
            self.is_ready = count == RECEIVED_MAX;
            budget = self.answer_all(&arrivals, count, budget, turn, pin);
        }
    }

    /// Answers the first `count` datagrams in the input buffers. Returns what is left of the budget.
    fn answer_all(
        &self,
        arrivals: &[Arrival; RECEIVED_MAX],
        count: usize,
        budget: u32,
        turn: &mut DatagramTurn<'_>,
        pin: &mut PinGuard<'_>,
    ) -> u32 {
        let DatagramTurn { ctx, inputs, output, config, reply_max, clock, verbosity, watch, .. } = turn;
        let send = |datagrams: &[Outgoing<'_>]| send_datagrams(self.socket.as_fd(), datagrams);
        let outbox = Outbox::new(output, arrivals, ctx.counters, send);
        let (binding, reply_max, verbosity, watch) = (config.binding, *reply_max, *verbosity, *watch);
        let mut answerer = Answerer { ctx, outbox, binding, reply_max, clock, verbosity, watch, budget };
        for (index, (arrival, input)) in arrivals[..count].iter().zip(inputs.iter_mut()).enumerate() {
            input.received(arrival.len);
            answerer.answer(index, input.unread(), pin);
        }
        answerer.outbox.flush();
        let budget = answerer.budget;
        keep_output(output);
        budget
    }
}

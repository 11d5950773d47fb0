//! One element at a time: which family it belongs to, and what the connection does afterwards.

use crate::protocol::{LineRest, Mode, Reply};
use crate::store::Engine;

use super::batch::Element;
use super::context::Context;
use super::sink::ReplySink;

/// What the connection does next.
#[derive(Debug)]
pub enum Outcome<P> {
    /// The next element.
    Done,
    /// The element's last `unread` bytes stay in the buffer. Once the client has read its replies, the bytes from
    /// there on are parsed as `begun`.
    Paused {
        /// How many bytes before the element's end are not dealt with.
        unread: usize,
        /// What they are.
        begun: LineRest,
    },
    /// Fill `Incoming` with the bytes that follow, look whether CRLF follows them, and call [`finish_store`].
    Receive(Incoming<P>),
    /// Throw away this many of the bytes that follow the element's end.
    Swallow {
        /// How many.
        bytes: u64,
    },
    /// The store waits for other threads. Nothing was answered; end the loop turn and execute the element again in
    /// the next one.
    Busy,
    /// Send what is queued and close.
    Close,
}

/// A value on its way in.
#[derive(Debug)]
pub struct Incoming<P> {
    /// The memory for it.
    pub pending: P,
    mode: Mode,
    reply: Reply,
}

/// Executes one element and queues its reply.
pub fn execute<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    element: &Element<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let _ = (element, ctx, pin, sink);
    todo!()
}

/// Stores a value that has been received completely, and its CRLF (or what stood in its place) with it.
///
/// # Errors
/// The store waits for other threads: call again in the next loop turn.
pub fn finish_store<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    incoming: Incoming<E::Pending>,
    terminator: Terminator,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Result<(), Incoming<E::Pending>> {
    let _ = (incoming.mode, incoming.reply, terminator, ctx, pin, sink);
    todo!()
}

/// What followed a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// CRLF.
    Crlf,
    /// Something else.
    Wrong,
}

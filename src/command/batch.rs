//! Up to 16 requests at once: parsed, hashed, and their memory on its way into the processor's cache before the
//! first of them is executed.

use crate::base::KeyHash;
use crate::protocol::{Input, LineRest, Reply, ReplyLine, Request};
use crate::store::Engine;

/// How many requests are prepared together. More would not be faster: the processor has about as many loads in
/// flight as this.
pub const REQUESTS_PER_BATCH: usize = 16;

/// What a batch of requests holds.
pub struct Batch<'a> {
    elements: [Element<'a>; REQUESTS_PER_BATCH],
    len: usize,
}

/// One thing to do, and where its bytes end.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// What to do.
    pub work: Work<'a>,
    /// The hash of its key, if it has a single one.
    pub hash: KeyHash,
    /// Where in the parsed bytes the next element begins.
    pub end: usize,
}

/// What an element wants done.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// Execute a request.
    Request(Request<'a>),
    /// Complain, and throw away as many of the bytes that are yet to come.
    Refuse {
        /// What the client did wrong.
        error: ReplyLine,
        /// Whether it wants to know.
        reply: Reply,
        /// How many bytes after `end` go with the refused line.
        swallow: u64,
    },
    /// Nothing: the rest of a line that was refused before. More of it may follow.
    Skip(Option<LineRest>),
    /// Close the connection.
    Close,
}

impl<'a> Batch<'a> {
    /// What can be done with `bytes`: at most `limit` requests, and at most [`REQUESTS_PER_BATCH`]. None at all
    /// means that bytes are missing. `begun` says that the front of `bytes` continues a line.
    pub fn parse<E: Engine>(
        bytes: &'a [u8],
        limit: usize,
        input: Input,
        begun: Option<LineRest>,
        engine: &E,
        pin: &E::Pin,
    ) -> Self {
        let _ = (bytes, limit, input, begun, engine, pin);
        todo!()
    }

    /// What is to be done, in order.
    #[inline]
    pub fn elements(&self) -> &[Element<'a>] {
        &self.elements[..self.len]
    }
}

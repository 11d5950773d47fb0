//! One batch: the bytes one connection sends at once, and the bytes that must come back.
//!
//! ```text
//! request   get bench:engine:key:0000000________\r\n   get bench:engine:key:0000000________\r\n   …
//! reply     VALUE bench:engine:key:0000000________ 0 100\r\n________vvv…v\r\nEND\r\n   …
//! ```
//!
//! Both are written once. A batch only fills in the eight digits of each item. So making and checking a request costs
//! the client far less than serving it costs the server. The value starts with its key's digits, and every byte of a
//! reply is compared. So a server that answers with another item's value, or out of step, does not look fast.

use std::io;

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const VALUE_BYTES: usize = 100;
/// The leading digits of a counter's 20 that no run changes.
const STEADY_DIGITS: usize = 10;
const COUNTER_START: &str = "10000000000000000000";

pub(crate) type ItemDigits = [u8; 8];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Get,
    /// One command that names every item of the batch.
    MultiGet,
    Set,
    /// Stores the counters that `Incr` needs.
    SetCounter,
    Incr,
}

/// One shape at one depth.
pub(crate) struct Batch {
    shape: Shape,
    request: Template,
    reply: Template,
}

/// Bytes with gaps, some for each item.
struct Template {
    bytes: Vec<u8>,
    /// `(position, item)` of each gap.
    gaps: Vec<(usize, usize)>,
}

impl Batch {
    pub(crate) fn new(shape: Shape, items: usize) -> Self {
        let (mut request, mut reply) = (Template::new(), Template::new());
        if shape == Shape::MultiGet {
            request.text("get");
        }
        for item in 0..items {
            match shape {
                Shape::Get => {
                    request.text("get ").key(shape, item).text("\r\n");
                    reply.value_block(item).text("END\r\n");
                }
                Shape::MultiGet => {
                    request.text(" ").key(shape, item);
                    reply.value_block(item);
                }
                Shape::Set => {
                    request.text("set ").key(shape, item).text(" 0 0 100\r\n").value(item).text("\r\n");
                    reply.text("STORED\r\n");
                }
                Shape::SetCounter => {
                    request.text("set ").key(shape, item).text(" 0 0 20\r\n").text(COUNTER_START).text("\r\n");
                    reply.text("STORED\r\n");
                }
                Shape::Incr => {
                    request.text("incr ").key(shape, item).text(" 1\r\n");
                    reply.text(COUNTER_START).text("\r\n");
                }
            }
        }
        if shape == Shape::MultiGet {
            request.text("\r\n");
            reply.text("END\r\n");
        }
        Self { shape, request, reply }
    }

    /// The bytes to send for these items.
    pub(crate) fn request(&mut self, items: &[ItemDigits]) -> &[u8] {
        self.request.fill(items);
        &self.request.bytes
    }

    /// Compares what came back with what these items must answer.
    pub(crate) fn check(&mut self, items: &[ItemDigits], received: &[u8]) -> io::Result<()> {
        self.reply.fill(items);
        let expected = &self.reply.bytes;
        let holds = match self.shape {
            Shape::Incr => counters_agree(expected, received),
            Shape::Get | Shape::MultiGet | Shape::Set | Shape::SetCounter => expected == received,
        };
        if holds { Ok(()) } else { Err(wrong_reply(expected, received)) }
    }
}

impl Template {
    fn new() -> Self {
        Self { bytes: Vec::new(), gaps: Vec::new() }
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    fn gap(&mut self, item: usize) -> &mut Self {
        self.gaps.push((self.bytes.len(), item));
        self.text("________")
    }

    fn key(&mut self, shape: Shape, item: usize) -> &mut Self {
        let prefix = match shape {
            Shape::Get | Shape::MultiGet | Shape::Set => "bench:engine:key:0000000",
            Shape::SetCounter | Shape::Incr => "bench:engine:count:00000",
        };
        debug_assert_eq!(prefix.len() + 8, KEY_BYTES);
        self.text(prefix).gap(item)
    }

    fn value(&mut self, item: usize) -> &mut Self {
        self.gap(item).text(&"v".repeat(VALUE_BYTES - 8))
    }

    fn value_block(&mut self, item: usize) -> &mut Self {
        self.text("VALUE ").key(Shape::Get, item).text(" 0 100\r\n").value(item).text("\r\n")
    }

    fn fill(&mut self, items: &[ItemDigits]) {
        for &(position, item) in &self.gaps {
            self.bytes[position..position + 8].copy_from_slice(&items[item]);
        }
    }
}

/// Other connections move the same counters, so only the digits that cannot change are known.
fn counters_agree(expected: &[u8], received: &[u8]) -> bool {
    let line = COUNTER_START.len() + 2;
    expected.len() == received.len()
        && expected
            .chunks_exact(line)
            .zip(received.chunks_exact(line))
            .all(|(ours, theirs)| ours[..STEADY_DIGITS] == theirs[..STEADY_DIGITS] && theirs[line - 2..] == *b"\r\n")
}

#[cold]
fn wrong_reply(expected: &[u8], received: &[u8]) -> io::Error {
    let at = expected.iter().zip(received).take_while(|(ours, theirs)| ours == theirs).count();
    let excerpt = |bytes: &[u8]| {
        let start = at.saturating_sub(60).min(bytes.len());
        bytes[start..(at + 40).min(bytes.len())].escape_ascii().to_string()
    };
    let message = format!("wrong reply at byte {at}: expected …{}…, got …{}…", excerpt(expected), excerpt(received));
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The decimal digits of an item's number. Requests are made while the clock does not run.
pub(crate) fn item_digits(number: u32) -> ItemDigits {
    let mut rest = number;
    let mut digits = [b'0'; 8];
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10).to_le_bytes()[0];
        rest /= 10;
    }
    digits
}

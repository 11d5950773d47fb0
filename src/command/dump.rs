//! A dump: rows about all items, written in slices between which other clients are served.
//!
//! ```text
//! metadump   key=<key, URI-encoded> exp=<date or -1> la=<date> cas=<unique> fetch=<yes|no> …
//!            … cls=<class> size=<bytes> flags=<flags> ␊
//! mgdump     mg <key>␍␊                a command that a client can send
//!            mg <key, base64> b␍␊      for a key that was stored in base64, or that no text command can name
//! ```
//!
//! An item that exists for the whole dump and is not evicted has one row. Each key has at most one row, also while
//! clients store and the index grows. A dump holds nothing but its position, so a client that does not read costs
//! nothing else.

use std::io::Write as _;

use crate::base::Deadline;
use crate::protocol::{Classes, DumpFormat, DumpScope, ReplyLine, has_row_room, meta::push_key, push_uri_encoded};
use crate::store::{EngineAdmin, Item, Walk};

use super::context::Context;

/// A dump that has begun.
#[derive(Debug)]
pub struct Dump {
    format: DumpFormat,
    classes: Classes,
    prefix: Box<[u8]>,
    /// Rows that may still be written.
    left: u64,
    at: Walk,
}

/// Whether a dump continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpNext {
    /// There is more to write.
    More,
    /// The last line is written.
    Over,
}

/// The dates that rows count from, in seconds since 1970.
#[derive(Clone, Copy)]
struct Dates {
    epoch_unix_ms: i64,
    now_unix_s: i64,
}

impl Dump {
    /// A dump of the items in `scope`.
    pub(super) fn new(format: DumpFormat, scope: DumpScope<'_>) -> Self {
        let DumpScope { classes, prefix, limit } = scope;
        Self { format, classes, prefix: prefix.into(), left: limit, at: Walk::default() }
    }

    /// Appends the next rows to `out`. The last ones are followed by the dump's last line.
    pub fn write_some<E: EngineAdmin>(&mut self, ctx: &Context<'_, E>, pin: &E::Pin, out: &mut Vec<u8>) -> DumpNext {
        let before = out.len();
        let (now, epoch_unix_ms) = (ctx.engine.moment().now, ctx.engine.epoch_unix_ms());
        let dates = Dates { epoch_unix_ms, now_unix_s: epoch_unix_ms.div_euclid(1000) + i64::from(now.0) };
        let Self { format, classes, prefix, left, at } = self;
        let mut has_room = true;
        if *left > 0 {
            ctx.engine.walk(pin, at, &mut |item| {
                if *left > 0 && classes.has(item.class()) && item.key().starts_with(prefix) {
                    has_room = has_room && has_row_room(out);
                    if !has_room {
                        return;
                    }
                    *left -= 1;
                    match format {
                        DumpFormat::Metadump => {
                            let la = dates.now_unix_s - i64::from(item.idle_s(now));
                            let cas = if ctx.switches.use_cas { item.cas() } else { 0 };
                            push_meta_row(item, dates, la, cas, out);
                        }
                        DumpFormat::Mgdump => push_mg_row(item.key(), item.is_binary_key(), out),
                    }
                }
            });
        }
        if !has_room || !has_row_room(out) {
            // A dump must not lack rows.
            out.truncate(before);
            out.extend_from_slice(ReplyLine::NoMemory.bytes());
            return DumpNext::Over;
        }
        if *left > 0 && !at.is_over() {
            return DumpNext::More;
        }
        out.extend_from_slice(match format {
            DumpFormat::Metadump => ReplyLine::End.bytes(),
            DumpFormat::Mgdump => ReplyLine::MetaEnd.bytes(),
        });
        DumpNext::Over
    }
}

fn push_meta_row<I: Item>(item: &I, dates: Dates, la: i64, cas: u64, out: &mut Vec<u8>) {
    let exp = match item.deadline() {
        Deadline::NEVER => -1,
        deadline => deadline.unix_s(dates.epoch_unix_ms),
    };
    let fetch = if item.is_fetched() { "yes" } else { "no" };
    let (class, size, flags) = (item.class(), item.bytes(), item.client_flags());
    out.extend_from_slice(b"key=");
    push_uri_encoded(item.key(), out);
    // Ignored: writing to a Vec cannot fail.
    let _ = writeln!(out, " exp={exp} la={la} cas={cas} fetch={fetch} cls={class} size={size} flags={flags} ");
}

/// Appends a command that a client can send. The key is in base64 if its last writer wrote it so, or if no other
/// command can name it.
fn push_mg_row(key: &[u8], is_binary: bool, out: &mut Vec<u8>) {
    let is_encoded = is_binary || key.iter().any(|byte| matches!(byte, b' ' | b'\r' | b'\n' | 0));
    out.extend_from_slice(b"mg ");
    push_key(key, is_encoded, out);
    out.extend_from_slice(if is_encoded { b" b\r\n" } else { b"\r\n" });
}

#[cfg(test)]
mod tests {
    use super::push_mg_row;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keys_are_in_base64_if_their_writer_or_the_command_needs_it() {
        assert_eq!(written(|out| push_mg_row(b"plain%", false, out)), "mg plain%\r\n");
        assert_eq!(written(|out| push_mg_row(b"plain%", true, out)), "mg cGxhaW4l b\r\n");
        assert_eq!(written(|out| push_mg_row(b"a b", false, out)), "mg YSBi b\r\n");
    }
}

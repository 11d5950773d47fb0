//! `larder dump`: the items of a server to a file.

use std::io::Write;

use crate::base::{parse_i64, parse_u64};

use super::connection::{SILENCE_MAX, ServerConnection};
use super::failure::ToolFailure;
use super::format::{ItemLine, foot, head, words};
use super::keys::{KeyReader, ListedKey};
use super::progress::TransferProgress;
use super::remote::RemoteServer;

/// Writes all items of the server to `out`. Returns the number of stale items, which are left out.
pub(super) fn dump(
    address: &RemoteServer,
    out: &mut dyn Write,
    progress: &mut TransferProgress,
) -> Result<u64, ToolFailure> {
    let mut keys = KeyReader::open(address)?;
    let mut values = ServerConnection::open(address, SILENCE_MAX)?;
    let written = ToolFailure::file("write the dump");
    out.write_all(&head(progress.unix_s())).map_err(written)?;
    let mut stale = 0;
    loop {
        let batch = keys.next_batch()?;
        if batch.is_empty() {
            break;
        }
        values.send(&requests(&batch))?;
        stale += copy_items(&mut values, out, progress)?;
        progress.report_if_due();
    }
    out.write_all(&foot(progress.items)).and_then(|()| out.flush()).map_err(ToolFailure::file("write the dump"))?;
    Ok(stale)
}

/// Requests for the items of `batch`. They do not count as uses, and a miss has no reply. `mn` has the last one.
fn requests(batch: &[ListedKey]) -> Vec<u8> {
    let mut requests = Vec::new();
    for ListedKey { key, is_base64 } in batch {
        requests.extend_from_slice(b"mg ");
        requests.extend_from_slice(key);
        requests.extend_from_slice(if *is_base64 { b" b k f t u v q\r\n" } else { b" k f t u v q\r\n" });
    }
    requests.extend_from_slice(b"mn\r\n");
    requests
}

/// Copies the items that the server answers, up to the reply to `mn`. Returns the number of stale ones.
fn copy_items(
    values: &mut ServerConnection,
    out: &mut dyn Write,
    progress: &mut TransferProgress,
) -> Result<u64, ToolFailure> {
    let mut stale = 0;
    let mut head = Vec::new();
    loop {
        let line = values.line()?;
        if line == b"MN" {
            return Ok(stale);
        }
        let Some((item, is_stale)) = item_of(&line, progress.unix_s()) else {
            return Err(values.unexpected(&line));
        };
        if is_stale {
            stale += 1;
            values.copy_value(item.value_len, &mut std::io::sink())?;
            continue;
        }
        head.clear();
        item.write(&mut head);
        out.write_all(&head).map_err(ToolFailure::file("write the dump"))?;
        values.copy_value(item.value_len, out)?;
        progress.add(item.value_len);
    }
}

/// The item of a reply to `mg`, and whether it is stale. `None`: the reply is something else.
fn item_of(line: &[u8], unix_s: i64) -> Option<(ItemLine<'_>, bool)> {
    let mut words = words(line.strip_prefix(b"VA ")?);
    let mut item = ItemLine { value_len: parse_u64(words.next()?)?, ..ItemLine::default() };
    let mut is_stale = false;
    for word in words {
        match word {
            b"b" => item.is_base64 = true,
            b"X" => is_stale = true,
            b"t-1" | b"W" | b"Z" => {}
            [b'k', key @ ..] => item.key = key,
            [b'f', digits @ ..] => item.flags = parse_u64(digits)?,
            [b't', digits @ ..] => item.deadline_s = Some(unix_s + parse_i64(digits)?),
            _ => return None,
        }
    }
    (!item.key.is_empty()).then_some((item, is_stale))
}

#[cfg(test)]
mod tests {
    use super::{ItemLine, item_of};

    #[test]
    fn a_reply_becomes_an_item_with_a_deadline() {
        let item = ItemLine { key: b"a", value_len: 3, flags: 5, deadline_s: Some(1095), is_base64: false };
        assert_eq!(item_of(b"VA 3 ka f5 t95", 1000), Some((item, false)));
        let stale = ItemLine { key: b"YQ==", is_base64: true, ..ItemLine::default() };
        assert_eq!(item_of(b"VA 0 kYQ== b f0 t-1 W X", 1000), Some((stale, true)));
        for line in [&b"EN"[..], b"VA", b"VA x ka", b"VA 1 f5", b"VA 1 ka ?", b"ERROR"] {
            assert_eq!(item_of(line, 1000), None, "{}", line.escape_ascii());
        }
    }
}

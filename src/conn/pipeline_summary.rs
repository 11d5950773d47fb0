//! What a pipeline began with, from the bytes that are still in the input buffer. For the slow log.

use crate::protocol::http::split_query;
use crate::protocol::{Grammar, Input, Keys, Parsed, Request, Retrieval, Storage, Then, Value, binary};

use super::connection::Connection;
use super::read_buf::ReadBuf;

/// The longest key that is shown, in bytes.
const KEY_BYTES_MAX: usize = 100;

/// The requests of the last receive that were handled.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PipelineSummary {
    /// The word of the first one. Empty if the bytes begin in the middle of a request.
    pub command: Vec<u8>,
    /// Its key, or its first one, as the client wrote it. Empty if it has none.
    pub key: Vec<u8>,
    /// Their number.
    pub count: u32,
}

impl Connection {
    /// What the handled bytes of its input buffer began with.
    #[cold]
    pub fn pipeline_summary(&self, input: &ReadBuf) -> PipelineSummary {
        summary_of(self.grammar, input.handled())
    }
}

fn summary_of(grammar: Grammar, mut bytes: &[u8]) -> PipelineSummary {
    let mut summary = PipelineSummary::default();
    while !bytes.is_empty() {
        let (consumed, is_last) = match grammar.next(bytes, Input::Full, None) {
            Parsed::Request { request, consumed } => {
                if summary.count == 0 {
                    (summary.command, summary.key) = named(grammar, bytes, &request);
                }
                let has_more = matches!(request, Request::Store(Storage { value: Value::Coming, .. }));
                (consumed, has_more)
            }
            Parsed::Refused { consumed, then: Then::Swallow(swallow), .. } => {
                (consumed.saturating_add(usize::try_from(swallow).unwrap_or(usize::MAX)), false)
            }
            Parsed::Refused { .. } | Parsed::NeedMore | Parsed::Skipped { .. } | Parsed::Close => break,
        };
        summary.count += 1;
        if is_last {
            break;
        }
        bytes = bytes.get(consumed..).unwrap_or_default();
    }
    summary
}

/// The word and the key of a request, which is at the front of `bytes`.
fn named(grammar: Grammar, bytes: &[u8], request: &Request<'_>) -> (Vec<u8>, Vec<u8>) {
    let word = match grammar {
        Grammar::Binary => binary::summary(bytes).0.as_bytes(),
        Grammar::Text | Grammar::Unknown | Grammar::Http => {
            bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default()
        }
    };
    let key = match request {
        Request::Retrieve(Retrieval { keys: Keys::List(keys), .. }) => {
            keys.clone().next_key().and_then(Result::ok).map_or(&b""[..], |key| key.bytes())
        }
        // The query may have a token.
        Request::Http(Ok(http)) => split_query(http.target).0,
        request => request.key().map_or(&b""[..], |(key, _)| key.bytes()),
    };
    (word.to_vec(), key[..key.len().min(KEY_BYTES_MAX)].to_vec())
}

#[cfg(test)]
mod tests {
    use super::{KEY_BYTES_MAX, PipelineSummary, summary_of};
    use crate::protocol::Grammar;

    fn summary(grammar: Grammar, bytes: impl AsRef<[u8]>) -> (String, String, u32) {
        let PipelineSummary { command, key, count } = summary_of(grammar, bytes.as_ref());
        (String::from_utf8(command).unwrap(), String::from_utf8(key).unwrap(), count)
    }

    fn expected(command: &str, key: &str, count: u32) -> (String, String, u32) {
        (command.into(), key.into(), count)
    }

    #[test]
    fn the_first_command_is_named_and_all_are_counted() {
        let text = |bytes: &str| summary(Grammar::Text, bytes);
        assert_eq!(text("get a\r\nset b 0 0 1\r\nx\r\nnonsense\r\nmg c v\r\n"), expected("get", "a", 4));
        assert_eq!(text("gets a b c\r\n"), expected("gets", "a", 1));
        assert_eq!(text("set big 0 0 100000\r\nget not-a-request\r\n"), expected("set", "big", 1));
        assert_eq!(text("stats slabs\r\n"), expected("stats", "", 1));
        let long = "k".repeat(250);
        assert_eq!(text(&format!("delete {long}\r\n")), expected("delete", &long[..KEY_BYTES_MAX], 1));
        let path = "GET /cache/a?token=secret HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(summary(Grammar::Http, path), expected("GET", "/cache/a", 1));
    }

    #[test]
    fn the_middle_of_a_value_is_not_named() {
        for bytes in ["", "get", "secret value\r\n", "\r\nget a\r\n"] {
            let (command, key, _) = summary(Grammar::Text, bytes);
            assert_eq!((command.as_str(), key.as_str()), ("", ""), "{bytes:?}");
        }
        assert_eq!(summary(Grammar::Binary, "not a packet, but as long as a header"), expected("", "", 0));
    }
}

//! The grammar before a client is authenticated (`-Y`): one command, in the form of a set.
//!
//! ```text
//! set <any> <any> <any> <bytes>␍␊<user> <password>␍␊
//! ```
//!
//! Any other line is refused, and nothing of it is executed.

use memchr::memchr;

use crate::base::parse_u32;
use crate::protocol::reply_line::ReplyLine;
use crate::protocol::request::Input;
use crate::protocol::tokens::Tokens;

use super::parse::LINE_LEN_MAX;

/// The longest token, user and password with the blank between them (memcached 1.6.45's limit).
pub const TOKEN_LEN_MAX: usize = 16 << 10;
/// A shorter line, without its end, closes the connection: among others `quit`. memcached does this, too.
const LINE_LEN_MIN: usize = 5;
/// The word of a set line that gives the length.
const LENGTH_WORD: usize = 4;
const CRLF: &[u8] = b"\r\n";

/// What a client sent that is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login<'a> {
    /// The beginning of an attempt.
    NeedMore,
    /// An attempt.
    Token {
        /// User and password.
        token: &'a [u8],
        /// Bytes of the attempt.
        consumed: usize,
    },
    /// Something else.
    Refused {
        /// The reply.
        line: ReplyLine,
        /// Its bytes.
        consumed: usize,
    },
    /// The end, or no memcached protocol.
    Close,
}

/// Parses the front of `bytes`.
#[cold]
pub fn login(bytes: &[u8], input: Input) -> Login<'_> {
    let Some(line_feed) = memchr(b'\n', bytes) else {
        let endless = bytes.len() > LINE_LEN_MAX || input == Input::Full;
        return if endless { Login::Close } else { Login::NeedMore };
    };
    let line = &bytes[..line_feed];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line_feed > LINE_LEN_MAX || line.len() < LINE_LEN_MIN {
        return Login::Close;
    }
    let start = line_feed + 1;
    let Some(token_len) = token_len(line) else {
        return Login::Refused { line: ReplyLine::Unauthenticated, consumed: start };
    };
    if token_len > TOKEN_LEN_MAX {
        // The token itself is not skipped: its lines are refused like any other.
        return Login::Refused { line: ReplyLine::TokenTooLong, consumed: start };
    }
    let (end, consumed) = (start + token_len, start + token_len + CRLF.len());
    match bytes.get(end..consumed) {
        None => Login::NeedMore,
        Some(CRLF) => Login::Token { token: &bytes[start..end], consumed },
        Some(_) => Login::Refused { line: ReplyLine::BadTermination, consumed },
    }
}

/// The length of the token that a set line announces. `None`: it is another line.
fn token_len(line: &[u8]) -> Option<usize> {
    if !line.starts_with(b"set ") {
        return None;
    }
    let len = parse_u32(Tokens::new(line).nth(LENGTH_WORD)?)?;
    usize::try_from(len).ok()
}

#[cfg(test)]
mod tests {
    use super::{Input, LINE_LEN_MAX, Login, ReplyLine, TOKEN_LEN_MAX, login};

    fn refused(line: ReplyLine, consumed: usize) -> Login<'static> {
        Login::Refused { line, consumed }
    }

    #[test]
    fn a_set_with_any_words_carries_a_token() {
        for line in ["set a 0 0 7", "set a b c 7", "set  a   0 0 7  ", "set a 0 0 07 noreply", "set a 0 0 7 8 9"] {
            for end in ["\r\n", "\n"] {
                let bytes = format!("{line}{end}foo bar\r\nget a\r\n");
                let consumed = line.len() + end.len() + 9;
                assert_eq!(login(bytes.as_bytes(), Input::Open), Login::Token { token: b"foo bar", consumed });
                for cut in 0..consumed {
                    assert_eq!(login(&bytes.as_bytes()[..cut], Input::Open), Login::NeedMore, "{bytes:?} {cut}");
                }
            }
        }
    }

    #[test]
    fn any_other_line_is_refused_alone() {
        for line in [
            "get a",
            "stats",
            "version",
            "flush_all",
            "SET a 0 0 7",
            " set a 0 0 7",
            "sets a 0 0 7",
            "set a 0 0",
            "set a 0 0 x",
            "set a 0 0 -1",
            "set a 0 0 +7",
            "set a 0 0 7x",
            "set a 0 0 4294967296",
            "add a 0 0 7",
            "ms a 7",
            "set\ta 0 0 7",
        ] {
            let bytes = format!("{line}\r\nfoo bar\r\n");
            assert_eq!(
                login(bytes.as_bytes(), Input::Open),
                refused(ReplyLine::Unauthenticated, line.len() + 2),
                "{line}"
            );
        }
    }

    #[test]
    fn the_length_is_limited_before_any_byte_is_awaited() {
        let longest = [format!("set a 0 0 {TOKEN_LEN_MAX}\r\n").into_bytes(), vec![b'x'; TOKEN_LEN_MAX]].concat();
        assert_eq!(login(&longest, Input::Open), Login::NeedMore);
        let whole = [&longest[..], b"\r\n"].concat();
        assert!(matches!(login(&whole, Input::Open), Login::Token { token, .. } if token.len() == TOKEN_LEN_MAX));
        for len in ["16385", "2147483647", "2147483648", "4294967295"] {
            let line = format!("set a 0 0 {len}\r\n");
            assert_eq!(login(line.as_bytes(), Input::Open), refused(ReplyLine::TokenTooLong, line.len()), "{len}");
        }
    }

    #[test]
    fn a_token_ends_with_both_bytes_of_a_line_end() {
        for end in ["xx", "\n\n", "\rx", " \r", "x\n"] {
            let bytes = format!("set a 0 0 7\r\nfoo bar{end}");
            let (open, consumed) = (Input::Open, bytes.len());
            assert_eq!(login(bytes.as_bytes(), open), refused(ReplyLine::BadTermination, consumed), "{end:?}");
        }
    }

    #[test]
    fn short_and_endless_lines_close() {
        for short in ["\r\n", "\n", "mn\r\n", "quit\r\n", "quit\n", "set \r\n"] {
            assert_eq!(login(short.as_bytes(), Input::Open), Login::Close, "{short:?}");
        }
        let endless = vec![b'x'; LINE_LEN_MAX + 1];
        assert_eq!(login(&endless[1..], Input::Open), Login::NeedMore);
        assert_eq!(login(&endless[1..], Input::Full), Login::Close);
        assert_eq!(login(&endless, Input::Open), Login::Close);
        assert_eq!(login(&[&endless[..], b"\r\n"].concat(), Input::Open), Login::Close);
    }
}

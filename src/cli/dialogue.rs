//! A command and its reply, in the text protocol.
//!
//! ```text
//! first line of a reply     the reply ends
//! VALUE, STAT, ITEM, key=,   with END or EN; a list of keys may begin with OK
//! mg (of mgdump)
//! VA <bytes> …              behind the value
//! any other                 with this line
//! ```

use std::time::Duration;

use larder::tools::{ServerConnection, ToolFailure};

/// A server that is silent for longer than this has failed.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A reply.
pub(crate) struct ShownReply {
    /// Its lines and values, for people.
    pub(crate) text: String,
    /// Whether its last line is an error.
    pub(crate) is_error: bool,
}

/// Commands whose value follows on a line of its own, and the word that is its length.
const WITH_VALUE: [(&str, usize); 7] =
    [("set", 4), ("add", 4), ("replace", 4), ("append", 4), ("prepend", 4), ("cas", 4), ("ms", 2)];

/// The place of the length in the words of a command that carries a value.
pub(crate) fn length_word(line: &str) -> Option<usize> {
    let verb = line.split_whitespace().next()?;
    WITH_VALUE.iter().find(|(name, _)| *name == verb).map(|(_, word)| *word)
}

/// The command with the length of `value` in its place. A command that ends before this place gets zeroes.
pub(crate) fn with_length(line: &str, word: usize, value: &str) -> String {
    let mut words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
    while words.len() <= word {
        words.push("0".to_string());
    }
    words[word] = value.len().to_string();
    words.join(" ")
}

/// Sends a command, and the value that it carries. Returns the reply.
pub(crate) fn ask(server: &mut ServerConnection, line: &str, value: Option<&str>) -> Result<ShownReply, ToolFailure> {
    let (sent, value) = match (length_word(line), value) {
        (Some(word), value) => {
            let value = value.unwrap_or_default();
            (with_length(line, word, value), format!("{value}\r\n"))
        }
        (None, _) => (line.to_string(), String::new()),
    };
    server.send(format!("{sent}\r\n{value}").as_bytes())?;
    let lists_keys = sent.starts_with("lru_crawler m");
    let mut reply = ShownReply { text: String::new(), is_error: false };
    loop {
        let line = server.line()?;
        reply.text.push_str(&shown(&line));
        reply.text.push('\n');
        let mut words = line.split(|byte| *byte == b' ');
        let first = words.next().unwrap_or_default();
        match first {
            b"VALUE" => push_value(server, words.nth(2), &mut reply.text)?,
            b"VA" => {
                push_value(server, words.next(), &mut reply.text)?;
                return Ok(reply);
            }
            b"STAT" | b"ITEM" | b"mg" => {}
            b"OK" if lists_keys => {}
            _ if first.starts_with(b"key=") => {}
            _ => {
                reply.is_error = [&b"ERROR"[..], b"CLIENT_ERROR", b"SERVER_ERROR"].contains(&first);
                return Ok(reply);
            }
        }
    }
}

fn push_value(server: &mut ServerConnection, len: Option<&[u8]>, text: &mut String) -> Result<(), ToolFailure> {
    let len = len.and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
    let len: u64 = len.ok_or_else(|| server.unexpected(b"a value without a length"))?;
    text.push_str(&shown(&server.value(len)?));
    text.push('\n');
    Ok(())
}

/// Bytes for people: text as it is, control characters and other bytes escaped.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for piece in bytes.utf8_chunks() {
        for letter in piece.valid().chars() {
            match letter {
                '\n' | '\t' => text.push(letter),
                letter if letter.is_control() => text.extend(letter.escape_default()),
                letter => text.push(letter),
            }
        }
        text.push_str(&piece.invalid().escape_ascii().to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{length_word, shown, with_length};

    #[test]
    fn the_length_of_a_value_is_counted() {
        let filled = |line: &str, value: &str| length_word(line).map(|word| with_length(line, word, value));
        assert_eq!(filled("set a 1 60 99", "hello").as_deref(), Some("set a 1 60 5"));
        assert_eq!(filled("set a", "hello").as_deref(), Some("set a 0 0 5"));
        assert_eq!(filled("cas a 0 0 1 77", "hello").as_deref(), Some("cas a 0 0 5 77"));
        assert_eq!(filled("ms a S1 T5", "grün").as_deref(), Some("ms a 5 T5"));
        assert_eq!(filled("get a", ""), None);
    }

    #[test]
    fn no_byte_of_a_value_moves_the_cursor() {
        assert_eq!(shown(b"a\x1b[2Jb\xff\n\xc3\xbc"), "a\\u{1b}[2Jb\\xff\nü");
    }
}

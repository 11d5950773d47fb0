//! The keys of a server, as it lists them: in batches, over a connection of their own.
//!
//! ```text
//! lru_crawler mgdump hash    ──▶ mg <key>, or mg <base64> b; EN              larder, memcached 1.6.19 and newer
//! lru_crawler metadump all   ──▶ key=<URI-encoded key> exp=…; END           older ones
//! ```

use std::time::Duration;

use base64ct::{Base64, Encoding as _};

use super::connection::{SILENCE_MAX, ServerConnection};
use super::failure::ToolFailure;
use super::format::words;
use super::remote::RemoteServer;

/// Keys of one batch. Their requests must fit into the kernel's buffers, since the replies are read afterwards.
const BATCH_KEYS: usize = 100;
/// memcached lists the keys for one client at a time, and answers BUSY to others.
const BUSY_TRIES: u32 = 300;
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Length of a key of 250 bytes in base64.
const KEY_BASE64_MAX: usize = 336;

/// What a request to the server names: a key as text, or in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedKey {
    pub(super) key: Vec<u8>,
    pub(super) is_base64: bool,
}

/// Reads the list of keys.
pub(super) struct KeyReader {
    connection: ServerConnection,
    listing: Listing,
    /// A line that belongs to the list, read while its begin was looked for.
    first: Option<Vec<u8>>,
    is_over: bool,
}

/// The command that lists the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    Mgdump,
    Metadump,
}

impl Listing {
    const fn command(self) -> &'static [u8] {
        match self {
            Self::Mgdump => b"lru_crawler mgdump hash\r\n",
            Self::Metadump => b"lru_crawler metadump all\r\n",
        }
    }

    const fn end(self) -> &'static [u8] {
        match self {
            Self::Mgdump => b"EN",
            Self::Metadump => b"END",
        }
    }

    /// The key of a line of the list.
    fn key(self, line: &[u8]) -> Option<ListedKey> {
        match self {
            Self::Mgdump => {
                let mut words = words(line.strip_prefix(b"mg ")?);
                Some(ListedKey { key: words.next()?.to_vec(), is_base64: words.next() == Some(b"b") })
            }
            Self::Metadump => {
                let key = decode_uri(words(line).next()?.strip_prefix(b"key=")?)?;
                // What a line cannot hold is asked for in base64.
                let is_base64 = key.iter().any(|byte| *byte <= b' ' || *byte == 0x7f);
                let key = if is_base64 { encode_base64(&key)? } else { key };
                Some(ListedKey { key, is_base64 })
            }
        }
    }
}

impl KeyReader {
    /// Asks the server at `address` for its keys.
    pub(super) fn open(address: &RemoteServer) -> Result<Self, ToolFailure> {
        let mut connection = ServerConnection::open(address, SILENCE_MAX)?;
        let mut listing = Listing::Mgdump;
        for _ in 0..BUSY_TRIES {
            connection.send(listing.command())?;
            let line = connection.line()?;
            if line == b"OK" || line == listing.end() || listing.key(&line).is_some() {
                // memcached before 1.6.43 does not begin with OK.
                let first = Some(line).filter(|line| line != b"OK");
                return Ok(Self { connection, listing, first, is_over: false });
            }
            if line.starts_with(b"BUSY") {
                std::thread::park_timeout(BUSY_PAUSE);
            } else if listing == Listing::Mgdump {
                listing = Listing::Metadump;
            } else {
                return Err(connection.unexpected(&line));
            }
        }
        Err(ToolFailure::Answer(format!("{address} lists its keys for another client")))
    }

    /// The next keys. An empty batch: there are no more.
    pub(super) fn next_batch(&mut self) -> Result<Vec<ListedKey>, ToolFailure> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_KEYS && !self.is_over {
            let line = match self.first.take() {
                Some(line) => line,
                None => self.connection.line()?,
            };
            if line == self.listing.end() {
                self.is_over = true;
            } else if let Some(key) = self.listing.key(&line) {
                batch.push(key);
            } else {
                return Err(self.connection.unexpected(&line));
            }
        }
        Ok(batch)
    }
}

/// `None`: no key is as long.
fn encode_base64(key: &[u8]) -> Option<Vec<u8>> {
    let encoded = Base64::encode(key, &mut [0; KEY_BASE64_MAX]).ok()?.as_bytes().to_vec();
    Some(encoded)
}

/// The bytes that `text` stands for, with `%XX` for a byte. `None`: a digit is missing.
pub fn decode_uri(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(*high)? << 4 | digit(*low)?);
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Listing, decode_uri};

    #[test]
    fn both_lists_name_the_same_keys() {
        let key = |listing: Listing, line: &[u8]| listing.key(line).map(|key| (key.key, key.is_base64));
        assert_eq!(key(Listing::Mgdump, b"mg a:b"), Some((b"a:b".to_vec(), false)));
        assert_eq!(key(Listing::Mgdump, b"mg YiBj b"), Some((b"YiBj".to_vec(), true)));
        assert_eq!(key(Listing::Metadump, b"key=a%3Ab exp=-1 la=5"), Some((b"a:b".to_vec(), false)));
        assert_eq!(key(Listing::Metadump, b"key=b%20c exp=-1"), Some((b"YiBj".to_vec(), true)));
        assert_eq!(key(Listing::Mgdump, b"ERROR"), None);
        assert_eq!(key(Listing::Metadump, b"mg a"), None);
    }

    #[test]
    fn a_broken_escape_is_refused() {
        for text in [&b"%"[..], b"%4", b"%zz", b"a%4"] {
            assert_eq!(decode_uri(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(decode_uri(b"%41%20b"), Some(b"A b".to_vec()));
    }
}

//! One blocking connection to a server. Each read and write has a time limit.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::wait::WAIT_MAX;

/// `STAT` rows by name.
pub(crate) type StatRows = BTreeMap<String, String>;

const READ_BYTES: usize = 64 << 10;

/// Bytes that a message shows before a difference, and in all.
const SHOWN_BEFORE: usize = 60;
const SHOWN_BYTES: usize = 160;

pub(crate) struct Client {
    /// A socket of any family. Its send, receive and shutdown are the same for all.
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub(crate) fn over_tcp(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Self::over(socket)
    }

    pub(crate) fn over_unix(socket: UnixStream) -> io::Result<Self> {
        Self::over(TcpStream::from(OwnedFd::from(socket)))
    }

    fn over(socket: TcpStream) -> io::Result<Self> {
        socket.set_read_timeout(Some(WAIT_MAX))?;
        socket.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Client { socket, unread: Vec::new() })
    }

    /// A second handle on the same connection, for a thread that sends while this one reads.
    pub(crate) fn sender(&self) -> TcpStream {
        self.socket.try_clone().expect("a descriptor is free")
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the server takes what is sent");
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&mut self) {
        // Ignored: a server that has closed does not receive it, and its replies can still be read.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Sends a request and expects its reply.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>, reply: impl AsRef<[u8]>) {
        self.send(request);
        self.expect(reply);
    }

    /// Reads exactly `reply`.
    pub(crate) fn expect(&mut self, reply: impl AsRef<[u8]>) {
        if let Err(surprise) = self.try_expect(reply.as_ref()) {
            panic!("{surprise}");
        }
    }

    /// Reads exactly `reply`. Fails as soon as a byte differs, with the bytes that came instead.
    pub(crate) fn try_expect(&mut self, reply: &[u8]) -> Result<(), String> {
        loop {
            if self.unread.starts_with(reply) {
                self.unread.drain(..reply.len());
                return Ok(());
            }
            let differs = !reply.starts_with(&self.unread);
            let end = if differs { Some("a different byte".into()) } else { self.fill().err().map(|e| e.to_string()) };
            if let Some(end) = end {
                let common = self.unread.iter().zip(reply).take_while(|(got, wanted)| got == wanted).count();
                let start = common.saturating_sub(SHOWN_BEFORE);
                let (wanted, got) = (shown(&reply[start..]), shown(&self.unread[start..]));
                return Err(format!("from byte {start}: wanted `{wanted}`\n   got `{got}` ({end})"));
            }
        }
    }

    /// Reads up to and including the next line end.
    pub(crate) fn read_line(&mut self) -> io::Result<Vec<u8>> {
        self.read_to(|unread| unread.iter().position(|byte| *byte == b'\n').map(|at| at + 1))
    }

    pub(crate) fn read_exactly(&mut self, len: usize) -> io::Result<Vec<u8>> {
        self.read_to(|unread| (unread.len() >= len).then_some(len))
    }

    /// Reads until what was read ends with `end`.
    pub(crate) fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        self.read_to(|unread| {
            let from = searched;
            searched = unread.len().saturating_sub(end.len() - 1);
            unread[from.min(unread.len())..].windows(end.len()).position(|w| w == end).map(|at| from + at + end.len())
        })
    }

    /// Reads until the server closes. A reset counts as a close: it only says that the server has not read all bytes.
    pub(crate) fn read_to_close(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                    return Ok(self.take_unread());
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// The bytes that were received and not read yet.
    pub(crate) fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    /// Panics unless the server has closed, or closes, without another byte.
    pub(crate) fn expect_close(&mut self) {
        let rest = self.read_to_close().expect("the server closes the connection");
        assert!(rest.is_empty(), "before closing came `{}`", rest.escape_ascii());
    }

    /// Panics unless the server's next bytes are the answer to a question that is sent now.
    pub(crate) fn expect_silence(&mut self) {
        self.send("version\r\n");
        let line = self.read_line().expect("the server answers");
        assert!(line.starts_with(b"VERSION "), "silence was expected, but `{}` came", line.escape_ascii());
    }

    pub(crate) fn stats(&mut self, group: &str) -> StatRows {
        self.send(format!("stats {group}\r\n"));
        let mut rows = StatRows::new();
        loop {
            let line = self.read_line().expect("stats end with END");
            let line = String::from_utf8(line).expect("stats are ASCII");
            let row = line.trim_end();
            if row == "END" {
                return rows;
            }
            let rest = row.strip_prefix("STAT ").unwrap_or_else(|| panic!("`{row}` is no STAT row"));
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            let before = rows.insert(name.into(), value.into());
            assert_eq!(before, None, "`{row}` is the second of its name");
        }
    }

    fn read_to(&mut self, mut end: impl FnMut(&[u8]) -> Option<usize>) -> io::Result<Vec<u8>> {
        loop {
            if let Some(len) = end(&self.unread) {
                return Ok(self.unread.drain(..len).collect());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let held = self.unread.len();
        self.unread.resize(held + READ_BYTES, 0);
        let read = self.socket.read(&mut self.unread[held..]);
        self.unread.truncate(held + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            Ok(_) => Ok(()),
            // The caller reads again. A read with a time limit ends like this if the whole process was stopped for a
            // while.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Bytes in readable form; of many bytes, both ends.
pub(crate) fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= SHOWN_BYTES {
        return bytes.escape_ascii().to_string();
    }
    let (head, tail) = (&bytes[..SHOWN_BYTES / 2], &bytes[bytes.len() - SHOWN_BYTES / 2..]);
    format!("{}... {} bytes ...{}", head.escape_ascii(), bytes.len(), tail.escape_ascii())
}

//! The other process, and the messages that the two exchange. mod.rs draws their order.
//!
//! ```text
//! byte 0: which message │ the rest
//! Items                                                                + the memory of the items
//! Hello                   protocol (4 bytes), version of larder (text)
//! Part                    number of sockets (4 bytes)                  + the file with the records
//! Sockets                                                              + up to 128 sockets
//! Refused                 why (text)
//! End, Ready, Commit
//! ```

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::sync::Leaf;
use crate::sys::passing::{DESCRIPTORS_MAX, await_message_or, receive_message, send_message, set_timeouts};

use super::part::{Part, read_part};

/// The version of messages and records. Processes of different versions do not hand over.
const PROTOCOL: u32 = 2;

/// Bytes of the longest message.
const MESSAGE_BYTES_MAX: usize = 1 << 10;
/// Longest reason that is sent, in bytes.
const REASON_BYTES_MAX: usize = 512;

/// Not polled.
const NO_DESCRIPTOR: RawFd = -1;

const ITEMS: u8 = b'I';
const HELLO: u8 = b'H';
const PART: u8 = b'P';
const SOCKETS: u8 = b'S';
const END: u8 = b'E';
const READY: u8 = b'R';
const COMMIT: u8 = b'C';
const REFUSED: u8 = b'X';

/// The socket to the other process.
pub struct UpgradeChannel {
    socket: OwnedFd,
    /// Locked while a part is sent, so that its messages follow each other.
    sending: Leaf<()>,
}

/// Why the other process is not understood.
#[derive(Debug)]
pub enum ChannelError {
    /// The kernel's error.
    System(io::Error),
    /// It has sent nothing in time.
    Silent,
    /// It has ended.
    Ended,
    /// It has sent something that this process does not know.
    Unknown,
    /// It cannot take everything over, for this reason.
    Refused(String),
}

impl std::fmt::Display for ChannelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System(error) => write!(f, "exchange messages with the other process: {error}"),
            Self::Silent => f.write_str("the other process does not answer in time"),
            Self::Ended => f.write_str("the other process has ended"),
            Self::Unknown => f.write_str("the other process has sent something unknown"),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

impl From<io::Error> for ChannelError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Silent,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Ended,
            _ => Self::System(error),
        }
    }
}

impl From<OwnedFd> for UpgradeChannel {
    fn from(socket: OwnedFd) -> Self {
        Self { socket, sending: Leaf::new(()) }
    }
}

impl UpgradeChannel {
    /// The descriptor of the socket.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Bounds the time of each later wait.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        set_timeouts(self.as_fd(), timeout)
    }

    fn send(&self, message: u8, rest: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        send_message(self.as_fd(), &[&[message], rest].concat(), descriptors)
    }

    /// Receives a message: its first byte, the others, and its descriptors.
    fn receive(&self) -> Result<(u8, Vec<u8>, Vec<OwnedFd>), ChannelError> {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        let (len, descriptors) = receive_message(self.as_fd(), &mut buffer)?;
        match buffer[..len].split_first() {
            None => Err(ChannelError::Ended),
            Some((&REFUSED, reason)) => Err(ChannelError::Refused(String::from_utf8_lossy(reason).into_owned())),
            Some((message, rest)) => Ok((*message, rest.to_vec(), descriptors)),
        }
    }

    /// Old process: sends the memory of the items, which it goes on to use.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn send_items(&self, memory: BorrowedFd<'_>) -> io::Result<()> {
        self.send(ITEMS, &[], &[memory])
    }

    /// New process: receives the memory of the items, which the old process still uses.
    ///
    /// # Errors
    /// It does not come, or something else does.
    pub fn receive_items(&self) -> Result<OwnedFd, ChannelError> {
        match self.receive()? {
            (ITEMS, _, descriptors) => descriptors.into_iter().next().ok_or(ChannelError::Unknown),
            _ => Err(ChannelError::Unknown),
        }
    }

    /// New process: says that it has read its options, and is prepared to receive the rest.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn say_hello(&self, version: &str) -> io::Result<()> {
        self.send(HELLO, &[&PROTOCOL.to_le_bytes(), version.as_bytes()].concat(), &[])
    }

    /// Old process: waits for the new one, and returns its version.
    ///
    /// # Errors
    /// It does not come, or speaks another protocol.
    pub fn await_hello(&self) -> Result<String, ChannelError> {
        match self.receive()? {
            (HELLO, rest, _) => match rest.split_first_chunk::<4>() {
                Some((protocol, version)) if u32::from_le_bytes(*protocol) == PROTOCOL => {
                    Ok(String::from_utf8_lossy(version).into_owned())
                }
                _ => Err(ChannelError::Unknown),
            },
            _ => Err(ChannelError::Unknown),
        }
    }

    /// Old process, any thread: sends a part.
    pub(super) fn send_part(&self, records: BorrowedFd<'_>, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        let _whole = self.sending.lock();
        let count = u32::try_from(sockets.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.send(PART, &count.to_le_bytes(), &[records])?;
        sockets.chunks(DESCRIPTORS_MAX).try_for_each(|some| self.send(SOCKETS, &[], some))
    }

    /// Old process: says that all parts are sent.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn end_parts(&self) -> io::Result<()> {
        self.send(END, &[], &[])
    }

    /// New process: receives all parts.
    ///
    /// # Errors
    /// They do not come, or are unknown.
    pub fn receive_parts(&self) -> Result<Vec<Part>, ChannelError> {
        let mut parts = Vec::new();
        loop {
            match self.receive()? {
                (END, ..) => return Ok(parts),
                (PART, rest, records) => {
                    let count =
                        rest.first_chunk().map(|count| u32::from_le_bytes(*count)).ok_or(ChannelError::Unknown)?;
                    let records = records.into_iter().next().ok_or(ChannelError::Unknown)?;
                    let mut sockets = Vec::new();
                    while sockets.len() < count as usize {
                        match self.receive()? {
                            (SOCKETS, _, some) if !some.is_empty() => sockets.extend(some),
                            _ => return Err(ChannelError::Unknown),
                        }
                    }
                    parts.push(read_part(File::from(records), sockets)?);
                }
                _ => return Err(ChannelError::Unknown),
            }
        }
    }

    /// New process: says that it can take everything over.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn say_ready(&self) -> io::Result<()> {
        self.send(READY, &[], &[])
    }

    /// New process: says why it cannot take everything over.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn refuse(&self, reason: &str) -> io::Result<()> {
        let reason = reason.as_bytes();
        self.send(REFUSED, &reason[..reason.len().min(REASON_BYTES_MAX)], &[])
    }

    /// Old process: waits until the new one has answered, or `other` is readable, or the time is over. Returns whether
    /// it has answered or ended.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn await_answer_or(&self, other: RawFd, timeout: Duration) -> io::Result<bool> {
        await_message_or(self.as_fd(), other, timeout)
    }

    /// Old process: waits until the new one can take everything over.
    ///
    /// # Errors
    /// It cannot, or does not answer.
    pub fn await_ready(&self) -> Result<(), ChannelError> {
        match self.receive()? {
            (READY, ..) => Ok(()),
            _ => Err(ChannelError::Unknown),
        }
    }

    /// Old process: gives everything to the new one.
    ///
    /// # Errors
    /// The kernel's error: the new process has ended.
    pub fn commit(&self) -> io::Result<()> {
        self.send(COMMIT, &[], &[])
    }

    /// Old process, after the commit: waits until the new one serves or has ended, or the time is over.
    pub fn await_end(&self, within: Duration) {
        // Ignored: whatever has come, this process ends.
        let _ = await_message_or(self.as_fd(), NO_DESCRIPTOR, within);
    }

    /// New process: waits for the commit.
    ///
    /// # Errors
    /// The old process goes on, or has ended.
    pub fn await_commit(&self) -> Result<(), ChannelError> {
        match self.receive()? {
            (COMMIT, ..) => Ok(()),
            _ => Err(ChannelError::Unknown),
        }
    }
}

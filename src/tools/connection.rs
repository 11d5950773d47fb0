//! A connection to the server that a tool speaks to.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::sys::error::error_text;
use crate::tls::{MAY_NEED_TLS, NEEDS_TLS, is_tls};

use super::address::ServerAddress;
use super::failure::ToolFailure;
use super::remote::RemoteServer;

/// A server that is silent for longer than this has failed.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Bytes that are sent at once.
const SEND_BYTES: usize = 64 << 10;
/// Longest line of a reply or a file. A key has at most 250 bytes, which are 750 in URI encoding.
pub(super) const LINE_BYTES_MAX: u64 = 4096;
/// Name of the environment variable with the user and the password for a server that wants them: `user:password`.
pub(super) const USER_VARIABLE: &str = "LARDER_USER";

/// Statistics by name.
pub type StatRows = HashMap<String, String>;

/// What a stream of either kind can do.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection, which reads lines and values.
pub struct ServerConnection {
    stream: BufReader<Box<dyn Stream>>,
    /// Bytes to be sent.
    unsent: Vec<u8>,
    name: String,
    /// Whether the server may expect TLS: the tool does not use it, and no reply has come.
    may_need_tls: bool,
}

impl ServerConnection {
    /// Connects, and authenticates if the environment names a user. Each later wait has this limit.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses the user.
    pub fn open(remote: &RemoteServer, silence_max: Duration) -> Result<Self, ToolFailure> {
        let stream = connect(remote, silence_max).map_err(ToolFailure::server(format!("connect to {remote}")))?;
        let may_need_tls = remote.tls.is_none() && matches!(remote.address, ServerAddress::Tcp(..));
        let (stream, unsent) = (BufReader::new(stream), Vec::new());
        let mut connection = Self { stream, unsent, name: remote.to_string(), may_need_tls };
        if let Some(user) = env::var(USER_VARIABLE).ok().filter(|user| !user.is_empty()) {
            connection.authenticate(&user)?;
        }
        Ok(connection)
    }

    fn authenticate(&mut self, user: &str) -> Result<(), ToolFailure> {
        let words = user.replacen(':', " ", 1);
        self.send(format!("set auth 0 0 {}\r\n{words}\r\n", words.len()).as_bytes())?;
        match self.line()?.as_slice() {
            b"STORED" => Ok(()),
            line => Err(self.unexpected(line)),
        }
    }

    /// Adds bytes to those to be sent. Sends them if there are many.
    pub(super) fn queue(&mut self, bytes: &[u8]) -> Result<(), ToolFailure> {
        self.unsent.extend_from_slice(bytes);
        if self.unsent.len() >= SEND_BYTES { self.send(&[]) } else { Ok(()) }
    }

    /// Sends all bytes, behind those that wait to be sent.
    ///
    /// # Errors
    /// The server does not read, or has gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ToolFailure> {
        self.unsent.extend_from_slice(bytes);
        let stream = self.stream.get_mut();
        let sent = stream.write_all(&self.unsent).and_then(|()| stream.flush());
        self.unsent.clear();
        sent.map_err(ToolFailure::server(format!("send to {}", self.name)))
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// The server has gone, or its line is too long.
    pub fn line(&mut self) -> Result<Vec<u8>, ToolFailure> {
        let what = format!("read from {}", self.name);
        if self.may_need_tls {
            match self.stream.fill_buf() {
                Ok([]) => return Err(ToolFailure::Server(format!("{}; {MAY_NEED_TLS}", self.closed()))),
                Ok(received) if is_tls(received) => return Err(ToolFailure::Server(format!("{what}: {NEEDS_TLS}"))),
                Ok(_) => self.may_need_tls = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(ToolFailure::Server(format!("{what}: {}; {MAY_NEED_TLS}", error_text(&error))));
                }
            }
        }
        match read_line(&mut self.stream).map_err(ToolFailure::server(what))? {
            Some(line) => Ok(line),
            None => Err(ToolFailure::Server(self.closed())),
        }
    }

    fn closed(&self) -> String {
        format!("{} has closed the connection", self.name)
    }

    /// Copies a value of `len` bytes and its line end to `out`.
    pub(super) fn copy_value(&mut self, len: u64, out: &mut dyn Write) -> Result<(), ToolFailure> {
        let copied = io::copy(&mut (&mut self.stream).take(len + 2), out);
        match copied.map_err(ToolFailure::file(format!("copy a value of {}", self.name)))? {
            copied if copied == len + 2 => Ok(()),
            _ => Err(ToolFailure::Server(self.closed())),
        }
    }

    /// A value of `len` bytes, without its line end.
    ///
    /// # Errors
    /// The server has gone.
    pub fn value(&mut self, len: u64) -> Result<Vec<u8>, ToolFailure> {
        let mut value = Vec::new();
        self.copy_value(len, &mut value)?;
        value.truncate(value.len().saturating_sub(2));
        Ok(value)
    }

    /// The rows that answer a command of the `stats` family, by name.
    ///
    /// # Errors
    /// The server has gone, or refuses the command.
    pub fn rows(&mut self, command: &str) -> Result<StatRows, ToolFailure> {
        self.send(format!("{command}\r\n").as_bytes())?;
        let mut rows = StatRows::new();
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line);
            match text.strip_prefix("STAT ").and_then(|row| row.split_once(' ')) {
                Some((name, value)) => rows.insert(name.to_string(), value.to_string()),
                None if line == b"END" => return Ok(rows),
                None => return Err(self.unexpected(&line)),
            };
        }
    }

    /// The failure to understand `line`.
    pub fn unexpected(&self, line: &[u8]) -> ToolFailure {
        ToolFailure::Answer(format!("{} answers {}", self.name, line.escape_ascii()))
    }
}

fn connect(remote: &RemoteServer, silence_max: Duration) -> io::Result<Box<dyn Stream>> {
    Ok(match &remote.address {
        ServerAddress::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(silence_max))?;
            stream.set_write_timeout(Some(silence_max))?;
            match &remote.tls {
                Some(connector) => Box::new(connector.connect(stream, silence_max)?),
                None => Box::new(stream),
            }
        }
        ServerAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(silence_max))?;
            stream.set_write_timeout(Some(silence_max))?;
            Box::new(stream)
        }
    })
}

/// Reads a line of at most [`LINE_BYTES_MAX`] bytes. Returns it without its end; `None` at the end of the stream.
pub(super) fn read_line(stream: &mut impl io::BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    match line.strip_suffix(b"\n") {
        Some(text) => Ok(Some(text.strip_suffix(b"\r").unwrap_or(text).to_vec())),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is cut off or too long")),
    }
}

//! Why a tool has ended early: a one-line message and an exit code. The codes are those of sysexits.h.

use std::fmt;
use std::io;

use crate::sys::error::error_text;

/// Why a tool has failed.
#[derive(Debug)]
pub enum ToolFailure {
    /// The command line is wrong.
    Usage(String),
    /// The file is no dump, or not a whole one.
    Data(String),
    /// The server cannot be reached or has gone away.
    Server(String),
    /// The server gives another answer than the expected one. The connection can be used again.
    Answer(String),
    /// A file cannot be read or written.
    File(String),
    /// Everything was sent, and the server has not stored some of it.
    Incomplete(String),
}

impl ToolFailure {
    /// For `map_err`: a call on a file failed while doing `what`.
    pub(super) fn file(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File(format!("{what}: {}", error_text(&error)))
    }

    /// For `map_err`: a call on a connection failed while doing `what`.
    pub(super) fn server(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Server(format!("{what}: {}", error_text(&error)))
    }

    /// The message without the name of the program.
    pub fn reason(&self) -> &str {
        match self {
            Self::Usage(text)
            | Self::Data(text)
            | Self::Server(text)
            | Self::Answer(text)
            | Self::File(text)
            | Self::Incomplete(text) => text,
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Incomplete(_) => 1,
            Self::Usage(_) => 64,
            Self::Data(_) => 65,
            Self::Server(_) | Self::Answer(_) => 69,
            Self::File(_) => 74,
        }
    }
}

impl fmt::Display for ToolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "larder: {}", self.reason())
    }
}

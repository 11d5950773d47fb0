//! Why a start failed: a one-line message and an exit code. The codes are those of sysexits.h.

use std::fmt;
use std::io;

use crate::sys::error::error_text;

/// Why the process ends with an error.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The user of -u does not exist.
    NoUser(String),
    /// This process cannot take over what another one hands it.
    Upgrade(String),
    /// A system call failed.
    System {
        /// The attempted operation and its object: `listen on 10.0.0.7:11211`.
        what: String,
        /// The kernel's error.
        error: io::Error,
    },
}

impl Failure {
    /// For `map_err`: a system call failed while doing `what`.
    pub fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::System { what, error }
    }

    /// The message without the name of the program.
    pub fn reason(&self) -> String {
        match self {
            Self::Usage(text) | Self::NoUser(text) | Self::Upgrade(text) => text.clone(),
            Self::System { what, error } => format!("{what}: {}", error_text(error)),
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::NoUser(_) => 67,
            Self::Upgrade(_) | Self::System { .. } => 71,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "larder: {}", self.reason())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::Failure;

    #[test]
    fn the_line_says_what_was_tried_and_why_it_failed() {
        let failure = Failure::system("listen on 10.0.0.7:11211")(io::Error::from_raw_os_error(libc::EADDRINUSE));
        assert_eq!(failure.to_string(), "larder: listen on 10.0.0.7:11211: Address already in use");
        assert_eq!(failure.exit_code(), 71);
    }
}

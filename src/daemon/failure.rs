//! Why a start ended: one line to read, one exit code. The codes are sysexits.h's.

use std::fmt;
use std::io;

/// Why the process ends other than well.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The user of -u does not exist.
    NoUser(String),
    /// The kernel refused something.
    System {
        /// What we tried, and on what: `listen on 10.0.0.7:11211`.
        what: String,
        /// The kernel's word.
        error: io::Error,
    },
}

impl Failure {
    /// For `map_err`: the kernel refused `what`.
    pub fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::System { what, error }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::NoUser(_) => 67,
            Self::System { .. } => 71,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::NoUser(text) => write!(f, "larder: {text}"),
            Self::System { what, error } => write!(f, "larder: {what}: {}", kernels_word(error)),
        }
    }
}

/// The error's text without `(os error 98)` behind it.
pub(super) fn kernels_word(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::Failure;

    #[test]
    fn the_line_says_what_was_tried_and_the_kernels_word() {
        let failure = Failure::system("listen on 10.0.0.7:11211")(io::Error::from_raw_os_error(libc::EADDRINUSE));
        assert_eq!(failure.to_string(), "larder: listen on 10.0.0.7:11211: Address already in use");
        assert_eq!(failure.exit_code(), 71);
    }
}

//! The text of a system error, as log lines show it.

use std::io;

/// The error's text without the suffix `(os error 98)`.
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::error_text;

    #[test]
    fn the_text_has_no_number() {
        assert_eq!(error_text(&io::Error::from_raw_os_error(libc::EMFILE)), "Too many open files");
        assert_eq!(error_text(&io::Error::other("half a file")), "half a file");
    }
}

//! The file of --config: options, one per line, as in Debian's /etc/memcached.conf.
//!
//! ```text
//! # a comment
//! -m 64
//! -l 127.0.0.1
//! -d                 ignored: the command line says whether to run in the background
//! logfile /var/log   ignored: the log goes to standard error
//! ```

use std::ffi::OsString;
use std::fs;

/// The words of the options in the file `path`.
///
/// # Errors
/// The message for the operator.
pub(super) fn words_of(path: &str) -> Result<Vec<OsString>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("--config: read {path}: {}", reason(&error)))?;
    words_in(&text).map_err(|error| format!("--config: {path}: {error}"))
}

fn reason(error: &std::io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_string()
}

fn words_in(text: &str) -> Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        match line.split_whitespace().next() {
            None | Some("-d" | "--daemon" | "logfile") => {}
            Some(word) if word.starts_with('#') => {}
            Some(word) if word.starts_with('-') => words.extend(line.split_whitespace().map(OsString::from)),
            Some(_) => return Err(format!("line {number}: {line:?} does not begin with -")),
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::words_in;

    #[test]
    fn debians_file_is_understood() {
        let text = "# memcached default config file\n\n-d\nlogfile /var/log/memcached.log\n# -v\n-m 64\n-p 11211\r\n\
                    -u memcache\n  -l 127.0.0.1\n--max-item-size=2m\n-P /var/run/memcached/memcached.pid\n";
        let expected = "-m 64 -p 11211 -u memcache -l 127.0.0.1 --max-item-size=2m -P /var/run/memcached/memcached.pid";
        assert_eq!(words_in(text).unwrap(), expected.split(' ').collect::<Vec<_>>());
        assert_eq!(words_in("-m 64\nm 5\n").unwrap_err(), "line 2: \"m 5\" does not begin with -");
        assert_eq!(words_in("").unwrap(), [""; 0]);
    }
}

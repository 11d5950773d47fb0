//! The log: messages for the operator, one line each, to standard error. No caller waits for a reader.
//!
//! ```text
//! any thread ──log_line──▶ pending lines, QUEUE_BYTES at most ──▶ the log thread ──▶ standard error
//!                          └ full: the line is dropped and counted
//! ```
//!
//! A reader that stops reading (a terminal after Ctrl-S, a full pipe) blocks only the log thread. O_NONBLOCK is no
//! alternative: it belongs to the open file, which other processes share, and not every file supports it. Until the
//! log thread starts, lines are written directly.
//!
//! The lines of a running server begin with the time, in UTC. If standard error is the journal, every line begins
//! with its level instead (sd-daemon(3)), because the journal adds the time itself. With `-o log=json` a line is an
//! object: `{"time":"2026-07-09T08:15:00.250Z","level":"warning","message":"larder: …"}`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

/// The severity of a line. The numbers are syslog's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error = 3,
    /// Something differs from what was requested.
    Warning = 4,
    /// What the server does.
    Info = 6,
    /// What clients send and get.
    Debug = 7,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// Writes one line, at any verbosity.
pub fn log_line(level: Level, line: impl AsRef<[u8]>) {
    LOG.write(level, line.as_ref());
}

/// Writes each line as a JSON object from now on.
pub fn log_as_json() {
    LOG.state().is_json = true;
}

/// Starts the log thread. Must be called after the last fork.
///
/// # Errors
/// The kernel's error, if the thread cannot be started.
pub fn start_log_thread() -> io::Result<()> {
    LOG.state().is_threaded = true;
    let started = thread::Builder::new().name("log".into()).stack_size(STACK_BYTES).spawn(|| LOG.run());
    LOG.state().is_threaded = started.is_ok();
    started.map(drop)
}

/// Waits until all pending lines are written, for `FLUSH_TIMEOUT` at most. Called when the process ends.
pub fn flush_log() {
    let is_busy = |state: &mut LogState| state.is_threaded && (state.is_writing || !state.pending.is_empty());
    let waited = LOG.written.wait_timeout_while(LOG.state(), FLUSH_TIMEOUT, is_busy);
    drop(waited.unwrap_or_else(PoisonError::into_inner));
}

/// The number of lines that were dropped because standard error was not read.
pub fn log_lines_dropped() -> u64 {
    LOG.state().dropped
}

/// Maximum size of the pending lines in bytes: some thousand lines.
const QUEUE_BYTES: usize = 256 << 10;
/// Longer lines are cut to this many bytes.
const LINE_BYTES_MAX: usize = 4 << 10;
const STACK_BYTES: usize = 64 << 10;
/// A reader that still reads takes far less time.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Its mutex is below sync/ and has no rank. The holder takes no other lock.
static LOG: Log = Log {
    state: Mutex::new(LogState {
        pending: Vec::new(),
        is_json: false,
        is_threaded: false,
        is_writing: false,
        dropped: 0,
        unreported: 0,
    }),
    arrived: Condvar::new(),
    written: Condvar::new(),
};

struct Log {
    state: Mutex<LogState>,
    arrived: Condvar,
    written: Condvar,
}

struct LogState {
    pending: Vec<u8>,
    is_json: bool,
    is_threaded: bool,
    is_writing: bool,
    dropped: u64,
    /// Dropped lines that no line has reported yet.
    unreported: u64,
}

/// How a line is written. In the journal, the level takes the place of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineForm {
    /// As it is: a line of the start.
    Plain,
    /// Behind the time.
    Stamped,
    /// As a JSON object.
    Object,
}

impl LogState {
    const fn form(&self) -> LineForm {
        match (self.is_json, self.is_threaded) {
            (true, _) => LineForm::Object,
            (false, true) => LineForm::Stamped,
            (false, false) => LineForm::Plain,
        }
    }
}

impl Log {
    fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, level: Level, line: &[u8]) {
        let mut state = self.state();
        let text = compose(level, line, state.form());
        if !state.is_threaded {
            return put(&text);
        }
        if state.pending.len() + text.len() > QUEUE_BYTES {
            state.dropped += 1;
            state.unreported += 1;
            return;
        }
        state.pending.extend_from_slice(&text);
        drop(state);
        self.arrived.notify_one();
    }

    /// The loop of the log thread.
    fn run(&self) {
        let mut batch = Vec::new();
        let mut state = self.state();
        loop {
            state = self
                .arrived
                .wait_while(state, |state| state.pending.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut state.pending, &mut batch);
            let (unreported, form) = (std::mem::take(&mut state.unreported), state.form());
            state.is_writing = true;
            drop(state);
            if unreported > 0 {
                let line = format!("larder: {unreported} log lines were dropped: standard error was not read");
                batch.extend_from_slice(&compose(Level::Warning, line.as_bytes(), form));
            }
            put(&batch);
            batch.clear();
            state = self.state();
            state.is_writing = false;
            self.written.notify_all();
        }
    }
}

fn put(text: &[u8]) {
    // Ignored: if standard error is gone, nothing is left to report to.
    let _ = io::stderr().lock().write_all(text);
}

/// The line as written: time stamp or level, the text without control characters, a line feed.
fn compose(level: Level, line: &[u8], form: LineForm) -> Vec<u8> {
    let mut text = String::new();
    let line = &line[..line.len().min(LINE_BYTES_MAX)];
    if is_journal() {
        // Ignored, here and below: writing to a string does not fail.
        let _ = write!(text, "<{}>", level as u8);
    }
    match form {
        LineForm::Object => push_object(level, &time_stamp_now(), line, &mut text),
        LineForm::Stamped if !is_journal() => {
            let _ = write!(text, "{} ", time_stamp_now());
            escape(line, &mut text);
        }
        LineForm::Stamped | LineForm::Plain => escape(line, &mut text),
    }
    text.push('\n');
    text.into_bytes()
}

/// Appends the line as a JSON object.
fn push_object(level: Level, time: &str, line: &[u8], text: &mut String) {
    let mut message = String::new();
    escape(line, &mut message);
    // What is left that JSON gives a meaning to.
    let message = message.replace('\\', r"\\").replace('"', r#"\""#);
    let _ = write!(text, r#"{{"time":"{time}","level":"{}","message":"{message}"}}"#, level.name());
}

/// Appends `line` to `text`, with control characters and invalid UTF-8 escaped. People and programs read clients'
/// bytes in the log, so no byte may move a cursor or end a line.
fn escape(line: &[u8], text: &mut String) {
    for piece in line.utf8_chunks() {
        for character in piece.valid().chars() {
            if character.is_control() {
                let _ = write!(text, "{}", character.encode_utf8(&mut [0; 4]).as_bytes().escape_ascii());
            } else {
                text.push(character);
            }
        }
        let _ = write!(text, "{}", piece.invalid().escape_ascii());
    }
}

/// Whether standard error is the journal: its device and inode are those in `JOURNAL_STREAM` (systemd.exec(5)).
fn is_journal() -> bool {
    static IS_JOURNAL: OnceLock<bool> = OnceLock::new();
    *IS_JOURNAL.get_or_init(|| {
        let told = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        let file = io::stderr().as_fd().try_clone_to_owned().map(File::from);
        let here = file.and_then(|file| file.metadata()).map(|file| format!("{}:{}", file.dev(), file.ino()));
        here.is_ok_and(|here| here == told)
    })
}

#[expect(clippy::disallowed_methods, reason = "a log tells the time of day, whatever the server's clock says")]
fn unix_time() -> Duration {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The present time as `2026-07-09T08:15:00.250Z`.
pub fn time_stamp_now() -> String {
    time_stamp(unix_time())
}

/// Formats a time as `2026-07-09T08:15:00.250Z`.
fn time_stamp(unix_time: Duration) -> String {
    const DAY_S: u64 = 24 * 60 * 60;
    let (seconds, millis) = (unix_time.as_secs(), unix_time.subsec_millis());
    let (year, month, day) = date(seconds / DAY_S);
    let of_day = seconds % DAY_S;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day in the Gregorian calendar, `days` days after 1 January 1970. Years are counted from March, so
/// that a leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (400 * era + year + u64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Level, escape, push_object, time_stamp};

    #[test]
    fn an_object_is_json_whatever_clients_send() {
        let mut text = String::new();
        push_object(Level::Warning, "T", b"a \"b\" \\ \n \xff \xc3\xbc", &mut text);
        let message = r#"a \"b\" \\ \\n \\xff ü"#;
        assert_eq!(text, format!(r#"{{"time":"T","level":"warning","message":"{message}"}}"#));
    }

    #[test]
    fn a_time_stamp_is_the_date_and_time_in_utc() {
        for (unix_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_783_584_900_250, "2026-07-09T08:15:00.250Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(time_stamp(Duration::from_millis(unix_ms)), expected);
        }
    }

    #[test]
    fn nothing_in_a_line_moves_a_cursor_or_ends_it() {
        let escaped = |line: &[u8]| {
            let mut text = String::new();
            escape(line, &mut text);
            text
        };
        assert_eq!(escaped(b"<5 get \x1b[2Ja\0b\rc\nd\x7f"), "<5 get \\x1b[2Ja\\x00b\\rc\\nd\\x7f");
        assert_eq!(escaped("grün \u{9b}31m".as_bytes()), "grün \\xc2\\x9b31m");
        assert_eq!(escaped(b"a\xff\xfe"), "a\\xff\\xfe");
    }
}

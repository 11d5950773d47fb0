//! Rate-limited log lines for events that may occur by the thousand.

use super::RelTime;

/// Minimum seconds between two lines about one kind of event.
const INTERVAL_S: u32 = 10;

/// Events of one kind in one thread.
#[derive(Debug, Default)]
pub struct Repeated {
    logged_at: Option<RelTime>,
    unlogged: u64,
}

impl Repeated {
    /// Counts `events` at `now`. Returns a suffix for the log line, or `None` if no line is due.
    pub fn note(&mut self, events: u64, now: RelTime) -> Option<String> {
        self.unlogged += events;
        let is_due = self.logged_at.is_none_or(|logged_at| now.0.saturating_sub(logged_at.0) >= INTERVAL_S);
        if !is_due || self.unlogged == 0 {
            return None;
        }
        let since = if self.logged_at.replace(now).is_some() { " since the last such line" } else { "" };
        match std::mem::take(&mut self.unlogged) {
            1 => Some(String::new()),
            events => Some(format!(" ({events} times{since})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RelTime, Repeated};

    #[test]
    fn a_line_in_ten_seconds_counts_what_came_between() {
        let mut refused = Repeated::default();
        let mut note = |events, second| refused.note(events, RelTime(second));
        assert_eq!(note(0, 4), None);
        assert_eq!(note(1, 5).as_deref(), Some(""));
        assert_eq!(note(1, 5), None);
        assert_eq!(note(100, 14), None);
        assert_eq!(note(1, 15).as_deref(), Some(" (102 times since the last such line)"));
        assert_eq!(note(1, 26).as_deref(), Some(""));
        assert_eq!(Repeated::default().note(3, RelTime(5)).as_deref(), Some(" (3 times)"));
    }
}

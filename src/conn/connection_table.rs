//! The connection table: what each descriptor's connection is doing, for `stats conns`.
//!
//! ```text
//! bit  63        62 … 32      31 … 0
//!      in use    activity     second of the last command
//! ```
//!
//! One word per descriptor. Its owner writes it only when it changes, so a request costs one compare. The worker that
//! answers `stats conns` reads all words and asks the kernel for the addresses.

use std::os::fd::RawFd;

use crate::base::RelTime;
use crate::base::atomic::{AtomicU64, Ordering};
use crate::stats::ConnectionRow;
use crate::sys::socket::{Side, describe};

const IN_USE: u64 = 1 << 63;
const ACTIVITY_SHIFT: u32 = 32;

/// What a connection is doing, as `stats conns` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// A listening socket.
    Listening = 0,
    /// Waits for a request.
    Reading = 1,
    /// Waits for the rest of a value.
    ReceivingValue = 2,
    /// Waits for the rest of a value that it discards.
    Swallowing = 3,
    /// Waits until its client reads replies.
    Sending = 4,
    /// Watches.
    Watching = 5,
    /// A UDP socket, which any sender may use.
    ReceivingDatagrams = 6,
}

const ACTIVITIES: [(Activity, &str); 7] = [
    (Activity::Listening, "conn_listening"),
    (Activity::Reading, "conn_read"),
    (Activity::ReceivingValue, "conn_nread"),
    (Activity::Swallowing, "conn_swallow"),
    (Activity::Sending, "conn_mwrite"),
    (Activity::Watching, "conn_watch"),
    (Activity::ReceivingDatagrams, "conn_read"),
];

/// One word for each descriptor.
pub struct ConnectionTable {
    words: Box<[AtomicU64]>,
}

impl ConnectionTable {
    /// A table for descriptors below `descriptors_max`. Others are served, but not shown.
    pub fn new(descriptors_max: usize) -> Self {
        Self { words: (0..descriptors_max).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Notes the activity of the connection on `fd`, and the time of its last command.
    #[inline]
    pub fn note(&self, fd: RawFd, activity: Activity, last_command: RelTime) {
        let word = IN_USE | (activity as u64) << ACTIVITY_SHIFT | u64::from(last_command.0);
        if let Some(slot) = self.slot(fd)
            && slot.load(Ordering::Relaxed) != word
        {
            slot.store(word, Ordering::Relaxed);
        }
    }

    /// Removes `fd`. Call before the descriptor is closed.
    pub fn clear(&self, fd: RawFd) {
        if let Some(slot) = self.slot(fd) {
            slot.store(0, Ordering::Relaxed);
        }
    }

    /// Shows every listener and connection, lowest descriptor first.
    pub fn report(&self, now: RelTime, show: &mut dyn FnMut(&ConnectionRow<'_>)) {
        for (index, slot) in self.words.iter().enumerate() {
            let word = slot.load(Ordering::Relaxed);
            if let (true, Ok(fd)) = (word & IN_USE != 0, RawFd::try_from(index)) {
                report_one(fd, word, now, show);
            }
        }
    }

    #[inline]
    fn slot(&self, fd: RawFd) -> Option<&AtomicU64> {
        self.words.get(usize::try_from(fd).ok()?)
    }
}

fn report_one(fd: RawFd, word: u64, now: RelTime, show: &mut dyn FnMut(&ConnectionRow<'_>)) {
    let activity = (word & !IN_USE) >> ACTIVITY_SHIFT;
    let Some((activity, state)) = ACTIVITIES.iter().find(|(known, _)| *known as u64 == activity) else { return };
    // The descriptor may be closed by now.
    let Some(ours) = describe(fd, Side::Ours) else { return };
    if *activity == Activity::Listening {
        return show(&ConnectionRow { fd, addr: &ours, listen_addr: None, state, secs_since_last_cmd: 0 });
    }
    let last_command = u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0);
    let secs_since_last_cmd = u64::from(now.0.saturating_sub(last_command));
    if *activity == Activity::ReceivingDatagrams {
        let addr = ours.replacen("tcp", "udp", 1);
        return show(&ConnectionRow { fd, addr: &addr, listen_addr: None, state, secs_since_last_cmd });
    }
    let Some(theirs) = describe(fd, Side::Theirs) else { return };
    // The client's end of a unix socket has no name.
    let addr = if theirs == "unix:" { "unix:?" } else { &theirs };
    show(&ConnectionRow { fd, addr, listen_addr: Some(&ours), state, secs_since_last_cmd });
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::{Activity, ConnectionTable};
    use crate::base::RelTime;

    fn rows(connection_table: &ConnectionTable) -> Vec<(i32, String, u64)> {
        let mut rows = Vec::new();
        connection_table
            .report(RelTime(50), &mut |row| rows.push((row.fd, row.state.to_owned(), row.secs_since_last_cmd)));
        rows
    }

    #[test]
    fn a_connection_is_shown_until_it_is_cleared() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let fd = socket.as_raw_fd();
        let connection_table = ConnectionTable::new(1024);
        connection_table.note(fd, Activity::ReceivingValue, RelTime(43));
        assert_eq!(rows(&connection_table), [(fd, "conn_nread".to_owned(), 7)]);
        connection_table.note(fd, Activity::Listening, RelTime(43));
        assert_eq!(rows(&connection_table), [(fd, "conn_listening".to_owned(), 0)]);
        connection_table.clear(fd);
        assert!(rows(&connection_table).is_empty());
    }

    #[test]
    fn a_descriptor_beyond_the_table_or_closed_is_not_shown() {
        let connection_table = ConnectionTable::new(4);
        connection_table.note(4, Activity::Reading, RelTime(2));
        connection_table.note(-1, Activity::Reading, RelTime(2));
        assert!(rows(&connection_table).is_empty());
        let large = ConnectionTable::new(1 << 16);
        large.note(60_000, Activity::Reading, RelTime(2));
        assert!(rows(&large).is_empty());
    }
}

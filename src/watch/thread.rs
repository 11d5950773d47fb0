//! The watch thread: takes events from the rings, orders them, and writes them to the watchers.
//!
//! It looks every millisecond while there are events, and ten times a second otherwise. Without watchers it waits.

use std::io;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::protocol::Streams;
use crate::sync::{Mailbox, Sender, mailbox};

use super::event::push_line;
use super::hub::Hub;
use super::ring::{Noted, Record};
use super::watcher::{Presence, Watcher, WatcherView};

/// The token of the mailbox. A watcher's token is its place.
const MAIL: Token = Token(usize::MAX);
/// Shortest and longest pause between two looks at the rings.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// The call depth is small.
const STACK_BYTES: usize = 128 << 10;
/// Events of one poll.
const EVENTS_MAX: usize = 64;

/// What the watch thread is sent.
pub(super) enum WatchMail {
    /// A new watcher.
    Enter(Watcher),
    /// Work on the watchers, which stay.
    Visit(Visit),
}

/// Work on the watchers, and the number of the last event.
pub type Visit = Box<dyn FnOnce(&mut dyn Iterator<Item = WatcherView<'_>>, u64) + Send>;

struct WatchThread {
    hub: Arc<Hub>,
    watchers: Vec<Option<Watcher>>,
    /// Empty vectors to swap with the rings' full ones.
    taken: Vec<Noted>,
    /// The date of the server's start. Read again for each watcher, because the wall clock may be set.
    start_unix_us: u64,
}

/// Starts the thread. Returns the sender of its mailbox.
///
/// # Errors
/// The kernel has no descriptor or no thread.
pub(super) fn start(hub: Arc<Hub>) -> io::Result<Sender<WatchMail>> {
    let poll = Poll::new()?;
    let (sender, mailbox) = mailbox(poll.registry(), MAIL, Hub::MAIL_MAX)?;
    let thread = WatchThread { hub, watchers: Vec::new(), taken: Vec::new(), start_unix_us: 0 };
    Builder::new().name("watch".to_owned()).stack_size(STACK_BYTES).spawn(move || thread.run(poll, &mailbox))?;
    Ok(sender)
}

impl WatchThread {
    fn run(mut self, mut poll: Poll, mailbox: &Mailbox<WatchMail>) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut pause = PAUSE_MAX;
        loop {
            let has_watchers = self.watchers.iter().any(Option::is_some);
            // Ignored: a poll that a signal interrupted is repeated. Other errors do not occur on these descriptors.
            let _ = poll.poll(&mut events, has_watchers.then_some(pause));
            for event in &events {
                match event.token() {
                    MAIL => mailbox.drain().into_iter().for_each(|mail| self.handle(mail, &poll)),
                    Token(place) => self.report_input(place),
                }
            }
            let has_input = self.discard_input();
            let has_events = self.pass_on();
            self.flush();
            self.update_streams();
            pause = if has_events || has_input { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
        }
    }

    fn handle(&mut self, mail: WatchMail, poll: &Poll) {
        match mail {
            WatchMail::Enter(watcher) => self.enter(watcher, poll),
            WatchMail::Visit(visit) => {
                self.pass_on();
                self.flush();
                visit(&mut self.watchers.iter().flatten().filter_map(Watcher::view), self.hub.last_gid());
            }
        }
    }

    fn enter(&mut self, watcher: Watcher, poll: &Poll) {
        let place = self.watchers.iter().position(Option::is_none).unwrap_or(self.watchers.len());
        let fd = watcher.peer.fd();
        if poll.registry().register(&mut SourceFd(&fd), Token(place), Interest::READABLE | Interest::WRITABLE).is_err()
        {
            return;
        }
        if place == self.watchers.len() {
            self.watchers.push(None);
        }
        self.watchers[place] = Some(watcher);
        self.start_unix_us = self.hub.start_unix_us();
        self.update_streams();
    }

    /// Notes a watcher whose socket the kernel reports.
    fn report_input(&mut self, place: usize) {
        if let Some(watcher) = self.watchers.get_mut(place).and_then(Option::as_mut) {
            watcher.report_input();
        }
    }

    /// Discards what watchers have sent. Returns whether some of it is left to the next turn.
    fn discard_input(&mut self) -> bool {
        for slot in &mut self.watchers {
            let discards =
                |watcher: &mut Watcher| watcher.may_have_input() && watcher.discard_input() == Presence::Gone;
            if slot.as_mut().is_some_and(discards) {
                *slot = None;
            }
        }
        self.watchers.iter().flatten().any(Watcher::may_have_input)
    }

    /// Tells the workers which streams are wanted.
    fn update_streams(&self) {
        let streams = self.watchers.iter().flatten().fold(Streams::NONE, |all, watcher| all.with(watcher.streams));
        self.hub.set_streams(streams);
    }

    /// Moves all noted events to the watchers that want them. Returns whether there were any.
    fn pass_on(&mut self) -> bool {
        let rings = self.hub.rings.lock().clone();
        self.taken.resize_with(rings.len(), Noted::default);
        for (ring, noted) in rings.iter().zip(&mut self.taken) {
            ring.swap(noted);
        }
        let mut all: Vec<(Record, &[u8])> = Vec::new();
        for noted in &self.taken {
            let mut subjects = &noted.subjects[..];
            for record in &noted.records {
                let (subject, rest) = subjects.split_at(usize::from(record.subject_len).min(subjects.len()));
                all.push((*record, subject));
                subjects = rest;
            }
        }
        all.sort_unstable_by_key(|(record, _)| record.gid);
        let mut line = String::new();
        for (record, subject) in &all {
            line.clear();
            for watcher in self.watchers.iter_mut().flatten() {
                if watcher.wants(&record.event, subject) {
                    if line.is_empty() {
                        push_line(&mut line, self.start_unix_us + record.at_us, record.gid, &record.event, subject);
                    }
                    watcher.push(&line, &self.hub);
                }
            }
        }
        let has_events = !all.is_empty();
        for noted in &mut self.taken {
            for watcher in self.watchers.iter_mut().flatten() {
                watcher.skip(noted.lost_of(watcher.streams));
            }
            noted.clear();
        }
        has_events
    }

    fn flush(&mut self) {
        for slot in &mut self.watchers {
            if slot.as_mut().is_some_and(|watcher| watcher.flush() == Presence::Gone) {
                *slot = None;
            }
        }
    }
}

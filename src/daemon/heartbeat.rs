//! What the service manager hears from a running server: its load, and that its threads take turns.
//!
//! ```text
//! dispatcher ──Mail::Answer──▶ every worker: adds 1
//!     └ the next time: all have answered? ──yes──▶ WATCHDOG=1, and it asks again       no ──▶ silence
//! ```
//!
//! Runs on the dispatcher's thread. So silence means that the dispatcher or a worker does not come to its mail. The
//! manager then kills the process (`WatchdogSec=`) and starts it again.

use std::sync::Arc;
use std::time::Duration;

use crate::dispatcher::Timer;
use crate::sync::Sender;
use crate::worker::{Answers, Mail};

use super::notify::ServiceManager;
use super::operator::Process;

/// How often the load is sent, if the manager's watchdog does not ask for more.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// Heartbeats in the time after which the manager kills the process. An answer is seen one heartbeat later, and a
/// worker may be late once.
const BEATS_PER_TIMEOUT: u32 = 4;

/// The heartbeat of a process that has a service manager.
pub(super) fn heartbeat(
    manager: &Arc<ServiceManager>,
    process: &Arc<Process>,
    workers: Vec<Sender<Mail>>,
) -> Option<Timer> {
    if !manager.is_there() {
        return None;
    }
    let every = manager.watchdog().map_or(STATUS_EVERY, |timeout| STATUS_EVERY.min(timeout / BEATS_PER_TIMEOUT));
    let (manager, process) = (Arc::clone(manager), Arc::clone(process));
    let mut inquiry = Inquiry::new(workers);
    let mut said = String::new();
    let run = move || {
        if inquiry.is_answered() {
            if manager.watchdog().is_some() {
                manager.alive();
            }
            inquiry.begin();
        }
        inquiry.ask();
        let status = status(&process);
        if status != said {
            manager.status(&status);
            said = status;
        }
    };
    Some(Timer { every, run: Box::new(run) })
}

/// The load in one line, which `systemctl status` shows.
fn status(process: &Process) -> String {
    format!("{} items, {} clients", process.store.items(), process.gate.current())
}

/// A question to all workers.
struct Inquiry {
    workers: Vec<Sender<Mail>>,
    /// The workers that have the question.
    asked: usize,
    answers: Arc<Answers>,
}

impl Inquiry {
    fn new(workers: Vec<Sender<Mail>>) -> Self {
        Self { workers, asked: 0, answers: Arc::default() }
    }

    fn is_answered(&self) -> bool {
        self.answers.count() == self.workers.len()
    }

    fn begin(&mut self) {
        (self.asked, self.answers) = (0, Arc::default());
    }

    /// Asks the workers that were not asked yet, up to one whose mailbox is full. That one is asked the next time.
    fn ask(&mut self) {
        let rest = &self.workers[self.asked..];
        let asked = rest.iter().take_while(|worker| worker.post(Mail::Answer(Arc::clone(&self.answers))).is_ok());
        self.asked += asked.count();
    }
}

#[cfg(test)]
mod tests {
    use mio::{Poll, Token};

    use super::{Inquiry, Mail};
    use crate::sync::mailbox;

    #[test]
    fn an_inquiry_ends_when_the_last_worker_has_answered() {
        let polls = [Poll::new().unwrap(), Poll::new().unwrap()];
        let (senders, mailboxes): (Vec<_>, Vec<_>) =
            polls.iter().map(|poll| mailbox::<Mail>(poll.registry(), Token(0), 1).unwrap()).unzip();
        let mut inquiry = Inquiry::new(senders);
        let answer = |worker: usize| {
            for mail in mailboxes[worker].drain() {
                if let Mail::Answer(answers) = mail {
                    answers.add();
                }
            }
        };
        inquiry.ask();
        assert!(!inquiry.is_answered());
        answer(0);
        assert!(!inquiry.is_answered(), "worker 1 does not take turns");
        inquiry.ask();
        answer(1);
        assert!(inquiry.is_answered(), "each was asked once");
        inquiry.begin();
        assert!(!inquiry.is_answered());
        // The second mailbox is full: its worker is asked as soon as it has read its mail.
        assert!(inquiry.workers[1].post(Mail::Turn).is_ok());
        inquiry.ask();
        answer(0);
        answer(1);
        assert!(!inquiry.is_answered());
        inquiry.ask();
        answer(1);
        assert!(inquiry.is_answered());
    }
}

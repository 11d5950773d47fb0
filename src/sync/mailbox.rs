//! A mailbox: a bounded queue from many threads to one. New mail wakes the owner from its poll.
//!
//! ```text
//! Sender ──post──▶ [ mail, mail, … ] ──drain──▶ the owner, when its poll reports the waker's token
//! ```
//!
//! Mail is rare (a new client, a request to stop), so a mutex is fast enough. Only the first mail in an empty queue
//! wakes the owner. Later mail needs no wake-up, because the owner takes all mail at once.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use mio::{Registry, Token, Waker};

use super::leaf::Leaf;

/// Creates a mailbox for up to `mail_max` mails. It reports new mail to `registry`'s poll as `token`.
///
/// # Errors
/// The kernel's error if it has no descriptor for the wake-up.
pub fn mailbox<T>(registry: &Registry, token: Token, mail_max: usize) -> io::Result<(Sender<T>, Mailbox<T>)> {
    let waker = Waker::new(registry, token)?;
    let shared = Arc::new(MailboxState { queue: Leaf::default(), mail_max, waker });
    Ok((Sender(Arc::clone(&shared)), Mailbox(shared)))
}

struct MailboxState<T> {
    queue: Leaf<VecDeque<T>>,
    mail_max: usize,
    waker: Waker,
}

/// The sending end. Any number of threads may hold one.
pub struct Sender<T>(Arc<MailboxState<T>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Sender<T> {
    /// Puts `mail` into the mailbox and wakes the owner.
    ///
    /// # Errors
    /// The mailbox is full. The mail is handed back.
    pub fn post(&self, mail: T) -> Result<(), T> {
        let was_empty = {
            let mut queue = self.0.queue.lock();
            if queue.len() >= self.0.mail_max {
                return Err(mail);
            }
            queue.push_back(mail);
            queue.len() == 1
        };
        if was_empty {
            self.wake();
        }
        Ok(())
    }

    /// Wakes the owner without sending mail.
    pub fn wake(&self) {
        // Ignored: a write to our own eventfd fails only if its counter is full. The owner then already has a pending
        // wake-up.
        let _ = self.0.waker.wake();
    }
}

/// The receiving end.
pub struct Mailbox<T>(Arc<MailboxState<T>>);

impl<T> Mailbox<T> {
    /// Removes and returns all mail, oldest first.
    pub fn drain(&self) -> VecDeque<T> {
        std::mem::take(&mut *self.0.queue.lock())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::mailbox;

    const MAIL: Token = Token(7);

    #[test]
    fn mail_from_two_threads_wakes_the_owner_and_is_all_there() {
        let mut poll = Poll::new().unwrap();
        let (sender, mailbox) = mailbox(poll.registry(), MAIL, 100).unwrap();
        let threads = [0, 1].map(|half| {
            let sender = sender.clone();
            std::thread::spawn(move || (0..50).for_each(|n| sender.post(half * 50 + n).expect("there is room")))
        });
        let (mut events, mut got) = (Events::with_capacity(4), Vec::new());
        while got.len() < 100 {
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(events.iter().any(|event| event.token() == MAIL), "mail without a wake-up");
            got.extend(mailbox.drain());
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(got.iter().filter(|n| **n < 50).is_sorted(), "one sender's mail keeps its order");
        got.sort_unstable();
        assert_eq!(got, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_box_gives_the_mail_back() {
        let poll = Poll::new().unwrap();
        let (sender, mailbox) = mailbox(poll.registry(), MAIL, 2).unwrap();
        assert_eq!([1, 2, 3].map(|mail| sender.post(mail)), [Ok(()), Ok(()), Err(3)]);
        assert_eq!(mailbox.drain(), [1, 2]);
        assert_eq!(sender.post(3), Ok(()));
    }
}

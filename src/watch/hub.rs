//! The hub: what workers, jobs and the watch thread share.

use std::io;
use std::sync::{Arc, OnceLock};

use crate::base::Clock;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::protocol::Streams;
use crate::sync::{Leaf, Sender};

use super::event::Event;
use super::ring::{EventRing, Pushed};
use super::thread::{self, Visit, WatchMail};
use super::watcher::Watcher;

/// Most watchers at a time, as in memcached.
const WATCHERS_MAX: u32 = 20;
/// Number of rings for threads that are no workers. Threads whose numbers have the same remainder share a ring.
const SHARED_RINGS: usize = 8;
/// The smallest ring and the smallest buffer, in bytes. Both hold a few lines.
const LOG_BYTES_MIN: usize = 4 << 10;

/// Sizes, from the settings.
#[derive(Clone, Copy, Debug)]
pub struct HubConfig {
    /// Bytes of a worker's ring.
    pub ring_bytes: usize,
    /// Bytes of a watcher's buffer.
    pub buffer_bytes: usize,
}

/// Takes events, and passes them to watchers.
pub struct Hub {
    clock: Arc<Clock>,
    config: HubConfig,
    /// The streams of all watchers.
    streams: AtomicU32,
    /// Switches the events of the store on and off.
    store_switch: OnceLock<Box<dyn Fn(bool) + Send + Sync>>,
    watchers: AtomicU32,
    gid: AtomicU64,
    pub(super) rings: Leaf<Vec<Arc<EventRing>>>,
    shared_rings: [Arc<EventRing>; SHARED_RINGS],
    /// The mailbox of the watch thread, once it runs.
    thread: OnceLock<Sender<WatchMail>>,
    /// Held while the thread is started, so that only one is.
    starting: Leaf<()>,
    dropped: AtomicU64,
    written: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) sent: AtomicU64,
}

/// The rows of `stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchFigures {
    /// Events that found their ring full.
    pub worker_dropped: u64,
    /// Events that were noted.
    pub worker_written: u64,
    /// Lines that found the buffer of their watcher full.
    pub watcher_skipped: u64,
    /// Lines that were put into a watcher's buffer.
    pub watcher_sent: u64,
    /// Watchers.
    pub watchers: u64,
}

/// A place among the watchers. Dropping it frees the place.
pub struct Permit(Arc<Hub>);

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Permit {
    /// Its hub.
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.0
    }
}

/// Why a client cannot watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPermit {
    /// There are too many watchers.
    TooMany,
    /// The system has no thread or descriptor.
    Failed,
}

impl Hub {
    /// A hub without watchers.
    pub fn new(clock: Arc<Clock>, config: HubConfig) -> Arc<Self> {
        let ring_bytes = config.ring_bytes.max(LOG_BYTES_MIN);
        let buffer_bytes = config.buffer_bytes.max(LOG_BYTES_MIN);
        let config = HubConfig { ring_bytes, buffer_bytes };
        let shared_rings: [Arc<EventRing>; SHARED_RINGS] =
            std::array::from_fn(|_| Arc::new(EventRing::new(ring_bytes)));
        Arc::new(Self {
            clock,
            config,
            streams: AtomicU32::new(0),
            store_switch: OnceLock::new(),
            watchers: AtomicU32::new(0),
            gid: AtomicU64::new(0),
            rings: Leaf::new(shared_rings.to_vec()),
            shared_rings,
            thread: OnceLock::new(),
            starting: Leaf::default(),
            dropped: AtomicU64::new(0),
            written: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        })
    }

    /// A ring for one more worker.
    pub fn join(&self) -> Arc<EventRing> {
        let ring = Arc::new(EventRing::new(self.config.ring_bytes));
        self.rings.lock().push(Arc::clone(&ring));
        ring
    }

    /// Whether a client watches. A worker asks once per turn.
    #[inline]
    pub fn is_watched(&self) -> bool {
        self.streams.load(Ordering::Relaxed) != 0
    }

    /// Whether any watcher wants one of `streams`.
    pub fn wants(&self, streams: Streams) -> bool {
        Streams::from_bits(self.streams.load(Ordering::Relaxed)).meets(streams)
    }

    /// Sets the function that switches the events of the store on and off. Only the first call has an effect.
    pub fn on_store_watched(&self, switch: impl Fn(bool) + Send + Sync + 'static) {
        // Ignored: there is one store.
        let _ = self.store_switch.set(Box::new(switch));
    }

    /// Sets the streams of all watchers.
    pub(super) fn set_streams(&self, streams: Streams) {
        let of_store = Streams::EVICTIONS.with(Streams::EXPIRATIONS);
        if let Some(switch) = self.store_switch.get() {
            switch(streams.meets(of_store));
        }
        self.streams.store(streams.bits(), Ordering::Relaxed);
    }

    /// Notes an event in `ring`, if a watcher wants it.
    #[cold]
    pub fn note(&self, ring: &EventRing, event: Event, subject: &[u8]) {
        if !self.wants(event.stream()) {
            return;
        }
        let gid = self.gid.fetch_add(1, Ordering::Relaxed) + 1;
        let pushed = ring.push(gid, self.clock.real_us(), event, subject);
        let counter = if pushed == Pushed::Lost { &self.dropped } else { &self.written };
        counter.fetch_add(1, Ordering::Relaxed);
        if pushed == Pushed::HalfFull
            && let Some(thread) = self.thread.get()
        {
            thread.wake();
        }
    }

    /// As [`Hub::note`], for an event of a thread without a ring of its own. The thread's number chooses one of the
    /// shared rings, so that threads seldom wait for each other.
    #[cold]
    pub fn note_elsewhere(&self, thread: usize, event: Event, subject: &[u8]) {
        self.note(&self.shared_rings[thread % SHARED_RINGS], event, subject);
    }

    /// A place for one more watcher.
    ///
    /// # Errors
    /// [`NoPermit`] gives the reason.
    pub fn admit(self: &Arc<Self>) -> Result<Permit, NoPermit> {
        let below = |watchers| (watchers < WATCHERS_MAX).then_some(watchers + 1);
        if self.watchers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).is_err() {
            return Err(NoPermit::TooMany);
        }
        let permit = Permit(Arc::clone(self));
        self.start().map_err(|_| NoPermit::Failed)?;
        Ok(permit)
    }

    /// Starts the watch thread, if it does not run yet.
    ///
    /// # Errors
    /// The kernel has no descriptor or no thread.
    pub fn start(self: &Arc<Self>) -> io::Result<()> {
        let _starting = self.starting.lock();
        if self.thread.get().is_none() {
            let sender = thread::start(Arc::clone(self))?;
            // Ignored: only the holder of the lock sets it.
            let _ = self.thread.set(sender);
        }
        Ok(())
    }

    /// Passes a watcher to the watch thread.
    pub fn add(&self, watcher: Watcher) {
        if let Some(thread) = self.thread.get() {
            // Ignored: the mailbox has room for all watchers.
            let _ = thread.post(WatchMail::Enter(watcher));
        }
    }

    /// Lets the watch thread do `visit` between two looks at its rings. False: there is no such thread, or it is busy.
    pub fn visit(&self, visit: Visit) -> bool {
        self.thread.get().is_some_and(|thread| thread.post(WatchMail::Visit(visit)).is_ok())
    }

    /// The number of the last event.
    pub(super) fn last_gid(&self) -> u64 {
        self.gid.load(Ordering::Relaxed)
    }

    /// Numbers later events from `gid` on.
    pub fn skip_to(&self, gid: u64) {
        self.gid.fetch_max(gid, Ordering::Relaxed);
    }

    /// Bytes of a watcher's buffer.
    pub(super) const fn buffer_bytes(&self) -> usize {
        self.config.buffer_bytes
    }

    /// The date of the start, in microseconds since 1970.
    pub(super) fn start_unix_us(&self) -> u64 {
        self.clock.start_unix_us()
    }

    /// The rows of `stats`.
    pub fn figures(&self) -> WatchFigures {
        WatchFigures {
            worker_dropped: self.dropped.load(Ordering::Relaxed),
            worker_written: self.written.load(Ordering::Relaxed),
            watcher_skipped: self.skipped.load(Ordering::Relaxed),
            watcher_sent: self.sent.load(Ordering::Relaxed),
            watchers: u64::from(self.watchers.load(Ordering::Relaxed)),
        }
    }

    /// Most mails that wait for the watch thread.
    pub(super) const MAIL_MAX: usize = WATCHERS_MAX as usize + 1;
}

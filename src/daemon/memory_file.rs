//! The store and its clock, with or without a memory file (-e).

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::base::Clock;
use crate::restart::{
    ClassChange, FileClaim, Handed, OpenError, Opened, Report, Started, create_in_memory, open, open_in_memory, stamped,
};
use crate::settings::{DESCRIPTOR_STORE, Settings};
use crate::stats::RestartGauges;
use crate::store::{Jobs, LeftItems, RecoveryReport, Store};
use crate::sys::error::error_text;
use crate::sys::log::{Level, log_line};
use crate::sys::passing::memory_file;

use super::activation::ITEMS_NAME;
use super::failure::Failure;
use super::notify::ServiceManager;
use super::plan::store_config;
use super::predecessor::ReceivedItems;
use super::replication::NodeView;
use super::shutdown::Workers;

/// A store that is ready to serve, or that will be once another process has given it up.
pub(super) struct ReadyStore {
    pub(super) store: &'static Store,
    pub(super) clock: Arc<Clock>,
    /// `None`: another process has not given it up.
    pub(super) gauges: Option<RestartGauges>,
    /// With -x.
    pub(super) replication: Option<NodeView>,
}

impl ReadyStore {
    /// Leaves the memory file as clean as it was found, because the start fails.
    pub(super) fn give_back(&self, settings: &Settings) {
        // Ignored: the next start then finds an unclean end.
        let _ = self.store.close(recovery_threads(settings), stamped(&self.clock));
    }
}

/// Builds the store. With a memory file, it takes over the file's items and logs what it kept. `hash_seed` is that of a
/// mesh. `passed` is the memory that the service manager has kept.
pub(super) fn build_store(
    settings: &Settings,
    hash_seed: Option<u64>,
    passed: Option<File>,
    manager: &ServiceManager,
) -> Result<ReadyStore, Failure> {
    if passed.is_some() && !settings.is_kept_by_manager() {
        manager.forget(ITEMS_NAME);
    }
    let Some(path) = settings.memory_file.as_deref() else {
        let (store, clock) = build_in_memory(settings, hash_seed)?;
        return Ok(ReadyStore { store, clock, gauges: Some(RestartGauges::default()), replication: None });
    };
    let watch = Clock::start();
    let opened = if settings.is_kept_by_manager() {
        passed.map_or_else(|| new_kept_memory(manager), Ok).map(|file| open_in_memory(file, settings))?
    } else {
        open(path, settings)
    };
    let Opened { file, started, clock, dropped, change } = opened.map_err(|error| failure(path, error))?;
    let clock = Arc::new(clock);
    let store = Store::in_file(store_config(settings, hash_seed), Arc::clone(&clock), file)
        .map_err(Failure::system(format!("-e, --memory-file: map {}", path.display())))?;
    let recovery = match started {
        Started::Cold => RecoveryReport::default(),
        Started::Clean => store.recover(recovery_threads(settings), LeftItems::Clean),
        Started::Unclean => store.recover(recovery_threads(settings), LeftItems::Unclean),
    };
    store.leave_classes(change != ClassChange::None);
    let report = Report { started, recovery, dropped, change, ready_us: watch.real_us() };
    log_line(Level::Info, report.line(path));
    Ok(ReadyStore { store, clock, gauges: Some(report.gauges()), replication: None })
}

/// New memory for items, which the service manager keeps.
fn new_kept_memory(manager: &ServiceManager) -> Result<File, Failure> {
    let what = format!("-e, --memory-file: {DESCRIPTOR_STORE}");
    let file = memory_file().map_err(Failure::system(format!("{what} make a memory file")))?;
    if !manager.is_there() {
        return Err(Failure::Usage(format!("{what} needs a service manager, which $NOTIFY_SOCKET names")));
    }
    let kept = manager.keep(ITEMS_NAME, file.as_fd());
    kept.map_err(Failure::system(format!("{what} pass the memory to the service manager")))?;
    Ok(file)
}

/// Time for which items stay where they are after each move, as a multiple of what the move took.
const PAUSE_FACTOR: u32 = 1;

/// Moves the items to a file in memory that another process can take over, while workers serve.
pub(super) fn move_to_file(store: &Store, settings: &Settings) -> Result<(), String> {
    if store.is_in_file() {
        return Ok(());
    }
    let failed = |error: io::Error| format!("move the items to a memory file: {}", error_text(&error));
    let file = memory_file().and_then(|file| create_in_memory(file, settings)).map_err(failed)?;
    loop {
        let watch = Clock::start();
        if store.move_some_to_file(&file).map_err(failed)? {
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_micros(watch.real_us()) * PAUSE_FACTOR);
    }
}

/// Builds the store in memory of this process.
fn build_in_memory(settings: &Settings, hash_seed: Option<u64>) -> Result<(&'static Store, Arc<Clock>), Failure> {
    let clock = Arc::new(Clock::start());
    let store = Store::new(store_config(settings, hash_seed), Arc::clone(&clock))
        .map_err(Failure::system("-m, --memory-limit: reserve memory for items"))?;
    Ok((store, clock))
}

/// The items of another process, which still holds them.
pub(super) struct HandedItems {
    store: &'static Store,
    clock: Arc<Clock>,
    claim: FileClaim,
    change: ClassChange,
    index: File,
}

impl HandedItems {
    /// Maps the memory of the items. Nothing in it is changed. `state` is what the other process says of them.
    pub(super) fn map(items: ReceivedItems, state: &[u8], settings: &Settings) -> Result<Self, Failure> {
        let handed = Handed::examine(items.memory, items.mapped, state, settings).map_err(Failure::Upgrade)?;
        let claim = handed.claim();
        let clock = Arc::new(handed.clock);
        let mut config = store_config(settings, None);
        // All other threads have joined when these read the items.
        config.threads_max += recovery_threads(settings);
        let store = Store::in_file(config, Arc::clone(&clock), handed.file)
            .map_err(Failure::system("upgrade: map the memory of items"))?;
        Ok(Self { store, clock, claim, change: handed.change, index: items.index })
    }

    /// The store, for threads that wait.
    pub(super) fn store(&self) -> ReadyStore {
        ReadyStore { store: self.store, clock: Arc::clone(&self.clock), gauges: None, replication: None }
    }

    /// Takes the items over. The other process has given them up, and no thread of this one uses them yet.
    pub(super) fn take_over(self, settings: &Settings) -> RestartGauges {
        let Self { store, clock, claim, change, index } = self;
        let began_us = clock.real_us();
        claim.take_over(&clock);
        let recovery = store.recover(recovery_threads(settings), LeftItems::HandedOver(&index));
        store.leave_classes(change != ClassChange::None);
        let ready_us = clock.real_us().saturating_sub(began_us);
        Report { started: Started::Clean, recovery, dropped: None, change, ready_us }.gauges()
    }
}

/// The number of threads that read the file, or write its index in an upgrade. It is the number of workers (-t), but at
/// most one per core.
pub(super) fn recovery_threads(settings: &Settings) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.min(settings.threads as usize)
}

fn failure(path: &Path, error: OpenError) -> Failure {
    let path = path.display();
    match error {
        OpenError::Refused(reason) => Failure::Usage(format!("-e, --memory-file: {path}: {reason}")),
        OpenError::System(what, error) => Failure::System { what: format!("-e, --memory-file: {what} {path}"), error },
    }
}

/// What the end of the process needs of the store.
pub(super) struct StoreEnd {
    path: Option<PathBuf>,
    store: &'static Store,
    clock: Arc<Clock>,
    jobs: Jobs,
    /// Threads that read the pages and write the index.
    threads: usize,
}

impl StoreEnd {
    /// Starts the background jobs.
    pub(super) fn start_jobs(settings: &Settings, store: &'static Store, clock: &Arc<Clock>) -> Result<Self, Failure> {
        let jobs = store.start_jobs().map_err(Failure::system("start background threads under ulimit -u and -v"))?;
        Ok(Self {
            path: settings.memory_file.clone(),
            store,
            clock: Arc::clone(clock),
            jobs,
            threads: recovery_threads(settings),
        })
    }

    /// Stops the workers if the end is graceful or there is a memory file, which is left clean. `stop_node` stops what
    /// else changes items. It learns whether the next process has the items. A failure is only logged: the next start
    /// then finds an unclean end.
    pub(super) fn stop(self, is_graceful: bool, workers: Workers, stop_node: impl FnOnce(bool)) {
        let Self { path, store, clock, jobs, threads } = self;
        let Some(path) = path.as_deref() else {
            if is_graceful {
                workers.stop();
            }
            return stop_node(false);
        };
        if !workers.stop() {
            stop_node(false);
            return log_unclean(path, "a worker has too many new clients");
        }
        // A job may carry out a flush, of which the node then keeps the version.
        jobs.stop();
        stop_node(true);
        if let Err(error) = store.close(threads, stamped(&clock)) {
            log_unclean(path, &error_text(&error));
        }
    }
}

fn log_unclean(path: &Path, why: &str) {
    log_line(Level::Warning, format!("larder: -e, --memory-file: close {}: {why}", path.display()));
}

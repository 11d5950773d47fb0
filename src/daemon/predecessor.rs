//! The process that has started this one, and what it hands over (SIGUSR2 there).
//!
//! ```text
//! Predecessor::find ──▶ options are read ──▶ receive: items, sockets, clients ──▶ threads start, and wait
//!                                                                              commit ──▶ they serve
//! ```
//!
//! upgrade/mod.rs draws the exchange. Before the commit nothing is changed that the old process needs. After it nothing
//! can fail that would end this process.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::counters::Counters;
use crate::dispatcher::{Bound, HandedSockets, Listener};
use crate::restart::map_ahead;
use crate::settings::{ListenerTls, Settings};
use crate::sys::mapping::Mapping;
use crate::sys::passing::take_inherited;
use crate::sys::socket::peer_ip;
use crate::upgrade::{ConnectionRecord, Part, PartRecord, ProcessRecord, UpgradeChannel, WatcherRecord};
use crate::watch::Watcher;
use crate::worker::{ClientGate, Shared};

use super::failure::Failure;
use super::program::SOCKET_VARIABLE;

/// Time in which the old process must send each message.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The process that has started this one, to be replaced by it.
pub(super) struct Predecessor(UpgradeChannel);

/// A client, and what is known of it.
pub(super) type ReceivedClient = (OwnedFd, ConnectionRecord);

/// Everything that the old process hands over.
pub(super) struct ReceivedProcess {
    pub(super) items: ReceivedItems,
    /// Listeners and UDP sockets.
    pub(super) sockets: HandedSockets,
    /// Numbers, and the moment at which the old process paused.
    pub(super) process: ProcessRecord,
    pub(super) clients: ReceivedClients,
}

/// The items.
pub(super) struct ReceivedItems {
    /// Their memory.
    pub(super) memory: File,
    /// What of it is mapped ahead.
    pub(super) mapped: Option<Mapping>,
    /// The index.
    pub(super) index: File,
}

/// The clients of the old process; empty without an old process.
#[derive(Default)]
pub(super) struct ReceivedClients {
    /// By the worker that they had.
    of_workers: Vec<Vec<ReceivedClient>>,
    /// Those that watch.
    watchers: Vec<(OwnedFd, WatcherRecord)>,
}

fn failure(reason: impl ToString) -> Failure {
    Failure::Upgrade(reason.to_string())
}

impl Predecessor {
    /// The process that has started this one, if `variable`, which looks up an environment variable, names its socket.
    pub(super) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, Failure> {
        let Some(number) = variable(SOCKET_VARIABLE) else { return Ok(None) };
        let what = format!("{SOCKET_VARIABLE}: inherit a socket");
        let number = number.to_str().and_then(|number| number.parse().ok()).unwrap_or(-1);
        let peer = UpgradeChannel::from(take_inherited(number).map_err(Failure::system(what.clone()))?);
        peer.set_timeout(ANSWER_WITHIN).map_err(Failure::system(what))?;
        Ok(Some(Self(peer)))
    }

    /// Maps the memory of the items, says hello, and receives everything. The old process pauses after the hello.
    pub(super) fn receive(&self, settings: &Settings) -> Result<ReceivedProcess, Failure> {
        let memory = File::from(self.0.receive_items().map_err(failure)?);
        let mapped = map_ahead(&memory, settings);
        let what = "upgrade: send to the old process";
        self.0.say_hello(env!("CARGO_PKG_VERSION")).map_err(Failure::system(what))?;
        let mut received = ReceivedProcess::from_parts(self.0.receive_parts().map_err(failure)?, settings)?;
        received.items.mapped = mapped.filter(|_| is_same(&memory, &received.items.memory));
        Ok(received)
    }

    /// Says that this process can serve, and waits until it may.
    pub(super) fn commit(&self) -> Result<(), Failure> {
        self.0.say_ready().map_err(Failure::system("upgrade: send to the old process"))?;
        self.0.await_commit().map_err(failure)
    }

    /// Says why this process cannot serve.
    pub(super) fn refuse(&self, failure: &Failure) {
        // Ignored: the old process sees that this one ends.
        let _ = self.0.refuse(&failure.reason());
    }
}

impl ReceivedProcess {
    fn from_parts(parts: Vec<Part>, settings: &Settings) -> Result<Self, Failure> {
        let (mut owner, mut index, mut sockets) = (None, None, HandedSockets::default());
        let mut clients = ReceivedClients::default();
        for part in parts {
            let mut of_part = Vec::new();
            for (record, descriptor) in part {
                match record {
                    PartRecord::Process(process) => owner = Some((process, File::from(descriptor))),
                    PartRecord::Index => index = Some(File::from(descriptor)),
                    PartRecord::Connection(connection) => of_part.push((descriptor, connection)),
                    PartRecord::Watcher(watcher) => clients.watchers.push((descriptor, watcher)),
                    PartRecord::Listener(listener) => {
                        if !sockets.push(&listener, descriptor) {
                            return Err(failure("a listener has an unknown address"));
                        }
                    }
                }
            }
            clients.of_workers.push(of_part);
        }
        let ((process, memory), index) =
            owner.zip(index).ok_or_else(|| failure("the old process has sent no items"))?;
        if process.has_proofs != settings.memory_file.is_some() {
            return Err(failure("-e, --memory-file: only a restart can begin or end its use"));
        }
        if let Some(path) = &settings.memory_file
            && !(if settings.is_kept_by_manager() { has_no_name(&memory) } else { is_same_file(path, &memory) })
        {
            return Err(failure("-e, --memory-file: names another file; only a restart can change it"));
        }
        if settings.drop_privileges {
            return Err(failure("-o drop_privileges: only a restart can begin its use"));
        }
        Ok(Self { items: ReceivedItems { memory, mapped: None, index }, sockets, process, clients })
    }
}

impl ReceivedClients {
    /// Counts the clients at the gate, and deals them to `workers` workers. Returns the clients of each worker, and how
    /// many have no place.
    pub(super) fn deal(
        of_workers: Vec<Vec<ReceivedClient>>,
        workers: usize,
        gate: &ClientGate,
    ) -> (Vec<Vec<ReceivedClient>>, u64) {
        let mut dealt: Vec<Vec<ReceivedClient>> = (0..workers).map(|_| Vec::new()).collect();
        let mut refused = 0;
        for (of_worker, part) in of_workers.into_iter().enumerate() {
            for (socket, record) in part {
                if enter(gate, &socket, record.is_admin) {
                    dealt[of_worker % workers].push((socket, record));
                } else {
                    refused += 1;
                }
            }
        }
        (dealt, refused)
    }

    /// Prepares the clients that watch. They go on when each is told to begin. Returns them, and how many have no
    /// place.
    pub(super) fn adopt_watchers(watchers: Vec<(OwnedFd, WatcherRecord)>, shared: &Shared) -> (Vec<Watcher>, u64) {
        let (mut adopted, mut refused) = (Vec::new(), 0);
        for (socket, record) in watchers {
            if !enter(&shared.gate, &socket, record.is_admin) {
                refused += 1;
                continue;
            }
            match shared.adopt_watcher(socket, &record) {
                Ok(watcher) => adopted.push(watcher),
                Err(socket) => {
                    shared.gate.leave(socket.as_raw_fd());
                    refused += 1;
                }
            }
        }
        (adopted, refused)
    }

    /// Takes the clients of workers, and those that watch.
    pub(super) fn into_parts(self) -> (Vec<Vec<ReceivedClient>>, Vec<(OwnedFd, WatcherRecord)>) {
        (self.of_workers, self.watchers)
    }
}

/// An upgrade keeps sockets as they are, so the options must not ask for another use of TLS.
pub(super) fn check_tls(settings: &Settings, listeners: &[Listener]) -> Result<(), Failure> {
    let refused = |option| Err(Failure::Upgrade(format!("{option}: an upgrade cannot turn TLS on or off: restart")));
    let is_tls = |listener: &Listener| listener.tls() != ListenerTls::Off;
    if listeners.iter().any(is_tls) != settings.has_tls_listeners() {
        return refused("-Z, --enable-ssl");
    }
    let http = settings.http_endpoints();
    let wants_tls = settings.ssl_enabled && http.iter().any(|endpoint| endpoint.tls != ListenerTls::Off);
    let mut handed = listeners.iter().filter(|listener| matches!(listener.address(), Bound::Http(_)));
    // A port that the service manager has opened is not in the options.
    if !http.is_empty() && handed.any(is_tls) != wants_tls { refused("--http") } else { Ok(()) }
}

/// The counters with which this process goes on.
pub(super) fn counters_of(process: &ProcessRecord) -> Counters {
    let base = Counters::default();
    process.counters.iter().for_each(|(name, value)| base.add_to(name, *value));
    base
}

/// Whether `path` leads to `file`.
fn is_same_file(path: &Path, file: &File) -> bool {
    File::open(path).is_ok_and(|named| is_same(&named, file))
}

/// Whether two descriptors refer to one file.
fn is_same(one: &File, other: &File) -> bool {
    let of = |file: &File| file.metadata().map(|facts| (facts.dev(), facts.ino())).ok();
    of(one).is_some_and(|facts| Some(facts) == of(other))
}

/// Whether no path leads to `file`.
fn has_no_name(file: &File) -> bool {
    file.metadata().is_ok_and(|facts| facts.nlink() == 0)
}

/// Counts a client at the gate. False: a limit is reached.
fn enter(gate: &ClientGate, socket: &OwnedFd, is_admin: bool) -> bool {
    if is_admin {
        return gate.enter_admin(socket.as_raw_fd());
    }
    let address = if gate.needs_address() { peer_ip(socket.as_fd()) } else { None };
    gate.enter(socket.as_raw_fd(), address).is_ok()
}

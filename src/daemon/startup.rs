//! Startup: builds the layers from the bottom up.
//!
//! ```text
//! one thread   limits, user ▶ user file ▶ background ▶ signals ▶ store ▶ listeners ▶ files
//! then         jobs, workers, which wait ▶ upgrade: commit ▶ they begin ▶ lock memory ▶ release terminal
//! last         the dispatcher runs here until a signal ends it ▶ shutdown.rs
//! ```
//!
//! Threads start after the fork, and after everything that can fail because of the operator's settings. In an upgrade
//! the process before goes on if anything fails until the commit, threads included.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::auth::Authenticator;
use crate::base::atomic::AtomicU64;
use crate::command::Switches;
use crate::conn::{ConnectionConfig, ConnectionTable};
use crate::counters::Counters;
use crate::dispatcher::{
    AfterSignal, BindFailure, Bound, Config, DatagramAddress, Dispatcher, HandedSockets, Held, Listener,
    bind_datagrams, listen,
};
use crate::protocol::{Binding, MEMCACHED_VERSION};
use crate::settings::{Settings, Tunables};
use crate::stats::{HotKeys, Latency, PrefixTable, StatHistory};
use crate::store::{MoveTuning, Store};
use crate::sync::{Leaf, Sender};
use crate::sys::error::error_text;
use crate::sys::filter::Role;
use crate::sys::log::{Level, log_as_json, log_line, start_log_thread};
use crate::sys::process::{Foreground, Output, fork_to_background, mappable_bytes, share_one_heap};
use crate::sys::signal::{Signals, block_write_signals};
use crate::sys::spare::refill;
use crate::upgrade::ProcessRecord;
use crate::worker::{ClientGate, ClientLimits, Mail, Shared};

use super::activation::PassedDescriptors;
use super::certificates::start_handshakes;
use super::failure::Failure;
use super::heartbeat::heartbeat;
use super::history::recorder;
use super::memory_file::{HandedItems, ReadyStore, StoreEnd, build_store};
use super::mesh_file;
use super::notify::ServiceManager;
use super::operator::Process;
use super::pidfile::{Pidfile, write_ports};
use super::predecessor::{Predecessor, ReceivedClients, ReceivedProcess, check_tls, counters_of};
use super::privileges::{drop_privileges, lock_memory_if_asked, own_descriptors, restrict_if_asked};
use super::program::Program;
use super::replication::{MeshIdentity, Node};
use super::shutdown::{Ending, SignalWatch, Workers};
use super::upgrade::Upgrader;
use super::users::Secrets;
use super::waiting_threads::WaitingThreads;
use super::watching::watch_hub;

/// Number of threads from which memcached and this server warn.
const THREADS_MANY: u32 = 65;
/// The value of -o log for objects.
const JSON: &str = "json";
/// Verbosity from which slab classes and listeners are printed.
const DETAILED: u8 = 2;

/// The sockets that clients may use.
struct Sockets {
    listeners: Vec<Listener>,
    datagrams: Vec<DatagramAddress>,
}

impl Sockets {
    /// Binds them all.
    fn bind(settings: &Settings) -> Result<Self, Failure> {
        let failure = |failure: BindFailure| Failure::System { what: failure.what, error: failure.error };
        Ok(Self {
            listeners: listen(settings).map_err(failure)?,
            datagrams: bind_datagrams(settings).map_err(failure)?,
        })
    }

    /// Takes those that were passed. Otherwise binds them all.
    fn open(settings: &Settings, passed: PassedDescriptors) -> Result<Self, Failure> {
        if passed.is_empty() {
            return Self::bind(settings);
        }
        let HandedSockets { mut listeners, datagrams } = passed.into_sockets(settings.ssl_enabled)?;
        let not_for_clients = Settings { tcp_port: 0, udp_port: 0, unix_socket: None, ..settings.clone() };
        listeners.extend(Self::bind(&not_for_clients)?.listeners);
        Ok(Self { listeners, datagrams })
    }

    /// Where they are bound.
    fn addresses(&self) -> impl Iterator<Item = &Bound> {
        let datagrams = self.datagrams.iter().map(|datagrams| &datagrams.address);
        self.listeners.iter().map(Listener::address).chain(datagrams)
    }
}

/// Serves until a signal ends the process.
///
/// # Errors
/// Why the server could not start.
pub fn serve(settings: &Settings) -> Result<(), Failure> {
    let mut predecessor = Predecessor::find(|name| std::env::var_os(name))?;
    let passed = PassedDescriptors::take(|name| std::env::var_os(name))?;
    let manager = Arc::new(ServiceManager::find(|name| std::env::var_os(name)));
    let server = start(settings, predecessor.as_ref(), passed, &manager).inspect_err(|failure| {
        if let Some(predecessor) = &predecessor {
            predecessor.refuse(failure);
        }
    });
    let ReadyServer { server, signals, pidfile, node } = server?;
    // The process before tells the manager itself that this one has taken over.
    if predecessor.take().is_none() {
        manager.ready();
    }
    let ended = server.run(&signals, |keeps_items| node.into_iter().for_each(|node| node.stop(keeps_items)))?;
    match (ended, pidfile) {
        // The next process has written it again.
        (Ended::HandedOver, Some(pidfile)) => pidfile.leave(),
        (Ended::HandedOver | Ended::Stopped, _) => {}
    }
    Ok(())
}

/// A server that is ready to run.
struct ReadyServer {
    server: Server,
    signals: Signals,
    pidfile: Option<Pidfile>,
    node: Option<Node>,
}

/// Builds everything, from the bottom up. With a `predecessor`, takes over what that process hands to this one.
fn start(
    settings: &Settings,
    predecessor: Option<&Predecessor>,
    passed: PassedDescriptors,
    manager: &Arc<ServiceManager>,
) -> Result<ReadyServer, Failure> {
    if settings.log_format == JSON {
        log_as_json();
    }
    let program = Program::of_this_process(settings.daemonize);
    block_write_signals().map_err(Failure::system("block signals"))?;
    if settings.threads >= THREADS_MANY {
        let threads = settings.threads;
        let line =
            format!("larder: -t, --threads: {threads} is a lot; no more than the machine has cores is recommended");
        log_line(Level::Warning, line);
    }
    let clients_max = drop_privileges(settings)?;
    let secrets = Secrets::load(settings)?;
    let foreground = if settings.daemonize && predecessor.is_none() {
        Some(fork_to_background().map_err(Failure::system("-d, --daemon: fork"))?)
    } else {
        None
    };
    let signals = Signals::open().map_err(Failure::system("wait for signals"))?;
    // Ignored: without it the process ends where memory does, and it may never.
    let _ = refill();
    if mappable_bytes().is_some() {
        share_one_heap();
    }
    let start_log = || start_log_thread().map_err(Failure::system("start the log thread under ulimit -u and -v"));
    if predecessor.is_some() {
        // From the commit on, no thread that clients need may wait for the reader of standard error.
        start_log()?;
    }
    let (parts, handed) = match predecessor {
        None => (new_parts(settings, &secrets, passed, manager, &signals)?, None),
        Some(predecessor) => received_parts(settings, predecessor).map(|(parts, handed)| (parts, Some(handed)))?,
    };
    if settings.verbosity >= DETAILED {
        print_details(parts.ready.store, &parts.sockets, Binding::from(settings));
    }
    warn_of_open_udp(&parts.sockets);
    let addresses: Vec<Bound> = parts.sockets.addresses().cloned().collect();
    let start_line = start_line(settings, clients_max, &addresses);
    // The files of a process that is to be replaced stay until it is.
    let mut pidfile = if handed.is_none() { write_files(settings, &addresses) } else { None };
    restrict_if_asked(settings, Role::Starting)?;
    let upgrades =
        Upgrades { program: can_upgrade(settings, program, std::process::id()), manager: Arc::clone(manager) };
    let (server, waiting, node) = Server::build(settings, clients_max, parts, &signals, secrets, upgrades)?;
    if let Some(handed) = handed {
        server.take_over(handed, settings)?;
        waiting.begin();
        pidfile = write_files(settings, &addresses);
    } else {
        waiting.begin();
        start_log()?;
    }
    lock_memory_if_asked(settings);
    if settings.verbosity > 0 {
        log_line(Level::Info, start_line);
    }
    if settings.daemonize {
        leave_terminal(foreground, settings)?;
    }
    restrict_if_asked(settings, Role::Dispatcher)?;
    Ok(ReadyServer { server, signals, pidfile, node })
}

/// What a server is built of.
struct ServerParts {
    ready: ReadyStore,
    sockets: Sockets,
    /// Clients of the process before.
    clients: ReceivedClients,
    /// Its counters.
    counters: Option<Counters>,
    /// With -x.
    node: Option<Node>,
}

/// What a process that is to be replaced gives up with the commit.
struct PendingTakeover<'p> {
    predecessor: &'p Predecessor,
    items: HandedItems,
    process: ProcessRecord,
}

/// A new store, and sockets that are bound now. A node of a mesh first takes the items of a peer.
fn new_parts(
    settings: &Settings,
    secrets: &Secrets,
    mut passed: PassedDescriptors,
    manager: &ServiceManager,
    signals: &Signals,
) -> Result<ServerParts, Failure> {
    let mesh = MeshIdentity::load(settings)?;
    let (hash_seed, items) = (mesh.as_ref().map(MeshIdentity::hash_seed), passed.take_items());
    let mut ready = build_store(settings, hash_seed, items, manager)?;
    if mesh.is_none() {
        mesh_file::discard(settings);
    }
    let node = mesh.map(|mesh| mesh.start(settings, secrets.certificates.as_ref(), ready.store, &ready.clock));
    let node = node.transpose().inspect_err(|_| ready.give_back(settings))?;
    ready.replication = node.as_ref().map(Node::view);
    node.iter().for_each(|node| node.wait_to_serve(signals));
    match check_room(settings).and_then(|()| Sockets::open(settings, passed)) {
        Ok(sockets) => Ok(ServerParts { ready, sockets, clients: ReceivedClients::default(), counters: None, node }),
        Err(failure) => {
            // Nothing changes items while the file is closed.
            node.into_iter().for_each(|node| node.stop(true));
            ready.give_back(settings);
            Err(failure)
        }
    }
}

/// The store, the sockets and the clients of the process before, which still has them.
fn received_parts<'p>(
    settings: &Settings,
    predecessor: &'p Predecessor,
) -> Result<(ServerParts, PendingTakeover<'p>), Failure> {
    if settings.replicates() {
        return Err(Failure::Upgrade(NO_MESH.into()));
    }
    let ReceivedProcess { items, sockets, process, clients } = predecessor.receive(settings)?;
    check_tls(settings, &sockets.listeners)?;
    let items = HandedItems::map(items, &process.state, settings)?;
    check_room(settings)?;
    let (ready, counters) = (items.store(), Some(counters_of(&process)));
    let sockets = Sockets { listeners: sockets.listeners, datagrams: sockets.datagrams };
    Ok((ServerParts { ready, sockets, clients, counters, node: None }, PendingTakeover { predecessor, items, process }))
}

/// What upgrades need.
struct Upgrades {
    program: Result<Program, String>,
    manager: Arc<ServiceManager>,
}

/// The process whose end ends all others.
const FIRST_PROCESS: u32 = 1;

/// Why a node of a mesh is restarted instead.
const NO_MESH: &str = "not with -x, --replication-peer in this version: restart the node, it takes the items of a peer";

/// The program for an upgrade, or why there can be none.
fn can_upgrade(settings: &Settings, program: io::Result<Program>, process_id: u32) -> Result<Program, String> {
    if settings.drop_privileges {
        return Err("-o drop_privileges forbids to start a program".into());
    }
    if process_id == FIRST_PROCESS {
        return Err("the end of process 1 would end its container".into());
    }
    if settings.replicates() {
        return Err(NO_MESH.into());
    }
    program.map_err(|error| format!("find the program: {}", error_text(&error)))
}

/// Address space for the heap, beside the reserved memory, before the first client connects.
const HEAP_BYTES: u64 = 12 << 20;
/// A worker's stack of std's default size, and what surrounds it.
const WORKER_BYTES: u64 = (2 << 20) + (64 << 10);

/// Fails with a message if resource limits leave too little address space for threads and heap. Otherwise a later
/// allocation would fail and abort the process.
fn check_room(settings: &Settings) -> Result<(), Failure> {
    let needed = HEAP_BYTES + u64::from(settings.threads) * WORKER_BYTES;
    match mappable_bytes() {
        Some(left) if left < needed => Err(Failure::System {
            what: format!("map {} MiB for threads and heap within ulimit -v and -d", needed >> 20),
            error: io::ErrorKind::OutOfMemory.into(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// The last step of going to the background. From here on all output is discarded, unless -v asks for it.
fn leave_terminal(foreground: Option<Foreground>, settings: &Settings) -> Result<(), Failure> {
    let left = if settings.core_dumps { Ok(()) } else { std::env::set_current_dir("/") };
    // The process before has left the terminal already. Ignored: this one has all its clients, and must not end.
    let Some(foreground) = foreground else { return Ok(()) };
    left.map_err(Failure::system("-d, --daemon: leave the directory"))?;
    let output = if settings.verbosity > 0 { Output::Keep } else { Output::Discard };
    foreground.release(output).map_err(Failure::system("-d, --daemon: leave the terminal"))
}

/// The log line about a successful start: version, addresses, memory, threads and clients.
fn start_line(settings: &Settings, clients_max: u64, addresses: &[Bound]) -> String {
    let addresses: Vec<String> = addresses.iter().map(Bound::to_string).collect();
    format!(
        "larder {} (memcached {MEMCACHED_VERSION}) listens on {}: {} MiB for items, {} threads, {clients_max} clients",
        env!("CARGO_PKG_VERSION"),
        addresses.join(", "),
        settings.memory_limit_bytes >> 20,
        settings.threads,
    )
}

/// Warns if every host that reaches this machine can send datagrams.
fn warn_of_open_udp(sockets: &Sockets) {
    let is_open = |bound: &Bound| matches!(bound, Bound::Udp(address) if address.ip().is_unspecified());
    if sockets.addresses().any(is_open) {
        let line = "larder: -U, --udp-port: every host can make this server send replies to others; see -l, --listen";
        log_line(Level::Warning, line);
    }
}

/// Prints what memcached prints at -vv: the slab classes and the listeners.
fn print_details(store: &Store, sockets: &Sockets, binding: Binding) {
    for (class, chunk_bytes, per_page) in store.classes() {
        log_line(Level::Debug, format!("slab class {class:3}: chunk size {chunk_bytes:9} perslab {per_page:7}"));
    }
    for listener in &sockets.listeners {
        log_line(Level::Debug, format!("<{} server listening ({})", listener.as_fd().as_raw_fd(), binding.name()));
    }
    for socket in sockets.datagrams.iter().flat_map(|address| &address.sockets) {
        log_line(Level::Debug, format!("<{} server listening (udp)", socket.as_raw_fd()));
    }
}

/// Writes the port file and the pidfile. A failure to write one is only a warning, because memcached's users start it
/// with `-P /var/run/memcached.pid -u nobody`.
fn write_files(settings: &Settings, addresses: &[Bound]) -> Option<Pidfile> {
    let warn = |option: &str, path: &Path, error: io::Error| {
        let failure = Failure::system(format!("{option}: write {}", path.display()))(error);
        log_line(Level::Warning, failure.to_string());
    };
    if let Some(path) = &settings.port_file {
        write_ports(path, addresses.iter()).unwrap_or_else(|error| warn("MEMCACHED_PORT_FILENAME", path, error));
    }
    let path = settings.pidfile.as_ref()?;
    Pidfile::write(path, !settings.daemonize).map_err(|error| warn("-P, --pidfile", path, error)).ok()
}

/// Starts the verifier thread, and lets it, the store and the replication thread wake the workers.
fn let_workers_be_woken(
    workers: Vec<Sender<Mail>>,
    store: &Store,
    users: Option<&Authenticator>,
    node: Option<&Node>,
) -> Result<(), Failure> {
    // Ignored: a worker with a full mailbox takes turns anyway.
    let wake = move || workers.iter().for_each(|worker| drop(worker.post(Mail::Turn)));
    if let Some(users) = users {
        users.start(wake.clone()).map_err(Failure::system("start the verifier thread under ulimit -u and -v"))?;
    }
    node.into_iter().for_each(|node| node.let_wake(wake.clone()));
    store.on_recall(wake);
    Ok(())
}

/// The running server.
struct Server {
    dispatcher: Dispatcher,
    config: Config,
    workers: Workers,
    users: Option<Arc<Authenticator>>,
    process: Arc<Process>,
    upgrader: Upgrader,
    end: StoreEnd,
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It has stopped.
    Stopped,
    /// The next process has everything.
    HandedOver,
}

fn client_limits(settings: &Settings, clients_max: u64) -> ClientLimits {
    ClientLimits { clients_max, per_address_max: settings.connections_per_address }
}

/// The table of all descriptors that the process may have.
fn connection_table(settings: &Settings, clients_max: u64) -> Arc<ConnectionTable> {
    let descriptors = clients_max + own_descriptors(settings);
    Arc::new(ConnectionTable::new(usize::try_from(descriptors).unwrap_or(usize::MAX)))
}

/// The counts by key prefix.
fn prefix_table(settings: &Settings) -> Arc<PrefixTable> {
    let prefixes = Arc::new(PrefixTable::new(settings.prefix_delimiter));
    prefixes.switch(settings.detail_enabled);
    prefixes
}

/// What all connections share.
fn connection_config(
    settings: &Settings,
    connection_table: Arc<ConnectionTable>,
    users: Option<Arc<Authenticator>>,
) -> ConnectionConfig {
    ConnectionConfig {
        connection_table,
        requests_max: settings.reqs_per_event,
        backlog_bytes_max: match settings.resp_obj_mem_limit_bytes {
            0 => u64::MAX,
            limit => limit / u64::from(settings.threads),
        },
        binding: Binding::from(settings),
        users,
    }
}

/// What all workers share.
fn shared(settings: &Settings, process: &Arc<Process>, secrets: Secrets, node: Option<&Node>) -> Shared {
    let Secrets { users, http_token, certificates } = secrets;
    Shared {
        clock: Arc::clone(&process.clock),
        tunables: Arc::clone(&process.tunables),
        operator: Arc::clone(process) as _,
        switches: Switches { http_token, ..Switches::from(settings) },
        prefixes: Arc::clone(&process.prefixes),
        hot: Arc::clone(&process.hot),
        latency: Arc::clone(&process.latency),
        watch_hub: Arc::clone(&process.watch_hub),
        connections: connection_config(settings, Arc::clone(&process.connection_table), users),
        gate: Arc::clone(&process.gate),
        idle_timeout_s: settings.idle_timeout_s,
        busy_poll_usecs: settings.busy_poll_usecs,
        owned_keys: node.and_then(Node::owned_keys).map(Box::new),
        drop_privileges: settings.drop_privileges,
        udp_reply_max: settings.udp_reply_max as usize,
        tls_bytes: certificates.map(|_| settings.ssl_wbuf_bytes as usize),
    }
}

impl Server {
    /// Creates the jobs and workers and starts their threads, which wait. What can fail at a start is done here: the
    /// process before may still go on.
    fn build(
        settings: &Settings,
        clients_max: u64,
        ServerParts { ready, sockets, clients, counters: of_predecessor, node }: ServerParts,
        signals: &Signals,
        secrets: Secrets,
        upgrades: Upgrades,
    ) -> Result<(Self, WaitingThreads, Option<Node>), Failure> {
        let ReadyStore { store, clock, gauges, replication } = ready;
        let dispatcher = Dispatcher::new(sockets.listeners, signals).map_err(Failure::system("poll"))?;
        let gate = Arc::new(ClientGate::new(client_limits(settings, clients_max), dispatcher.waker()));
        let connection_table = connection_table(settings, clients_max);
        let (tunables, prefixes) = (Arc::new(Tunables::new(settings)), prefix_table(settings));
        let (own, of_handshakes): (Arc<Counters>, Arc<Counters>) = Default::default();
        let of_workers: Vec<Arc<Counters>> = (0..settings.threads).map(|_| Arc::default()).collect();
        let watch_hub = watch_hub(settings, &clock, store)?;
        node.iter().for_each(|node| node.let_watch(&watch_hub));
        let (clients, watchers) = clients.into_parts();
        let (clients, refused) = ReceivedClients::deal(clients, of_workers.len(), &gate);
        let base = of_predecessor.map(Arc::new);
        let process = Arc::new(Process {
            settings: settings.clone(),
            tuned: Leaf::new(settings.clone()),
            tunables: Arc::clone(&tunables),
            clock: Arc::clone(&clock),
            prefixes: Arc::clone(&prefixes),
            hot: Arc::<HotKeys>::default(),
            latency: Arc::new(Latency::new(settings.slowlog_us)),
            store,
            connection_table: Arc::clone(&connection_table),
            gate: Arc::clone(&gate),
            watch_hub: Arc::clone(&watch_hub),
            counters: of_workers.iter().chain([&own, &of_handshakes]).chain(&base).map(Arc::clone).collect(),
            certificates: secrets.certificates.clone(),
            restart: gauges.map_or_else(OnceLock::new, OnceLock::from),
            started_unix_s: clock.unix_s(),
            replication,
            upgrade_stall_us: AtomicU64::new(0),
            history: (!settings.http.is_empty()).then(StatHistory::default),
        });
        let (users, certificates) = (secrets.users.clone(), secrets.certificates.clone());
        let shared = Arc::new(shared(settings, &process, secrets, node.as_ref()));
        store.tune_moves(MoveTuning::from(settings));
        let jobs = store.pause_jobs();
        let end = StoreEnd::start_jobs(settings, store, &clock)?;
        let (watchers, watchers_refused) = ReceivedClients::adopt_watchers(watchers, &shared);
        own.upgrade_closed.add(refused + watchers_refused);
        let start = Arc::default();
        let workers = Workers::start(&shared, of_workers, store, sockets.datagrams, clients, &start)?;
        let_workers_be_woken(workers.senders(), store, users.as_deref(), node.as_ref())?;
        let config = Config {
            handshakes: start_handshakes(certificates.as_ref(), of_handshakes, &workers, &shared)?,
            workers: workers.senders(),
            gate,
            connection_table,
            counters: own,
            clock,
            maxconns_fast: settings.maxconns_fast,
            queues_max: settings.napi_ids as usize,
            tunables: Arc::clone(&tunables),
            timers: heartbeat(&upgrades.manager, &process, workers.senders())
                .into_iter()
                .chain(recorder(&process))
                .collect(),
        };
        let upgrader = Upgrader::new(upgrades.program, dispatcher.waker(), upgrades.manager);
        let watch_hub = Arc::clone(&process.watch_hub);
        let server = Self { dispatcher, config, workers, users, process, upgrader, end };
        Ok((server, WaitingThreads { workers: start, jobs, watchers, watch_hub }, node))
    }

    /// Takes over what the process before hands to this one. From the commit on nothing can fail.
    fn take_over(&self, handed: PendingTakeover<'_>, settings: &Settings) -> Result<(), Failure> {
        let PendingTakeover { predecessor, items, process: before } = handed;
        predecessor.commit()?;
        let gauges = items.take_over(settings);
        let counters = before.counters.iter().map(|(name, count)| (name.as_str(), *count));
        self.process.store.go_on_with_counts(counters);
        self.process.note_upgrade(&before, gauges);
        Ok(())
    }

    /// Accepts clients until a signal ends the process, or an upgrade. `stop_node` stops replication, which changes
    /// items.
    fn run(self, signals: &Signals, stop_node: impl FnOnce(bool)) -> Result<Ended, Failure> {
        let Self { dispatcher, config, workers, users, process, upgrader, end } = self;
        let (mut ending, mut ended) = (Ending::new(users, process.certificates.clone()), Ended::Stopped);
        let mut on_event = |held: Held<'_>| {
            if ending.read(signals) == AfterSignal::Stop {
                return AfterSignal::Stop;
            }
            if ending.take_upgrade() {
                upgrader.begin(&process);
            }
            let mut watch = SignalWatch::new(&mut ending, signals);
            if upgrader.proceed(&process, &workers, held, &mut watch) {
                ended = Ended::HandedOver;
                return AfterSignal::Stop;
            }
            watch.after()
        };
        dispatcher.run(config, &mut on_event).map_err(Failure::system("poll"))?;
        if ended == Ended::Stopped {
            upgrader.manager().stopping();
            ending.announce(process.tunables.logger.verbosity());
            end.stop(ending.is_graceful(), workers, stop_node);
        }
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::{Program, Settings, can_upgrade};

    #[test]
    fn process_1_of_a_container_is_not_replaced() {
        let reason = |process_id| can_upgrade(&Settings::default(), Program::of_this_process(false), process_id).err();
        assert_eq!(reason(1).as_deref(), Some("the end of process 1 would end its container"));
        assert_eq!(reason(2), None);
    }
}

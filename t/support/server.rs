//! A server process on a free port of its own, ended when the test is done with it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::client::{Client, StatRows};
use super::datagrams::DatagramClient;
use super::wait::wait_until;

/// A running server and the directory that holds its port file, its socket and what it wrote to stderr.
pub(crate) struct Server {
    child: Child,
    /// The process that has replaced the child, if an upgrade took place.
    successor: Option<u32>,
    directory: ScratchDirectory,
    address: Address,
}

#[derive(Clone)]
enum Address {
    Tcp(u16),
    Unix(PathBuf),
}

impl Server {
    /// Starts the server under test with `flags` behind the ones every test needs, and waits until it serves.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_program(&program_under_test(), flags)
    }

    /// As `start`, for a named program.
    pub(crate) fn start_program(program: &Path, flags: &[&str]) -> Self {
        Self::start_command(Command::new(program), flags)
    }

    /// As `start`, but the kernel gives the server no huge pages.
    pub(crate) fn start_without_huge_pages(flags: &[&str]) -> Self {
        let mut command = Command::new(program_under_test());
        let disable = || {
            // SAFETY: the call takes four numbers and changes nothing but how this process, and the program it is about
            // to become, get memory.
            let status = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
            if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        // SAFETY: between fork and exec `disable` makes one system call, and neither allocates nor takes a lock.
        unsafe { command.pre_exec(disable) };
        Self::start_command(command, flags)
    }

    /// As `start`, with one heap for all threads of the server, so that it soon reaches a limit of its address space.
    pub(crate) fn start_with_one_heap(flags: &[&str]) -> Self {
        let mut command = Command::new(program_under_test());
        command.env("MALLOC_ARENA_MAX", "1");
        Self::start_command(command, flags)
    }

    /// As `start`, for a command that becomes the server.
    pub(crate) fn start_command(mut command: Command, flags: &[&str]) -> Self {
        let directory = scratch_directory();
        let port_file = directory.join("port");
        command.args(["-l", "127.0.0.1", "-p", "-1"]);
        if runs_as_root() {
            command.args(["-u", "root"]);
        }
        // More flags for every server of a run: `LARDER_SERVER_FLAGS="-o drop_privileges"`.
        let more = std::env::var("LARDER_SERVER_FLAGS").unwrap_or_default();
        command
            .args(flags)
            .args(more.split_whitespace())
            .env("MEMCACHED_PORT_FILENAME", &port_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let stderr = fs::File::create(directory.join("stderr")).expect("the scratch directory is writable");
        let mut child = command.stderr(stderr).spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let socket = flags.iter().position(|flag| *flag == "-s").map(|at| PathBuf::from(flags[at + 1]));
        let mut address = None;
        wait_until("the server listens", || {
            if let Some(status) = child.try_wait().expect("the child is ours to wait for") {
                let said = fs::read_to_string(directory.join("stderr")).unwrap_or_default();
                panic!("{command:?} ended at start: {status}\n{said}");
            }
            address = match &socket {
                Some(path) => UnixStream::connect(path).ok().map(|_| Address::Unix(path.clone())),
                None => port_of(&port_file, "TCP INET: ").map(Address::Tcp),
            };
            address.is_some()
        });
        Server { child, successor: None, directory, address: address.expect("the wait ended with an address") }
    }

    /// A connection of its own.
    pub(crate) fn client(&self) -> Client {
        self.try_client().expect("the server accepts a connection")
    }

    /// A connection of its own, or the kernel's error.
    pub(crate) fn try_client(&self) -> io::Result<Client> {
        match &self.address {
            Address::Tcp(port) => Client::over_tcp(TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?),
            Address::Unix(path) => Client::over_unix(UnixStream::connect(path)?),
        }
    }

    /// The address on which it listens, for other kinds of clients.
    pub(crate) fn tcp_address(&self) -> SocketAddr {
        match &self.address {
            Address::Tcp(port) => (Ipv4Addr::LOCALHOST, *port).into(),
            Address::Unix(path) => panic!("{} is no TCP address", path.display()),
        }
    }

    /// Where it receives datagrams, over IPv4.
    pub(crate) fn udp_address(&self) -> SocketAddr {
        let port = port_of(&self.directory.join("port"), "UDP INET: ").expect("-U is given");
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// Where it serves HTTP, over IPv4.
    pub(crate) fn http_address(&self) -> SocketAddr {
        let port = port_of(&self.directory.join("port"), "HTTP INET: ").expect("--http is given");
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// A connection for HTTP of its own.
    pub(crate) fn http_client(&self) -> Client {
        let socket = TcpStream::connect(self.http_address()).expect("the server accepts a connection");
        Client::over_tcp(socket).expect("a socket has options")
    }

    /// A UDP client of its own.
    pub(crate) fn datagram_client(&self) -> DatagramClient {
        DatagramClient::new(self.udp_address())
    }

    /// The rows of `stats <group>`, asked over a connection of its own.
    pub(crate) fn stats(&self, group: &str) -> StatRows {
        self.client().stats(group)
    }

    /// What the server has written to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        let bytes = fs::read(self.directory.join("stderr")).expect("stderr was created at start");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills the server, as a lack of memory does.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
    }

    /// Sends the present process a signal.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.process_id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "there is a kill");
    }

    /// Orders an upgrade, and waits until the next process serves.
    pub(crate) fn upgrade(&mut self) {
        let mut client = self.client();
        self.upgrade_asked_by(&mut client);
    }

    /// As `upgrade`, with a client that may ask for statistics.
    pub(crate) fn upgrade_asked_by(&mut self, client: &mut Client) {
        let before = client.stats("")["upgrades"].clone();
        self.signal("USR2");
        let mut rows = StatRows::new();
        wait_until("the next process serves", || {
            rows = client.stats("");
            rows["upgrades"] != before
        });
        self.succeed(rows["pid"].parse().ok());
    }

    /// As `upgrade`, for a server whose clients cannot ask for statistics. Its first upgrade only.
    pub(crate) fn upgrade_by_log(&mut self) {
        self.signal("USR2");
        let successor = |log: &str| -> Option<u32> {
            let (_, rest) = log.split_once("upgrade: process ")?;
            rest.split_once(", larder ")?.0.parse().ok()
        };
        let mut found = None;
        wait_until("the next process serves", || {
            found = successor(&self.stderr());
            found.is_some()
        });
        self.succeed(found);
    }

    fn succeed(&mut self, successor: Option<u32>) {
        if self.successor.is_none() {
            assert!(self.wait_for_end().success(), "the old process ends without an error");
        }
        self.successor = successor;
    }

    /// Waits for the server to end by itself.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().expect("the child is ours to wait for");
            status.is_some()
        });
        status.expect("the wait ended with a status")
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.successor.unwrap_or_else(|| self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ignored: a server that has ended already is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(successor) = self.successor {
            let _ = Command::new("kill").args(["-s", "KILL", &successor.to_string()]).status();
        }
        if std::thread::panicking() {
            let said = self.stderr();
            if !said.is_empty() {
                super::report(&format!("the server wrote to stderr:\n{said}"));
            }
        }
    }
}

/// A fresh, empty directory under the machine's temporary one. It is removed when the value is dropped.
pub(crate) struct ScratchDirectory(PathBuf);

pub(crate) fn scratch_directory() -> ScratchDirectory {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("larder-t-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    // Ignored: the directory exists only if an earlier process had our id and was killed.
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("the temporary directory is writable");
    ScratchDirectory(path)
}

impl Deref for ScratchDirectory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for ScratchDirectory {
    fn as_ref(&self) -> &Path {
        self
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        // Ignored: a child that still runs may write here.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `LARDER_SERVER` when set, or else the larder of this build.
pub(crate) fn program_under_test() -> PathBuf {
    std::env::var_os("LARDER_SERVER").map_or_else(|| env!("CARGO_BIN_EXE_larder").into(), PathBuf::from)
}

/// The load program of this build. Cargo names only a package's own programs to its tests; this one lies beside them.
pub(crate) fn larder_bench() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_larder")).with_file_name("larder-bench");
    assert!(program.exists(), "{}: not built; `cargo build` builds both programs", program.display());
    program
}

/// The port in the line that begins with `name`.
fn port_of(port_file: &Path, name: &str) -> Option<u16> {
    let text = fs::read_to_string(port_file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name) && text.ends_with('\n'))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn runs_as_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

//! One server under test: started on its core, asked for its statistics, stopped at the end.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::schedule::{end_with_this_thread, pin_to_cores, terminate};
use larder::base::Clock;
use larder::sys::process::is_root;

use super::comparison::Cores;
use super::host;
use super::plan::invalid;

/// Time limit of each wait. It suffices for a start under an instrumenting tool on a busy machine.
const TIMEOUT_US: u64 = 60_000_000;

/// How to start a server, and its name in the tables.
#[derive(Clone, Debug)]
pub struct ServerCommand {
    /// The program and its arguments, without their folder.
    pub name: String,
    program: PathBuf,
    own_arguments: Vec<String>,
    kind: ProgramKind,
}

/// The flags that a program takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProgramKind {
    /// Those of memcached.
    Memcached,
    /// An address and nothing else.
    Floor,
}

impl ServerCommand {
    /// A server of `program`. It always gets `own_arguments`.
    pub fn new(program: PathBuf, own_arguments: Vec<String>) -> Self {
        let stem = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = [&[stem], own_arguments.as_slice()].concat().join(" ");
        Self { name, program, own_arguments, kind: ProgramKind::Memcached }
    }

    /// A path and arguments in one text, as in `"target/release/larder -R 100"`.
    ///
    /// # Errors
    /// The text is blank.
    pub fn parse(text: &str) -> io::Result<Self> {
        let mut words = text.split_whitespace();
        let program = words.next().ok_or_else(|| invalid("a server's path is empty"))?;
        Ok(Self::new(program.into(), words.map(str::to_string).collect()))
    }

    /// This program itself, as the floor.
    ///
    /// # Errors
    /// The kernel does not say where this program lies.
    pub fn floor() -> io::Result<Self> {
        let own = env::current_exe()?;
        Ok(Self { name: "floor".into(), program: own, own_arguments: vec!["--floor".into()], kind: ProgramKind::Floor })
    }

    /// Whether it is the floor.
    pub fn is_floor(&self) -> bool {
        self.kind == ProgramKind::Floor
    }

    /// The same program with one more argument, or several with blanks between them.
    #[must_use]
    pub fn with_arguments(&self, more: &str) -> Self {
        let more = more.split_whitespace().map(str::to_string);
        Self::new(self.program.clone(), self.own_arguments.iter().cloned().chain(more).collect())
    }

    /// The same program under the same name, with more arguments.
    #[must_use]
    pub fn with_flags(&self, flags: &[String]) -> Self {
        Self { own_arguments: [self.own_arguments.as_slice(), flags].concat(), ..self.clone() }
    }

    /// Whether its arguments turn TLS on.
    pub fn uses_tls(&self) -> bool {
        self.own_arguments.iter().any(|word| word == "-Z" || word == "--enable-ssl")
    }

    /// Whether the two differ in their arguments at most.
    pub fn is_same_program(&self, other: &Self) -> bool {
        self.program == other.program && self.kind == other.kind
    }

    /// Adds letters to equal names. A server may be compared with itself, which shows the noise of the machine.
    pub fn name_apart(servers: &mut [Self]) {
        let names: Vec<String> = servers.iter().map(|server| server.name.clone()).collect();
        for (server, letter) in servers.iter_mut().zip('A'..='Z') {
            if names.iter().filter(|name| **name == server.name).count() > 1 {
                server.name.push_str(&format!(" ({letter})"));
            }
        }
    }

    /// The command line that starts it on this address with these flags.
    fn words(&self, address: SocketAddr, tls_address: Option<SocketAddr>, arguments: &[&str]) -> Vec<String> {
        let mut words = vec![self.program.to_string_lossy().into_owned()];
        if self.kind == ProgramKind::Memcached {
            if is_root() {
                words.extend(["-u".into(), "root".into()]);
            }
            words.extend(arguments.iter().map(ToString::to_string));
        }
        // The last of two contradicting flags counts, so a server runs with the flags of its name in the tables.
        words.extend(self.own_arguments.iter().cloned());
        match tls_address {
            None => words.extend(["-l".into(), address.ip().to_string(), "-p".into(), address.port().to_string()]),
            Some(tls_address) => words.extend(["-l".into(), format!("notls:{address},{tls_address}")]),
        }
        words
    }
}

/// A running server, ended when it is dropped.
pub struct Server {
    child: Child,
    /// Where it listens without TLS.
    pub address: SocketAddr,
    /// Where it listens with TLS, if it does.
    pub tls_address: Option<SocketAddr>,
}

impl Server {
    /// Starts it, under `wrapper` if that is not empty, and waits until it answers. Returns the time that this took.
    ///
    /// # Errors
    /// It ends at once, or does not answer.
    pub fn start(
        place: &Cores,
        command: &ServerCommand,
        wrapper: &[String],
        arguments: &[&str],
    ) -> io::Result<(Self, Duration)> {
        let address = free_address()?;
        let tls_address = command.uses_tls().then(free_address).transpose()?;
        let words = [wrapper, &command.words(address, tls_address, arguments)].concat();
        let mut process = Command::new(&words[0]);
        process.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
        end_with_this_thread(&mut process);
        // The child inherits the core; this thread goes back to its own before the clock is read again.
        pin(&place.server_cores, "LARDER_BENCH_SERVER_CORE")?;
        let clock = Clock::start();
        let spawned = process.spawn();
        pin(&place.client_cores, "LARDER_BENCH_CLIENT_CORE")?;
        let child = spawned.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", words[0])))?;
        let mut server = Self { child, address, tls_address };
        server.wait_for_first_reply(&clock)?;
        Ok((server, Duration::from_micros(clock.real_us())))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Connects again and again without a pause: a refused connect on loopback takes microseconds.
    fn wait_for_first_reply(&mut self, clock: &Clock) -> io::Result<()> {
        while clock.real_us() < TIMEOUT_US {
            if let Ok(mut control) = Control::connect(self.address) {
                return control.ask("version").map(drop);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended at once with {status}")));
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not accept connections"))
    }

    /// A connection for questions beside the load.
    ///
    /// # Errors
    /// The server does not accept it.
    pub fn control(&self) -> io::Result<Control> {
        Control::connect(self.address)
    }

    /// Ends it in order, so that it can write its files.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(mut self) -> io::Result<()> {
        terminate(self.child.id())?;
        let clock = Clock::start();
        while clock.real_us() < TIMEOUT_US {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            host::pause(Duration::from_millis(5));
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the server ignores SIGTERM"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ignored: it has ended already, or there is nothing left to try.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection of its own for questions beside the load.
pub struct Control {
    stream: BufReader<TcpStream>,
}

impl Control {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_micros(TIMEOUT_US)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a line and returns the line that answers it.
    ///
    /// # Errors
    /// The server closes the connection or stays silent.
    pub fn ask(&mut self, line: &str) -> io::Result<String> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.line()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the control connection"));
        }
        Ok(line.trim_end().to_string())
    }

    /// The general statistics.
    ///
    /// # Errors
    /// As [`Control::ask`].
    pub fn stats(&mut self) -> io::Result<BTreeMap<String, String>> {
        self.answer_to("stats")
    }

    /// The rows of a command of the `stats` family.
    ///
    /// # Errors
    /// As [`Control::ask`].
    pub fn answer_to(&mut self, command: &str) -> io::Result<BTreeMap<String, String>> {
        let mut stats = BTreeMap::new();
        let mut line = self.ask(command)?;
        while line != "END" {
            let mut words = line.splitn(3, ' ').skip(1);
            if let (Some(name), Some(value)) = (words.next(), words.next()) {
                stats.insert(name.to_string(), value.to_string());
            }
            line = self.line()?;
        }
        Ok(stats)
    }

    /// One number of the general statistics.
    ///
    /// # Errors
    /// As [`Control::ask`], or there is no such number.
    pub fn stat(&mut self, name: &str) -> io::Result<u64> {
        let stats = self.stats()?;
        let value = stats.get(name).and_then(|value| value.parse().ok());
        value.ok_or_else(|| io::Error::other(format!("stats has no number {name}")))
    }

    /// Waits until `holds` returns true.
    ///
    /// # Errors
    /// The time limit has passed.
    pub fn wait_until(&mut self, what: &str, holds: impl Fn(&mut Self) -> io::Result<bool>) -> io::Result<()> {
        let clock = Clock::start();
        while !holds(self)? {
            if clock.real_us() > TIMEOUT_US {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited in vain until {what}")));
            }
            host::pause(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits for the end of background work on the hash table, which would count in the first window.
    ///
    /// # Errors
    /// It goes on for a minute.
    pub fn wait_for_settled_index(&mut self) -> io::Result<()> {
        self.wait_until("the hash table stands still", |control| Ok(control.stat("hash_is_expanding")? == 0))
    }
}

fn pin(cores: &[usize], variable: &str) -> io::Result<()> {
    pin_to_cores(cores).map_err(|error| io::Error::new(error.kind(), format!("{variable}: cores {cores:?}: {error}")))
}

/// A port that was free a moment ago.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::ServerCommand;

    #[test]
    fn servers_of_one_name_are_told_apart() {
        let parse = |text| ServerCommand::parse(text).unwrap();
        let mut servers = [parse("/a/larder -R 20"), parse("/b/larder  -R  20"), parse("memcached")];
        ServerCommand::name_apart(&mut servers);
        assert_eq!(
            servers.each_ref().map(|server| &*server.name),
            ["larder -R 20 (A)", "larder -R 20 (B)", "memcached"]
        );
        assert!(ServerCommand::parse(" ").is_err());
    }

    #[test]
    fn the_floor_is_given_an_address_and_nothing_else() {
        let address = "127.0.0.1:4000".parse().unwrap();
        let words = ServerCommand::floor().unwrap().words(address, None, &["-t", "1"]);
        assert_eq!(words[1..], ["--floor", "-l", "127.0.0.1", "-p", "4000"]);
    }

    #[test]
    fn what_a_server_is_called_with_counts_more_than_what_is_usual() {
        let address = "127.0.0.1:4000".parse().unwrap();
        let command = ServerCommand::parse("memcached -t 2").unwrap().with_arguments("-m 5");
        let words = command.words(address, None, &["-t", "1", "-m", "1024"]);
        assert_eq!(words[words.len() - 4..], ["-l", "127.0.0.1", "-p", "4000"]);
        let last = |flag: &str| words.iter().rposition(|word| word == flag).map(|at| words[at + 1].as_str());
        assert_eq!((last("-t"), last("-m")), (Some("2"), Some("5")));
    }

    #[test]
    fn a_server_with_tls_has_a_port_without_it() {
        let [address, tls_address] = ["127.0.0.1:4000", "127.0.0.1:4001"].map(|text| text.parse().unwrap());
        let command = ServerCommand::parse("memcached -Z").unwrap();
        assert!(command.uses_tls() && !ServerCommand::parse("memcached").unwrap().uses_tls());
        let words = command.words(address, Some(tls_address), &[]);
        assert_eq!(words[words.len() - 2..], ["-l", "notls:127.0.0.1:4000,127.0.0.1:4001"]);
    }
}

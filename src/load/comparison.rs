//! Which two servers a program compares and where they run, from `LARDER_BENCH_*` variables.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use crate::schedule::{Priority, set_priority};
use larder::sys::log::{Level, log_line};
use larder::sys::process::raise_open_files;

use super::host;
use super::server::ServerCommand;

/// The version of the memcached that the bars of the tables are made for.
pub const YARDSTICK_VERSION: &str = "1.6.45";

/// Two servers, and where they and their client run.
pub struct Comparison {
    /// larder, then the yardstick. A ratio is the figure of the first over that of the second.
    pub servers: [ServerCommand; 2],
    /// Where both run.
    pub place: Cores,
}

/// The cores of server and client, so that they do not share one.
#[derive(Clone, Debug)]
pub struct Cores {
    /// The cores of the server's threads.
    pub server_cores: Vec<usize>,
    /// The cores of this program's threads.
    pub client_cores: Vec<usize>,
    /// The priority of both.
    pub priority: Priority,
}

/// Limit of open files. Each connection is one file here and one in the server, which inherits the limit.
const OPEN_FILES: u64 = 100_000;
const OPEN_FILES_LEAST: u64 = 1_000;

impl Cores {
    /// Reads `LARDER_BENCH_SERVER_CORE`, `LARDER_BENCH_CLIENT_CORE` and `LARDER_BENCH_REALTIME`. Also raises the
    /// limit on open files, which a program with many connections needs before its first.
    ///
    /// # Errors
    /// A variable is no number, or a system call failed.
    pub fn from_environment() -> io::Result<Self> {
        raise_open_files(OPEN_FILES, OPEN_FILES_LEAST)?;
        let priority = if number("LARDER_BENCH_REALTIME", 0)? != 0 { Priority::Realtime } else { Priority::Normal };
        set_priority(priority)?;
        Ok(Self {
            server_cores: vec![number("LARDER_BENCH_SERVER_CORE", 0)?],
            client_cores: vec![number("LARDER_BENCH_CLIENT_CORE", 1)?],
            priority,
        })
    }
}

impl Comparison {
    /// The servers that `LARDER_BENCH_A` and `LARDER_BENCH_B` name; by default the larder that was built, and the
    /// newest memcached.
    ///
    /// # Errors
    /// A variable is no number, there is no memcached, or a system call failed.
    pub fn from_environment() -> io::Result<Self> {
        let ours = command_or("LARDER_BENCH_A", || Ok(built_larder()))?;
        let yardstick = command_or("LARDER_BENCH_B", newest_memcached)?;
        let mut servers = [ours, yardstick];
        ServerCommand::name_apart(&mut servers);
        Ok(Self { servers, place: Cores::from_environment()? })
    }
}

/// A server may be given with arguments of its own: `LARDER_BENCH_B="target/memcached/bin/memcached -R 1000"`.
fn command_or(variable: &str, otherwise: impl FnOnce() -> io::Result<PathBuf>) -> io::Result<ServerCommand> {
    match env::var(variable) {
        Ok(given) if !given.trim().is_empty() => ServerCommand::parse(&given),
        _ => Ok(ServerCommand::new(otherwise()?, Vec::new())),
    }
}

/// The daemon beside this program, `target/release/larder`; programs of `cargo bench` lie a folder further down, in
/// `deps`.
fn built_larder() -> PathBuf {
    let own = env::current_exe().unwrap_or_default();
    let folder = own.parent().unwrap_or(Path::new("target/release"));
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    folder.join("larder")
}

fn newest_memcached() -> io::Result<PathBuf> {
    if let Ok(oracle) = env::var("LARDER_ORACLE") {
        return Ok(PathBuf::from(oracle));
    }
    let missing = |said: &dyn std::fmt::Display| {
        let said =
            format!("no memcached to compare with: scripts/newest-memcached: {said}; LARDER_ORACLE names another");
        io::Error::new(io::ErrorKind::NotFound, said)
    };
    let output = Command::new("scripts/newest-memcached").arg("target/memcached").output();
    let output = output.map_err(|error| missing(&error))?;
    if !output.status.success() {
        return Err(missing(&String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    // The script warns if the version is not the yardstick's.
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        log_line(Level::Info, line.as_bytes());
    }
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(PathBuf::from(stdout.lines().last().unwrap_or_default()))
}

/// A number from the environment.
///
/// # Errors
/// The variable is set to something else.
pub fn number<T: FromStr>(variable: &str, otherwise: T) -> io::Result<T> {
    match env::var(variable) {
        Ok(text) => text.parse().map_err(|_| io::Error::other(format!("{variable}: {text} is not a number"))),
        Err(_) => Ok(otherwise),
    }
}

/// One line under each table: without it a figure cannot be compared with another day's.
pub fn describe_host() -> String {
    format!("{}, Linux {}", host::cores_and_model(), host::kernel_release())
}

//! Which two servers a program compares and where they run, from `LARDER_BENCH_*` variables.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use super::host;
use super::server::ServerCommand;

pub(crate) struct Contest {
    /// Ours, then the yardstick: every ratio is the first over the second.
    pub(crate) servers: [ServerCommand; 2],
    pub(crate) server_core: usize,
    pub(crate) client_core: usize,
}

impl Contest {
    pub(crate) fn from_environment() -> io::Result<Self> {
        host::raise_descriptor_limit()?;
        if number("LARDER_BENCH_REALTIME", 0)? != 0 {
            host::run_at_realtime_priority()?;
        }
        let ours = command_or("LARDER_BENCH_A", || Ok(built_larder()))?;
        let yardstick = command_or("LARDER_BENCH_B", newest_memcached)?;
        Ok(Self {
            servers: ServerCommand::distinctly_named(ours, yardstick),
            server_core: number("LARDER_BENCH_SERVER_CORE", 0)?,
            client_core: number("LARDER_BENCH_CLIENT_CORE", 1)?,
        })
    }
}

/// A server may be given with arguments of its own: `LARDER_BENCH_B="target/memcached/bin/memcached -R 1000"`.
fn command_or(variable: &str, otherwise: impl FnOnce() -> io::Result<PathBuf>) -> io::Result<ServerCommand> {
    let given = env::var(variable).unwrap_or_default();
    let mut words = given.split_whitespace();
    let program = match words.next() {
        Some(program) => PathBuf::from(program),
        None => otherwise()?,
    };
    Ok(ServerCommand::new(program, words.map(str::to_string).collect()))
}

/// The release binary, two folders above this program: `target/release/deps/quick-…` to `target/release/larder`.
fn built_larder() -> PathBuf {
    let own = env::current_exe().unwrap_or_default();
    let release = own.parent().and_then(Path::parent).unwrap_or(Path::new("target/release"));
    release.join("larder")
}

fn newest_memcached() -> io::Result<PathBuf> {
    if let Ok(oracle) = env::var("LARDER_ORACLE") {
        return Ok(PathBuf::from(oracle));
    }
    let output = Command::new("scripts/newest-memcached").arg("target/memcached").output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(PathBuf::from(stdout.lines().last().unwrap_or_default()))
}

pub(crate) fn number<T: FromStr>(variable: &str, otherwise: T) -> io::Result<T> {
    match env::var(variable) {
        Ok(text) => text.parse().map_err(|_| io::Error::other(format!("{variable}: {text} is not a number"))),
        Err(_) => Ok(otherwise),
    }
}

/// One line under each table: without it a figure cannot be compared with another day's.
pub(crate) fn describe_host() -> String {
    format!("{}, Linux {}", host::cores_and_model(), host::kernel_release())
}

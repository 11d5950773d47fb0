//! The command line of `larder dump`, `larder load`, `larder ping` and `larder doctor`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use getopts::Options;

use crate::tls::tls_help;

use super::doctor::examine;
use super::dump::dump;
use super::failure::ToolFailure;
use super::load::{Existing, LoadOutcome, load};
use super::ping::ping;
use super::progress::TransferProgress;
use super::remote::RemoteServer;

/// What the first word of the command line may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Items of a server to a file.
    Dump,
    /// Items of a file to a server.
    Load,
    /// Whether a server answers.
    Ping,
    /// What is wrong with a server.
    Doctor,
}

const DUMP_HELP: &str = "\
usage: larder dump [options] SERVER [FILE]

Writes the items of a server to FILE, or to standard output: keys, values, flags and times to live. The server is
larder, or memcached 1.6. It goes on to serve meanwhile.

  SERVER    HOST, HOST:PORT, [IPV6]:PORT, or the path of a Unix socket
  FILE      appears when it is complete
";

const LOAD_HELP: &str = "\
usage: larder load [options] SERVER [FILE]

Stores the items of FILE, or of standard input, in a server: larder, or memcached 1.6.

  -k, --keep    do not replace items that the server has
";

const PING_HELP: &str = "\
usage: larder ping [options] SERVER

Ends with exit code 0 if the server answers within two seconds: larder, or memcached 1.6.
";

const DOCTOR_HELP: &str = "\
usage: larder doctor [options] SERVER

Examines a running server, larder or memcached, and says what is wrong, with the option that cures it: memory that is
too small, connections near the limit, a key with a third of the requests, a certificate that ends soon, and others.
doc/tools.md lists the checks.
";

const COMMON_HELP: &str = "
LARDER_USER=user:password in the environment is for servers that want authentication.
Exit codes: 0 all is done, 1 the server has refused items, or the doctor has findings, 64 usage, 65 no whole dump,
69 server, 74 file.
doc/dump.md describes the file.
";

/// What the words behind the tool ask for.
struct ToolOrder {
    server: RemoteServer,
    /// `None`: standard input or output.
    file: Option<PathBuf>,
    existing: Existing,
}

impl Tool {
    /// The tool with this name.
    pub fn named(word: &OsStr) -> Option<Self> {
        match word.to_str()? {
            "dump" => Some(Self::Dump),
            "load" => Some(Self::Load),
            "ping" => Some(Self::Ping),
            "doctor" => Some(Self::Doctor),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Dump => "dump",
            Self::Load => "load",
            Self::Ping => "ping",
            Self::Doctor => "doctor",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Dump => DUMP_HELP,
            Self::Load => LOAD_HELP,
            Self::Ping => PING_HELP,
            Self::Doctor => DOCTOR_HELP,
        }
    }

    /// Does what the words behind the tool ask for. Returns a text for standard output.
    ///
    /// # Errors
    /// Why not all of it was done.
    pub fn run(self, words: impl Iterator<Item = OsString>) -> Result<String, ToolFailure> {
        let Some(order) = self.read(words).map_err(ToolFailure::Usage)? else {
            return Ok([self.help(), &tls_help(), COMMON_HELP].concat());
        };
        let mut progress = TransferProgress::new(self.name());
        match self {
            Self::Dump => run_dump(&order, &mut progress)?,
            Self::Load => run_load(&order, &mut progress)?,
            Self::Ping => ping(&order.server)?,
            Self::Doctor => run_doctor(&order.server)?,
        }
        Ok(String::new())
    }

    /// `None`: the help is asked for.
    fn read(self, words: impl Iterator<Item = OsString>) -> Result<Option<ToolOrder>, String> {
        let mut options = Options::new();
        options.optflag("h", "help", "");
        RemoteServer::add_flags(&mut options);
        if self == Self::Load {
            options.optflag("k", "keep", "");
        }
        let matches = options.parse(words).map_err(|error| format!("{error}; see larder {} -h", self.name()))?;
        if matches.opt_present("help") {
            return Ok(None);
        }
        let (server, file) = match matches.free.as_slice() {
            [server] => (server, None),
            [server, file] if matches!(self, Self::Dump | Self::Load) => {
                (server, Some(file).filter(|file| *file != "-"))
            }
            _ => return Err(format!("{} words; see larder {} -h", matches.free.len(), self.name())),
        };
        let keeps = self == Self::Load && matches.opt_present("keep");
        Ok(Some(ToolOrder {
            server: RemoteServer::read(server, &matches)?,
            file: file.map(PathBuf::from),
            existing: if keeps { Existing::Keep } else { Existing::Replace },
        }))
    }
}

fn run_doctor(server: &RemoteServer) -> Result<(), ToolFailure> {
    let (text, findings) = examine(server)?;
    io::stdout().lock().write_all(text.as_bytes()).map_err(ToolFailure::file("write to standard output"))?;
    match findings {
        0 => Ok(()),
        1 => Err(ToolFailure::Incomplete("1 finding".to_string())),
        _ => Err(ToolFailure::Incomplete(format!("{findings} findings"))),
    }
}

fn run_dump(order: &ToolOrder, progress: &mut TransferProgress) -> Result<(), ToolFailure> {
    let stale = match &order.file {
        Some(path) => dump_to_file(&order.server, path, progress)?,
        None => dump(&order.server, &mut BufWriter::new(io::stdout().lock()), progress)?,
    };
    progress.finish(&if stale > 0 { format!("; {stale} stale items are left out") } else { String::new() });
    Ok(())
}

/// Writes to another name first, so that a file with the name of a dump is a whole one.
fn dump_to_file(server: &RemoteServer, path: &Path, progress: &mut TransferProgress) -> Result<u64, ToolFailure> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let failure = |path: &Path| ToolFailure::file(format!("write {}", path.display()));
    let file = File::create(&unfinished).map_err(failure(&unfinished))?;
    let mut out = BufWriter::new(file);
    let dumped = dump(server, &mut out, progress).and_then(|stale| {
        out.flush().and_then(|()| out.get_ref().sync_all()).map_err(failure(&unfinished))?;
        fs::rename(&unfinished, path).map_err(failure(path))?;
        Ok(stale)
    });
    dumped.inspect_err(|_| {
        // Ignored: the failure before matters.
        let _ = fs::remove_file(&unfinished);
    })
}

fn run_load(order: &ToolOrder, progress: &mut TransferProgress) -> Result<(), ToolFailure> {
    let outcome = match &order.file {
        Some(path) => {
            let file = File::open(path).map_err(ToolFailure::file(format!("read {}", path.display())))?;
            load(&mut BufReader::new(file), &order.server, order.existing, progress)?
        }
        None => load(&mut io::stdin().lock(), &order.server, order.existing, progress)?,
    };
    let LoadOutcome { expired, kept, refused, first_refusal } = outcome;
    let parts = [(expired, "have expired"), (kept, "were there and stay"), (refused, "are refused")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: String = parts.map(|(count, what)| format!("; {count} {what}")).collect();
    progress.finish(&parts);
    match first_refusal {
        None => Ok(()),
        Some(line) => Err(ToolFailure::Incomplete(format!("{refused} items: {}", line.escape_ascii()))),
    }
}

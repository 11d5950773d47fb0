//! The command line of larder-cli.

use std::ffi::OsString;

use getopts::{Options, ParsingStyle};
use larder::tls::tls_help;
use larder::tools::RemoteServer;

const HELP: &str = "\
usage: larder-cli [options] [SERVER [COMMAND WORD ...]]

Sends commands to a server: those that are typed, with editing and completion, or the one behind SERVER. A server is
larder or memcached: HOST, HOST:PORT, [IPV6]:PORT, or the path of a Unix socket. The default is 127.0.0.1.

      --stat             a line per second: requests, hits, evictions, clients, items, memory
      --latency          a line per second: the time of requests without effect
      --bigkeys          the largest items
      --hotkeys          the most requested keys (larder only)
      --scan PREFIX      all keys that begin with PREFIX
  -n, --rounds ROUNDS    end --stat and --latency after as many lines
  -h, --help             print this help and exit
";

const REST_OF_HELP: &str = "
LARDER_USER=user:password is for servers that want authentication.
Exit codes: 0 done, 1 the server has answered an error, 64 usage, 69 server.
";

/// What to do.
#[derive(Debug)]
pub(crate) struct CliOrder {
    pub(crate) server: RemoteServer,
    pub(crate) mode: CliView,
    /// `None`: until it is interrupted.
    pub(crate) rounds: Option<u32>,
}

/// What is shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CliView {
    /// A prompt for commands.
    Prompt,
    /// The reply to one command.
    Command(Vec<String>),
    Stat,
    Latency,
    BigKeys,
    HotKeys,
    Scan(String),
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum CliAsked {
    Help(String),
    Run(CliOrder),
}

/// Reads the words of the command line. An error is a message for the user.
pub(crate) fn read(words: impl Iterator<Item = OsString>) -> Result<CliAsked, String> {
    let mut options = Options::new();
    // Words of a command may begin with a dash.
    options.parsing_style(ParsingStyle::StopAtFirstFree);
    let flags = ["stat", "latency", "bigkeys", "hotkeys"];
    flags.iter().for_each(|flag| {
        options.optflag("", flag, "");
    });
    options.optopt("", "scan", "", "").optopt("n", "rounds", "", "").optflag("h", "help", "");
    RemoteServer::add_flags(&mut options);
    let matches = options.parse(words).map_err(|error| format!("{error}; see larder-cli -h"))?;
    if matches.opt_present("help") {
        return Ok(CliAsked::Help([HELP, &tls_help(), REST_OF_HELP].concat()));
    }
    let mut modes = Vec::new();
    for (flag, mode) in flags.into_iter().zip([CliView::Stat, CliView::Latency, CliView::BigKeys, CliView::HotKeys]) {
        modes.extend(matches.opt_present(flag).then_some(mode));
    }
    modes.extend(matches.opt_str("scan").map(CliView::Scan));
    let (server, command) = match matches.free.as_slice() {
        [] => ("127.0.0.1", &[][..]),
        [server, command @ ..] => (server.as_str(), command),
    };
    modes.extend((!command.is_empty()).then(|| CliView::Command(command.to_vec())));
    if modes.len() > 1 {
        return Err("one view or command at a time; see larder-cli -h".to_string());
    }
    let rounds = match matches.opt_str("rounds") {
        None => None,
        Some(text) => match text.parse().ok().filter(|rounds| (1..=1_000_000).contains(rounds)) {
            Some(rounds) => Some(rounds),
            None => return Err(format!("--rounds: {text} is outside 1 to 1000000")),
        },
    };
    let mode = modes.pop().unwrap_or(CliView::Prompt);
    Ok(CliAsked::Run(CliOrder { server: RemoteServer::read(server, &matches)?, mode, rounds }))
}

#[cfg(test)]
mod tests {
    use super::{CliAsked, CliView, read};

    #[test]
    fn one_mode_is_asked_for() {
        let asked = |line: &str| read(line.split_whitespace().map(Into::into));
        for (line, mode) in [
            ("", CliView::Prompt),
            ("cache1", CliView::Prompt),
            ("--stat cache1", CliView::Stat),
            ("--scan user: cache1", CliView::Scan("user:".into())),
            ("cache1 mg a -v", CliView::Command(vec!["mg".into(), "a".into(), "-v".into()])),
        ] {
            let Ok(CliAsked::Run(order)) = asked(line) else { panic!("{line}") };
            assert_eq!(order.mode, mode);
        }
        assert!(matches!(asked("-h"), Ok(CliAsked::Help(_))));
        assert_eq!(asked("--stat --latency").unwrap_err(), "one view or command at a time; see larder-cli -h");
        assert_eq!(asked("--stat -n 0").unwrap_err(), "--rounds: 0 is outside 1 to 1000000");
    }
}

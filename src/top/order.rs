//! The command line of larder-top.

use std::ffi::OsString;
use std::time::Duration;

use getopts::Options;
use larder::tls::tls_help;
use larder::tools::RemoteServer;

const HELP: &str = "\
usage: larder-top [options] [SERVER ...]

Shows what servers do: requests, hits, evictions, traffic, clients and memory. A server is larder or memcached:
HOST, HOST:PORT, [IPV6]:PORT, or the path of a Unix socket. The default is 127.0.0.1.

  -i, --interval SECONDS    time between two readings (1 to 3600; default 1)
  -n, --rounds ROUNDS       print as many tables as plain text, and exit
  -h, --help                print this help and exit
";

const REST_OF_HELP: &str = "
Keys: arrows or j and k select a server, q quits. LARDER_USER=user:password is for servers that want authentication.
";

/// What to show.
#[derive(Debug)]
pub(crate) struct ViewOrder {
    pub(crate) servers: Vec<RemoteServer>,
    pub(crate) every: Duration,
    /// `None`: until a key ends it.
    pub(crate) rounds: Option<u32>,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Help(String),
    Show(ViewOrder),
}

/// Reads the words of the command line. An error is a message for the operator.
pub(crate) fn read(words: impl Iterator<Item = OsString>) -> Result<Asked, String> {
    let mut options = Options::new();
    options.optopt("i", "interval", "", "").optopt("n", "rounds", "", "").optflag("h", "help", "");
    RemoteServer::add_flags(&mut options);
    let matches = options.parse(words).map_err(|error| format!("{error}; see larder-top -h"))?;
    if matches.opt_present("help") {
        return Ok(Asked::Help([HELP, &tls_help(), REST_OF_HELP].concat()));
    }
    let number = |name: &str, max: u32| match matches.opt_str(name) {
        None => Ok(None),
        Some(text) => match text.parse().ok().filter(|number| (1..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("--{name}: {text} is outside 1 to {max}")),
        },
    };
    let every = Duration::from_secs(number("interval", 3600)?.unwrap_or(1).into());
    let rounds = number("rounds", 1_000_000)?;
    let named = if matches.free.is_empty() { vec!["127.0.0.1".into()] } else { matches.free.clone() };
    let servers = named.iter().map(|word| RemoteServer::read(word, &matches)).collect::<Result<_, _>>()?;
    Ok(Asked::Show(ViewOrder { servers, every, rounds }))
}

#[cfg(test)]
mod tests {
    use super::{Asked, read};

    #[test]
    fn mistakes_are_named() {
        let asked = |line: &str| read(line.split_whitespace().map(Into::into));
        let Ok(Asked::Show(order)) = asked("-i 5 a b:1") else { panic!("two servers") };
        assert_eq!((order.servers.len(), order.every.as_secs(), order.rounds), (2, 5, None));
        assert!(matches!(asked("-h"), Ok(Asked::Help(_))));
        assert_eq!(asked("-i 0").unwrap_err(), "--interval: 0 is outside 1 to 3600");
        assert_eq!(asked("a:x").unwrap_err(), "port \"x\" is outside 0 to 65535");
        assert!(asked("--what").is_err());
    }
}

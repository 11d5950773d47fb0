//! The modes of `larder-bench` beside a load that the command line describes.
//!
//! ```text
//! larder-bench --floor [-l ADDRESS] [-p PORT]             the null server
//! larder-bench --table [--rows "A; B"] [--json] [--server "PATH ARGS"] …     the rows of `make bench`, or some of them
//! larder-bench --memory                                   start and resident memory
//! ```

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use getopts::{Matches, Options};

use super::super::flags::{MODES, help};
use super::super::floor::Floor;
use super::super::order::explain;
use super::super::plan::invalid;
use super::super::server::ServerCommand;
use super::rows::{ROWS, named};
use super::runs::{Form, Runs};
use super::{memory, rows};

/// Runs the mode that the arguments, without the program's name, begin with. Returns a text to print. `None`: they
/// begin with no mode.
///
/// # Errors
/// An argument is invalid, or the measurement failed.
pub fn run_mode(arguments: &[String]) -> Option<io::Result<String>> {
    let (mode, rest) = arguments.split_first()?;
    let is_help = |word: &String| word == "--help" || word == "-h";
    if MODES.contains(&mode.as_str()) && rest.iter().any(is_help) {
        return Some(Ok(help(env!("CARGO_PKG_VERSION"))));
    }
    match mode.as_str() {
        "--floor" => Some(floor(rest)),
        "--table" => Some(table(rest)),
        "--memory" => Some(memory(rest)),
        _ => None,
    }
}

fn floor(arguments: &[String]) -> io::Result<String> {
    let mut options = Options::new();
    options.optopt("l", "", "", "").optopt("p", "", "", "");
    let given = understood(&options, arguments)?;
    let ip: IpAddr =
        given.opt_get_default("l", Ipv4Addr::LOCALHOST.into()).map_err(|error| invalid(format!("-l: {error}")))?;
    let port = given.opt_get_default("p", 11211).map_err(|error| invalid(format!("-p: {error}")))?;
    let address = SocketAddr::new(ip, port);
    let floor = Floor::bind(address);
    let mut floor = floor.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    floor.run().map(|()| String::new())
}

fn memory(arguments: &[String]) -> io::Result<String> {
    understood(&Options::new(), arguments)?;
    memory::run().map(|text| text + "\n")
}

fn understood(options: &Options, arguments: &[String]) -> io::Result<Matches> {
    let given = options.parse(arguments).map_err(|fail| invalid(explain(&fail)))?;
    match given.free.first() {
        None => Ok(given),
        Some(extra) => Err(invalid(format!("{extra}: not an option; larder-bench --help lists them"))),
    }
}

fn table(arguments: &[String]) -> io::Result<String> {
    let mut options = Options::new();
    options.optopt("", "rows", "", "").optmulti("", "server", "", "").optflag("", "json", "");
    let given = understood(&options, arguments)?;
    let rows = named(&given.opt_str("rows").unwrap_or_default());
    if rows.is_empty() {
        let names: Vec<&str> = ROWS.iter().map(|row: &rows::Row| row.name).collect();
        return Err(invalid(format!("no such row; rows are\n  {}", names.join("\n  "))));
    }
    let servers = given.opt_strs("server").iter().map(|text| ServerCommand::parse(text)).collect::<io::Result<_>>()?;
    let form = if given.opt_present("json") { Form::Json } else { Form::Table };
    Runs::of_table(servers, form)?.measure(&rows, &mut |text| show(text)).map(|()| String::new())
}

fn show(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

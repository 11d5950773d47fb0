//! What `larder-bench` is asked for when it is not asked for a load of one's own.
//!
//! ```text
//! larder-bench --floor [-l ADDRESS] [-p PORT]             the server that does nothing
//! larder-bench --table [--rows "A; B"] [--json] [--server "PATH ARGS"] …     the rows of `make bench`, or some of them
//! larder-bench --memory                                    start and resident memory
//! ```

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use getopts::Options;

use super::super::floor::Floor;
use super::super::server::ServerCommand;
use super::field::{Field, Form};
use super::rows::{ROWS, named};
use super::{memory, rows};

/// Runs the mode that the arguments, without the program's name, begin with. None: they begin with none of them.
///
/// # Errors
/// An argument that is not understood, or what the measurement met.
pub fn run_mode(arguments: &[String]) -> Option<io::Result<()>> {
    let (mode, rest) = arguments.split_first()?;
    match mode.as_str() {
        "--floor" => Some(floor(rest)),
        "--table" => Some(table(rest)),
        "--memory" => Some(memory::run().and_then(|text| show(&text))),
        _ => None,
    }
}

fn floor(arguments: &[String]) -> io::Result<()> {
    let mut options = Options::new();
    options.optopt("l", "", "", "").optopt("p", "", "", "");
    let given = options.parse(arguments).map_err(io::Error::other)?;
    let invalid = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let ip: IpAddr = given.opt_get_default("l", Ipv4Addr::LOCALHOST.into()).map_err(|error| invalid(&error))?;
    let port = given.opt_get_default("p", 11211).map_err(|error| invalid(&error))?;
    Floor::bind(SocketAddr::new(ip, port))?.run()
}

fn table(arguments: &[String]) -> io::Result<()> {
    let mut options = Options::new();
    options.optopt("", "rows", "", "").optmulti("", "server", "", "").optflag("", "json", "");
    let given = options.parse(arguments).map_err(io::Error::other)?;
    let rows = named(&given.opt_str("rows").unwrap_or_default());
    if rows.is_empty() {
        let names: Vec<&str> = ROWS.iter().map(|row: &rows::Row| row.name).collect();
        return Err(io::Error::other(format!("no such row; rows are\n  {}", names.join("\n  "))));
    }
    let servers = given.opt_strs("server").iter().map(|text| ServerCommand::parse(text)).collect::<io::Result<_>>()?;
    let form = if given.opt_present("json") { Form::Json } else { Form::Table };
    Field::new(servers, form)?.measure(&rows, &mut |text| show(text))
}

fn show(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

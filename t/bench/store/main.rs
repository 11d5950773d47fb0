//! What the store holds and misses: larder and memcached in turns on the same input, `-m` equal, as Markdown tables.
//!
//! ```text
//! core 0   the server under test       one at a time, started afresh for every figure, one worker
//! core 1   this program                one connection, windows of requests: get, and set what was missing
//! ```
//!
//! Rows are named on the command line or in `LARDER_BENCH_ROWS` (`density,traces`). The default is all rows. Each
//! prints a table of its own when it is done, and the last table is every measure beside its bar.
//! doc/measurements/store.md describes each figure.
#![expect(clippy::disallowed_macros, reason = "the tables on standard output are what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures real time, and waits for servers it cannot ask")]

mod announced;
mod burst;
mod class_burst;
mod density;
mod expiry;
mod fill;
mod items;
mod large_clients;
mod late;
mod mixed;
mod mixed_fill;
mod no_evictions;
mod options;
mod reassign;
mod refill;
mod replay;
mod sessions;
mod small_limits;
mod traces;
mod twitter;
mod verdict;
mod zipf;

use std::io;
use std::process::ExitCode;

use crate::options::Options;
use crate::verdict::{Verdict, summary};
use larder_bench::comparison::describe_host;
use larder_bench::server::Server;

/// A row of the comparison. It prints its table and returns whether its bars were met.
struct Row {
    name: &'static str,
    run: fn(&Options) -> io::Result<Vec<Verdict>>,
}

const ROWS: &[Row] = &[
    Row { name: "density", run: density::bytes_per_item },
    Row { name: "held", run: density::items_held },
    Row { name: "traces", run: traces::run },
    Row { name: "zipf", run: zipf::steady },
    Row { name: "drift", run: zipf::drift },
    Row { name: "twitter", run: twitter::run },
    Row { name: "mixed", run: mixed::run },
    Row { name: "expiry", run: expiry::run },
    Row { name: "late", run: late::run },
    Row { name: "sessions", run: sessions::run },
    Row { name: "refill", run: refill::run },
    Row { name: "burst", run: burst::unread },
    Row { name: "warm-burst", run: burst::warm },
    Row { name: "class-burst", run: class_burst::run },
    Row { name: "no-evictions", run: no_evictions::run },
    Row { name: "announced", run: announced::run },
    Row { name: "large-clients", run: large_clients::run },
    Row { name: "reassign", run: reassign::run },
    Row { name: "mixed-fill", run: mixed_fill::run },
    Row { name: "size-drift", run: mixed_fill::drift },
    Row { name: "small-limits", run: small_limits::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rows = arguments.iter().filter(|argument| !argument.starts_with('-'));
    let mut wanted: Vec<String> = rows.flat_map(|names| names.split(',').map(str::to_string)).collect();
    // Cargo runs the program without a row when it only wants to see it start; `all` is what the Makefile asks for.
    if wanted.is_empty() {
        println!("usage: store all | {}   (see doc/measurements/store.md)", names().join(" | "));
        return ExitCode::SUCCESS;
    }
    if let Ok(rows) = std::env::var("LARDER_BENCH_ROWS") {
        wanted = rows.split(',').map(|name| name.trim().to_string()).collect();
    }
    match run(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("store: {error}");
            ExitCode::FAILURE
        }
    }
}

fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).collect()
}

/// After a row that fails the others still run. The exit status shows the failure.
fn run(wanted: &[String]) -> io::Result<()> {
    let all = wanted.iter().any(|name| name == "all");
    if let Some(unknown) = wanted.iter().find(|name| *name != "all" && !names().contains(&name.as_str())) {
        return Err(io::Error::other(format!("no row {unknown}; rows are {}", names().join(", "))));
    }
    let options = Options::from_environment()?;
    let versions = versions(&options)?;
    let mut verdicts = Vec::new();
    let mut failed = Vec::new();
    for row in ROWS.iter().filter(|row| all || wanted.iter().any(|name| name == row.name)) {
        eprintln!("== {}", row.name);
        match (row.run)(&options) {
            Ok(found) => verdicts.extend(found),
            Err(error) => {
                eprintln!("store: {}: {error}", row.name);
                println!("{}: not measured: {error}\n", row.name);
                failed.push(row.name);
            }
        }
    }
    println!("{}", summary(&options, &verdicts));
    println!("{versions}; server -t 1 on core {}; {}", options.comparison.place.server_cores[0], describe_host());
    if options.percent != 100 {
        println!("A short run: {} % of the requests and of the time.", options.percent);
    }
    if failed.is_empty() { Ok(()) } else { Err(io::Error::other(format!("not measured: {}", failed.join(", ")))) }
}

fn versions(options: &Options) -> io::Result<String> {
    let mut texts = Vec::new();
    for command in &options.comparison.servers {
        let (server, _) = Server::start(&options.comparison.place, command, &[], &["-m", "64"])?;
        let version = server.control()?.ask("version")?;
        texts.push(format!("{}: {}", command.name, version.trim_start_matches("VERSION ")));
        server.stop()?;
    }
    Ok(texts.join("; "))
}

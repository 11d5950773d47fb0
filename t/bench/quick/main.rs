//! The load program: larder and memcached side by side in one run, printed as Markdown tables.
//!
//! ```text
//! core 0   server A │ server B        one worker each, only one of them under load at a time
//! core 1   this program               one thread that polls and never sleeps
//! ```
//!
//! `compare` is `make bench-quick`, `memory` is `make bench-memory`, `instructions` is `make bench-instructions`;
//! doc/performance.md says how each figure is made and what the environment variables change.
#![expect(clippy::disallowed_macros, reason = "the tables on standard output are what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures real time, and waits for servers it cannot ask")]

mod batch;
mod client;
mod compare;
mod instructions;
mod memory;
mod options;

use std::io;
use std::process::ExitCode;

use crate::options::Options;

const USAGE: &str = "usage: quick compare | memory | instructions   (see doc/performance.md)";

fn main() -> ExitCode {
    // Cargo adds `--bench` of its own, and runs the program without a mode when it only wants to see it start.
    let Some(mode) = std::env::args().skip(1).find(|argument| !argument.starts_with('-')) else {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    };
    match run(&mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quick: {mode}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mode: &str) -> io::Result<()> {
    let task = match mode {
        "compare" => compare::run,
        "memory" => memory::run,
        "instructions" => instructions::run,
        _ => return Err(io::Error::other(USAGE)),
    };
    task(&Options::from_environment()?)
}

//! The load generator `larder-bench`.

use std::io::Write as _;
use std::process::ExitCode;

use larder::sys::log::{Level, log_line};
use larder_bench::bench::run_mode;
use larder_bench::order::{Invocation, parse};
use larder_bench::tool::{Failure, carry_out, compare};

fn main() -> ExitCode {
    match run() {
        Ok((text, code)) => {
            // Ignored: a reader that closed the pipe has read enough.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            ExitCode::from(code)
        }
        Err(failure) => {
            failure.to_string().lines().for_each(|line| log_line(Level::Info, line));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run() -> Result<(String, u8), Failure> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(done) = run_mode(&words) {
        return done.map(|text| (text, 0)).map_err(|error| Failure::of_bench(&error));
    }
    match parse(arguments).map_err(Failure::Usage)? {
        Invocation::Print(text) => Ok((text, 0)),
        Invocation::Load(order) => carry_out(&order),
        Invocation::Compare(order, servers) => compare(&order, &servers),
    }
}

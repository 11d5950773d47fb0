//! The `larder` daemon.

use std::io::Write as _;
use std::process::ExitCode;

use larder::daemon::{Failure, Invocation, parse, serve};
use larder::sys::log::{Level, flush_log, log_line};
use larder::sys::spare::SpareAllocator;

#[global_allocator]
static ALLOCATOR: SpareAllocator = SpareAllocator;

fn main() -> ExitCode {
    let code = match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log_line(Level::Error, failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    };
    flush_log();
    code
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    match parse(&program, arguments, |name| std::env::var_os(name))? {
        Invocation::Print(text) => {
            // Ignored: a reader that closed the pipe has read enough.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            Ok(())
        }
        Invocation::Serve(settings) => serve(&settings),
    }
}

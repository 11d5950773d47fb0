//! The `larder` daemon.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use larder::daemon::{Failure, Invocation, parse, serve};
use larder::sys::log::{Level, flush_log, log_line};
use larder::sys::spare::SpareAllocator;
use larder::tools::{Tool, ToolFailure};

#[global_allocator]
static ALLOCATOR: SpareAllocator = SpareAllocator;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let mut arguments = arguments.peekable();
    let code = match arguments.peek().and_then(|word| Tool::named(word)) {
        Some(tool) => ended(tool.run(arguments.skip(1)).map(|text| print(&text)), ToolFailure::exit_code),
        None => ended(run(&program, arguments), Failure::exit_code),
    };
    flush_log();
    code
}

/// The exit code of the process. Writes the reason of a failure.
fn ended<E: Display>(result: Result<(), E>, code_of: impl Fn(&E) -> u8) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log_line(Level::Error, failure.to_string());
            ExitCode::from(code_of(&failure))
        }
    }
}

fn run(program: &OsStr, arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    match parse(program, arguments, |name| std::env::var_os(name))? {
        Invocation::Print(text) => print(&text),
        Invocation::Serve(settings) => serve(&settings)?,
    }
    Ok(())
}

fn print(text: &str) {
    // Ignored: a reader that closed the pipe has read enough.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

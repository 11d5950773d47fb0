//! `larder-cli`: commands for a server, typed or given as arguments, and views of its keys. For larder and memcached.
//!
//! ```text
//! prompt.rs    lines with editing and completion ──▶ dialogue.rs: a command and its reply
//! views.rs     --stat --latency --bigkeys --hotkeys --scan
//! order.rs     the command line
//! ```

mod dialogue;
mod order;
mod prompt;
mod views;

use std::io::Write as _;
use std::process::ExitCode;

use larder::sys::log::{Level, log_line};
use larder::tools::{ServerConnection, ToolFailure};

use crate::order::{CliAsked, CliOrder, CliView, read};

fn main() -> ExitCode {
    let done = match read(std::env::args_os().skip(1)) {
        Ok(CliAsked::Help(text)) => show(&text),
        Ok(CliAsked::Run(order)) => run(&order),
        Err(text) => Err(ToolFailure::Usage(text)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log_line(Level::Error, format!("larder-cli: {}", failure.reason()));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(order: &CliOrder) -> Result<(), ToolFailure> {
    let mut server = ServerConnection::open(&order.server, dialogue::SILENCE_MAX)?;
    match &order.mode {
        CliView::Prompt => prompt::run(&order.server, &mut server),
        CliView::Command(words) => {
            let line = words.join(" ");
            if dialogue::length_word(&line).is_some() {
                return Err(ToolFailure::Usage("a command that stores asks for its value at the prompt".to_string()));
            }
            let reply = dialogue::ask(&mut server, &line, None)?;
            show(&reply.text)?;
            if reply.is_error {
                Err(ToolFailure::Incomplete("the server answers an error".to_string()))
            } else {
                Ok(())
            }
        }
        CliView::Stat => views::stat(&mut server, order.rounds),
        CliView::Latency => views::latency(&mut server, order.rounds),
        CliView::BigKeys => show(&views::big_keys(&mut server)?),
        CliView::HotKeys => show(&views::hot_keys(&mut server)?),
        CliView::Scan(prefix) => views::scan(&mut server, prefix),
    }
}

/// Writes to standard output.
fn show(text: &str) -> Result<(), ToolFailure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // A reader that closed the pipe has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| ToolFailure::File(format!("standard output: {error}"))),
    }
}

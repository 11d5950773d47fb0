//! `larder-top`: what servers do, in a terminal. For larder and memcached.
//!
//! ```text
//! a thread for each server ──stats──▶ Reading ──channel──▶ board.rs: rates and history ──▶ screen.rs, or plain lines
//! ```

mod board;
mod columns;
mod hot_keys;
mod latency;
mod order;
mod poll;
mod rates;
mod screen;

use std::io::Write as _;
use std::process::ExitCode;

use larder::sys::log::{Level, log_line};

use crate::order::{Asked, ViewOrder, read};

fn main() -> ExitCode {
    let shown = match read(std::env::args_os().skip(1)) {
        Ok(Asked::Help(text)) => write(&text).map_err(|error| (error.to_string(), 74)),
        Ok(Asked::Show(order)) => show(&order).map_err(|error| (error.to_string(), 74)),
        Err(text) => Err((text, 64)),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err((text, code)) => {
            log_line(Level::Error, format!("larder-top: {text}"));
            ExitCode::from(code)
        }
    }
}

fn show(order: &ViewOrder) -> std::io::Result<()> {
    let readings = poll::start(&order.servers, order.every)?;
    match order.rounds {
        None => screen::run(order, &readings),
        Some(rounds) => print_rounds(order, &readings, rounds),
    }
}

/// Prints a table for each round, without control characters.
fn print_rounds(order: &ViewOrder, readings: &poll::Readings, rounds: u32) -> std::io::Result<()> {
    let mut board = board::Board::new(&order.servers);
    // The first readings have no rates.
    for round in 0..=rounds {
        for _ in 0..order.servers.len() {
            if let Ok((server, reading)) = readings.recv() {
                board.note(server, reading);
            }
        }
        if round > 0 {
            write(&columns::plain(&board))?;
        }
    }
    Ok(())
}

fn write(text: &str) -> std::io::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // A reader that closed the pipe has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

//! The load generator `larder-bench`.

use std::process::ExitCode;

use larder::base::log_line;
use larder::load::bench::run_mode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run_mode(&arguments) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            log_line(format!("larder-bench: {error}").as_bytes());
            ExitCode::FAILURE
        }
        None => {
            log_line(b"larder-bench: the command line comes with a later commit");
            ExitCode::from(64)
        }
    }
}

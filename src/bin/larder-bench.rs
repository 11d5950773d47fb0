//! The load generator `larder-bench`.

use std::process::ExitCode;

use larder::base::log_line;

fn main() -> ExitCode {
    log_line(b"larder-bench: the command line comes with a later commit");
    ExitCode::from(64)
}

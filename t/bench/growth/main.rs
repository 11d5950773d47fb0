//! How long the steps of growth take, and how much a growing index delays gets: `make bench-growth`.
//!
//! ```text
//! core 0   the server, -t 2                  growing   new keys are set at a fixed rate, from empty to 20 million
//! core 1   this program: one connection      steady    as fast, keys that are there
//!          sets, the other gets, in turns    ratio     p99.9 of the gets of the one over that of the other
//! ```
//!
//! The getter has one request in flight and names existing keys. Background threads share the workers' core,
//! which is the worst case.
#![expect(clippy::disallowed_macros, reason = "the table on standard output is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures real time, and waits for servers it cannot ask")]

mod load;
mod steps;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use crate::load::{Keys, Latencies, Load};
use larder_bench::comparison::{Comparison, describe_host, number};
use larder_bench::figures::{Table, grouped};
use larder_bench::host::CpuTime;
use larder_bench::server::{Server, ServerCommand};

const MEMORY_MIB: &str = "4096";

struct Run {
    growing: Latencies,
    steady: Latencies,
    growing_cpu_ns: u64,
    steady_cpu_ns: u64,
}

fn main() -> ExitCode {
    // Cargo adds `--bench` of its own, and runs the program without a mode when it only wants to see it start.
    let is_asked = |mode: &str| std::env::args().any(|argument| argument == mode);
    let measured = match (is_asked("steps"), is_asked("run")) {
        (false, false) => {
            println!("usage: growth steps|run   (see doc/measurements/growth.md)");
            Ok(())
        }
        (is_steps, is_run) => {
            let steps = if is_steps { steps() } else { Ok(()) };
            steps.and_then(|()| if is_run { run() } else { Ok(()) })
        }
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("growth: {error}");
            ExitCode::FAILURE
        }
    }
}

fn steps() -> io::Result<()> {
    let items = number("LARDER_BENCH_KEYS", 20_000_000)?;
    println!("{}\n{} items. {}", steps::run(items)?, grouped(u64::from(items)), describe_host());
    Ok(())
}

fn run() -> io::Result<()> {
    let comparison = Comparison::from_environment()?;
    let items = number("LARDER_BENCH_KEYS", 20_000_000)?;
    let sets_per_second = number("LARDER_BENCH_RATE", 400_000)?;
    let steady_s = number("LARDER_BENCH_STEADY_S", 20)?;
    let mut table = Table::new(
        ["gets, µs", "p50", "p99", "p99.9", "p99.99", "longest", "gets", "CPU of the server, %"].map(str::to_string),
    );
    let mut ratios = Vec::new();
    for command in &comparison.servers {
        let run = one_server(&comparison, command, items, sets_per_second, Duration::from_secs(steady_s))?;
        table.row(cells(&format!("{}, growing", command.name), &run.growing, run.growing_cpu_ns));
        table.row(cells(&format!("{}, steady", command.name), &run.steady, run.steady_cpu_ns));
        let ratio = run.growing.percentile_us(99.9) / run.steady.percentile_us(99.9);
        ratios.push(format!("{}: p99.9 growing over steady {ratio:.2}", command.name));
    }
    println!("{table}");
    println!("{} items, {} sets a second. {}", grouped(u64::from(items)), sets_per_second, describe_host());
    ratios.iter().for_each(|ratio| println!("{ratio}"));
    Ok(())
}

fn one_server(
    comparison: &Comparison,
    command: &ServerCommand,
    items: u32,
    sets_per_second: u32,
    steady: Duration,
) -> io::Result<Run> {
    let (server, _) = Server::start(&comparison.place, command, &[], &["-t", "2", "-m", MEMORY_MIB])?;
    let mut load = Load::connect(server.address, sets_per_second)?;
    let start = CpuTime::of(server.pid())?;
    let growing = load.run(Keys::New { up_to: items }, None)?;
    let grown = CpuTime::of(server.pid())?;
    server.control()?.wait_for_settled_index()?;
    let settled = CpuTime::of(server.pid())?;
    let steady = load.run(Keys::Known { below: items }, Some(steady))?;
    let end = CpuTime::of(server.pid())?;
    server.stop()?;
    Ok(Run { growing, steady, growing_cpu_ns: grown.since(start).run_ns, steady_cpu_ns: end.since(settled).run_ns })
}

fn cells(name: &str, latencies: &Latencies, cpu_ns: u64) -> [String; 8] {
    let at = |percent| format!("{:.1}", latencies.percentile_us(percent));
    [
        name.to_string(),
        at(50.0),
        at(99.0),
        at(99.9),
        at(99.99),
        at(100.0),
        grouped(latencies.ns.len()),
        format!("{:.0}", cpu_ns as f64 / latencies.took.as_nanos() as f64 * 100.0),
    ]
}

//! User-space instructions per request, counted by valgrind.
//!
//! ```text
//! Ir per key = (Ir of the worker in a long life − in a short one) / (keys of the long one − of the short one)
//! ```
//!
//! One connection and 1,000 keys. The difference leaves out the start, the fill and the end. Only the worker's thread
//! is counted: under valgrind the work of background threads grows with time and not with requests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::sys::log::{Level, log_line};

use super::super::comparison::Cores;
use super::super::op::Op;
use super::super::plan::{KeyPlan, Mix, Plan, Target, Wire};
use super::super::server::{Server, ServerCommand};
use super::super::session::Session;
use super::rows::Row;
use super::runs::Runs;
use super::table::Verdict;

const KEYS: u64 = 1_000;
const REQUESTS_FEW: u64 = 20_000;
const REQUESTS_MANY: u64 = 60_000;
/// Time between two readings of the number of answered requests.
const LOOK: Duration = Duration::from_millis(20);
/// Valgrind keeps twelve descriptors for itself. A program can set its limit to the rest.
const DESCRIPTORS: &str = "1036";
/// `-c` for this limit. larder needs descriptors beside its clients', and memcached sets the limit to this number.
const CONNECTIONS_MAX: [&str; 2] = ["900", "1024"];

/// How a server is set up for the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setup {
    /// With its defaults: it samples requests for hot keys from the start.
    Default,
    /// Without the sample.
    HotKeysOff,
    /// With less memory than the keys need.
    Small,
}

/// `-m` of [`Setup::Small`]: half of what 1,000 values of 10 KiB need.
const SMALL_MIB: &str = "5";

pub(super) fn measure(runs: &Runs, row: &'static Row, plan: &Plan) -> io::Result<Verdict> {
    let plan = small(runs, plan);
    let mut rounds: Vec<Option<Vec<f64>>> = Vec::new();
    for (number, server) in runs.servers.iter().enumerate() {
        // The floor speaks the text protocol only.
        if server.is_floor() && plan.wire != Wire::Text {
            rounds.push(None);
            continue;
        }
        // A server that differs from an earlier one only in its arguments, as memcached -R 1000, executes the same
        // code.
        let earlier = runs.servers[..number].iter().position(|earlier| earlier.is_same_program(server));
        let figure = match earlier {
            Some(earlier) => rounds[earlier].clone(),
            None => Some(vec![per_key(&runs.place, row, server, &plan, Setup::Default)?]),
        };
        rounds.push(figure);
    }
    Ok(Verdict::by_own(row, &rounds))
}

/// Measures the first server only: the others take no such sample.
pub(super) fn measure_hot_keys(runs: &Runs, row: &'static Row, plan: &Plan) -> io::Result<Verdict> {
    let plan = small(runs, plan);
    let ours = &runs.servers[0];
    let [on, off] = [Setup::Default, Setup::HotKeysOff].map(|hot| per_key(&runs.place, row, ours, &plan, hot));
    let mut rounds = vec![None; runs.servers.len()];
    rounds[0] = Some(vec![on? / off?]);
    Ok(Verdict::by_own(row, &rounds))
}

/// Of the first server alone.
pub(super) fn measure_evicting(field: &Runs, row: &'static Row, plan: &Plan) -> io::Result<Verdict> {
    let plan = small(field, plan);
    let ours = &field.servers[0];
    let [full, roomy] = [Setup::Small, Setup::Default].map(|setup| per_key(&field.place, row, ours, &plan, setup));
    let mut rounds = vec![None; field.servers.len()];
    rounds[0] = Some(vec![full? - roomy?]);
    Ok(Verdict::by_own(row, &rounds))
}

/// The load on one connection, with few keys.
fn small(runs: &Runs, plan: &Plan) -> Plan {
    Plan {
        connections: 1,
        keys: KeyPlan { count: KEYS, ..plan.keys.clone() },
        cores: runs.place.client_cores.clone(),
        ..plan.clone()
    }
}

fn per_key(place: &Cores, row: &Row, server: &ServerCommand, plan: &Plan, setup: Setup) -> io::Result<f64> {
    log_line(Level::Info, format!("== {}: {}", row.name, server.name).as_bytes());
    let (few, few_keys) = counted(place, server, plan, setup, REQUESTS_FEW)?;
    let (many, many_keys) = counted(place, server, plan, setup, REQUESTS_MANY)?;
    // Threads are numbered in the order of their start, which is the same in both runs. The worker did the most work.
    let worker = few.iter().zip(&many).map(|(few, many)| many.saturating_sub(*few)).max().unwrap_or(0);
    Ok(worker as f64 / many_keys.saturating_sub(few_keys).max(1) as f64)
}

/// Instructions of each thread, in order of their start, over the whole life of a server, and the keys it was asked.
fn counted(
    place: &Cores,
    command: &ServerCommand,
    plan: &Plan,
    setup: Setup,
    keys_least: u64,
) -> io::Result<(Vec<u64>, u64)> {
    let folder = std::env::temp_dir().join(format!("larder-instructions-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let wrapper = [
        "prlimit".to_string(),
        format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}"),
        "valgrind".to_string(),
        "--quiet".to_string(),
        "--tool=callgrind".to_string(),
        "--separate-threads=yes".to_string(),
        "--trace-children=yes".to_string(),
        format!("--callgrind-out-file={}", folder.join("out.%p").display()),
    ];
    let start = |connections_max| {
        let memory: &[&str] = if setup == Setup::Small { &["-m", SMALL_MIB] } else { &[] };
        Server::start(place, command, &wrapper, &[&["-t", "1", "-c", connections_max], memory].concat())
    };
    let (server, _) = start(CONNECTIONS_MAX[0]).or_else(|_| start(CONNECTIONS_MAX[1]))?;
    let pid = server.pid();
    if setup == Setup::HotKeysOff {
        let said = server.control()?.ask("stats hotkeys off")?;
        if said != "OK" {
            return Err(io::Error::other(format!("{}: stats hotkeys off was answered by {said}", command.name)));
        }
    }
    let target = Target::Tcp(server.address);
    let keys = if command.is_floor() { KeyPlan { count: 1, ..plan.keys.clone() } } else { plan.keys.clone() };
    let plan = Plan { keys, ..plan.clone() };
    Session::open(&Plan { mix: Mix::only(Op::Set), pipeline: 50, ..plan.clone() }, &target)?.fill()?;
    let mut session = Session::open(&plan, &target)?;
    let mut asked = 0;
    while asked < keys_least {
        asked += session.run(LOOK)?.keys;
    }
    drop(session);
    server.stop()?;
    let totals = totals_by_thread(&folder, pid);
    fs::remove_dir_all(&folder)?;
    Ok((totals?, asked))
}

/// Callgrind writes `out.PID-01`, `out.PID-02`, … when the process ends, each with a line `totals: N`.
fn totals_by_thread(folder: &Path, pid: u32) -> io::Result<Vec<u64>> {
    let name = format!("out.{pid}-");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&name))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    let total_of = |path: &PathBuf| {
        let text = fs::read_to_string(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix("totals:"));
        let total = line.and_then(|rest| rest.trim().parse().ok());
        total.ok_or_else(|| io::Error::other(format!("{}: no totals", path.display())))
    };
    paths.iter().map(total_of).collect()
}

//! `instructions`: user-space instructions per request, counted by valgrind.
//!
//! ```text
//! Ir per request = (Ir of the worker for 40,000 requests − for 20,000) / 20,000
//! ```
//!
//! One connection and 1,000 keys. The difference leaves out the start, the preload and the end; counting the worker's
//! thread alone leaves out background threads, whose work under valgrind grows with time and not with requests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::batch::{Batch, Shape};
use crate::client::{Client, Order, Until};
use crate::compare::preload;
use crate::options::Options;
use larder::load::figures::Table;
use larder::load::server::{Server, ServerCommand};

const KEYS: u32 = 1_000;
const REQUESTS_FEW: u64 = 20_000;
const REQUESTS_MANY: u64 = 40_000;
/// Valgrind keeps twelve descriptors for itself, and lets a program set its limit to exactly what is left.
const DESCRIPTORS: &str = "1036";
/// What `-c` may be then: larder wants some descriptors beside its clients', memcached sets the limit to this number.
const CONNECTIONS_MAX: [&str; 2] = ["900", "1024"];

const ROWS: &[(&str, Shape, usize)] = &[
    ("get, 1 in flight", Shape::Get, 1),
    ("get, pipelined 50", Shape::Get, 50),
    ("set, 1 in flight", Shape::Set, 1),
    ("set, pipelined 50", Shape::Set, 50),
    ("100-key get, per key", Shape::MultiGet, 100),
];

pub(crate) fn run(options: &Options) -> io::Result<()> {
    let names = options.contest.servers.iter().map(|server| server.name.clone());
    let mut table = Table::new(["user instructions per request".to_string()].into_iter().chain(names));
    for (name, shape, items) in ROWS.iter().filter(|(name, ..)| name.contains(&options.rows)) {
        let mut cells = vec![name.to_string()];
        for server in &options.contest.servers {
            eprintln!("{name}: {}", server.name);
            let few = counted(options, server, *shape, *items, REQUESTS_FEW)?;
            let many = counted(options, server, *shape, *items, REQUESTS_MANY)?;
            // Threads are numbered as they start, alike in both runs; the one that did more work is the worker.
            let worker = few.iter().zip(&many).map(|(few, many)| many.saturating_sub(*few)).max().unwrap_or(0);
            cells.push(format!("{:.0}", worker as f64 / (REQUESTS_MANY - REQUESTS_FEW) as f64));
        }
        table.row(cells);
    }
    println!("{table}");
    Ok(())
}

/// Instructions of each thread, in order of their start, over the whole life of a server.
fn counted(
    options: &Options,
    command: &ServerCommand,
    shape: Shape,
    items: usize,
    requests: u64,
) -> io::Result<Vec<u64>> {
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
    let start =
        |connections_max| Server::start(&options.contest.place, command, &wrapper, &["-t", "1", "-c", connections_max]);
    let (server, _) = start(CONNECTIONS_MAX[0]).or_else(|_| start(CONNECTIONS_MAX[1]))?;
    let pid = server.pid();
    let mut client = Client::connect(server.address, 1)?;
    preload(&mut client, Shape::Set, KEYS)?;
    let batches = requests / items as u64;
    client.run(&mut Batch::new(shape, items), &mut Order::random(1, KEYS), Until::Batches(batches))?;
    server.stop()?;
    let totals = totals_by_thread(&folder, pid);
    fs::remove_dir_all(&folder)?;
    totals
}

/// Callgrind writes `out.PID-01`, `out.PID-02`, … when the process ends, each with a line `totals: N`.
fn totals_by_thread(folder: &Path, pid: u32) -> io::Result<Vec<u64>> {
    let prefix = format!("out.{pid}-");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    let total_of = |path: &PathBuf| {
        let text = fs::read_to_string(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix("totals:"));
        let total = line.and_then(|rest| rest.trim().parse().ok());
        total.ok_or_else(|| io::Error::other(format!("{}: no totals", path.display())))
    };
    let totals: io::Result<Vec<u64>> = paths.iter().map(total_of).collect();
    totals
}

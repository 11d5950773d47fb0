//! `compare`: CPU time per request, ours and the yardstick's, window by window in turns.

use std::io;
use std::time::Duration;

use crate::batch::{Batch, KEY_BYTES, Shape, VALUE_BYTES};
use crate::client::{Client, Order, Until};
use crate::options::Options;
use larder::load::contest::describe_host;
use larder::load::figures::{Spread, Table, short_count};
use larder::load::host::{self, CpuTime};
use larder::load::server::{Server, ServerCommand};

const COUNTERS: u32 = 100_000;
/// Below this share of its core the server was waiting for the client, and the rate says nothing about it.
const SERVER_BUSY_MIN: f64 = 0.95;
/// A server is quiet when its background threads take less than one percent of a core.
const QUIET_LOOK: Duration = Duration::from_millis(200);
const QUIET_RUN_NS_MAX: u64 = 2_000_000;
const QUIET_LOOKS_MAX: u32 = 100;

struct Row {
    name: &'static str,
    shape: Shape,
    items: usize,
}

const ROWS: &[Row] = &[
    Row { name: "get, 1 in flight", shape: Shape::Get, items: 1 },
    Row { name: "get, pipelined 50", shape: Shape::Get, items: 50 },
    Row { name: "100-key get, per key", shape: Shape::MultiGet, items: 100 },
    Row { name: "set, 1 in flight", shape: Shape::Set, items: 1 },
    Row { name: "set, pipelined 50", shape: Shape::Set, items: 50 },
    Row { name: "incr, pipelined 50", shape: Shape::Incr, items: 50 },
];

/// A server with the load's connections to it.
struct Contender {
    server: Server,
    client: Client,
    version: String,
}

/// One stretch of load on one server.
struct Window {
    cpu: CpuTime,
    items: f64,
    elapsed_s: f64,
    client_idle_s: f64,
}

pub(crate) fn run(options: &Options) -> io::Result<()> {
    let [ours, yardstick] = &options.contest.servers;
    let mut contenders = [Contender::start(options, ours)?, Contender::start(options, yardstick)?];
    for contender in &contenders {
        contender.wait_until_quiet()?;
    }
    let mut table = Table::new(header(options));
    for row in ROWS.iter().filter(|row| row.name.contains(&options.rows)) {
        let windows = measure_row(options, &mut contenders, row)?;
        table.row(cells(row, &windows));
    }
    println!("{table}");
    println!(
        "CPU µs per request, of all threads of the server: median (lowest–highest); ratio: of the paired windows."
    );
    println!(
        "{} windows of {} ms each, in turns; {} connections, {} keys of {KEY_BYTES} bytes, values of {VALUE_BYTES} bytes;",
        options.pairs,
        options.window.as_millis(),
        options.connections,
        options.keys,
    );
    println!(
        "server -t 1 on core {}, polling client on core {}.",
        options.contest.place.server_cores[0], options.contest.place.client_cores[0]
    );
    println!("\\* the server had idle time: this rate is the client's.");
    let versions = contenders.each_ref().map(|contender| contender.version.clone());
    println!("{}: {}; {}: {}; {}", ours.name, versions[0], yardstick.name, versions[1], describe_host());
    Ok(())
}

impl Contender {
    fn start(options: &Options, command: &ServerCommand) -> io::Result<Self> {
        let (server, _) =
            Server::start(&options.contest.place, command, &[], &["-t", "1", "-m", "1024", "-c", "4096"])?;
        eprintln!("{} is process {}; storing {} items", command.name, server.pid(), options.keys);
        let mut client = Client::connect(server.address, options.connections)?;
        preload(&mut client, Shape::Set, options.keys)?;
        preload(&mut client, Shape::SetCounter, COUNTERS)?;
        let mut control = server.control()?;
        control.wait_for_settled_index()?;
        let stored = control.stat("curr_items")?;
        if stored != u64::from(options.keys + COUNTERS) {
            return Err(io::Error::other(format!("{} holds {stored} items after the preload", command.name)));
        }
        let version = control.ask("version")?.trim_start_matches("VERSION ").to_string();
        Ok(Self { server, client, version })
    }

    /// Sorting a million new items into queues goes on for seconds, and would be charged to the first row.
    fn wait_until_quiet(&self) -> io::Result<()> {
        for _ in 0..QUIET_LOOKS_MAX {
            let before = self.resting_cpu_time()?;
            host::pause(QUIET_LOOK);
            if self.resting_cpu_time()?.since(before).run_ns < QUIET_RUN_NS_MAX {
                return Ok(());
            }
        }
        eprintln!("process {} does not come to rest: its background work is part of what follows", self.server.pid());
        Ok(())
    }

    /// Starts and ends with the server asleep, because a running thread's time is known only to the last tick.
    fn window(&mut self, batch: &mut Batch, order: &mut Order, duration: Duration) -> io::Result<Window> {
        let before = self.resting_cpu_time()?;
        let tally = self.client.run(batch, order, Until::Elapsed(duration))?;
        let cpu = self.resting_cpu_time()?.since(before);
        Ok(Window {
            cpu,
            items: tally.items as f64,
            elapsed_s: tally.elapsed.as_secs_f64(),
            client_idle_s: tally.idle.as_secs_f64(),
        })
    }

    fn resting_cpu_time(&self) -> io::Result<CpuTime> {
        host::pause(Duration::from_millis(3));
        CpuTime::of(self.server.pid())
    }
}

impl Window {
    fn cpu_us_per_item(&self) -> f64 {
        self.cpu.run_ns as f64 / 1e3 / self.items
    }

    fn items_per_s(&self) -> f64 {
        self.items / self.elapsed_s
    }

    fn server_busy(&self) -> f64 {
        self.cpu.run_ns as f64 / 1e9 / self.elapsed_s
    }

    fn client_busy(&self) -> f64 {
        1.0 - self.client_idle_s / self.elapsed_s
    }
}

/// Every item once. The batches need not divide the count: the last one starts again from the first item.
pub(crate) fn preload(client: &mut Client, shape: Shape, items: u32) -> io::Result<()> {
    let mut batch = Batch::new(shape, 50);
    client.run(&mut batch, &mut Order::each(items), Until::Batches(u64::from(items.div_ceil(50))))?;
    Ok(())
}

fn measure_row(options: &Options, contenders: &mut [Contender; 2], row: &Row) -> io::Result<Vec<[Window; 2]>> {
    let mut batch = Batch::new(row.shape, row.items);
    let count = if row.shape == Shape::Incr { COUNTERS } else { options.keys };
    let mut order = Order::random(0x1a2d_e200, count);
    eprintln!("{}", row.name);
    // A short look first: buffers grow and the branch predictors meet the new row.
    for contender in contenders.iter_mut() {
        contender.window(&mut batch, &mut order, options.window / 10)?;
    }
    let mut pairs = Vec::new();
    for number in 0..options.pairs {
        let [ours, yardstick] = contenders;
        // Every second pair the other way round: what recurs every second on the machine must not always meet the same.
        let mut look = |contender: &mut Contender| contender.window(&mut batch, &mut order, options.window);
        pairs.push(if number % 2 == 0 {
            let first = look(ours)?;
            [first, look(yardstick)?]
        } else {
            let first = look(yardstick)?;
            [look(ours)?, first]
        });
    }
    Ok(pairs)
}

fn header(options: &Options) -> Vec<String> {
    let names = options.contest.servers.each_ref().map(|server| server.name.clone());
    let mut header = vec!["request".to_string()];
    header.extend(names.iter().map(|name| format!("{name}: CPU µs")));
    header.push("ratio".to_string());
    header.extend(names.iter().map(|name| format!("{name}: user/sys")));
    header.extend(names.iter().map(|name| format!("{name}: per s")));
    header.push("client busy".to_string());
    header
}

fn cells(row: &Row, pairs: &[[Window; 2]]) -> Vec<String> {
    let of_side = |side: usize, figure: fn(&Window) -> f64| Spread::of(pairs.iter().map(|pair| figure(&pair[side])));
    let ratio = Spread::of(pairs.iter().map(|[ours, theirs]| ours.cpu_us_per_item() / theirs.cpu_us_per_item()));
    let mut cells = vec![row.name.to_string()];
    cells.extend([0, 1].map(|side| format!("{:.3}", of_side(side, Window::cpu_us_per_item))));
    cells.push(format!("{ratio:.2}"));
    cells.extend([0, 1].map(|side| user_and_system(pairs, side)));
    cells.extend([0, 1].map(|side| {
        let waited = of_side(side, Window::server_busy).median < SERVER_BUSY_MIN;
        short_count(of_side(side, Window::items_per_s).median) + if waited { "\\*" } else { "" }
    }));
    let client_busy = [0, 1].map(|side| format!("{:.0} %", 100.0 * of_side(side, Window::client_busy).median));
    cells.push(client_busy.join(" / "));
    cells
}

/// The median's µs, split as the ticks of all windows together are.
fn user_and_system(pairs: &[[Window; 2]], side: usize) -> String {
    let total = |figure: fn(&Window) -> u64| pairs.iter().map(|pair| figure(&pair[side])).sum::<u64>() as f64;
    let (user, system) = (total(|window| window.cpu.user_ticks), total(|window| window.cpu.system_ticks));
    let median = Spread::of(pairs.iter().map(|pair| pair[side].cpu_us_per_item())).median;
    let share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
    format!("{:.2}/{:.2}", median * share, median * (1.0 - share))
}

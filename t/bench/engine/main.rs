//! Commands and the store without a network: user time of one request, `make bench-engine`.
//!
//! ```text
//! 50 requests as one text ──▶ Batch::fill ──▶ execute ──▶ a plain Vec, compared with what must come back
//! ```
//!
//! One thread, 1,000,000 keys of 32 bytes named uniformly at random, values of 100 bytes; made and checked in
//! batches. What is missing here from `bench-quick` is conn/, worker/ and the kernel.
#![expect(clippy::disallowed_macros, reason = "the figures on standard output are what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

mod batch;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use larder::base::{Clock, EmitRow};
use larder::command::{Batch as Requests, Context, Operator, Outcome, Switches, Unparsed, execute};
use larder::counters::Counters;
use larder::memory::ClassPlan;
use larder::protocol::{Grammar, Input, ReplyLine, ShutdownMode, Tuning};
use larder::settings::Settings;
use larder::stats::{ConnectionRow, Gauges, HotSampler, PrefixTable};
use larder::store::{Engine, EngineAdmin as _, Store, StoreConfig, StoreReport, WorkerStore};
use larder::sync::{Participant, Pin};

use crate::batch::{Batch, ItemDigits, Shape, item_digits};

const KEYS: u32 = 1_000_000;
const COUNTERS: u32 = 100_000;
/// Turns between two readings of the thread's time, which is a system call.
const TURNS_PER_READING: usize = 64;
const ROW_TIME: Duration = Duration::from_millis(1500);

fn main() -> io::Result<()> {
    let wanted = std::env::var("LARDER_BENCH_ROWS").unwrap_or_default();
    let mut bench = Bench::start()?;
    bench.preload(Shape::Set, KEYS)?;
    bench.preload(Shape::SetCounter, COUNTERS)?;
    bench.wait_for_settled_index();
    for (name, shape, items, count) in [
        ("get, 1 in flight", Shape::Get, 1, KEYS),
        ("get, pipelined 50", Shape::Get, 50, KEYS),
        ("100-key get, per key", Shape::MultiGet, 100, KEYS),
        ("set, 1 in flight", Shape::Set, 1, KEYS),
        ("set, pipelined 50", Shape::Set, 50, KEYS),
        ("incr, pipelined 50", Shape::Incr, 50, COUNTERS),
    ] {
        if name.contains(&wanted) {
            println!("{name:22} {:6.1} ns", bench.row(shape, items, count)?);
        }
    }
    Ok(())
}

/// One worker and what it works with.
struct Bench {
    participant: Participant,
    engine: WorkerStore,
    counters: Counters,
    switches: Switches,
    prefixes: PrefixTable,
    hot: HotSampler,
    operator: UnusedOperator,
    random: u64,
}

impl Bench {
    fn start() -> io::Result<Self> {
        // The size classes of a server with default settings.
        let settings = Settings::default();
        let config = StoreConfig {
            limit_bytes: 1 << 30,
            classes: ClassPlan {
                first: 64,
                growth_factor: settings.growth_factor,
                chunk_max: settings.slab_chunk_max,
                explicit: Vec::new(),
            },
            value_len_max: 1 << 20,
            evictions: true,
            use_cas: true,
            hashpower: 16,
            threads_max: 8,
            large_pages: false,
            hash_seed: None,
        };
        let clock = Arc::new(Clock::start());
        let store = Store::new(config, Arc::clone(&clock))?;
        store.start_jobs()?;
        let (participant, engine) = store.join();
        Ok(Self {
            participant,
            engine,
            counters: Counters::default(),
            switches: Switches::default(),
            prefixes: PrefixTable::new(b':'),
            hot: HotSampler::default(),
            operator: UnusedOperator(clock),
            random: 1,
        })
    }

    fn preload(&mut self, shape: Shape, count: u32) -> io::Result<()> {
        let mut batch = Batch::new(shape, 50);
        let mut replies = Vec::new();
        for first in (0..count).step_by(50) {
            let items: Vec<ItemDigits> = (first..first + 50).map(item_digits).collect();
            self.turn(batch.request(&items), &mut replies)?;
            batch.check(&items, &replies)?;
        }
        Ok(())
    }

    /// Nanoseconds of this thread per item, without making and checking the requests.
    fn row(&mut self, shape: Shape, items: usize, count: u32) -> io::Result<f64> {
        let mut batch = Batch::new(shape, items);
        let mut turns: Vec<Turn> = (0..TURNS_PER_READING).map(|_| Turn::default()).collect();
        let (mut busy_ns, mut done) = (0, 0);
        let start = Instant::now();
        while start.elapsed() < ROW_TIME {
            for turn in &mut turns {
                turn.items.clear();
                turn.items.extend((0..items).map(|_| item_digits(self.random_item(count))));
                turn.request.clear();
                turn.request.extend_from_slice(batch.request(&turn.items));
            }
            let before = thread_time_ns()?;
            for turn in &mut turns {
                self.turn(&turn.request, &mut turn.replies)?;
            }
            busy_ns += thread_time_ns()? - before;
            done += turns.len() * items;
            for turn in &turns {
                batch.check(&turn.items, &turn.replies)?;
            }
        }
        Ok(busy_ns as f64 / done as f64)
    }

    /// Waits for the index: it still grows after a preload, and rows measure an index that fits its items.
    fn wait_for_settled_index(&mut self) {
        let mut is_growing = true;
        while is_growing {
            thread::sleep(Duration::from_millis(10));
            let pin = self.participant.pin();
            self.engine.report(&pin, StoreReport::General, &mut |name, value| {
                if name == "hash_is_expanding" {
                    is_growing = value.to_string() != "0";
                }
            });
        }
    }

    /// What a worker does with the bytes of one client: pin, parse and execute until all is consumed, unpin.
    fn turn(&mut self, bytes: &[u8], replies: &mut Vec<u8>) -> io::Result<()> {
        replies.clear();
        let pin = self.participant.pin();
        let pin: &Pin = &pin;
        self.engine.begin_turn();
        let mut at = 0;
        while at < bytes.len() {
            let mut requests = Requests::new();
            let unparsed = Unparsed { bytes: &bytes[at..], grammar: Grammar::Text, input: Input::Open, begun: None };
            requests.fill(unparsed, usize::MAX, &self.engine, pin);
            let mut context = Context {
                engine: &mut self.engine,
                counters: &self.counters,
                operator: &self.operator,
                switches: &self.switches,
                prefixes: &self.prefixes,
                hot: &mut self.hot,
                surcharge: 0,
                client_fd: -1,
                owned: larder::command::OwnedAccess::default(),
                last_try: false,
            };
            let mut consumed = 0;
            for entry in requests.entries() {
                match execute(entry, &mut context, pin, replies) {
                    Outcome::Done => consumed = entry.end,
                    _ => return Err(io::Error::other("a request was not answered at once")),
                }
            }
            at += consumed;
        }
        self.engine.end_turn();
        Ok(())
    }

    fn random_item(&mut self, count: u32) -> u32 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let scaled = ((self.random >> 32) * u64::from(count)) >> 32;
        u32::try_from(scaled).expect("a 32-bit fraction of a 32-bit count")
    }
}

/// The input of one turn of the event loop, and the replies that it must write.
#[derive(Default)]
struct Turn {
    items: Vec<ItemDigits>,
    request: Vec<u8>,
    replies: Vec<u8>,
}

/// CPU time of the calling thread: what other processes do meanwhile does not count.
fn thread_time_ns() -> io::Result<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if status == 0 { Ok(time.tv_sec * 1_000_000_000 + time.tv_nsec) } else { Err(io::Error::last_os_error()) }
}

/// The process that is not there.
struct UnusedOperator(Arc<Clock>);

impl Operator for UnusedOperator {
    fn shutdown(&self, _mode: ShutdownMode) {}
    fn totals(&self) -> Counters {
        Counters::default()
    }
    fn reset_counters(&self) {}
    fn gauges(&self) -> Gauges {
        Gauges::default()
    }
    fn connections(&self, _show: &mut dyn FnMut(&ConnectionRow<'_>)) {}
    fn settings(&self, _row: EmitRow<'_>) {}
    fn is_crawler_on(&self) -> bool {
        true
    }

    fn switch_crawler(&self, _is_on: bool) -> bool {
        true
    }

    fn tune(&self, tuning: Result<Tuning, ReplyLine>) -> ReplyLine {
        tuning.map_or_else(|line| line, |_| ReplyLine::Ok)
    }

    fn set_verbosity(&self, _verbosity: u8) {}
    fn clock(&self) -> &Clock {
        &self.0
    }
}

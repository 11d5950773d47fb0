//! `larder-bench` as a program: it executes an order, shows the progress, and reports.
//!
//! ```text
//! connect ──▶ fill ──▶ ramp and warmup ──▶ load ──▶ report, exit code
//!               ╰─ the watcher: a line a second, and Ctrl-C ─╯
//! or with --server: the load on several servers in turns (bench/)
//! ```

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use larder::base::Clock;
use larder::sys::error::error_text;
use larder::sys::log::time_stamp_now;
use larder::sys::process::raise_open_files;
use larder::sys::signal::{Signal, Signals};

use super::bench::{self, FloorPart, Runs};
use super::comparison::describe_host;
use super::figures::grouped;
use super::html;
use super::live::{Live, Phase};
use super::order::{Order, Output, Phases, Progress};
use super::outcome::Outcome;
use super::plan::{Pacing, Wire};
use super::random::whole;
use super::report::{Report, describe};
use super::series;
use super::server::ServerCommand;
use super::session::Session;
use super::slo::{self, Found};

/// Why a load failed.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// There is no server, it speaks another protocol, or it fell silent.
    Server(String),
    /// The system refused something.
    System(String),
    /// Servers could not be compared.
    Bench(String),
}

impl Failure {
    /// The exit code, of sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Server(_) => 69,
            Self::System(_) => 71,
            Self::Bench(_) => 1,
        }
    }

    /// The failure of a comparison or of a mode.
    pub fn of_bench(error: &io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::InvalidInput => Self::Usage(text),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::Unsupported => Self::Server(text),
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied => Self::System(text),
            _ => Self::Bench(text),
        }
    }

    fn of_file(path: &Path, error: &io::Error) -> Self {
        Self::System(format!("{}: {}", path.display(), error_text(error)))
    }

    fn of(order: &Order, what: &str, error: &io::Error) -> Self {
        let word = error_text(error);
        let name = &order.target_name;
        match error.kind() {
            ErrorKind::InvalidInput => Self::Usage(word),
            ErrorKind::Unsupported => Self::Server(format!("{name} does not speak the protocol of --wire: {word}")),
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::InvalidData
            | ErrorKind::NotFound
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable => Self::Server(format!("{what} {name}: {word}")),
            _ => Self::System(format!("{what} {name}: {word}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Server(text) | Self::System(text) | Self::Bench(text)) = self;
        write!(f, "larder-bench: {text}")
    }
}

/// Files beside those of the connections.
const OWN_FILES: u64 = 64;

/// Executes an order. Returns the text for standard output, and the exit code.
///
/// # Errors
/// Why it failed.
pub fn carry_out(order: &Order) -> Result<(String, u8), Failure> {
    let files = (order.plan.connections + order.plan.idle_connections) as u64 + OWN_FILES;
    raise_open_files(files, files)
        .map_err(|error| Failure::System(format!("{files} open files, one for each connection: {error}")))?;
    // A file that cannot be written is found before the load.
    let csv = create(order.csv.as_deref())?;
    let html = create(order.html.as_deref())?;
    let signals = Signals::open().map_err(|error| Failure::System(format!("signals: {error}")))?;
    let mut session =
        Session::open(&order.plan, &order.target).map_err(|error| Failure::of(order, "connect to", &error))?;
    let live = Live::with_series();
    let (fill, load) = watched(order, &signals, &live, || {
        let fill = match order.phases {
            Phases::Load => None,
            Phases::Fill | Phases::FillAndLoad => {
                live.enter(Phase::Fill);
                Some(session.fill_watched(&live).map_err(|error| Failure::of(order, "fill", &error))?)
            }
        };
        let load = match order.phases {
            Phases::Fill => None,
            Phases::Load | Phases::FillAndLoad => {
                Some(load(order, &mut session, &live).map_err(|error| Failure::of(order, "load on", &error))?)
            }
        };
        Ok((fill, load))
    })?;
    let (found, load) = load.map_or((None, None), |(found, load)| (found, Some(load)));
    let mut plan = order.plan.clone();
    if let Some(per_second) = found.as_ref().and_then(|found| found.rate) {
        plan.pacing = Pacing::Open { per_second };
    }
    let report = Report {
        target: &order.target_name,
        plan: &plan,
        fill: fill.as_ref(),
        slo: found.as_ref(),
        load: load.as_ref(),
    };
    if let Some(file) = csv {
        write(file, order.csv.as_deref(), &series::csv(load.as_ref().map_or(&[], |load| &load.seconds)))?;
    }
    if let Some(file) = html {
        write(
            file,
            order.html.as_deref(),
            &html::page(&report, &time_stamp_now()[..16].replace('T', " "), &describe_host()),
        )?;
    }
    let text = match order.output {
        Output::Table => report.lines(),
        Output::Json => report.json(),
    };
    let of_all = |count: fn(&Outcome) -> u64| fill.iter().chain(&load).map(count).sum::<u64>();
    let code = match (of_all(|outcome| outcome.faults), of_all(|outcome| outcome.errors)) {
        (0, 0) => 0,
        (0, _) => 2,
        _ => 1,
    };
    Ok((text, code))
}

fn create(path: Option<&Path>) -> Result<Option<File>, Failure> {
    path.map(|path| File::create(path).map_err(|error| Failure::of_file(path, &error))).transpose()
}

fn write(mut file: File, path: Option<&Path>, text: &str) -> Result<(), Failure> {
    file.write_all(text.as_bytes()).map_err(|error| Failure::of_file(path.unwrap_or(Path::new("")), &error))
}

/// Starts the servers and puts the load on them in turns. Returns the text for standard output, and the exit code.
///
/// # Errors
/// Why it failed.
pub fn compare(order: &Order, servers: &[String]) -> Result<(String, u8), Failure> {
    let form = match order.output {
        Output::Table if io::stdout().is_terminal() => bench::Form::Terminal,
        Output::Table => bench::Form::Table,
        Output::Json => bench::Form::Json,
    };
    let commands = servers.iter().map(|text| ServerCommand::parse(text)).collect::<io::Result<Vec<_>>>();
    let commands = commands.map_err(|error| Failure::Usage(format!("--server: {error}")))?;
    // The null server speaks neither another protocol nor TLS.
    let has_floor = commands.len() > 1 && order.plan.wire == Wire::Text && order.plan.tls.is_none();
    let floor = if has_floor { FloorPart::Taken } else { FloorPart::LeftOut };
    let compared = Runs::new(commands, floor, form).and_then(|runs| runs.compare(&describe(&order.plan), &order.plan));
    compared.map(|text| (format!("{text}\n"), 0)).map_err(|error| Failure::of_bench(&error))
}

/// Runs ramp, warmup and load, or a search for a rate. Ramp and warmup count only if their replies have faults.
fn load(order: &Order, session: &mut Session, live: &Live) -> io::Result<(Option<Found>, Outcome)> {
    let uncounted = order.ramp + order.warmup;
    let mut before = None;
    if uncounted > Duration::ZERO {
        live.enter(Phase::Warmup);
        before = Some(session.run_watched(uncounted, order.ramp, live)?);
    }
    live.enter(Phase::Load);
    let (found, mut load) = match &order.slo {
        None => {
            let mut load = session.run_watched(order.duration, Duration::ZERO, live)?;
            load.seconds = live.take_series(load.elapsed.min(order.duration));
            (None, load)
        }
        Some(objective) => {
            let (found, load) = slo::search(session, objective, order.duration, live)?;
            (Some(found), load)
        }
    };
    if let Some(before) = before {
        load.faults += before.faults;
        load.errors += before.errors;
        load.lost_connections += before.lost_connections;
        load.notes.splice(0..0, before.notes);
    }
    Ok((found, load))
}

/// Runs `work` while another thread shows the progress and waits for Ctrl-C.
fn watched<T>(order: &Order, signals: &Signals, live: &Live, work: impl FnOnce() -> T) -> T {
    let done = (Mutex::new(false), Condvar::new());
    thread::scope(|scope| {
        scope.spawn(|| watch(order, signals, live, &done));
        let result = work();
        *done.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        done.1.notify_all();
        result
    })
}

const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_PER_LINE: u32 = 10;

fn watch(order: &Order, signals: &Signals, live: &Live, done: &(Mutex<bool>, Condvar)) {
    let clock = Clock::start();
    let mut progress = Line::new(order, live.phase());
    let mut looks = 0;
    let mut is_done = done.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*is_done {
        is_done = done.1.wait_timeout(is_done, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        if matches!(signals.take(), Ok(Some(Signal::End | Signal::EndGracefully))) {
            live.stop();
        }
        looks += 1;
        let (phase, counts, now_us) = (live.phase(), live.counts(), clock.real_us());
        if phase != progress.phase {
            progress.enter(phase, counts.0, now_us);
            looks = 0;
        } else if looks % LOOKS_PER_LINE == 0 && !*is_done {
            progress.show(counts, now_us);
        }
    }
    progress.clear();
}

/// The progress lines on standard error.
struct Line {
    shown: bool,
    on_terminal: bool,
    wanted: Option<f64>,
    phase: Phase,
    /// State at the start of the phase.
    first: Mark,
    /// State at the last line.
    last: Mark,
    dirty: bool,
}

/// The progress at a moment.
#[derive(Clone, Copy)]
struct Mark {
    requests: u64,
    at_us: u64,
}

impl Line {
    fn new(order: &Order, phase: Phase) -> Self {
        let on_terminal = io::stderr().is_terminal();
        let shown = match order.progress {
            Progress::Always => true,
            Progress::OnTerminal => on_terminal,
            Progress::Never => false,
        };
        let wanted = match order.plan.pacing {
            Pacing::Open { per_second } => Some(per_second),
            Pacing::Closed => None,
        };
        let start = Mark { requests: 0, at_us: 0 };
        Self { shown, on_terminal, wanted, phase, first: start, last: start, dirty: false }
    }

    fn enter(&mut self, phase: Phase, requests: u64, at_us: u64) {
        self.phase = phase;
        self.first = Mark { requests, at_us };
        self.last = self.first;
    }

    /// The progress line after `requests` requests of the phase.
    fn text(&self, requests: u64, faults: u64, now_us: u64) -> String {
        let rate = (requests - self.last.requests) * 1_000_000 / (now_us - self.last.at_us).max(1);
        let wanted = match (self.phase, self.wanted) {
            (Phase::Warmup | Phase::Load, Some(wanted)) => format!(" of {}", grouped(whole(wanted.round()))),
            (Phase::Fill, _) | (_, None) => String::new(),
        };
        let wrong = if faults > 0 { format!(", {} WRONG", grouped(faults)) } else { String::new() };
        let what = if self.phase == Phase::Fill { "items" } else { "requests" };
        format!(
            "{:<6} {:>4} s  {} {what}, {}{wanted} a second{wrong}",
            self.phase.name(),
            (now_us - self.first.at_us) / 1_000_000,
            grouped(requests - self.first.requests),
            grouped(rate)
        )
    }

    fn show(&mut self, (requests, faults): (u64, u64), now_us: u64) {
        if !self.shown {
            return;
        }
        let text = self.text(requests, faults, now_us);
        self.last = Mark { requests, at_us: now_us };
        let line = if self.on_terminal { format!("\r\x1b[K{text}") } else { format!("{text}\n") };
        self.write(&line);
        self.dirty = self.on_terminal;
    }

    fn clear(&self) {
        if self.dirty {
            self.write("\r\x1b[K");
        }
    }

    fn write(&self, text: &str) {
        // Ignored: a progress line that cannot be shown harms nothing.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Mark, Phase};

    #[test]
    fn a_line_has_the_figures_of_its_phase_alone() {
        let mark = |requests, at_us| Mark { requests, at_us };
        let mut line = Line {
            shown: true,
            on_terminal: false,
            wanted: Some(20_000.0),
            phase: Phase::Fill,
            first: mark(0, 0),
            last: mark(0, 0),
            dirty: false,
        };
        assert_eq!(line.text(700_000, 0, 1_000_000), "fill      1 s  700,000 items, 700,000 a second");
        line.enter(Phase::Load, 1_000_000, 1_400_000);
        assert_eq!(
            line.text(1_019_000, 2, 2_400_000),
            "load      1 s  19,000 requests, 19,000 of 20,000 a second, 2 WRONG"
        );
    }
}

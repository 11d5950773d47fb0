//! Runs the rows on the servers.

use std::env;
use std::io;
use std::time::Duration;

use larder::sys::log::{Level, log_line, time_stamp_now};

use super::super::comparison::{Comparison, Cores, YARDSTICK_VERSION, describe_host, number};
use super::super::plan::Plan;
use super::super::server::ServerCommand;
use super::beside::{beside, wrapped};
use super::candidate::{Candidate, LoadWindow};
use super::rounds::{Ready, Series, in_turns, ratio};
use super::rows::{Measure, Row, Stage};
use super::table::{self, Detail, Verdict};
use super::tls::Certificate;
use super::{instructions, memory, storm, tails, threads, tls};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Markdown of any width.
    Table,
    /// Markdown. The servers of one load are columns, and a line has at most 100 columns.
    Terminal,
    /// One JSON object.
    Json,
}

/// Whether the floor is measured, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloorPart {
    /// Yes, as the last server.
    Taken,
    /// No: there is one server, or the load is not in the text protocol, the only one of the floor.
    LeftOut,
}

/// The servers of a run. Every ratio is that of the first server to another. Bars apply to the ratio to the second.
pub struct Runs {
    /// At least one, and at least two for rows of the table. The floor, if it takes part, is the last.
    pub servers: Vec<ServerCommand>,
    /// The cores of the servers and of the client.
    pub place: Cores,
    /// Number of rounds. Each server has one turn in a round.
    pub rounds: usize,
    /// Length of a turn.
    pub window: Duration,
    /// Format of the results.
    pub form: Form,
}

/// Connections beside those of the load.
const CONTROL_CLIENTS: usize = 4096;

impl Runs {
    /// The servers of the rows: larder, memcached at its defaults and at `-R 1000`, and the floor. If servers are
    /// given: these and the floor. One alone is measured beside memcached.
    ///
    /// # Errors
    /// A variable is no number, there is no memcached, or a system call failed.
    pub fn of_table(given: Vec<ServerCommand>, form: Form) -> io::Result<Self> {
        let mut servers = given;
        if servers.is_empty() {
            let [ours, yardstick] = Comparison::from_environment()?.servers;
            let tuned = env::var("LARDER_BENCH_B")
                .unwrap_or_default()
                .trim()
                .is_empty()
                .then(|| yardstick.with_arguments("-R 1000"));
            servers = [ours, yardstick].into_iter().chain(tuned).collect();
        }
        if servers.len() == 1 {
            servers.push(Comparison::from_environment()?.servers[1].clone());
        }
        Self::new(servers, FloorPart::Taken, form)
    }

    /// Runs with these servers.
    ///
    /// # Errors
    /// A variable that is no number, or the kernel's word.
    pub fn new(mut servers: Vec<ServerCommand>, floor: FloorPart, form: Form) -> io::Result<Self> {
        ServerCommand::name_apart(&mut servers);
        if floor == FloorPart::Taken {
            servers.push(ServerCommand::floor()?);
        }
        Ok(Self {
            servers,
            place: Cores::from_environment()?,
            rounds: number("LARDER_BENCH_PAIRS", 5)?,
            window: Duration::from_millis(number("LARDER_BENCH_WINDOW_MS", 500)?),
            form,
        })
    }

    /// The names in the header of the table.
    pub fn names(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.name.clone()).collect()
    }

    /// Puts one load on all servers.
    ///
    /// # Errors
    /// A server did not start, or a reply was wrong.
    pub fn compare(&self, load: &str, plan: &Plan) -> io::Result<String> {
        let clients = (plan.connections + plan.idle_connections + CONTROL_CLIENTS).to_string();
        let mut candidates = self.start_with(Stage::Roomy, &["-c", &clients])?;
        let series = in_turns(&mut candidates, &self.pinned(plan), Ready::AtOnce, self.rounds, self.window)?;
        let details = details_of(load, series);
        Ok(match self.form {
            Form::Json => table::json(&origin(&versions(&candidates)), &self.names(), &[], &details),
            Form::Table => {
                format!("{}\n{}\n{}", table::details(&details), table::MARKED, self.footnote(&versions(&candidates)))
            }
            Form::Terminal => {
                let below = [table::MARKED.replace('\\', ""), self.footnote(&versions(&candidates))];
                beside(load, &details) + "\n" + &below.map(|text| wrapped(&text)).join("\n")
            }
        })
    }

    /// Measures rows of the table. After a row that fails the others are still measured; the error names it at the end.
    ///
    /// # Errors
    /// A row could not be measured, or `show` failed.
    pub fn measure(&self, rows: &[&'static Row], show: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let mut results = Results::default();
        for stage in [Stage::Roomy, Stage::Large, Stage::Full, Stage::Tls] {
            let of_stage: Vec<&'static Row> = rows.iter().filter(|row| needs(row, stage)).copied().collect();
            if of_stage.is_empty() {
                continue;
            }
            if let Err(error) = self.measure_stage(stage, &of_stage, &mut results) {
                log_line(Level::Info, format!("{stage:?}: {error}").as_bytes());
                let missing = of_stage.iter().map(|row| row.name).filter(|name| !results.has(name));
                results.failed.extend(missing.collect::<Vec<_>>());
            }
        }
        for row in rows {
            let measured = match row.measure {
                Measure::Cpu(..) | Measure::Tail(_) => continue,
                Measure::TwoThreads(plan) => threads::measure(self, row, &plan()),
                Measure::Instructions(plan) => instructions::measure(self, row, &plan()),
                Measure::HotKeys(plan) => instructions::measure_hot_keys(self, row, &plan()),
                Measure::Evicting(plan) => instructions::measure_evicting(self, row, &plan()),
                Measure::Idle(connections) => memory::idle_connections(self, row, connections),
                Measure::Fair(others) => tails::fairness(self, row, &others()),
                Measure::Storm(connects, limit) => storm::measure(self, row, connects, limit),
                Measure::Connects(per_second) => tls::new_connections(self, row, per_second),
            };
            results.note(row, measured.map(|verdict| (verdict, Vec::new())));
        }
        results.verdicts.sort_by_key(|verdict| rows.iter().position(|row| row.name == verdict.row.name));
        if results.versions.is_empty() {
            // Ignored: a server that does not start has failed in its rows, which are named below.
            results.versions = self.start(Stage::Roomy).map(|candidates| versions(&candidates)).unwrap_or_default();
        }
        let names = self.names();
        match self.form {
            Form::Json => show(&table::json(&origin(&results.versions), &names, &results.verdicts, &results.details))?,
            Form::Table | Form::Terminal => {
                show(&table::verdicts(&names, &results.verdicts).to_string())?;
                if !results.details.is_empty() {
                    show(&table::details(&results.details).to_string())?;
                    show(table::MARKED)?;
                }
                show(&self.footnote(&results.versions))?;
            }
        }
        match results.failed.as_slice() {
            [] => Ok(()),
            failed => Err(io::Error::other(format!("not measured: {}", failed.join(", ")))),
        }
    }

    fn measure_stage(&self, stage: Stage, rows: &[&'static Row], results: &mut Results) -> io::Result<()> {
        // Servers may read the files as long as they run.
        let certificate = (stage == Stage::Tls).then(Certificate::new).transpose()?;
        let mut candidates = match &certificate {
            None => self.start(stage)?,
            Some(certificate) => self.start_tls(certificate, stage)?,
        };
        results.versions = versions(&candidates);
        for &row in rows {
            log_line(Level::Info, format!("== {}", row.name).as_bytes());
            let measured = match row.measure {
                Measure::Tail(plan) => tails::tail(self, &mut candidates, row, &plan()),
                Measure::Cpu(_, plan) => self.cpu(stage, &mut candidates, row, &plan()),
                _ => continue,
            };
            results.note(row, measured);
        }
        candidates.into_iter().try_for_each(|candidate| candidate.server.stop())
    }

    fn cpu(
        &self,
        stage: Stage,
        candidates: &mut [Candidate],
        row: &'static Row,
        plan: &Plan,
    ) -> io::Result<(Verdict, Vec<Series>)> {
        let ready = if stage == Stage::Full { Ready::Evicting } else { Ready::AtOnce };
        // Only the floor may lack the load's protocol, and it is the last candidate.
        let asked = candidates.partition_point(|candidate| candidate.speaks(plan.wire));
        let series = in_turns(&mut candidates[..asked], &self.pinned(plan), ready, self.rounds, self.window)?;
        let mut rounds: Vec<Option<Vec<f64>>> =
            series.iter().map(|series| Some(series.figures(LoadWindow::cpu_us))).collect();
        rounds.resize(self.servers.len(), None);
        Ok((Verdict::by_ratio(row, &rounds), series))
    }

    /// The load, bound to the client's cores.
    pub(super) fn pinned(&self, plan: &Plan) -> Plan {
        Plan { cores: self.place.client_cores.clone(), ..plan.clone() }
    }

    fn start(&self, stage: Stage) -> io::Result<Vec<Candidate>> {
        self.start_with(stage, &[])
    }

    fn start_with(&self, stage: Stage, more: &[&str]) -> io::Result<Vec<Candidate>> {
        let arguments = [&["-t", "1"], stage.arguments(), more].concat();
        self.servers.iter().map(|server| Candidate::start(&self.place, server, &arguments)).collect()
    }

    /// The servers with TLS. The floor does not have it.
    pub(super) fn start_tls(&self, certificate: &Certificate, stage: Stage) -> io::Result<Vec<Candidate>> {
        let arguments = [&["-t", "1"], stage.arguments()].concat();
        let with_tls = self.servers.iter().filter(|server| !server.is_floor());
        with_tls
            .map(|server| Candidate::start(&self.place, &server.with_flags(&certificate.flags()), &arguments))
            .collect()
    }

    /// Date, host and versions, without which figures of two days cannot be compared.
    fn footnote(&self, versions: &str) -> String {
        let list = |cores: &[usize]| cores.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        format!(
            "{} rounds of {} ms each; server -t 1, unless it is given another, on core {}, client on core {}. {versions}; {}.\n",
            self.rounds,
            self.window.as_millis(),
            list(&self.place.server_cores),
            list(&self.place.client_cores),
            describe_host(),
        )
    }
}

fn needs(row: &Row, stage: Stage) -> bool {
    match row.measure {
        Measure::Cpu(of, _) => of == stage,
        Measure::Tail(_) => stage == Stage::Roomy,
        Measure::TwoThreads(_)
        | Measure::Instructions(_)
        | Measure::HotKeys(_)
        | Measure::Evicting(_)
        | Measure::Idle(_)
        | Measure::Fair(_)
        | Measure::Storm(..)
        | Measure::Connects(_) => false,
    }
}

/// The results so far.
#[derive(Default)]
struct Results {
    verdicts: Vec<Verdict>,
    details: Vec<Detail>,
    failed: Vec<&'static str>,
    versions: String,
}

impl Results {
    fn has(&self, name: &str) -> bool {
        self.failed.contains(&name) || self.verdicts.iter().any(|verdict| verdict.row.name == name)
    }

    fn note(&mut self, row: &'static Row, measured: io::Result<(Verdict, Vec<Series>)>) {
        match measured {
            Ok((mut verdict, series)) => {
                verdict.client_bound = series.iter().map(Series::waited_for_client).collect();
                self.verdicts.push(verdict);
                self.details.extend(details_of(row.name, series));
            }
            Err(error) => {
                log_line(Level::Info, format!("{}: {error}", row.name).as_bytes());
                self.failed.push(row.name);
            }
        }
    }
}

fn details_of(load: &str, series: Vec<Series>) -> Vec<Detail> {
    if series.is_empty() {
        return Vec::new();
    }
    let ours = series[0].figures(LoadWindow::cpu_us);
    let detail = |series: Series| {
        let ratio = ratio(&ours, &series.figures(LoadWindow::cpu_us));
        Detail { load: load.to_string(), series, ratio }
    };
    series.into_iter().map(detail).collect()
}

/// Where figures are from: the day, the machine of the servers and the client, and the versions.
fn origin(versions: &str) -> [(&'static str, String); 3] {
    let date = time_stamp_now().split('T').next().unwrap_or_default().to_string();
    [("date", date), ("host", describe_host()), ("versions", versions.to_string())]
}

fn versions(candidates: &[Candidate]) -> String {
    candidates.iter().map(|candidate| named_version(&candidate.name, &candidate.version)).collect::<Vec<_>>().join("; ")
}

/// A server's name and version. It mentions if the bars were made for another memcached.
fn named_version(name: &str, version: &str) -> String {
    let is_other = name.starts_with("memcached") && version != YARDSTICK_VERSION;
    let bars = if is_other { format!(" (bars are made for {YARDSTICK_VERSION})") } else { String::new() };
    format!("{name}: {version}{bars}")
}

#[cfg(test)]
mod tests {
    use super::{YARDSTICK_VERSION, named_version};

    #[test]
    fn a_memcached_that_is_not_the_yardstick_is_told() {
        assert_eq!(named_version("memcached -R 1000", YARDSTICK_VERSION), "memcached -R 1000: 1.6.45");
        assert_eq!(named_version("memcached", "1.6.46"), "memcached: 1.6.46 (bars are made for 1.6.45)");
        assert_eq!(named_version("larder", "1.6.45 (larder 0.1.0)"), "larder: 1.6.45 (larder 0.1.0)");
    }

    #[test]
    fn the_script_the_page_and_the_table_have_one_yardstick() {
        for (path, text) in [
            ("scripts/newest-memcached", format!("yardstick={YARDSTICK_VERSION}\n")),
            ("doc/measurements/README.md", format!("The yardstick is memcached {YARDSTICK_VERSION}:")),
        ] {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
            assert!(std::fs::read_to_string(format!("{root}/{path}")).unwrap().contains(&text), "{path}: {text}");
        }
    }
}

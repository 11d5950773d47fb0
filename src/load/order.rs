//! The command line of `larder-bench`: a plan, and its duration.

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use getopts::{Fail, HasArg, Matches, Occur, Options};
use larder::tls::{TLS_FLAGS, TlsClientOptions};

use super::flags::{MODES, find, flags, help, written};
use super::op::Op;
use super::plan::{Mix, Pacing, Plan, Popularity, Sharing, SizePlan, Target, TtlPlan, Waiting, Wire};
use super::slo::Objective;
use super::twitter::Cluster;
use super::units::{plain_bytes, plain_count, plain_seconds};

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Print a text on standard output.
    Print(String),
    /// Put a load on a server.
    Load(Box<Order>),
    /// Start servers and put the same load on them in turns.
    Compare(Box<Order>, Vec<String>),
}

/// A load on one server.
#[derive(Debug)]
pub struct Order {
    /// The server.
    pub target: Target,
    /// The server's name on the command line.
    pub target_name: String,
    /// What to send.
    pub plan: Plan,
    /// Which keys are stored first.
    pub phases: Phases,
    /// Time of load that is not counted, at the full rate.
    pub warmup: Duration,
    /// Time of growing load, before the warmup.
    pub ramp: Duration,
    /// Time of load that is counted.
    pub duration: Duration,
    /// How the figures are printed.
    pub output: Output,
    /// The file for the figures of each second.
    pub csv: Option<PathBuf>,
    /// The file for the report with charts.
    pub html: Option<PathBuf>,
    /// The latency bound of a search for the highest rate.
    pub slo: Option<Objective>,
    /// Whether progress lines are written.
    pub progress: Progress,
}

/// Which of fill and load run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phases {
    /// Store every key, then the load.
    FillAndLoad,
    /// Store every key.
    Fill,
    /// The load, on the items that are there.
    Load,
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Table,
    /// For programs: one object.
    Json,
}

/// When progress lines are written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// If it is a terminal.
    OnTerminal,
    /// Always, a line a second.
    Always,
    /// Never.
    Never,
}

/// Reads the command line, without the program's name.
///
/// # Errors
/// The message for the user.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, String> {
    let given = options().parse(arguments).map_err(|fail| explain(&fail))?;
    let given = Given(given);
    if given.has("help") {
        return Ok(Invocation::Print(help(env!("CARGO_PKG_VERSION"))));
    }
    if given.has("version") {
        return Ok(Invocation::Print(format!("larder-bench {}\n", env!("CARGO_PKG_VERSION"))));
    }
    if let Some(extra) = given.0.free.first() {
        return Err(format!("{extra}: not an option; larder-bench --help lists them"));
    }
    let (target, target_name) = target(&given)?;
    let tls = tls(&given, &target, &target_name)?;
    let phases = match (given.has("fill-only"), given.has("no-fill")) {
        (true, true) => return Err("--fill-only and --no-fill: nothing is left to do".to_string()),
        (true, false) => Phases::Fill,
        (false, true) => Phases::Load,
        (false, false) => Phases::FillAndLoad,
    };
    let progress = match (given.has("progress"), given.has("quiet")) {
        (true, _) => Progress::Always,
        (false, true) => Progress::Never,
        (false, false) => Progress::OnTerminal,
    };
    let order = Box::new(Order {
        target,
        target_name,
        plan: Plan { tls, ..plan(&given)? },
        phases,
        warmup: given.seconds("warmup", 0.0..=SECONDS_MAX)?.unwrap_or(Duration::ZERO),
        ramp: given.seconds("ramp", 0.0..=SECONDS_MAX)?.unwrap_or(Duration::ZERO),
        duration: given.seconds("duration", 0.001..=SECONDS_MAX)?.unwrap_or(Duration::from_secs(10)),
        output: if given.has("json") { Output::Json } else { Output::Table },
        csv: given.text("csv").map(PathBuf::from),
        html: given.text("html").map(PathBuf::from),
        slo: given.read("slo", |text| Objective::parse(text, plain_seconds))?,
        progress,
    });
    if order.slo.is_some() && (given.has("rate") || given.has("fill-only")) {
        return Err("--slo finds the rate by itself: not with --rate or --fill-only".to_string());
    }
    let servers = given.0.opt_strs("server");
    if let Pacing::Open { per_second } = order.plan.pacing
        && order.phases != Phases::Fill
        && servers.is_empty()
        && per_second / (order.plan.threads as f64) * order.duration.as_secs_f64() < 1.0
    {
        let seconds = order.duration.as_secs_f64();
        return Err(format!(
            "{}: {per_second} a second are less than one request of each thread in {seconds} s",
            written("rate")
        ));
    }
    if let Some(name) = ALONE.iter().find(|name| !servers.is_empty() && given.has(name)) {
        return Err(format!("{}: not with --server, which says where and how long by itself", written(name)));
    }
    Ok(if servers.is_empty() { Invocation::Load(order) } else { Invocation::Compare(order, servers) })
}

/// Flags that have no meaning for servers that this program starts.
const ALONE: [&str; 12] = [
    "slo",
    "csv",
    "html",
    "host",
    "port",
    "unix-socket",
    "cores",
    "duration",
    "warmup",
    "ramp",
    "no-fill",
    "fill-only",
];
const SECONDS_MAX: f64 = 1e6;
/// A server takes a larger number as a date.
const TTL_S_MAX: u32 = 2_592_000;
const CONNECTIONS_MAX: usize = 1_000_000;
const CONNECTS_MAX: f64 = 1e6;

/// The flags that getopts found.
struct Given(Matches);

impl Given {
    fn has(&self, name: &str) -> bool {
        self.0.opt_present(name)
    }

    /// The value of a flag. If it is repeated, the last value counts.
    fn text(&self, name: &str) -> Option<String> {
        self.0.opt_strs(name).pop()
    }

    fn number<T: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        name: &str,
        least: T,
        most: T,
    ) -> Result<Option<T>, String> {
        self.number_of(name, plain_count, least, most)
    }

    /// A number. `plain` converts the text to plain digits.
    fn number_of<T: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        name: &str,
        plain: impl Fn(&str) -> String,
        least: T,
        most: T,
    ) -> Result<Option<T>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value: T = plain(&text).parse().map_err(|_| format!("{}: not a number: {text:?}", written(name)))?;
        if value >= least && value <= most {
            Ok(Some(value))
        } else {
            Err(format!("{}: {value} is outside {least} to {most}", written(name)))
        }
    }

    fn seconds(&self, name: &str, range: std::ops::RangeInclusive<f64>) -> Result<Option<Duration>, String> {
        Ok(self.number_of(name, plain_seconds, *range.start(), *range.end())?.map(Duration::from_secs_f64))
    }

    /// The value that `read` parses from the text. The error names the flag.
    fn read<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let hint = find(name).and_then(|flag| flag.hint).unwrap_or_default();
        read(&text).map(Some).ok_or_else(|| format!("{}: {text:?} is not {hint}", written(name)))
    }
}

fn target(given: &Given) -> Result<(Target, String), String> {
    if let Some(path) = given.text("unix-socket") {
        return Ok((Target::Unix(PathBuf::from(&path)), path));
    }
    let host = given.text("host").unwrap_or_else(|| "127.0.0.1".to_string());
    let (host, own_port) = host_and_port(&host).map_err(|fault| format!("{}: {fault}", written("host")))?;
    let port = given.number("port", 1, 65_535)?.unwrap_or(11211);
    let port = own_port.unwrap_or(u16::try_from(port).unwrap_or(11211));
    let address: Option<SocketAddr> = (host.as_str(), port).to_socket_addrs().ok().and_then(|mut found| found.next());
    let address = address.ok_or_else(|| format!("{}: no address for {host:?}", written("host")))?;
    Ok((Target::Tcp(address), if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }))
}

/// `host`, `host:port`, `::1` or `[::1]:port`.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, after)) => (host, after.strip_prefix(':')),
        // More than one colon and no brackets: an IPv6 address alone.
        None if text.matches(':').count() > 1 => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let read = |port: &str| port.parse().map_err(|_| format!("port {port:?} is outside 0 to 65535"));
    Ok((host.to_string(), port.map(read).transpose()?))
}

/// Any flag of TLS turns it on.
fn tls(given: &Given, target: &Target, target_name: &str) -> Result<Option<TlsClientOptions>, String> {
    let Some(flag) = TLS_FLAGS.into_iter().find(|flag| given.has(flag.name)) else { return Ok(None) };
    if matches!(target, Target::Unix(_)) {
        return Err(format!("{}: Unix sockets do not use TLS", written(flag.name)));
    }
    TlsClientOptions::from_flags(|flag| given.has(flag), |flag| given.text(flag), &host_and_port(target_name)?.0)
}

fn plan(given: &Given) -> Result<Plan, String> {
    let mut plan = Plan::default();
    if let Some(row) = given.text("twitter") {
        follow_cluster(&mut plan, &row)?;
    }
    set(&mut plan.threads, given.number("threads", 1, 256)?);
    set(&mut plan.connections, given.number("connections", 1, CONNECTIONS_MAX)?);
    set(&mut plan.idle_connections, given.number("idle", 0, CONNECTIONS_MAX)?);
    set(&mut plan.connects_per_second, given.number("connect-rate", 0.001, CONNECTS_MAX)?.map(Some));
    set(&mut plan.cores, given.read("cores", cores)?);
    set(&mut plan.wire, given.read("wire", wire)?);
    set(&mut plan.pipeline, given.number("pipeline", 1, 100_000)?);
    set(&mut plan.keys_per_get, given.number("multiget", 1, 100_000)?);
    set(&mut plan.mix, given.text("mix").map(|text| mix(&text)).transpose()?);
    set(&mut plan.keys.count, given.number("keys", 1, 1_000_000_000)?);
    set(&mut plan.keys.length, given.read("key-size", key_size)?);
    set(&mut plan.keys.prefix, given.text("prefix"));
    set(&mut plan.keys.fresh, given.number("fresh", 0.0, 1.0)?);
    set(&mut plan.values, given.read("value-size", value_size)?);
    set(&mut plan.ttl, ttl(given)?);
    set(&mut plan.seed, given.number("seed", 0, u64::MAX)?);
    set(&mut plan.keys.popularity, given.number("zipf", 0.0, 10.0)?.map(Popularity::Zipf));
    set(&mut plan.keys.popularity, given.text("hot").map(|text| hot(&text)).transpose()?);
    set(&mut plan.pacing, given.number("rate", 0.001, 1e9)?.map(|per_second| Pacing::Open { per_second }));
    plan.noreply = given.has("noreply");
    if given.has("private-keys") {
        plan.keys.sharing = Sharing::Private;
    }
    if given.has("sleep") {
        plan.waiting = Waiting::Sleep;
    }
    if given.has("zipf") && given.has("hot") {
        return Err("--zipf and --hot: popularity is one of them".to_string());
    }
    if plan.connections < plan.threads {
        return Err(format!(
            "{}: {} for {} threads: each needs one",
            written("connections"),
            plan.connections,
            plan.threads
        ));
    }
    Ok(plan)
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// `FILE:NAME`.
fn follow_cluster(plan: &mut Plan, row: &str) -> Result<(), String> {
    let place = written("twitter");
    let (path, name) = row.rsplit_once(':').ok_or_else(|| format!("{place}: {row:?} is not FILE:ROW"))?;
    let text = fs::read_to_string(path).map_err(|error| format!("{place}: {path}: {error}"))?;
    let line = text.lines().find(|line| line.split(',').next() == Some(name));
    let cluster = line.and_then(Cluster::parse).ok_or_else(|| format!("{place}: {path} has no row {name}"))?;
    cluster.shape(plan);
    Ok(())
}

fn wire(text: &str) -> Option<Wire> {
    match text {
        "text" => Some(Wire::Text),
        "meta" => Some(Wire::Meta),
        "binary" => Some(Wire::Binary),
        _ => None,
    }
}

/// `0,2,3`.
fn cores(text: &str) -> Option<Vec<usize>> {
    text.split(',').map(|core| core.parse().ok()).collect()
}

/// `get` or `get=10,set=1`.
fn mix(text: &str) -> Result<Mix, String> {
    let wrong = |what: String| format!("{}: {what}", written("mix"));
    let share = |word: &str| {
        let (name, share) = word.split_once('=').unwrap_or((word, "1"));
        let op = Op::ALL.into_iter().find(|op| op.name() == name);
        let op = op.ok_or_else(|| wrong(format!("{name:?} is not one of {}", Op::names())))?;
        let share = share.parse().ok().filter(|share: &f64| share.is_finite() && *share >= 0.0);
        share.map(|share| (op, share)).ok_or_else(|| wrong(format!("{word:?}: the share is no number from 0 on")))
    };
    let shares: Vec<_> = text.split(',').map(share).collect::<Result<_, _>>()?;
    let is_empty = shares.iter().map(|(_, share)| share).sum::<f64>() <= 0.0;
    if is_empty { Err(wrong(format!("{text:?} has no request in it"))) } else { Ok(Mix(shares)) }
}

/// As `key_size`, or `kvcache:FILE`.
fn value_size(text: &str) -> Option<SizePlan> {
    match text.strip_prefix("kvcache:") {
        Some(path) => Some(SizePlan::KvcacheReg(path.into())),
        None => key_size(text),
    }
}

/// `100`, `100-2000` or `etc`.
fn key_size(text: &str) -> Option<SizePlan> {
    if text == "etc" {
        return Some(SizePlan::Etc);
    }
    match text.split_once('-') {
        None => plain_bytes(text).parse().ok().map(SizePlan::Fixed),
        Some((least, most)) => {
            let (least, most) = (plain_bytes(least).parse().ok()?, plain_bytes(most).parse().ok()?);
            (least <= most).then_some(SizePlan::Between(least, most))
        }
    }
}

/// `60` or `60=0.5,3600=0.25`: the rest of the shares lives forever.
fn ttl(given: &Given) -> Result<Option<TtlPlan>, String> {
    let Some(plan) = given.read("ttl", |text| match plain_seconds(text).parse() {
        Ok(seconds) => Some(TtlPlan::Fixed(seconds)),
        Err(_) => {
            let pairs = text.split(',').map(|pair| {
                let (seconds, share) = pair.split_once('=')?;
                let share = share.parse().ok().filter(|share| (0.0..=1.0).contains(share))?;
                Some((share, plain_seconds(seconds).parse().ok()?))
            });
            pairs.collect::<Option<_>>().map(TtlPlan::Mix)
        }
    })?
    else {
        return Ok(None);
    };
    let shares: &[(f64, u32)] = match &plan {
        TtlPlan::Never => &[],
        TtlPlan::Fixed(seconds) => &[(1.0, *seconds)],
        TtlPlan::Mix(shares) => shares,
    };
    if let Some((_, seconds)) = shares.iter().find(|(_, seconds)| *seconds > TTL_S_MAX) {
        return Err(format!("{}: {seconds} is outside 0 to {TTL_S_MAX}", written("ttl")));
    }
    // A sum of decimal shares may be off by its last bit.
    if shares.iter().map(|(share, _)| share).sum::<f64>() > 1.0 + 1e-9 {
        let text = given.text("ttl").unwrap_or_default();
        return Err(format!("{}: {text:?} has shares of more than 1 together", written("ttl")));
    }
    Ok(Some(plan))
}

/// `0.9:0.01`.
fn hot(text: &str) -> Result<Popularity, String> {
    let share = |text: &str| text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    match text.split_once(':').map(|(requests, keys)| (share(requests), share(keys))) {
        // An error is better than a hot set of one key.
        Some((Some(_), Some(0.0))) => {
            Err(format!("{}: {text:?} has no keys in it: the second share is above 0", written("hot")))
        }
        Some((Some(requests), Some(keys))) => Ok(Popularity::HotSet { requests, keys }),
        Some(_) | None => Err(format!("{}: {text:?} is not two shares of 1, like 0.9:0.01", written("hot"))),
    }
}

fn options() -> Options {
    let mut options = Options::new();
    for flag in flags() {
        let takes = if flag.hint.is_some() { HasArg::Yes } else { HasArg::No };
        options.opt(flag.short, flag.long, "", "", takes, Occur::Multi);
    }
    options
}

/// The message about an error of getopts.
pub(super) fn explain(fail: &Fail) -> String {
    match fail {
        Fail::ArgumentMissing(name) => {
            let hint = find(name).and_then(|flag| flag.hint).unwrap_or("a value");
            format!("{}: needs a value: {hint}", written(name))
        }
        Fail::UnrecognizedOption(name) if MODES.iter().any(|mode| mode[2..] == **name) => {
            format!("--{name}: comes first: larder-bench --{name} …; larder-bench --help lists what may follow")
        }
        Fail::UnrecognizedOption(name) => format!("{}: no such option; larder-bench --help lists them", written(name)),
        Fail::UnexpectedArgument(name) => format!("{}: takes no value", written(name)),
        Fail::OptionMissing(name) | Fail::OptionDuplicated(name) => format!("{}: needed once", written(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Invocation, Order, Pacing, Popularity, SizePlan, TtlPlan, Wire, parse};

    fn order(line: &str) -> Result<Order, String> {
        match parse(line.split_whitespace().map(Into::into))? {
            Invocation::Load(order) => Ok(*order),
            Invocation::Print(text) => Err(text),
            Invocation::Compare(_, servers) => Err(servers.join("; ")),
        }
    }

    #[test]
    fn flags_become_a_plan() {
        let order = order("-p 4711 -c 8 -t 2 -P 50 -x get=10,set=1 --rate 60000 --zipf .99 -v etc -w meta").unwrap();
        assert_eq!(order.target_name, "127.0.0.1:4711");
        assert_eq!((order.plan.connections, order.plan.threads, order.plan.pipeline), (8, 2, 50));
        assert_eq!(order.plan.pacing, Pacing::Open { per_second: 60_000.0 });
        assert_eq!(order.plan.keys.popularity, Popularity::Zipf(0.99));
        assert_eq!(order.plan.values, SizePlan::Etc);
        assert_eq!(order.plan.wire, Wire::Meta);
    }

    #[test]
    fn numbers_may_have_units_and_hosts_ports() {
        let order = order("-H localhost:4711 -c 2k -n 1m -r 1.5k -d 10s --warmup 500ms --ttl 1m -v 1k-2k").unwrap();
        assert_eq!(order.target_name, "localhost:4711");
        assert_eq!((order.plan.connections, order.plan.keys.count), (2000, 1_000_000));
        assert_eq!(order.plan.pacing, Pacing::Open { per_second: 1500.0 });
        assert_eq!((order.duration.as_secs(), order.warmup.as_millis()), (10, 500));
        assert_eq!((order.plan.ttl, order.plan.values), (TtlPlan::Fixed(60), SizePlan::Between(1024, 2048)));
    }

    #[test]
    fn a_host_may_be_of_any_family() {
        for (line, name) in [
            ("-H ::1 -p 5", "[::1]:5"),
            ("-H [::1]:6 -p 5", "[::1]:6"),
            ("-H 127.0.0.1:7", "127.0.0.1:7"),
            ("-H 127.0.0.1", "127.0.0.1:11211"),
        ] {
            assert_eq!(order(line).unwrap().target_name, name, "{line}");
        }
        assert_eq!(order("-H localhost:x").unwrap_err(), "-H, --host: port \"x\" is outside 0 to 65535");
    }

    #[test]
    fn times_to_live_are_one_or_a_mix() {
        for (line, ttl) in [
            ("--ttl 0", TtlPlan::Fixed(0)),
            ("--ttl 60", TtlPlan::Fixed(60)),
            ("--ttl 60=0.5,3600=.25", TtlPlan::Mix(vec![(0.5, 60), (0.25, 3600)])),
            ("--ttl 60=0.1,70=0.2,80=0.7", TtlPlan::Mix(vec![(0.1, 60), (0.2, 70), (0.7, 80)])),
        ] {
            assert_eq!(order(line).unwrap().plan.ttl, ttl, "{line}");
        }
    }

    #[test]
    fn a_wrong_flag_is_named_with_its_value_and_limit() {
        for (line, said) in [
            ("-c 0", "-c, --connections: 0 is outside 1 to 1000000"),
            ("-c many", "-c, --connections: not a number: \"many\""),
            ("-c", "-c, --connections: needs a value: NUM"),
            ("-t 3 -c 2", "-c, --connections: 2 for 3 threads: each needs one"),
            ("--mix get=-1", "-x, --mix: \"get=-1\": the share is no number from 0 on"),
            ("--value-size 9-1", "-v, --value-size: \"9-1\" is not BYTES|FROM-TO|etc|kvcache:FILE"),
            ("--ttl soon", "--ttl: \"soon\" is not SECONDS|SECONDS=SHARE,…"),
            ("--ttl 60,70", "--ttl: \"60,70\" is not SECONDS|SECONDS=SHARE,…"),
            ("--ttl 60=0.5,70=0.6", "--ttl: \"60=0.5,70=0.6\" has shares of more than 1 together"),
            ("--ttl 60=0.5,2592001=0.1", "--ttl: 2592001 is outside 0 to 2592000"),
            ("--ttl 2592001", "--ttl: 2592001 is outside 0 to 2592000"),
            ("-K kvcache:sizes.json", "-K, --key-size: \"kvcache:sizes.json\" is not BYTES|FROM-TO|etc"),
            ("--zipf 1 --hot 0.9:0.1", "--zipf and --hot: popularity is one of them"),
            ("--rate nan", "-r, --rate: NaN is outside 0.001 to 1000000000"),
            ("--fast", "--fast: no such option; larder-bench --help lists them"),
            ("faster", "faster: not an option; larder-bench --help lists them"),
            ("--slo p99", "--slo: \"p99\" is not PERCENTILE=TIME"),
            ("--slo p99=1ms -r 5", "--slo finds the rate by itself: not with --rate or --fill-only"),
            ("--json=1", "--json: takes no value"),
            ("--tls-key k", "--tls-key: needs a certificate: --tls-cert"),
            ("--tls-ca f --tls-insecure", "--tls-ca and --tls-insecure: certificates are checked or not"),
            ("-s path --tls", "--tls: Unix sockets do not use TLS"),
            ("--connect-rate 0", "--connect-rate: 0 is outside 0.001 to 1000000"),
            (
                "--json --table",
                "--table: comes first: larder-bench --table …; larder-bench --help lists what may follow",
            ),
        ] {
            assert_eq!(order(line).unwrap_err(), said, "{line}");
        }
    }

    #[test]
    fn help_names_every_flag() {
        let text = order("--help").unwrap_err();
        for flag in super::flags() {
            assert!(text.contains(&format!("--{}", flag.long)), "{}", flag.long);
        }
        for word in super::MODES.into_iter().chain(["--rows", "[-l ADDRESS]"]) {
            assert!(text.contains(word), "{word}");
        }
    }
}

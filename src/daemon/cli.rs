//! The command line: getopts, configured from the settings table.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use getopts::{Fail, HasArg, Matches, Occur, Options, ParsingStyle};

use super::config_file::words_of;
use super::failure::Failure;
use crate::protocol::MEMCACHED_VERSION;
use crate::restart::{OpenError, clear, inspect};
use crate::settings::{ROWS, Row, Settings, SettingsBuilder, Source, help, remedy};

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Print a text on standard output and exit.
    Print(String),
    /// Run a server.
    Serve(Box<Settings>),
}

/// The version that `-V` prints.
const VERSION: &str = env!("CARGO_PKG_VERSION");

const LICENSE: &str = include_str!("../../LICENSE");

/// The first line of help and version if the program was started as memcached: test harnesses and packages look for
/// it.
fn greeting(program: &OsStr) -> String {
    let name = Path::new(program).file_name().unwrap_or_default();
    let is_memcached = name.as_encoded_bytes().starts_with(b"memcached");
    if is_memcached { format!("memcached {MEMCACHED_VERSION}\n") } else { String::new() }
}

/// Parses the command line: the program's name, its arguments, and `environment`, which looks up an environment
/// variable.
///
/// # Errors
/// The message for the operator.
pub fn parse(
    program: &OsStr,
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Invocation, Failure> {
    let settings = collect(arguments, environment).map_err(Failure::Usage)?;
    if settings.help {
        return Ok(Invocation::Print(greeting(program) + &help(VERSION)));
    }
    if settings.version {
        return Ok(Invocation::Print(greeting(program) + &format!("larder {VERSION}\n")));
    }
    if settings.license {
        return Ok(Invocation::Print(LICENSE.to_string()));
    }
    if let Some(path) = &settings.inspect {
        return inspect(path, &settings)
            .map(Invocation::Print)
            .map_err(Failure::system(format!("--inspect: read {}", path.display())));
    }
    if let Some(path) = &settings.clear {
        return clear(path).map(Invocation::Print).map_err(|error| match error {
            OpenError::Refused(reason) => Failure::Usage(format!("--clear: {}: {reason}", path.display())),
            OpenError::System(what, error) => {
                Failure::System { what: format!("--clear: {what} {}", path.display()), error }
            }
        });
    }
    Ok(Invocation::Serve(Box::new(settings)))
}

fn collect(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Settings, String> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut matches = read(with_replication_port(arguments.clone()))?;
    if let Some(path) = matches.opt_strs("config").pop() {
        let words = words_of(path.trim())?;
        read(with_replication_port(words.clone())).map_err(|error| format!("--config: {path}: {error}"))?;
        // The file comes first, so that the command line wins. One of them may have -x, and the other one -X.
        arguments.splice(0..0, words);
        matches = read(with_replication_port(arguments))?;
    }
    if let Some(extra) = matches.free.iter().find(|word| !word.trim().is_empty()) {
        return Err(format!("{extra}: not an option; larder -h lists them"));
    }
    let mut builder = SettingsBuilder::new();
    for row in ROWS.iter().filter(|row| row.source() == Source::Environment) {
        if let Some(value) = environment(row.bare_name()).filter(|value| !value.is_empty()) {
            let value = value.into_string().map_err(|_| format!("{}: not UTF-8", row.bare_name()))?;
            builder.set(row, &value)?;
        }
    }
    for row in flags() {
        apply(row, &matches, &mut builder)?;
    }
    for list in matches.opt_strs("extended") {
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            builder.set_suboption(word)?;
        }
    }
    // Help, version and licence are printed even if the other options conflict.
    if ["h", "V", "i"].iter().any(|name| matches.opt_present(name)) {
        return Ok(builder.unchecked());
    }
    builder.finish()
}

/// As repcached does: with -x, a number after -X is the replication port. Without -x, or without a number, -X is
/// memcached's.
fn with_replication_port(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let text = |word: &OsString| word.to_str().map(str::to_owned).unwrap_or_default();
    let is_peer = |word: &OsString| text(word).starts_with("-x") || text(word).starts_with("--replication-peer");
    if !arguments.iter().any(is_peer) {
        return arguments;
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut at = 0;
    while at < arguments.len() {
        let word = text(&arguments[at]);
        let (port, words) = match word.strip_prefix("-X") {
            Some("") => (arguments.get(at + 1).map(text).unwrap_or_default(), 2),
            Some(joined) => (joined.to_owned(), 1),
            None => (String::new(), 1),
        };
        if is_number(port.trim()) {
            arguments.splice(at..at + words, ["-o".into(), format!("repl_port={}", port.trim()).into()]);
            at += 1;
        }
        at += 1;
    }
    arguments
}

fn flags() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| row.source() == Source::Flag)
}

/// Splits the command line into options and their values. getopts reports an unknown word. If it is the prefix of
/// exactly one long option, that option replaces it. Each round completes one word, so the loop ends.
fn read(mut arguments: Vec<OsString>) -> Result<Matches, String> {
    let options = options();
    for _ in 0..=arguments.len() {
        match options.parse(&arguments) {
            Ok(matches) => return Ok(matches),
            Err(Fail::UnrecognizedOption(name)) => {
                let Some(long) = completed(&name)? else { return Err(explain(&Fail::UnrecognizedOption(name))) };
                complete(&mut arguments, &name, long);
            }
            Err(fail) => return Err(explain(&fail)),
        }
    }
    Err("too many abbreviated options".into())
}

/// The long option that begins with `name`. `None` if no option does, or if `name` is too short for a long option.
fn completed(name: &str) -> Result<Option<&'static str>, String> {
    let begun = |row: &&Row| name.len() > 1 && row.longs().any(|long| long.starts_with(name));
    let long = |row: &'static Row| row.longs().find(|long| long.starts_with(name));
    match flags().filter(begun).filter_map(long).collect::<Vec<_>>()[..] {
        [] => Ok("extended".starts_with(name).then_some("extended").filter(|_| name.len() > 1)),
        [long] => Ok(Some(long)),
        ref several => {
            let names: Vec<String> = several.iter().map(|long| format!("--{long}")).collect();
            Err(format!("--{name}: may be {}", names.join(", ")))
        }
    }
}

/// Replaces `--name` by `--long`.
fn complete(arguments: &mut [OsString], name: &str, long: &str) {
    for word in arguments {
        let Some(rest) = word.to_str().and_then(|text| text.strip_prefix("--")?.strip_prefix(name)) else { continue };
        if rest.is_empty() || rest.starts_with('=') {
            *word = format!("--{long}{rest}").into();
            return;
        }
    }
}

/// The options that getopts must know. Each may be repeated; the last value counts.
fn options() -> Options {
    let mut options = Options::new();
    options.parsing_style(ParsingStyle::FloatingFrees);
    for row in flags() {
        let takes = if row.hint().is_some() { HasArg::Yes } else { HasArg::No };
        let mut short = row.short().unwrap_or_default();
        for long in row.longs() {
            options.opt(short, long, "", "", takes, Occur::Multi);
            short = "";
        }
        if !short.is_empty() {
            options.opt(short, "", "", "", takes, Occur::Multi);
        }
    }
    options.opt("o", "extended", "", "", HasArg::Yes, Occur::Multi);
    options
}

/// Sets `row` once per occurrence on the command line.
fn apply(row: &'static Row, matches: &Matches, builder: &mut SettingsBuilder) -> Result<(), String> {
    let mut names: Vec<&str> = row.longs().collect();
    if names.is_empty() {
        names.extend(row.short());
    }
    for name in names {
        if row.hint().is_some() {
            for value in matches.opt_strs(name) {
                builder.set(row, &value)?;
            }
        } else {
            for _ in 0..matches.opt_count(name) {
                builder.set(row, "")?;
            }
        }
    }
    Ok(())
}

/// Translates an error of getopts: names the option as the help writes it, and what to do.
fn explain(fail: &Fail) -> String {
    let written = |name: &str| {
        let row = flags().find(|row| row.short() == Some(name) || row.longs().any(|long| long == name));
        let dashes = if name.chars().count() == 1 { "-" } else { "--" };
        (row.map_or_else(|| format!("{dashes}{name}"), |row| row.names().to_string()), row)
    };
    match fail {
        Fail::ArgumentMissing(name) => {
            let (written, row) = written(name);
            format!("{written}: needs a value: {}", row.and_then(Row::hint).unwrap_or("<list>"))
        }
        Fail::UnrecognizedOption(name) => format!("{}: no such option; {}", written(name).0, remedy(name)),
        Fail::UnexpectedArgument(name) => format!("{}: takes no value", written(name).0),
        Fail::OptionMissing(name) | Fail::OptionDuplicated(name) => format!("{}: needed once", written(name).0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Invocation, ROWS, parse};
    use crate::settings::{Endpoint, Settings};

    fn serve(line: &str) -> Result<Settings, String> {
        let arguments = line.split_whitespace().map(Into::into);
        match parse("larder".as_ref(), arguments, |_| None) {
            Ok(Invocation::Serve(settings)) => Ok(*settings),
            Ok(Invocation::Print(text)) => Err(text),
            Err(Failure::Usage(text)) => Err(text),
            Err(other) => Err(other.to_string()),
        }
    }

    #[test]
    fn a_number_behind_the_switch_for_dumps_is_a_port_if_there_is_a_peer() {
        let repcached = serve("-m 64 -p 11211 -u root -P /p -d -x 192.168.168.2 -X 11213").unwrap();
        assert_eq!((repcached.replication_port, repcached.dump_enabled), (11213, true));
        let peers = serve("-X5 -x a:7,b --replication-peer [::1]:8").unwrap();
        let shown = |peers: Vec<Endpoint>| peers.iter().map(|peer| peer.port).collect::<Vec<_>>();
        assert_eq!(shown(peers.replication_peer_endpoints()), [7, 5, 8]);
        let disabled = serve("-x a -X").unwrap();
        assert_eq!((disabled.replication_port, disabled.dump_enabled), (11212, false));
        assert!(serve("-X 11212").is_err());
        assert!(serve("-x a -e /f").is_ok());
    }

    #[test]
    fn peers_and_their_port_may_stand_in_two_places() {
        let path = std::env::temp_dir().join(format!("larder-config-{}", std::process::id()));
        for (file, line) in [("-x a\n", "-X 5"), ("-X 5\n", "-x a"), ("-x a\n-X 5\n", "")] {
            std::fs::write(&path, file).unwrap();
            let settings = serve(&format!("--config {} {line}", path.display())).unwrap();
            let ports = settings.replication_peer_endpoints().iter().map(|peer| peer.port).collect::<Vec<_>>();
            assert_eq!((settings.replication_port, ports), (5, vec![5]), "{file}{line}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn short_joined_long_and_equals_forms_mean_the_same() {
        for line in ["-m 100 -p 5", "-m100 -p5", "--memory-limit 100 --port 5", "--memory-limit=100 --port=5"] {
            let settings = serve(line).unwrap();
            assert_eq!((settings.memory_limit_bytes, settings.tcp_port), (100 << 20, 5), "{line}");
        }
        assert_eq!(serve("-p -1").unwrap().tcp_port, -1);
        assert_eq!(serve("-N 2").unwrap().napi_ids, 2);
        assert_eq!(serve("--napi_ids=3").unwrap().napi_ids, 3);
    }

    #[test]
    fn switches_cluster_and_the_last_value_counts() {
        let settings = serve("-vvMC -v -t 2 -t 3").unwrap();
        assert_eq!((settings.verbosity, settings.evictions, settings.use_cas, settings.threads), (3, false, false, 3));
        let settings = serve("-o idle_timeout=5,no_lru_crawler -o hashpower=20 -l a,b -l c:1").unwrap();
        assert_eq!((settings.idle_timeout_s, settings.hashpower_init, settings.listen.len()), (5, 20, 3));
    }

    #[test]
    fn a_long_option_can_be_abbreviated_as_far_as_it_means_one() {
        let settings = serve("--memory-l 100 --thr=2 --verb --max-i 2m --ext idle_timeout=5").unwrap();
        assert_eq!((settings.memory_limit_bytes, settings.threads, settings.verbosity), (100 << 20, 2, 1));
        assert_eq!((settings.item_size_max, settings.idle_timeout_s), (2 << 20, 5));
        assert_eq!(serve("--napi 2").unwrap().napi_ids, 2, "both spellings are one option");
        assert_eq!(serve("--thr 2 --thr 3").unwrap().threads, 3);
        assert_eq!(serve("--mem 100").unwrap_err(), "--mem: may be --memory-limit, --memory-file");
        assert_eq!(serve("--threads-of=2").unwrap_err(), "--threads-of: no such option; did you mean --threads?");
        // A value is never completed.
        assert_eq!(serve("--user --thr").unwrap().user.as_deref(), Some("--thr"));
    }

    #[test]
    fn blanks_around_an_option_value_are_ignored() {
        for line in [
            &["-m 1024", "-I 5m", "-c 16384", "-u 11211", "-l 127.0.0.1,", "-o idle_timeout= 5 , hashpower=20", ""][..],
            &[
                "-m",
                " 1g ",
                "-I",
                " 5MB",
                "-c",
                "\t16384",
                "-u",
                " 11211",
                "-l",
                " 127.0.0.1",
                "-o",
                " idle_timeout=5s,hashpower=20",
            ],
        ] {
            let Ok(Invocation::Serve(settings)) = parse("larder".as_ref(), line.iter().map(Into::into), |_| None)
            else {
                panic!("{line:?}")
            };
            assert_eq!((settings.memory_limit_bytes, settings.item_size_max), (1 << 30, 5 << 20));
            assert_eq!((settings.max_connections, settings.user.as_deref()), (16384, Some("11211")));
            assert_eq!((settings.listen.len(), settings.idle_timeout_s, settings.hashpower_init), (1, 5, 20));
        }
    }

    #[test]
    fn mistakes_are_named_with_what_to_do() {
        assert_eq!(serve("-z").unwrap_err(), "-z: no such option; larder -h lists them");
        assert_eq!(serve("--nosuch").unwrap_err(), "--nosuch: no such option; larder -h lists them");
        assert_eq!(serve("-p").unwrap_err(), "-p, --port: needs a value: <num>");
        assert_eq!(serve("--port").unwrap_err(), "-p, --port: needs a value: <num>");
        assert_eq!(serve("-D").unwrap_err(), "-D: needs a value: <char>");
        assert_eq!(serve("-o").unwrap_err(), "-o: needs a value: <list>");
        assert_eq!(serve("--daemon=yes").unwrap_err(), "-d, --daemon: takes no value");
        assert_eq!(serve("start").unwrap_err(), "start: not an option; larder -h lists them");
        assert_eq!(serve("-t 900").unwrap_err(), "-t, --threads: 900 is outside 1 to 256");
        assert_eq!(serve("--user=").unwrap_err(), "-u, --user: needs a value");
    }

    #[test]
    fn help_version_and_licence_win_over_options_that_do_not_go_together() {
        assert!(serve("-p 0 -h").unwrap_err().contains("usage: larder"));
        assert_eq!(serve("-V -p 0").unwrap_err(), "larder 0.1.0\n");
        assert!(serve("-i").unwrap_err().contains("Redistribution"));
    }

    #[test]
    fn started_as_memcached_it_prints_memcacheds_version_first() {
        for (program, begins) in [
            ("/usr/bin/memcached", "memcached 1.6.45\nlarder 0.1.0"),
            ("./memcached-debug", "memcached 1.6.45\nlarder 0.1.0"),
            ("memcached/larder", "larder 0.1.0"),
            ("", "larder 0.1.0"),
        ] {
            for flag in ["-h", "-V"] {
                let Ok(Invocation::Print(text)) = parse(program.as_ref(), [flag.into()], |_| None) else {
                    panic!("{flag} prints")
                };
                assert!(text.starts_with(begins), "{program} {flag}: {text}");
            }
        }
    }

    #[test]
    fn an_empty_environment_variable_is_none() {
        let parsed = |value: &'static str| parse("larder".as_ref(), [], move |_| Some(value.into()));
        let Ok(Invocation::Serve(settings)) = parsed("") else { panic!("not a server") };
        assert_eq!(settings.port_file, None);
        let Ok(Invocation::Serve(settings)) = parsed("f") else { panic!("not a server") };
        assert_eq!(settings.port_file, Some("f".into()));
    }

    /// Two thousand command lines of options, parts of options and nonsense. Each gives a result or an error, never a
    /// panic, and an error is one line that names something.
    #[test]
    fn no_command_line_is_too_strange() {
        const SCRAPS: [&str; 24] = [
            "",
            "-",
            "--",
            "=",
            "-1",
            "0",
            "1",
            "64",
            "65536",
            "18446744073709551616",
            "1e400",
            "NaN",
            "1k",
            "m",
            "k",
            "é",
            "[::1",
            "[]:1",
            ":::",
            "a,,b",
            "no_",
            "96-95",
            ",",
            "\u{0}",
        ];
        let mut names: Vec<String> = vec!["-o".into(), "--extended".into()];
        // Two options act on a file at once. That the file is absent is no mistake of the command line.
        for row in ROWS.iter().filter(|row| !["inspect", "clear"].contains(&row.field)) {
            names.extend(row.short().map(|name| format!("-{name}")));
            names.extend(row.longs().map(|name| format!("--{name}")));
            names.push(row.bare_name().to_string());
            names.push(format!("no_{}", row.bare_name()));
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..2_000 {
            let mut line: Vec<std::ffi::OsString> = Vec::new();
            for _ in 0..random(5) {
                let name = &names[random(names.len())];
                let scrap = SCRAPS[random(SCRAPS.len())];
                match random(4) {
                    0 => line.push(name.into()),
                    1 => line.push(scrap.into()),
                    2 => line.push(format!("{name}={scrap}").into()),
                    _ => line.extend(["-o".into(), format!("{name}={scrap},{name}").into()]),
                }
            }
            if let Err(failure) = parse("larder".as_ref(), line.clone(), |_| None) {
                assert!(
                    matches!(&failure, Failure::Usage(text) if !text.contains('\n') && text.contains(": ")),
                    "{line:?}"
                );
            }
        }
    }
}

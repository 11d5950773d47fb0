//! The text of the manual page doc/larder-bench.1, generated from the tables of flags, requests and exit codes.

use super::flags::{Flag, flags, written};
use super::op::Op;

/// The manual page.
pub fn man_page(version: &str) -> String {
    let mut text = format!(
        ".\\\" Printed from src/load/flags.rs by `make doc`. Edit the table, not this file.\n\
         .TH LARDER\\-BENCH 1 \"\" \"larder {version}\"\n{HEAD}"
    );
    let mut group = "";
    for flag in flags() {
        if flag.group != group {
            group = flag.group;
            text.push_str(&format!(".SS {}\n", roff(group)));
        }
        text.push_str(&entry(&notation(&flag), &sentence(&flag.help.replace("{ops}", &Op::names()))));
    }
    text.push_str(".SH REQUESTS\nRequests for \\fB\\-\\-mix\\fR:\n");
    for op in Op::ALL {
        text.push_str(&entry(op.name(), op.help()));
    }
    text.push_str(MODES);
    text.push_str(".SH EXIT STATUS\n");
    for (code, when) in EXIT_CODES {
        text.push_str(&entry(&code.to_string(), when));
    }
    text.push_str(TAIL);
    text
}

/// Exit codes and their causes. doc/larder-bench.md repeats them, and a test compares the two.
pub const EXIT_CODES: [(u8, &str); 6] = [
    (0, "all replies were correct"),
    (1, "a reply was wrong, or a connection was lost without an error as in 2"),
    (2, "the server answered errors (out of memory, too large, too many connections)"),
    (64, "the command line is invalid"),
    (69, "no server, a server that does not start, another protocol, or no answer for five seconds"),
    (71, "a system call failed"),
];

const HEAD: &str = "\
.SH NAME
larder\\-bench \\- a load generator for servers that speak memcached's protocols
.SH SYNOPSIS
.B larder\\-bench
[options]
.br
.B larder\\-bench \\-\\-server
\"\\fIPATH ARGS\\fR\"
.B \\-\\-server
\"\\fIPATH ARGS\\fR\"
[options]
.br
.B larder\\-bench \\-\\-table
[\\fB\\-\\-rows\\fR \"\\fIA; B\\fR\"] [\\fB\\-\\-json\\fR] [\\fB\\-\\-server\\fR \"\\fIPATH ARGS\\fR\"]...
.br
.B larder\\-bench \\-\\-memory
.br
.B larder\\-bench \\-\\-floor
[\\fB\\-l\\fR \\fIADDRESS\\fR] [\\fB\\-p\\fR \\fIPORT\\fR]
.SH DESCRIPTION
larder\\-bench puts load on larder, memcached or any other server with these protocols. It first stores all keys. Then
it sends the requested mix of requests, and checks every reply. It reports throughput and latencies, and warns when the
tool itself may be the bottleneck.
.PP
The default is a closed loop: a connection sends its next batch when all replies have come. In an open loop
(\\fB\\-\\-rate\\fR) requests are due at fixed times, and latency counts from these times.
.SH OPTIONS
Defaults are in parentheses.
";

const MODES: &str = "\
.SH MODES
A mode is the first argument and has its own options.
.TP
.B \\-\\-table
Measures the rows of doc/measurements/speed.md on larder, memcached and a null server. \\fB\\-\\-rows\\fR selects rows
by the start of their names.
.TP
.B \\-\\-memory
Compares the time to first reply and the resident memory of larder and memcached.
.TP
.B \\-\\-floor
Runs a null server, which answers without any work. No server on this machine can be faster.
";

const TAIL: &str = "\
.SH EXAMPLES
.TP
.B larder\\-bench \\-p 11211 \\-n 100000 \\-d 5 \\-x get=10,set=1 \\-\\-zipf .99 \\-v etc
Sends a mix for five seconds, with Zipf keys and the value lengths of Facebook's ETC.
.TP
.B larder\\-bench \\-p 11211 \\-r 60000 \\-\\-sleep
Sends 60,000 gets per second, even if the server is slower.
.SH SEE ALSO
.BR larder (1),
.BR memcached (1);
doc/larder\\-bench.md, which is installed beside larder's licence.
";

/// `-c, --connections=NUM`.
fn notation(flag: &Flag) -> String {
    let value = flag.hint.map(|hint| format!("={hint}")).unwrap_or_default();
    format!("{}{value}", written(flag.long))
}

/// The help text as a sentence. A list of requests keeps its lower case.
fn sentence(help: &str) -> String {
    if Op::ALL.iter().any(|op| help.split(',').next() == Some(op.name())) {
        return format!("{help}.");
    }
    let mut letters = help.chars();
    let first = letters.next().map(char::to_uppercase);
    let stop = if help.ends_with('.') { "" } else { "." };
    format!("{}{}{stop}", first.into_iter().flatten().collect::<String>(), letters.as_str())
}

fn entry(term: &str, words: &str) -> String {
    format!(".TP\n.B {}\n{}\n", roff(term), roff(words))
}

/// Escapes everything in `text` that has a meaning in troff.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::{EXIT_CODES, Op, flags, man_page, sentence};
    use crate::flags::MODES;

    #[test]
    fn every_flag_request_mode_and_exit_code_is_in_the_manual() {
        let page = man_page("0").replace("\\-", "-");
        for flag in flags() {
            assert!(page.contains(&format!("--{}", flag.long)), "{}", flag.long);
        }
        for name in Op::ALL.iter().map(|op| op.name()).chain(MODES) {
            assert!(page.contains(&format!("\n.B {name}\n")), "{name}");
        }
        for (code, _) in EXIT_CODES {
            assert!(page.contains(&format!("\n.B {code}\n")), "{code}");
        }
        assert!(!page.contains("{ops}"));
    }

    #[test]
    fn no_line_of_the_manual_is_troffs_by_mistake() {
        for line in man_page("0").lines().filter(|line| line.starts_with(['.', '\''])) {
            let word = line.split([' ', '\\']).next().unwrap_or_default();
            assert!([".", ".TH", ".SH", ".SS", ".TP", ".B", ".BR", ".PP", ".br"].contains(&word), "{line}");
        }
        assert_eq!(sentence("port (11211)"), "Port (11211).");
    }
}

//! The manual page of `larder-bench`, doc/larder-bench.1, printed from the tables of flags, requests and exit codes.

use super::flags::{FLAGS, Flag, written};
use super::op::Op;

/// The manual page.
pub fn man_page(version: &str) -> String {
    let mut text = format!(
        ".\\\" Printed from src/load/flags.rs by `make doc`. Edit the table, not this file.\n\
         .TH LARDER\\-BENCH 1 \"\" \"larder {version}\"\n{HEAD}"
    );
    let mut group = "";
    for flag in FLAGS {
        if flag.group != group {
            group = flag.group;
            text.push_str(&format!(".SS {}\n", roff(group)));
        }
        text.push_str(&entry(&notation(flag), &sentence(&flag.help.replace("{ops}", &Op::names()))));
    }
    text.push_str(".SH REQUESTS\nThe words of \\fB\\-\\-mix\\fR:\n");
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

/// What a run ends with. doc/larder-bench.md has the same, and a test compares them.
pub const EXIT_CODES: [(u8, &str); 6] = [
    (0, "every reply was right"),
    (1, "some were not, or a connection was lost without such an answer as of 2"),
    (2, "the server answered errors (out of memory, too large, too many connections)"),
    (64, "the command line is wrong"),
    (69, "no server, none that can be started, another protocol, or no answer for five seconds"),
    (71, "the system refused something"),
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
larder\\-bench puts load on larder, memcached or any other server of these protocols. It stores all keys first, then sends the
mix of requests that was asked for, compares every reply with what it must be, and says how many were answered, how fast,
and whether the figures may be its own and not the server's.
.PP
In closed loop, the default, a connection sends again when all it sent was answered. In open loop (\\fB\\-\\-rate\\fR) requests
are due by the clock, and their latency counts from when they were due.
.SH OPTIONS
What holds without the option stands in parentheses.
";

const MODES: &str = "\
.SH MODES
A mode is the first argument and has options of its own.
.TP
.B \\-\\-table
Measures the rows of doc/measurements/speed.md, or those whose names begin with a text of \\fB\\-\\-rows\\fR, on larder, memcached and
a server that does nothing.
.TP
.B \\-\\-memory
Measures the time to the first reply and resident memory, larder beside memcached.
.TP
.B \\-\\-floor
Is a server that does nothing: what no server can be faster than on this machine.
";

const TAIL: &str = "\
.SH EXAMPLES
.TP
.B larder\\-bench \\-p 11211 \\-n 100000 \\-d 5 \\-x get=10,set=1 \\-\\-zipf .99 \\-v etc
Five seconds of a mix with popular keys and the value lengths of Facebook's ETC.
.TP
.B larder\\-bench \\-p 11211 \\-r 60000 \\-\\-sleep
60,000 gets a second, whether or not the server keeps up.
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

/// The help's words, as a sentence. A list of kinds of request begins as they are typed.
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

/// `text` with everything that troff would read as its own escaped.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::{EXIT_CODES, FLAGS, Op, man_page, sentence};
    use crate::flags::MODES;

    #[test]
    fn every_flag_request_mode_and_exit_code_is_in_the_manual() {
        let page = man_page("0").replace("\\-", "-");
        for flag in FLAGS {
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

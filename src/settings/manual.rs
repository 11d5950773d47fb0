//! What is printed from the table: the help, the manual page and doc/settings.md.

use super::row::{OptionGroup, Row, SettingStatus, Source};
use super::table::{ROWS, Settings};

/// How the list of extended options is introduced; it is the only option that is not a setting.
const EXTENDED: (&str, &str) =
    ("-o, --extended=<list>", "List of the options written -o name here, separated by commas.");

/// The text of `larder -h`.
pub fn help(version: &str) -> String {
    let mut text = format!("larder {version}, a cache server that speaks memcached's protocol\n{USAGE}");
    for (group, heading) in OptionGroup::ALL {
        let rows: Vec<&Row> = shown(group).collect();
        if rows.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{heading}\n"));
        for row in rows {
            let facts = facts(row);
            let doc = if facts.is_empty() { tidy(row.doc) } else { format!("{} ({facts})", tidy(row.doc)) };
            text.push_str(&entry(row.notation(), &doc));
        }
        if group == OptionGroup::Process {
            text.push_str(&entry(EXTENDED.0, EXTENDED.1));
        }
    }
    text.push_str("\nmemcached options that larder accepts without effect\n");
    text.push_str(&names_of(|row| matches!(row.status, SettingStatus::NoEffect(_))));
    text.push_str("\nFor details, see man larder and doc/settings.md.\n");
    text
}

const USAGE: &str = "
usage: larder [options]
       larder -m 64 -p 11211
       larder -m 64 -p 11211 -u nobody    (started by root)
";

fn shown(group: OptionGroup) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.group == group && row.status == SettingStatus::Works)
}

/// The doc comment as one paragraph.
fn tidy(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `default 4, 1 to 64`.
fn facts(row: &Row) -> String {
    if row.hint().is_none() {
        return String::new();
    }
    let default = Settings::default().typed(row.field);
    let limits = Settings::limits(row.field);
    match (default.as_str(), limits.as_str()) {
        ("" | "NULL" | "(null)", "") => String::new(),
        ("" | "NULL" | "(null)", limits) => limits.into(),
        (default, "") => format!("default {default}"),
        (default, limits) => format!("default {default}, {limits}"),
    }
}

const INDENT: usize = 34;
const WIDTH: usize = 80;

/// An option, and what it does beside or under it.
fn entry(notation: &str, doc: &str) -> String {
    let mut text = format!("  {notation}");
    let mut column = text.len();
    if column + 2 > INDENT {
        text.push('\n');
        column = 0;
    }
    text.push_str(&" ".repeat(INDENT - column));
    text.push_str(&wrap(doc, INDENT));
    text.push('\n');
    text
}

/// `words` in lines that end before the margin; all but the first begin with `indent` blanks.
fn wrap(words: &str, indent: usize) -> String {
    let mut text = String::new();
    let mut column = indent;
    for word in words.split(' ') {
        if column > indent && column + 1 + word.len() > WIDTH {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text
}

/// The names of some rows, as a paragraph: flags first, then what stands behind -o.
fn names_of(wanted: impl Fn(&Row) -> bool) -> String {
    let of = |place| ROWS.iter().filter(move |row| row.source() == place).filter(|row| wanted(row));
    let mut names: Vec<String> = of(Source::Flag).map(|row| row.names().to_string()).collect();
    let suboptions: Vec<&str> = of(Source::Suboption).map(Row::bare_name).collect();
    names.push(format!("-o {}", suboptions.join(",")).replace(',', ", "));
    format!("  {}\n", wrap(&names.join(", "), 2))
}

/// doc/settings.md.
pub fn markdown() -> String {
    let mut text = String::from(MARKDOWN_HEAD);
    for (group, heading) in OptionGroup::ALL {
        let rows: Vec<&Row> = shown(group).collect();
        if rows.is_empty() {
            continue;
        }
        text.push_str(&format!("\n## {heading}\n\n| option | default | limits | what it does |\n|---|---|---|---|\n"));
        for row in rows {
            let default = if row.hint().is_some() { Settings::default().typed(row.field) } else { String::new() };
            let default = if matches!(default.as_str(), "NULL" | "(null)") { String::new() } else { default };
            let limits = Settings::limits(row.field);
            text.push_str(&format!(
                "| `{}` | {default} | {} | {} |\n",
                row.notation(),
                limits.replace('|', "or"),
                tidy(row.doc)
            ));
        }
    }
    text.push_str(MARKDOWN_WITHOUT_EFFECT);
    for row in ROWS {
        if let SettingStatus::NoEffect(reason) = row.status {
            text.push_str(&format!("| `{}` | {} | {reason} |\n", row.notation(), tidy(row.doc)));
        }
    }
    text.push_str(MARKDOWN_LATER);
    for row in ROWS.iter().filter(|row| row.status == SettingStatus::Later) {
        text.push_str(&format!("| `{}` | {} |\n", row.notation(), tidy(row.doc)));
    }
    text.push_str(MARKDOWN_HIDDEN);
    for row in ROWS.iter().filter(|row| row.status == SettingStatus::Hidden) {
        text.push_str(&format!("| `{}` | {} |\n", row.notation(), tidy(row.doc)));
    }
    text.push_str(MARKDOWN_TAIL);
    for (code, when) in EXIT_CODES {
        text.push_str(&format!("| {code} | {when} |\n"));
    }
    text.push_str(MARKDOWN_STATS);
    for row in ROWS.iter().filter(|row| !row.stat.is_empty()) {
        let option = if row.notation().is_empty() { String::new() } else { format!("`{}`", row.notation()) };
        text.push_str(&format!("| {} | {option} |\n", row.stat));
    }
    text
}

const EXIT_CODES: [(u8, &str); 4] = [
    (0, "The server stopped on request: SIGTERM, SIGINT, SIGUSR1, SIGUSR2 after an upgrade, or the shutdown command."),
    (64, "An option is unknown, has a missing or invalid value, or conflicts with another option. Or root gave no -u."),
    (67, "The user of -u does not exist."),
    (71, "A system call failed: an address is in use, a limit cannot be raised, or a file cannot be written."),
];

const MARKDOWN_HEAD: &str = "\
# Settings

<!-- Printed from src/settings/table.rs by `make doc`. Edit the table, not this file. -->

larder takes memcached's options, short and long. If an option is invalid, larder does not start. It prints one line
with the option, the value and the limit, for example `larder: -t, --threads: 900 is outside 1 to 256`.

`-o, --extended` takes a list of the options that are written `-o name` below: `-o idle_timeout=60,hashpower=20`.
If an option is repeated, the last value counts. `-l` and `-o` add up instead.

A size can have a unit: `b`, `k`, `m`, `g` or `t`, in upper or lower case. Units are powers of 1024: `1g`, `1024MB` and
`1GiB` are equal. A time can have the unit `s`, `m`, `h` or `d`. larder ignores blanks around a value. A long option can
be abbreviated, if the abbreviation is unique.
";

const MARKDOWN_WITHOUT_EFFECT: &str = "
## Accepted without effect

larder accepts these options of memcached, so that existing command lines work. It checks the limits of each value, but
no combinations. memcached refuses `hot_lru_pct` and `warm_lru_pct` with a sum above 80. It also refuses `temporary_ttl`
without the LRU maintainer. larder starts with both.

| option | effect in memcached | reason |
|---|---|---|
";

const MARKDOWN_LATER: &str = "
## Refused until a later version

larder does not implement these options yet. With any value other than memcached's default it does not start, and prints
one line with the option.

| option | what it is |
|---|---|
";

const MARKDOWN_HIDDEN: &str = "
## For tests

| option | what it does |
|---|---|
";

const MARKDOWN_TAIL: &str = "
## Messages

larder writes messages to standard error. With `-v` it logs its addresses and settings at start. It then logs clients
refused beyond `-c`, clients disconnected by `idle_timeout`, a lack of descriptors, and stores refused for lack of
memory. Each of these kinds gets at most one line in ten seconds. With `-vv` larder logs every command and reply in
memcached's format. Each line of a running server begins with the time in UTC. If standard error is the journal, the
line begins with its level instead (`<4>`). Control characters are escaped, for example `\\x1b`.

The server never waits for the reader of its messages. The queue holds 256 KiB. larder drops lines that do not fit, and
counts them in `log_lines_dropped` of `stats`. When the reader continues, it gets a line with the number of dropped
lines.

## Exit codes

Exit codes follow sysexits.h. memcached exits with 1 when a number is too small or a suboption is unknown. larder exits
with 64.

| code | when |
|---|---|
";

const MARKDOWN_STATS: &str = "
## `stats settings`

Keys and their order are those of memcached.

| key | option |
|---|---|
";

/// The manual page, doc/larder.1.
pub fn man_page(version: &str) -> String {
    let mut text = format!(
        ".\\\" Printed from src/settings/table.rs by `make doc`. Edit the table, not this file.\n\
         .TH LARDER 1 \"\" \"larder {version}\"\n{MAN_HEAD}"
    );
    for (group, heading) in OptionGroup::ALL {
        let rows: Vec<&Row> = shown(group).collect();
        if rows.is_empty() {
            continue;
        }
        text.push_str(&format!(".SS {heading}\n"));
        for row in rows {
            let facts = facts(row);
            let facts = if facts.is_empty() { facts } else { format!("\n({})", roff(&facts)) };
            text.push_str(&format!(".TP\n.B {}\n{}{facts}\n", roff(row.notation()), roff(&tidy(row.doc))));
        }
        if group == OptionGroup::Process {
            text.push_str(&format!(".TP\n.B {}\n{}\n", roff(EXTENDED.0), roff(EXTENDED.1)));
        }
    }
    text.push_str(".SS Accepted without effect\nlarder accepts these options of memcached, so that existing command lines work.\n");
    for row in ROWS {
        if let SettingStatus::NoEffect(reason) = row.status {
            text.push_str(&format!(".TP\n.B {}\nNo effect: {}.\n", roff(row.notation()), roff(reason)));
        }
    }
    text.push_str(".SS Refused until a later version\n");
    for row in ROWS.iter().filter(|row| row.status == SettingStatus::Later) {
        text.push_str(&format!(".TP\n.B {}\n{}\n", roff(row.notation()), roff(&tidy(row.doc))));
    }
    text.push_str(MAN_SIGNALS);
    for (code, when) in EXIT_CODES {
        text.push_str(&format!(".TP\n.B {code}\n{}\n", roff(when)));
    }
    text.push_str(MAN_TAIL);
    text
}

const MAN_HEAD: &str = "\
.SH NAME
larder \\- a cache server that speaks memcached's protocol
.SH SYNOPSIS
.B larder
[options]
.SH DESCRIPTION
larder keeps keys and values in memory and serves them over memcached's classic text protocol and its binary protocol.
It works with every client of these protocols, and takes memcached's options. When memory is full, larder evicts the
items that are least likely to be read again.
.PP
When root starts larder, \\fB\\-u\\fR is required: the user to run as.
.SH OPTIONS
";

const MAN_SIGNALS: &str = "\
.SH SIGNALS
.TP
.B SIGTERM, SIGINT
Stop immediately.
.TP
.B SIGUSR1
Finish the requests in progress, close the connections and stop.
.TP
.B SIGUSR2
Upgrade: start the program again as it is on disk now, with the same options, and hand over items, listeners and
connected clients. Clients notice a pause. If the new process does not serve, this one goes on and logs the reason.
.TP
.B SIGHUP
Read the user file of \\fB\\-Y\\fR or \\fB\\-S\\fR again. The settings stay.
.SH EXIT STATUS
";

const MAN_TAIL: &str = "\
.SH EXAMPLES
.TP
.B larder \\-m 1024 \\-l 127.0.0.1 \\-u nobody
Use 1 GiB for items, serve clients on this machine, and run as nobody.
.SH SEE ALSO
.BR memcached (1)
";

/// `text` with everything that troff would read as its own escaped.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::{ROWS, SettingStatus, help, man_page, markdown};

    #[test]
    fn every_option_is_in_the_help_the_manual_and_the_page() {
        let (help, man, page) = (help("0"), man_page("0").replace("\\-", "-"), markdown());
        for row in ROWS.iter().filter(|row| !row.notation().is_empty() && row.status != SettingStatus::Hidden) {
            let name = row.longs().next().unwrap_or(row.bare_name());
            let is_offered =
                help.split([' ', ',', '=', '[', '\n', ']']).any(|word| word.trim_start_matches("--") == name);
            assert_eq!(is_offered, row.status != SettingStatus::Later, "help: {}", row.names());
            assert!(man.contains(row.notation()), "manual: {}", row.names());
            assert!(page.contains(row.notation()), "page: {}", row.names());
        }
    }

    #[test]
    fn no_line_of_the_help_is_wider_than_a_terminal() {
        for line in help("0.1.0").lines() {
            assert!(line.len() <= 80, "{line}");
        }
    }
}

//! What is printed from the table: the help, the manual page and doc/settings.md.

use super::row::{Group, Place, Row, Status};
use super::table::{ROWS, Settings};

/// How the list of extended options is introduced; it is the only option that is not a setting.
const EXTENDED: (&str, &str) =
    ("-o, --extended=<list>", "What is written -o name here; several are separated by commas.");

/// The text of `larder -h`.
pub fn help(version: &str) -> String {
    let mut text = format!("larder {version}, a cache server that speaks memcached's protocol\n{USAGE}");
    for (group, heading) in Group::ALL {
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
        if group == Group::Process {
            text.push_str(&entry(EXTENDED.0, EXTENDED.1));
        }
    }
    text.push_str("\nAccepted because memcached has them, without effect here\n");
    text.push_str(&names_of(|row| matches!(row.status, Status::NoEffect(_))));
    text.push_str("\nman larder and doc/settings.md say more.\n");
    text
}

const USAGE: &str = "
usage: larder [options]
       larder -m 64 -p 11211
       larder -m 64 -p 11211 -u nobody    (started by root)
";

fn shown(group: Group) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.group == group && row.status == Status::Works)
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
    let of = |place| ROWS.iter().filter(move |row| row.place() == place).filter(|row| wanted(row));
    let mut names: Vec<String> = of(Place::Flag).map(|row| row.names().to_string()).collect();
    let suboptions: Vec<&str> = of(Place::Suboption).map(Row::bare_name).collect();
    names.push(format!("-o {}", suboptions.join(",")).replace(',', ", "));
    format!("  {}\n", wrap(&names.join(", "), 2))
}

/// doc/settings.md.
pub fn markdown() -> String {
    let mut text = String::from(MARKDOWN_HEAD);
    for (group, heading) in Group::ALL {
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
        if let Status::NoEffect(reason) = row.status {
            text.push_str(&format!("| `{}` | {} | {reason} |\n", row.notation(), tidy(row.doc)));
        }
    }
    text.push_str(MARKDOWN_LATER);
    for row in ROWS.iter().filter(|row| row.status == Status::Later) {
        text.push_str(&format!("| `{}` | {} |\n", row.notation(), tidy(row.doc)));
    }
    text.push_str(MARKDOWN_HIDDEN);
    for row in ROWS.iter().filter(|row| row.status == Status::Hidden) {
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
    (0, "The server ended because it was told to: SIGTERM, SIGINT, SIGUSR1 or the command shutdown."),
    (64, "An option is unknown, has no or a wrong value, or does not go with another one; or root gave no -u."),
    (67, "The user of -u does not exist."),
    (71, "The kernel refused something: an address is in use, a limit cannot be raised, a file cannot be written."),
];

const MARKDOWN_HEAD: &str = "\
# Settings

<!-- Printed from src/settings/table.rs by `make doc`. Edit the table, not this file. -->

Options are memcached's, short and long. A wrong one ends the start with one line that names the option, the value and
the limit, for example `larder: -t, --threads: 900 is outside 1 to 256`.
What is written `-o name` stands in the list of `-o, --extended`: `-o idle_timeout=60,hashpower=20`.
An option can be given twice; the last one counts, except that `-l` and `-o` add up.

A size can have a unit behind it: `b`, `k`, `m`, `g` or `t`, powers of 1024, in either case, so that `1g`, `1024MB` and
`1GiB` are the same. A time can have `s`, `m`, `h` or `d`. Blanks around a value are not part of it. A long option can be
abbreviated as long as it means one option.
";

const MARKDOWN_WITHOUT_EFFECT: &str = "
## Accepted without effect

memcached has these, and command lines that carry them should keep working. Each value is held to its limits. Whether
some of them go together is not checked, since none has an effect: memcached refuses `hot_lru_pct` and `warm_lru_pct`
that are more than 80 together, and `temporary_ttl` without the list maintainer; here they start.

| option | what it is there | why it changes nothing here |
|---|---|---|
";

const MARKDOWN_LATER: &str = "
## Refused until a later version

Any value but memcached's default ends the start with a line that names the option: a server that seems to do what it
was told, and does not, would be worse.

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

Messages go to standard error. With `-v` larder says where it listens and with what, and then, one line in ten seconds for each
kind: clients refused beyond `-c`, clients disconnected by `idle_timeout`, want of descriptors, stores refused for want of
memory. With `-vv` every command and reply is there, in memcached's words. Lines of a running server begin with the time, in
UTC; where standard error is the journal, with their level (`<4>`) instead. Control characters are shown as `\\x1b`.

The server never waits for a reader of its messages: what does not fit into 256 KiB is dropped, counted in `log_lines_dropped` of
`stats`, and told of once the reader goes on.

## Exit codes

They are those of sysexits.h. memcached ends with 1 where a number is too small or a suboption is unknown; larder ends
with 64 there too.

| code | when |
|---|---|
";

const MARKDOWN_STATS: &str = "
## `stats settings`

Keys and order are memcached's.

| key | option |
|---|---|
";

/// The manual page, doc/larder.1.
pub fn man_page(version: &str) -> String {
    let mut text = format!(
        ".\\\" Printed from src/settings/table.rs by `make doc`. Edit the table, not this file.\n\
         .TH LARDER 1 \"\" \"larder {version}\"\n{MAN_HEAD}"
    );
    for (group, heading) in Group::ALL {
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
        if group == Group::Process {
            text.push_str(&format!(".TP\n.B {}\n{}\n", roff(EXTENDED.0), roff(EXTENDED.1)));
        }
    }
    text.push_str(".SS Accepted without effect\nmemcached has these; command lines that carry them keep working.\n");
    for row in ROWS {
        if let Status::NoEffect(reason) = row.status {
            text.push_str(&format!(".TP\n.B {}\nNo effect: {}.\n", roff(row.notation()), roff(reason)));
        }
    }
    text.push_str(".SS Refused until a later version\n");
    for row in ROWS.iter().filter(|row| row.status == Status::Later) {
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
larder keeps keys and values in memory and serves them over memcached's classic text protocol. Every client of that can
use it, and it takes memcached's options. When memory is full, the items least likely to be asked for again leave.
.PP
When started by root it needs \\fB\\-u\\fR, the user to run as.
.SH OPTIONS
";

const MAN_SIGNALS: &str = "\
.SH SIGNALS
.TP
.B SIGTERM, SIGINT
End at once.
.TP
.B SIGUSR1
End gracefully.
.TP
.B SIGHUP
Nothing is read again in this version; the server goes on.
.SH EXIT STATUS
";

const MAN_TAIL: &str = "\
.SH EXAMPLES
.TP
.B larder \\-m 1024 \\-l 127.0.0.1 \\-u nobody
One gigabyte for items, for clients on this machine, started by root.
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
    use super::{ROWS, Status, help, man_page, markdown};

    #[test]
    fn every_option_is_in_the_help_the_manual_and_the_page() {
        let (help, man, page) = (help("0"), man_page("0").replace("\\-", "-"), markdown());
        for row in ROWS.iter().filter(|row| !row.notation().is_empty() && row.status != Status::Hidden) {
            let name = row.longs().next().unwrap_or(row.bare_name());
            let is_offered =
                help.split([' ', ',', '=', '[', '\n', ']']).any(|word| word.trim_start_matches("--") == name);
            assert_eq!(is_offered, row.status != Status::Later, "help: {}", row.names());
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

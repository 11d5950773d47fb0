//! Pages that are printed from the tables agree with the tables. `make doc` (LARDER_BLESS=1) writes them again.

use std::fs;

use crate::support::Server;

use larder::settings::{bash_completions, fish_completions, help, man_page, markdown, zsh_completions};

/// Checks that the file at `path` contains `text`. With LARDER_BLESS, writes it.
fn holds(path: &str, text: &str) {
    if std::env::var_os("LARDER_BLESS").is_some() {
        fs::write(path, text).expect("the repository can be written");
    }
    let on_disk = fs::read_to_string(path).unwrap_or_default();
    if let Some((number, (old, new))) = on_disk.lines().zip(text.lines()).enumerate().find(|(_, (old, new))| old != new)
    {
        panic!("{path}:{}: stale, run `make doc`\n  is:        {old}\n  should be: {new}", number + 1);
    }
    assert!(on_disk == text, "{path}: stale, run `make doc`");
}

/// As `holds`, for the part of a page from the line after `head` to the line before `foot`.
fn holds_part(path: &str, head: &str, text: &str, foot: &str) {
    let page = fs::read_to_string(path).expect("the page is there");
    let (before, rest) = page.split_once(head).unwrap_or_else(|| panic!("{path} lacks {head}"));
    let (_, after) = rest.split_once(foot).unwrap_or_else(|| panic!("{path} lacks {foot}"));
    holds(path, &[before, head, text, foot, after].concat());
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn the_settings_page_is_what_the_table_says() {
    holds("doc/settings.md", &markdown());
}

#[test]
fn the_manual_page_is_what_the_table_says() {
    holds("doc/larder.1", &man_page(VERSION));
}

#[test]
fn the_load_generators_manual_page_is_what_its_tables_say() {
    holds("doc/larder-bench.1", &larder_bench::man_page(VERSION));
}

#[test]
fn the_pages_of_the_tools_have_the_flags_of_tls() {
    use larder::tls::{TLS_FLAGS_HEAD, tls_manual, tls_markdown};
    let section = format!(".SS {TLS_FLAGS_HEAD}\n");
    let flags = tls_manual();
    let flags = flags.strip_prefix(&section).expect("a section begins with its heading");
    holds_part("doc/larder-cli.1", &section, flags, ".SH ENVIRONMENT");
    holds_part("doc/larder-top.1", &section, flags, ".SH KEYS");
    for page in ["doc/tools.md", "doc/larder-bench.md"] {
        holds_part(page, "| flag of TLS | |\n|---|---|\n", tls_markdown().trim_end(), "\n\n");
    }
}

#[test]
fn the_statistics_page_is_what_the_tables_say() {
    holds("doc/stats.md", &larder::stats::markdown());
}

#[test]
fn the_metrics_page_is_what_the_tables_say() {
    holds("doc/metrics.md", &larder::stats::metrics_markdown());
}

#[test]
fn the_help_is_what_the_table_says() {
    holds("t/golden/help.txt", &help(VERSION));
}

#[test]
fn the_completions_are_what_the_table_says() {
    holds("scripts/completions/larder.bash", &bash_completions());
    holds("scripts/completions/larder.fish", &fish_completions());
    holds("scripts/completions/_larder", &zsh_completions());
}

#[test]
fn the_protocol_page_knows_every_verb_and_every_reply() {
    use larder::protocol::{ReplyLine, Verb};
    let page = fs::read_to_string("doc/protocol.md").expect("the page is there");
    let missing: Vec<String> = Verb::ALL
        .iter()
        .map(|verb| (format!("| `{}` |", verb.name().escape_ascii()), verb.help()))
        .chain(ReplyLine::ALL.iter().map(|line| (format!("| `{}` |", line.text().replace('|', "\\|")), "")))
        .filter(|(start, help)| !page.lines().any(|line| line.starts_with(start) && line.contains(help)))
        .map(|(start, help)| format!("{start} … {help}"))
        .collect();
    assert!(missing.is_empty(), "doc/protocol.md lacks\n{}", missing.join("\n"));
}

#[test]
fn the_protocol_page_knows_every_opcode_and_every_status() {
    use larder::protocol::binary::{Opcode, Status};
    let page = fs::read_to_string("doc/protocol.md").expect("the page is there");
    let opcodes =
        Opcode::ALL.iter().map(|opcode| (format!("| `{:#04x}` {} |", *opcode as u8, opcode.name()), opcode.help()));
    let statuses = Status::ALL.iter().map(|status| (format!("| `{:#04x}` | {}", *status as u16, status.text()), ""));
    let missing: Vec<String> = opcodes
        .chain(statuses)
        .filter(|(start, help)| !page.lines().any(|line| line.starts_with(start) && line.contains(help)))
        .map(|(start, help)| format!("{start} … {help}"))
        .collect();
    assert!(missing.is_empty(), "doc/protocol.md lacks\n{}", missing.join("\n"));
}

#[test]
fn the_protocol_page_knows_every_flag_of_a_meta_command() {
    use larder::protocol::meta::MetaFlag;
    use larder::protocol::{Family, Verb};
    let page = fs::read_to_string("doc/protocol.md").expect("the page is there");
    for flag in MetaFlag::ALL {
        let is_for = |verb: &&Verb| matches!(verb.family(), Family::Meta(verb) if flag.verbs().contains(&verb));
        let verbs: Vec<String> =
            Verb::ALL.iter().filter(is_for).map(|verb| verb.name().escape_ascii().to_string()).collect();
        let row = format!("| `{}` | {} | {} |", char::from(flag.letter()), verbs.join(" "), flag.help());
        assert!(page.lines().any(|line| line == row), "doc/protocol.md lacks\n{row}");
    }
}

#[test]
fn the_http_page_knows_every_reply_and_every_content_type() {
    use larder::protocol::HttpReply;
    use larder::protocol::http::MEDIA_TYPES;
    let page = fs::read_to_string("doc/http.md").expect("the page is there");
    for reply in HttpReply::ALL {
        let row =
            format!("| {} {} | {} | {} |", reply.code(), reply.reason(), reply.text().trim_end(), reply.meaning());
        assert!(page.lines().any(|line| line == row), "doc/http.md lacks\n{row}");
    }
    for name in MEDIA_TYPES {
        assert!(page.contains(&format!("`{name}`")), "doc/http.md lacks `{name}`");
    }
}

#[test]
fn a_statistic_that_the_page_does_not_name_is_always_0() {
    let page = larder::stats::markdown();
    let server = Server::start(&["-o", "idle_timeout=100"]);
    let mut client = server.client();
    client.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("get a b\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    for group in ["", "items", "slabs", "conns"] {
        for (name, value) in &client.stats(group) {
            let bare = name.rsplit(':').next().unwrap_or(name);
            let is_named = page.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == bare);
            assert!(is_named || value == "0", "stats {group}: {name} {value} is not in doc/stats.md");
        }
    }
}

//! What is printed from the table for shells: completions of the command line, in scripts/completions/.

use std::fmt::Write as _;

use super::row::{Row, SettingStatus, Source};
use super::table::{ROWS, Settings};

/// What shells offer where a value is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Offer {
    Files,
    Users,
    Hosts,
    Words(Vec<String>),
    Nothing,
}

/// Sub-commands, and what they do.
const TOOLS: [(&str, &str); 4] = [
    ("dump", "write the items of a server to a file"),
    ("load", "store the items of a file in a server"),
    ("ping", "ask whether a server answers"),
    ("doctor", "say what is wrong with a server"),
];

const PRINTED: &str = "Printed from src/settings/table.rs by `make doc`. Edit the table, not this file.";

/// The names of the sub-commands, separated by blanks.
fn tool_names() -> String {
    TOOLS.map(|(name, _)| name).join(" ")
}

/// The flags, as far as they have an effect.
fn flags() -> impl Iterator<Item = &'static Row> {
    rows(Source::Flag)
}

/// The options of the list behind -o, as far as they have an effect.
fn suboptions() -> impl Iterator<Item = &'static Row> {
    rows(Source::Suboption)
}

fn rows(source: Source) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.source() == source && row.status == SettingStatus::Works)
}

/// All names of a flag, with dashes: `-p`, `--port`.
fn names(row: &'static Row) -> Vec<String> {
    let short = row.short().map(|name| format!("-{name}"));
    short.into_iter().chain(row.longs().map(|name| format!("--{name}"))).collect()
}

/// The first sentence of its effect, without a full stop.
fn sentence(row: &Row) -> String {
    let doc = row.doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = doc.split_once(". ").map_or(doc.as_str(), |(first, _)| first);
    sentence.trim_end_matches('.').to_string()
}

/// What a shell offers for its value. `None`: it takes no value.
fn offer(row: &'static Row) -> Option<Offer> {
    Some(match row.hint()? {
        "<file>" | "<files>" => Offer::Files,
        "<user>" => Offer::Users,
        "<addr>" | "<host>" => Offer::Hosts,
        "<name>" | "<when>" => {
            let limits = Settings::limits(row.field);
            let words = limits.split([',', '|']).map(str::trim).filter(|word| !word.is_empty());
            Offer::Words(words.map(str::to_string).collect())
        }
        _ => Offer::Nothing,
    })
}

/// The suboptions of a row: its name, with `=` if it needs a value, and its `no_` form.
fn suboption_words(row: &'static Row) -> Vec<String> {
    let needs_value = row.hint().is_some() && !row.value_is_optional();
    let mut words = vec![format!("{}{}", row.bare_name(), if needs_value { "=" } else { "" })];
    words.extend(row.has_negation().then(|| format!("no_{}", row.bare_name())));
    words
}

/// The completions of bash.
pub fn bash_completions() -> String {
    let mut cases = String::new();
    let mut valueless = Vec::new();
    for row in flags() {
        let pattern = names(row).join("|");
        // Ignored, here and below: writing to a string does not fail.
        let _ = match offer(row) {
            None => {
                valueless.extend(names(row));
                continue;
            }
            Some(Offer::Files) => {
                writeln!(cases, "        {pattern}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;")
            }
            Some(Offer::Users) => {
                writeln!(cases, "        {pattern}) COMPREPLY=($(compgen -u -- \"$word\")); return ;;")
            }
            Some(Offer::Hosts) => {
                writeln!(cases, "        {pattern}) COMPREPLY=($(compgen -A hostname -- \"$word\")); return ;;")
            }
            Some(Offer::Words(words)) => {
                let words = words.join(" ");
                writeln!(cases, "        {pattern}) COMPREPLY=($(compgen -W '{words}' -- \"$word\")); return ;;")
            }
            Some(Offer::Nothing) => writeln!(cases, "        {pattern}) return ;;"),
        };
    }
    let with_value = flags().filter(|row| row.hint().is_some()).flat_map(names);
    let all: Vec<String> = valueless.into_iter().chain(with_value).collect();
    let suboptions: Vec<String> = suboptions().flat_map(suboption_words).collect();
    let tools = tool_names();
    BASH.replace("@PRINTED@", PRINTED)
        .replace("@CASES@", cases.trim_end())
        .replace("@OPTIONS@", &wrapped(&all))
        .replace("@SUBOPTIONS@", &wrapped(&suboptions))
        .replace("@TOOL_PATTERN@", &tools.replace(' ', "|"))
        .replace("@TOOLS@", &tools)
}

/// Words in lines that fit on a screen.
fn wrapped(words: &[String]) -> String {
    let mut lines = vec![String::new()];
    for word in words {
        if lines.last().is_some_and(|line| line.len() + 1 + word.len() > 100) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n       ")
}

const BASH: &str = r#"# Completion of larder's command line for bash. @PRINTED@

_larder() {
    local word=${COMP_WORDS[COMP_CWORD]} at=$COMP_CWORD option rest
    local options='@OPTIONS@ -o --extended'
    local suboptions='@SUBOPTIONS@'
    # bash takes an equals sign for a word of its own.
    [[ $word == '=' ]] && word='' at=$((at + 1))
    while [[ $at -gt 1 && ${COMP_WORDS[at - 1]} == '=' ]]; do at=$((at - 2)); done
    option=${COMP_WORDS[at - 1]}
    [[ $at -lt $COMP_CWORD && ${COMP_WORDS[at]} == --* ]] && option=${COMP_WORDS[at]}
    case $option in
        -o|--extended)
            rest=${word##*,}
            COMPREPLY=($(compgen -P "${word%"$rest"}" -W "$suboptions" -- "$rest"))
            compopt -o nospace
            return ;;
@CASES@
    esac
    [[ $COMP_CWORD -eq 1 ]] && options="$options @TOOLS@"
    case ${COMP_WORDS[1]} in
        @TOOL_PATTERN@) COMPREPLY=($(compgen -f -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    esac
}

complete -F _larder larder
"#;

/// The completions of zsh.
pub fn zsh_completions() -> String {
    let mut text = format!("#compdef larder\n# Completion of larder's command line for zsh. {PRINTED}\n\n");
    text.push_str("local -a suboptions\nsuboptions=(\n");
    for row in suboptions() {
        let doc = zsh_quoted(&sentence(row));
        for word in suboption_words(row) {
            let _ = match word.strip_suffix('=') {
                Some(name) => writeln!(text, "  '{name}[{doc}]:{}:{}'", zsh_hint(row), zsh_action(row)),
                None => writeln!(text, "  '{word}[{doc}]'"),
            };
        }
    }
    text.push_str(")\n\n_arguments -s -S \\\n");
    for row in flags() {
        let doc = zsh_quoted(&sentence(row));
        let names = names(row);
        let all = names.join(" ");
        for name in &names {
            let _ = match (row.hint().is_some(), name.starts_with("--")) {
                (false, _) => writeln!(text, "  '({all}){name}[{doc}]' \\"),
                (true, true) => writeln!(text, "  '*{name}=[{doc}]:{}:{}' \\", zsh_hint(row), zsh_action(row)),
                (true, false) => writeln!(text, "  '*{name}+[{doc}]:{}:{}' \\", zsh_hint(row), zsh_action(row)),
            };
        }
    }
    for name in ["-o+", "--extended="] {
        let _ = writeln!(text, "  '*{name}[More options]:option:_values -s , option $suboptions' \\");
    }
    let tools = TOOLS.map(|(name, doc)| format!("{name}\\:\"{doc}\"")).join(" ");
    let _ = write!(text, "  '1:tool:(({tools}))' \\\n  '*:file:_files'\n");
    text
}

fn zsh_quoted(text: &str) -> String {
    text.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:")
}

fn zsh_hint(row: &Row) -> String {
    row.hint().unwrap_or_default().trim_matches(['<', '>']).replace(':', "\\:")
}

fn zsh_action(row: &'static Row) -> String {
    match offer(row) {
        Some(Offer::Files) => "_files".into(),
        Some(Offer::Users) => "_users".into(),
        Some(Offer::Hosts) => "_hosts".into(),
        Some(Offer::Words(words)) => format!("({})", words.join(" ").replace(':', "\\:")),
        // A blank: any word.
        Some(Offer::Nothing) | None => " ".into(),
    }
}

/// The completions of fish.
pub fn fish_completions() -> String {
    let mut text = format!("# Completion of larder's command line for fish. {PRINTED}\n\n");
    text.push_str("function __larder_suboptions\n");
    for row in suboptions() {
        let doc = fish_quoted(&sentence(row));
        for word in suboption_words(row) {
            let _ = writeln!(text, "    printf '%s\\t%s\\n' '{word}' '{doc}'");
        }
    }
    text.push_str("end\n\ncomplete -c larder -f\n");
    for (name, doc) in TOOLS {
        let _ = writeln!(text, "complete -c larder -n '__fish_is_nth_token 1' -a {name} -d '{doc}'");
    }
    let _ = writeln!(text, "complete -c larder -n '__fish_seen_subcommand_from {}' -F", tool_names());
    for row in flags() {
        let value = match offer(row) {
            None => String::new(),
            Some(Offer::Files) => " -r -F".into(),
            Some(Offer::Users) => " -x -a '(__fish_complete_users)'".into(),
            Some(Offer::Hosts) => " -x -a '(__fish_print_hostnames)'".into(),
            Some(Offer::Words(words)) => format!(" -x -a '{}'", words.join(" ")),
            Some(Offer::Nothing) => " -x".into(),
        };
        let short = row.short().map(|name| format!(" -s {name}")).unwrap_or_default();
        let long = row.longs().map(|name| format!(" -l {name}")).collect::<String>();
        let _ = writeln!(text, "complete -c larder{short}{long}{value} -d '{}'", fish_quoted(&sentence(row)));
    }
    text.push_str("complete -c larder -s o -l extended -x -a '(__fish_complete_list , __larder_suboptions)'");
    text.push_str(" -d 'More options'\n");
    text
}

fn fish_quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::{Offer, ROWS, offer, sentence, suboption_words};

    #[test]
    fn values_that_a_shell_knows_are_offered() {
        let of = |field: &str| ROWS.iter().find(|row| row.field == field).and_then(offer);
        assert_eq!(of("memory_file"), Some(Offer::Files));
        assert_eq!(of("user"), Some(Offer::Users));
        assert_eq!(of("protocol"), Some(Offer::Words(["auto", "ascii", "binary"].map(str::to_string).to_vec())));
        assert_eq!(of("daemonize"), None);
        let words = |field: &str| ROWS.iter().find(|row| row.field == field).map(suboption_words).unwrap_or_default();
        assert_eq!(words("idle_timeout_s"), ["idle_timeout="]);
        assert_eq!(words("slab_automove"), ["slab_automove", "no_slab_automove"]);
        assert_eq!(ROWS.iter().find(|row| row.field == "tcp_port").map(sentence).as_deref(), Some("TCP port"));
    }
}

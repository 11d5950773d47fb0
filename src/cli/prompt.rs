//! The prompt: lines with editing, history and completion, and the replies to them.

use larder::protocol::{Verb, stats_words};
use larder::tools::{RemoteServer, ServerConnection, ToolFailure};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use super::dialogue::{ask, length_word};
use super::show;

/// Words that the prompt itself understands.
const OWN_WORDS: [&str; 2] = ["help", "exit"];

const HELP: &str = "\
Commands are those of the text protocol; doc/protocol.md lists them. Tab completes them.
A command that stores, such as set KEY or set KEY FLAGS SECONDS, asks for the value, and counts its length.
exit, quit or Ctrl-D end the prompt.
";

/// Completes the first word of a line, and the words behind `stats`.
struct CommandWords;

impl Completer for CommandWords {
    type Candidate = String;

    fn complete(&self, line: &str, end: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(completions(&line[..end]))
    }
}

impl Hinter for CommandWords {
    type Hint = String;
}
impl Highlighter for CommandWords {}
impl Validator for CommandWords {}
impl Helper for CommandWords {}

/// Where the last word of `line` begins, and the words that it may become.
fn completions(line: &str) -> (usize, Vec<String>) {
    let start = line.rfind(' ').map_or(0, |at| at + 1);
    let (before, word) = line.split_at(start);
    let verbs = || Verb::ALL.iter().map(|verb| String::from_utf8_lossy(verb.name()).into_owned());
    let known: Vec<String> = match before.trim() {
        "" => verbs().chain(OWN_WORDS.map(str::to_string)).collect(),
        "stats" => stats_words().map(str::to_string).collect(),
        _ => Vec::new(),
    };
    (start, known.into_iter().filter(|known| known.starts_with(word)).collect())
}

/// Reads commands and shows their replies, until the input ends.
pub(crate) fn run(address: &RemoteServer, server: &mut ServerConnection) -> Result<(), ToolFailure> {
    let terminal = |error: ReadlineError| ToolFailure::File(format!("the terminal: {error}"));
    let config = Config::builder().auto_add_history(true).build();
    let mut editor: Editor<CommandWords, MemHistory> =
        Editor::with_history(config, MemHistory::new()).map_err(terminal)?;
    editor.set_helper(Some(CommandWords));
    loop {
        let line = match editor.readline(&format!("{address}> ")) {
            Err(ReadlineError::Eof) => return Ok(()),
            // Ctrl-C drops the line.
            Err(ReadlineError::Interrupted) => continue,
            line => line.map_err(terminal)?,
        };
        match line.trim() {
            "" => continue,
            "exit" | "quit" => return Ok(()),
            "help" => {
                show(HELP)?;
                continue;
            }
            _ => {}
        }
        let value = match length_word(&line) {
            None => None,
            Some(_) => match editor.readline("value> ") {
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => continue,
                value => Some(value.map_err(terminal)?),
            },
        };
        show(&ask(server, line.trim(), value.as_deref())?.text)?;
    }
}

#[cfg(test)]
mod tests {
    use super::completions;

    #[test]
    fn commands_and_kinds_of_statistics_are_completed() {
        assert_eq!(completions("verb"), (0, vec!["verbosity".to_string()]));
        assert_eq!(completions("stats hot"), (6, vec!["hotkeys".to_string()]));
        assert_eq!(completions("stats prox"), (6, Vec::new()), "larder has no such report");
        assert_eq!(completions("get ke"), (4, Vec::new()));
        assert!(completions("").1.contains(&"get".to_string()));
    }
}

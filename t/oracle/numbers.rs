//! Every place where a number stands, with every number that might be read in more than one way.

use super::differences::{self, Tally};
use super::duel::Duel;
use super::stream::{Batch, Command, Cuts, Ending};
use super::support::report;

/// Places of numbers; `#` stands for the word. `is_harmful` leaves out words that would damage the test.
const PLACES: [&str; 26] = [
    "set k # 0 1",
    "set k 0 # 1",
    "set k 0 0 #",
    "add absent # 0 1",
    "add absent 0 # 1",
    "add absent 0 0 #",
    "replace k # 0 1",
    "replace k 0 # 1",
    "replace k 0 0 #",
    "append k # 0 1",
    "append k 0 # 1",
    "append k 0 0 #",
    "prepend k 0 0 #",
    "cas k # 0 1 0",
    "cas k 0 # 1 0",
    "cas k 0 0 # 0",
    "cas k 0 0 1 #",
    "incr k #",
    "decr k #",
    "touch k #",
    "gat # k",
    "flush_all #",
    "verbosity #",
    "cache_memlimit #",
    "slabs automove #",
    "stats cachedump 63 #",
];
const SIGNS: [&str; 3] = ["", "-", "+"];
/// Lengths to which words are padded with zeros.
const LENGTHS: [usize; 14] = [1, 9, 10, 11, 12, 13, 19, 20, 21, 22, 23, 24, 30, 200];
const JUNK: [&str; 16] = [
    "1x", "x1", "1.0", "0x1", "1e1", "--1", "++1", "+-1", "-+1", "1-", "1+", "1,", "abc", "\u{a0}1", "noreply",
    "1\u{b2}",
];

#[test]
fn numbers_are_read_alike_wherever_they_stand() {
    let mut duel = Duel::start();
    let mut tally = Tally::default();
    let mut words = words();
    words.extend(JUNK.map(str::to_string));
    let mut played = 0;
    for place in PLACES {
        for word in &words {
            let line = place.replace('#', word);
            let bare = Command::with_data(line.as_str(), b"");
            let command = if bare.is_storage() { Command::with_data(line.as_str(), b"x\r\n") } else { bare };
            let Some(padding) = command.padding() else { continue };
            if is_harmful(&line) || differences::is_avoided(&command, &[], &mut tally) {
                continue;
            }
            let before = (Command::with_data("set k 7 0 1", b"5\r\n"), 0);
            let after = AFTER.map(|line| (Command::with_data(line, b""), 0));
            for (command, padding) in [before, (command, padding)].into_iter().chain(after) {
                let (delivery, ending) = (Cuts::Nowhere, Ending::Open);
                let batch = Batch { commands: vec![command], connection: 0, delivery, ending, padding };
                duel.play(&batch, &mut tally).unwrap_or_else(|mismatch| panic!("{line}\n{mismatch}"));
            }
            played += 1;
        }
    }
    report(&format!("oracle: {played} lines with odd numbers"));
    assert!(played > 1000, "{played}");
}

/// Requests that show the effect of a number, and that undo it.
const AFTER: [&str; 5] = ["get k absent", "delete absent", "verbosity 0", "cache_memlimit 1024", "slabs automove 0"];

/// Numbers at the ends of types, each with every sign and with many zeros before it.
fn words() -> Vec<String> {
    let ends = [31, 32, 63, 64].map(|bits| 1u128 << bits);
    let mut cores: Vec<u128> = ends.into_iter().flat_map(|end| [end - 1, end, end + 1]).collect();
    cores.extend([0, 1, 100_000, 99_999_999_999, 9_999_999_999_999_999_999_999]);
    let padded = |core: u128| {
        SIGNS
            .into_iter()
            .flat_map(move |sign| LENGTHS.map(|length| format!("{sign}{core:0>width$}", width = length - sign.len())))
    };
    let mut words: Vec<String> = cores.into_iter().flat_map(padded).collect();
    words.sort();
    words.dedup();
    words
}

/// Whether a line takes memory on only one of the servers, or names a unique that one of them may have drawn.
fn is_harmful(line: &str) -> bool {
    let (before, word) = line.rsplit_once(' ').unwrap_or_default();
    let number = word.parse::<u128>().unwrap_or(0);
    match before {
        "cache_memlimit" => (1025..=1_000_000_000).contains(&number),
        "cas k 0 0 1" => (1..1 << 31).contains(&number),
        _ => false,
    }
}

//! Inputs that once showed a fault, or that are on the edge of a rule. They pass the checks that the fuzz tests make
//! with random ones. A failed fuzz test prints its input almost as it is written in t/corpus/: braces are `\x7b` and
//! `\x7d` there.

use std::fs;

use crate::binary::fuzz as binary_fuzz;
use crate::fuzz_connection::Worker;
use crate::fuzz_parser;
use crate::random::Random;
use crate::support::transcript::expanded;

/// Number of random cuts of each case.
const CUTS: u64 = 20;

fn cases(name: &str) -> Vec<Vec<u8>> {
    let path = format!("t/corpus/{name}.txt");
    let text = fs::read_to_string(&path).expect("the corpus is there");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let cases: Vec<Vec<u8>> = lines.map(expanded).collect();
    assert!(cases.len() > 25, "{path} has only {} cases", cases.len());
    cases
}

#[test]
fn lines_of_the_corpus_are_parsed_and_answered_as_one_however_they_are_cut() {
    let mut worker = Worker::new();
    for case in cases("text") {
        fuzz_parser::hold_bytes(&case);
        for seed in 0..CUTS {
            fuzz_parser::hold_pieces(&case, &mut Random::with_seed(seed));
            worker.hold_lines(&case, &mut Random::with_seed(seed));
        }
    }
}

#[test]
fn packets_of_the_corpus_are_parsed_and_answered_as_one_however_they_are_cut() {
    let mut worker = Worker::new();
    for case in cases("binary") {
        binary_fuzz::hold_bytes(&case);
        for seed in 0..CUTS {
            binary_fuzz::hold_pieces(&case, &mut Random::with_seed(seed));
            worker.hold_packets(&case, &mut Random::with_seed(seed));
        }
    }
}

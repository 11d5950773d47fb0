//! The oracle: memcached and larder get the same requests, and their answers are compared byte by byte.
//!
//! ```text
//! transcripts (t/transcripts)  ┐           ┌─ memcached ─┐
//!                              ├─ the same ┤             ├─ replies, read into one form ─ equal?
//! random streams (stream.rs)   ┘   bytes   └─── larder ──┘            │
//!                                                    differences.rs: what need not be, and why
//! ```
//!
//! And `larder-bench` is run against memcached in all three protocols (tool.rs).
//!
//! `make oracle` runs it; it stands outside `cargo test` because it needs a memcached:
//! `LARDER_ORACLE=/path/to/memcached`, or else scripts/newest-memcached fetches one into target/.
//! `LARDER_SEED=n` repeats a run, `LARDER_COMMANDS=n` sets its length, `LARDER_SERVER=path` judges another server.

/// Each file of transcripts becomes a list.
macro_rules! transcripts {
    ($($name:ident: $script:literal;)*) => {
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $script)),*];
    };
}

mod binary;
mod datagrams;
mod differences;
mod duel;
mod memcached;
mod meta;
mod numbers;
mod packets;
#[expect(dead_code, reason = "the fuzz tests use the rest")]
#[path = "../support/random.rs"]
mod random;
mod replies;
mod shrink;
mod stream;
#[expect(dead_code, unused_imports, reason = "t/main.rs uses the rest")]
#[path = "../support/mod.rs"]
mod support;
mod tool;
#[path = "../transcripts/mod.rs"]
mod transcripts;

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write;
use std::hash::{BuildHasher, Hasher, RandomState};

use differences::Tally;
use duel::Duel;
use stream::{Kind, Stream};
use support::transcript::{Delivery, Transcript};
use support::{Server, report};

/// Commands of each random test, unless `LARDER_COMMANDS` sets their number. `LARDER_SEED` repeats a run.
const COMMANDS: u64 = 120_000;

const TRANSCRIPTS: &[&[(&str, &str)]] = &[
    transcripts::admin::ALL,
    transcripts::arith::ALL,
    transcripts::delete::ALL,
    transcripts::expiry::ALL,
    transcripts::flush::ALL,
    transcripts::framing::ALL,
    transcripts::meta_base64::ALL,
    transcripts::meta_change::ALL,
    transcripts::meta_get::ALL,
    transcripts::meta_set::ALL,
    transcripts::noreply::ALL,
    transcripts::numbers::ALL,
    transcripts::retrieval::ALL,
    transcripts::stats::ALL,
    transcripts::storage::ALL,
    transcripts::storage_refusals::ALL,
    transcripts::touch::ALL,
];

#[test]
fn transcripts_are_what_memcached_says() {
    let mut tally = Tally::default();
    let mut surprises = String::new();
    let mut played = 0;
    for (name, script) in TRANSCRIPTS.concat() {
        let transcript = Transcript::parse(script);
        if differences::is_beyond_memcached(&transcript.flags, &mut tally) {
            continue;
        }
        let flags: Vec<&str> = transcript.flags.iter().map(String::as_str).collect();
        let server = Server::start_program(memcached::program(), &flags);
        let outcome = transcript.play(&mut server.client(), Delivery::LineByLine);
        match (outcome, differences::of_transcript(name)) {
            (Ok(()), None) => played += 1,
            (Err(_), Some(difference)) => tally.count(difference),
            (Err(surprise), None) => writeln!(surprises, "{name}: {surprise}").expect("strings take text"),
            (Ok(()), Some(difference)) if difference.depends_on_timing => tally.count(difference),
            (Ok(()), Some(difference)) => {
                writeln!(surprises, "{name}: no longer differs ({})", difference.what).expect("strings take text");
            }
        }
    }
    report(&format!("oracle: {played} transcripts are what memcached says; the others:\n{tally}"));
    assert!(surprises.is_empty(), "\n{surprises}");
}

/// Rows that memcached has only where it is built with seccomp. The oracle is not.
const OF_OTHER_BUILDS: &[&str] = &["drop_privileges"];

#[test]
fn golden_names_of_stats_are_memcacheds() {
    let server = Server::start_program(memcached::program(), &[]);
    server.client().ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    for (group, golden) in support::golden::STATS_NAMES {
        let names: BTreeSet<String> =
            server.stats(group).into_keys().map(|name| support::golden::without_numbers(&name)).collect();
        let listed: BTreeSet<String> =
            golden.lines().filter(|name| !OF_OTHER_BUILDS.contains(name)).map(str::to_string).collect();
        assert_eq!(listed, names, "t/golden has the names of `stats {group}`");
    }
}

#[test]
fn random_streams_get_the_same_replies() {
    compare_streams(Kind::Classic);
}

#[test]
fn random_meta_streams_get_the_same_replies() {
    compare_streams(Kind::Meta);
}

fn compare_streams(kind: Kind) {
    let seed = number_from("LARDER_SEED").unwrap_or_else(fresh_seed);
    let wanted = number_from("LARDER_COMMANDS").unwrap_or(COMMANDS);
    report(&format!("oracle: {kind:?} LARDER_SEED={seed} LARDER_COMMANDS={wanted}"));
    let mut tally = Tally::default();
    let mut stream = Stream::new(seed, kind);
    let mut duel = Duel::start();
    let (mut commands, mut batches) = (0, 0);
    while commands < wanted {
        let batch = stream.next_batch(&mut tally);
        batches += 1;
        if let Err(mismatch) = duel.play(&batch, &mut tally) {
            let story = shrink::shortest_story(Stream::new(seed, kind), batches, &mismatch);
            let last = shrink::told(std::slice::from_ref(&batch));
            panic!(
                "{kind:?}, LARDER_SEED={seed} LARDER_COMMANDS={wanted}, batch {batches}:\n{last}{mismatch}\n\nthe shortest story that ends so:\n{story}"
            );
        }
        commands += batch.commands.len() as u64;
    }
    report(&format!(
        "oracle: seed {seed}, {commands} commands in {batches} batches, {} replies",
        duel.replies_compared
    ));
    report(&format!("oracle: 0 unexplained differences; the explained ones:\n{tally}"));
}

#[test]
fn random_packets_get_the_same_replies() {
    let seed = number_from("LARDER_SEED").unwrap_or_else(fresh_seed);
    let wanted = number_from("LARDER_COMMANDS").unwrap_or(COMMANDS);
    report(&format!("oracle: binary, LARDER_SEED={seed} LARDER_COMMANDS={wanted}"));
    let mut random = random::Random::with_seed(seed);
    let mut tally = Tally::default();
    let mut duel = binary::PacketDuel::start();
    let (mut sent, mut batches) = (0, 0u64);
    while sent < wanted {
        batches += 1;
        match duel.play(&packets::next_batch(&mut random, &mut tally), &mut tally) {
            Ok(count) => sent += count as u64,
            Err(mismatch) => panic!("LARDER_SEED={seed} LARDER_COMMANDS={wanted}, batch {batches}:\n{mismatch}"),
        }
    }
    report(&format!("oracle: seed {seed}, {sent} packets in {batches} batches, 0 unexplained differences\n{tally}"));
}

#[test]
fn random_datagrams_get_the_same_replies() {
    let seed = number_from("LARDER_SEED").unwrap_or_else(fresh_seed);
    let wanted = number_from("LARDER_COMMANDS").unwrap_or(COMMANDS);
    report(&format!("oracle: UDP, LARDER_SEED={seed} LARDER_COMMANDS={wanted}"));
    let mut tally = Tally::default();
    let mut stream = datagrams::DatagramStream::new(seed);
    let mut duel = datagrams::DatagramDuel::start();
    let (mut requests, mut datagrams) = (0, 0u64);
    while requests < wanted {
        datagrams += 1;
        let datagram = stream.next(&mut tally);
        requests += datagram.requests() as u64;
        if let Err(mismatch) = duel.play(&datagram, &mut tally) {
            panic!("UDP, LARDER_SEED={seed} LARDER_COMMANDS={wanted}, datagram {datagrams}:\n{mismatch}");
        }
    }
    report(&format!(
        "oracle: seed {seed}, {requests} requests in {datagrams} datagrams, 0 unexplained differences\n{tally}"
    ));
}

/// A random seed that is short enough to be typed.
fn fresh_seed() -> u64 {
    RandomState::new().build_hasher().finish() % 1_000_000_000
}

fn number_from(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{variable}={text}: {e}")))
}

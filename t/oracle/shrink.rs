//! Shortens a long run that ends in a mismatch to the shortest one that still does.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::differences::Tally;
use super::duel::{Duel, Mismatch};
use super::stream::{Batch, Stream};
use super::support::wait::now;

/// How long to look for it: each attempt at a mismatch that is a hang takes a whole timeout.
const SEARCH: Duration = Duration::from_secs(30);

/// Number of batches that are printed: the end of a long run.
const BATCHES_TOLD: usize = 12;

struct Shrinker<'a> {
    kind: &'a [String; 2],
    deadline: Instant,
}

/// Repeats the first `batches` of `seed` in smaller and smaller parts. Returns the smallest that still ends in a
/// mismatch.
pub(crate) fn shortest_story(mut stream: Stream, batches: usize, mismatch: &Mismatch) -> String {
    let history: Vec<Batch> = (0..batches).map(|_| stream.next_batch(&mut Tally::default())).collect();
    let shrinker = Shrinker { kind: &mismatch.kind, deadline: now() + SEARCH };
    let Some(tail) = shrinker.failing_tail(&history) else {
        return "none was found in time, or it depends on timing".into();
    };
    let fewer_batches = shrinker.without_parts(tail);
    told(&shrinker.without_commands(fewer_batches))
}

impl Shrinker<'_> {
    fn fails(&self, story: &[Batch]) -> bool {
        if now() > self.deadline {
            return false;
        }
        let mut duel = Duel::start();
        let mismatch = story.iter().find_map(|batch| duel.play(batch, &mut Tally::default()).err());
        mismatch.is_some_and(|mismatch| mismatch.kind == *self.kind)
    }

    /// The shortest of the last 8, 16, 32 ... batches that fails alone.
    fn failing_tail(&self, history: &[Batch]) -> Option<Vec<Batch>> {
        let mut len = 8;
        loop {
            let tail = &history[history.len().saturating_sub(len)..];
            if self.fails(tail) {
                return Some(tail.to_vec());
            }
            if tail.len() == history.len() {
                return None;
            }
            len *= 2;
        }
    }

    /// Leaves out halves, quarters ... single parts, as long as what remains fails.
    fn without_parts(&self, mut story: Vec<Batch>) -> Vec<Batch> {
        let mut len = story.len() / 2;
        while len > 0 {
            let mut at = 0;
            while at < story.len() {
                let mut shorter = story[..at].to_vec();
                shorter.extend_from_slice(&story[(at + len).min(story.len())..]);
                if self.fails(&shorter) { story = shorter } else { at += len }
            }
            len /= 2;
        }
        story
    }

    /// Leaves out single commands of the batches.
    fn without_commands(&self, mut story: Vec<Batch>) -> Vec<Batch> {
        for at in 0..story.len() {
            for nth in (0..story[at].commands.len()).rev() {
                let mut shorter = story.clone();
                shorter[at].commands.remove(nth);
                if self.fails(&shorter) {
                    story = shorter;
                }
            }
        }
        story
    }
}

/// The commands of a story, one a line.
pub(crate) fn told(story: &[Batch]) -> String {
    let mut text = String::new();
    let earlier = story.len().saturating_sub(BATCHES_TOLD);
    if earlier > 0 {
        writeln!(text, "  {earlier} batches, then").expect("strings take text");
    }
    for batch in &story[earlier..] {
        for command in &batch.commands {
            writeln!(text, "  connection {}: {command}", batch.connection).expect("strings take text");
        }
        writeln!(text, "  -- {:?}, {} --", batch.delivery, batch.ending).expect("strings take text");
    }
    text
}

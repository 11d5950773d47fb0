//! From a long run that ends in a mismatch to the shortest one found that still does.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::differences::Tally;
use super::duel::{Duel, Mismatch};
use super::stream::{Batch, Stream};
use super::support::wait::now;

/// How long to look for it: a mismatch that is a hang takes all our patience each time.
const SEARCH: Duration = Duration::from_secs(90);

/// Of a story that remains long, the end is told.
const BATCHES_TOLD: usize = 12;

struct Shrinker {
    deadline: Instant,
}

/// Repeats the first `batches` of `seed` in ever smaller parts and tells the smallest that still ends in a mismatch.
pub(crate) fn shortest_story(seed: u64, batches: usize) -> String {
    let mut stream = Stream::new(seed);
    let history: Vec<Batch> = (0..batches).map(|_| stream.next_batch(&mut Tally::default())).collect();
    let mut shrinker = Shrinker { deadline: now() + SEARCH };
    let Some(tail) = shrinker.failing_tail(&history) else {
        let last = told(&history[batches - 1..]);
        return format!(
            "none: the run does not fail when repeated, so it depends on timing; its last batch is\n{last}"
        );
    };
    let fewer_batches = shrinker.without_parts(tail);
    told(&shrinker.without_commands(fewer_batches))
}

impl Shrinker {
    fn fails(&mut self, story: &[Batch]) -> Option<Mismatch> {
        if now() > self.deadline {
            return None;
        }
        let mut duel = Duel::start();
        story.iter().find_map(|batch| duel.play(batch, &mut Tally::default()).err())
    }

    /// The shortest of the last 8, 16, 32 ... batches that fails alone.
    fn failing_tail(&mut self, history: &[Batch]) -> Option<Vec<Batch>> {
        let mut len = 8;
        loop {
            let tail = &history[history.len().saturating_sub(len)..];
            if self.fails(tail).is_some() {
                return Some(tail.to_vec());
            }
            if tail.len() == history.len() {
                return None;
            }
            len *= 2;
        }
    }

    /// Leaves out halves, quarters ... single parts, as long as what remains fails.
    fn without_parts(&mut self, mut story: Vec<Batch>) -> Vec<Batch> {
        let mut len = story.len() / 2;
        while len > 0 {
            let mut at = 0;
            while at < story.len() {
                let mut shorter = story[..at].to_vec();
                shorter.extend_from_slice(&story[(at + len).min(story.len())..]);
                if self.fails(&shorter).is_some() { story = shorter } else { at += len }
            }
            len /= 2;
        }
        story
    }

    /// Leaves out single commands of the batches.
    fn without_commands(&mut self, mut story: Vec<Batch>) -> Vec<Batch> {
        for at in 0..story.len() {
            for nth in (0..story[at].commands.len()).rev() {
                let mut shorter = story.clone();
                shorter[at].commands.remove(nth);
                if self.fails(&shorter).is_some() {
                    story = shorter;
                }
            }
        }
        story
    }
}

fn told(story: &[Batch]) -> String {
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

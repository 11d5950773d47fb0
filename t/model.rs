//! Random commands, to the store and to a simple model of it. The replies must be the same, byte for byte, except the
//! CAS uniques, which each side chooses for itself.

use std::collections::HashMap;
use std::sync::Arc;

use larder::base::Clock;
use larder::memory::ClassPlan;
use larder::store::{Engine as _, Store, StoreConfig, WorkerStore};
use larder::sync::Participant;

use crate::model_engine::ModelEngine;
use crate::random::{Random, each_seed};
use crate::session::Session;

/// Maximum value length on both sides.
const VALUE_LEN_MAX: u32 = 60_000;
/// Few keys, so that commands often name the same one.
const KEYS: &[&str] = &["a", "b", "counter", "n", "key:with:parts", "a_key_of_thirty_characters____"];

#[test]
fn the_store_answers_as_the_model_does() {
    // One store for all cases: it is leaked, and a new one for each would fill this machine in five minutes.
    let mut pair = Pair::new();
    each_seed("model", 30, |seed| {
        let mut random = Random::with_seed(seed);
        pair.start_again(&mut random);
        for _ in 0..200 {
            let commands: Vec<Command> = (0..1 + random.below(6)).map(|_| Command::any(&mut random)).collect();
            pair.compare(&commands, &mut random);
            if random.once_in(4) {
                let seconds = *random.pick(&[&1, &1, &2, &3, &10, &100]);
                pair.clock.shift(seconds);
            }
        }
    });
}

/// A client's command. The CAS unique is filled in when it is sent.
enum Command {
    Text(String),
    /// The header up to the unique, the rest, and whether the unique is the last one or another.
    Cas {
        key: &'static str,
        value: String,
        current: bool,
    },
}

impl Command {
    fn any(random: &mut Random) -> Self {
        let key = *random.pick(KEYS.iter().collect::<Vec<_>>().as_slice());
        let noreply = random.pick(&["", "", "", " noreply"]);
        let exptime = random.pick(&["0", "0", "0", "1", "2", "5", "100", "-1", "2592001", "9999999999"]);
        let text = match random.below(24) {
            0..=4 => {
                let (flags, value) = (random.pick(&["0", "0", "7", "4294967295"]), value(random));
                format!("set {key} {flags} {exptime} {}{noreply}\r\n{value}\r\n", value.len())
            }
            5..=8 => {
                let verb = random.pick(&["add", "replace", "append", "prepend"]);
                // For a number at the front of a chain, the model would have to know about chunks.
                let mut value = value(random);
                value.truncate(300);
                format!("{verb} {key} 3 {exptime} {}{noreply}\r\n{value}\r\n", value.len())
            }
            9 => return Self::Cas { key, value: value(random), current: !random.once_in(3) },
            10..=12 => format!("get {key}\r\n"),
            13 => format!("gets {}\r\n", KEYS.join(" ")),
            14 => format!("gets {key} {key}\r\n"),
            15 => format!("gat {exptime} {key} b\r\n"),
            16 => format!("touch {key} {exptime}{noreply}\r\n"),
            17 => format!("delete {key}{noreply}\r\n"),
            18..=20 => {
                let verb = random.pick(&["incr", "decr"]);
                let delta = random.pick(&["0", "1", "9", "90", "18446744073709551615"]);
                format!("{verb} {key} {delta}{noreply}\r\n")
            }
            21 => {
                let delay = random.pick(&["", " 0", " 1", " 2", " 5", " 100", " -1", " 2592001"]);
                if random.once_in(3) { format!("flush_all{delay}{noreply}\r\n") } else { String::from("version\r\n") }
            }
            22 => {
                let len = VALUE_LEN_MAX as usize + 1;
                let verb = random.pick(&["set", "add", "append"]);
                format!("{verb} {key} 0 0 {len}{noreply}\r\n{}\r\n", "L".repeat(len))
            }
            _ => format!("set {key} 0 0 3{noreply}\r\nfooxx"),
        };
        Self::Text(text)
    }

    fn spell(&self, uniques: &HashMap<String, String>) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Cas { key, value, current } => {
                let unique = uniques.get(*key).filter(|_| *current).map_or("1234567890123", String::as_str);
                format!("cas {key} 5 0 {} {unique}\r\n{value}\r\n", value.len())
            }
        }
    }
}

fn value(random: &mut Random) -> String {
    match random.below(8) {
        0..=3 => random.pick(&["0", "5", "9", "10", "99", "007", "18446744073709551615"]).to_string(),
        4 => String::new(),
        5 => "x".repeat(random.below(300)),
        // Longer than a chunk: a chained item.
        6 => "c".repeat(random.below(VALUE_LEN_MAX as usize)),
        _ => "line\r\nline".to_string(),
    }
}

/// The store and its model, side by side.
struct Pair {
    clock: Arc<Clock>,
    participant: Participant,
    store: Session<WorkerStore>,
    model: Session<ModelEngine>,
    /// Each side's latest uniques, by key.
    store_uniques: HashMap<String, String>,
    model_uniques: HashMap<String, String>,
}

impl Pair {
    fn new() -> Self {
        let clock = Arc::new(Clock::start());
        clock.pause();
        let config = StoreConfig {
            limit_bytes: 64 << 20,
            classes: ClassPlan { first: 64, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() },
            value_len_max: VALUE_LEN_MAX,
            evictions: true,
            use_cas: true,
            hashpower: 12,
            threads_max: 1,
            large_pages: false,
            hash_seed: None,
        };
        let (participant, worker) = Store::new(config, Arc::clone(&clock)).expect("64 MiB can be mapped").join();
        let (store, model) = (Session::new(worker), Session::new(ModelEngine::new(clock.read())));
        Self { clock, participant, store, model, store_uniques: HashMap::new(), model_uniques: HashMap::new() }
    }

    /// Two caches without a live item.
    fn start_again(&mut self, random: &mut Random) {
        self.model = Session::new(ModelEngine::new(self.clock.read()));
        self.model.engine.value_len_max = VALUE_LEN_MAX;
        self.store.batch_limit = 1 + random.below(20);
        self.store.reply_len_max = 1 + random.below(2000);
        self.compare(&[Command::Text("flush_all\r\n".to_string())], random);
        self.store_uniques.clear();
        self.model_uniques.clear();
    }

    /// Sends the same to both. The store gets it in pieces, each in its own loop turn.
    fn compare(&mut self, commands: &[Command], random: &mut Random) {
        let said: String = commands.iter().map(|command| command.spell(&self.model_uniques)).collect();
        self.model.engine.begin_turn_at(self.clock.read());
        let expected = self.model.say(said.as_bytes(), &());
        let expected = hide_uniques(&expected, &mut self.model_uniques);

        let said: String = commands.iter().map(|command| command.spell(&self.store_uniques)).collect();
        let piece_len = *random.pick(&[&7, &100, &5000, &1_000_000]);
        let mut answered = Vec::new();
        for piece in said.as_bytes().chunks(piece_len) {
            let pin = self.participant.pin();
            self.store.engine.begin_turn();
            answered.extend_from_slice(&self.store.say(piece, &pin));
            self.store.engine.end_turn();
        }
        let answered = hide_uniques(&answered, &mut self.store_uniques);
        assert_eq!(shorten(&answered), shorten(&expected), "after {}", shorten(&said));
        assert!(answered == expected, "values differ after {}", shorten(&said));
    }
}

/// The replies with every CAS unique taken out of them, and kept.
fn hide_uniques(replies: &[u8], uniques: &mut HashMap<String, String>) -> String {
    let replies = std::str::from_utf8(replies).expect("all values are ASCII");
    let mut hidden = String::new();
    for line in replies.split_inclusive("\r\n") {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["VALUE", key, flags, len, unique] = words[..] {
            uniques.insert(key.to_string(), unique.to_string());
            hidden += &format!("VALUE {key} {flags} {len} #\r\n");
        } else {
            hidden += line;
        }
    }
    hidden
}

/// Text with its long lines cut, for readable messages.
fn shorten(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", &line[..line.len().min(80)])).collect()
}

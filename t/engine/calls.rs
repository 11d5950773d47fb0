//! Calls of the engine that the text commands do not make. Each rule is tested for the store and for its model.
//! `random_calls` then compares both.

use std::sync::Arc;

use larder::base::{Clock, Deadline, Delta, HashedKey, Key, StoreMode};
use larder::memory::ClassPlan;
use larder::store::{
    Accessed, ArithOptions, ArithOutcome, Engine, FetchOptions, Fetched, Item, Lease as _, Miss, Removal,
    RemoveOutcome, Store, StoreConfig, StoreOutcome, Vivify, WorkerStore, Write, WriteOptions,
};
use larder::sync::Participant;

use crate::model_engine::ModelEngine;

mod random_calls;

pub(crate) use random_calls::{Call, KEYS, make};

/// Maximum value length on both sides.
const VALUE_LEN_MAX: u32 = 60_000;
/// Ticks of the clock in a second.
const PER_S: u32 = 8;

fn store(clock: &Arc<Clock>) -> (Participant, WorkerStore) {
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
    Store::new(config, Arc::clone(clock)).expect("64 MiB can be mapped").join()
}

fn stopped_clock() -> Arc<Clock> {
    let clock = Arc::new(Clock::start());
    clock.pause();
    clock
}

/// An engine and its pin: short calls for tests.
pub(crate) struct On<'e, E: Engine> {
    pub(crate) engine: &'e mut E,
    pub(crate) pin: &'e E::Pin,
}

impl<'e, E: Engine> On<'e, E> {
    fn key<'k>(&self, key: &'k str) -> HashedKey<'k> {
        self.engine.hash(Key::new(key.as_bytes()).expect("tests use short keys"))
    }

    pub(crate) fn after_s(&self, seconds: u32) -> Deadline {
        Deadline(self.engine.moment().tick.0 + seconds * PER_S)
    }

    pub(crate) fn write<'w>(&mut self, key: &'w str, value: &str, change: impl FnOnce(&mut Write<'w>)) -> StoreOutcome {
        let mut write = Write::set(self.key(key));
        change(&mut write);
        self.engine.store(self.pin, &write, value.as_bytes()).expect("there is memory")
    }

    /// Stores unconditionally. Returns the CAS unique.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> u64 {
        let StoreOutcome::Stored { cas, .. } = self.write(key, value, |_| {}) else { panic!("a set stores") };
        cas
    }

    /// Stores under conditions.
    pub(crate) fn store(&mut self, key: &str, value: &str, mode: StoreMode, options: WriteOptions) -> StoreOutcome {
        self.write(key, value, |write| (write.mode, write.options) = (mode, Some(&options)))
    }

    pub(crate) fn fetch(&mut self, key: &str, options: FetchOptions) -> Option<Accessed<E::Item<'e>>> {
        let key = self.key(key);
        match self.engine.fetch_with(self.pin, key, options) {
            Ok(Fetched::Hit(accessed)) => Some(accessed),
            Ok(Fetched::Miss(_)) => None,
            Err(refusal) => panic!("there is memory: {refusal:?}"),
        }
    }

    /// Whether this caller is told to renew the value, whether the value is stale, and whether another caller was told
    /// before.
    fn token(&mut self, key: &str) -> (bool, bool, bool) {
        self.token_with(key, FetchOptions::default())
    }

    fn token_with(&mut self, key: &str, options: FetchOptions) -> (bool, bool, bool) {
        let accessed = self.fetch(key, options).expect("the key is there");
        (accessed.is_won, accessed.is_stale, accessed.was_token_sent)
    }

    pub(crate) fn delete(&mut self, key: &str, removal: Removal) -> RemoveOutcome {
        let key = self.key(key);
        self.engine.delete(self.pin, key, removal)
    }

    pub(crate) fn arith(&mut self, key: &str, delta: Delta, options: ArithOptions) -> ArithOutcome {
        let key = self.key(key);
        self.engine.arith(self.pin, key, delta, options)
    }

    pub(crate) fn peek(&self, key: &str) -> Option<Shown> {
        self.engine.peek(self.pin, self.key(key)).map(|item| Shown::of(&item))
    }

    fn shown(&self, key: &str) -> Shown {
        self.peek(key).expect("the key is there")
    }
}

/// The visible parts of an item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) value: Vec<u8>,
    pub(crate) client_flags: u32,
    pub(crate) deadline: Deadline,
    pub(crate) cas: u64,
    is_binary_key: bool,
    is_fetched: bool,
}

impl Shown {
    fn of(item: &impl Item) -> Self {
        let value: Vec<u8> = item.pieces().flatten().copied().collect();
        let mut leased = item.lease();
        assert_eq!((leased.remaining(), item.value_len() as usize), (value.len(), value.len()));
        leased.advance(value.len() / 3);
        assert_eq!(leased.pieces().flatten().copied().collect::<Vec<_>>(), &value[value.len() / 3..]);
        Self {
            value,
            client_flags: item.client_flags(),
            deadline: item.deadline(),
            cas: item.cas(),
            is_binary_key: item.is_binary_key(),
            is_fetched: item.is_fetched(),
        }
    }
}

fn stored(outcome: StoreOutcome) -> u64 {
    let StoreOutcome::Stored { cas, .. } = outcome else { panic!("{outcome:?}") };
    cas
}

fn compare(unique: u64) -> WriteOptions {
    WriteOptions { compare: Some(unique), ..WriteOptions::NONE }
}

/// Tests of a rule for the store and for the model.
macro_rules! rules {
    ($(fn $name:ident($on:ident) $body:block)+) => { $(
        #[test]
        fn $name() {
            fn rule<E: Engine>(mut $on: On<'_, E>) $body
            let clock = stopped_clock();
            let (mut participant, mut worker) = store(&clock);
            let pin = participant.pin();
            worker.begin_turn();
            rule(On { engine: &mut worker, pin: &pin });
            worker.end_turn();
            rule(On { engine: &mut ModelEngine::new(clock.read()), pin: &() });
        }
    )+ };
}

rules! {
    fn a_compare_holds_for_set_and_replace(on) {
        let cas = on.set("a", "1");
        for mode in [StoreMode::Set, StoreMode::Replace] {
            assert_eq!(on.store("none", "2", mode, compare(cas)), StoreOutcome::NotFound);
            assert_eq!(on.store("a", "2", mode, compare(cas + 1)), StoreOutcome::Exists);
            assert_eq!(on.store("a", "2", mode, compare(0)), StoreOutcome::Exists);
        }
        assert_eq!(on.store("none", "2", StoreMode::Replace, WriteOptions::NONE), StoreOutcome::NotStored);
        let next = stored(on.store("a", "2", StoreMode::Set, compare(cas)));
        assert_eq!((on.shown("a").value, on.shown("a").cas), (b"2".to_vec(), next));
        stored(on.store("a", "3", StoreMode::Replace, compare(next)));
    }

    fn add_ignores_a_compare(on) {
        let cas = on.set("a", "1");
        assert_eq!(on.store("a", "2", StoreMode::Add, compare(cas)), StoreOutcome::NotStored);
        stored(on.store("none", "2", StoreMode::Add, compare(5)));
    }

    fn append_and_prepend_compare_and_say_not_stored_on_a_miss(on) {
        let cas = on.set("a", "1");
        for mode in [StoreMode::Append, StoreMode::Prepend] {
            assert_eq!(on.store("a", "2", mode, compare(cas + 1)), StoreOutcome::Exists);
            assert_eq!(on.store("none", "2", mode, compare(cas)), StoreOutcome::NotStored);
        }
        let next = stored(on.store("a", "2", StoreMode::Append, compare(cas)));
        stored(on.store("a", "0", StoreMode::Prepend, compare(next)));
        assert_eq!(on.shown("a").value, b"012");
    }

    fn a_zero_that_was_chosen_as_cas_matches_nothing(on) {
        let options = WriteOptions { new_cas: Some(0), ..WriteOptions::NONE };
        assert_eq!(stored(on.store("a", "1", StoreMode::Set, options)), 0);
        assert_eq!(on.store("a", "2", StoreMode::Set, compare(0)), StoreOutcome::Exists);
    }

    fn a_chosen_cas_has_64_bits_and_lasts_until_the_next_store(on) {
        let chosen = WriteOptions { new_cas: Some(u64::MAX), ..WriteOptions::NONE };
        for (key, len) in [("short", 1), ("long", 50_000)] {
            let value = "v".repeat(len);
            let outcome = on.write(key, &value, |write| (write.client_flags, write.options) = (9, Some(&chosen)));
            assert_eq!(stored(outcome), u64::MAX);
            assert_eq!((on.shown(key).cas, on.shown(key).client_flags, on.shown(key).value.len()), (u64::MAX, 9, len));
            let next = stored(on.store(key, "w", StoreMode::Append, compare(u64::MAX)));
            assert_ne!(next, u64::MAX);
            assert_eq!((on.shown(key).cas, on.shown(key).value.len()), (next, len + 1));
        }
    }

    fn a_lower_compare_with_invalidate_stores_a_stale_value_with_the_old_deadline(on) {
        let (old, new) = (on.after_s(100), on.after_s(500));
        let options = |unique| WriteOptions { invalidate: true, ..compare(unique) };
        for mode in [StoreMode::Set, StoreMode::Replace] {
            let cas = stored(on.write("a", "1", |write| write.deadline = old));
            assert_eq!(on.store("a", "2", mode, options(cas + 1)), StoreOutcome::Exists);
            let lower = options(cas - 1);
            let outcome = on.write("a", "2", |write| {
                (write.mode, write.options, write.deadline, write.client_flags) = (mode, Some(&lower), new, 3);
            });
            let next = stored(outcome);
            let shown = on.shown("a");
            assert_eq!((shown.value, shown.deadline, shown.client_flags), (b"2".to_vec(), old, 3));
            assert_eq!([on.token("a"), on.token("a")], [(true, true, false), (false, true, true)]);
            stored(on.store("a", "3", mode, options(next - 1)));
            assert_eq!(on.token("a"), (false, true, true), "the token mark is kept");
            let cas = on.shown("a").cas;
            stored(on.store("a", "4", mode, options(cas)));
            assert_eq!(on.token("a"), (false, false, false), "an equal compare is a plain store");
        }
        let cas = on.set("a", "1");
        assert_eq!(on.store("a", "2", StoreMode::Append, options(cas - 1)), StoreOutcome::Exists);
        assert_eq!(on.store("a", "2", StoreMode::Add, options(cas - 1)), StoreOutcome::NotStored);
    }

    fn append_with_vivify_stores_a_new_item_on_a_miss(on) {
        let deadline = on.after_s(60);
        let options = WriteOptions { vivify: Some(deadline), new_cas: Some(77), ..compare(5) };
        let outcome = on.write("a", "1", |write| {
            (write.mode, write.options, write.client_flags) = (StoreMode::Append, Some(&options), 7);
        });
        assert_eq!(outcome, StoreOutcome::Stored { cas: 77, joined_len: None });
        let shown = on.shown("a");
        assert_eq!((shown.value, shown.client_flags, shown.deadline), (b"1".to_vec(), 7, deadline));
        let later = WriteOptions { vivify: Some(Deadline::NEVER), ..WriteOptions::NONE };
        stored(on.store("a", "0", StoreMode::Prepend, later));
        let shown = on.shown("a");
        assert_eq!((shown.value, shown.client_flags, shown.deadline), (b"01".to_vec(), 7, deadline));
    }

    fn a_silent_fetch_leaves_no_trace(on) {
        on.set("a", "1");
        let silent = FetchOptions { is_silent: true, ..FetchOptions::default() };
        for _ in 0..2 {
            assert!(!on.fetch("a", silent).unwrap().was_fetched);
        }
        assert!(!on.shown("a").is_fetched);
        assert!(!on.fetch("a", FetchOptions::default()).unwrap().was_fetched);
        assert!(on.fetch("a", silent).unwrap().was_fetched);
    }

    fn a_touch_returns_the_deadline_before(on) {
        let (old, new) = (on.after_s(30), on.after_s(90));
        stored(on.write("a", "1", |write| write.deadline = old));
        let accessed = on.fetch("a", FetchOptions { touch: Some(new), ..FetchOptions::default() }).unwrap();
        assert_eq!((accessed.deadline_before, accessed.item.deadline()), (old, new));
        assert!(on.fetch("none", FetchOptions { touch: Some(new), ..FetchOptions::default() }).is_none());
        let over = FetchOptions { touch: Some(Deadline::OVER), ..FetchOptions::default() };
        assert!(on.fetch("a", over).is_some());
        assert!(on.fetch("a", FetchOptions::default()).is_none());
    }

    fn vivify_creates_an_empty_item_once_and_a_store_ends_its_token(on) {
        let deadline = on.after_s(30);
        let options = FetchOptions { vivify: Some(deadline), new_cas: Some(99), ..FetchOptions::default() };
        let created = on.fetch("a", options).unwrap();
        assert!(created.is_created && created.is_won && !created.was_token_sent && !created.is_stale);
        assert_eq!(on.shown("a"), Shown {
            value: Vec::new(),
            client_flags: 0,
            deadline,
            cas: 99,
            is_binary_key: false,
            is_fetched: true,
        });
        assert!(!created.was_fetched && created.deadline_before == Deadline::NEVER);
        let found = on.fetch("a", options).unwrap();
        assert!(!found.is_created && !found.is_won && found.was_token_sent);
        on.set("a", "1");
        assert_eq!(on.token("a"), (false, false, false));
        let touched = FetchOptions { touch: Some(Deadline::NEVER), ..options };
        assert_eq!(on.fetch("b", touched).unwrap().item.deadline(), deadline, "the touch is for items that were there");
    }

    fn one_reader_is_told_to_renew_a_value_that_expires_soon(on) {
        let below = |below_s| FetchOptions { recache_below_s: Some(below_s), ..FetchOptions::default() };
        let deadline = on.after_s(30);
        stored(on.write("a", "1", |write| write.deadline = deadline));
        assert_eq!(on.token_with("a", below(30)), (false, false, false), "30 seconds are not less than 30");
        assert_eq!(on.token_with("a", FetchOptions { is_silent: true, ..below(31) }), (true, false, false));
        assert_eq!(on.token_with("a", below(31)), (false, false, true));
        assert_eq!(on.token("a"), (false, false, true));
        on.set("never", "1");
        assert_eq!(on.token_with("never", below(u32::MAX)), (false, false, false));
        stored(on.write("b", "1", |write| write.deadline = deadline));
        let touched = FetchOptions { touch: Some(Deadline::NEVER), ..below(31) };
        assert_eq!(on.token_with("b", touched), (true, false, false), "the deadline before counts");
        on.set("c", "1");
        let touched = FetchOptions { touch: Some(deadline), recache_after_touch: true, ..below(31) };
        assert_eq!(on.token_with("c", touched), (true, false, false), "the deadline after counts");
    }

    fn delete_compares(on) {
        let cas = on.set("a", "1");
        for removal in [Removal::default(), Removal { invalidate: true, ..Removal::default() }] {
            for unique in [0, cas + 1] {
                let other = Removal { compare: Some(unique), ..removal };
                assert_eq!(on.delete("a", other), RemoveOutcome::Exists);
            }
            assert_eq!(on.delete("none", Removal { compare: Some(cas), ..removal }), RemoveOutcome::NotFound(Miss::Absent));
        }
        let same = Removal { compare: Some(cas), ..Removal::default() };
        assert_eq!(on.delete("a", same), RemoveOutcome::Removed { cas: 0 });
        assert_eq!(on.peek("a"), None);
    }

    fn an_invalidated_item_is_stale_and_its_token_can_be_sent_again(on) {
        let (old, new) = (on.after_s(100), on.after_s(30));
        let cas = stored(on.write("a", "xyz", |write| (write.client_flags, write.deadline) = (7, old)));
        let invalidate = Removal { invalidate: true, ..Removal::default() };
        assert!(on.fetch("a", FetchOptions::default()).is_some());
        let RemoveOutcome::Removed { cas: next } = on.delete("a", invalidate) else { panic!("it is kept") };
        assert_ne!(next, cas);
        let shown = on.shown("a");
        assert_eq!((shown.value, shown.client_flags, shown.deadline, shown.cas), (b"xyz".to_vec(), 7, old, next));
        assert!(shown.is_fetched, "it is the same value");
        assert_eq!([on.token("a"), on.token("a")], [(true, true, false), (false, true, true)]);
        let again = Removal { deadline: Some(new), new_cas: Some(5), ..invalidate };
        assert_eq!(on.delete("a", again), RemoveOutcome::Removed { cas: 5 });
        assert_eq!((on.shown("a").deadline, on.shown("a").cas), (new, 5));
        assert_eq!(on.token("a"), (true, true, false));
    }

    fn a_dropped_value_leaves_the_item_with_its_cas_unless_one_is_chosen(on) {
        let deadline = on.after_s(100);
        let drop_value = Removal { drop_value: true, ..Removal::default() };
        let cas = stored(on.write("a", "xyz", |write| (write.client_flags, write.deadline) = (7, deadline)));
        assert!(on.fetch("a", FetchOptions::default()).is_some());
        assert_eq!(on.delete("a", drop_value), RemoveOutcome::Removed { cas });
        let shown = on.shown("a");
        assert_eq!((shown.value, shown.client_flags, shown.deadline, shown.cas), (Vec::new(), 0, deadline, cas));
        assert!(!shown.is_fetched, "it is another value");
        assert_eq!(on.token("a"), (false, false, false));
        let chosen = Removal { new_cas: Some(55), deadline: Some(Deadline::NEVER), ..drop_value };
        assert_eq!(on.delete("a", chosen), RemoveOutcome::Removed { cas: 55 });
        assert_eq!(on.delete("a", drop_value), RemoveOutcome::Removed { cas: 55 }, "a chosen one stays, too");
        assert_eq!(on.shown("a").deadline, Deadline::NEVER);
        on.set("b", "xyz");
        let tombstone = Removal { invalidate: true, ..drop_value };
        let RemoveOutcome::Removed { cas } = on.delete("b", tombstone) else { panic!("it is kept") };
        assert_eq!((on.shown("b").value, on.shown("b").cas), (Vec::new(), cas));
        assert_eq!(on.token("b"), (true, true, false));
    }

    fn a_number_is_created_with_its_initial_value_and_no_delta(on) {
        let deadline = on.after_s(30);
        let vivify = Some(Vivify { deadline, initial: 13 });
        let options = ArithOptions { vivify, new_cas: Some(9), compare: Some(4), ..ArithOptions::default() };
        let deadline_before = Deadline::NEVER;
        let created = ArithOutcome::Value { value: 13, cas: 9, deadline, deadline_before, is_created: true };
        assert_eq!(on.arith("a", Delta::Up(5), options), created);
        assert_eq!((on.shown("a").value, on.shown("a").client_flags), (b"13".to_vec(), 0));
        assert_eq!(on.arith("a", Delta::Up(5), options), ArithOutcome::Exists);
        let same = ArithOptions { compare: Some(9), ..options };
        let deadline_before = deadline;
        let changed = ArithOutcome::Value { value: 18, cas: 9, deadline, deadline_before, is_created: false };
        assert_eq!(on.arith("a", Delta::Up(5), same), changed);
        assert_eq!(on.arith("none", Delta::Up(5), ArithOptions::default()), ArithOutcome::NotFound(Miss::Absent));
    }

    fn a_count_may_touch_and_compares_before_it_reads_the_number(on) {
        let deadline = on.after_s(30);
        let cas = stored(on.write("a", "10", |write| write.client_flags = 7));
        let options = ArithOptions { touch: Some(deadline), compare: Some(cas), ..ArithOptions::default() };
        let ArithOutcome::Value { value: 5, cas: next, deadline: shown, deadline_before, is_created: false } =
            on.arith("a", Delta::Down(5), options)
        else {
            panic!("it is a number")
        };
        assert_eq!((shown, deadline_before), (deadline, Deadline::NEVER));
        assert_eq!((on.shown("a").deadline, on.shown("a").client_flags), (deadline, 7));
        assert_eq!((on.shown("a").value, on.shown("a").cas), (b"5 ".to_vec(), next));
        on.set("text", "abc");
        let other = ArithOptions { compare: Some(1), ..ArithOptions::default() };
        assert_eq!(on.arith("text", Delta::Up(1), other), ArithOutcome::Exists);
        on.set("empty", "");
        assert_eq!(on.arith("empty", Delta::Up(1), other), ArithOutcome::NonNumeric);
        assert_eq!(on.arith("text", Delta::Up(1), ArithOptions::default()), ArithOutcome::NonNumeric);
    }

    fn a_number_keeps_its_marks_unless_it_becomes_longer(on) {
        on.set("a", "8");
        on.delete("a", Removal { invalidate: true, ..Removal::default() });
        on.arith("a", Delta::Up(1), ArithOptions::default());
        assert_eq!(on.token("a"), (true, true, false));
        on.arith("a", Delta::Up(1), ArithOptions::default());
        assert_eq!(on.token("a"), (false, false, false));
    }

    fn the_last_store_says_whether_the_key_is_binary(on) {
        let binary = WriteOptions { is_binary_key: true, ..WriteOptions::NONE };
        stored(on.store("a", "8", StoreMode::Set, binary));
        assert!(on.shown("a").is_binary_key);
        on.arith("a", Delta::Up(5), ArithOptions::default());
        on.delete("a", Removal { drop_value: true, ..Removal::default() });
        assert!(on.shown("a").is_binary_key, "neither says how the key is written");
        stored(on.store("a", "8", StoreMode::Append, WriteOptions::NONE));
        assert!(!on.shown("a").is_binary_key);
        let vivify = FetchOptions { vivify: Some(Deadline::NEVER), is_binary_key: true, ..FetchOptions::default() };
        on.fetch("b", vivify);
        let vivify = Some(Vivify { deadline: Deadline::NEVER, initial: 0 });
        on.arith("c", Delta::Up(1), ArithOptions { vivify, is_binary_key: true, ..ArithOptions::default() });
        assert!(on.shown("b").is_binary_key && on.shown("c").is_binary_key);
    }

    fn a_join_ends_stale_and_token(on) {
        on.set("a", "5");
        on.delete("a", Removal { invalidate: true, ..Removal::default() });
        assert_eq!(on.token("a"), (true, true, false));
        stored(on.store("a", "6", StoreMode::Append, WriteOptions::NONE));
        assert_eq!(on.token("a"), (false, false, false));
    }

    fn a_flush_drops_items_with_a_chosen_cas_and_spares_later_ones(on) {
        let chosen = |cas| WriteOptions { new_cas: Some(cas), ..WriteOptions::NONE };
        stored(on.store("old", "1", StoreMode::Set, chosen(u64::MAX)));
        on.engine.flush_now();
        stored(on.store("new", "1", StoreMode::Set, chosen(1)));
        assert_eq!((on.peek("old"), on.shown("new").cas), (None, 1));
    }
}

//! A simple model of a cache: a `BTreeMap` that implements `Engine`. The commands and the real store are tested against
//! it. Its order is the same in each run.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::sync::Arc;

use larder::base::{Deadline, Delta, EmitRow, HashedKey, Key, KeyHash, KeyHasher, Moment, RelTime, StoreMode};
use larder::memory::CLASS_MAX;
use larder::store::{
    Accessed, ArithOptions, ArithOutcome, Engine, EngineAdmin, FetchOptions, Fetched, Item, Lease, Miss, MoveTuning,
    Pending, PrefixScan, Reassign, Refusal, Removal, RemoveOutcome, ShowItem, StoreOutcome, StoreReport, Vivify, Walk,
    Write, WriteOptions,
};

/// The cache.
pub(crate) struct ModelEngine {
    /// The present time.
    pub moment: Moment,
    /// Values longer than this are refused.
    pub value_len_max: u32,
    /// How often reservations, joins and arithmetic still find the store busy.
    pub busy_turns: u32,
    /// The next reservations find no memory.
    pub out_of_memory: bool,
    hasher: KeyHasher,
    items: BTreeMap<Vec<u8>, ModelItem>,
    flush_at: Option<RelTime>,
    last_cas: u64,
}

/// The item of a key.
#[derive(Clone, Debug)]
pub(crate) struct ModelItem {
    key: Vec<u8>,
    client_flags: u32,
    deadline: Deadline,
    value: Vec<u8>,
    cas: u64,
    accessed: RelTime,
    is_fetched: bool,
    is_stale: bool,
    is_token_sent: bool,
    is_binary_key: bool,
    flushed: bool,
}

/// An item for a slow reader, and how many bytes of it are read.
#[derive(Debug)]
pub(crate) struct ModelLease {
    value: Vec<u8>,
    taken: usize,
}

/// A value on its way in.
#[derive(Debug)]
pub(crate) struct ModelPending {
    item: ModelItem,
    value_len: usize,
    mode: StoreMode,
    options: WriteOptions,
}

impl ModelEngine {
    /// An empty cache at `moment`.
    pub(crate) fn new(moment: Moment) -> Self {
        Self {
            moment,
            value_len_max: 1 << 20,
            busy_turns: 0,
            out_of_memory: false,
            hasher: KeyHasher::with_seed(7),
            items: BTreeMap::new(),
            flush_at: None,
            last_cas: 0,
        }
    }

    fn next_cas(&mut self) -> u64 {
        self.last_cas += 1;
        self.last_cas
    }

    fn is_busy(&mut self) -> bool {
        let busy = self.busy_turns > 0;
        self.busy_turns -= u32::from(busy);
        busy
    }

    fn live(&mut self, key: Key<'_>) -> Result<&mut ModelItem, Miss> {
        let now = self.moment.tick;
        let item = self.items.get_mut(key.bytes()).ok_or(Miss::Absent)?;
        if item.flushed {
            return Err(Miss::Flushed);
        }
        if item.deadline.is_over(now) { Err(Miss::Expired) } else { Ok(item) }
    }

    /// A new item, as `write` describes it.
    fn new_item(&self, key: Key<'_>, client_flags: u32, deadline: Deadline, is_binary_key: bool) -> ModelItem {
        ModelItem {
            key: key.bytes().to_vec(),
            client_flags,
            deadline,
            value: Vec::new(),
            cas: 0,
            accessed: self.moment.now,
            is_fetched: false,
            is_stale: false,
            is_token_sent: false,
            is_binary_key,
            flushed: false,
        }
    }

    /// Puts an item in place of the present one, with a CAS unique of its own unless one was chosen.
    fn put(&mut self, mut item: ModelItem, new_cas: Option<u64>) -> u64 {
        item.cas = new_cas.unwrap_or_else(|| self.next_cas());
        item.accessed = self.moment.now;
        let cas = item.cas;
        self.items.insert(item.key.clone(), item);
        cas
    }

    /// append and prepend.
    fn join(&mut self, added: ModelItem, mode: StoreMode, options: WriteOptions) -> StoreOutcome {
        let value_len_max = self.value_len_max as usize;
        let key = Key::new(&added.key).expect("it came from a request");
        let Ok(old) = self.live(key) else {
            return match options.vivify {
                None => StoreOutcome::NotStored,
                Some(deadline) => {
                    let cas = self.put(ModelItem { deadline, ..added.clone() }, options.new_cas);
                    StoreOutcome::Stored { cas, joined_len: None }
                }
            };
        };
        if !compares(old, options.compare) {
            return StoreOutcome::Exists;
        }
        if old.value.len() + added.value.len() > value_len_max {
            return StoreOutcome::TooLarge;
        }
        let pieces = if mode == StoreMode::Append { [&old.value, &added.value] } else { [&added.value, &old.value] };
        let value = pieces.map(Vec::as_slice).concat();
        let (client_flags, deadline) = (old.client_flags, old.deadline);
        let joined = ModelItem { client_flags, deadline, value, ..added.clone() };
        let joined_len = u32::try_from(joined.value.len()).ok();
        StoreOutcome::Stored { cas: self.put(joined, options.new_cas), joined_len }
    }

    /// set, add, replace.
    fn put_if(&mut self, mut item: ModelItem, mode: StoreMode, options: WriteOptions) -> StoreOutcome {
        let key = item.key.clone();
        let old = self.live(Key::new(&key).expect("it came from a request")).ok();
        match (mode, options.compare, old) {
            (StoreMode::Add, _, Some(old)) => {
                old.is_fetched = true;
                return StoreOutcome::NotStored;
            }
            (StoreMode::Set | StoreMode::Replace, Some(_), None) => return StoreOutcome::NotFound,
            (StoreMode::Replace, None, None) => return StoreOutcome::NotStored,
            (StoreMode::Set | StoreMode::Replace, Some(unique), Some(old)) if !compares(old, Some(unique)) => {
                if !options.invalidate || unique >= old.cas {
                    return StoreOutcome::Exists;
                }
                (item.deadline, item.is_token_sent, item.is_stale) = (old.deadline, old.is_token_sent, true);
            }
            _ => {}
        }
        StoreOutcome::Stored { cas: self.put(item, options.new_cas), joined_len: None }
    }

    /// Begins a loop turn: a flush that was ordered for this time or earlier takes effect.
    pub(crate) fn begin_turn_at(&mut self, moment: Moment) {
        self.moment = moment;
        if self.flush_at.is_some_and(|at| at <= moment.now) {
            self.flush_now();
        }
    }
}

impl Engine for ModelEngine {
    type Pin = ();
    type Item<'pin> = ModelItem;
    type Bucket = ();
    type Candidate<'pin> = ();
    type Pending = ModelPending;

    fn hash<'k>(&self, key: Key<'k>) -> HashedKey<'k> {
        self.hasher.hash(key)
    }

    fn prefetch_bucket(&self, _hash: KeyHash) {}

    fn prefetch_item(&self, _pin: &(), _bucket: (), _hash: KeyHash) -> Option<()> {
        None
    }

    fn fetch_candidate<'pin>(
        &mut self,
        _key: Key<'_>,
        _candidate: Self::Candidate<'pin>,
    ) -> Option<Fetched<Self::Item<'pin>>> {
        None
    }

    fn fetch(&mut self, _pin: &(), key: HashedKey<'_>) -> Fetched<ModelItem> {
        assert_eq!(key.hash, self.hasher.hash(key.key).hash, "the key's own hash");
        match self.live(key.key) {
            Ok(item) => {
                item.is_fetched = true;
                Fetched::Hit(item.clone())
            }
            Err(miss) => Fetched::Miss(miss),
        }
    }

    fn fetch_and_touch(&mut self, _pin: &(), key: HashedKey<'_>, deadline: Deadline) -> Fetched<ModelItem> {
        match self.live(key.key) {
            Ok(item) => {
                item.deadline = deadline;
                item.is_fetched = true;
                Fetched::Hit(item.clone())
            }
            Err(miss) => Fetched::Miss(miss),
        }
    }

    fn fetch_with(
        &mut self,
        _pin: &(),
        key: HashedKey<'_>,
        options: FetchOptions,
    ) -> Result<Fetched<Accessed<ModelItem>>, Refusal> {
        let now = self.moment;
        let Ok(item) = self.live(key.key) else {
            let Some(deadline) = options.vivify else {
                let miss = self.live(key.key).expect_err("it was missing a moment ago");
                return Ok(Fetched::Miss(miss));
            };
            let mut item = self.new_item(key.key, 0, deadline, options.is_binary_key);
            item.is_token_sent = true;
            item.is_fetched = !options.is_silent;
            item.cas = self.put(item.clone(), options.new_cas);
            return Ok(Fetched::Hit(Accessed {
                item,
                was_fetched: false,
                idle_s: 0,
                deadline_before: Deadline::NEVER,
                is_won: true,
                is_stale: false,
                was_token_sent: false,
                is_created: true,
            }));
        };
        let before = item.clone();
        let compared = options.touch.filter(|_| options.recache_after_touch).unwrap_or(item.deadline);
        let left_s = (f64::from(compared.0) - f64::from(now.tick.0)) / 8.0;
        let expires_soon =
            compared != Deadline::NEVER && options.recache_below_s.is_some_and(|below_s| left_s < f64::from(below_s));
        let is_won = !item.is_token_sent && (item.is_stale || expires_soon);
        item.is_token_sent |= is_won;
        item.is_fetched |= !options.is_silent;
        item.deadline = options.touch.unwrap_or(item.deadline);
        Ok(Fetched::Hit(Accessed {
            item: item.clone(),
            was_fetched: before.is_fetched,
            idle_s: now.now.0 - before.accessed.0,
            deadline_before: before.deadline,
            is_won,
            is_stale: before.is_stale,
            was_token_sent: before.is_token_sent,
            is_created: false,
        }))
    }

    fn peek(&self, _pin: &(), key: HashedKey<'_>) -> Option<ModelItem> {
        let is_live = |item: &&ModelItem| !item.flushed && !item.deadline.is_over(self.moment.tick);
        self.items.get(key.key.bytes()).filter(is_live).cloned()
    }

    fn announce(&mut self, _pin: &(), write: &Write<'_>, value_len: u32) -> Result<ModelPending, Refusal> {
        if value_len > self.value_len_max {
            return Err(Refusal::TooLarge);
        }
        if self.is_busy() {
            return Err(Refusal::Busy);
        }
        if self.out_of_memory {
            return Err(Refusal::NoMemory);
        }
        let Write { key, client_flags, deadline, mode, .. } = *write;
        let options = write.all_options();
        let item = self.new_item(key.key, client_flags, deadline, options.is_binary_key);
        Ok(ModelPending { item, value_len: value_len as usize, mode, options })
    }

    fn extend(&mut self, _pin: &(), _pending: &mut ModelPending) -> Result<(), Refusal> {
        Ok(())
    }

    fn commit(&mut self, _pin: &(), pending: ModelPending) -> Result<StoreOutcome, ModelPending> {
        assert_eq!(pending.remaining(), 0, "only whole values are committed");
        if !pending.mode.joins() {
            return Ok(self.put_if(pending.item, pending.mode, pending.options));
        }
        if self.is_busy() {
            return Err(pending);
        }
        Ok(self.join(pending.item, pending.mode, pending.options))
    }

    fn delete(&mut self, _pin: &(), key: HashedKey<'_>, removal: Removal) -> RemoveOutcome {
        let item = match self.live(key.key) {
            Ok(item) => item,
            Err(miss) => {
                self.items.remove(key.key.bytes());
                return RemoveOutcome::NotFound(miss);
            }
        };
        if !compares(item, removal.compare) {
            return RemoveOutcome::Exists;
        }
        let mut item = item.clone();
        if removal.unlinks() {
            self.items.remove(key.key.bytes());
            return RemoveOutcome::Removed { cas: 0 };
        }
        if removal.drop_value {
            item.value.clear();
            item.client_flags = 0;
            item.is_fetched = false;
        }
        (item.is_stale, item.is_token_sent) = (removal.invalidate, false);
        item.deadline = removal.deadline.unwrap_or(item.deadline);
        let kept_cas = (!removal.invalidate).then_some(item.cas);
        RemoveOutcome::Removed { cas: self.put(item, removal.new_cas.or(kept_cas)) }
    }

    fn arith(&mut self, _pin: &(), key: HashedKey<'_>, delta: Delta, options: ArithOptions) -> ArithOutcome {
        if self.is_busy() {
            return ArithOutcome::Busy;
        }
        let (miss, item) = match self.live(key.key) {
            Ok(item) => (None, Some(item)),
            Err(miss) => (Some(miss), None),
        };
        let Some(item) = item else {
            let Some(vivify) = options.vivify else {
                return ArithOutcome::NotFound(miss.unwrap_or(Miss::Absent));
            };
            let mut item = self.new_item(key.key, 0, vivify.deadline, options.is_binary_key);
            item.value = vivify.initial.to_string().into_bytes();
            let cas = self.put(item, options.new_cas);
            let Vivify { deadline, initial: value } = vivify;
            let deadline_before = Deadline::NEVER;
            return ArithOutcome::Value { value, cas, deadline, deadline_before, is_created: true };
        };
        if item.value.is_empty() {
            return ArithOutcome::NonNumeric;
        }
        if !compares(item, options.compare) {
            return ArithOutcome::Exists;
        }
        let Some(before) = std::str::from_utf8(&item.value).ok().and_then(number) else {
            return ArithOutcome::NonNumeric;
        };
        let mut item = item.clone();
        let value = match delta {
            Delta::Up(delta) => before.wrapping_add(delta),
            Delta::Down(delta) => before.saturating_sub(delta),
        };
        let width = item.value.len();
        item.value = format!("{value:<width$}").into_bytes();
        if item.value.len() > width {
            (item.is_stale, item.is_token_sent, item.is_fetched) = (false, false, false);
        }
        let deadline_before = item.deadline;
        let deadline = options.touch.unwrap_or(deadline_before);
        item.deadline = deadline;
        let cas = self.put(item, options.new_cas);
        ArithOutcome::Value { value, cas, deadline, deadline_before, is_created: false }
    }

    fn flush_now(&mut self) {
        self.flush_at = None;
        self.items.values_mut().for_each(|item| item.flushed = true);
    }

    fn flush_at(&mut self, at: RelTime) {
        self.flush_at = Some(at);
    }

    fn moment(&self) -> Moment {
        self.moment
    }

    fn take_copied_bytes(&mut self) -> u64 {
        0
    }

    fn epoch_unix_ms(&self) -> i64 {
        1_700_000_000_000
    }

    fn begin_turn(&mut self) -> Moment {
        self.moment
    }

    fn end_turn(&mut self) {}

    fn wants_quiescence(&self) -> bool {
        false
    }
}

impl EngineAdmin for ModelEngine {
    fn report(&self, _pin: &(), group: StoreReport, row: EmitRow<'_>) {
        row("group", &format!("{group:?}"));
        row("curr_items", &self.items.len());
    }

    fn prefix_scan(&mut self, delimiter: u8) -> (Option<Arc<PrefixScan>>, bool) {
        let mut prefix_scan = PrefixScan::default();
        self.items.values().for_each(|item| prefix_scan.add(delimiter, &item.key, u64::from(item.value_len())));
        (Some(Arc::new(prefix_scan)), true)
    }

    fn dump_class(&self, _pin: &(), class: u8, limit: u32, show: ShowItem<'_>) {
        assert!(class <= CLASS_MAX);
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        for item in self.items.values().take(limit) {
            if show(&item.key, item.value_len(), item.deadline).is_break() {
                return;
            }
        }
    }

    fn walk<'pin>(&self, _pin: &'pin (), walk: &mut Walk, show: &mut dyn FnMut(&Self::Item<'pin>)) {
        walk.finish();
        let live = self.items.values().filter(|item| !item.flushed && !item.deadline.is_over(self.moment.tick));
        live.for_each(show);
    }

    fn sweep_now(&mut self) {}

    fn reassign_page(&mut self, _from: Option<u8>, _to: u8) -> Reassign {
        Reassign::NoSpare
    }

    fn move_tuning(&self) -> MoveTuning {
        MoveTuning::default()
    }

    fn tune_moves(&mut self, _tuning: MoveTuning) {}

    fn set_memory_limit(&mut self, bytes: u64) -> bool {
        bytes <= 1 << 40
    }

    fn reset_stats(&mut self) {}
}

/// Whether the item has the CAS unique that a request names, if it names one.
fn compares(item: &ModelItem, compare: Option<u64>) -> bool {
    compare.is_none_or(|unique| unique != 0 && unique == item.cas)
}

impl Item for ModelItem {
    type Lease = ModelLease;

    fn key(&self) -> &[u8] {
        &self.key
    }

    fn client_flags(&self) -> u32 {
        self.client_flags
    }

    fn cas(&self) -> u64 {
        self.cas
    }

    fn value_len(&self) -> u32 {
        u32::try_from(self.value.len()).expect("values are shorter than 4 GiB")
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn for_each_piece(&self, take: &mut dyn FnMut(&[u8])) {
        let (front, back) = self.value.split_at(self.value.len() / 2);
        take(front);
        take(back);
    }

    fn contiguous(&self) -> Option<&[u8]> {
        None
    }

    fn is_binary_key(&self) -> bool {
        self.is_binary_key
    }

    fn is_fetched(&self) -> bool {
        self.is_fetched
    }

    fn idle_s(&self, now: RelTime) -> u32 {
        now.0 - self.accessed.0
    }

    fn class(&self) -> u8 {
        1
    }

    fn bytes(&self) -> u64 {
        (self.key.len() + self.value.len()) as u64
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (front, back) = self.value.split_at(self.value.len() / 2);
        [front, back].into_iter()
    }

    fn lease(&self) -> ModelLease {
        ModelLease { value: self.value.clone(), taken: 0 }
    }
}

impl Lease for ModelLease {
    fn remaining(&self) -> usize {
        self.value.len() - self.taken
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.value[self.taken..])
    }

    fn advance(&mut self, n: usize) {
        self.taken += n.min(self.remaining());
    }
}

impl Pending for ModelPending {
    fn remaining(&self) -> u32 {
        u32::try_from(self.value_len - self.item.value.len()).expect("values are shorter than 4 GiB")
    }

    fn is_begun(&self) -> bool {
        true
    }

    fn is_short(&self) -> bool {
        false
    }

    fn room_ahead(&self) -> u32 {
        self.remaining()
    }

    fn key(&self) -> &[u8] {
        &self.item.key
    }

    fn spare<'s>(&'s mut self, _slices: &mut [IoSliceMut<'s>]) -> usize {
        0
    }

    fn advance(&mut self, _n: usize) {}

    fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.remaining() as usize);
        self.item.value.extend_from_slice(&bytes[..taken]);
        taken
    }
}

/// The number a value holds: blanks and a plus sign may precede it, and anything may follow behind a blank.
fn number(value: &str) -> Option<u64> {
    let is_blank = |byte: char| byte.is_ascii_whitespace() || byte == '\x0b';
    let text = value.trim_start_matches(is_blank);
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.split(is_blank).next().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

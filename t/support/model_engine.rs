//! A cache that is obviously right: a `HashMap` that answers as `Engine` says. What is tested against it are the
//! commands, and the real store.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use larder::base::{Deadline, HashedKey, Key, KeyHash, KeyHasher, Moment, RelTime};
use larder::store::{
    ArithOperation, ArithOutcome, Engine, Fetched, Item, Miss, MoveTuning, Pending, PrefixScan, Reassign, Refusal,
    ShowItem, StoreMode, StoreOutcome, StoreReport,
};

/// The cache.
pub(crate) struct ModelEngine {
    /// What time it is.
    pub moment: Moment,
    /// Values longer than this are refused.
    pub value_len_max: u32,
    /// How many more times reserving, joining and counting find the store busy.
    pub busy_turns: u32,
    /// The next reservations find no memory.
    pub out_of_memory: bool,
    hasher: KeyHasher,
    items: HashMap<Vec<u8>, ModelItem>,
    flush_at: Option<RelTime>,
    last_cas: u64,
}

/// What a key holds.
#[derive(Clone, Debug)]
pub(crate) struct ModelItem {
    key: Vec<u8>,
    client_flags: u32,
    deadline: Deadline,
    value: Vec<u8>,
    cas: u64,
    flushed: bool,
}

/// A value on its way in.
#[derive(Debug)]
pub(crate) struct ModelPending {
    item: ModelItem,
    value_len: usize,
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
            items: HashMap::new(),
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

    /// A loop turn begins: a flush that was ordered for this moment, or before it, comes about.
    pub(crate) fn begin_turn(&mut self, moment: Moment) {
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
            Ok(item) => Fetched::Hit(item.clone()),
            Err(miss) => Fetched::Miss(miss),
        }
    }

    fn fetch_and_touch(&mut self, _pin: &(), key: HashedKey<'_>, deadline: Deadline) -> Fetched<ModelItem> {
        match self.live(key.key) {
            Ok(item) => {
                item.deadline = deadline;
                Fetched::Hit(item.clone())
            }
            Err(miss) => Fetched::Miss(miss),
        }
    }

    fn announce(
        &mut self,
        _pin: &(),
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<ModelPending, Refusal> {
        if value_len > self.value_len_max {
            return Err(Refusal::TooLarge);
        }
        if self.is_busy() {
            return Err(Refusal::Busy);
        }
        if self.out_of_memory {
            return Err(Refusal::NoMemory);
        }
        let key = key.key.bytes().to_vec();
        let item = ModelItem { key, client_flags, deadline, value: Vec::new(), cas: 0, flushed: false };
        Ok(ModelPending { item, value_len: value_len as usize })
    }

    fn extend(&mut self, _pin: &(), _pending: &mut ModelPending) -> Result<(), Refusal> {
        Ok(())
    }

    fn commit(&mut self, _pin: &(), pending: ModelPending, mode: StoreMode) -> Result<StoreOutcome, ModelPending> {
        assert_eq!(pending.remaining(), 0, "only whole values are committed");
        if matches!(mode, StoreMode::Append | StoreMode::Prepend) && self.is_busy() {
            return Err(pending);
        }
        let value_len_max = self.value_len_max as usize;
        let mut item = pending.item;
        let key = item.key.clone();
        let old = self.live(Key::new(&key).expect("it came from a request")).ok();
        match (mode, old) {
            (StoreMode::Set, _) | (StoreMode::Add, None) | (StoreMode::Replace, Some(_)) => {}
            (StoreMode::Add, Some(_)) | (StoreMode::Replace | StoreMode::Append | StoreMode::Prepend, None) => {
                return Ok(StoreOutcome::NotStored);
            }
            (StoreMode::Append | StoreMode::Prepend, Some(old)) => {
                if old.value.len() + item.value.len() > value_len_max {
                    return Ok(StoreOutcome::TooLarge);
                }
                (item.client_flags, item.deadline) = (old.client_flags, old.deadline);
                let (first, second) =
                    if mode == StoreMode::Append { (&old.value, &item.value) } else { (&item.value, &old.value) };
                item.value = [&first[..], second].concat();
            }
            (StoreMode::Cas(_), None) => return Ok(StoreOutcome::NotFound),
            (StoreMode::Cas(unique), Some(old)) if old.cas != unique => return Ok(StoreOutcome::Exists),
            (StoreMode::Cas(_), Some(_)) => {}
        }
        item.cas = self.next_cas();
        self.items.insert(key, item);
        Ok(StoreOutcome::Stored)
    }

    fn delete(&mut self, _pin: &(), key: HashedKey<'_>) -> bool {
        let live = self.live(key.key).is_ok();
        self.items.remove(key.key.bytes());
        live
    }

    fn arith(&mut self, _pin: &(), key: HashedKey<'_>, operation: ArithOperation) -> ArithOutcome {
        if self.is_busy() {
            return ArithOutcome::Busy;
        }
        let cas = self.next_cas();
        let Ok(item) = self.live(key.key) else { return ArithOutcome::NotFound };
        let number = std::str::from_utf8(&item.value).ok().and_then(number);
        let Some(number) = number else { return ArithOutcome::NonNumeric };
        let number = match operation {
            ArithOperation::Incr(delta) => number.wrapping_add(delta),
            ArithOperation::Decr(delta) => number.saturating_sub(delta),
        };
        let width = item.value.len();
        item.value = format!("{number:<width$}").into_bytes();
        item.cas = cas;
        ArithOutcome::Value(number)
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

    fn renew_moment(&mut self) {}

    fn report(&self, _pin: &(), group: StoreReport, row: &mut dyn FnMut(&str, &dyn Display)) {
        row("group", &format!("{group:?}"));
        row("curr_items", &self.items.len());
    }

    fn prefix_scan(&mut self, delimiter: u8) -> (Option<Arc<PrefixScan>>, bool) {
        let mut prefix_scan = PrefixScan::default();
        self.items.values().for_each(|item| prefix_scan.add(delimiter, &item.key, u64::from(item.value_len())));
        (Some(Arc::new(prefix_scan)), true)
    }

    fn peek_len(&self, _pin: &(), key: HashedKey<'_>) -> Option<u32> {
        self.items.get(key.key.bytes()).map(|item| item.value_len())
    }

    fn dump_class(&self, _pin: &(), class: u8, limit: u32, show: ShowItem<'_>) {
        assert!(class < 64);
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        for item in self.items.values().take(limit) {
            if show(&item.key, item.value_len(), item.deadline).is_break() {
                return;
            }
        }
    }

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

impl Item for ModelItem {
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

    fn key(&self) -> &[u8] {
        &self.item.key
    }

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

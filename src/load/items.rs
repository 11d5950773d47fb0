//! Items: the key, value length and time to live of each number, and the check of a fetched value.
//!
//! ```text
//! key     bench:0000…0 i123456789        prefix, zeroes up to the length, ten characters of the number;
//!                                        the first of the ten is 0, of a counter c
//! value   cccccccc nnnnnnnn ssssssss body…
//!         │        │        │        └ letters of a fixed text, from a place that number and stamp choose
//!         │        │        └ stamp: different for every store
//!         │        └ number
//!         └ check of number, stamp and length           (eight letters a to p each, four bits a letter)
//! ```
//!
//! Every byte is compared with what number, stamp and length say, and the length with the item's. So values of other
//! items, torn values (the beginning of one store, the end of another) and truncated ones are found. A value of fewer
//! than 24 bytes is the beginning of such a value with stamp 0.
//!
//! ```text
//! extended   [nnnnnnnn]*   value   (nnnnnnnn)*       what prepend and append put there: pieces of 10 bytes, the
//!                                                    number in letters; a load without these accepts no piece
//! ```

use std::io;

use super::op::{Op, Shape};
use super::plan::{KeyPlan, Plan, Sharing, SizePlan, TtlPlan, invalid};
use super::random::{Random, bits_for, etc, unit_for, whole};
use super::sizes;

/// An item's number. That of a counter has one more bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ItemId(u32);

impl ItemId {
    /// Numbers stay below this.
    pub(super) const END: u64 = 1_000_000_000;
    const COUNTER: u32 = 1 << 31;

    /// The item of this number, which starts again at `END`.
    #[inline]
    pub(super) fn item(number: u64) -> Self {
        Self(u32::try_from(number % Self::END).expect("below 2^30"))
    }

    /// The counter of this number.
    #[inline]
    pub(super) fn counter(number: u64) -> Self {
        Self(Self::item(number).0 | Self::COUNTER)
    }

    /// Whether it is a counter.
    #[inline]
    pub(super) fn is_counter(self) -> bool {
        self.0 & Self::COUNTER != 0
    }

    /// The number alone.
    #[inline]
    pub(super) fn number(self) -> u32 {
        self.0 & !Self::COUNTER
    }

    /// The number as it stands on a binary frame.
    #[inline]
    pub(super) fn opaque(self) -> u32 {
        self.0
    }

    /// The number's ten characters.
    #[inline]
    fn digits(self) -> [u8; DIGITS] {
        let number = self.number();
        let (upper, lower) = (number / 10_000, number % 10_000);
        let (top, middle) = (upper / 10_000, upper % 10_000);
        let mut digits = [b'0'; DIGITS];
        if self.is_counter() {
            digits[0] = b'c';
        }
        digits[1] = b'0' + top.to_le_bytes()[0];
        for (pair, value) in [middle / 100, middle % 100, lower / 100, lower % 100].into_iter().enumerate() {
            digits[2 + pair * 2..4 + pair * 2].copy_from_slice(&DIGIT_PAIRS[value as usize]);
        }
        digits
    }
}

/// Characters of a key that name its number.
const DIGITS: usize = 10;
const KEY_LEN_MAX: u32 = 250;
/// The start value of a counter. It is so large that its length and its first ten digits never change.
pub(super) const COUNTER_START: &str = "15000000005000000000";
const COUNTER_STEADY_DIGITS: usize = 10;
const HEAD_BYTES: usize = 24;
/// Bytes of one append or prepend.
const PIECE_BYTES: usize = 10;
/// Number of places at which a body can start. It is small, so that small bodies stay in the L1 cache of the client's
/// core.
const BODY_PLACES: u64 = 4096;
/// Length of the fixed text. It is prime, so no chunk size of a server divides it.
const TEXT_BYTES: usize = 65_521;
const VALUE_LEN_MAX: u32 = 1 << 30;

/// All items of a plan.
pub(super) struct Items {
    /// The bytes of a key before the number, for the longest key.
    lead: Vec<u8>,
    keys: Lengths,
    values: Lengths,
    ttl: TtlPlan,
    /// Whether values may have grown by pieces.
    are_extended: bool,
    /// The fixed text, twice: a body that starts anywhere in the first half is contiguous for the length of the text.
    text: Vec<u8>,
}

/// Lengths, prepared for fast access.
enum Lengths {
    Fixed(u32),
    /// One of 65,536, by the item's bits.
    Table(Vec<u32>),
}

/// Purposes of an item's random bits; see `bits_for`.
const KEY: u64 = 1;
const VALUE: u64 = 2;
const TTL: u64 = 3;
const SEAL: u64 = 4;

impl Items {
    /// # Errors
    /// A length is invalid, or a file cannot be read.
    pub(super) fn new(plan: &Plan) -> io::Result<Self> {
        let mut lead = plan.keys.prefix.clone().into_bytes();
        lead.resize(KEY_LEN_MAX as usize, b'0');
        let mut random = Random::with_seed(0x7e87);
        let letters: Vec<u8> = (0..TEXT_BYTES).map(|_| b'A' + random.below(26).to_le_bytes()[0]).collect();
        let items = Self {
            lead,
            keys: Lengths::new(&plan.keys.length, etc::key_len)?,
            values: Lengths::new(&plan.values, etc::value_len)?,
            ttl: plan.ttl.clone(),
            are_extended: plan.mix.has(Shape::Extend),
            text: [letters.as_slice(), &letters].concat(),
        };
        items.check_limits(&plan.keys)?;
        Ok(items)
    }

    fn check_limits(&self, keys: &KeyPlan) -> io::Result<()> {
        if keys.prefix.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(invalid(format!("a key has no blanks: {:?}", keys.prefix)));
        }
        let least = u32::try_from(keys.prefix.len() + DIGITS).unwrap_or(u32::MAX);
        let (shortest, longest) = self.keys.bounds();
        if shortest < least || longest > KEY_LEN_MAX {
            let range = if shortest == longest { shortest.to_string() } else { format!("{shortest} to {longest}") };
            return Err(invalid(format!(
                "keys of {range} bytes: with the prefix {:?} they have {least} to {KEY_LEN_MAX}",
                keys.prefix
            )));
        }
        let (_, longest) = self.values.bounds();
        if longest > VALUE_LEN_MAX {
            return Err(invalid(format!("values of {longest} bytes: at most {VALUE_LEN_MAX}")));
        }
        if keys.sharing == Sharing::Private && (longest as usize) < HEAD_BYTES {
            return Err(invalid(format!(
                "--private-keys: values of {longest} bytes have no stamp, which takes {HEAD_BYTES}"
            )));
        }
        if keys.count == 0 || keys.count > ItemId::END {
            return Err(invalid(format!("{} keys are outside 1 to {}", keys.count, ItemId::END)));
        }
        Ok(())
    }

    /// Bytes of the key.
    #[inline]
    pub(super) fn key_len(&self, id: ItemId) -> usize {
        self.keys.of(id, KEY)
    }

    /// Appends the key.
    #[inline]
    pub(super) fn push_key(&self, id: ItemId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lead[..self.key_len(id) - DIGITS]);
        out.extend_from_slice(&id.digits());
    }

    /// Whether these are the bytes of the key.
    #[inline]
    pub(super) fn is_key(&self, id: ItemId, bytes: &[u8]) -> bool {
        let lead = self.key_len(id) - DIGITS;
        bytes.len() == lead + DIGITS && bytes[lead..] == id.digits() && bytes[..lead] == self.lead[..lead]
    }

    /// Bytes of the value.
    #[inline]
    pub(super) fn value_len(&self, id: ItemId) -> usize {
        if id.is_counter() { COUNTER_START.len() } else { self.values.of(id, VALUE) }
    }

    /// Appends the value of the store that has this stamp.
    #[inline]
    pub(super) fn push_value(&self, id: ItemId, stamp: u32, out: &mut Vec<u8>) {
        if id.is_counter() {
            out.extend_from_slice(COUNTER_START.as_bytes());
            return;
        }
        let len = self.value_len(id);
        if len < HEAD_BYTES {
            out.extend_from_slice(&head(id, 0, len).0[..len]);
            return;
        }
        let (head, mut place) = head(id, stamp, len);
        out.extend_from_slice(&head);
        let mut rest = len - HEAD_BYTES;
        while rest > 0 {
            let piece = rest.min(TEXT_BYTES);
            out.extend_from_slice(&self.text[place..place + piece]);
            rest -= piece;
            // One letter further: so no two passes over the text are equal in a long value.
            place = (place + piece + 1) % TEXT_BYTES;
        }
    }

    /// Bytes of a request's payload.
    #[inline]
    pub(super) fn carried_len(&self, op: Op, id: ItemId) -> usize {
        if op.shape() == Shape::Extend { PIECE_BYTES } else { self.value_len(id) }
    }

    /// Appends a request's payload: a piece, or the value of this stamp.
    #[inline]
    pub(super) fn push_carried(&self, op: Op, id: ItemId, stamp: u32, out: &mut Vec<u8>) {
        match op {
            Op::Append => out.extend_from_slice(&piece(id, BEHIND)),
            Op::Prepend => out.extend_from_slice(&piece(id, BEFORE)),
            _ => self.push_value(id, stamp, out),
        }
    }

    /// Whether a fetched value is one that was stored under this number, and may have been extended since.
    #[inline]
    pub(super) fn is_value(&self, id: ItemId, value: &[u8]) -> bool {
        self.is_stored(id, value) || (self.are_extended && self.is_stored(id, without_pieces(id, value)))
    }

    #[inline]
    fn is_stored(&self, id: ItemId, value: &[u8]) -> bool {
        if id.is_counter() {
            return is_counter_value(value);
        }
        // The check contains the length only if the value has room for the whole check.
        if value.len() != self.value_len(id) {
            return false;
        }
        if value.len() < HEAD_BYTES {
            return value == &head(id, 0, value.len()).0[..value.len()];
        }
        let (in_head, mut body) = value.split_at(HEAD_BYTES);
        let stamp = from_letters(&in_head[16..]);
        let (head, mut place) = head(id, stamp, value.len());
        if in_head != head {
            return false;
        }
        while !body.is_empty() {
            let (piece, rest) = body.split_at(body.len().min(TEXT_BYTES));
            if piece != &self.text[place..place + piece.len()] {
                return false;
            }
            place = (place + piece.len() + 1) % TEXT_BYTES;
            body = rest;
        }
        true
    }

    /// The stamp of a value that belongs to this item. `None`: it is too short for one.
    pub(super) fn stamp(&self, id: ItemId, value: &[u8]) -> Option<u32> {
        let value = if self.are_extended { without_pieces(id, value) } else { value };
        (!id.is_counter() && value.len() >= HEAD_BYTES).then(|| from_letters(&value[16..HEAD_BYTES]))
    }

    /// Describes the fault of a value that belongs to this item.
    #[cold]
    pub(super) fn staleness(&self, id: ItemId) -> String {
        format!("the value of item {} is stale: it is older than what was acknowledged last", id.number())
    }

    /// Describes the fault of a value that does not belong to this item.
    #[cold]
    pub(super) fn flaw(&self, id: ItemId, value: &[u8]) -> String {
        let value = if self.are_extended { without_pieces(id, value) } else { value };
        let wanted = self.value_len(id);
        let shown = value[..value.len().min(40)].escape_ascii();
        if id.is_counter() {
            return format!("counter {} is {shown}", id.number());
        }
        let claim = (value.len() >= HEAD_BYTES).then(|| ItemId(from_letters(&value[8..16])));
        if let Some(other) = claim
            && other != id
            && self.is_value(other, value)
        {
            return format!("item {} came with the value of item {}", id.number(), other.number());
        }
        if claim.is_none_or(|claimed| claimed == id) && value.len() != wanted {
            return format!("the value of item {} has {} bytes instead of {wanted}", id.number(), value.len());
        }
        if claim == Some(id) {
            return format!("the value of item {} is torn: parts of it are not of one store", id.number());
        }
        format!("the value of item {} ({} bytes) is not one of ours: {shown}", id.number(), value.len())
    }

    /// Seconds to live; 0: forever.
    #[inline]
    pub(super) fn ttl_s(&self, id: ItemId) -> u32 {
        match &self.ttl {
            TtlPlan::Never => 0,
            TtlPlan::Fixed(seconds) => *seconds,
            TtlPlan::Mix(shares) => {
                let mut rest = unit_for(u64::from(id.0), TTL);
                for &(share, seconds) in shares {
                    if rest < share {
                        return seconds;
                    }
                    rest -= share;
                }
                0
            }
        }
    }
}

/// The bytes around the number of a piece. No value contains them, so the ends of pieces are unambiguous.
const BEFORE: [u8; 2] = *b"[]";
const BEHIND: [u8; 2] = *b"()";

#[inline]
fn piece(id: ItemId, marks: [u8; 2]) -> [u8; PIECE_BYTES] {
    let mut piece = [marks[0]; PIECE_BYTES];
    piece[1..PIECE_BYTES - 1].copy_from_slice(&letters(id.0));
    piece[PIECE_BYTES - 1] = marks[1];
    piece
}

/// The stored value within an extended one.
fn without_pieces(id: ItemId, mut value: &[u8]) -> &[u8] {
    while let Some(rest) = value.strip_prefix(&piece(id, BEFORE)) {
        value = rest;
    }
    while let Some(rest) = value.strip_suffix(&piece(id, BEHIND)) {
        value = rest;
    }
    value
}

/// Other connections move the same counters, so only the digits that cannot change are known.
#[inline]
pub(super) fn is_counter_value(value: &[u8]) -> bool {
    value.len() == COUNTER_START.len()
        && value[..COUNTER_STEADY_DIGITS] == COUNTER_START.as_bytes()[..COUNTER_STEADY_DIGITS]
        && value.iter().all(u8::is_ascii_digit)
}

/// A hash of number, stamp and length: the check in a value's head, and the place where its body starts.
#[inline]
fn head(id: ItemId, stamp: u32, len: usize) -> ([u8; HEAD_BYTES], usize) {
    let seal = bits_for(u64::from(id.0) << 32 | u64::from(stamp), SEAL ^ (len as u64) << 8);
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&letters(u32::try_from(seal >> 32).expect("the upper half")));
    head[8..16].copy_from_slice(&letters(id.0));
    head[16..].copy_from_slice(&letters(stamp));
    (head, usize::try_from(seal % BODY_PLACES).expect("below 4096"))
}

const A: u64 = 0x6161_6161_6161_6161;

/// Four bits a letter, a to p.
#[inline]
fn letters(number: u32) -> [u8; 8] {
    let mut spread = u64::from(number);
    spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    (spread + A).to_le_bytes()
}

/// The number that `letters` stand for; any number if the bytes are no such letters.
#[inline]
fn from_letters(letters: &[u8]) -> u32 {
    let spread = u64::from_le_bytes(letters.try_into().expect("eight letters"));
    let mut number = spread.wrapping_sub(A) & 0x0f0f_0f0f_0f0f_0f0f;
    number = (number | number >> 4) & 0x00ff_00ff_00ff_00ff;
    number = (number | number >> 8) & 0x0000_ffff_0000_ffff;
    u32::try_from((number | number >> 16) & 0xffff_ffff).expect("masked")
}

impl Lengths {
    fn new(plan: &SizePlan, etc: fn(f64) -> u64) -> io::Result<Self> {
        let draw: Box<dyn Fn(f64) -> u64> = match plan {
            SizePlan::Fixed(len) => return Ok(Self::Fixed(*len)),
            SizePlan::Between(least, most) if least <= most => {
                let (least, most) = (*least, *most);
                Box::new(move |unit| u64::from(least) + whole(unit * f64::from(most - least + 1)))
            }
            SizePlan::Between(least, most) => {
                return Err(invalid(format!("lengths from {least} to {most}: there are none")));
            }
            SizePlan::Etc => Box::new(etc),
            SizePlan::KvcacheReg(path) => Box::new(sizes::kvcache_reg(path)?),
        };
        // The middles of 65,536 equal shares.
        let table = (0..=u16::MAX).map(|share| draw((f64::from(share) + 0.5) / 65_536.0));
        Ok(Self::Table(table.map(|len| u32::try_from(len).unwrap_or(u32::MAX)).collect()))
    }

    fn bounds(&self) -> (u32, u32) {
        match self {
            Self::Fixed(len) => (*len, *len),
            Self::Table(table) => {
                (table.iter().copied().min().unwrap_or_default(), table.iter().copied().max().unwrap_or_default())
            }
        }
    }

    #[inline]
    fn of(&self, id: ItemId, purpose: u64) -> usize {
        match self {
            Self::Fixed(len) => *len as usize,
            Self::Table(table) => {
                table[usize::try_from(bits_for(u64::from(id.0), purpose) >> 48).expect("16 bits")] as usize
            }
        }
    }
}

const DIGIT_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        #[expect(clippy::cast_possible_truncation, reason = "both are below 10")]
        let (tens, ones) = ((value / 10) as u8, (value % 10) as u8);
        pairs[value] = [b'0' + tens, b'0' + ones];
        value += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::{ItemId, Items, from_letters, letters};
    use crate::op::Op;
    use crate::plan::{Mix, Plan, SizePlan};

    fn items(values: SizePlan) -> Items {
        Items::new(&Plan { values, ..Plan::default() }).unwrap()
    }

    fn value(items: &Items, number: u64, stamp: u32) -> Vec<u8> {
        let mut value = Vec::new();
        items.push_value(ItemId::item(number), stamp, &mut value);
        value
    }

    #[test]
    fn letters_spell_numbers() {
        for number in [0, 1, 0x1234_5678, u32::MAX] {
            assert_eq!(from_letters(&letters(number)), number);
        }
        assert_eq!(&letters(0), b"aaaaaaaa");
    }

    #[test]
    fn every_number_has_a_key_of_its_own() {
        let items = items(SizePlan::Fixed(100));
        let mut key = Vec::new();
        items.push_key(ItemId::item(123_456_789), &mut key);
        assert_eq!(key, b"bench:00000000000000000123456789");
        assert!(items.is_key(ItemId::item(123_456_789), &key));
        assert!(!items.is_key(ItemId::item(123_456_788), &key));
        key.clear();
        items.push_key(ItemId::counter(7), &mut key);
        assert_eq!(key, b"bench:0000000000000000c000000007");
    }

    #[test]
    fn a_value_is_its_own_at_every_length() {
        for len in (0..200).chain([4096, 65_521, 65_545, 65_546, 200_000]) {
            let items = items(SizePlan::Fixed(len));
            let own = value(&items, 42, 7);
            assert_eq!(own.len(), len as usize);
            assert!(items.is_value(ItemId::item(42), &own));
        }
    }

    #[test]
    fn another_items_value_is_found_out() {
        for len in [24, 25, 100, 70_000] {
            let items = items(SizePlan::Fixed(len));
            let other = value(&items, 41, 7);
            assert!(!items.is_value(ItemId::item(42), &other));
            assert_eq!(items.flaw(ItemId::item(42), &other), "item 42 came with the value of item 41");
        }
        let items = items(SizePlan::Fixed(8));
        assert!(!items.is_value(ItemId::item(42), &value(&items, 41, 0)));
    }

    #[test]
    fn a_truncated_value_is_found_out() {
        let items = items(SizePlan::Fixed(100));
        let whole = value(&items, 42, 7);
        for len in 0..100 {
            assert!(!items.is_value(ItemId::item(42), &whole[..len]), "{len}");
        }
        assert_eq!(items.flaw(ItemId::item(42), &whole[..99]), "the value of item 42 has 99 bytes instead of 100");
        assert_eq!(items.flaw(ItemId::item(42), b""), "the value of item 42 has 0 bytes instead of 100");
    }

    #[test]
    fn a_value_of_any_length_but_the_items_is_found_out() {
        for wanted in 0..100 {
            let wanted_items = items(SizePlan::Fixed(wanted));
            for len in (0..100).filter(|len| *len != wanted) {
                let other = value(&items(SizePlan::Fixed(len)), 42, 7);
                assert!(!wanted_items.is_value(ItemId::item(42), &other), "{len} instead of {wanted}");
            }
        }
    }

    #[test]
    fn a_torn_value_is_found_out() {
        for len in [60, 100, 70_000] {
            let items = items(SizePlan::Fixed(len));
            let (old, new) = (value(&items, 42, 7), value(&items, 42, 8));
            for seam in [4, 12, 20, 24, 30, len as usize - 20] {
                let torn = [&new[..seam], &old[seam..]].concat();
                assert!(!items.is_value(ItemId::item(42), &torn), "{len} {seam}");
            }
            let torn = [&new[..30], &old[30..]].concat();
            assert!(items.flaw(ItemId::item(42), &torn).contains("torn"));
        }
    }

    #[test]
    fn a_value_may_grow_by_its_own_pieces_where_they_are_sent() {
        for len in [8, 24, 100] {
            let plain = items(SizePlan::Fixed(len));
            let mix = Mix(vec![(Op::Get, 1.0), (Op::Append, 1.0)]);
            let items = Items::new(&Plan { mix, values: SizePlan::Fixed(len), ..Plan::default() }).unwrap();
            let carried = |op, number| {
                let mut carried = Vec::new();
                items.push_carried(op, ItemId::item(number), 7, &mut carried);
                assert_eq!(carried.len(), items.carried_len(op, ItemId::item(number)));
                carried
            };
            let [before, own, behind] = [Op::Prepend, Op::Set, Op::Append].map(|op| carried(op, 42));
            let grown = [&before[..], &before, &own, &behind].concat();
            assert!(items.is_value(ItemId::item(42), &own));
            assert!(items.is_value(ItemId::item(42), &grown));
            assert!(!items.is_value(ItemId::item(41), &grown));
            assert!(!plain.is_value(ItemId::item(42), &grown));
            for wrong in [
                [&own[..], &carried(Op::Append, 41)].concat(),
                [&behind[..], &own].concat(),
                [&own[..], &before].concat(),
                grown[1..].to_vec(),
                grown[..grown.len() - 1].to_vec(),
            ] {
                assert!(!items.is_value(ItemId::item(42), &wrong), "{}", wrong.escape_ascii());
            }
        }
    }

    #[test]
    fn every_byte_counts() {
        let items = items(SizePlan::Fixed(70_000));
        let mut own = value(&items, 42, 7);
        for at in [0, 8, 16, 23, 24, 65_521, 69_999] {
            own[at] ^= 1;
            assert!(!items.is_value(ItemId::item(42), &own), "{at}");
            own[at] ^= 1;
        }
        assert!(items.is_value(ItemId::item(42), &own));
    }
}

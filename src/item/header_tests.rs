//! Tests of the item header: each field keeps to its bits, whatever the others do.

use super::{
    AccessStamp, ChunkHead, Deadline, LinkInfo, Marks, QueueState, RelTime, Shape, Word0, clear_linked, deadline,
    lower_freq, note_hit, note_token_sent, promote, set_deadline, set_linked, unique, write_unlinked,
};
use crate::base::atomic::fixed::AtomicU64;

const MINUTE: AccessStamp = AccessStamp::at(RelTime(1000));

fn linked(marks: Marks) -> ChunkHead {
    let head = ChunkHead { word0: AtomicU64::new(0), word1: AtomicU64::new(0) };
    let (has_client_flags, has_version, has_proof, is_chain) = (true, false, false, false);
    let shape = Shape { key_len: 250, has_client_flags, has_version, has_proof, is_chain, value_len: 1_048_575 };
    write_unlinked(&head, shape);
    let (deadline, queue) = (Deadline(77), QueueState::SMALL);
    set_linked(&head, LinkInfo { unique: 0xff_1234_5678, deadline, accessed: MINUTE, queue, marks }, |_, _| {});
    head
}

#[test]
fn every_field_keeps_to_its_own_bits() {
    let head = linked(Marks::NONE);
    let word0 = Word0::load(&head);
    assert_eq!((word0.key_len(), word0.value_len(), word0.key_offset()), (250, 1_048_575, 20));
    assert_eq!((unique(&head, word0), deadline(&head)), (0xff_1234_5678, Deadline(77)));
    assert!(word0.is_linked() && word0.has_client_flags() && !word0.is_chain() && !word0.is_fetched());
    assert_eq!(Marks::of(word0), Marks::NONE);
    set_deadline(&head, Deadline(u32::MAX));
    assert_eq!((unique(&head, word0), deadline(&head)), (0xff_1234_5678, Deadline(u32::MAX)));
    clear_linked(&head);
    assert!(!Word0::load(&head).is_linked());
    assert_eq!(Word0::load(&head).value_len(), 1_048_575);
}

#[test]
fn marks_change_no_other_field() {
    let all = Marks::STALE.with(Marks::TOKEN_SENT).with(Marks::BINARY_KEY).with(Marks::FETCHED);
    let (plain, head) = (linked(Marks::NONE), linked(all));
    let [plain, marked] = [&plain, &head].map(Word0::load);
    assert_eq!(Marks::of(marked), all);
    assert!(marked.is_stale() && marked.is_token_sent() && marked.is_binary_key() && marked.is_fetched());
    assert_eq!(unique(&head, marked), 0xff_1234_5678);
    assert_eq!((marked.key_offset(), marked.key_len(), marked.value_len()), (20, 250, 1_048_575));
    assert_eq!((marked.idle_s(RelTime(1000)), marked.in_main(), marked.freq()), (0, plain.in_main(), plain.freq()));
    assert_eq!(all.only(Marks::STALE), Marks::STALE);
}

#[test]
fn a_token_is_sent_without_a_change_to_the_hits() {
    let head = linked(Marks::STALE);
    note_hit(&head, Word0::load(&head), MINUTE);
    note_token_sent(&head);
    let word0 = Word0::load(&head);
    assert_eq!(Marks::of(word0), Marks::STALE.with(Marks::TOKEN_SENT).with(Marks::FETCHED));
    assert_eq!(word0.freq(), 1);
}

#[test]
fn hits_count_to_three_and_the_hand_takes_them_back() {
    let head = linked(Marks::NONE);
    for expected in [1, 2, 3, 3] {
        note_hit(&head, Word0::load(&head), MINUTE);
        assert_eq!(Word0::load(&head).freq(), expected);
    }
    assert!(Word0::load(&head).is_fetched());
    let seen = Word0::load(&head);
    assert!(lower_freq(&head, seen));
    assert!(!lower_freq(&head, seen), "the header has changed since");
    assert_eq!(Word0::load(&head).freq(), 2);
}

#[test]
fn an_item_goes_over_into_main_without_its_hits() {
    let head = linked(Marks::NONE);
    note_hit(&head, Word0::load(&head), MINUTE);
    let seen = Word0::load(&head);
    assert!(!seen.in_main());
    promote(&head, seen);
    assert_eq!((Word0::load(&head).in_main(), Word0::load(&head).freq()), (true, 0));
    note_hit(&head, Word0::load(&head), MINUTE);
    let copy = linked(Marks::NONE);
    let queue = QueueState::of(Word0::load(&head));
    let (deadline, marks) = (Deadline(0), Marks::NONE);
    set_linked(&copy, LinkInfo { unique: 1, deadline, accessed: MINUTE, queue, marks }, |_, _| {});
    assert_eq!((Word0::load(&copy).in_main(), Word0::load(&copy).freq()), (true, 1));
}

#[test]
fn a_saturated_hit_stores_nothing_within_the_minute() {
    let head = linked(Marks::NONE);
    for _ in 0..3 {
        note_hit(&head, Word0::load(&head), AccessStamp::at(RelTime(1020)));
    }
    let before = Word0::load(&head);
    note_hit(&head, before, AccessStamp::at(RelTime(1079)));
    assert_eq!(Word0::load(&head), before);
    note_hit(&head, before, AccessStamp::at(RelTime(1080)));
    assert_ne!(Word0::load(&head), before);
    assert_eq!(Word0::load(&head).idle_s(RelTime(1139)), 0);
}

#[test]
fn idle_time_is_never_overstated_and_lacks_a_minute_at_most() {
    let minutes = 1 << 13;
    for accessed in [7, 59, 60, 1000, 60 * (minutes - 1) + 59, 60 * minutes] {
        let word0 = Word0(AccessStamp::at(RelTime(accessed)).0);
        for idle_s in [0, 1, 59, 60, 61, 3600, 86_400 * 5] {
            let shown = word0.idle_s(RelTime(accessed + idle_s));
            assert!(shown <= idle_s && shown + 60 > idle_s, "{accessed}: {shown} for {idle_s}");
        }
    }
}

//! Large items without a socket: complete for every length around the end of a chunk.

use larder::base::Deadline;
use larder::store::{Engine as _, Fetched, Item as _, Refusal, StoreConfig, StoreReport};

use crate::store::{Rig, config, hashed};

/// Bytes that show a shift by any offset at which chunks could be confused.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut state = 1u64;
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 16).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Bytes of an item beside key and value.
const HEADER: usize = 16;
const EXTENSION: usize = 8;
const KEY: &str = "colour";
const CHUNK_MAX: usize = 16384;
const VALUE_LEN_MAX: usize = 64 << 20;
/// Number of places in the pattern at which values begin.
const SHIFTS: usize = 4093;

/// Where the value of a chain of `links` whole links ends.
fn end_of_chain(links: usize) -> usize {
    CHUNK_MAX - HEADER - EXTENSION - KEY.len() + links * (CHUNK_MAX - HEADER)
}

/// A rig for values of up to 64 MiB, and bytes for all of them.
fn rig_and_pattern(limit_mib: u64) -> (Rig, Vec<u8>) {
    let value_len_max = u32::try_from(VALUE_LEN_MAX).expect("64 MiB fit");
    (Rig::new(StoreConfig { value_len_max, ..config(limit_mib) }), pattern(VALUE_LEN_MAX + SHIFTS))
}

fn round_trip(rig: &mut Rig, pattern: &[u8], len: usize) {
    // The earlier content of the chunks is from another place of the pattern, so an unwritten byte shows.
    let value = &pattern[len * 31 % SHIFTS..][..len];
    assert_eq!(rig.set(KEY, value, Deadline::NEVER), Ok(()), "{len} bytes");
    let is_whole = rig.turn(|worker, pin| {
        let key = hashed(worker, KEY);
        let Fetched::Hit(item) = worker.fetch(pin, key) else { return false };
        let mut rest = value;
        item.for_each_piece(&mut |piece| rest = rest.strip_prefix(piece).unwrap_or(b"differs"));
        rest.is_empty() && item.value_len() as usize == len
    });
    assert!(is_whole, "{len} bytes");
}

/// The length of the longest value that fits, and one byte less and more.
fn around(room: usize) -> impl Iterator<Item = usize> {
    room.saturating_sub(1)..=room + 1
}

fn chunk_sizes(rig: &Rig) -> Vec<usize> {
    rig.store.classes().map(|(_, chunk_bytes, _)| chunk_bytes as usize).collect()
}

#[test]
fn values_round_trip_around_every_class_and_every_chunk_of_a_chain() {
    let (mut rig, pattern) = rig_and_pattern(64);
    let alone = chunk_sizes(&rig).into_iter().map(|size| size - HEADER - KEY.len());
    let chains = (0..=66).map(end_of_chain);
    for len in alone.chain(chains).flat_map(around).chain([0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1]) {
        round_trip(&mut rig, &pattern, len);
    }
}

#[test]
fn chains_round_trip_around_every_class_of_their_last_link() {
    let (mut rig, pattern) = rig_and_pattern(256);
    for links in [0, 1, 63, 64, 4095] {
        for size in chunk_sizes(&rig) {
            around(end_of_chain(links) + size - HEADER).for_each(|len| round_trip(&mut rig, &pattern, len));
        }
    }
}

#[test]
fn values_of_many_mebibytes_round_trip_up_to_the_longest() {
    let (mut rig, pattern) = rig_and_pattern(256);
    let last = (0..).take_while(|links| end_of_chain(*links) < VALUE_LEN_MAX).last().unwrap();
    let chains = [128, 511, 512, 2113, last - 1, last].map(end_of_chain);
    for len in chains.into_iter().flat_map(around).chain([VALUE_LEN_MAX - 1, VALUE_LEN_MAX]) {
        round_trip(&mut rig, &pattern, len);
    }
    assert_eq!(rig.set(KEY, &pattern[..=VALUE_LEN_MAX], Deadline::NEVER), Err(Refusal::TooLarge));
}

/// Chunks of a class that hold items or parts of them.
fn used_chunks(rig: &mut Rig, class: u8) -> u64 {
    rig.report(StoreReport::Slabs).get(&format!("{class}:used_chunks")).copied().unwrap_or(0)
}

#[test]
fn values_round_trip_around_classes_that_came_while_running() {
    let (mut rig, pattern) = rig_and_pattern(256);
    rig.store.start_jobs().unwrap();
    // Items that fill 408 bytes, and chains whose last link fills 5376. At first no class has either size. Both sizes
    // are the largest chunks of which the same number fits a page, and the chain has the greatest length that the
    // fitter counts.
    let (small_len, chain_len) = (408 - HEADER - KEY.len(), end_of_chain(1) + 5376 - HEADER);
    let fitted = |rig: &Rig, bytes| rig.store.classes().find(|class| class.1 == bytes).map(|(class, ..)| class);
    assert_eq!([408, 5376].map(|bytes| fitted(&rig, bytes)), [None; 2]);
    let mut number = 0;
    let classes = loop {
        if let [Some(small), Some(link)] = [408, 5376].map(|bytes| fitted(&rig, bytes)) {
            break [(small, 408), (link, 5376)];
        }
        assert!(number < 100_000, "no class for them before memory is full: {:?}", chunk_sizes(&rig));
        let len = if number % 50 == 0 { chain_len } else { small_len };
        rig.set(&format!("{number:06}"), &pattern[number..][..len], Deadline::NEVER).unwrap();
        number += 1;
        std::thread::yield_now();
    };
    for number in 0..number {
        let value = &pattern[number..][..if number % 50 == 0 { chain_len } else { small_len }];
        let key = format!("{number:06}");
        assert!(rig.get(&key).is_some_and(|found| found == value), "{key}, stored before there was a class for it");
        assert!(rig.delete(&key));
    }
    for (class, chunk_bytes) in classes {
        let alone = chunk_bytes - HEADER - KEY.len();
        let chains = [0, 1, 63, 64, 4095].map(|links| end_of_chain(links) + chunk_bytes - HEADER);
        for room in chains.into_iter().chain([alone]) {
            for len in around(room) {
                round_trip(&mut rig, &pattern, len);
                assert_eq!(used_chunks(&mut rig, class), u64::from(len <= room), "{len} bytes, class {class}");
            }
        }
    }
}

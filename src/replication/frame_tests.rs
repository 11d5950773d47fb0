//! Frames: every kind survives the way there and back, and no bytes make the decoder fail.

use super::cache::HashRange;
use super::entries::{Hashes, SyncEntries, SyncEntry};
use super::frame::{
    Decoded, Frame, FrameError, HEADER_BYTES, Hello, LinkRefusal, LogPosition, NodeId, Purpose, decode,
};
use super::owner::{MembersView, OwnedAction, OwnedOutcome, OwnedRequest, OwnerFrame};
use super::record::{ChangeRecord, RecordBatch};
use super::seal::{LinkKeys, SEAL_BYTES, seal};
use super::vector::VersionVector;
use crate::base::{Key, KeyHash, NodeNumber, Version, VersionedValue};

const BYTES_MAX: usize = 1 << 20;

fn at(number: u64) -> Version {
    Version::from_bits((number << 22) | (number % 3))
}

/// Calls `visit` with a frame of each kind.
fn each_frame(mut visit: impl FnMut(&Frame<'_>)) {
    let seen: VersionVector = [at(1), at(2), at(3)].into_iter().collect();
    let mut batch = RecordBatch::default();
    let key = Key::new(b"colour").unwrap();
    let value = VersionedValue { version: at(4), key, client_flags: 5, marks: 6, ttl_ms: Some(7), data: b"blue" };
    batch.push(&ChangeRecord::Set(value));
    batch.push(&ChangeRecord::Set(VersionedValue { ttl_ms: None, data: b"", ..value }));
    batch.push(&ChangeRecord::Touch { version: at(8), hash: KeyHash(9), base: at(4), ttl_ms: Some(10) });
    batch.push(&ChangeRecord::Delete { version: at(11), hash: KeyHash(12) });
    batch.push(&ChangeRecord::Outdated { version: at(13), hash: KeyHash(14) });
    batch.push(&ChangeRecord::Flush { version: at(15) });
    let records = batch.records();
    assert_eq!(records.count(), 6);
    let (mut entries, mut hashes) = (Vec::new(), Vec::new());
    SyncEntries::push(&mut entries, SyncEntry { hash: KeyHash(1), version: at(2), is_deleted: true });
    Hashes::push(&mut hashes, KeyHash(3));
    let range = HashRange::new(3, 5).unwrap();
    let hello = Hello {
        proof: [1; 32],
        cluster: b"name",
        node: NodeId(2),
        number: NodeNumber::new(3),
        incarnation: 4,
        clock: at(5),
        seen: seen.clone(),
        forgotten: VersionVector::default(),
        flushed: at(6),
        value_bytes_max: 10,
        owner_digest: 11,
        positions: [Some(9), None]
            .map(|next| LogPosition { node: NodeId(7), incarnation: 8, next, through: at(12) })
            .to_vec(),
    };
    let (forgotten, entries) = (seen.clone(), SyncEntries::of(&entries).unwrap());
    let owned = Frame::Owner;
    let (nodes, heard) = (vec![NodeId(1), NodeId(2)], Some((3, 4)));
    let view = MembersView { nodes, generation: 5, sent_ms: 6, heard, seen: seen.clone() };
    let data = b"1"[..].into();
    let add = OwnedAction::Add { client_flags: 7, is_binary_key: true, ttl_ms: Some(8), data };
    let delete = OwnedAction::Delete { compare: Some(9) };
    let frames = [
        Frame::Challenge { protocol: 1, nonce: [2; 16] },
        Frame::Hello(hello),
        Frame::Welcome,
        Frame::Refuse(LinkRefusal::Skew),
        Frame::Records { from: 1, to: 2, since: at(1), through: at(3), records },
        Frame::Ack { next: 4, seen: seen.clone() },
        Frame::Begin,
        Frame::Ready { bits: 3, seen, forgotten: forgotten.clone(), flushed: at(4) },
        Frame::Digest { range, sum: 5 },
        Frame::Split { range },
        Frame::Entries { range, is_equal: false, forgotten, entries },
        Frame::Fetch { purpose: Purpose::Range(range), hashes: Hashes::of(&hashes).unwrap() },
        Frame::Values { ended: Some(Purpose::Touch), records },
        Frame::Values { ended: None, records },
        Frame::Done,
        owned(OwnerFrame::Members(view.clone())),
        owned(OwnerFrame::Members(MembersView { heard: None, ..view })),
        owned(OwnerFrame::Ask { id: 1, request: OwnedRequest { key: b"lock"[..].into(), action: add } }),
        owned(OwnerFrame::Ask { id: 2, request: OwnedRequest { key: b"lock"[..].into(), action: delete } }),
        owned(OwnerFrame::Answer { id: 3, outcome: OwnedOutcome::Stored(at(4)) }),
        owned(OwnerFrame::Answer { id: 3, outcome: OwnedOutcome::Unavailable }),
        owned(OwnerFrame::Withdraw { id: 4 }),
        owned(OwnerFrame::Withdrawn { id: 5 }),
    ];
    frames.iter().for_each(&mut visit);
}

#[test]
fn every_frame_survives_the_way_there_and_back() {
    let mut count = 0;
    each_frame(|frame| {
        count += 1;
        let bytes = frame.encode(count, None);
        let Decoded { sequence, frame: decoded, consumed } = decode(&bytes, BYTES_MAX, None).unwrap().unwrap();
        assert_eq!((sequence, consumed), (count, bytes.len()));
        assert_eq!(format!("{decoded:?}"), format!("{frame:?}"));
        assert_eq!(decoded.encode(count, None), bytes);
    });
    assert_eq!(count, 23);
}

#[test]
fn a_frame_that_is_cut_needs_more_bytes() {
    each_frame(|frame| {
        let bytes = frame.encode(0, None);
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len], BYTES_MAX, None).unwrap().is_none());
        }
    });
}

#[test]
fn a_changed_byte_is_noticed() {
    each_frame(|frame| {
        let bytes = frame.encode(0, None);
        for index in 4..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 0x10;
            assert_eq!(decode(&changed, BYTES_MAX, None).err(), Some(FrameError::Seal));
        }
    });
}

#[test]
fn a_frame_without_the_key_of_its_direction_is_noticed() {
    let keys = LinkKeys::new(b"secret", &[1; 16], &[2; 16]);
    let mut keyed = 0;
    each_frame(|frame| {
        let bytes = frame.encode(0, Some(&keys.own));
        let is_taken = |key| decode(&bytes, BYTES_MAX, key).is_ok();
        assert!(is_taken(Some(&keys.own)));
        // Nodes that refuse each other may have no key in common.
        let is_open = matches!(frame, Frame::Challenge { .. } | Frame::Hello(_) | Frame::Refuse(_));
        assert_eq!([is_taken(Some(&keys.theirs)), is_taken(None)], [is_open; 2]);
        keyed += u32::from(!is_open);
    });
    assert_eq!(keyed, 20);
}

#[test]
fn a_frame_longer_than_the_receiver_allows_is_refused_before_it_arrives() {
    let too_long = u32::try_from(BYTES_MAX).unwrap().to_le_bytes();
    assert_eq!(decode(&too_long, BYTES_MAX, None).err(), Some(FrameError::Length));
    let too_short = u32::try_from(HEADER_BYTES - 5).unwrap().to_le_bytes();
    assert_eq!(decode(&too_short, BYTES_MAX, None).err(), Some(FrameError::Length));
}

/// Bodies with a right checksum: the decoder must give a frame or an error for each of them.
#[test]
fn no_body_makes_the_decoder_fail() {
    let (mut seed, mut decoded) = (1_u64, 0);
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    each_frame(|frame| {
        let bytes = frame.encode(0, None);
        for _ in 0..2_000 {
            let mut body = bytes[4 + SEAL_BYTES..].to_vec();
            for _ in 0..=random() % 3 {
                let index = usize::try_from(random()).unwrap() % body.len();
                body[index] = u8::try_from(random() % 256).unwrap();
            }
            body.truncate(body.len() - usize::try_from(random() % 4 / 3).unwrap());
            let mut framed = u32::try_from(body.len() + SEAL_BYTES).unwrap().to_le_bytes().to_vec();
            framed.extend(seal(&body, None));
            framed.extend(&body);
            match decode(&framed, BYTES_MAX, None) {
                Ok(None) => panic!("the frame is complete"),
                Ok(Some(whole)) => {
                    decoded += 1;
                    assert_eq!(whole.consumed, framed.len());
                }
                Err(error) => assert!([FrameError::Malformed, FrameError::Length].contains(&error)),
            }
        }
    });
    assert!(decoded > 1_000, "{decoded}");
}

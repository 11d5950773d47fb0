//! Frames: what two nodes say to each other, and its bytes.
//!
//! ```text
//! length 4 │ seal 16 │ type 1 │ sequence 8 │ body
//!            └─ of ───────── all that follows ─┘   the length counts from the seal on; little-endian
//!
//! both sides   Challenge ─▶ Hello ─▶ Welcome | Refuse         a link begins
//! origin       Records ─▶         ◀─ Ack                      its changes, in order; without records as a heartbeat
//! requester    Begin ─▶           ◀─ Ready                    a synchronization:
//!              Digest ─▶          ◀─ Entries | Split            what is in this range of hashes?
//!              Fetch, Values ─▶   ◀─ Values                     what the one lacks, and what the other lacks
//!              Done ─▶
//! any node     Members, Ask, Withdraw ─▶   ◀─ Answer, Withdrawn   owned keys: owner/
//! ```
//!
//! The decoder is total: any bytes give a frame or an error, and it allocates no more than a list of versions.

use std::fmt;

use crate::base::{NodeNumber, Version};

use super::cache::HashRange;
use super::entries::{Hashes, SyncEntries};
use super::owner::OwnerFrame;
use super::proof::is_same;
use super::record::Records;
use super::seal::{FrameKey, SEAL_BYTES, seal};
use super::vector::VersionVector;
use super::wire::{FieldReader, FieldWriter};

/// The protocol that this code speaks.
pub(super) const PROTOCOL: u16 = 4;
/// The first bytes of a challenge, so that a client at the wrong port is refused at once.
const MAGIC: [u8; 4] = *b"LRDR";
/// Bytes of a frame before its body.
pub const HEADER_BYTES: usize = SEALED_FROM + 9;
/// The first byte that the seal covers.
const SEALED_FROM: usize = 4 + SEAL_BYTES;
/// Most bytes of a frame before the link is up. Two full version vectors fit.
pub const HANDSHAKE_BYTES_MAX: usize = 32 << 10;
/// Most bytes of a cluster's name.
pub(super) const CLUSTER_LEN_MAX: usize = 64;
/// Most peers that a node knows at a time.
pub(super) const PEERS_MAX: usize = 32;
/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 16;
/// Bytes of a proof that a node knows the secret.
pub(super) const PROOF_BYTES: usize = 32;

/// The types of frames that begin or refuse a link.
const CHALLENGE: u8 = 1;
const HELLO: u8 = 2;
const REFUSE: u8 = 4;

/// A random number for one link.
pub type Nonce = [u8; NONCE_BYTES];

/// Who a node is, for as long as it keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u64);

/// How far a node has followed the log of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// Whose log.
    pub node: NodeId,
    /// Which one: a node begins a log when it starts.
    pub incarnation: u64,
    /// The position of the next entry; `None` if it has not begun to follow this one.
    pub next: Option<u64>,
    /// It has all changes of the other node up to this version, whichever log had them.
    pub through: Version,
}

/// A node introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello<'f> {
    /// Shows that it knows the secret; zeros without one.
    pub proof: [u8; PROOF_BYTES],
    /// The name of its mesh.
    pub cluster: &'f [u8],
    /// Who it is.
    pub node: NodeId,
    /// Its number in versions.
    pub number: NodeNumber,
    /// Its log.
    pub incarnation: u64,
    /// Its clock.
    pub clock: Version,
    /// What it has seen.
    pub seen: VersionVector,
    /// Deletes that it has forgotten.
    pub forgotten: VersionVector,
    /// Its latest flush.
    pub flushed: Version,
    /// Most bytes of a value that it stores.
    pub value_bytes_max: u64,
    /// A digest of the prefixes of keys with owners; 0 without any.
    pub owner_digest: u64,
    /// How far it has followed other logs.
    pub positions: Vec<LogPosition>,
}

/// Why a node does not talk to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// It speaks another version of the protocol.
    Protocol,
    /// It does not know the secret.
    Secret,
    /// It belongs to another mesh.
    Cluster,
    /// It is this node itself.
    Itself,
    /// Another node has its id, or its number in versions.
    Duplicate,
    /// There is a link between the two nodes already.
    Linked,
    /// Its clock is too far ahead.
    Skew,
    /// There are too many peers.
    Full,
    /// An operator has paused it.
    Paused,
}

impl LinkRefusal {
    /// The reason in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Protocol => "the versions of the protocol differ",
            Self::Secret => "the secrets differ",
            Self::Cluster => "the names of the clusters differ",
            Self::Itself => "it is the same node",
            Self::Duplicate => "two nodes have the same id or number",
            Self::Linked => "there is a link already",
            Self::Skew => "the clock of one is too far ahead",
            Self::Full => "there are too many peers",
            Self::Paused => "an operator has paused the peer",
        }
    }
}

impl fmt::Display for LinkRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

/// One message.
#[derive(Clone, Debug)]
pub enum Frame<'f> {
    /// The first frame on a link.
    Challenge {
        /// The version of the protocol.
        protocol: u16,
        /// What the peer has to prove with.
        nonce: Nonce,
    },
    /// The second one.
    Hello(Hello<'f>),
    /// The peer is accepted.
    Welcome,
    /// The peer is not accepted.
    Refuse(LinkRefusal),
    /// Changes by the sender.
    Records {
        /// Position in its log of the first change.
        from: u64,
        /// Position after the last one.
        to: u64,
        /// The log has all changes by the sender after this version that come before `to`.
        since: Version,
        /// All changes by the sender up to this version were sent.
        through: Version,
        /// The changes.
        records: Records<'f>,
    },
    /// Changes were applied.
    Ack {
        /// Position of the next one in the log.
        next: u64,
        /// What the sender has seen of each node's changes.
        seen: VersionVector,
    },
    /// The sender wants to compare all items.
    Begin,
    /// The sender is ready for that.
    Ready {
        /// The hashes of a range should have this many bits in common, at least.
        bits: u8,
        /// What it has seen.
        seen: VersionVector,
        /// Deletes that it has forgotten.
        forgotten: VersionVector,
        /// Its latest flush.
        flushed: Version,
    },
    /// What the sender has in a range.
    Digest {
        /// The range.
        range: HashRange,
        /// A sum over items and tombstones.
        sum: u64,
    },
    /// What the sender has in a range, in answer to a digest.
    Entries {
        /// The range.
        range: HashRange,
        /// Both have the same. Otherwise the entries follow.
        is_equal: bool,
        /// Deletes that the sender has forgotten.
        forgotten: VersionVector,
        /// Items and tombstones.
        entries: SyncEntries<'f>,
    },
    /// The sender has more in a range than fits into a frame.
    Split {
        /// The range.
        range: HashRange,
    },
    /// The sender lacks these items.
    Fetch {
        /// Why it asks.
        purpose: Purpose,
        /// The items.
        hashes: Hashes<'f>,
    },
    /// Items and deletes that the receiver lacks.
    Values {
        /// The fetch whose last values these are.
        ended: Option<Purpose>,
        /// The values.
        records: Records<'f>,
    },
    /// The sender has compared all items.
    Done,
    /// About keys that one node owns.
    Owner(OwnerFrame),
}

/// Why a node fetches items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It lacks the value that a touch refers to, or had no memory for a value when that arrived.
    Touch,
    /// It lacks them in this range.
    Range(HashRange),
}

/// Why bytes are not a frame. The link cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// It is longer than the receiver allows, or shorter than a header.
    Length,
    /// Its bytes were changed on the way, or another one has sent it.
    Seal,
    /// The seal is right, and the body makes no sense.
    Malformed,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a frame is too long or too short",
            Self::Seal => "the seal of a frame is wrong",
            Self::Malformed => "a frame makes no sense",
        })
    }
}

/// A frame at the front of received bytes.
#[derive(Clone, Debug)]
pub struct Decoded<'f> {
    /// Its number on the link, counted from 0.
    pub sequence: u64,
    /// The frame.
    pub frame: Frame<'f>,
    /// Its length.
    pub consumed: usize,
}

/// The frame at the front of `bytes`, if all of it has arrived. It may have `bytes_max` bytes. `key` is that of the
/// sender.
///
/// # Errors
/// If the bytes cannot be the beginning of a frame.
pub fn decode<'f>(
    bytes: &'f [u8],
    bytes_max: usize,
    key: Option<&FrameKey>,
) -> Result<Option<Decoded<'f>>, FrameError> {
    let Some((len, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| FrameError::Length)?;
    let consumed =
        len.checked_add(4).filter(|all| (HEADER_BYTES..=bytes_max).contains(all)).ok_or(FrameError::Length)?;
    let Some(sealed) = rest.get(..len) else { return Ok(None) };
    let mut reader = FieldReader::new(sealed);
    let received = reader.array().ok_or(FrameError::Length)?;
    let kind = reader.rest().first().copied().unwrap_or(0);
    if !is_same(&received, &seal(reader.rest(), key.filter(|_| is_keyed(kind)))) {
        return Err(FrameError::Seal);
    }
    let (sequence, frame) = read_frame(reader).ok_or(FrameError::Malformed)?;
    Ok(Some(Decoded { sequence, frame, consumed }))
}

fn read_frame(mut reader: FieldReader<'_>) -> Option<(u64, Frame<'_>)> {
    let (kind, sequence) = (reader.u8()?, reader.u64()?);
    Some((sequence, read_body(kind, reader)?))
}

/// Whether frames of this type have a key. Those that begin or refuse a link have none.
const fn is_keyed(kind: u8) -> bool {
    !matches!(kind, CHALLENGE | HELLO | REFUSE)
}

fn read_body(kind: u8, mut reader: FieldReader<'_>) -> Option<Frame<'_>> {
    match kind {
        CHALLENGE => {
            let (magic, protocol, nonce) = (reader.array()?, reader.u16()?, reader.array()?);
            // A later protocol may have more to say here.
            (magic == MAGIC).then_some(Frame::Challenge { protocol, nonce })
        }
        HELLO => {
            let hello = read_hello(&mut reader)?;
            reader.end(Frame::Hello(hello))
        }
        3 => reader.end(Frame::Welcome),
        REFUSE => {
            let refusal = refusal_of(reader.u8()?)?;
            reader.end(Frame::Refuse(refusal))
        }
        5 => {
            let (from, to, since, through) = (reader.u64()?, reader.u64()?, reader.version()?, reader.version()?);
            Some(Frame::Records { from, to, since, through, records: Records::checked(reader.rest())? })
        }
        6 => {
            let (next, seen) = (reader.u64()?, reader.vector()?);
            reader.end(Frame::Ack { next, seen })
        }
        7 => reader.end(Frame::Begin),
        8 => {
            let (bits, seen, forgotten) = (reader.u8()?, reader.vector()?, reader.vector()?);
            let flushed = reader.version()?;
            reader.end(Frame::Ready { bits, seen, forgotten, flushed })
        }
        9 => {
            let (range, sum) = (read_range(&mut reader)?, reader.u64()?);
            reader.end(Frame::Digest { range, sum })
        }
        10 => {
            let (range, is_equal, forgotten) = (read_range(&mut reader)?, reader.bool()?, reader.vector()?);
            Some(Frame::Entries { range, is_equal, forgotten, entries: SyncEntries::of(reader.rest())? })
        }
        11 => {
            let purpose = read_purpose(&mut reader)??;
            Some(Frame::Fetch { purpose, hashes: Hashes::of(reader.rest())? })
        }
        12 => {
            let ended = read_purpose(&mut reader)?;
            Some(Frame::Values { ended, records: Records::checked(reader.rest())? })
        }
        13 => reader.end(Frame::Done),
        14 => {
            let range = read_range(&mut reader)?;
            reader.end(Frame::Split { range })
        }
        kind => OwnerFrame::read(kind, reader).map(Frame::Owner),
    }
}

fn read_hello<'f>(reader: &mut FieldReader<'f>) -> Option<Hello<'f>> {
    let proof = reader.array()?;
    let cluster_len = usize::from(reader.u8()?);
    let cluster = reader.bytes(cluster_len).filter(|name| name.len() <= CLUSTER_LEN_MAX)?;
    Some(Hello {
        proof,
        cluster,
        node: NodeId(reader.u64()?),
        number: NodeNumber::new(reader.u16()?),
        incarnation: reader.u64()?,
        clock: reader.version()?,
        seen: reader.vector()?,
        forgotten: reader.vector()?,
        flushed: reader.version()?,
        value_bytes_max: reader.u64()?,
        owner_digest: reader.u64()?,
        positions: read_positions(reader)?,
    })
}

fn read_range(reader: &mut FieldReader<'_>) -> Option<HashRange> {
    HashRange::new(reader.u8()?, reader.u32()?)
}

fn read_purpose(reader: &mut FieldReader<'_>) -> Option<Option<Purpose>> {
    match reader.u8()? {
        0 => Some(None),
        1 => Some(Some(Purpose::Touch)),
        2 => Some(Some(Purpose::Range(read_range(reader)?))),
        _ => None,
    }
}

fn put_range(writer: &mut FieldWriter, range: HashRange) {
    writer.u8(range.bits());
    writer.u32(range.index());
}

fn put_purpose(writer: &mut FieldWriter, purpose: Option<Purpose>) {
    match purpose {
        None => writer.u8(0),
        Some(Purpose::Touch) => writer.u8(1),
        Some(Purpose::Range(range)) => {
            writer.u8(2);
            put_range(writer, range);
        }
    }
}

const REFUSALS: [LinkRefusal; 9] = [
    LinkRefusal::Protocol,
    LinkRefusal::Secret,
    LinkRefusal::Cluster,
    LinkRefusal::Itself,
    LinkRefusal::Duplicate,
    LinkRefusal::Linked,
    LinkRefusal::Skew,
    LinkRefusal::Full,
    LinkRefusal::Paused,
];

fn refusal_of(code: u8) -> Option<LinkRefusal> {
    REFUSALS.get(usize::from(code)).copied()
}

fn code_of(refusal: LinkRefusal) -> u8 {
    let index = REFUSALS.iter().position(|known| *known == refusal).unwrap_or(REFUSALS.len());
    u8::try_from(index).unwrap_or(u8::MAX)
}

impl Frame<'_> {
    /// The highest version in the frame. A base of a touch does not count: it is only compared.
    pub(super) fn latest(&self) -> Version {
        match self {
            Self::Challenge { .. } | Self::Welcome | Self::Refuse(_) | Self::Begin | Self::Done => Version::ZERO,
            Self::Digest { .. } | Self::Split { .. } | Self::Fetch { .. } => Version::ZERO,
            Self::Hello(hello) => hello.latest(),
            Self::Records { through, records, .. } => records.latest().max(*through),
            Self::Ack { seen, .. } => seen.latest(),
            Self::Ready { seen, forgotten, flushed, .. } => seen.latest().max(forgotten.latest()).max(*flushed),
            Self::Entries { forgotten, entries, .. } => entries.latest().max(forgotten.latest()),
            Self::Values { records, .. } => records.latest(),
            Self::Owner(frame) => frame.latest(),
        }
    }

    /// The bytes of the frame, as number `sequence` on its link. `key` is that of the sender.
    pub fn encode(&self, sequence: u64, key: Option<&FrameKey>) -> Vec<u8> {
        let mut writer = FieldWriter::default();
        writer.bytes(&[0; SEALED_FROM]);
        writer.u8(self.kind());
        writer.u64(sequence);
        self.put_body(&mut writer);
        let mut bytes = writer.into_bytes();
        let seal = seal(&bytes[SEALED_FROM..], key.filter(|_| is_keyed(self.kind())));
        // A frame is a batch of bounded size, or holds one value of at most 1 GiB, so the length fits.
        let len = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4..SEALED_FROM].copy_from_slice(&seal);
        bytes
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Challenge { .. } => CHALLENGE,
            Self::Hello(_) => HELLO,
            Self::Welcome => 3,
            Self::Refuse(_) => REFUSE,
            Self::Records { .. } => 5,
            Self::Ack { .. } => 6,
            Self::Begin => 7,
            Self::Ready { .. } => 8,
            Self::Digest { .. } => 9,
            Self::Entries { .. } => 10,
            Self::Fetch { .. } => 11,
            Self::Values { .. } => 12,
            Self::Done => 13,
            Self::Split { .. } => 14,
            Self::Owner(frame) => frame.kind(),
        }
    }

    fn put_body(&self, writer: &mut FieldWriter) {
        match self {
            Self::Challenge { protocol, nonce } => {
                writer.bytes(&MAGIC);
                writer.u16(*protocol);
                writer.bytes(nonce);
            }
            Self::Hello(hello) => {
                writer.bytes(&hello.proof);
                put_hello(writer, hello);
            }
            Self::Welcome | Self::Begin | Self::Done => {}
            Self::Refuse(refusal) => writer.u8(code_of(*refusal)),
            Self::Records { from, to, since, through, records } => {
                writer.u64(*from);
                writer.u64(*to);
                writer.version(*since);
                writer.version(*through);
                writer.bytes(records.bytes());
            }
            Self::Ack { next, seen } => {
                writer.u64(*next);
                writer.vector(seen);
            }
            Self::Ready { bits, seen, forgotten, flushed } => {
                writer.u8(*bits);
                writer.vector(seen);
                writer.vector(forgotten);
                writer.version(*flushed);
            }
            Self::Split { range } => put_range(writer, *range),
            Self::Digest { range, sum } => {
                put_range(writer, *range);
                writer.u64(*sum);
            }
            Self::Entries { range, is_equal, forgotten, entries } => {
                put_range(writer, *range);
                writer.bool(*is_equal);
                writer.vector(forgotten);
                writer.bytes(entries.bytes());
            }
            Self::Fetch { purpose, hashes } => {
                put_purpose(writer, Some(*purpose));
                writer.bytes(hashes.bytes());
            }
            Self::Values { ended, records } => {
                put_purpose(writer, *ended);
                writer.bytes(records.bytes());
            }
            Self::Owner(frame) => frame.put(writer),
        }
    }
}

impl Hello<'_> {
    /// The highest version in it.
    pub(super) fn latest(&self) -> Version {
        self.seen.latest().max(self.forgotten.latest()).max(self.flushed).max(self.clock)
    }

    /// All but the proof.
    pub(super) fn unproven_bytes(&self) -> Vec<u8> {
        let mut writer = FieldWriter::default();
        put_hello(&mut writer, self);
        writer.into_bytes()
    }
}

fn put_hello(writer: &mut FieldWriter, hello: &Hello<'_>) {
    let name = &hello.cluster[..hello.cluster.len().min(CLUSTER_LEN_MAX)];
    writer.u8(u8::try_from(name.len()).unwrap_or(0));
    writer.bytes(name);
    writer.u64(hello.node.0);
    writer.u16(hello.number.get());
    writer.u64(hello.incarnation);
    writer.version(hello.clock);
    writer.vector(&hello.seen);
    writer.vector(&hello.forgotten);
    writer.version(hello.flushed);
    writer.u64(hello.value_bytes_max);
    writer.u64(hello.owner_digest);
    write_positions(writer, hello.positions.iter());
}

/// Writes at most [`PEERS_MAX`] positions.
pub(super) fn write_positions<'a>(writer: &mut FieldWriter, positions: impl ExactSizeIterator<Item = &'a LogPosition>) {
    writer.list(positions.take(PEERS_MAX), |writer, position| {
        writer.u64(position.node.0);
        writer.u64(position.incarnation);
        writer.optional_u64(position.next);
        writer.version(position.through);
    });
}

/// Reads what [`write_positions`] has written.
pub(super) fn read_positions(reader: &mut FieldReader<'_>) -> Option<Vec<LogPosition>> {
    reader.list(PEERS_MAX, |reader| {
        let (node, incarnation) = (NodeId(reader.u64()?), reader.u64()?);
        Some(LogPosition { node, incarnation, next: reader.optional_u64()?, through: reader.version()? })
    })
}

//! Frames about owned keys, and their bytes.

use std::mem::discriminant;

use crate::base::{Key, Version};
use crate::replication::frame::{NodeId, PEERS_MAX};
use crate::replication::wire::{FieldReader, FieldWriter};

use super::{MembersView, OWNED_VALUE_BYTES_MAX, OwnedAction, OwnedOutcome, OwnedRequest};

/// A frame about owned keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerFrame {
    /// Who the members are, as the sender sees it.
    Members(MembersView),
    /// The sender's client wants something of a key that the receiver owns.
    Ask {
        /// Names the request.
        id: u64,
        /// What it wants.
        request: OwnedRequest,
    },
    /// What became of a request.
    Answer {
        /// The request.
        id: u64,
        /// What became of it.
        outcome: OwnedOutcome,
    },
    /// The client of an add was told of an error: undo it.
    Withdraw {
        /// The request.
        id: u64,
    },
    /// It is undone, or was not carried out.
    Withdrawn {
        /// The request.
        id: u64,
    },
}

/// The types of these frames.
const MEMBERS: u8 = 15;
const ASK: u8 = 16;
const ANSWER: u8 = 17;
const WITHDRAW: u8 = 18;
const WITHDRAWN: u8 = 19;
/// Outcomes in the order of their codes. A frame has the version beside the code.
const OUTCOMES: [OwnedOutcome; 7] = [
    OwnedOutcome::Stored(Version::ZERO),
    OwnedOutcome::NotStored,
    OwnedOutcome::Deleted(Version::ZERO),
    OwnedOutcome::NotFound,
    OwnedOutcome::Exists,
    OwnedOutcome::NoMemory,
    OwnedOutcome::Unavailable,
];

impl OwnerFrame {
    /// The type of the frame.
    pub(in crate::replication) const fn kind(&self) -> u8 {
        match self {
            Self::Members(_) => MEMBERS,
            Self::Ask { .. } => ASK,
            Self::Answer { .. } => ANSWER,
            Self::Withdraw { .. } => WITHDRAW,
            Self::Withdrawn { .. } => WITHDRAWN,
        }
    }

    /// The highest version in it.
    pub(in crate::replication) fn latest(&self) -> Version {
        match self {
            Self::Members(view) => view.seen.latest(),
            Self::Answer { outcome, .. } => outcome.version().unwrap_or_default(),
            Self::Ask { .. } | Self::Withdraw { .. } | Self::Withdrawn { .. } => Version::ZERO,
        }
    }

    pub(in crate::replication) fn put(&self, writer: &mut FieldWriter) {
        match self {
            Self::Members(view) => {
                writer.list(view.nodes.iter(), |writer, node| writer.u64(node.0));
                writer.u64(view.generation);
                writer.u64(view.sent_ms);
                writer.bool(view.heard.is_some());
                if let Some((generation, sent_ms)) = view.heard {
                    writer.u64(generation);
                    writer.u64(sent_ms);
                }
                writer.vector(&view.seen);
            }
            Self::Ask { id, request } => {
                writer.u64(*id);
                writer.u8(u8::try_from(request.key.len()).unwrap_or(0));
                writer.bytes(&request.key);
                match &request.action {
                    OwnedAction::Add { client_flags, is_binary_key, ttl_ms, data } => {
                        writer.bool(true);
                        writer.u32(*client_flags);
                        writer.bool(*is_binary_key);
                        writer.optional_u64(*ttl_ms);
                        writer.bytes(data);
                    }
                    OwnedAction::Delete { compare } => {
                        writer.bool(false);
                        writer.optional_u64(*compare);
                    }
                }
            }
            Self::Answer { id, outcome } => {
                let is_same = |other: &OwnedOutcome| discriminant(other) == discriminant(outcome);
                let code = OUTCOMES.iter().position(is_same).and_then(|code| u8::try_from(code).ok());
                writer.u64(*id);
                writer.u8(code.unwrap_or(u8::MAX));
                writer.version(outcome.version().unwrap_or_default());
            }
            Self::Withdraw { id } | Self::Withdrawn { id } => writer.u64(*id),
        }
    }

    /// The frame of this type with this body; `None` if the body makes no sense.
    pub(in crate::replication) fn read(kind: u8, mut reader: FieldReader<'_>) -> Option<Self> {
        match kind {
            MEMBERS => {
                let nodes = reader.list(PEERS_MAX + 1, |reader| reader.u64().map(NodeId))?;
                let (generation, sent_ms) = (reader.u64()?, reader.u64()?);
                let heard = if reader.bool()? { Some((reader.u64()?, reader.u64()?)) } else { None };
                let seen = reader.vector()?;
                reader.end(Self::Members(MembersView { nodes, generation, sent_ms, heard, seen }))
            }
            ASK => {
                let (id, len) = (reader.u64()?, usize::from(reader.u8()?));
                let key = Key::new(reader.bytes(len)?)?.bytes().into();
                if !reader.bool()? {
                    let action = OwnedAction::Delete { compare: reader.optional_u64()? };
                    return reader.end(Self::Ask { id, request: OwnedRequest { key, action } });
                }
                let (client_flags, is_binary_key) = (reader.u32()?, reader.bool()?);
                let ttl_ms = reader.optional_u64()?;
                let data = Some(reader.rest()).filter(|data| data.len() <= OWNED_VALUE_BYTES_MAX)?.into();
                let action = OwnedAction::Add { client_flags, is_binary_key, ttl_ms, data };
                Some(Self::Ask { id, request: OwnedRequest { key, action } })
            }
            ANSWER => {
                let (id, code, version) = (reader.u64()?, reader.u8()?, reader.version()?);
                let outcome = match *OUTCOMES.get(usize::from(code))? {
                    OwnedOutcome::Stored(_) => OwnedOutcome::Stored(version),
                    OwnedOutcome::Deleted(_) => OwnedOutcome::Deleted(version),
                    other => other,
                };
                reader.end(Self::Answer { id, outcome })
            }
            WITHDRAW => {
                let id = reader.u64()?;
                reader.end(Self::Withdraw { id })
            }
            WITHDRAWN => {
                let id = reader.u64()?;
                reader.end(Self::Withdrawn { id })
            }
            _ => None,
        }
    }
}

//! A part of what is handed over: records, and the descriptors of those that have one, in the same order.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use crate::sys::passing::memory_file;

use super::channel::{ChannelError, UpgradeChannel};
use super::encoding::{RecordReader, RecordWriter};
use super::record::PartRecord;

/// A part that a thread of the old process collects.
#[derive(Debug, Default)]
pub struct PartBuilder<'s> {
    records: RecordWriter,
    descriptors: Vec<BorrowedFd<'s>>,
}

impl<'s> PartBuilder<'s> {
    /// Adds a record with its descriptor.
    pub fn push(&mut self, record: &PartRecord, descriptor: BorrowedFd<'s>) {
        record.encode(&mut self.records);
        self.descriptors.push(descriptor);
    }

    /// Sends the part.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn send(&self, peer: &UpgradeChannel) -> io::Result<()> {
        let mut file = memory_file()?;
        file.write_all(&self.records.0)?;
        peer.send_part(file.as_fd(), &self.descriptors)
    }
}

/// A part that the new process has received.
pub type Part = Vec<(PartRecord, OwnedFd)>;

/// The records of `file`, with their descriptors.
pub(super) fn read_part(mut file: File, descriptors: Vec<OwnedFd>) -> Result<Part, ChannelError> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(ChannelError::System)?;
    let (mut reader, mut part, mut descriptors) = (RecordReader(&bytes), Vec::new(), descriptors.into_iter());
    while !reader.0.is_empty() {
        let record = PartRecord::decode(&mut reader).ok_or(ChannelError::Unknown)?;
        part.push((record, descriptors.next().ok_or(ChannelError::Unknown)?));
    }
    Ok(part)
}

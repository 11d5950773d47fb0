//! Numbers and byte strings in frames: little-endian, and byte strings behind their length.

use crate::base::Version;

use super::vector::VersionVector;

/// Takes fields from the front of a body. Every method returns `None` if the bytes do not have that form.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldReader<'b>(&'b [u8]);

impl<'b> FieldReader<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// `value`, if nothing is left. Otherwise the body has the wrong length.
    pub(super) fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }

    /// Whether nothing is left.
    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub(super) const fn rest(self) -> &'b [u8] {
        self.0
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn version(&mut self) -> Option<Version> {
        self.u64().map(Version::from_bits)
    }

    /// A number that may be absent.
    pub(super) fn optional_u64(&mut self) -> Option<Option<u64>> {
        if self.bool()? { self.u64().map(Some) } else { Some(None) }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Up to `max` elements behind their number.
    pub(super) fn list<T, L: FromIterator<T>>(
        &mut self,
        max: usize,
        mut element: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<L> {
        let count = usize::from(self.u16()?);
        if count > max {
            return None;
        }
        (0..count).map(|_| element(self)).collect()
    }

    pub(super) fn vector(&mut self) -> Option<VersionVector> {
        self.list(VersionVector::LEN_MAX, Self::version)
    }
}

/// Puts fields behind each other.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldWriter(Vec<u8>);

impl FieldWriter {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.bytes(&number.to_le_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    pub(super) fn bool(&mut self, is: bool) {
        self.u8(u8::from(is));
    }

    pub(super) fn version(&mut self, version: Version) {
        self.u64(version.bits());
    }

    pub(super) fn optional_u64(&mut self, number: Option<u64>) {
        self.bool(number.is_some());
        if let Some(number) = number {
            self.u64(number);
        }
    }

    /// Elements behind their number. The reader refuses a list of more than 65,535, and no list here is so long.
    pub(super) fn list<T>(&mut self, elements: impl ExactSizeIterator<Item = T>, mut put: impl FnMut(&mut Self, T)) {
        self.u16(u16::try_from(elements.len()).unwrap_or(u16::MAX));
        elements.for_each(|element| put(self, element));
    }

    pub(super) fn vector(&mut self, vector: &VersionVector) {
        self.list(vector.iter(), Self::version);
    }
}

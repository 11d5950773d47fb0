//! A version for each node: what was seen, or forgotten, of its changes.

use crate::base::{NODE_NUMBERS, NodeNumber, Version};

/// The highest version of each node that something is true for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionVector {
    /// At most one version of each node, in the order of their numbers.
    versions: Vec<Version>,
}

impl VersionVector {
    /// Without entries.
    pub(super) const EMPTY: Self = Self { versions: Vec::new() };

    /// Most entries.
    pub(super) const LEN_MAX: usize = NODE_NUMBERS as usize;

    /// The version of `node`; [`Version::ZERO`] without an entry.
    pub(super) fn of(&self, node: NodeNumber) -> Version {
        self.find(node).map_or(Version::ZERO, |index| self.versions[index])
    }

    /// Raises the entry of the node that drew `version`.
    pub(super) fn raise(&mut self, version: Version) {
        match self.find(version.node()) {
            Ok(index) => self.versions[index] = self.versions[index].max(version),
            Err(index) => self.versions.insert(index, version),
        }
    }

    /// Raises each entry to that of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        other.versions.iter().for_each(|version| self.raise(*version));
    }

    /// The highest version here that is above the entry of `other` for the same node; otherwise [`Version::ZERO`].
    pub(super) fn highest_beyond(&self, other: &Self) -> Version {
        let beyond = self.versions.iter().filter(|version| **version > other.of(version.node()));
        beyond.copied().max().unwrap_or(Version::ZERO)
    }

    /// The highest version of all nodes.
    pub(super) fn latest(&self) -> Version {
        self.versions.iter().copied().max().unwrap_or_default()
    }

    /// All entries.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Version> + '_ {
        self.versions.iter().copied()
    }

    fn find(&self, node: NodeNumber) -> Result<usize, usize> {
        self.versions.binary_search_by_key(&node, |version| version.node())
    }
}

impl FromIterator<Version> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Version>>(versions: I) -> Self {
        let mut vector = Self::default();
        versions.into_iter().for_each(|version| vector.raise(version));
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::{Version, VersionVector};

    /// The version at `ms` of node `number`.
    fn at(ms: u64, number: u64) -> Version {
        Version::from_bits(ms << 22 | number)
    }

    #[test]
    fn each_node_has_the_highest_of_its_versions() {
        let mut vector: VersionVector = [at(5, 2), at(3, 1), at(4, 2)].into_iter().collect();
        assert_eq!(vector.iter().collect::<Vec<_>>(), [at(3, 1), at(5, 2)]);
        vector.merge(&[at(9, 1), at(1, 2), at(1, 3)].into_iter().collect());
        assert_eq!(vector.iter().collect::<Vec<_>>(), [at(9, 1), at(5, 2), at(1, 3)]);
        assert_eq!(vector.of(at(0, 4).node()), Version::ZERO);
    }

    #[test]
    fn only_what_the_other_lacks_is_beyond_it() {
        let forgotten: VersionVector = [at(5, 1), at(7, 2), at(3, 3)].into_iter().collect();
        let beyond = |seen: &[Version]| forgotten.highest_beyond(&seen.iter().copied().collect());
        assert_eq!(beyond(&[at(5, 1), at(8, 2), at(3, 3)]), Version::ZERO);
        assert_eq!(beyond(&[at(4, 1), at(8, 2), at(3, 3)]), at(5, 1));
        assert_eq!(beyond(&[]), at(7, 2));
    }
}

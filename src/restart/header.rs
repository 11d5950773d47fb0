//! The frozen header of a memory file. Its layout never changes, so that any larder can say what a file is.
//!
//! ```text
//! 0       8        12      16        24      28        32     36     40      48       56        64
//! ┌───────┬────────┬───────┬─────────┬───────┬─────────┬──────┬──────┬───────┬────────┬─────────┬──────────────┬───┐
//! │ magic │format  │header │layout   │ page  │super-   │ ref. │entry │file id│ page   │settings │ settings:    │sum│
//! │       │version │bytes  │hash     │ bytes │block    │ bits │bytes │       │ table  │ bytes   │ name=value\n │   │
//! └───────┴────────┴───────┴─────────┴───────┴─────────┴──────┴──────┴───────┴────────┴─────────┴──────────────┴───┘
//! ```
//!
//! Numbers are little-endian. The checksum is in the last 8 bytes. A start with other settings writes the block again.
//! The state of the file says which settings its size classes are made for, so these here are for readers only.

use crate::base::combined;
use crate::item::header::LAYOUT;
use crate::memory::{BLOCK_BYTES, CHUNK_ALIGN, ChunkRef, MAGIC, PAGE_BYTES, PAGE_TABLE_AT, SUPERBLOCK_PAGES, checksum};
use crate::settings::{ROWS, Settings};

/// The version of the format. A change that an older larder cannot read raises it.
pub(super) const FORMAT_VERSION: u32 = 1;

/// The settings that the size classes of a file depend on.
const SETTINGS: [&str; 4] = ["growth_factor", "chunk_size_min", "slab_chunk_max", "slab_sizes"];

const SETTINGS_AT: usize = 64;
const CHECKSUM_AT: usize = BLOCK_BYTES - 8;

/// The header of a memory file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The format version.
    pub version: u32,
    /// The hash of all sizes that pages and items depend on.
    pub layout: u64,
    /// A number that tells this file from others.
    pub file_id: u64,
    /// Names and values of the settings that the size classes depend on.
    pub settings: Vec<(String, String)>,
}

/// Why a block is no header that this larder can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// It does not begin as a memory file does.
    NoMemoryFile,
    /// Its checksum is wrong.
    Damaged,
    /// It has another format version.
    Version(u32),
    /// Its pages have another layout.
    Layout,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherSetting {
    /// How the option is written.
    pub option: &'static str,
    /// Its value in the file.
    pub in_file: String,
    /// Its value now.
    pub now: String,
}

/// Names and values of the settings that the size classes depend on.
pub(super) fn class_settings(settings: &Settings) -> Vec<(String, String)> {
    SETTINGS.map(|field| (field.to_owned(), settings.typed(field))).into()
}

/// The layout of this larder.
fn layout() -> u64 {
    let numbers = [
        u64::from(PAGE_BYTES),
        u64::from(SUPERBLOCK_PAGES),
        u64::from(ChunkRef::BITS),
        u64::from(ChunkRef::INDEX_BITS),
        u64::from(CHUNK_ALIGN),
        PAGE_TABLE_AT,
    ];
    numbers.into_iter().chain(LAYOUT).fold(u64::from(FORMAT_VERSION), combined)
}

impl Header {
    /// The header of a new file.
    pub(super) fn new(settings: &Settings, file_id: u64) -> Self {
        Self { version: FORMAT_VERSION, layout: layout(), file_id, settings: class_settings(settings) }
    }

    /// The bytes of the header.
    pub(super) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        let mut text: Vec<u8> =
            self.settings.iter().flat_map(|(name, value)| format!("{name}={value}\n").into_bytes()).collect();
        text.truncate(CHECKSUM_AT - SETTINGS_AT);
        put(0, &MAGIC);
        put(8, &self.version.to_le_bytes());
        put(12, &u32::try_from(BLOCK_BYTES).unwrap_or(0).to_le_bytes());
        put(16, &self.layout.to_le_bytes());
        put(24, &PAGE_BYTES.to_le_bytes());
        put(28, &SUPERBLOCK_PAGES.to_le_bytes());
        put(32, &ChunkRef::BITS.to_le_bytes());
        put(36, &4u32.to_le_bytes());
        put(40, &self.file_id.to_le_bytes());
        put(48, &PAGE_TABLE_AT.to_le_bytes());
        put(56, &u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
        put(SETTINGS_AT, &text);
        let sum = checksum(&block[..CHECKSUM_AT]);
        block[CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
        block
    }

    /// The header in `block`.
    ///
    /// # Errors
    /// Why this larder cannot use it.
    pub(super) fn decode(block: &[u8; BLOCK_BYTES]) -> Result<Self, HeaderFault> {
        if block[..8] != MAGIC {
            return Err(HeaderFault::NoMemoryFile);
        }
        if u64_at(block, CHECKSUM_AT) != checksum(&block[..CHECKSUM_AT]) {
            return Err(HeaderFault::Damaged);
        }
        let version = u32_at(block, 8);
        if version != FORMAT_VERSION {
            return Err(HeaderFault::Version(version));
        }
        if u64_at(block, 16) != layout() {
            return Err(HeaderFault::Layout);
        }
        let settings_bytes = (u32_at(block, 56) as usize).min(CHECKSUM_AT - SETTINGS_AT);
        let text = String::from_utf8_lossy(&block[SETTINGS_AT..SETTINGS_AT + settings_bytes]).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let settings = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { version, layout: layout(), file_id: u64_at(block, 40), settings })
    }

    /// The settings that differ from `settings`.
    pub(super) fn other_settings(&self, settings: &Settings) -> Vec<OtherSetting> {
        let others = self.settings.iter().filter_map(|(field, in_file)| {
            let now = settings.typed(field);
            let option = ROWS.iter().find(|row| row.field == field)?.names();
            (now != *in_file).then(|| OtherSetting { option, in_file: in_file.clone(), now })
        });
        others.collect()
    }

    /// Takes over the values of `settings`. Returns whether any differs.
    pub(super) fn take(&mut self, settings: &Settings) -> bool {
        let before = std::mem::replace(&mut self.settings, class_settings(settings));
        before != self.settings
    }
}

fn u32_at(block: &[u8; BLOCK_BYTES], at: usize) -> u32 {
    block[at..at + 4].try_into().map_or(0, u32::from_le_bytes)
}

fn u64_at(block: &[u8; BLOCK_BYTES], at: usize) -> u64 {
    block[at..at + 8].try_into().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, CHECKSUM_AT, Header, HeaderFault, OtherSetting, Settings, checksum};

    fn block() -> [u8; BLOCK_BYTES] {
        Header::new(&Settings::default(), 77).encode()
    }

    /// The block with other bytes at `at`, and the checksum that belongs to it.
    fn changed(at: usize, bytes: &[u8]) -> [u8; BLOCK_BYTES] {
        let mut block = block();
        block[at..at + bytes.len()].copy_from_slice(bytes);
        let sum = checksum(&block[..CHECKSUM_AT]);
        block[CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
        block
    }

    #[test]
    fn a_header_reads_as_it_was_written() {
        assert_eq!(Header::decode(&block()), Ok(Header::new(&Settings::default(), 77)));
    }

    #[test]
    fn each_gate_refuses_what_it_is_for() {
        assert_eq!(Header::decode(&[0; BLOCK_BYTES]), Err(HeaderFault::NoMemoryFile));
        assert_eq!(Header::decode(&changed(8, &2u32.to_le_bytes())), Err(HeaderFault::Version(2)));
        assert_eq!(Header::decode(&changed(16, &[7; 8])), Err(HeaderFault::Layout));
        for bit in 8 * 8..BLOCK_BYTES * 8 {
            let mut flipped = block();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped), Err(HeaderFault::Damaged), "bit {bit}");
        }
    }

    #[test]
    fn a_setting_that_differs_is_named_as_the_operator_writes_it() {
        let header = Header::new(&Settings::default(), 77);
        assert_eq!(header.other_settings(&Settings::default()), []);
        let other = Settings { growth_factor: 1.08, ..Settings::default() };
        let expected = OtherSetting { option: "-f, --slab-growth-factor", in_file: "1.25".into(), now: "1.08".into() };
        assert_eq!(header.other_settings(&other), [expected]);
        let free = Settings { memory_limit_bytes: 1 << 30, threads: 1, ..Settings::default() };
        assert_eq!(header.other_settings(&free), [], "-m and -t may change");
    }
}

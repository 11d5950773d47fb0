//! A memory file that the last process hands over while it lives.
//!
//! ```text
//! last process   pauses, sends its state and its index ──▶ waits ─────────────▶ ends       or goes on
//! next process   map_ahead                 Handed::examine, map ──▶ FileClaim::take_over, recover
//! ```
//!
//! Neither process changes the file before `take_over`, so the last one can go on. The file says all the time that it
//! is in use. So whichever process is killed, the next start finds an unclean end.

use std::fs::File;
use std::sync::Arc;

use crate::base::Clock;
use crate::memory::{self, ArenaFile, BLOCK_BYTES, LiveState, Superblock};
use crate::settings::Settings;
use crate::sys::mapping::{Mapping, Space};

use super::classes::ClassChange;
use super::header::Header;
use super::open::{Examined, Usable, begin, examine_header, examine_pages, resumed_clock, too_many_classes};

/// Time for mapping memory ahead. What is not mapped by then is mapped when it is touched.
const MAP_AHEAD_US: u64 = 3_000_000;

/// Maps the file, which the last process still uses, and the memory that its pages have. In a pause, clients would wait
/// for this. `None`: it is mapped later.
pub fn map_ahead(file: &File, settings: &Settings) -> Option<Mapping> {
    let clock = Clock::start();
    let may_go_on = || clock.real_us() < MAP_AHEAD_US;
    memory::map_ahead(file, space_of(settings), settings.memory_limit_bytes, may_go_on).ok()
}

fn space_of(settings: &Settings) -> Space {
    if settings.memory_file.is_some() { Space::Ahead } else { Space::OnTouch }
}

/// A memory file that has been handed over.
pub struct Handed {
    /// The file, for the store.
    pub file: ArenaFile,
    /// Where the store's clock goes on.
    pub clock: Clock,
    /// How its size classes change. The file has the old ones until it is taken over.
    pub change: ClassChange,
    superblock: Arc<Superblock>,
    /// With the settings of this process.
    header: Header,
}

impl Handed {
    /// Examines a file, and the state that the last process has sent for it. `mapped` is what [`map_ahead`] returned.
    ///
    /// # Errors
    /// Why this process cannot use it.
    pub fn examine(file: File, mapped: Option<Mapping>, state: &[u8], settings: &Settings) -> Result<Self, String> {
        let system = |what: &'static str| move |error| format!("{what} the memory of items: {error}");
        let len = file.metadata().map_err(system("read the size of"))?.len();
        let block: Option<&[u8; BLOCK_BYTES]> = state.try_into().ok();
        let state = block.and_then(LiveState::decode).filter(|state| state.is_clean);
        let state = state.ok_or("the state of the items is damaged")?;
        let of_items = |reason: &str| format!("the memory of items: {reason}");
        let examined = match examine_header(&file, len).map_err(system("read"))? {
            Ok(header) => examine_pages(&file, len, header, state, settings).map_err(system("read"))?,
            Err(obstacle) => obstacle,
        };
        let Usable { mut header, state, page_table, change } = match examined {
            Examined::Usable(usable) => *usable,
            Examined::Settings(others) => return Err(of_items(&too_many_classes(&others))),
            Examined::Bad(reason) => return Err(of_items(&reason)),
            Examined::Unfinished | Examined::OtherBoot => return Err(of_items("it has no header")),
        };
        header.take(settings);
        let clock = resumed_clock(&state);
        let superblock = Arc::new(Superblock::new(file.try_clone().map_err(system("open"))?, state));
        let file = ArenaFile {
            file,
            superblock: Arc::clone(&superblock),
            page_table,
            space: space_of(settings),
            has_proofs: settings.memory_file.is_some(),
            is_handed: true,
            mapped_ahead: mapped,
        };
        Ok(Self { file, clock, superblock, change, header })
    }

    /// What takes the file over.
    pub fn claim(&self) -> FileClaim {
        FileClaim { superblock: Arc::clone(&self.superblock), header: self.header.clone() }
    }
}

/// The right to take over a file that has been examined.
pub struct FileClaim {
    superblock: Arc<Superblock>,
    header: Header,
}

impl FileClaim {
    /// Notes that this process uses the file from now on. The last one may not go on.
    pub fn take_over(self, clock: &Clock) {
        // Ignored: the file then names the last process, and says that it is in use, as before.
        let _ = self.superblock.update(|state| begin(state, clock));
        // Ignored: the state says what the size classes are made for.
        let _ = self.superblock.write_header(&self.header.encode());
    }
}

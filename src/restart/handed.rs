//! A memory file that the last process hands over while it lives.
//!
//! ```text
//! last process   pauses, says "clean" ──▶ waits ─────────────▶ ends       or goes on, and takes "clean" back
//! next process                    Handed::examine, map ──▶ Handed::take_over, recover
//! ```
//!
//! Until `take_over` the next process changes nothing in the file, so the last one can go on.

use std::fs::File;
use std::sync::Arc;

use crate::base::Clock;
use crate::memory::{ArenaFile, LiveState, Superblock};
use crate::settings::Settings;
use crate::sys::boot::since_boot_ms;
use crate::sys::mapping::Space;

use super::open::{Examined, begin, examine, other_setting};

/// A memory file that has been handed over.
pub struct Handed {
    /// The file, for the store.
    pub file: ArenaFile,
    /// Where the store's clock goes on.
    pub clock: Clock,
    superblock: Arc<Superblock>,
}

impl Handed {
    /// Examines a file that the last process has left clean.
    ///
    /// # Errors
    /// Why this process cannot use it.
    pub fn examine(file: File, settings: &Settings) -> Result<Self, String> {
        let system = |what: &'static str| move |error| format!("{what} the memory of items: {error}");
        let len = file.metadata().map_err(system("read the size of"))?.len();
        let (state, page_table) = match examine(&file, len, settings).map_err(system("read"))? {
            Examined::Usable(state, page_table) if state.is_clean => (*state, page_table),
            Examined::Usable(..) | Examined::OtherBoot | Examined::Unfinished => {
                return Err("the memory of items is not clean".into());
            }
            Examined::Setting(other) => return Err(format!("the memory of items: {}", other_setting(&other))),
            Examined::Bad(reason) => return Err(format!("the memory of items: {reason}")),
        };
        let clock = Clock::start_at_ms(resume_at_ms(&state, since_boot_ms().unwrap_or(0)));
        let space = if settings.memory_file.is_some() { Space::Ahead } else { Space::OnTouch };
        let superblock = Arc::new(Superblock::new(file.try_clone().map_err(system("open"))?, state));
        let file = ArenaFile {
            file,
            superblock: Arc::clone(&superblock),
            page_table,
            space,
            has_proofs: settings.memory_file.is_some(),
            is_handed: true,
        };
        Ok(Self { file, clock, superblock })
    }

    /// What takes the file over.
    pub fn claim(&self) -> FileClaim {
        FileClaim(Arc::clone(&self.superblock))
    }
}

/// The right to take over a file that has been examined.
pub struct FileClaim(Arc<Superblock>);

impl FileClaim {
    /// Notes that this process uses the file from now on. The last one may not go on.
    pub fn take_over(self, clock: &Clock) {
        // Ignored: the kernel takes a block that the file had before.
        let _ = self.0.update(|state| begin(state, clock));
    }
}

/// The last process's clock, had it gone on, in milliseconds.
const fn resume_at_ms(state: &LiveState, boot_ms: u64) -> u64 {
    state.clock_ms.saturating_add(boot_ms.saturating_sub(state.boot_ms))
}

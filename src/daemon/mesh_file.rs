//! What a node of a mesh knows of itself, beside its items.
//!
//! ```text
//! FILE.mesh              after a clean stop: everything
//! notes in the memory    while the node runs, a few times a second, in turns: length 4 │ what Saved encodes
//! file                   after a clean stop also, for items that systemd keeps
//! ```
//!
//! The next start takes FILE.mesh away, or reads the newest note. Without both, the node keeps its items, and compares
//! them with those of its peers as a node that has seen nothing. The replication thread writes all of it, because -o
//! drop_privileges lets no other thread make a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::replication::{KeepSaved, Saved};
use crate::settings::Settings;
use crate::store::Store;
use crate::sys::error::error_text;
use crate::sys::log::{Level, log_line};

/// Behind the path of the memory file.
const EXTENSION: &str = ".mesh";
/// Access mode of the file.
const MODE: u32 = 0o600;

/// What the last process has written, if it belongs to the items. The file is removed.
pub(super) fn take(settings: &Settings, store: &Store) -> Option<Saved> {
    let in_file = path(settings).and_then(|path| {
        let bytes = fs::read(&path).ok()?;
        // A file that stays could be taken for that of a later process.
        fs::remove_file(&path).ok()?;
        Some(bytes)
    });
    // This start has begun another generation.
    let generation = store.file_generation()?.checked_sub(1)?;
    in_file.and_then(|bytes| Saved::decode(&bytes, generation)).or_else(|| newest_note(&store.kept_notes(), generation))
}

/// Removes what an earlier process has written. This one changes the items without a mesh.
pub(super) fn discard(settings: &Settings) {
    // Ignored: few processes have left one.
    let _ = path(settings).map(fs::remove_file);
}

fn newest_note(notes: &[Vec<u8>], generation: u64) -> Option<Saved> {
    let decode = |note: &Vec<u8>| {
        let (len, body) = note.split_first_chunk()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        Saved::decode(body.get(..len)?, generation)
    };
    // Two notes have the same version if no other one was drawn meanwhile. The whole one is that of a clean stop.
    notes.iter().filter_map(decode).max_by_key(|saved| (saved.latest, saved.is_whole))
}

/// Writes what the next process has to know. `None`: there is no memory file.
pub(super) fn keeper(settings: &Settings, store: &'static Store) -> Option<Box<dyn KeepSaved>> {
    let keeper =
        Keeper { store, path: path(settings), generation: store.file_generation()?, notes: 0, is_failing: false };
    Some(Box::new(keeper))
}

struct Keeper {
    store: &'static Store,
    /// `None`: systemd keeps the items.
    path: Option<PathBuf>,
    generation: u64,
    /// Notes so far.
    notes: usize,
    /// The last note could not be written.
    is_failing: bool,
}

impl KeepSaved for Keeper {
    fn note(&mut self, saved: &Saved) {
        let note = framed(&saved.encode(self.generation));
        self.notes += 1;
        let written = self.store.keep_note(self.notes % 2, &note);
        if let Err(error) = &written
            && !self.is_failing
        {
            log_failure("a note in the memory file", error);
        }
        self.is_failing = written.is_err();
    }

    fn end(&mut self, saved: &Saved) {
        match &self.path {
            Some(path) => {
                if let Err(error) = write(path, &saved.encode(self.generation)) {
                    log_failure(&path.display().to_string(), &error);
                }
            }
            None => self.note(&saved.with_latest_tombstones()),
        }
    }
}

/// A note: its length is in front.
fn framed(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&len, body].concat()
}

fn log_failure(what: &str, error: &io::Error) {
    log_line(Level::Warning, format!("larder: -x, --replication-peer: write {what}: {}", error_text(error)));
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Ignored: usually no process has left one.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn path(settings: &Settings) -> Option<PathBuf> {
    let mut path = settings.memory_file.as_deref().filter(|_| !settings.is_kept_by_manager())?.as_os_str().to_owned();
    path.push(EXTENSION);
    Some(path.into())
}

#[cfg(test)]
mod tests {
    use super::{framed, newest_note};
    use crate::base::{NodeNumber, Version};
    use crate::replication::{NodeId, Saved};

    #[test]
    fn the_newest_note_that_is_not_torn_is_taken() {
        const GENERATION: u64 = 7;
        let at = |ticks: u64| Version::from_ticks(ticks, NodeNumber::new(1));
        let note = |is_whole, ticks, generation| {
            let mut saved = Saved::new(NodeId(5), NodeNumber::new(1), at(ticks));
            saved.is_whole = is_whole;
            [framed(&saved.encode(generation)), vec![0; 9]].concat()
        };
        let newest = |notes: [Vec<u8>; 2]| newest_note(&notes, GENERATION).map(|saved| (saved.is_whole, saved.latest));
        let [older, newer] = [note(false, 20, GENERATION), note(false, 30, GENERATION)];
        assert_eq!(newest([older.clone(), newer.clone()]), Some((false, at(30))));
        assert_eq!(newest([newer.clone(), older.clone()]), Some((false, at(30))));
        // That of a clean stop, when the clock stood still.
        assert_eq!(newest([note(true, 30, GENERATION), newer.clone()]), Some((true, at(30))));
        let mut torn = newer;
        torn[40] ^= 1;
        assert_eq!(newest([older, torn.clone()]), Some((false, at(20))));
        assert_eq!(newest([note(true, 40, GENERATION - 1), torn]), None);
        assert_eq!(newest([Vec::new(), vec![0xff; 99]]), None);
    }
}

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
    in_file.and_then(|bytes| Saved::decode(&bytes, generation)).or_else(|| newest_note(store, generation))
}

fn newest_note(store: &Store, generation: u64) -> Option<Saved> {
    let decode = |note: &Vec<u8>| {
        let (len, body) = note.split_first_chunk()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        Saved::decode(body.get(..len)?, generation)
    };
    // A node draws no version twice, so the newest note has the highest one.
    store.kept_notes().iter().filter_map(decode).max_by_key(|saved| saved.latest)
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
        let body = saved.encode(self.generation);
        let mut note = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        note.extend(body);
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

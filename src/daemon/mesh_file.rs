//! What a node of a mesh knows of itself, in a file beside the memory file: `FILE.mesh`.
//!
//! A clean stop writes it, and the next start takes it away. After a kill it is missing. The node then keeps its items,
//! and compares them with those of its peers as a node that has seen nothing. The replication thread writes the file,
//! because -o drop_privileges lets no other thread make one.

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
    let path = path(settings)?;
    let bytes = fs::read(&path).ok()?;
    // A file that stays could be taken for that of a later process.
    fs::remove_file(&path).ok()?;
    // This start has begun another generation.
    Saved::decode(&bytes, store.file_generation()?.checked_sub(1)?)
}

/// Writes what the next process has to know. `None`: there is no memory file with a path.
pub(super) fn keeper(settings: &Settings, store: &'static Store) -> Option<KeepSaved> {
    let (path, generation) = (path(settings)?, store.file_generation()?);
    Some(Box::new(move |saved| {
        if let Err(error) = write(&path, &saved.encode(generation)) {
            let line = format!("larder: -x, --replication-peer: write {}: {}", path.display(), error_text(&error));
            log_line(Level::Warning, line);
        }
    }))
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

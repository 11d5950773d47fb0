//! Request sequences: one dense key id per request, as little-endian u32, compressed with zstd.
//!
//! The files are not part of the project: `LARDER_BENCH_DATA` names their folder. They are unpacked by the command
//! `zstd`, so that no program here carries a decompressor for three files.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The traces of the folder: name of the file without `.u32le.zst`.
pub const TRACES: [&str; 3] = ["arc-oltp", "cache2k-orm-busy", "cache2k-web07"];

/// A trace.
pub struct Trace {
    /// As in [`TRACES`].
    pub name: String,
    /// Keys in the order of their requests.
    pub requests: Vec<u32>,
    /// Number of different keys. All ids are below it.
    pub distinct: usize,
}

/// The path of a file in the folder of `LARDER_BENCH_DATA`.
///
/// # Errors
/// The variable is not set.
pub fn data_file(name: &str) -> io::Result<PathBuf> {
    let folder = env::var_os("LARDER_BENCH_DATA");
    let folder =
        folder.ok_or_else(|| io::Error::other(format!("{name}: LARDER_BENCH_DATA, its folder, is not set")))?;
    Ok(PathBuf::from(folder).join(name))
}

impl Trace {
    /// One of the folder's traces, by name.
    ///
    /// # Errors
    /// The trace or `zstd` does not exist, or the file has another format.
    pub fn named(name: &str) -> io::Result<Self> {
        Self::read(&data_file(&format!("{name}.u32le.zst"))?)
    }

    /// The trace in any file of this format.
    ///
    /// # Errors
    /// As [`Trace::named`].
    pub fn read(path: &Path) -> io::Result<Self> {
        if !path.is_file() {
            return Err(io::Error::other(format!("no trace {}; LARDER_BENCH_DATA names their folder", path.display())));
        }
        let unpacked = Command::new("zstd")
            .args(["-dcq", "--"])
            .arg(path)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| io::Error::other(format!("zstd, which unpacks the traces: {error}")))?;
        if !unpacked.status.success() {
            let said = String::from_utf8_lossy(&unpacked.stderr).into_owned();
            return Err(io::Error::other(format!("zstd {}: {said}", path.display())));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (words, rest) = unpacked.stdout.as_chunks::<4>();
        if !rest.is_empty() || words.is_empty() {
            return Err(io::Error::other(format!("{}: not a sequence of 4-byte ids", path.display())));
        }
        Ok(Self::new(name.trim_end_matches(".u32le.zst"), words.iter().map(|word| u32::from_le_bytes(*word)).collect()))
    }

    fn new(name: &str, requests: Vec<u32>) -> Self {
        let distinct = requests.iter().max().map_or(0, |&largest| largest as usize + 1);
        Self { name: name.to_string(), requests, distinct }
    }
}

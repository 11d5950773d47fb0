//! Small files that tell others about this process: its id, its ports. Written beside their place and renamed into
//! it, so that nobody reads half of one.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The file of -P. Removed when dropped, in a daemon.
#[derive(Debug)]
pub(super) struct Pidfile {
    path: PathBuf,
    keep: bool,
}

impl Pidfile {
    /// Writes this process's id to `path`. `keep` says that the file outlives the process, as memcached's does
    /// without -d.
    pub(super) fn write(path: &Path, keep: bool) -> io::Result<Self> {
        // A daemon leaves the directory in which a relative path means anything.
        let path = std::path::absolute(path)?;
        write_whole(&path, &format!("{}\n", std::process::id()))?;
        Ok(Self { path, keep })
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if !self.keep {
            // Ignored: it may be gone, or its directory may have become read-only; the process ends anyway.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Tells `path` the ports of `listeners` (MEMCACHED_PORT_FILENAME): `TCP INET: 11211`, `TCP INET6: 11211`.
pub(super) fn write_ports(path: &Path, listeners: &[SocketAddr]) -> io::Result<()> {
    let line = |address: &SocketAddr| {
        let family = if address.is_ipv4() { "INET" } else { "INET6" };
        format!("TCP {family}: {}\n", address.port())
    };
    write_whole(path, &listeners.iter().map(line).collect::<String>())
}

/// The access mode of the files: they are there to be read.
const MODE: u32 = 0o644;

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".tmp");
    // What is there was left by a process that ended in the middle of this, or laid out by somebody who wants us to
    // write elsewhere: it is removed, never opened. A new file follows no link.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Ignored: the error that is told comes first.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Pidfile, write_ports};

    #[test]
    fn the_file_holds_the_id_and_goes_with_its_owner() {
        let path = std::env::temp_dir().join(format!("larder-pidfile-{}", std::process::id()));
        let pidfile = Pidfile::write(&path, false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(pidfile);
        assert!(!path.exists());
        drop(Pidfile::write(&path, true).unwrap());
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn ports_are_told_one_per_listener() {
        let path = std::env::temp_dir().join(format!("larder-ports-{}", std::process::id()));
        write_ports(&path, &["127.0.0.1:5".parse().unwrap(), "[::1]:6".parse().unwrap()]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "TCP INET: 5\nTCP INET6: 6\n");
        fs::remove_file(&path).unwrap();
    }
}

//! Small files with facts about this process: its id and its ports. They are written under a temporary name and
//! renamed, so that no reader sees a partial file.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::dispatcher::Bound;

/// The file of -P. A daemon's file is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Pidfile {
    path: PathBuf,
    keep: bool,
}

impl Pidfile {
    /// Writes this process's id to `path`. With `keep`, the file outlives the process, as memcached's does without -d.
    pub(super) fn write(path: &Path, keep: bool) -> io::Result<Self> {
        // A daemon changes its working directory, so a relative path must be made absolute.
        let path = std::path::absolute(path)?;
        write_whole(&path, &format!("{}\n", std::process::id()))?;
        Ok(Self { path, keep })
    }
}

impl Pidfile {
    /// Leaves the file to another process.
    pub(super) fn leave(mut self) {
        self.keep = true;
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if !self.keep {
            // Ignored: the file may be gone, or its directory read-only. The process ends anyway.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes the ports of `addresses` to `path` (MEMCACHED_PORT_FILENAME): `TCP INET: 11211`, `UDP INET6: 11211`,
/// `HTTP INET: 8080`.
pub(super) fn write_ports<'a>(path: &Path, addresses: impl Iterator<Item = &'a Bound>) -> io::Result<()> {
    let line = |address: &Bound| {
        let (transport, address) = match address {
            Bound::Tcp(address) => ("TCP", address),
            Bound::Udp(address) => ("UDP", address),
            Bound::Http(address) => ("HTTP", address),
            Bound::Unix(_) => return None,
        };
        let family = if address.is_ipv4() { "INET" } else { "INET6" };
        Some(format!("{transport} {family}: {}\n", address.port()))
    };
    write_whole(path, &addresses.filter_map(line).collect::<String>())
}

/// The access mode of the files: readable by all.
const MODE: u32 = 0o644;

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".tmp");
    // An existing file was left by a process that ended during the write, or placed there by an attacker. It is
    // removed and never opened: `create_new` follows no symbolic link.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Ignored: the first error is the one to report.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Bound, Pidfile, write_ports};

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
        let addresses = [
            Bound::Unix(path.clone()),
            Bound::Tcp("127.0.0.1:5".parse().unwrap()),
            Bound::Tcp("[::1]:6".parse().unwrap()),
            Bound::Udp("127.0.0.1:7".parse().unwrap()),
            Bound::Http("127.0.0.1:8".parse().unwrap()),
        ];
        write_ports(&path, addresses.iter()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "TCP INET: 5\nTCP INET6: 6\nUDP INET: 7\nHTTP INET: 8\n");
        fs::remove_file(&path).unwrap();
    }
}

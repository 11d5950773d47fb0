//! The program of this process, to be started again.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::{env, io};

use crate::sys::passing::{message_pair, set_inheritable};
use crate::upgrade::UpgradeChannel;

use super::notify::WATCHED_VARIABLE;

/// The environment variable with the number of the inherited socket.
pub(super) const SOCKET_VARIABLE: &str = "LARDER_UPGRADE_SOCKET";
/// What the kernel adds to the name of a program whose file was removed.
const DELETED: &[u8] = b" (deleted)";

/// How this process was started.
#[derive(Clone, Debug)]
pub(super) struct Program {
    file: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
    folder: PathBuf,
}

impl Program {
    /// The program of this process. Called at the start, before the folder changes.
    ///
    /// # Errors
    /// The kernel's error.
    pub(super) fn of_this_process() -> io::Result<Self> {
        let folder = env::current_dir()?;
        let mut words = env::args_os();
        let name = words.next().unwrap_or_default();
        Ok(Self { file: file_of(&name, &folder, env::current_exe()?), name, arguments: words.collect(), folder })
    }

    /// Starts it with the same arguments and a socket to this process.
    ///
    /// # Errors
    /// The kernel's error.
    pub(super) fn start(&self) -> io::Result<(Child, UpgradeChannel)> {
        let (ours, theirs) = message_pair()?;
        set_inheritable(theirs.as_fd())?;
        let child = Command::new(&self.file)
            .arg0(&self.name)
            .args(&self.arguments)
            .env(SOCKET_VARIABLE, theirs.as_raw_fd().to_string())
            // It names this process, and the next one is watched, too.
            .env_remove(WATCHED_VARIABLE)
            .current_dir(&self.folder)
            .spawn()?;
        Ok((child, UpgradeChannel::from(ours)))
    }

    /// Its file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

/// The file to start. A name with a slash is a path, which may lead to another file by now: a package manager changes a
/// symbolic link. Otherwise the shell has found the file, and the kernel says where.
fn file_of(name: &OsString, folder: &Path, running: PathBuf) -> PathBuf {
    let named = folder.join(name);
    if name.as_bytes().contains(&b'/') && named.is_file() {
        return named;
    }
    match running.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(path) => PathBuf::from(OsString::from_vec(path.to_vec())),
        None => running,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::file_of;

    #[test]
    fn a_path_is_followed_again_and_a_removed_file_is_looked_for_under_its_name() {
        let of = |name: &str, running: &str| file_of(&name.into(), Path::new("/"), running.into());
        assert_eq!(of("bin/sh", "/usr/bin/dash"), PathBuf::from("/bin/sh"));
        assert_eq!(of("larder", "/opt/larder"), PathBuf::from("/opt/larder"));
        assert_eq!(of("/no/such/file", "/opt/larder (deleted)"), PathBuf::from("/opt/larder"));
    }
}

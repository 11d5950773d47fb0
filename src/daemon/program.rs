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
    /// The folder that this process has left since.
    left_folder: Option<PathBuf>,
}

impl Program {
    /// The program of this process. Called at the start, before the folder changes. `leaves_folder`: it will change.
    ///
    /// # Errors
    /// The kernel's error.
    pub(super) fn of_this_process(leaves_folder: bool) -> io::Result<Self> {
        let mut words = env::args_os();
        let name = words.next().unwrap_or_default();
        let file = file_of(&name, env::current_exe()?);
        let left_folder = if leaves_folder { Some(env::current_dir()?) } else { None };
        Ok(Self { file, name, arguments: words.collect(), left_folder })
    }

    /// Starts it with the same arguments, in the same folder, and a socket to this process.
    ///
    /// # Errors
    /// What was tried, and the kernel's error.
    pub(super) fn start(&self) -> Result<(Child, UpgradeChannel), (String, io::Error)> {
        let tried = |what: &str| {
            let what = what.to_owned();
            move |error| (what, error)
        };
        let (ours, theirs) = message_pair().map_err(tried("make a pair of sockets"))?;
        set_inheritable(theirs.as_fd()).map_err(tried("pass a socket on"))?;
        let mut command = Command::new(&self.file);
        command.arg0(&self.name).args(&self.arguments).env(SOCKET_VARIABLE, theirs.as_raw_fd().to_string());
        // It names this process, and the next one is watched, too.
        command.env_remove(WATCHED_VARIABLE);
        if let Some(folder) = &self.left_folder {
            // Without this, the error would be that of the program. The user of -u may be unable to enter the folder.
            std::fs::metadata(folder.join(".")).map_err(tried(&format!("enter {}", folder.display())))?;
            command.current_dir(folder);
        }
        let child = command.spawn().map_err(tried(&format!("start {}", self.file.display())))?;
        Ok((child, UpgradeChannel::from(ours)))
    }

    /// Its file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

/// The file to start. A name with a slash is a path, which may lead to another file by now: a package manager changes a
/// symbolic link. Otherwise the shell has found the file, and the kernel says where.
fn file_of(name: &OsString, running: PathBuf) -> PathBuf {
    if name.as_bytes().contains(&b'/')
        && let Ok(named) = std::path::absolute(name)
        && named.is_file()
    {
        return named;
    }
    match running.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(path) => PathBuf::from(OsString::from_vec(path.to_vec())),
        None => running,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::file_of;

    #[test]
    fn a_path_is_followed_again_and_a_removed_file_is_looked_for_under_its_name() {
        let of = |name: &str, running: &str| file_of(&name.into(), running.into());
        assert_eq!(of("/bin/sh", "/usr/bin/dash"), PathBuf::from("/bin/sh"));
        assert!(of("./Cargo.toml", "/opt/larder").is_absolute());
        assert_eq!(of("larder", "/opt/larder"), PathBuf::from("/opt/larder"));
        assert_eq!(of("/no/such/file", "/opt/larder (deleted)"), PathBuf::from("/opt/larder"));
    }
}

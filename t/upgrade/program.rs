//! A program file that a test replaces while it runs, as a package manager does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::server::Server;
use crate::support::{ScratchDirectory, program_under_test, scratch_directory};

/// A copy of the server's program under a name of its own.
pub(crate) struct ProgramFile {
    directory: ScratchDirectory,
}

impl ProgramFile {
    pub(crate) fn new() -> Self {
        let file = Self { directory: scratch_directory() };
        file.restore();
        file
    }

    fn path(&self) -> PathBuf {
        self.directory.join("larder")
    }

    /// The command that runs it.
    pub(crate) fn command(&self) -> Command {
        Command::new(self.path())
    }

    /// A server that runs it.
    pub(crate) fn serve(&self, flags: &[&str]) -> Server {
        Server::start_program(&self.path(), flags)
    }

    /// Replaces the file by a script in one step.
    pub(crate) fn replace_by_script(&self, script: &str) {
        let new = self.directory.join("new");
        let text = format!("#!/bin/sh\n{script}\n").replace("LARDER", &program_under_test().display().to_string());
        fs::write(&new, text).expect("the scratch directory is writable");
        self.put(&new);
    }

    /// Replaces the file by the program itself.
    pub(crate) fn restore(&self) {
        let new = self.directory.join("new");
        // A file that is open for writing cannot be started, and a child of another test may inherit the descriptor for
        // a moment. A second name for the program avoids this.
        if fs::hard_link(program_under_test(), &new).is_err() {
            fs::copy(program_under_test(), &new).expect("the scratch directory is writable");
        }
        self.put(&new);
    }

    /// Removes the file.
    pub(crate) fn remove(&self) {
        fs::remove_file(self.path()).expect("it is there");
    }

    fn put(&self, new: &Path) {
        fs::set_permissions(new, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        fs::rename(new, self.path()).expect("both are in the scratch directory");
        // Ignored: mostly it is gone. Two names of one file both stay, and a write to one would change the program.
        let _ = fs::remove_file(new);
    }
}

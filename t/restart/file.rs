//! A memory file, and servers that use it one after the other.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use larder::memory::{BLOCK_BYTES, checksum};

use crate::support::program_under_test;
use crate::support::server::Server;

/// A memory file of a test. It is removed with its refused copies when the test is done.
pub(crate) struct MemoryFile(PathBuf);

impl MemoryFile {
    pub(crate) fn new() -> Self {
        static NEXT: Mutex<u32> = Mutex::new(0);
        let mut next = NEXT.lock().expect("no thread panics while counting");
        *next += 1;
        let shared = PathBuf::from("/dev/shm");
        let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
        let file = Self(folder.join(format!("larder-t-restart-{}-{}", std::process::id(), *next)));
        file.remove();
        file
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("the path is made of text")
    }

    /// A copy of its own.
    pub(crate) fn copied(&self) -> Self {
        let copy = Self::new();
        fs::copy(&self.0, &copy.0).expect("there is space");
        copy
    }

    pub(crate) fn open(&self) -> fs::File {
        fs::File::options().read(true).write(true).open(&self.0).expect("the file is ours")
    }

    /// A server on this file, with more `flags`.
    pub(crate) fn serve(&self, flags: &[&str]) -> Server {
        Server::start(&[&["-e", self.path(), "-A"], flags].concat())
    }

    /// A copy that was refused.
    pub(crate) fn refused(&self, number: u32) -> PathBuf {
        PathBuf::from(format!("{}.refused-{number}", self.path()))
    }

    pub(crate) fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        fs::File::open(&self.0).and_then(|file| file.read_exact_at(&mut bytes, at)).expect("the file is that long");
        bytes
    }

    pub(crate) fn overwrite(&self, at: u64, bytes: &[u8]) {
        let file = fs::File::options().write(true).open(&self.0).expect("the file is ours");
        file.write_all_at(bytes, at).expect("the file is ours");
    }

    pub(crate) fn len(&self) -> u64 {
        fs::metadata(&self.0).expect("the file is ours").len()
    }

    /// Changes the header or a copy of the state, which begins at `block`, and the checksum that ends it.
    pub(crate) fn change_block(&self, block: u64, change: impl FnOnce(&mut [u8])) {
        let mut bytes = self.bytes(block, BLOCK_BYTES);
        let checksum_at = BLOCK_BYTES - 8;
        change(&mut bytes);
        let sum = checksum(&bytes[..checksum_at]);
        bytes[checksum_at..].copy_from_slice(&sum.to_le_bytes());
        self.overwrite(block, &bytes);
    }

    /// Changes both copies of the state.
    pub(crate) fn change_state(&self, change: impl Fn(&mut [u8])) {
        [1, 2].into_iter().for_each(|copy| self.change_block(copy * BLOCK_BYTES as u64, &change));
    }

    /// Cuts the file off.
    pub(crate) fn cut(&self, len: u64) {
        let file = fs::File::options().write(true).open(&self.0).expect("the file is ours");
        file.set_len(len).expect("the file is ours");
    }

    /// The offset of the first byte of `wanted`, behind the superblock.
    pub(crate) fn find(&self, wanted: &[u8]) -> u64 {
        let bytes = fs::read(&self.0).expect("the file is ours");
        let start = 1 << 20;
        let found = bytes[start..].windows(wanted.len()).position(|window| window == wanted);
        (start + found.expect("it was stored")) as u64
    }

    /// Starts a server, and kills it after this time in any state.
    pub(crate) fn kill_during_start(&self, after: Duration) {
        let mut command = Command::new(program_under_test());
        command.args(["-u", "root", "-l", "127.0.0.1", "-p", "-1", "-e", self.path()]).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        std::thread::park_timeout(after);
        child.kill().expect("the child is ours");
        child.wait().expect("the child is ours");
    }

    fn remove(&self) {
        // Ignored, here and below: mostly there is nothing to remove.
        let _ = fs::remove_file(&self.0);
        (1..4).for_each(|number| drop(fs::remove_file(self.refused(number))));
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Sends a signal, and waits for the end of the server.
pub(crate) fn end(mut server: Server, signal: &str) -> ExitStatus {
    let sent = Command::new("kill").args([signal, &server.process_id().to_string()]).status();
    assert!(sent.expect("there is a kill").success());
    server.wait_for_end()
}

/// The rows `restart_state`, `restart_items` and `restart_damaged`.
pub(crate) fn kept(server: &Server) -> [String; 3] {
    let stats = server.stats("");
    ["restart_state", "restart_items", "restart_damaged"].map(|name| stats[name].clone())
}

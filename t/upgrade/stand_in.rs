//! A stand-in for the new process, which stops or ends at a given point of the exchange. Its program is this test
//! binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use larder::sys::passing::{memory_file, message_pair, take_inherited};
use larder::upgrade::{PartBuilder, PartRecord, UpgradeChannel};

use crate::support::{ScratchDirectory, scratch_directory, wait_until};

/// The environment variable with the folder of a stand-in.
const FOLDER: &str = "STAND_IN_FOLDER";
/// Tells the stand-in to end as soon as it has said hello.
const HELLO_ONLY: &str = "hello-only";

/// What the tests and a stand-in tell each other, as files in a folder.
pub(crate) struct StandIn(ScratchDirectory);

impl StandIn {
    pub(crate) fn new() -> Self {
        Self(scratch_directory())
    }

    /// One that ends as soon as it has said hello.
    pub(crate) fn that_says_hello_only() -> Self {
        let stand_in = Self::new();
        note(&stand_in.0, HELLO_ONLY, "");
        stand_in
    }

    /// The script that becomes the stand-in.
    pub(crate) fn script(&self) -> String {
        let program = std::env::current_exe().expect("the test binary has a path");
        let test = concat!("upgrade::stand_in::", "a_stand_in_notes_what_becomes_of_it");
        format!("exec env {FOLDER}={} {} --exact {test}", self.0.display(), program.display())
    }

    /// Whether it has said hello.
    pub(crate) fn has_said_hello(&self) -> bool {
        self.0.join("said-hello").exists()
    }

    /// Waits until it has received everything. It has not said that it is ready.
    pub(crate) fn wait_until_received(&self) {
        wait_until("the stand-in has received everything", || self.0.join("received").exists());
    }

    /// Lets it say that it is ready.
    pub(crate) fn go_on(&self) {
        note(&self.0, "go-on", "");
    }

    /// What has become of it: `committed`, or why not. Everything that it has received is closed by then.
    pub(crate) fn outcome(&self) -> String {
        wait_until("the stand-in has an outcome", || self.0.join("outcome").exists());
        fs::read_to_string(self.0.join("outcome")).expect("it is there")
    }
}

/// Writes a file in one step.
fn note(folder: &Path, name: &str, text: &str) {
    let unfinished = folder.join(format!("{name}.new"));
    let written = fs::write(&unfinished, text).and_then(|()| fs::rename(unfinished, folder.join(name)));
    written.expect("the scratch directory is writable");
}

/// The part of the new process. It serves nothing.
fn play(peer: &UpgradeChannel, folder: &Path) {
    let items = peer.receive_items().expect("the old process sends");
    peer.say_hello("stand-in").expect("the old process listens");
    note(folder, "said-hello", "");
    if folder.join(HELLO_ONLY).exists() {
        return;
    }
    let parts = peer.receive_parts().expect("the old process sends");
    note(folder, "received", "");
    wait_until("the test lets the stand-in go on", || folder.join("go-on").exists());
    let committed = peer.say_ready().map_err(|error| error.to_string());
    let committed = committed.and_then(|()| peer.await_commit().map_err(|error| error.to_string()));
    drop((items, parts));
    note(folder, "outcome", &committed.map_or_else(|error| error, |()| "committed".into()));
}

#[test]
fn a_stand_in_notes_what_becomes_of_it() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if !variable(FOLDER).is_empty() {
        let socket = take_inherited(variable("LARDER_UPGRADE_SOCKET").parse().expect("a number")).expect("it is open");
        play(&UpgradeChannel::from(socket), &PathBuf::from(variable(FOLDER)));
        std::process::exit(0);
    }
    let stand_in = Arc::new(StandIn::new());
    let (ours, theirs) = message_pair().expect("the kernel has sockets");
    let other = Arc::clone(&stand_in);
    let thread = thread::spawn(move || play(&UpgradeChannel::from(theirs), &other.0));
    let peer = UpgradeChannel::from(ours);
    let index = memory_file().expect("the kernel has memory files");
    peer.send_items(std::os::fd::AsFd::as_fd(&index)).expect("it listens");
    assert_eq!(peer.await_hello().expect("it says hello"), "stand-in");
    let mut part = PartBuilder::default();
    part.push(&PartRecord::Index, std::os::fd::AsFd::as_fd(&index));
    part.send(&peer).and_then(|()| peer.end_parts()).expect("it listens");
    stand_in.wait_until_received();
    stand_in.go_on();
    peer.await_ready().expect("it is ready");
    peer.commit().expect("it listens");
    assert_eq!(stand_in.outcome(), "committed");
    thread.join().expect("it does not panic");
}

//! The order of a change, as doc/restart.md states it. After each step the file is copied, as a kill would leave it,
//! and a store starts on the copy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::open::{Opened, Started, open};
use crate::base::{Deadline, Key, KeyHasher, RelTime};
use crate::item::{AccessStamp, Extras, Layout, LinkInfo, Marks, PendingItem, QueueState, header};
use crate::memory::{Backing, ChunkRef, ClassPlan, SizeClasses, SlabAllocator};
use crate::settings::Settings;
use crate::store::{Engine as _, Fetched, LeftItems, RecoveryReport, Store, StoreConfig};

const LIMIT_BYTES: u64 = 8 << 20;

/// A folder of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("larder-order-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Ignored: what is left is in the machine's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn plan() -> ClassPlan {
    ClassPlan { first: 64, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() }
}

/// The memory of a process that makes changes step by step.
struct Process {
    folder: Folder,
    slabs: &'static SlabAllocator,
    copies: u32,
}

impl Process {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let Ok(Opened { file, .. }) = open(&folder.0.join("file"), &Settings::default()) else { panic!("a new file") };
        let classes = SizeClasses::build(&plan()).with_proofs(true);
        let table = classes.table();
        file.superblock.update(|state| state.classes = table).unwrap();
        let slabs = SlabAllocator::over(Backing::File(file), classes, LIMIT_BYTES).unwrap();
        Self { folder, slabs: Box::leak(Box::new(slabs)), copies: 0 }
    }

    fn chunk(&self, class: u8) -> ChunkRef {
        let mut taken = None;
        let mut slab = self.slabs.lock(class);
        while slab.take(1, |chunk| taken = Some(chunk)) == 0 {
            assert!(slab.grow(0, true));
        }
        taken.unwrap()
    }

    /// An item under the key `colour`, filled and not linked.
    fn filled(&self, value: &[u8]) -> PendingItem {
        let key = KeyHasher::with_seed(1).hash(Key::new(b"colour").unwrap());
        let layout = Layout::new(&self.slabs.classes, key.key, Extras::default(), u32::try_from(value.len()).unwrap());
        let head = self.chunk(layout.head_class);
        let mut item = PendingItem::new(self.slabs, head, layout, key, Extras::default(), Deadline::NEVER);
        while let Some(class) = item.next_link_class() {
            item.push_link(self.chunk(class));
        }
        item.fill(value);
        item
    }

    fn link(&self, item: PendingItem, unique: u64) -> ChunkRef {
        item.complete().link(link_info(unique))
    }

    /// What a start finds if the process is killed now: the value of `colour`, and the report.
    fn killed_now(&mut self) -> (Option<Vec<u8>>, RecoveryReport) {
        self.copies += 1;
        let copy = self.folder.0.join(format!("copy-{}", self.copies));
        std::fs::copy(self.folder.0.join("file"), &copy).unwrap();
        start(&copy)
    }
}

fn link_info(unique: u64) -> LinkInfo {
    let (accessed, queue, marks) = (AccessStamp::at(RelTime(2)), QueueState::MAIN, Marks::NONE);
    LinkInfo { unique, deadline: Deadline::NEVER, accessed, queue, marks }
}

/// Starts on `file`, twice: the second start must find what the first one did.
fn start(file: &Path) -> (Option<Vec<u8>>, RecoveryReport) {
    let (first, report) = start_once(file);
    // The first store keeps its lock as long as this process lives.
    let again = file.with_extension("again");
    std::fs::copy(file, &again).unwrap();
    let (second, _) = start_once(&again);
    assert_eq!(first, second, "a start that is killed changes nothing");
    (first, report)
}

fn start_once(path: &Path) -> (Option<Vec<u8>>, RecoveryReport) {
    let Ok(Opened { file, started, clock, .. }) = open(path, &Settings::default()) else { panic!("a good file") };
    assert_eq!(started, Started::Unclean);
    let config = StoreConfig {
        limit_bytes: LIMIT_BYTES,
        classes: plan(),
        value_len_max: 1 << 20,
        evictions: true,
        use_cas: true,
        hashpower: 12,
        threads_max: 2,
        large_pages: false,
        hash_seed: None,
    };
    let store = Store::in_file(config, Arc::new(clock), file).unwrap();
    let report = store.recover(1, LeftItems::Unclean);
    let (mut participant, mut worker) = store.join();
    let pin = participant.pin();
    worker.begin_turn();
    let key = worker.hash(Key::new(b"colour").unwrap());
    let value = match worker.fetch(&pin, key) {
        Fetched::Hit(item) => Some(item.pieces().collect::<Vec<_>>().concat()),
        Fetched::Miss(_) => None,
    };
    (value, RecoveryReport { index_us: 0, free_us: 0, ..report })
}

#[test]
fn a_replace_leaves_one_of_both_values_whenever_it_is_cut_off() {
    for (len, name) in [(100, "short"), (50_000, "long")] {
        let mut process = Process::new(name);
        let [old, new] = [b'o', b'n'].map(|byte| vec![byte; len]);
        assert_eq!(process.killed_now().0, None);
        let first = process.filled(&old);
        assert_eq!(process.killed_now().0, None, "it is filled and not linked");
        let first = process.link(first, 7);
        assert_eq!(process.killed_now().0.as_ref(), Some(&old));
        let second = process.filled(&new);
        assert_eq!(process.killed_now().0.as_ref(), Some(&old));
        process.link(second, 8);
        let (value, report) = process.killed_now();
        assert_eq!((value.as_ref(), report.replaced, report.items), (Some(&new), 1, 1), "the newer one of two");
        let _ = header::clear_linked(process.slabs.arena().head(first));
        let (value, report) = process.killed_now();
        assert_eq!((value.as_ref(), report.replaced, report.damaged), (Some(&new), 0, 0));
    }
}

#[test]
fn a_delete_leaves_nothing() {
    let mut process = Process::new("delete");
    let item = process.filled(b"value");
    let item = process.link(item, 7);
    assert_eq!(process.killed_now().0.as_deref(), Some(&b"value"[..]));
    let _ = header::clear_linked(process.slabs.arena().head(item));
    assert_eq!(process.killed_now().0, None);
}

#[test]
fn an_item_that_is_linked_before_its_proof_is_written_is_dropped() {
    let mut process = Process::new("proof");
    let item = process.filled(b"value");
    header::set_linked(process.slabs.arena().head(item.head()), link_info(7), |_, _| {});
    let (value, report) = process.killed_now();
    assert_eq!((value, report.damaged, report.items), (None, 1, 0));
    std::mem::forget(item);
}

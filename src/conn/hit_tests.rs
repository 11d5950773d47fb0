//! What a GET that hits must not do: take a lock, execute a read-modify-write, allocate, or store where other threads
//! look. With many processors, each of these would keep gets from scaling.
//!
//! ```text
//! counted   locks of the lock order, read-modify-writes, allocations: none in a turn that answers gets
//! frozen    items, index and ghost are read-only memory in a process of its own: a store there kills it
//! calls     one receive and one send in such a turn
//! ```
//!
//! The items have been asked for before, so that their access bits are set: a first hit does change its item. Locks are
//! those of the lock order (sync/ranked.rs). What a worker alone writes on its heap, counters and the sketch of `stats
//! hotkeys`, is not frozen.

use std::env;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use super::Bench;
use crate::base::atomic::changes_by_this_thread;
use crate::sync::Ranked;
use crate::sys::allocations::asked_by_this_thread;
use crate::sys::socket::calls;

const KEYS: u32 = 300;
/// The number of gets after which a hit on an item writes nothing.
const WARM: usize = 4;
/// Says to the test's own binary that it is the process whose memory is frozen, and after how many hits.
const FROZEN_AFTER: &str = "LARDER_FROZEN_AFTER";

/// Every key has its value: some with flags, none so long that it would be lent instead of copied.
fn filled() -> Bench {
    let mut bench = Bench::new();
    for number in 0..KEYS {
        let value = value_of(number);
        let set = format!("set key:{number} {} 0 {}\r\n{value}\r\n", number % 3, value.len());
        assert_eq!(bench.talk(set.as_bytes(), usize::MAX), b"STORED\r\n");
    }
    bench
}

fn value_of(number: u32) -> String {
    "v".repeat(number as usize % 50 * 13)
}

/// Requests and their replies: gets one by one, of a pipeline, of nothing, and of a list.
fn questions() -> Vec<(String, String)> {
    let shown = |number: u32| {
        let value = value_of(number);
        format!("VALUE key:{number} {} {}\r\n{value}\r\n", number % 3, value.len())
    };
    let single = |number: u32| (format!("get key:{number}\r\n"), format!("{}END\r\n", shown(number)));
    let pipeline: (String, String) = (0..60).map(single).unzip();
    let miss = (String::from("get nobody\r\n"), String::from("END\r\n"));
    let numbers = || (0..KEYS).step_by(3);
    let list: String = numbers().map(|number| format!(" key:{number}")).collect();
    let listed: String = numbers().map(shown).collect();
    let list = (format!("get nobody{list}\r\n"), format!("{listed}END\r\n"));
    (0..KEYS).map(single).chain([pipeline, miss, list]).collect()
}

/// One turn for one request whose whole reply fits the socket.
fn ask(bench: &mut Bench, (request, reply): &(String, String)) {
    bench.client.write_all(request.as_bytes()).unwrap();
    bench.turn();
    assert_eq!(String::from_utf8_lossy(&bench.read()), *reply);
}

#[test]
fn a_hit_takes_no_lock_and_no_memory_and_changes_no_atomic_in_one_step() {
    let (mut bench, questions) = (filled(), questions());
    (0..WARM).for_each(|_| questions.iter().for_each(|question| ask(&mut bench, question)));
    let counts = || [Ranked::taken_by_this_thread(), changes_by_this_thread(), asked_by_this_thread()];
    // Enough requests for `stats hotkeys`, which looks at one key in 256, to see several.
    for (request, reply) in std::iter::repeat_n(&questions, 5).flatten() {
        bench.client.write_all(request.as_bytes()).unwrap();
        let before = counts();
        bench.turn();
        assert_eq!(counts(), before, "locks, read-modify-writes and allocations for {request}");
        assert_eq!(String::from_utf8_lossy(&bench.read()), *reply);
    }
}

#[test]
fn a_batch_is_received_with_one_call_and_answered_with_one() {
    let (mut bench, questions) = (filled(), questions());
    for (request, reply) in &questions {
        bench.client.write_all(request.as_bytes()).unwrap();
        let [receives, sends] = calls::by_this_thread();
        bench.turn();
        assert_eq!(calls::by_this_thread(), [receives + 1, sends + 1], "receives and sends for {request}");
        assert_eq!(String::from_utf8_lossy(&bench.read()), *reply);
    }
}

#[test]
fn what_is_counted_is_there_to_be_counted() {
    let mut bench = filled();
    let counts = || [Ranked::taken_by_this_thread(), changes_by_this_thread(), asked_by_this_thread()];
    let before = counts();
    bench.client.write_all(b"set key:1 0 0 1\r\nx\r\nget key:1\r\n").unwrap();
    bench.turn();
    let after = counts();
    assert!(after[0] > before[0], "a set locks its bucket");
    assert!(after[1] > before[1], "and takes its item from a bucket that was locked in one step");
    let _boxed = std::hint::black_box(Box::new(bench.turn()));
    assert!(counts()[2] > after[2], "a box is memory");
}

/// Runs `frozen_gets` in a process of its own, which has asked for every item `warm` times before.
fn in_a_frozen_process(warm: usize) -> ExitStatus {
    let name = format!("{}::frozen_gets", module_path!().split_once("::").unwrap().1);
    let mut test = Command::new(env::current_exe().unwrap());
    test.args([&name, "--exact", "--test-threads=1"]).env(FROZEN_AFTER, warm.to_string());
    test.output().unwrap().status
}

/// The other process's part; in the first one it has nothing to do but to see that the other ends well.
#[test]
fn frozen_gets() {
    let Ok(warm) = env::var(FROZEN_AFTER) else {
        let status = in_a_frozen_process(WARM);
        assert!(status.success(), "a get stored into items, index or ghost: {status}");
        return;
    };
    let (mut bench, questions) = (filled(), questions());
    let warm: usize = warm.parse().unwrap();
    (0..warm).for_each(|_| questions.iter().for_each(|question| ask(&mut bench, question)));
    bench.store.forbid_stores().unwrap();
    questions.iter().for_each(|question| ask(&mut bench, question));
    // Its end would give back what it has.
    std::mem::forget(bench);
}

#[test]
fn a_store_into_frozen_memory_does_end_the_process() {
    let status = in_a_frozen_process(0);
    assert_eq!(status.signal(), Some(11), "a first hit notes itself in its item: {status}");
}

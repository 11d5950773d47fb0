//! What each command counts, depending on the item that it finds. The figures are memcached's.

use crate::support::client::StatRows;
use crate::support::{Client, Server};

/// Rows of `stats` that commands count.
const ROWS: [&str; 20] = [
    "cmd_get",
    "get_hits",
    "get_misses",
    "get_expired",
    "cmd_touch",
    "touch_hits",
    "touch_misses",
    "cmd_set",
    "cas_hits",
    "cas_misses",
    "cas_badval",
    "delete_hits",
    "delete_misses",
    "incr_hits",
    "incr_misses",
    "decr_hits",
    "decr_misses",
    "store_too_large",
    "total_items",
    "get_flushed",
];
/// Rows of `stats slabs` that commands count, as a sum over classes.
const CLASS_ROWS: [&str; 8] =
    ["get_hits", "cmd_set", "delete_hits", "incr_hits", "decr_hits", "cas_hits", "cas_badval", "touch_hits"];
/// What is stored before the command. `old`: expired.
const STATES: [(&str, &str); 4] = [
    ("none", "delete a"),
    ("word", "set a 0 0 3\r\nabc"),
    ("number", "set a 0 0 2\r\n12"),
    ("old", "set a 0 -1 2\r\n12"),
];

/// Command, states, and counts. A count of `stats slabs` has a slash in front.
const TABLE: &[(&str, &str, &str)] = &[
    ("get a", "none", "cmd_get get_misses"),
    ("get a", "word", "cmd_get get_hits /get_hits"),
    ("get a", "old", "cmd_get get_misses get_expired"),
    ("gat 0 a", "none", "cmd_touch touch_misses"),
    ("gat 0 a", "word", "cmd_touch touch_hits /touch_hits"),
    ("gat 0 a", "old", "cmd_touch touch_misses get_expired"),
    ("touch a 0", "none", "cmd_touch touch_misses"),
    ("touch a 0", "word", "cmd_touch touch_hits /touch_hits"),
    ("touch a 0", "old", "cmd_touch touch_misses get_expired"),
    ("mg a v", "none", "cmd_get get_misses"),
    ("mg a v", "word", "cmd_get get_hits /get_hits"),
    ("mg a v", "old", "cmd_get get_misses get_expired"),
    ("mg a T30", "none", "cmd_get get_misses"),
    ("mg a T30", "word", "cmd_touch touch_hits /touch_hits"),
    ("mg a T30", "old", "cmd_get get_misses get_expired"),
    ("mg a N30", "none", "cmd_get get_hits /get_hits total_items"),
    ("mg a N30 T30", "none", "cmd_touch touch_hits /touch_hits total_items"),
    ("me a", "none word number old", ""),
    ("set a 0 0 1\r\n7", "none word number old", "cmd_set /cmd_set total_items"),
    ("add a 0 0 1\r\n7", "none old", "cmd_set /cmd_set total_items"),
    ("add a 0 0 1\r\n7", "word number", "cmd_set /cmd_set"),
    ("replace a 0 0 1\r\n7", "none old", "cmd_set /cmd_set"),
    ("replace a 0 0 1\r\n7", "word number", "cmd_set /cmd_set total_items"),
    ("append a 0 0 1\r\n7", "none old", "cmd_set /cmd_set"),
    ("append a 0 0 1\r\n7", "word number", "cmd_set /cmd_set total_items"),
    ("cas a 0 0 1 1\r\n7", "none old", "cmd_set /cmd_set cas_misses"),
    ("cas a 0 0 1 1\r\n7", "word number", "cmd_set /cmd_set cas_badval /cas_badval"),
    ("set a 0 0 3000000\r\n", "none word number", "store_too_large"),
    ("ms a 1\r\n7", "none word number old", "cmd_set /cmd_set total_items"),
    ("ms a 1 ME C1\r\n7", "none old", "cmd_set /cmd_set total_items"),
    ("ms a 1 ME\r\n7", "word number", "cmd_set /cmd_set"),
    ("ms a 1 MA C1\r\n7", "word number", "cmd_set /cmd_set"),
    ("ms a 1 C1\r\n7", "none old", "cmd_set /cmd_set cas_misses"),
    ("ms a 1 C1\r\n7", "word number", "cmd_set /cmd_set cas_badval /cas_badval"),
    ("ms a 1 I C1\r\n7", "word number", "cmd_set /cmd_set cas_hits /cas_hits total_items"),
    ("delete a", "none", "delete_misses"),
    ("delete a", "word", "delete_hits /delete_hits"),
    ("delete a", "old", "delete_misses get_expired"),
    ("md a", "none", "delete_misses"),
    ("md a", "word", "delete_hits /delete_hits"),
    ("md a", "old", "delete_misses get_expired"),
    ("md a C1", "word number", "delete_misses"),
    ("md a I", "none", "delete_misses"),
    ("md a I", "word number", ""),
    ("md a I", "old", "delete_misses get_expired"),
    ("md a x", "word number", "delete_hits /delete_hits total_items"),
    ("md a x I", "word number", "total_items"),
    ("incr a 1", "none", "incr_misses"),
    ("incr a 1", "word", ""),
    ("incr a 1", "number", "incr_hits /incr_hits"),
    ("incr a 1000", "number", "incr_hits /incr_hits total_items"),
    ("incr a 1", "old", "incr_misses get_expired"),
    ("decr a 1", "none", "decr_misses"),
    ("decr a 1", "number", "decr_hits /decr_hits"),
    ("ma a", "none", "incr_misses"),
    ("ma a", "word", ""),
    ("ma a C1", "number", ""),
    ("ma a", "number", "incr_hits /incr_hits"),
    ("ma a MD", "number", "decr_hits /decr_hits"),
    ("ma a", "old", "incr_misses get_expired"),
    ("ma a N30", "none", "total_items"),
];

#[test]
fn each_command_counts_what_memcached_counts() {
    let server = Server::start(&["-t", "1"]);
    let (mut client, mut observer) = (server.client(), server.client());
    let mut faults = Vec::new();
    for (command, states, expected) in TABLE {
        let mut expected: Vec<&str> = expected.split_whitespace().collect();
        expected.sort_unstable();
        for (name, setup) in STATES.iter().filter(|(name, _)| states.split_whitespace().any(|state| state == *name)) {
            run(&mut client, "delete a");
            run(&mut client, setup);
            let before = counted(&mut observer);
            let filler = if command.contains("3000000") { "x".repeat(3_000_000) } else { String::new() };
            run(&mut client, &format!("{command}{filler}"));
            let after = counted(&mut observer);
            let changes = before.iter().zip(&after).filter(|((_, before), (_, after))| before != after);
            let mut changed: Vec<&str> = changes.map(|((row, _), _)| row.as_str()).collect();
            changed.sort_unstable();
            if changed != expected {
                faults.push(format!("{command:?}, {name}: {changed:?} instead of {expected:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Executes one request.
fn run(client: &mut Client, request: &str) {
    client.send(format!("{request}\r\nversion\r\n"));
    client.read_until(b"VERSION 1.6.45\r\n").expect("the server answers");
}

/// Each row that commands count, and its value.
fn counted(observer: &mut Client) -> Vec<(String, u64)> {
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let (rows, slabs): (StatRows, StatRows) = (observer.stats(""), observer.stats("slabs"));
    let of_class = |name: &str| {
        let classes = slabs.iter().filter(|(row, _)| row.split_once(':').is_some_and(|(_, row)| row == name));
        classes.map(|(_, value)| number(value)).sum()
    };
    let plain = ROWS.iter().map(|name| ((*name).to_owned(), number(&rows[*name])));
    plain.chain(CLASS_ROWS.iter().map(|name| (format!("/{name}"), of_class(name)))).collect()
}

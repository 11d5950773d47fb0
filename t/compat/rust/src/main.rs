//! The Rust crate `memcache` over three servers: the binary protocol, which is its default, and the text protocol.
//! Arguments: host:port of each server.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Debug;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use memcache::{Client, MemcacheError};

type Outcome = Result<(), Box<dyn Error>>;
type Check = fn(&Client, &[Client]) -> Outcome;

const CHECKS: &[(&str, Check)] = &[
    ("set, get, missing, delete", set_get_delete),
    ("add, replace, append, prepend", add_replace_append_prepend),
    ("gets and cas: stored, then stale", cas),
    ("increment and decrement", increment_and_decrement),
    ("3,000 keys over three servers, each holds some", spread),
    ("flags and a value of 1,000,000 bytes", flags_and_large_value),
    ("a value above the limit is refused and the connection stays in step", too_large),
    ("exptime passes, touch prolongs", exptime),
    ("version and flush", admin),
];

fn main() -> ExitCode {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    let failures = ["binary", "ascii"].map(|protocol| checks(protocol, &addresses)).iter().sum::<u32>();
    ExitCode::from(u8::from(failures > 0))
}

/// Makes every check; returns how many failed.
fn checks(protocol: &str, addresses: &[String]) -> u32 {
    let connect = |addresses: &[String]| {
        let urls: Vec<String> = addresses.iter().map(|a| format!("memcache://{a}?protocol={protocol}")).collect();
        Client::connect(urls).expect("the servers are up")
    };
    let ring = connect(addresses);
    let single: Vec<Client> = addresses.chunks(1).map(connect).collect();
    let mut failures = 0;
    for (name, check) in CHECKS {
        match check(&ring, &single) {
            Ok(()) => println!("ok {protocol}: {name}"),
            Err(why) => {
                failures += 1;
                println!("not ok {protocol}: {name}: {why}");
            }
        }
    }
    failures
}

fn equal<T: PartialEq + Debug>(found: T, wanted: T) -> Outcome {
    if found == wanted { Ok(()) } else { Err(format!("found {found:?}, wanted {wanted:?}").into()) }
}

/// Polls, because only the server's clock knows when a second is over.
fn wait_until(fact: impl Fn() -> Result<bool, MemcacheError>) -> Outcome {
    let began = Instant::now();
    while !fact()? {
        if began.elapsed() > Duration::from_secs(8) {
            return Err("not within 8 s".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn set_get_delete(ring: &Client, _: &[Client]) -> Outcome {
    ring.set("colour", "blue", 0)?;
    equal(ring.get::<String>("colour")?.as_deref(), Some("blue"))?;
    equal(ring.get::<String>("nothing")?, None)?;
    equal(ring.delete("colour")?, true)?;
    equal(ring.delete("colour")?, false)?;
    equal(ring.get::<String>("colour")?, None)
}

fn add_replace_append_prepend(ring: &Client, _: &[Client]) -> Outcome {
    ring.add("once", "a", 0)?;
    // Ignored, here and below: in text this client reports NOT_STORED as success, in binary as an error. The value
    // tells.
    let _ = ring.add("once", "b", 0);
    equal(ring.get::<String>("once")?.as_deref(), Some("a"))?;
    ring.replace("once", "-", 0)?;
    let _ = ring.replace("nothing", "b", 0);
    equal(ring.get::<String>("nothing")?, None)?;
    ring.append("once", "right")?;
    ring.prepend("once", "left")?;
    equal(ring.get::<String>("once")?.as_deref(), Some("left-right"))
}

fn cas(ring: &Client, _: &[Client]) -> Outcome {
    ring.set("token", "one", 0)?;
    let found: HashMap<String, (Vec<u8>, u32, Option<u64>)> = ring.gets(&["token", "nothing"])?;
    equal(found.len(), 1)?;
    let (value, _, token) = &found["token"];
    equal(value.as_slice(), b"one".as_slice())?;
    let token = token.ok_or("gets brought no cas token")?;
    equal(ring.cas("token", "two", 0, token)?, true)?;
    equal(ring.cas("token", "three", 0, token)?, false)?;
    equal(ring.get::<String>("token")?.as_deref(), Some("two"))
}

fn increment_and_decrement(ring: &Client, _: &[Client]) -> Outcome {
    ring.set("n", 10, 0)?;
    equal(ring.increment("n", 5)?, 15)?;
    equal(ring.decrement("n", 20)?, 0)?;
    ring.set("n", "ten", 0)?;
    equal(ring.increment("n", 1).is_err(), true)
}

fn spread(ring: &Client, single: &[Client]) -> Outcome {
    let keys: Vec<String> = (0..3000).map(|i| format!("spread{i}")).collect();
    for key in &keys {
        ring.set(key, key.as_str(), 0)?;
    }
    let words: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found: HashMap<String, String> = ring.gets(&words)?;
    equal(found.len(), keys.len())?;
    equal(found.iter().all(|(key, value)| key == value), true)?;
    equal(single.len(), 3)?;
    let mut held = 0;
    for server in single {
        let here: HashMap<String, String> = server.gets(&words)?;
        equal(here.len() > 300, true)?;
        held += here.len();
    }
    equal(held, keys.len())
}

fn flags_and_large_value(ring: &Client, _: &[Client]) -> Outcome {
    let large: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    ring.set("large", large.as_slice(), 0)?;
    let (value, flags, _): (Vec<u8>, u32, Option<u64>) = ring.get("large")?.ok_or("the large value is missing")?;
    equal(value == large, true)?;
    equal(flags, 0)
}

fn too_large(ring: &Client, _: &[Client]) -> Outcome {
    equal(ring.set("large", vec![b'x'; 2 << 20].as_slice(), 0).is_err(), true)?;
    ring.set("after", "in step", 0)?;
    equal(ring.get::<String>("after")?.as_deref(), Some("in step"))
}

fn exptime(ring: &Client, _: &[Client]) -> Outcome {
    ring.set("brief", "x", 1)?;
    ring.set("prolonged", "x", 1)?;
    equal(ring.touch("prolonged", 1000)?, true)?;
    wait_until(|| Ok(ring.get::<String>("brief")?.is_none()))?;
    equal(ring.get::<String>("prolonged")?.as_deref(), Some("x"))
}

fn admin(ring: &Client, single: &[Client]) -> Outcome {
    let versions = ring.version()?;
    equal(versions.len(), single.len())?;
    equal(versions.iter().all(|(_, version)| version == "1.6.45"), true)?;
    ring.flush()?;
    wait_until(|| Ok(ring.get::<String>("once")?.is_none()))
}

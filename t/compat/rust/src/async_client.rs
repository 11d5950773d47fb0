//! The Rust crate `async-memcached`: text and meta commands. Arguments: host:port of each server; it talks to
//! the first.

use std::error::Error;
use std::fmt::Debug;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use async_memcached::{AsciiProtocol, Client, MetaProtocol};

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1).expect("the address of a server is an argument");
    let mut client = Client::new(format!("tcp://{address}")).await.expect("the server is up");
    let outcomes = [
        ("set, get, missing, delete", set_get_delete(&mut client).await),
        ("add and increment", add_and_increment(&mut client).await),
        ("600 keys, half of them missing", many(&mut client).await),
        ("a value of 1,000,000 bytes", large(&mut client).await),
        ("meta set, get with flags, delete", meta(&mut client).await),
        ("meta counters", meta_counters(&mut client).await),
        ("meta: 300 sets and gets in a pipeline", meta_many(&mut client).await),
        ("a TTL passes", expiry(&mut client).await),
        ("version, stats, flush", admin(&mut client).await),
    ];
    let mut failures = 0;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(()) => println!("ok {name}"),
            Err(why) => {
                failures += 1;
                println!("not ok {name}: {why}");
            }
        }
    }
    ExitCode::from(u8::from(failures > 0))
}

fn equal<T: PartialEq + Debug>(found: T, wanted: T) -> Outcome {
    if found == wanted { Ok(()) } else { Err(format!("found {found:?}, wanted {wanted:?}").into()) }
}

async fn text(client: &mut Client, key: &str) -> Result<Option<String>, Box<dyn Error>> {
    let found = client.get(key).await?;
    Ok(found.and_then(|value| value.data).map(|data| String::from_utf8_lossy(&data).into_owned()))
}

async fn set_get_delete(client: &mut Client) -> Outcome {
    client.set("colour", "blue", Some(100), Some(42)).await?;
    let found = client.get("colour").await?.ok_or("the key is missing")?;
    equal((found.data.as_deref(), found.flags), (Some(b"blue".as_slice()), Some(42)))?;
    equal(client.get("nothing").await?, None)?;
    client.delete("colour").await?;
    equal(client.delete("colour").await.is_err(), true)
}

async fn add_and_increment(client: &mut Client) -> Outcome {
    client.add("once", "1", None, None).await?;
    equal(client.add("once", "2", None, None).await.is_err(), true)?;
    client.set("n", 10u64, None, None).await?;
    equal(client.increment("n", 5).await?, 15)?;
    equal(client.decrement("n", 20).await?, 0)
}

fn pairs() -> Vec<(String, u64)> {
    (0..300).map(|i| (format!("many{i}"), i)).collect()
}

async fn many(client: &mut Client) -> Outcome {
    equal(client.set_multi(&pairs(), None, None).await?.values().all(Result::is_ok), true)?;
    let found = client.get_multi((0..600).map(|i| format!("many{i}"))).await?;
    equal(found.len(), 300)
}

async fn large(client: &mut Client) -> Outcome {
    let large: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    client.set("large", large.as_slice(), None, None).await?;
    equal(client.get("large").await?.and_then(|value| value.data) == Some(large), true)
}

async fn meta(client: &mut Client) -> Outcome {
    client.meta_set("page", "text", false, None, Some(&["T100", "F7"])).await?;
    let found = client.meta_get("page", false, Some(b"9"), Some(&["v", "f", "t", "s", "k"])).await?;
    let found = found.ok_or("the key is missing")?;
    equal((found.data.as_deref(), found.flags, found.size), (Some(b"text".as_slice()), Some(7), Some(4)))?;
    equal(client.meta_get("nothing", true, None, Some(&["v"])).await?, None)?;
    client.meta_delete("page", false, None, None).await?;
    equal(client.meta_get("page", false, None, Some(&["v"])).await?, None)
}

async fn meta_counters(client: &mut Client) -> Outcome {
    client.meta_increment("hits", false, None, None, Some(&["N100", "J10"])).await?;
    let more = client.meta_increment("hits", false, None, Some(5), Some(&["v"])).await?;
    equal(more.and_then(|value| value.data), Some(b"15".to_vec()))?;
    let less = client.meta_decrement("hits", false, None, Some(100), Some(&["v"])).await?;
    equal(less.and_then(|value| value.data), Some(b"0".to_vec()))
}

async fn meta_many(client: &mut Client) -> Outcome {
    client.meta_set_multi(&pairs(), None).await?;
    let keys: Vec<String> = (0..600).map(|i| format!("many{i}")).collect();
    let found = client.meta_get_multi(&keys, Some(&["v", "k"])).await?;
    equal(found.len(), 300)
}

async fn expiry(client: &mut Client) -> Outcome {
    client.set("brief", "x", Some(1), None).await?;
    let began = Instant::now();
    while text(client, "brief").await?.is_some() {
        if began.elapsed() > Duration::from_secs(8) {
            return Err("not within 8 s".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn admin(client: &mut Client) -> Outcome {
    equal(client.version().await?.trim_end().to_string(), "1.6.45".to_string())?;
    equal(client.stats().await?.contains_key("curr_items"), true)?;
    client.flush_all().await?;
    equal(text(client, "once").await?, None)
}

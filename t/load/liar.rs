//! A text server of a hundred lines with faults that a test chooses.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{now, wait_until};

/// What is wrong with its answers to gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// Nothing.
    None,
    /// The value is another key's.
    Swapped,
    /// The value is shorter than it was, and so is the announced length.
    Truncated,
    /// The value is empty, and so is the announced length.
    Empty,
    /// The value is shorter than the announced length.
    CutOff,
    /// The beginning is of the last store, the end of the one before.
    Torn,
    /// The value is the first that was stored.
    Stale,
    /// Key and value are another's.
    OtherItem,
    /// One bit is wrong.
    Rotten,
    /// There is one answer more than there were requests.
    Talkative,
    /// The connection ends in the middle of the answer.
    Unfinished,
    /// The first answer comes after this many milliseconds.
    Late(u64),
}

/// Starts it. It ends with the process.
pub(super) fn start(lie: Lie) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    let store = Arc::new(std::sync::Mutex::new(Store::default()));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let store = Arc::clone(&store);
            // Ignored: a client that is gone needs no answer.
            std::thread::spawn(move || drop(serve(client, lie, &store)));
        }
    });
    address
}

#[derive(Default)]
struct Store {
    /// All values a key ever had.
    values: HashMap<String, Vec<Vec<u8>>>,
    gets: u64,
}

fn serve(client: TcpStream, lie: Lie, store: &std::sync::Mutex<Store>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut output = client.try_clone()?;
    let mut input = BufReader::new(client);
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["version"] => output.write_all(b"VERSION lies\r\n")?,
            ["set", key, _, _, len] => {
                let mut value = vec![0; len.parse::<usize>().unwrap_or(0) + 2];
                input.read_exact(&mut value)?;
                value.truncate(value.len() - 2);
                store.lock().expect("no thread panics").values.entry(key.to_string()).or_default().push(value);
                output.write_all(b"STORED\r\n")?;
            }
            ["get", key] => {
                let (answer, is_first) = {
                    let mut store = store.lock().expect("no thread panics");
                    store.gets += 1;
                    (answer(lie, key, &store), store.gets == 1)
                };
                if let Lie::Late(ms) = lie
                    && is_first
                {
                    let start = now();
                    wait_until("the answer is late", || start.elapsed() >= Duration::from_millis(ms));
                }
                output.write_all(&answer)?;
                if lie == Lie::Unfinished {
                    return Ok(());
                }
            }
            _ => output.write_all(b"ERROR\r\n")?,
        }
        line.clear();
    }
    Ok(())
}

fn answer(lie: Lie, key: &str, store: &Store) -> Vec<u8> {
    let Some(own) = store.values.get(key) else { return b"END\r\n".to_vec() };
    let other = store.values.iter().find(|(name, _)| *name != key);
    let (mut name, mut value) = (key, own[own.len() - 1].clone());
    let mut told = value.len();
    match (lie, other) {
        (Lie::Swapped, Some((_, theirs))) => value.clone_from(&theirs[0]),
        (Lie::OtherItem, Some((theirs, values))) => (name, value) = (theirs, values[0].clone()),
        (Lie::Truncated, _) => {
            told -= 1;
            value.truncate(told);
        }
        (Lie::Empty, _) => {
            told = 0;
            value.clear();
        }
        (Lie::CutOff, _) => value.truncate(told - 1),
        (Lie::Torn, _) => value.splice(told / 2.., own[0][told / 2..].iter().copied()).for_each(drop),
        (Lie::Stale, _) => value.clone_from(&own[0]),
        (Lie::Rotten, _) => value[told - 1] ^= 1,
        _ => {}
    }
    let mut answer = format!("VALUE {name} 0 {told}\r\n").into_bytes();
    answer.extend(value);
    answer.extend_from_slice(b"\r\nEND\r\n");
    match lie {
        Lie::Talkative => answer.extend_from_slice(b"END\r\n"),
        Lie::Unfinished => answer.truncate(answer.len() / 2),
        _ => {}
    }
    answer
}

//! The two servers, kept in step batch by batch.
//!
//! A batch ends with a sentinel that no value can look like: a set and get of a number that is new each time. What a
//! broken store at the end of a batch would still swallow is fed to it before (`Batch::padding`).

use std::fmt;
use std::io;
use std::thread;

use super::differences::Tally;
use super::memcached;
use super::replies::{self, Reply, Uniques};
use super::stream::{Batch, CONNECTIONS, Ending, PADDING};
use super::support::{Client, Server};

/// Room for every value of a stream, so that nothing is evicted: each server has its own order of evictions.
pub(super) const FLAGS: &[&str] = &["-m", "1024", "-t", "1"];

/// memcached does not pad a number that grew shorter while another thread holds the item. That is a background thread,
/// or a worker that has sent a value and not yet released it. Without these threads it always pads.
pub(super) const THEIR_FLAGS: &[&str] = &["-o", "no_lru_maintainer,no_lru_crawler,no_slab_reassign"];

pub(crate) struct Duel {
    ours: Side,
    theirs: Side,
    sentinels: u32,
    pub(crate) replies_compared: u64,
}

struct Side {
    server: Server,
    clients: Vec<Client>,
    uniques: Uniques,
}

/// The first reply that differs and what came before it in its batch.
pub(crate) struct Mismatch {
    /// The first two words that differ. A shortened run must still end with these.
    pub(crate) kind: [String; 2],
    agreed: Vec<Reply>,
    ours: String,
    theirs: String,
}

impl Duel {
    pub(crate) fn start() -> Self {
        Duel {
            ours: Side::of(Server::start(FLAGS)),
            theirs: Side::of(Server::start_program(memcached::program(), &[FLAGS, THEIR_FLAGS].concat())),
            sentinels: 0,
            replies_compared: 0,
        }
    }

    /// Sends `batch` to both, then reads and compares what both say to it.
    pub(crate) fn play(&mut self, batch: &Batch, tally: &mut Tally) -> Result<(), Mismatch> {
        self.sentinels += 1;
        let sentinel = format!("{:08}", self.sentinels);
        self.ours.send(batch, &sentinel);
        self.theirs.send(batch, &sentinel);
        let ours = self.ours.replies(batch, &sentinel, &mut Tally::default());
        let theirs = self.theirs.replies(batch, &sentinel, tally);
        self.replies_compared += ours.0.len() as u64;
        compare(ours, theirs)
    }
}

/// Streams compare with the CAS unique 1. The servers do not number their items alike, so no item of a stream may have
/// it.
pub(super) fn draw_first_uniques(server: &Server) {
    let mut client = server.client();
    (0..10).for_each(|_| client.ask("set sentinel 0 0 1\r\nx\r\n", "STORED\r\n"));
}

impl Side {
    fn of(server: Server) -> Self {
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| server.client()).collect();
        draw_first_uniques(&server);
        Side { server, clients, uniques: Uniques::default() }
    }

    fn send(&mut self, batch: &Batch, sentinel: &str) {
        let mut packet = Vec::new();
        for command in &batch.commands {
            packet.extend(command.bytes(|back| self.uniques.recent(back)));
        }
        if let Ending::Open = batch.ending {
            packet.extend(PADDING.repeat(batch.padding));
            packet.extend(format!("set sentinel 0 0 8\r\n{sentinel}\r\nget sentinel\r\n").bytes());
        }
        let client = &mut self.clients[batch.connection];
        for part in batch.delivery.parts(&packet) {
            // Ignored: if the server closes early, its replies show it.
            let _ = client.try_send(part);
            thread::yield_now();
        }
        if let Ending::ClosedByClient = batch.ending {
            client.finish_sending();
        }
    }

    /// The replies to `batch`, and the error if they had no proper end.
    fn replies(&mut self, batch: &Batch, sentinel: &str, tally: &mut Tally) -> (Vec<Reply>, Option<String>) {
        let client = &mut self.clients[batch.connection];
        let read: io::Result<Vec<u8>> = match batch.ending {
            Ending::Open => client.read_until(format!("VALUE sentinel 0 8\r\n{sentinel}\r\nEND\r\n").as_bytes()),
            Ending::ClosedByServer | Ending::ClosedByClient => client.read_to_close(),
        };
        let (bytes, fault) = match read {
            Ok(bytes) => (bytes, None),
            Err(e) => (client.take_unread(), Some(format!("{e}, when waiting for {}", batch.ending))),
        };
        if !matches!(batch.ending, Ending::Open) {
            *client = self.server.client();
            // The first byte of a connection decides its protocol; a stream is of text.
            client.ask("get sentinel-of-a-new-connection\r\n", "END\r\n");
        }
        (replies::parse(&bytes, &mut self.uniques, tally), fault)
    }
}

fn compare(ours: (Vec<Reply>, Option<String>), theirs: (Vec<Reply>, Option<String>)) -> Result<(), Mismatch> {
    if ours == theirs && ours.1.is_none() {
        return Ok(());
    }
    let agreed = ours.0.iter().zip(&theirs.0).take_while(|(our, their)| our == their).count();
    let rest = |(replies, fault): &(Vec<Reply>, Option<String>)| {
        let next: Vec<String> = replies[agreed..].iter().take(3).map(Reply::to_string).collect();
        format!("{}{}", next.join("  "), fault.as_ref().map_or(String::new(), |fault| format!("  ({fault})")))
    };
    let (our_rest, their_rest) = (rest(&ours), rest(&theirs));
    let first_word = |text: &str| text.split(' ').next().unwrap_or_default().to_string();
    let kind = [first_word(&our_rest), first_word(&their_rest)];
    let mut agreed_replies = ours.0;
    agreed_replies.truncate(agreed);
    Err(Mismatch { kind, agreed: agreed_replies, ours: our_rest, theirs: their_rest })
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.agreed.len().saturating_sub(5);
        for reply in &self.agreed[from..] {
            writeln!(out, "     both: {reply}")?;
        }
        writeln!(out, "   larder: {}", self.ours)?;
        write!(out, "memcached: {}", self.theirs)
    }
}

//! The two servers and packets of the binary protocol, whole and broken (packets.rs).
//!
//! A batch is sent over one connection. A noop follows that has an opaque of its own: replies are read up to its reply,
//! or until the server closes. CAS uniques are compared as ordinals of their first appearance, like those of the text
//! protocol.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};

use larder::protocol::binary::HEADER_LEN;
use larder::protocol::binary::Opcode::{Noop, Stat, Version};

use super::differences::{self, Tally};
use super::duel::{FLAGS, THEIR_FLAGS};
use super::memcached;
use super::packets::Sent;
use super::replies::Uniques;
use super::support::packet::{Packet, Reply};
use super::support::{Client, Server};

/// Packets of one connection.
pub(super) struct Batch {
    pub(super) packets: Vec<Sent>,
    pub(super) piece_len: usize,
}

/// A server and the connection to it.
struct Side {
    server: Server,
    client: Client,
    uniques: Uniques,
}

/// Both servers.
pub(super) struct PacketDuel {
    ours: Side,
    theirs: Side,
    noops: u32,
}

impl PacketDuel {
    pub(super) fn start() -> Self {
        let ours = Side::of(Server::start(FLAGS));
        let theirs = Side::of(Server::start_program(memcached::program(), &[FLAGS, THEIR_FLAGS].concat()));
        Self { ours, theirs, noops: 0 }
    }

    /// Sends the batch to both. Returns the number of its packets, or how the replies differ.
    pub(super) fn play(&mut self, batch: &Batch, tally: &mut Tally) -> Result<usize, String> {
        self.noops += 1;
        let end = Packet { opaque: self.noops.to_be_bytes(), ..Packet::of(Noop, "") };
        self.ours.send(batch, &end);
        self.theirs.send(batch, &end);
        let ours = self.ours.replies(&end, &mut Tally::default());
        let theirs = self.theirs.replies(&end, tally);
        if ours == theirs {
            return Ok(batch.packets.len());
        }
        let story = batch.told();
        let at = ours.iter().zip(&theirs).take_while(|(our, their)| our == their).count();
        let (our, their) = (ours.get(at), theirs.get(at));
        Err(format!("{story}after {at} equal replies\n   larder: {our:?}\nmemcached: {their:?}"))
    }
}

impl Batch {
    /// The bytes for the server whose unique numbers `uniques` has.
    pub(super) fn bytes(&self, uniques: &Uniques) -> Vec<u8> {
        let with_cas = |Sent { packet, unique_back }: &Sent| {
            packet.clone().cas(unique_back.map_or(0, |back| uniques.recent(back))).bytes()
        };
        self.packets.iter().flat_map(with_cas).collect()
    }

    pub(super) const fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn told(&self) -> String {
        let mut story = String::new();
        for Sent { packet, unique_back } in &self.packets {
            let start = &packet.bytes()[..packet.bytes().len().min(80)];
            writeln!(story, "  {} cas {unique_back:?}", start.escape_ascii()).expect("strings take text");
        }
        story
    }
}

impl Side {
    fn of(server: Server) -> Self {
        let client = server.client();
        Self { server, client, uniques: Uniques::default() }
    }

    fn send(&mut self, batch: &Batch, end: &Packet) {
        let mut bytes = batch.bytes(&self.uniques);
        bytes.extend(end.bytes());
        for piece in bytes.chunks(batch.piece_len) {
            // Ignored: a server that has closed shows it by its replies.
            let _ = self.client.try_send(piece);
        }
    }

    /// The replies, and that the server has closed, if it has.
    fn replies(&mut self, end: &Packet, tally: &mut Tally) -> Vec<String> {
        let mut shown_replies = Vec::new();
        loop {
            match next_reply(&mut self.client) {
                Ok(reply) if reply.opcode == Noop as u8 && reply.opaque == end.opaque => return shown_replies,
                Ok(reply) => shown_replies.extend(shown(reply, &mut self.uniques, tally)),
                Err(error) => {
                    self.client = self.server.client();
                    let is_close = matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset);
                    shown_replies.push(if is_close { "closed".into() } else { format!("no reply: {error}") });
                    return shown_replies;
                }
            }
        }
    }
}

fn next_reply(client: &mut Client) -> io::Result<Reply> {
    let mut bytes = client.read_exactly(HEADER_LEN)?;
    let body_len = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
    bytes.extend(client.read_exactly(body_len)?);
    Reply::read(&bytes).map(|(reply, _)| reply).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// A reply in a form that both servers share. `None`: a row of statistics.
pub(super) fn shown(mut reply: Reply, uniques: &mut Uniques, tally: &mut Tally) -> Option<String> {
    if reply.opcode == Stat as u8 && !reply.key.is_empty() {
        tally.count(differences::STATS);
        return None;
    }
    let unique = (reply.cas != 0).then(|| uniques.ordinal(reply.cas));
    if unique.is_some() {
        tally.count(differences::UNIQUES);
    }
    reply.cas = 0;
    if reply.value.first().is_some_and(u8::is_ascii_digit) && !reply.extras.is_empty() {
        let unpadded = reply.value.trim_ascii_end().len();
        if unpadded < reply.value.len() {
            tally.count(differences::PADDING);
            reply.value.truncate(unpadded);
        }
    }
    if reply.opcode == Version as u8 {
        tally.count(differences::VERSION);
        reply.value.clear();
    }
    Some(format!("{:02x?} {unique:?} {}", reply.opaque, reply.show()))
}

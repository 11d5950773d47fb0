//! A client that sends datagrams, and knows when all replies to one have come.

use std::net::{SocketAddr, UdpSocket};

use super::wait::WAIT_MAX;

/// Bytes before requests and replies.
pub(crate) const HEADER_LEN: usize = 8;
const DATAGRAM_LEN_MAX: usize = 64 << 10;
/// Ids of questions behind a datagram. Tests use lower ones.
const QUESTION_IDS: u16 = 0x8000;

/// A datagram with a reply, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReplyPart {
    pub(crate) id: u16,
    pub(crate) sequence: u16,
    pub(crate) total: u16,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct DatagramClient {
    socket: UdpSocket,
    questions: u16,
}

/// `requests` behind a header.
pub(crate) fn datagram(id: u16, sequence: u16, total: u16, requests: impl AsRef<[u8]>) -> Vec<u8> {
    let header = [id, sequence, total, 0].map(u16::to_be_bytes);
    [header.as_flattened(), requests.as_ref()].concat()
}

impl DatagramClient {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).expect("a port is free");
        socket.connect(server).expect("UDP needs no partner to connect");
        socket.set_read_timeout(Some(WAIT_MAX)).expect("a timeout may be set");
        Self { socket, questions: 0 }
    }

    pub(crate) fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).expect("the loopback interface takes datagrams");
    }

    pub(crate) fn receive(&self) -> ReplyPart {
        let mut bytes = [0; DATAGRAM_LEN_MAX];
        let len = self.socket.recv(&mut bytes).expect("a datagram comes in time");
        let (header, payload) = bytes[..len].split_at_checked(HEADER_LEN).expect("a reply has a header");
        let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        assert_eq!(field(6), 0, "the last field is 0");
        ReplyPart { id: field(0), sequence: field(2), total: field(4), payload: payload.to_vec() }
    }

    /// Sends a datagram, and returns what comes before the reply to a question behind it. `question` is a request that
    /// is answered with one datagram.
    pub(crate) fn parts_before(&mut self, datagram_sent: &[u8], question: &[u8]) -> Vec<ReplyPart> {
        self.send(datagram_sent);
        self.questions = (self.questions + 1) % QUESTION_IDS;
        let id = QUESTION_IDS + self.questions;
        self.send(&datagram(id, 0, 1, question));
        let mut parts = Vec::new();
        loop {
            let part = self.receive();
            if part.id == id {
                assert_eq!((part.sequence, part.total), (0, 1), "a short reply is one datagram");
                return parts;
            }
            parts.push(part);
        }
    }

    /// The whole replies to a datagram, in order. Their parts are numbered and repeat the id.
    pub(crate) fn replies(&mut self, datagram_sent: &[u8]) -> Vec<Vec<u8>> {
        let parts = self.parts_before(datagram_sent, b"mn\r\n");
        let id = u16::from_be_bytes([datagram_sent[0], datagram_sent[1]]);
        let mut replies = Vec::new();
        let mut parts = parts.into_iter().peekable();
        while let Some(first) = parts.peek() {
            let total = first.total;
            let mut reply = Vec::new();
            for sequence in 0..total {
                let part = parts.next().expect("every part of a reply comes");
                assert_eq!((part.id, part.sequence, part.total), (id, sequence, total), "the header of a part");
                reply.extend(part.payload);
            }
            assert!(total > 0, "a reply has a part");
            replies.push(reply);
        }
        replies
    }

    /// Sends requests, and expects one reply for each of `replies`.
    pub(crate) fn ask(&mut self, requests: impl AsRef<[u8]>, replies: &[&str]) {
        let came = self.replies(&datagram(7, 0, 1, &requests));
        let shown =
            |replies: &[Vec<u8>]| replies.iter().map(|reply| reply.escape_ascii().to_string()).collect::<Vec<_>>();
        let expected: Vec<Vec<u8>> = replies.iter().map(|reply| reply.as_bytes().to_vec()).collect();
        assert_eq!(shown(&came), shown(&expected), "{}", requests.as_ref().escape_ascii());
    }
}

//! Random datagrams, valid and broken, to one server. Each reply is well framed, and all replies keep the bound. A
//! correct client beside them has the right answers.

use crate::binary::fuzz::packets;
use crate::fuzz_parser::stream;
use crate::fuzz_server::without_verbosity;
use crate::random::{Random, each_seed};
use crate::support::{Server, datagram};

/// The bound of the replies to a datagram: bytes in all, or bytes for each byte of the datagram.
const REPLY_BYTES_MIN: usize = 1400;
const REPLY_FACTOR: usize = 32;
const HEADER_LEN: usize = 8;
const ID: u16 = 0x0102;
const DATAGRAM_LEN_MAX: usize = 65_507;

#[test]
fn random_datagrams_are_answered_within_the_bound_and_disturb_no_client() {
    let server = Server::start(&["-m", "16", "-t", "1", "-U", "-1"]);
    let (mut vandal, mut honest) = (server.datagram_client(), server.datagram_client());
    each_seed("fuzz datagrams", 2000, |seed| {
        let mut random = Random::with_seed(seed);
        let (sent, is_request) = any_datagram(&mut random);
        // Checks the headers, too.
        let replies = vandal.replies(&sent);
        let payload_len_max = REPLY_BYTES_MIN - HEADER_LEN;
        let bytes: usize =
            replies.iter().map(|reply| reply.len() + reply.len().div_ceil(payload_len_max) * HEADER_LEN).sum();
        let bound = REPLY_BYTES_MIN.max(sent.len() * REPLY_FACTOR);
        assert!(bytes <= bound, "{bytes} bytes in reply to {}", sent.escape_ascii());
        assert!(is_request || replies.is_empty(), "a reply to {}", sent.escape_ascii());
        let value = format!("{seed:x}");
        honest.ask(
            format!("set honest 0 0 {}\r\n{value}\r\nget honest\r\n", value.len()),
            &["STORED\r\n", &format!("VALUE honest 0 {}\r\n{value}\r\nEND\r\n", value.len())],
        );
    });
    assert_eq!(server.stats("")["udp_replies_lost"], "0");
}

/// A datagram, and whether it may have replies.
fn any_datagram(random: &mut Random) -> (Vec<u8>, bool) {
    let mut requests = match random.below(6) {
        0 => packets(random, 10),
        1 => vec![b'j'; random.below(DATAGRAM_LEN_MAX)],
        // The number and the length of the replies fit the client's socket buffer.
        2 => "get honest a b\r\n".repeat(random.below(60)).into_bytes(),
        3 => format!("get{}\r\n", " honest".repeat(random.below(2000))).into_bytes(),
        _ => without_verbosity(stream(random, 12)),
    };
    requests.truncate(DATAGRAM_LEN_MAX - HEADER_LEN);
    match random.below(10) {
        0 => {
            let [sequence, total] =
                [random.below(3), random.below(3)].map(|number| u16::try_from(number).expect("small"));
            (datagram(ID, sequence, total, requests), (sequence, total) == (0, 1))
        }
        1 => {
            let mut bytes = datagram(ID, 0, 1, requests);
            // The id stays, so that replies can be attributed.
            bytes.truncate(2 + random.below(7));
            (bytes, false)
        }
        _ => (datagram(ID, 0, 1, requests), true),
    }
}

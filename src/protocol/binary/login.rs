//! The grammar before a client is authenticated (`-S`): the SASL requests, and version.

use crate::protocol::echo::{BinaryEcho, Echo};
use crate::protocol::request::{Admin, Parsed, Request, Then};

use super::header::{HEADER_LEN, RequestHeader};
use super::opcode::{Opcode, OpcodeFamily};
use super::parse;

/// The longest body of a SASL request. It fits the input buffer.
pub const SASL_BODY_LEN_MAX: usize = 16 << 10;

/// What a client sent that is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SaslLogin<'a> {
    /// The beginning of a request.
    NeedMore,
    /// It asks for the version.
    Version,
    /// It asks for the mechanisms.
    Mechanisms,
    /// A login, as a SASL mechanism writes it.
    Message {
        /// The name of the mechanism.
        mechanism: &'a [u8],
        /// User and password, as the mechanism writes them. Empty: the client waits for the server's word to send it.
        message: &'a [u8],
    },
    /// A request that is only for authenticated clients.
    Unauthenticated,
    /// Lengths that do not fit the opcode.
    Invalid,
    /// No request.
    Close,
}

/// Parses the front of `bytes`. Returns what it is, how it is to be answered, and its length.
#[cold]
pub fn login(bytes: &[u8]) -> (SaslLogin<'_>, BinaryEcho, usize) {
    let Some(header) = RequestHeader::of(bytes) else {
        let login = if parse(bytes) == Parsed::Close { SaslLogin::Close } else { SaslLogin::NeedMore };
        return (login, BinaryEcho { opcode: 0, opaque: [0; 4] }, 0);
    };
    let (echo, len) = (header.echo(), HEADER_LEN + header.body_len());
    let login = match Opcode::from_wire(header.opcode()).map(Opcode::family) {
        _ if !header.is_request() => SaslLogin::Close,
        Some(OpcodeFamily::SaslMechanisms | OpcodeFamily::SaslMessage) => sasl(header, bytes),
        Some(OpcodeFamily::Version) => match parse(bytes) {
            Parsed::Request { request: Request::Admin(Admin::Version, Echo::Binary(_)), .. } => SaslLogin::Version,
            _ => SaslLogin::Unauthenticated,
        },
        Some(_) | None => SaslLogin::Unauthenticated,
    };
    (login, echo, len)
}

/// A SASL request. The parser has the checks of its lengths; it refuses the request, because it is only for clients
/// that are not authenticated.
fn sasl<'a>(header: RequestHeader<'a>, bytes: &'a [u8]) -> SaslLogin<'a> {
    match parse(bytes) {
        Parsed::Refused { then: Then::Swallow(_), .. } if header.body_len() <= SASL_BODY_LEN_MAX => {}
        Parsed::NeedMore => return SaslLogin::NeedMore,
        _ => return SaslLogin::Invalid,
    }
    let Some(body) = bytes[HEADER_LEN..].get(..header.body_len()) else { return SaslLogin::NeedMore };
    match body.split_at_checked(header.key_len()) {
        Some((b"", _)) | None => SaslLogin::Mechanisms,
        Some((mechanism, message)) => SaslLogin::Message { mechanism, message },
    }
}

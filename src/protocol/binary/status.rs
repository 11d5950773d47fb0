//! The only table of statuses. Bytes and texts are memcached's.

use crate::base::StoreMode;
use crate::protocol::reply_line::ReplyLine;

use super::opcode::{Opcode, OpcodeFamily};

macro_rules! statuses {
    ($($(#[doc = $doc:literal])+ $status:ident = $code:literal, $text:literal;)+) => {
        /// How a request ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Status { $($(#[doc = $doc])+ $status = $code,)+ }

        impl Status {
            /// All statuses, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$status,)+];

            /// The text that a reply with this status has as its value.
            pub const fn text(self) -> &'static str { match self { $(Self::$status => $text,)+ } }
        }
    };
}

statuses! {
    /// As wanted.
    Success = 0x00, "";
    /// The key does not exist.
    NotFound = 0x01, "Not found";
    /// The key exists, or the item has another CAS unique.
    Exists = 0x02, "Data exists for key.";
    /// The value is longer than -I.
    TooLarge = 0x03, "Too large.";
    /// Lengths that do not fit the opcode. The connection is closed.
    InvalidArguments = 0x04, "Invalid arguments";
    /// append, prepend: the key does not exist.
    NotStored = 0x05, "Not stored.";
    /// increment, decrement: the value is not a number.
    NonNumeric = 0x06, "Non-numeric server-side value for incr or decr";
    /// The client may not do this.
    AuthFailure = 0x20, "Auth failure.";
    /// The client sends its message with the next request.
    AuthContinue = 0x21, "";
    /// No such opcode.
    UnknownCommand = 0x81, "Unknown command";
    /// No memory for the value.
    OutOfMemory = 0x82, "Out of memory";
}

impl Status {
    /// The status that says the same as `line`, in a reply to `opcode`.
    pub(super) fn of(line: ReplyLine, opcode: Option<Opcode>) -> Self {
        let family = opcode.map(Opcode::family);
        match line {
            ReplyLine::Stored
            | ReplyLine::Deleted
            | ReplyLine::Touched
            | ReplyLine::End
            | ReplyLine::Ok
            | ReplyLine::Noop
            | ReplyLine::Version
            | ReplyLine::Reset => Self::Success,
            ReplyLine::NotFound => Self::NotFound,
            ReplyLine::Exists => Self::Exists,
            ReplyLine::NotStored => match family {
                Some(OpcodeFamily::Store(StoreMode::Add)) => Self::Exists,
                Some(OpcodeFamily::Store(StoreMode::Set | StoreMode::Replace)) => Self::NotFound,
                Some(_) | None => Self::NotStored,
            },
            ReplyLine::TooLarge | ReplyLine::TooLargeForUdp => Self::TooLarge,
            ReplyLine::NonNumeric => Self::NonNumeric,
            ReplyLine::NoMemory | ReplyLine::NoMemoryStoring | ReplyLine::NoMemoryReading => Self::OutOfMemory,
            ReplyLine::FlushNotAllowed
            | ReplyLine::Unauthenticated
            | ReplyLine::AuthenticationFailure
            | ReplyLine::TooManyAttempts => Self::AuthFailure,
            ReplyLine::Error => Self::UnknownCommand,
            ReplyLine::BadFormat => Self::InvalidArguments,
            // A report that needs other words, or is not allowed.
            _ if family == Some(OpcodeFamily::Stat) => Self::NotFound,
            _ => Self::InvalidArguments,
        }
    }
}

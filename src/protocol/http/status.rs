//! The only table of fixed HTTP replies: status, reason and text.

use crate::protocol::reply_line::ReplyLine;

use super::request::{HttpEcho, HttpMethod};

macro_rules! http_replies {
    ($($(#[doc = $doc:literal])+ $reply:ident = $code:literal, $reason:literal, $text:literal;)+) => {
        /// A reply without a value. An error has its text as the body.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum HttpReply { $($(#[doc = $doc])+ $reply,)+ }

        impl HttpReply {
            /// All replies, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$reply,)+];

            /// The status code.
            pub const fn code(self) -> u16 { match self { $(Self::$reply => $code,)+ } }

            /// The first line.
            pub(super) const fn status_line(self) -> &'static str {
                match self { $(Self::$reply => concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n"),)+ }
            }

            /// The reason phrase.
            pub const fn reason(self) -> &'static str { match self { $(Self::$reply => $reason,)+ } }

            /// The text.
            pub const fn text(self) -> &'static str { match self { $(Self::$reply => $text,)+ } }

            /// When it is sent, for doc/http.md.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$reply => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

http_replies! {
    /// /live, and /ready when the server is ready.
    Ok = 200, "OK", "ok\n";
    /// POST stored the value.
    Created = 201, "Created", "";
    /// PUT stored the value, or DELETE removed it.
    NoContent = 204, "No Content", "";
    /// The item has a CAS unique of If-None-Match.
    NotModified = 304, "Not Modified", "";
    /// The request is not HTTP/1.0 or HTTP/1.1, lacks Host, or has a field with a wrong value.
    BadRequest = 400, "Bad Request", "malformed request\n";
    /// The key is empty, longer than 250 bytes, or has an invalid percent escape; or a query follows it.
    BadKey = 400, "Bad Request", "a key has 1 to 250 bytes, percent-encoded, and no query behind it\n";
    /// If-Match or If-None-Match of a request that stores or removes is not one ETag of this server, or `*`.
    BadCondition = 400, "Bad Request", "this method takes one ETag in If-Match, or * in If-Match or If-None-Match\n";
    /// A page does not know a value of the query.
    BadQuery = 400, "Bad Request", "unknown value in the query\n";
    /// The port uses TLS (`-Z`), and the request came without. The connection is closed.
    NeedsTls = 400, "Bad Request", "this port uses TLS: https://\n";
    /// The page needs the token of -o http_token_file.
    Unauthorized = 401, "Unauthorized", "a bearer token is needed\n";
    /// A browser has sent the request for a page of another origin.
    Foreign = 403, "Forbidden", "requests of other origins are refused\n";
    /// /cache without -o http_cache.
    CacheOff = 403, "Forbidden", "items are not served: the server runs without -o http_cache\n";
    /// GET, HEAD or DELETE of a key without an item.
    NoItem = 404, "Not Found", "no item has this key\n";
    /// No such page.
    NoPage = 404, "Not Found", "no such page\n";
    /// The page has other methods. /cache/KEY has GET, HEAD, PUT, POST and DELETE, other pages GET and HEAD.
    MethodNotAllowed = 405, "Method Not Allowed", "the page does not have this method\n";
    /// POST of a key that has an item.
    Conflict = 409, "Conflict", "the key has an item\n";
    /// The body is chunked.
    LengthRequired = 411, "Length Required", "a body needs Content-Length: chunked bodies are not decoded\n";
    /// The condition of If-Match or If-None-Match does not hold.
    ConditionFailed = 412, "Precondition Failed", "the item is not the one that the condition names\n";
    /// The value is longer than -I.
    TooLarge = 413, "Content Too Large", "the value is longer than -I, --max-item-size\n";
    /// `Larder-Flags: content-type`, with a Content-Type that items cannot keep.
    UnknownType = 415, "Unsupported Media Type", "items cannot keep this content type\n";
    /// Expect has another value than 100-continue.
    UnknownExpectation = 417, "Expectation Failed", "only 100-continue can be expected\n";
    /// The head is longer than 8192 bytes, or has more than 64 fields.
    HeadTooLarge = 431, "Request Header Fields Too Large", "a head has at most 8192 bytes and 64 fields\n";
    /// A method that no page has.
    UnknownMethod = 501, "Not Implemented", "unknown method\n";
    /// -c clients are connected. The connection is closed.
    TooManyConnections = 503, "Service Unavailable", "too many open connections\n";
    /// /ready of a node whose items still arrive from a peer (-x).
    NotSynchronized = 503, "Service Unavailable", "the items of a peer are still arriving\n";
    /// Another version than HTTP/1.0 and HTTP/1.1.
    UnknownVersion = 505, "HTTP Version Not Supported", "HTTP/1.0 and HTTP/1.1 are supported\n";
    /// There is no memory for the value.
    NoMemory = 507, "Insufficient Storage", "no memory for the value\n";
}

impl HttpReply {
    /// The reply that says the same as `line`.
    pub(super) const fn of(line: ReplyLine, echo: HttpEcho) -> Self {
        match line {
            ReplyLine::Stored => match echo.method {
                HttpMethod::Post => Self::Created,
                HttpMethod::Get | HttpMethod::Head | HttpMethod::Put | HttpMethod::Delete => Self::NoContent,
            },
            ReplyLine::Deleted => Self::NoContent,
            ReplyLine::NotStored | ReplyLine::Exists | ReplyLine::NotFound if echo.is_conditional => {
                Self::ConditionFailed
            }
            ReplyLine::NotStored | ReplyLine::Exists => Self::Conflict,
            ReplyLine::NotFound => Self::NoItem,
            ReplyLine::TooLarge => Self::TooLarge,
            ReplyLine::NoMemory | ReplyLine::NoMemoryStoring | ReplyLine::NoMemoryReading => Self::NoMemory,
            ReplyLine::TooManyConnections => Self::TooManyConnections,
            // No request of this grammar leads to the other lines.
            _ => Self::BadRequest,
        }
    }
}

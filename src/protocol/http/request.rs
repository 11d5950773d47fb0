//! What is kept of the head of a request.

use crate::base::Exptime;
use crate::protocol::request::Value;

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// Fetch.
    Get,
    /// Fetch the head of the reply to GET.
    Head,
    /// Store.
    Put,
    /// Store if the key does not exist.
    Post,
    /// Remove.
    Delete,
}

/// What becomes of the connection after the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It stays open, as is usual in HTTP/1.1.
    Stays,
    /// It stays open, because a client of HTTP/1.0 has asked for it. The reply must say so.
    StaysAsked,
    /// It ends, and the reply says so.
    Ends,
}

/// How a request is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpEcho {
    /// HEAD gets no body. POST says in other words what PUT does.
    pub method: HttpMethod,
    /// What becomes of the connection.
    pub persistence: Persistence,
    /// Whether the request has a condition: what does not hold is then a failed precondition.
    pub is_conditional: bool,
}

impl HttpEcho {
    /// How a request is answered that could not be parsed.
    pub const BROKEN: Self = Self { method: HttpMethod::Get, persistence: Persistence::Ends, is_conditional: false };

    /// Whether the connection ends after the reply.
    #[inline]
    pub const fn ends(self) -> bool {
        matches!(self.persistence, Persistence::Ends)
    }
}

/// The list of an If-Match or If-None-Match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTags<'a>(pub &'a [u8]);

impl<'a> EntityTags<'a> {
    /// Whether it is `*`: any item.
    pub fn is_any(self) -> bool {
        self.0.trim_ascii() == b"*"
    }

    /// The CAS uniques of the list. Tags that this server does not make match no item.
    pub fn uniques(self) -> impl Iterator<Item = u64> + 'a {
        self.0.split(|byte| *byte == b',').filter_map(|tag| {
            let tag = tag.trim_ascii();
            let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
            let digits = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
            crate::base::parse_u64(digits)
        })
    }

    /// The only CAS unique of the list. `None`: there are several tags, or the tag is not one of this server's.
    pub fn only(self) -> Option<u64> {
        let has_one_tag = !self.0.contains(&b',');
        self.uniques().next().filter(|_| has_one_tag)
    }
}

/// What the client flags of an item are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptFlags {
    /// This number.
    Number(u32),
    /// The number of the Content-Type.
    ContentType,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HttpRequest<'a> {
    /// The path and the query, as written.
    pub target: &'a [u8],
    /// The token behind `Authorization: Bearer`.
    pub token: Option<&'a [u8]>,
    /// If-Match.
    pub if_match: Option<EntityTags<'a>>,
    /// If-None-Match.
    pub if_none_match: Option<EntityTags<'a>>,
    /// Content-Type.
    pub content_type: Option<&'a [u8]>,
    /// Larder-Flags.
    pub flags: KeptFlags,
    /// Larder-TTL.
    pub exptime: Exptime,
    /// The length of the body.
    pub body_len: u32,
    /// The body, if it has arrived.
    pub body: Value<'a>,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub awaits_continue: bool,
    /// Whether a browser sends it for a page of another origin.
    pub is_foreign: bool,
    /// How it is to be answered.
    pub echo: HttpEcho,
}

#[cfg(test)]
mod tests {
    use super::EntityTags;

    #[test]
    fn a_list_of_tags_names_cas_uniques() {
        let uniques = |list: &'static str| EntityTags(list.as_bytes()).uniques().collect::<Vec<_>>();
        assert_eq!(uniques("\"7\""), [7]);
        assert_eq!(uniques("W/\"7\" , \"x\",\"18446744073709551615\", 9"), [7, u64::MAX]);
        assert!(EntityTags(b" * ").is_any());
        assert!(!EntityTags(b"\"*\"").is_any());
        assert_eq!(EntityTags(b"\"7\"").only(), Some(7));
        assert_eq!(EntityTags(b"\"7\", \"8\"").only(), None);
    }
}

//! HTTP/1.1: requests for pages of the server and for items, over listeners of their own (--http).
//!
//! ```text
//! GET /cache/colour HTTP/1.1␍␊      parse.rs    the head: httparse finds its words, this module reads those it needs
//! Host: localhost␍␊                 request.rs  what is kept of it
//! ␍␊                                target.rs   the key in a path
//! <body>                            status.rs   every fixed reply, and the reply that means the same as a line of text
//!                                   reply.rs    heads of replies
//!                                   json.rs     rows of reports
//! ```
//!
//! A body is a value: it needs no terminator, and the connection receives it as it does in the other grammars. What
//! cannot be parsed is answered, and the connection is closed: the end of such a request is unknown.

mod json;
mod media;
mod parse;
mod reply;
mod request;
mod status;
mod target;

pub(super) use json::push_member;
pub use json::{begin_object, end_object, push_json_string};
pub use media::{MEDIA_TYPES, media_flags};
pub(super) use parse::parse;
pub use parse::{FIELDS_MAX, HEAD_BYTES_MAX, simple_key};
pub(super) use reply::compose;
pub use reply::{HttpItem, HttpPage, begin_page, push_continue, push_hit_head, push_not_modified, push_reply};
pub use request::{EntityTags, HttpEcho, HttpMethod, HttpRequest, KeptFlags, Persistence};
pub use status::HttpReply;
pub use target::{CACHE_PATH, KeyError, PathKey, PathKeyBuffer, decode_path_key, split_query};

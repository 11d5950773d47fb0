//! The wire grammar: parses bytes into requests of borrowed words. No IO, no clock, no allocation, no store (I11).
//!
//! ```text
//! bytes ──Grammar::next──▶ Parsed ──▶ Request   what a client asks for, independent of the grammar
//!                                 └──▶ Refused   an invalid request, and what becomes of the bytes after it
//! Answer ──compose──▶ bytes                     as the request's Echo asks
//! ```
//!
//! Three tables hold all verbs, all words behind them, and all fixed lines: `verb.rs`, `words.rs`, `reply_line.rs`.

mod answer;
pub mod binary;
mod crawler;
mod echo;
mod found;
mod grammar;
pub mod http;
pub mod meta;
mod reply_line;
mod request;
pub mod text;
mod tokens;
mod tuning;
mod uri;
mod verb;
mod watching;
mod words;

pub use answer::{Answer, RowValue, compose, frame_lines, has_row_room, push_row};
pub use crawler::{Classes, CrawlerRequest, DumpFormat, DumpScope};
pub use echo::{BinaryEcho, Echo, MetaEcho, OwnedEcho, Reply};
pub use found::{FoundItem, ValueShown, compose_found, compose_missed, compose_value};
pub use grammar::{Binding, Grammar};
pub use http::{HttpEcho, HttpMethod, HttpReply, HttpRequest};
pub use reply_line::{MEMCACHED_VERSION, ReplyLine};
pub use request::{
    Admin, AdminNeed, Arith, CasShown, Delete, Delta, Fetch, Input, Inspect, KeyCoding, KeyList, KeyTooLong, Keys,
    LineRest, Parsed, PlainFetch, PlainSet, Request, Rest, Retrieval, RetrievalOptions, Storage, StoreMode, Then,
    Touch, Value,
};
pub use tokens::Tokens;
pub use tuning::{ExtstoreKnob, Tuning};
pub use uri::{push_uri_encoded, shown_key};
pub use verb::{AdminVerb, Family, MetaVerb, Verb};
pub use watching::{Streams, WatchRequest};
pub use words::{
    AutomoveRequest, DebugtimeRequest, PeerChange, ReplicationRequest, ShutdownMode, SlabsRequest, StatsRequest,
    SwitchRequest, all_words, stats_words,
};

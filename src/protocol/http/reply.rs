//! Replies: a head, then a body whose length the head says.

use crate::base::push_u64;
use crate::protocol::answer::Answer;
use crate::protocol::reply_line::ReplyLine;

use super::media::media_type;
use super::request::{HttpEcho, HttpMethod, Persistence};
use super::status::HttpReply;

/// What a reply shows of an item.
#[derive(Clone, Copy)]
pub struct HttpItem {
    /// The client's own 32 bits, or the number of a content type.
    pub client_flags: u32,
    /// The CAS unique; 0: it is not shown.
    pub cas: u64,
    /// Length of the value in bytes.
    pub value_len: u32,
    /// Seconds until the item expires. None: it does not.
    pub ttl_s: Option<u32>,
}

/// Appends an answer.
#[cold]
pub(in crate::protocol) fn compose(echo: HttpEcho, answer: Answer, out: &mut Vec<u8>) {
    let line = match answer {
        Answer::Stored { cas, .. } => return push_stored(echo, cas, out),
        Answer::Deleted { .. } => ReplyLine::Deleted,
        Answer::Touched | Answer::Number { .. } => ReplyLine::Ok,
        Answer::Miss => ReplyLine::NotFound,
        Answer::Line(line) => line,
    };
    push_reply(echo, HttpReply::of(line, echo), out);
}

/// Appends a fixed reply.
#[cold]
pub fn push_reply(echo: HttpEcho, reply: HttpReply, out: &mut Vec<u8>) {
    push_first_lines(echo, reply, out);
    match reply {
        HttpReply::Unauthorized => out.extend_from_slice(b"WWW-Authenticate: Bearer\r\n"),
        HttpReply::MethodNotAllowed => out.extend_from_slice(b"Allow: GET, HEAD\r\n"),
        _ => {}
    }
    let text = reply.text();
    if reply == HttpReply::NoContent {
        return out.extend_from_slice(b"\r\n");
    }
    if !text.is_empty() {
        out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n");
    }
    push_length(text.len() as u64, out);
    if echo.method != HttpMethod::Head {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends the reply to a stored value.
fn push_stored(echo: HttpEcho, cas: u64, out: &mut Vec<u8>) {
    let reply = HttpReply::of(ReplyLine::Stored, echo);
    push_first_lines(echo, reply, out);
    push_etag(cas, out);
    match reply {
        HttpReply::NoContent => out.extend_from_slice(b"\r\n"),
        _ => push_length(0, out),
    }
}

/// Appends the head of the reply to a fetch that found an item.
#[inline]
pub fn push_hit_head(echo: HttpEcho, item: HttpItem, out: &mut Vec<u8>) {
    push_first_lines(echo, HttpReply::Ok, out);
    push_item_fields(item, out);
    out.extend_from_slice(b"Content-Type: ");
    out.extend_from_slice(media_type(item.client_flags).as_bytes());
    out.extend_from_slice(b"\r\n");
    push_length(item.value_len.into(), out);
}

/// Appends the reply to a fetch that found the item that the client has.
#[cold]
pub fn push_not_modified(echo: HttpEcho, item: HttpItem, out: &mut Vec<u8>) {
    push_first_lines(echo, HttpReply::NotModified, out);
    push_item_fields(item, out);
    out.extend_from_slice(b"\r\n");
}

/// Tells a client that waits for it to send its body.
#[cold]
pub fn push_continue(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

#[inline]
fn push_item_fields(item: HttpItem, out: &mut Vec<u8>) {
    push_etag(item.cas, out);
    if item.client_flags != 0 {
        push_number_field(b"Larder-Flags: ", item.client_flags.into(), out);
    }
    if let Some(ttl_s) = item.ttl_s {
        push_number_field(b"Larder-TTL: ", ttl_s.into(), out);
    }
}

/// Appends the status line, and the field about the connection if it is needed.
#[inline]
fn push_first_lines(echo: HttpEcho, reply: HttpReply, out: &mut Vec<u8>) {
    out.extend_from_slice(reply.status_line().as_bytes());
    match echo.persistence {
        Persistence::Stays => {}
        Persistence::StaysAsked => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        Persistence::Ends => out.extend_from_slice(b"Connection: close\r\n"),
    }
}

/// Without CAS (-C) an item has no tag.
#[inline]
fn push_etag(cas: u64, out: &mut Vec<u8>) {
    if cas != 0 {
        out.extend_from_slice(b"ETag: \"");
        push_u64(out, cas);
        out.extend_from_slice(b"\"\r\n");
    }
}

/// Appends the last field and the end of the head.
#[inline]
fn push_length(len: u64, out: &mut Vec<u8>) {
    push_number_field(b"Content-Length: ", len, out);
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn push_number_field(name: &[u8], number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    push_u64(out, number);
    out.extend_from_slice(b"\r\n");
}

/// A page that is being written. Its length is known at its end, so the head has room for it.
pub struct HttpPage {
    echo: HttpEcho,
    length_at: usize,
    body_at: usize,
}

/// Digits of the longest page. Blanks before a number are allowed.
const LENGTH_DIGITS: usize = 12;

/// Appends the head of a page.
pub fn begin_page(echo: HttpEcho, content_type: &str, out: &mut Vec<u8>) -> HttpPage {
    push_first_lines(echo, HttpReply::Ok, out);
    out.extend_from_slice(b"Content-Type: ");
    out.extend_from_slice(content_type.as_bytes());
    out.extend_from_slice(b"\r\nCache-Control: no-store\r\nContent-Length: ");
    let length_at = out.len();
    out.extend_from_slice(&[b' '; LENGTH_DIGITS]);
    out.extend_from_slice(b"\r\n\r\n");
    HttpPage { echo, length_at, body_at: out.len() }
}

impl HttpPage {
    /// Ends the page, whose body stands in `out`.
    pub fn end(self, out: &mut Vec<u8>) {
        let digits = format!("{:LENGTH_DIGITS$}", out.len() - self.body_at);
        out[self.length_at..self.length_at + LENGTH_DIGITS].copy_from_slice(digits.as_bytes());
        if self.echo.method == HttpMethod::Head {
            out.truncate(self.body_at);
        }
    }
}

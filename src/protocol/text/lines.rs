//! Parses what follows the verb, by family. Checks run in memcached's order, which decides which of two errors is
//! reported.

use crate::base::{Exptime, Key, parse_i64, parse_short_i64, parse_short_u64, parse_u32};
use crate::protocol::crawler::CrawlerRequest;
use crate::protocol::echo::{Echo, Reply};
use crate::protocol::reply_line::ReplyLine;
use crate::protocol::request::{
    Admin, Arith, CasShown, Delete, Delta, KeyList, Keys, Parsed, Request, Rest, Retrieval, RetrievalOptions, Storage,
    StoreMode, Then, Touch,
};
use crate::protocol::tokens::Tokens;
use crate::protocol::tuning::{extstore, lru};
use crate::protocol::verb::AdminVerb;
use crate::protocol::watching::WatchRequest;
use crate::protocol::words::{DebugtimeRequest, ReplicationRequest, ShutdownMode, SlabsRequest, StatsRequest};

use super::quick;

/// A request, or the error in its line.
pub(super) type Line<'a> = Result<Request<'a>, (ReplyLine, Reply)>;

/// The longest value that a line may announce (memcached's INT_MAX - 2).
const VALUE_LEN_MAX: i64 = 0x7fff_ffff - 2;
/// With this many words after its key a delete is refused, as by memcached up to 1.6.18: memccapable looks for that.
const DELETE_WORDS_END: usize = 4;

/// An error for a line without a data block.
#[cold]
pub(super) fn refuse<'a>(error: ReplyLine, reply: Reply, consumed: usize) -> Parsed<'a> {
    Parsed::Refused { error, echo: Echo::Text(reply), consumed, then: Then::Swallow(0) }
}

/// `<key>*`
pub(super) fn retrieval(options: RetrievalOptions, arguments: Tokens<'_>, line_end_len: usize) -> Line<'_> {
    let mut rest = arguments;
    let Some(first) = rest.next() else { return Err((ReplyLine::BadFormat, Reply::Wanted)) };
    let keys = match Key::new(first) {
        Some(key) if rest.is_over() => Keys::One(key),
        Some(_) | None => Keys::List(KeyList { tokens: arguments, line_end_len }),
    };
    Ok(Request::Retrieve(Retrieval { keys, options, rest: Rest::None }))
}

/// `<exptime> <key>*`
pub(super) fn touching_retrieval(cas: CasShown, mut arguments: Tokens<'_>, line_end_len: usize) -> Line<'_> {
    let (exptime, keys) = (arguments.next(), arguments);
    if keys.is_over() {
        return Err((ReplyLine::BadFormat, Reply::Wanted));
    }
    let Some(exptime) = exptime.and_then(exptime_word) else {
        return Err((ReplyLine::InvalidExptime, Reply::Wanted));
    };
    retrieval(RetrievalOptions { cas, touch: Some(exptime) }, keys, line_end_len)
}

/// `<key> <flags> <exptime> <bytes> [noreply]`, then the data block, which starts at `behind`.
pub(super) fn storage<'a>(mode: StoreMode, arguments: Tokens<'a>, consumed: usize, behind: &'a [u8]) -> Parsed<'a> {
    store(arguments, |_rest| Some((mode, None)), consumed, behind)
}

/// `<key> <flags> <exptime> <bytes> <cas unique> [noreply]`, then the data block.
pub(super) fn compare_and_store<'a>(arguments: Tokens<'a>, consumed: usize, behind: &'a [u8]) -> Parsed<'a> {
    let unique = |rest: &mut Tokens<'_>| rest.next().and_then(parse_short_u64);
    store(arguments, |rest| unique(rest).map(|cas| (StoreMode::Set, Some(cas))), consumed, behind)
}

/// A storage command. `condition` reads what follows the length. If the block's length is valid, an error in another
/// argument discards the block, too.
fn store<'a>(
    mut arguments: Tokens<'a>,
    condition: impl FnOnce(&mut Tokens<'a>) -> Option<(StoreMode, Option<u64>)>,
    consumed: usize,
    behind: &'a [u8],
) -> Parsed<'a> {
    let header = (arguments.next(), arguments.next(), arguments.next(), arguments.next());
    let (Some(key), Some(client_flags), Some(exptime), Some(value_len)) = header else {
        return refuse(ReplyLine::BadFormat, Reply::Wanted, consumed);
    };
    let Some(value_len) = value_len_word(value_len) else {
        return refuse(ReplyLine::BadFormat, Reply::Wanted, consumed);
    };
    let reply = Reply::of(arguments);
    let condition = condition(&mut arguments);
    let client_flags = parse_i64(without_plus(client_flags)).and_then(|flags| u32::try_from(flags).ok());
    let header = (Key::new(key), client_flags, parse_i64(without_plus(exptime)), condition);
    let (Some(key), Some(client_flags), Some(exptime), Some((mode, compare))) = header else {
        let then = Then::Swallow(u64::from(value_len) + 2);
        return Parsed::Refused { error: ReplyLine::BadFormat, echo: Echo::Text(reply), consumed, then };
    };
    let (value, taken) = quick::value(behind, value_len);
    let exptime = Exptime::new(exptime);
    let plain = Storage::plain(key, value_len, value, Echo::Text(reply));
    let request = Request::Store(Storage { client_flags, exptime, mode, compare, ..plain });
    Parsed::Request { request, consumed: consumed + taken }
}

/// `<key> [0] [noreply]`. The 0 is an obsolete hold time that clients still send.
pub(super) fn delete(mut arguments: Tokens<'_>) -> Line<'_> {
    let Some(key) = arguments.next() else { return Err((ReplyLine::BadFormat, Reply::Wanted)) };
    // `delete noreply` deletes the key `noreply`, without a reply.
    let reply = if key == b"noreply" && arguments.is_over() { Reply::Silent } else { Reply::of(arguments) };
    if arguments.count() >= DELETE_WORDS_END {
        return Err((ReplyLine::Error, Reply::Wanted));
    }
    if arguments.next().and_then(parse_i64).is_some_and(|hold_s| hold_s != 0) {
        return Err((ReplyLine::DeleteUsage, reply));
    }
    let key = Key::new(key).ok_or((ReplyLine::BadFormat, reply))?;
    Ok(Request::Delete(Delete::plain(key, Echo::Text(reply))))
}

/// `<key> <delta> [noreply]`
pub(super) fn arith(change: impl FnOnce(u64) -> Delta, mut arguments: Tokens<'_>) -> Line<'_> {
    let (key, delta, reply) = key_and_word(&mut arguments)?;
    let delta = parse_short_u64(delta).ok_or((ReplyLine::InvalidDelta, reply))?;
    Ok(Request::Arith(Arith::plain(key, change(delta), Echo::Text(reply))))
}

/// `<key> <exptime> [noreply]`
pub(super) fn touch(mut arguments: Tokens<'_>) -> Line<'_> {
    let (key, exptime, reply) = key_and_word(&mut arguments)?;
    let exptime = exptime_word(exptime).ok_or((ReplyLine::InvalidExptime, reply))?;
    Ok(Request::Touch(Touch { key, exptime, echo: Echo::Text(reply) }))
}

/// Commands for the server itself.
pub(super) fn admin(verb: AdminVerb, mut arguments: Tokens<'_>) -> Line<'_> {
    let reply = Reply::of(arguments);
    let request = match verb {
        AdminVerb::FlushAll => match arguments.next() {
            None => Admin::FlushAll(Exptime::ZERO),
            Some(b"noreply") if arguments.is_over() => Admin::FlushAll(Exptime::ZERO),
            Some(delay) => Admin::FlushAll(exptime_word(delay).ok_or((ReplyLine::InvalidExptime, reply))?),
        },
        AdminVerb::Verbosity => {
            Admin::Verbosity(arguments.next().and_then(parse_u32).ok_or((ReplyLine::BadFormat, reply))?)
        }
        AdminVerb::CacheMemlimit => {
            Admin::CacheMemlimit(arguments.next().and_then(parse_u32).ok_or((ReplyLine::Error, reply))?)
        }
        AdminVerb::Shutdown => Admin::Shutdown(ShutdownMode::parse(arguments)),
        AdminVerb::Replication => Admin::Replication(ReplicationRequest::parse(arguments)),
        AdminVerb::Slabs => Admin::Slabs(SlabsRequest::parse(arguments, reply)),
        AdminVerb::LruCrawler => Admin::Crawler(CrawlerRequest::parse(arguments, reply)),
        AdminVerb::Lru => Admin::Tune(lru(arguments)),
        AdminVerb::Extstore => Admin::Tune(extstore(arguments)),
        AdminVerb::Quit => return Ok(Request::Admin(Admin::Quit, Echo::Text(Reply::Silent))),
        // These are answered in spite of noreply, as in memcached.
        AdminVerb::Version => return Ok(Request::Admin(Admin::Version, Echo::TEXT)),
        AdminVerb::Watch => return Ok(Request::Admin(Admin::Watch(WatchRequest::parse(arguments)), Echo::TEXT)),
        AdminVerb::RefreshCerts => return Ok(Request::Admin(Admin::RefreshCertificates, Echo::TEXT)),
        AdminVerb::Stats => return Ok(Request::Admin(Admin::Stats(StatsRequest::parse(arguments)), Echo::TEXT)),
        AdminVerb::Debugtime => {
            return Ok(Request::Admin(Admin::Debugtime(DebugtimeRequest::parse(arguments)), Echo::TEXT));
        }
    };
    Ok(Request::Admin(request, Echo::Text(reply)))
}

/// The key and the argument of incr, decr and touch.
fn key_and_word<'a>(arguments: &mut Tokens<'a>) -> Result<(Key<'a>, &'a [u8], Reply), (ReplyLine, Reply)> {
    let (Some(key), Some(word)) = (arguments.next(), arguments.next()) else {
        return Err((ReplyLine::BadFormat, Reply::Wanted));
    };
    let reply = if word == b"noreply" && arguments.is_over() { Reply::Silent } else { Reply::of(*arguments) };
    let key = Key::new(key).ok_or((ReplyLine::BadFormat, reply))?;
    Ok((key, word, reply))
}

/// The length of a value.
pub(in crate::protocol) fn value_len_word(word: &[u8]) -> Option<u32> {
    let len = parse_short_i64(word).filter(|len| (0..=VALUE_LEN_MAX).contains(len));
    len.and_then(|len| u32::try_from(len).ok())
}

/// The exptime of any line except classic storage commands: 32 bits, or a date beyond them.
pub(in crate::protocol) fn exptime_word(word: &[u8]) -> Option<Exptime> {
    parse_short_i64(word).filter(|exptime| *exptime >= i64::from(i32::MIN)).map(Exptime::new)
}

/// Strips a plus sign. Only the flags and the exptime of a storage line may have one.
fn without_plus(number: &[u8]) -> &[u8] {
    match number {
        [b'+', digits @ ..] if digits.first().is_some_and(u8::is_ascii_digit) => digits,
        _ => number,
    }
}

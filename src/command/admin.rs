//! Administration: flush_all, version, verbosity, quit, shutdown, cache_memlimit, debugtime. `stats` and `slabs` are in
//! statistics.rs and slabs.rs.

use crate::base::{Exptime, RelTime, parse_short_i64};
use crate::protocol::{Admin, Reply, ReplyLine, Tokens};
use crate::store::Engine;

use super::context::Context;
use super::execute::{Outcome, reply_line};
use super::operator::Shutdown;
use super::sink::ReplySink;
use super::slabs;
use super::statistics;

/// The highest level that the command sets, as in memcached.
const VERBOSITY_MAX: u8 = 2;

/// The smallest memory limit, in megabytes.
const MEMLIMIT_MB_MIN: u32 = 8;
/// A number above this is taken as bytes, not megabytes.
const MEMLIMIT_MB_MAX: u32 = 1_000_000_000;

pub(super) fn administer<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    request: Admin<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let (reply, line) = match request {
        Admin::FlushAll(delay, reply) => (reply, flush_all(delay, ctx)),
        Admin::Version => (Reply::Wanted, ReplyLine::Version),
        Admin::Verbosity(level, reply) => {
            ctx.operator.set_verbosity(u8::try_from(level).unwrap_or(VERBOSITY_MAX).min(VERBOSITY_MAX));
            (reply, ReplyLine::Ok)
        }
        Admin::Quit => return Outcome::Close,
        Admin::Shutdown(arguments) => match shutdown(arguments, ctx) {
            Ok(()) => return Outcome::Close,
            Err(line) => (Reply::of(arguments), line),
        },
        Admin::CacheMemlimit(megabytes, reply) => (reply, cache_memlimit(megabytes, ctx)),
        Admin::Stats(arguments) => {
            return statistics::report(arguments, ctx, pin, sink.text());
        }
        Admin::Slabs(arguments, reply) => (reply, slabs::obey(arguments, reply, ctx)),
        Admin::Debugtime(arguments) => (Reply::Wanted, debugtime(arguments, ctx)),
    };
    reply_line(sink, reply, line);
    Outcome::Done
}

/// A delay ends one second early, as in memcached: `flush_all 1` flushes now. A date before the start drops nothing,
/// since no item is older.
fn flush_all<E: Engine>(delay: Exptime, ctx: &mut Context<'_, E>) -> ReplyLine {
    ctx.counters.cmd_flush.add(1);
    if !ctx.switches.flush_enabled {
        return ReplyLine::FlushNotAllowed;
    }
    let now = ctx.engine.moment().now;
    let second = delay.second(now, || ctx.engine.epoch_unix_ms());
    if second > i64::from(now.0) + 1 {
        ctx.engine.flush_at(RelTime(u32::try_from(second - 1).unwrap_or(u32::MAX)));
    } else if second > 1 || delay.is_negative() {
        ctx.engine.flush_now();
    }
    ReplyLine::Ok
}

fn shutdown<E: Engine>(mut arguments: Tokens<'_>, ctx: &Context<'_, E>) -> Result<(), ReplyLine> {
    if !ctx.switches.shutdown_command {
        return Err(ReplyLine::ShutdownNotEnabled);
    }
    let mode = match arguments.next() {
        None => Shutdown::Now,
        Some(b"graceful") => Shutdown::Graceful,
        Some(_) => return Err(ReplyLine::InvalidShutdownMode),
    };
    ctx.operator.shutdown(mode);
    Ok(())
}

fn cache_memlimit<E: Engine>(megabytes: u32, ctx: &mut Context<'_, E>) -> ReplyLine {
    if megabytes < MEMLIMIT_MB_MIN {
        ReplyLine::MemlimitTooSmall
    } else if megabytes > MEMLIMIT_MB_MAX {
        ReplyLine::MemlimitInBytes
    } else if ctx.engine.set_memory_limit(u64::from(megabytes) << 20) {
        ReplyLine::Ok
    } else {
        ReplyLine::MemlimitOutOfBounds
    }
}

/// `debugtime N|p|r`: moves, stops or restarts the clock, so that tests need not wait.
fn debugtime<E: Engine>(mut arguments: Tokens<'_>, ctx: &mut Context<'_, E>) -> ReplyLine {
    if !ctx.switches.debug_commands {
        return ReplyLine::Error;
    }
    match arguments.next() {
        Some(b"p") => ctx.operator.clock().pause(),
        Some(b"r") => ctx.operator.clock().resume(),
        Some(seconds) => match parse_short_i64(seconds) {
            Some(seconds) => ctx.operator.clock().shift(seconds),
            None => return ReplyLine::Error,
        },
        None => return ReplyLine::Error,
    }
    ctx.engine.renew_moment();
    ReplyLine::Ok
}

//! Administration: flush_all, version, verbosity, quit, shutdown, cache_memlimit, debugtime. `stats` and `slabs` are in
//! statistics.rs and slabs.rs.

use crate::base::{Exptime, RelTime};
use crate::protocol::{
    Admin, DebugtimeRequest, Echo, PeerChange, ReplicationRequest, ReplyLine, ShutdownMode, StatsRequest,
};
use crate::store::EngineAdmin;

use super::context::Context;
use super::crawler;
use super::execute::{Outcome, answer};
use super::observe;
use super::sink::ReplySink;
use super::slabs;
use super::statistics;
use super::watching;

/// The highest level that the command sets, as in memcached.
const VERBOSITY_MAX: u8 = 2;

/// The smallest memory limit, in megabytes.
const MEMLIMIT_MB_MIN: u32 = 8;
/// A number above this is taken as bytes, not megabytes.
const MEMLIMIT_MB_MAX: u32 = 1_000_000_000;

pub(super) fn administer<'pin, E: EngineAdmin, S: ReplySink<E::Item<'pin>>>(
    request: Admin<'_>,
    echo: Echo<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let line = match request {
        Admin::FlushAll(delay) => {
            let line = flush_all(delay, ctx);
            if sink.is_watched() && line == ReplyLine::Ok {
                observe::flushed(delay, ctx, sink);
            }
            line
        }
        Admin::Version => ReplyLine::Version,
        Admin::Noop => ReplyLine::Noop,
        Admin::Verbosity(level) => {
            ctx.operator.set_verbosity(u8::try_from(level).unwrap_or(VERBOSITY_MAX).min(VERBOSITY_MAX));
            ReplyLine::Ok
        }
        Admin::Quit => {
            answer(sink, echo, ReplyLine::Ok);
            return Outcome::Close;
        }
        Admin::Shutdown(mode) => match shutdown(mode, ctx) {
            Ok(()) => return Outcome::Close,
            Err(line) => line,
        },
        Admin::Replication(Some(ReplicationRequest::Peers)) => {
            return statistics::report(StatsRequest::Replication, echo, ctx, pin, sink.text());
        }
        Admin::Replication(Some(ReplicationRequest::Change(change, address))) => change_peer(change, address, ctx),
        Admin::Replication(None) => ReplyLine::ReplicationUsage,
        Admin::CacheMemlimit(megabytes) => cache_memlimit(megabytes, ctx),
        Admin::Stats(report) => return statistics::report(report, echo, ctx, pin, sink.text()),
        Admin::Slabs(order) => slabs::carry_out(order, ctx),
        Admin::Debugtime(order) => debugtime(order, ctx),
        Admin::Crawler(request) => return crawler::carry_out(request, echo, ctx, sink),
        Admin::Watch(request) => match watching::begin(request, ctx) {
            Ok(wanted) => return Outcome::Watch(wanted),
            Err(line) => line,
        },
        Admin::Tune(tuning) => ctx.operator.tune(tuning),
        Admin::RefreshCertificates => ctx.operator.refresh_certificates(),
        Admin::Fixed(line) => line,
    };
    answer(sink, echo, line);
    Outcome::Done
}

/// A delay ends one second early, as in memcached: `flush_all 1` flushes now. A date before the start drops nothing,
/// since no item is older.
fn flush_all<E: EngineAdmin>(delay: Exptime, ctx: &mut Context<'_, E>) -> ReplyLine {
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

fn shutdown<E: EngineAdmin>(mode: Option<ShutdownMode>, ctx: &Context<'_, E>) -> Result<(), ReplyLine> {
    if !ctx.switches.shutdown_command {
        return Err(ReplyLine::ShutdownNotEnabled);
    }
    ctx.operator.shutdown(mode.ok_or(ReplyLine::InvalidShutdownMode)?);
    Ok(())
}

/// A client that may name peers may read and write everything through them, so it needs what a shutdown needs.
fn change_peer<E: EngineAdmin>(change: PeerChange, address: &[u8], ctx: &Context<'_, E>) -> ReplyLine {
    if !ctx.switches.shutdown_command {
        return ReplyLine::ReplicationNotAllowed;
    }
    ctx.operator.change_peer(change, address)
}

fn cache_memlimit<E: EngineAdmin>(megabytes: u32, ctx: &mut Context<'_, E>) -> ReplyLine {
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

fn debugtime<E: EngineAdmin>(order: Option<DebugtimeRequest>, ctx: &mut Context<'_, E>) -> ReplyLine {
    let Some(order) = order.filter(|_| ctx.switches.debug_commands) else { return ReplyLine::Error };
    match order {
        DebugtimeRequest::Pause => ctx.operator.clock().pause(),
        DebugtimeRequest::Resume => ctx.operator.clock().resume(),
        DebugtimeRequest::Shift(seconds) => ctx.operator.clock().shift(seconds),
    }
    ctx.engine.begin_turn();
    ReplyLine::Ok
}

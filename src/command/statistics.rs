//! `stats`: finds the group and writes its rows.

use std::ops::ControlFlow;

use crate::base::parse_u32;
use crate::memory::CLASS_MAX;
use crate::protocol::text::{has_row_room, push_stat};
use crate::protocol::{ReplyLine, Tokens};
use crate::stats::{HOTKEYS_HALF_LIFE_S, HOTKEYS_SAMPLE_RATE, connection_rows, general_rows, hotkey_rows};
use crate::store::{Engine, StoreReport};

use super::context::Context;
use super::execute::Outcome;

/// The longest answer of `stats cachedump`, in bytes, as in memcached.
const CACHEDUMP_BYTES_MAX: usize = 2 << 20;
/// The state shown for the client that asks.
const ASKING_STATE: &str = "conn_parse_cmd";
/// Cost of a connection beside its rows, in small requests: two system calls ask for its addresses.
const REQUESTS_PER_CONNECTION_SHOWN: u32 = 4;
/// Keys that `stats hotkeys` lists.
const HOTKEYS_SHOWN_MAX: usize = 50;
/// Prefixes that `stats prefixes` lists.
const PREFIXES_SHOWN_MAX: usize = 1000;
/// Slab class ids are below this. In memcached it is 64.
const SLAB_ID_END: u32 = CLASS_MAX as u32 + 1;

pub(super) fn report<E: Engine>(
    mut arguments: Tokens<'_>,
    ctx: &mut Context<'_, E>,
    pin: &E::Pin,
    out: &mut Vec<u8>,
) -> Outcome<E::Pending> {
    let before = out.len();
    let line = match arguments.next() {
        None => general(ctx, pin, out),
        Some(b"items") => group(StoreReport::Items, ctx, pin, out),
        Some(b"slabs") => group(StoreReport::Slabs, ctx, pin, out),
        Some(b"sizes") => group(StoreReport::Sizes, ctx, pin, out),
        Some(b"hotkeys") => hotkeys(arguments, ctx, out),
        Some(b"prefixes") => match prefixes(ctx, out) {
            Some(line) => line,
            None => return Outcome::Busy,
        },
        // memcached compares prefixes of the word in this order.
        Some(word) if b"reset".starts_with(word) => reset(ctx),
        Some(word) if b"detail".starts_with(word) => detail(arguments, ctx, out),
        Some(word) if b"settings".starts_with(word) => {
            ctx.operator.settings(&mut |name, value| push_stat(out, name, value));
            ReplyLine::End
        }
        Some(word) if b"cachedump".starts_with(word) => cachedump(arguments, ctx, pin, out),
        Some(word) if b"conns".starts_with(word) => connections(ctx, out),
        Some(_) => ReplyLine::Error,
    };
    let line = if has_row_room(out) {
        line
    } else {
        // A report must not lack rows.
        out.truncate(before);
        ReplyLine::NoMemory
    };
    out.extend_from_slice(line.bytes());
    charge(&out[before..], ctx);
    Outcome::Done
}

/// A row costs about as much as a small request.
fn charge<E: Engine>(rows: &[u8], ctx: &mut Context<'_, E>) {
    let count = memchr::memchr_iter(b'\n', rows).count();
    ctx.charge(u32::try_from(count).unwrap_or(u32::MAX));
}

fn reset<E: Engine>(ctx: &mut Context<'_, E>) -> ReplyLine {
    ctx.operator.reset_counters();
    ctx.engine.reset_stats();
    ctx.prefixes.clear();
    ctx.hot.clear();
    ReplyLine::Reset
}

fn connections<E: Engine>(ctx: &mut Context<'_, E>, out: &mut Vec<u8>) -> ReplyLine {
    let mut shown = 0u32;
    ctx.operator.connections(&mut |connection| {
        shown = shown.saturating_add(1);
        let mut connection = *connection;
        if connection.fd == ctx.client_fd {
            (connection.state, connection.secs_since_last_cmd) = (ASKING_STATE, 0);
        }
        connection_rows(&connection, &mut |name, value| push_stat(out, name, value));
    });
    ctx.charge(shown.saturating_mul(REQUESTS_PER_CONNECTION_SHOWN));
    ReplyLine::End
}

fn general<E: Engine>(ctx: &Context<'_, E>, pin: &E::Pin, out: &mut Vec<u8>) -> ReplyLine {
    let (gauges, totals) = (ctx.operator.gauges(), ctx.operator.totals());
    general_rows(&gauges, &totals, ctx.engine.moment().now, ctx.operator.clock().unix_s(), &mut |name, value| {
        push_stat(out, name, value)
    });
    group(StoreReport::General, ctx, pin, out)
}

fn group<E: Engine>(group: StoreReport, ctx: &Context<'_, E>, pin: &E::Pin, out: &mut Vec<u8>) -> ReplyLine {
    ctx.engine.report(pin, group, &mut |name, value| push_stat(out, name, value));
    ReplyLine::End
}

/// `stats prefixes`: items and bytes by key prefix, most bytes first. `None`: the scan is running, ask again.
fn prefixes<E: Engine>(ctx: &mut Context<'_, E>, out: &mut Vec<u8>) -> Option<ReplyLine> {
    if !ctx.switches.dump_enabled {
        return Some(ReplyLine::PrefixesNotAllowed);
    }
    let (prefix_scan, is_fresh) = ctx.engine.prefix_scan(ctx.prefixes.delimiter());
    if !is_fresh && !ctx.last_try {
        return None;
    }
    let mut row = |name: &str, value: u64| push_stat(out, name, &value);
    row("counting", u64::from(!is_fresh));
    let Some(prefix_scan) = prefix_scan else { return Some(ReplyLine::End) };
    row("age", u64::from(ctx.engine.moment().now.0.saturating_sub(prefix_scan.counted_at.0)));
    row("prefixes", prefix_scan.prefixes.len() as u64);
    row("unprefixed_items", prefix_scan.unprefixed.items);
    row("unprefixed_bytes", prefix_scan.unprefixed.bytes);
    row("other_items", prefix_scan.beyond.items);
    row("other_bytes", prefix_scan.beyond.bytes);
    let mut all: Vec<_> = prefix_scan.prefixes.iter().collect();
    all.sort_unstable_by(|one, other| other.1.bytes.cmp(&one.1.bytes).then_with(|| one.0.cmp(other.0)));
    for (prefix, held) in all.into_iter().take(PREFIXES_SHOWN_MAX) {
        for (name, value) in [("items", held.items), ("bytes", held.bytes)] {
            if !has_row_room(out) {
                break;
            }
            out.extend_from_slice(b"STAT ");
            out.extend_from_slice(prefix);
            out.extend_from_slice(format!(":{name} {value}\r\n").as_bytes());
        }
    }
    Some(ReplyLine::End)
}

/// `stats hotkeys [on|off]`.
fn hotkeys<E: Engine>(mut arguments: Tokens<'_>, ctx: &Context<'_, E>, out: &mut Vec<u8>) -> ReplyLine {
    if !ctx.switches.dump_enabled {
        return ReplyLine::HotkeysNotAllowed;
    }
    match arguments.next() {
        Some(b"on") => ctx.hot.switch(true),
        Some(b"off") => ctx.hot.switch(false),
        Some(_) => return ReplyLine::HotkeysUsage,
        None => {
            push_stat(out, "enabled", &u8::from(ctx.hot.is_on()));
            push_stat(out, "sample_rate", &HOTKEYS_SAMPLE_RATE);
            push_stat(out, "half_life", &HOTKEYS_HALF_LIFE_S);
            let hottest = ctx.hot.hottest(HOTKEYS_SHOWN_MAX, ctx.engine.moment().now);
            for (rank, (key, counts)) in (1..).zip(hottest) {
                if !has_row_room(out) {
                    break;
                }
                out.extend_from_slice(format!("STAT {rank}:key ").as_bytes());
                out.extend_from_slice(&key);
                out.extend_from_slice(b"\r\n");
                hotkey_rows(&counts, &mut |name, value| push_stat(out, &format!("{rank}:{name}"), value));
            }
            return ReplyLine::End;
        }
    }
    ReplyLine::Ok
}

fn detail<E: Engine>(mut arguments: Tokens<'_>, ctx: &Context<'_, E>, out: &mut Vec<u8>) -> ReplyLine {
    if !ctx.switches.dump_enabled {
        return ReplyLine::StatsDetailNotAllowed;
    }
    match arguments.next() {
        Some(word) if b"on".starts_with(word) => ctx.prefixes.switch(true),
        Some(word) if b"off".starts_with(word) => ctx.prefixes.switch(false),
        Some(word) if b"dump".starts_with(word) => {
            ctx.prefixes.dump(&mut |prefix, counts| {
                if !has_row_room(out) {
                    return;
                }
                out.extend_from_slice(b"PREFIX ");
                out.extend_from_slice(prefix);
                out.extend_from_slice(format!(" {counts}\r\n").as_bytes());
            });
            return ReplyLine::End;
        }
        Some(_) | None => return ReplyLine::StatsDetailUsage,
    }
    ReplyLine::Ok
}

/// `stats cachedump <slab id> <limit>`: some keys of a class, with their expiry dates (0: never).
fn cachedump<E: Engine>(mut arguments: Tokens<'_>, ctx: &Context<'_, E>, pin: &E::Pin, out: &mut Vec<u8>) -> ReplyLine {
    if !ctx.switches.dump_enabled {
        return ReplyLine::CachedumpNotAllowed;
    }
    let (Some(id), Some(limit)) = (arguments.next(), arguments.next()) else { return ReplyLine::BadCommandLine };
    let (Some(id), Some(limit)) = (parse_u32(id), parse_u32(limit)) else { return ReplyLine::BadFormat };
    let Some(class) = u8::try_from(id).ok().filter(|_| id < SLAB_ID_END) else { return ReplyLine::IllegalSlabId };
    let epoch_unix_ms = ctx.engine.epoch_unix_ms();
    let end = out.len() + CACHEDUMP_BYTES_MAX;
    ctx.engine.dump_class(pin, class, limit, &mut |key, value_len, deadline| {
        let facts = format!(" [{value_len} b; {} s]\r\n", deadline.unix_s(epoch_unix_ms));
        if out.len() + key.len() + facts.len() + 5 > end || !has_row_room(out) {
            return ControlFlow::Break(());
        }
        out.extend_from_slice(b"ITEM ");
        out.extend_from_slice(key);
        out.extend_from_slice(facts.as_bytes());
        ControlFlow::Continue(())
    });
    ReplyLine::End
}

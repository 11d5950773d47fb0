//! `stats`: finds the group and writes its rows, in the client's grammar.

use std::fmt::Display;
use std::ops::ControlFlow;

use crate::base::StatRow;
use crate::memory::CLASS_MAX;
use crate::protocol::{
    Echo, ReplyLine, RowValue, StatsRequest, SwitchRequest, compose, frame_lines, has_row_room, push_row, shown_key,
};
use crate::stats::{
    GeneralRows, HOTKEY_NAME, HOTKEY_ROWS, LATENCY_RATE_ROWS, LATENCY_ROWS, Latency, PREFIX_ROWS, PREFIX_TOTAL_ROWS,
    PrefixTotals, SAMPLING_ROWS, SCAN_ROWS, SLOW_LOG_ROWS, SLOW_ROWS, SLOW_TEXT_ROWS, connection_rows,
};
use crate::store::{EngineAdmin, StoreReport};

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

pub(super) fn report<E: EngineAdmin>(
    request: StatsRequest,
    echo: Echo<'_>,
    ctx: &mut Context<'_, E>,
    pin: &E::Pin,
    out: &mut Vec<u8>,
) -> Outcome<E::Pending> {
    let before = out.len();
    let Some(line) = write_rows(request, echo, ctx, pin, out) else { return Outcome::Busy };
    let line = if has_row_room(out) {
        line
    } else {
        // A report must not lack rows.
        out.truncate(before);
        ReplyLine::NoMemory
    };
    compose(echo, line.into(), out);
    Outcome::Done
}

/// Appends the rows of a report. Returns the line that follows them. `None`: the rows are still being counted, ask
/// again.
pub(super) fn write_rows<E: EngineAdmin>(
    request: StatsRequest,
    echo: Echo<'_>,
    ctx: &mut Context<'_, E>,
    pin: &E::Pin,
    out: &mut Vec<u8>,
) -> Option<ReplyLine> {
    let mut rows = Rows { echo, out, shown: 0 };
    let line = match request {
        StatsRequest::General => general(ctx, pin, &mut rows),
        StatsRequest::Items => group(StoreReport::Items, ctx, pin, &mut rows),
        StatsRequest::Slabs => group(StoreReport::Slabs, ctx, pin, &mut rows),
        StatsRequest::Sizes => group(StoreReport::Sizes, ctx, pin, &mut rows),
        StatsRequest::Hotkeys(order) => hotkeys(order, ctx, &mut rows),
        StatsRequest::Prefixes => prefixes(ctx, &mut rows)?,
        StatsRequest::Reset => reset(ctx),
        StatsRequest::Detail(order) => detail(order, ctx, &mut rows),
        StatsRequest::Settings => {
            ctx.operator.settings(&mut |name, value| rows.push(name, value));
            ReplyLine::End
        }
        StatsRequest::Cachedump(bounds) => cachedump(bounds, ctx, pin, &mut rows),
        StatsRequest::Connections => connections(ctx, &mut rows),
        StatsRequest::Replication => {
            let figures = ctx.operator.replication();
            figures.iter().for_each(|figures| figures.rows(&mut |name, value| rows.push(name, value)));
            ReplyLine::End
        }
        StatsRequest::Latency => latency(ctx, &mut rows),
        StatsRequest::SlowLog => slow_log(ctx, &mut rows),
        StatsRequest::Empty => ReplyLine::End,
        StatsRequest::Unknown => ReplyLine::Error,
    };
    // A row costs about as much as a small request.
    let shown = rows.shown;
    ctx.charge(shown);
    Some(line)
}

/// The rows of a report.
struct Rows<'r> {
    echo: Echo<'r>,
    out: &'r mut Vec<u8>,
    shown: u32,
}

impl Rows<'_> {
    fn push(&mut self, name: &str, value: &dyn Display) {
        self.push_bytes(name.as_bytes(), value);
    }

    fn push_bytes(&mut self, name: &[u8], value: &dyn Display) {
        self.push_value(name, RowValue::Shown(value));
    }

    /// Appends the rows of a table. `front` stands before each name.
    fn push_table<S>(&mut self, front: impl AsRef<[u8]>, table: &[StatRow<S>], values: &S) {
        for row in table {
            self.push_bytes(&[front.as_ref(), row.name.as_bytes()].concat(), &(row.value)(values));
        }
    }

    fn push_value(&mut self, name: &[u8], value: RowValue<'_>) {
        push_row(self.echo, name, value, self.out);
        self.shown = self.shown.saturating_add(1);
    }

    /// Appends a line that is not a row. [`frame_lines`] follows the last one.
    fn push_line(&mut self, parts: &[&[u8]]) {
        if has_row_room(self.out) {
            parts.iter().for_each(|part| self.out.extend_from_slice(part));
            self.out.extend_from_slice(b"\r\n");
        }
        self.shown = self.shown.saturating_add(1);
    }
}

fn reset<E: EngineAdmin>(ctx: &mut Context<'_, E>) -> ReplyLine {
    ctx.operator.reset_counters();
    ctx.engine.reset_stats();
    ctx.prefixes.clear();
    ctx.hot.clear();
    ctx.operator.latency().iter().for_each(|latency| latency.clear());
    ReplyLine::Reset
}

fn connections<E: EngineAdmin>(ctx: &mut Context<'_, E>, rows: &mut Rows<'_>) -> ReplyLine {
    let mut shown = 0u32;
    ctx.operator.connections(&mut |connection| {
        shown = shown.saturating_add(1);
        let mut connection = *connection;
        if connection.fd == ctx.client_fd {
            (connection.state, connection.secs_since_last_cmd) = (ASKING_STATE, 0);
        }
        connection_rows(&connection, &mut |name, value| rows.push(name, value));
    });
    ctx.charge(shown.saturating_mul(REQUESTS_PER_CONNECTION_SHOWN));
    ReplyLine::End
}

fn general<E: EngineAdmin>(ctx: &Context<'_, E>, pin: &E::Pin, rows: &mut Rows<'_>) -> ReplyLine {
    let mut collected = GeneralRows::default();
    ctx.operator.process_view().rows(&mut |name, value| collected.push(name, value));
    ctx.engine.report(pin, StoreReport::General, &mut |name, value| collected.push(name, value));
    collected.show(&mut |name, value| rows.push(name, value));
    let replication = ctx.operator.replication();
    replication.iter().for_each(|figures| figures.repcached_rows(&mut |name, value| rows.push(name, value)));
    ReplyLine::End
}

fn group<E: EngineAdmin>(group: StoreReport, ctx: &Context<'_, E>, pin: &E::Pin, rows: &mut Rows<'_>) -> ReplyLine {
    ctx.engine.report(pin, group, &mut |name, value| rows.push(name, value));
    ReplyLine::End
}

/// `stats prefixes`: items and bytes by key prefix, most bytes first. `None`: the scan is running, ask again.
fn prefixes<E: EngineAdmin>(ctx: &mut Context<'_, E>, rows: &mut Rows<'_>) -> Option<ReplyLine> {
    if !ctx.switches.dump_enabled {
        return Some(ReplyLine::PrefixesNotAllowed);
    }
    let (prefix_scan, is_fresh) = ctx.engine.prefix_scan(ctx.prefixes.delimiter());
    if !is_fresh && !ctx.last_try {
        return None;
    }
    rows.push_table("", SCAN_ROWS, &!is_fresh);
    let Some(prefix_scan) = prefix_scan else { return Some(ReplyLine::End) };
    rows.push_table("", PREFIX_TOTAL_ROWS, &PrefixTotals::of(&prefix_scan, ctx.engine.moment().now));
    let mut all: Vec<_> = prefix_scan.prefixes.iter().collect();
    all.sort_unstable_by(|one, other| other.1.bytes.cmp(&one.1.bytes).then_with(|| one.0.cmp(other.0)));
    for (prefix, held) in all.into_iter().take(PREFIXES_SHOWN_MAX) {
        rows.push_table([&shown_key(prefix)[..], b":"].concat(), PREFIX_ROWS, held);
    }
    Some(ReplyLine::End)
}

/// `stats hotkeys [on|off]`.
fn hotkeys<E: EngineAdmin>(
    order: Result<SwitchRequest, ReplyLine>,
    ctx: &Context<'_, E>,
    rows: &mut Rows<'_>,
) -> ReplyLine {
    if !ctx.switches.dump_enabled {
        return ReplyLine::HotkeysNotAllowed;
    }
    match order {
        Err(line) => line,
        Ok(SwitchRequest::To(is_on)) => {
            ctx.hot.switch(is_on);
            ReplyLine::Ok
        }
        Ok(SwitchRequest::Show) => {
            rows.push_table("", SAMPLING_ROWS, &ctx.hot.is_on());
            let hottest = ctx.hot.hottest(HOTKEYS_SHOWN_MAX, ctx.engine.moment().now);
            for (rank, (key, counts)) in (1..).zip(hottest) {
                rows.push_value(format!("{rank}:{}", HOTKEY_NAME.0).as_bytes(), RowValue::Bytes(&shown_key(&key)));
                rows.push_table(format!("{rank}:"), HOTKEY_ROWS, &counts);
            }
            ReplyLine::End
        }
    }
}

/// `stats latency`: how long commands take, and the sizes of pipelines and values.
fn latency<E: EngineAdmin>(ctx: &Context<'_, E>, rows: &mut Rows<'_>) -> ReplyLine {
    rows.push_table("", LATENCY_RATE_ROWS, &());
    for (name, _, distribution) in ctx.operator.latency().map(Latency::distributions).unwrap_or_default() {
        rows.push_table(format!("{name}:"), LATENCY_ROWS, &distribution);
    }
    ReplyLine::End
}

/// `stats slowlog`: pipelines that took long, newest first.
fn slow_log<E: EngineAdmin>(ctx: &Context<'_, E>, rows: &mut Rows<'_>) -> ReplyLine {
    if !ctx.switches.dump_enabled {
        return ReplyLine::SlowLogNotAllowed;
    }
    let Some(latency) = ctx.operator.latency() else { return ReplyLine::End };
    rows.push_table("", SLOW_LOG_ROWS, latency);
    for (rank, slow) in (1..).zip(latency.slow()) {
        let front = format!("{rank}:");
        let texts = [slow.client.as_bytes(), &slow.command, &slow.key];
        for ((name, _), text) in SLOW_TEXT_ROWS.iter().zip(texts) {
            let text = if text.is_empty() { b"-" } else { text };
            rows.push_value(format!("{front}{name}").as_bytes(), RowValue::Bytes(&shown_key(text)));
        }
        rows.push_table(front, SLOW_ROWS, &slow);
    }
    ReplyLine::End
}

/// `stats detail on|off|dump`.
fn detail<E: EngineAdmin>(
    order: Result<SwitchRequest, ReplyLine>,
    ctx: &Context<'_, E>,
    rows: &mut Rows<'_>,
) -> ReplyLine {
    if !ctx.switches.dump_enabled {
        return ReplyLine::StatsDetailNotAllowed;
    }
    match order {
        Err(line) => line,
        Ok(SwitchRequest::To(is_on)) => {
            ctx.prefixes.switch(is_on);
            ReplyLine::Ok
        }
        Ok(SwitchRequest::Show) => {
            let from = rows.out.len();
            ctx.prefixes.dump(&mut |prefix, counts| {
                rows.push_line(&[b"PREFIX ", &shown_key(prefix), b" ", counts.to_string().as_bytes()]);
            });
            frame_lines(rows.echo, b"detailed", from, rows.out);
            ReplyLine::End
        }
    }
}

/// `stats cachedump <slab id> <limit>`: some keys of a class, with their expiry dates (0: never).
fn cachedump<E: EngineAdmin>(
    bounds: Result<(u32, u32), ReplyLine>,
    ctx: &Context<'_, E>,
    pin: &E::Pin,
    rows: &mut Rows<'_>,
) -> ReplyLine {
    if !ctx.switches.dump_enabled {
        return ReplyLine::CachedumpNotAllowed;
    }
    let (id, limit) = match bounds {
        Ok(bounds) => bounds,
        Err(line) => return line,
    };
    let Some(class) = u8::try_from(id).ok().filter(|_| id < SLAB_ID_END) else { return ReplyLine::IllegalSlabId };
    let epoch_unix_ms = ctx.engine.epoch_unix_ms();
    let from = rows.out.len();
    let end = from + CACHEDUMP_BYTES_MAX;
    ctx.engine.dump_class(pin, class, limit, &mut |key, value_len, deadline| {
        let facts = format!(" [{value_len} b; {} s]", deadline.unix_s(epoch_unix_ms));
        let key = shown_key(key);
        if rows.out.len() + key.len() + facts.len() + 7 > end {
            return ControlFlow::Break(());
        }
        rows.push_line(&[b"ITEM ", &key, facts.as_bytes()]);
        ControlFlow::Continue(())
    });
    frame_lines(rows.echo, b"cachedump", from, rows.out);
    ReplyLine::End
}

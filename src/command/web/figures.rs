//! /metrics, /stats.json and /history.json.

use crate::base::parse_i64;
use crate::protocol::http::{HttpPage, begin_object, begin_page, end_object, split_query};
use crate::protocol::{Echo, HttpReply, HttpRequest, ReplyLine, StatsRequest, SwitchRequest};
use crate::stats::{
    ClassRows, Exposition, ProcessFigures, SlabChoice, Steps, add_classes, add_general, add_latency, add_process,
    add_replication, add_settings,
};
use crate::store::{EngineAdmin, StoreReport};
use crate::sys::process::{memory_bytes, open_descriptors, process_limits};

use super::super::context::Context;
use super::super::statistics::write_rows;

/// The content type of Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";
/// Cost of the metrics, in small requests, beside one for each row of a size class.
const METRICS_COST: u32 = 300;

/// Cost of the history, in small requests.
const HISTORY_COST: u32 = 1000;
/// Steps of the history, if a client names no number.
const STEPS_DEFAULT: i64 = 300;

/// The groups of /stats.json.
const GROUPS: &[(&str, StatsRequest)] = &[
    ("stats", StatsRequest::General),
    ("settings", StatsRequest::Settings),
    ("items", StatsRequest::Items),
    ("slabs", StatsRequest::Slabs),
    ("sizes", StatsRequest::Sizes),
    ("conns", StatsRequest::Connections),
    ("hotkeys", StatsRequest::Hotkeys(Ok(SwitchRequest::Show))),
    ("latency", StatsRequest::Latency),
    ("slowlog", StatsRequest::SlowLog),
    ("prefixes", StatsRequest::Prefixes),
    ("replication", StatsRequest::Replication),
];

/// The value of `name` in the query of a request.
fn queried<'r>(request: &HttpRequest<'r>, name: &[u8]) -> Option<&'r [u8]> {
    let (_, query) = split_query(request.target);
    query?.split(|byte| *byte == b'&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// Why a page is not written.
pub(super) enum NoPage {
    /// This is the answer.
    Reply(HttpReply),
    /// Its figures are still being counted: ask again.
    Busy,
}

/// Writes /metrics.
pub(super) fn metrics<E: EngineAdmin>(
    request: &HttpRequest<'_>,
    ctx: &mut Context<'_, E>,
    pin: &E::Pin,
    out: &mut Vec<u8>,
) -> Result<(), NoPage> {
    let choice = match queried(request, b"slab") {
        None | Some(b"all") => SlabChoice::All,
        Some(b"top") => SlabChoice::Top,
        Some(b"off") => SlabChoice::Off,
        Some(_) => return Err(NoPage::Reply(HttpReply::BadQuery)),
    };
    let mut exposition = Exposition::default();
    let process = ctx.operator.process_view();
    let ([files_max, memory_max], gauges) = (process_limits(), &process.gauges);
    let figures = ProcessFigures {
        is_ready: ctx.operator.readiness().is_ok(),
        cpu_us: gauges.rusage_user_us + gauges.rusage_system_us,
        files_max,
        files_open: open_descriptors(),
        memory_bytes: memory_bytes(),
        memory_max,
        started_unix_s: gauges.started_unix_s,
    };
    add_process(&mut exposition, &figures);
    add_general(&mut exposition, &process, &mut |row| ctx.engine.report(pin, StoreReport::General, row));
    add_settings(&mut exposition, &mut |row| ctx.operator.settings(row));
    ctx.operator.latency().iter().for_each(|latency| add_latency(&mut exposition, latency));
    let mut classes = ClassRows::default();
    let mut shown = METRICS_COST;
    for report in [StoreReport::Items, StoreReport::Slabs] {
        ctx.engine.report(pin, report, &mut |name, value| {
            shown = shown.saturating_add(1);
            classes.push(name, value);
        });
    }
    add_classes(&mut exposition, &classes, choice);
    if let Some(figures) = ctx.operator.replication() {
        add_replication(&mut exposition, &figures);
    }
    let page = begin_page(request.echo, METRICS, out);
    exposition.write_to(out);
    page.end(out);
    ctx.charge(shown);
    Ok(())
}

/// Writes /history.json: `count` steps of `step` seconds, up to now.
pub(super) fn history<E: EngineAdmin>(
    request: &HttpRequest<'_>,
    ctx: &mut Context<'_, E>,
    out: &mut Vec<u8>,
) -> Result<(), NoPage> {
    let number = |name: &[u8], default: i64| queried(request, name).map_or(Some(default), parse_i64);
    let steps =
        number(b"step", 1).zip(number(b"count", STEPS_DEFAULT)).and_then(|(step, count)| Steps::new(step, count));
    let Some(steps) = steps else { return Err(NoPage::Reply(HttpReply::BadQuery)) };
    let Some(history) = ctx.operator.history() else { return Err(NoPage::Reply(HttpReply::NoPage)) };
    let page = begin_page(request.echo, JSON, out);
    history.write_json(steps, ctx.operator.clock().unix_s(), out);
    page.end(out);
    ctx.charge(HISTORY_COST);
    Ok(())
}

/// Writes /stats.json: the rows of all groups, or of those that `group` names.
pub(super) fn stats<E: EngineAdmin>(
    request: &HttpRequest<'_>,
    ctx: &mut Context<'_, E>,
    pin: &E::Pin,
    out: &mut Vec<u8>,
) -> Result<(), NoPage> {
    let wanted = queried(request, b"group").map(|names| names.split(|byte| *byte == b','));
    let is_group = |name: &[u8]| GROUPS.iter().any(|(known, _)| known.as_bytes() == name);
    if !wanted.clone().into_iter().flatten().all(is_group) {
        return Err(NoPage::Reply(HttpReply::BadQuery));
    }
    let before = out.len();
    let page: HttpPage = begin_page(request.echo, JSON, out);
    out.push(b'{');
    for (name, rows) in GROUPS {
        if wanted.clone().is_some_and(|mut wanted| !wanted.any(|wanted| wanted == name.as_bytes())) {
            continue;
        }
        begin_object(name, out);
        match write_rows(*rows, Echo::Http(request.echo), ctx, pin, out) {
            // A group that -X forbids is empty.
            Some(
                ReplyLine::End
                | ReplyLine::HotkeysNotAllowed
                | ReplyLine::SlowLogNotAllowed
                | ReplyLine::PrefixesNotAllowed,
            ) => end_object(out),
            Some(_) => {
                out.truncate(before);
                return Err(NoPage::Reply(HttpReply::NoMemory));
            }
            None => {
                out.truncate(before);
                return Err(NoPage::Busy);
            }
        }
    }
    end_object(out);
    out.pop();
    out.push(b'\n');
    page.end(out);
    Ok(())
}

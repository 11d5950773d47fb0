//! Requests over HTTP: finds the page, and checks whether the client may have it.
//!
//! ```text
//! /live  /ready   for probes; they need no token
//! /               the live page, which draws what the others say
//! /metrics        for Prometheus
//! /stats.json     for other programs
//! /history.json   the last hour and the last day, for the live page
//! /cache/KEY      items, with -o http_cache
//! ```

mod figures;
mod items;

use subtle::ConstantTimeEq as _;

use crate::protocol::http::{CACHE_PATH, Persistence, begin_page, push_reply, split_query};
use crate::protocol::{HttpEcho, HttpMethod, HttpReply, HttpRequest, Value};
use crate::store::{Engine, EngineAdmin};

use super::context::Context;
use super::execute::Outcome;
use super::lookup::Lookup;
use super::sink::ReplySink;

use self::figures::NoPage;

/// A page of the server itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WebPage {
    Overview,
    Live,
    Ready,
    Metrics,
    Stats,
    History,
}

/// The pages: path, and whether it needs the token.
const PAGES: &[(&str, WebPage, bool)] = &[
    // It has no figures. Its requests for them carry the token.
    ("/", WebPage::Overview, false),
    ("/live", WebPage::Live, false),
    ("/ready", WebPage::Ready, false),
    ("/metrics", WebPage::Metrics, true),
    ("/stats.json", WebPage::Stats, true),
    ("/history.json", WebPage::History, true),
];

/// The live page: one file, which asks for /history.json and /stats.json.
const OVERVIEW: &[u8] = include_bytes!("overview.html");

/// Executes one request.
#[inline(never)]
pub(super) fn serve<'pin, E: EngineAdmin, S: ReplySink<E::Item<'pin>>>(
    request: &Result<HttpRequest<'_>, HttpReply>,
    lookup: Option<Lookup<E::Bucket, E::Candidate<'pin>>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let request = match request {
        Ok(request) => request,
        Err(reply) => {
            push_reply(HttpEcho::BROKEN, *reply, sink.text());
            return Outcome::Close;
        }
    };
    if request.is_foreign {
        return refuse(request, HttpReply::Foreign, sink);
    }
    let (path, query) = split_query(request.target);
    if let Some(written_key) = path.strip_prefix(CACHE_PATH) {
        return match (is_admitted(request, ctx), ctx.switches.http_cache, query) {
            (false, ..) => refuse(request, HttpReply::Unauthorized, sink),
            (true, false, _) => refuse(request, HttpReply::CacheOff, sink),
            (true, true, Some(_)) => refuse(request, HttpReply::BadKey, sink),
            (true, true, None) => items::serve(request, written_key, lookup, ctx, pin, sink),
        };
    }
    let Some((_, page, needs_token)) = PAGES.iter().find(|(known, ..)| known.as_bytes() == path) else {
        return refuse(request, HttpReply::NoPage, sink);
    };
    if *needs_token && !is_admitted(request, ctx) {
        return refuse(request, HttpReply::Unauthorized, sink);
    }
    if !matches!(request.echo.method, HttpMethod::Get | HttpMethod::Head) {
        return refuse(request, HttpReply::MethodNotAllowed, sink);
    }
    let written = match page {
        WebPage::Overview => {
            let page = begin_page(request.echo, "text/html; charset=utf-8", sink.text());
            sink.text().extend_from_slice(OVERVIEW);
            page.end(sink.text());
            Ok(())
        }
        WebPage::History => figures::history(request, ctx, sink.text()),
        WebPage::Metrics => figures::metrics(request, ctx, pin, sink.text()),
        WebPage::Stats => figures::stats(request, ctx, pin, sink.text()),
        WebPage::Live => Err(NoPage::Reply(HttpReply::Ok)),
        WebPage::Ready => {
            let reply = ctx.operator.readiness().err().unwrap_or(HttpReply::Ok);
            Err(NoPage::Reply(reply))
        }
    };
    match written {
        Ok(()) => after(request),
        Err(NoPage::Reply(reply)) => refuse(request, reply, sink),
        Err(NoPage::Busy) => Outcome::Busy,
    }
}

/// The path of the item that a request is for, as written, if the client may have it.
pub(super) fn admitted_item<'r, E: Engine>(request: &HttpRequest<'r>, ctx: &Context<'_, E>) -> Option<&'r [u8]> {
    let (path, None) = split_query(request.target) else { return None };
    let is_served = ctx.switches.http_cache && !request.is_foreign && is_admitted(request, ctx);
    path.strip_prefix(CACHE_PATH).filter(|_| is_served)
}

/// Whether the client knows the token. The comparison takes as long for a token that is nearly right.
fn is_admitted<E: Engine>(request: &HttpRequest<'_>, ctx: &Context<'_, E>) -> bool {
    let Some(wanted) = &ctx.switches.http_token else { return true };
    request.token.is_some_and(|offered| offered.ct_eq(wanted).into())
}

/// Answers an error. A client that waits for `100 Continue` may send its body or not, so its connection ends.
fn refuse<I, P, S: ReplySink<I>>(request: &HttpRequest<'_>, reply: HttpReply, sink: &mut S) -> Outcome<P> {
    let mut request = *request;
    if request.awaits_continue && request.body == Value::Coming {
        request.echo.persistence = Persistence::Ends;
    }
    push_reply(request.echo, reply, sink.text());
    after(&request)
}

/// What follows a reply: the rest of a body that is not needed, and the end of the connection if the reply says so.
fn after<P>(request: &HttpRequest<'_>) -> Outcome<P> {
    match request.body {
        _ if request.echo.ends() => Outcome::Close,
        Value::Coming => Outcome::Swallow { bytes: request.body_len.into() },
        Value::Whole(_) | Value::BadTerminator => Outcome::Done,
    }
}

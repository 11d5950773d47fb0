//! `lru_crawler`: starts dumps and sweeps for expired items.
//!
//! memcached has a thread that crawls its LRU lists. In larder a background job sweeps expired items. A dump walks the
//! index on the worker of its client. The switch `lru_crawler enable|disable` allows both commands.

use crate::protocol::{Answer, CrawlerRequest, DumpFormat, DumpScope, Echo, Reply, ReplyLine};
use crate::store::EngineAdmin;

use super::context::Context;
use super::dump::Dump;
use super::execute::{Outcome, answer};
use super::sink::ReplySink;

pub(super) fn carry_out<'pin, E: EngineAdmin, S: ReplySink<E::Item<'pin>>>(
    request: CrawlerRequest<'_>,
    echo: Echo<'_>,
    ctx: &mut Context<'_, E>,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let line = match request {
        CrawlerRequest::Switch(is_on) => {
            let was_on = ctx.operator.switch_crawler(is_on);
            if is_on && was_on { ReplyLine::CrawlerNotStarted } else { ReplyLine::Ok }
        }
        CrawlerRequest::Tune(tuning) => ctx.operator.tune(tuning),
        CrawlerRequest::Crawl(_) if !ctx.operator.is_crawler_on() => ReplyLine::CrawlerDisabled,
        CrawlerRequest::Crawl(Err(line)) => line,
        CrawlerRequest::Crawl(Ok(_)) => {
            ctx.engine.sweep_now();
            ReplyLine::Ok
        }
        CrawlerRequest::Dump(format, scope) => match begin(format, scope, echo, ctx) {
            Ok(Some(dump)) => {
                answer(sink, echo, ReplyLine::Ok);
                return Outcome::Dump(dump);
            }
            Ok(None) => return Outcome::Done,
            Err(line) => line,
        },
        CrawlerRequest::Invalid => ReplyLine::Error,
    };
    answer(sink, echo, Answer::Line(line));
    Outcome::Done
}

/// Begins a dump. `None`: the client wants no reply, so there is nothing to do.
fn begin<E: EngineAdmin>(
    format: DumpFormat,
    scope: Result<DumpScope<'_>, ReplyLine>,
    echo: Echo<'_>,
    ctx: &Context<'_, E>,
) -> Result<Option<Box<Dump>>, ReplyLine> {
    if !ctx.switches.dump_enabled {
        return Err(match format {
            DumpFormat::Metadump => ReplyLine::MetadumpNotAllowed,
            DumpFormat::Mgdump => ReplyLine::MgdumpNotAllowed,
        });
    }
    if !ctx.operator.is_crawler_on() {
        return Err(ReplyLine::CrawlerDisabled);
    }
    let dump = Box::new(Dump::new(format, scope?));
    Ok((echo != Echo::Text(Reply::Silent)).then_some(dump))
}

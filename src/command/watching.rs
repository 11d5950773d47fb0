//! `watch`: admits a client that wants to see what happens.

use crate::protocol::{ReplyLine, WatchRequest};
use crate::store::Engine;
use crate::watch::{NoPermit, Wanted};

use super::context::Context;

pub(super) fn begin<E: Engine>(
    request: Option<WatchRequest<'_>>,
    ctx: &Context<'_, E>,
) -> Result<Box<Wanted>, ReplyLine> {
    if !ctx.switches.watch_enabled {
        return Err(ReplyLine::WatchNotAllowed);
    }
    let request = request.ok_or(ReplyLine::Error)?;
    let hub = ctx.operator.watch_hub().ok_or(ReplyLine::WatcherFailed)?;
    match hub.admit() {
        Ok(permit) => Ok(Box::new(Wanted::new(request, permit))),
        Err(NoPermit::TooMany) => Err(ReplyLine::TooManyWatchers),
        Err(NoPermit::Failed) => Err(ReplyLine::WatcherFailed),
    }
}

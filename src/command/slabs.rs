//! `slabs reassign` and `slabs automove`: the operator moves pages.
//!
//! ```text
//! slabs reassign <source class | -1> <destination class | 0>      -1: any class; 0: the pool of free pages
//! slabs automove <0|1|2>
//! slabs automove ratio <number> | window <number> | freeratio <number>
//! ```
//!
//! Grammar and answers are memcached's, which accepts any word that begins with one of these. `freeratio` only
//! changes a row of `stats settings`: no pages are kept free.

use crate::protocol::{AutomoveRequest, ReplyLine, SlabsRequest, Tuning};
use crate::settings::{AUTOMOVE_LEVELS, AUTOMOVE_WINDOW};
use crate::store::{EngineAdmin, MoveTuning, Reassign};

use super::context::Context;

pub(super) fn carry_out<E: EngineAdmin>(order: SlabsRequest, ctx: &mut Context<'_, E>) -> ReplyLine {
    match order {
        SlabsRequest::Reassign(classes) => reassign(classes, ctx),
        SlabsRequest::Automove(order) => automove(order, ctx),
        SlabsRequest::Invalid => ReplyLine::Error,
    }
}

fn reassign<E: EngineAdmin>(classes: Option<(i32, i32)>, ctx: &mut Context<'_, E>) -> ReplyLine {
    if !ctx.switches.slab_reassign {
        return ReplyLine::ReassignDisabled;
    }
    let Some((from, to)) = classes else { return ReplyLine::BadFormat };
    if from == to {
        return ReplyLine::SameClass;
    }
    let from = if from == -1 { Ok(None) } else { u8::try_from(from).map(Some) };
    let (Ok(from), Ok(to)) = (from, u8::try_from(to)) else { return ReplyLine::BadClass };
    match ctx.engine.reassign_page(from, to) {
        Reassign::Started => ReplyLine::Ok,
        Reassign::Running => ReplyLine::ReassignRunning,
        Reassign::BadClass => ReplyLine::BadClass,
        Reassign::NoSpare => ReplyLine::NoSparePage,
        Reassign::Same => ReplyLine::SameClass,
    }
}

fn automove<E: EngineAdmin>(order: AutomoveRequest, ctx: &mut Context<'_, E>) -> ReplyLine {
    let tuning = ctx.engine.move_tuning();
    let changed = match order {
        AutomoveRequest::Level(Some(level)) if AUTOMOVE_LEVELS.contains(&level.into()) => {
            MoveTuning { level, ..tuning }
        }
        AutomoveRequest::Window(Some(window)) if AUTOMOVE_WINDOW.contains(&window.into()) => {
            MoveTuning { window, ..tuning }
        }
        AutomoveRequest::Ratio(Some(ratio)) => MoveTuning { ratio, ..tuning },
        AutomoveRequest::FreeRatio(Some(ratio)) => return ctx.operator.tune(Ok(Tuning::FreeRatio(ratio))),
        AutomoveRequest::Window(Some(_)) => return ReplyLine::WindowOutOfBounds,
        AutomoveRequest::Window(None) | AutomoveRequest::Level(None) => return ReplyLine::BadFormat,
        AutomoveRequest::Level(Some(_)) | AutomoveRequest::Ratio(None) | AutomoveRequest::FreeRatio(None) => {
            return ReplyLine::Error;
        }
    };
    ctx.engine.tune_moves(changed);
    ReplyLine::Ok
}

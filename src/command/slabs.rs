//! `slabs reassign` and `slabs automove`: the operator moves pages.
//!
//! ```text
//! slabs reassign <source class | -1> <destination class | 0>      -1: any class; 0: the pool of free pages
//! slabs automove <0|1|2>
//! slabs automove ratio <number> | window <number> | freeratio <number>
//! ```
//!
//! Grammar and answers are memcached's, which accepts any word that begins with one of these. `freeratio` has no
//! effect: no pages are kept free.

use std::ops::RangeInclusive;

use crate::base::{parse_short_i64, parse_u32};
use crate::protocol::{Reply, ReplyLine, Tokens};
use crate::store::{Engine, MoveTuning, Reassign};

use super::context::Context;

/// Bounds of the window, in ticks of the page mover. The setting has the same ones.
const WINDOW: RangeInclusive<u32> = 3..=1800;
/// The highest level.
const LEVEL_MAX: u32 = 2;

pub(super) fn obey<E: Engine>(mut arguments: Tokens<'_>, reply: Reply, ctx: &mut Context<'_, E>) -> ReplyLine {
    let word = arguments.next();
    let mut values = [None; 3];
    for value in &mut values {
        *value = arguments.next().filter(|word| reply == Reply::Wanted || *word != b"noreply");
    }
    match (word, values) {
        (Some(word), [Some(from), Some(to), None]) if b"reassign".starts_with(word) => reassign(from, to, ctx),
        (Some(word), [Some(what), value, _]) if b"automove".starts_with(word) => automove(what, value, ctx),
        (Some(_) | None, _) => ReplyLine::Error,
    }
}

fn reassign<E: Engine>(from: &[u8], to: &[u8], ctx: &mut Context<'_, E>) -> ReplyLine {
    if !ctx.switches.slab_reassign {
        return ReplyLine::ReassignDisabled;
    }
    let class = |text: &[u8]| parse_short_i64(text).and_then(|class| i32::try_from(class).ok());
    let (Some(from), Some(to)) = (class(from), class(to)) else { return ReplyLine::BadFormat };
    if from == to {
        return ReplyLine::SameClass;
    }
    let donor = if from == -1 { Ok(None) } else { u8::try_from(from).map(Some) };
    let (Ok(donor), Ok(heir)) = (donor, u8::try_from(to)) else { return ReplyLine::BadClass };
    match ctx.engine.reassign_page(donor, heir) {
        Reassign::Started => ReplyLine::Ok,
        Reassign::Running => ReplyLine::ReassignRunning,
        Reassign::BadClass => ReplyLine::BadClass,
        Reassign::NoSpare => ReplyLine::NoSparePage,
        Reassign::Same => ReplyLine::SameClass,
    }
}

fn automove<E: Engine>(what: &[u8], value: Option<&[u8]>, ctx: &mut Context<'_, E>) -> ReplyLine {
    let tuning = ctx.engine.move_tuning();
    let (is_ratio, is_free_ratio) = (b"ratio".starts_with(what), b"freeratio".starts_with(what));
    let changed = match what {
        _ if is_ratio || is_free_ratio => {
            let number = value.and_then(|text| std::str::from_utf8(text).ok()?.parse::<f64>().ok());
            let Some(number) = number.filter(|number| number.is_finite()) else { return ReplyLine::Error };
            if is_ratio { MoveTuning { ratio: number, ..tuning } } else { tuning }
        }
        _ if b"window".starts_with(what) => match value.and_then(parse_u32) {
            Some(window) if WINDOW.contains(&window) => MoveTuning { window, ..tuning },
            Some(_) => return ReplyLine::WindowOutOfBounds,
            None => return ReplyLine::BadFormat,
        },
        level => match parse_u32(level) {
            Some(level) if level <= LEVEL_MAX => MoveTuning { level, ..tuning },
            Some(_) => return ReplyLine::Error,
            None => return ReplyLine::BadFormat,
        },
    };
    ctx.engine.tune_moves(changed);
    ReplyLine::Ok
}

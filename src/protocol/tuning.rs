//! Tuning of parts of memcached that larder does not have. It changes what `stats settings` shows, and nothing else.
//!
//! ```text
//! lru tune <hot percent> <warm percent> <hot factor> <warm factor> | mode <flat|segmented> | temp_ttl <seconds>
//! extstore <knob> <number>
//! lru_crawler sleep <microseconds> | tocrawl <items>      parsed in crawler.rs
//! slabs automove freeratio <number>                       parsed in words.rs
//! ```

use crate::base::{parse_short_i64, parse_u32};
use crate::settings::{LRU_PERCENT_MAX, Settings};

use super::reply_line::ReplyLine;
use super::tokens::Tokens;
use super::words::{ExtstoreWord, LruModeWord, LruWord};

/// New values of settings without effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tuning {
    /// `lru_crawler sleep`, in microseconds.
    CrawlerSleep(u32),
    /// `lru_crawler tocrawl`.
    CrawlerItems(u32),
    /// `lru tune`.
    Lru {
        /// Percentage of memory for the hot list.
        hot_pct: u32,
        /// Percentage of memory for the warm list.
        warm_pct: u32,
        /// Maximum age in the hot list, as a factor.
        hot_factor: f64,
        /// Maximum age in the warm list, as a factor.
        warm_factor: f64,
    },
    /// `lru mode`: whether it is `segmented`.
    LruMode(bool),
    /// `lru temp_ttl`, in seconds. `None`: a negative number, which turns the list off. Above 31 bits it is an error.
    TempTtl(Option<u32>),
    /// `slabs automove freeratio`.
    FreeRatio(f64),
    /// A knob of `extstore` that takes a whole number.
    Extstore(ExtstoreKnob, u32),
    /// `extstore max_frag`.
    ExtstoreMaxFrag(f64),
}

/// A knob of `extstore`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExtstoreKnob(ExtstoreWord);

impl Tuning {
    /// Changes `settings`.
    pub fn apply(self, settings: &mut Settings) {
        match self {
            Self::CrawlerSleep(us) => settings.lru_crawler_sleep = us,
            Self::CrawlerItems(items) => settings.lru_crawler_tocrawl = items,
            Self::Lru { hot_pct, warm_pct, hot_factor, warm_factor } => {
                (settings.hot_lru_pct, settings.warm_lru_pct) = (hot_pct, warm_pct);
                (settings.hot_max_factor, settings.warm_max_factor) = (hot_factor, warm_factor);
            }
            Self::LruMode(is_segmented) => settings.lru_segmented = is_segmented,
            Self::TempTtl(seconds) => {
                settings.temp_lru = seconds.is_some();
                settings.temporary_ttl = seconds.unwrap_or(settings.temporary_ttl);
            }
            Self::FreeRatio(ratio) => settings.slab_automove_freeratio = ratio,
            Self::ExtstoreMaxFrag(ratio) => settings.ext_max_frag = ratio,
            Self::Extstore(ExtstoreKnob(knob), number) => match knob {
                ExtstoreWord::ItemSize => settings.ext_item_size = number,
                ExtstoreWord::ItemAge => settings.ext_item_age = number,
                ExtstoreWord::LowTtl => settings.ext_low_ttl = number,
                ExtstoreWord::RecacheRate => settings.ext_recache_rate = number,
                ExtstoreWord::CompactUnder => settings.ext_compact_under = number,
                ExtstoreWord::DropUnder => settings.ext_drop_under = number,
                ExtstoreWord::MaxSleep => settings.ext_max_sleep = number,
                ExtstoreWord::DropUnread => settings.ext_drop_unread = number != 0,
                // `stats settings` has no row for the first one, and the second one takes a fraction.
                ExtstoreWord::FreeMemchunks | ExtstoreWord::MaxFrag => {}
            },
        }
    }
}

/// The request in the words behind `lru`, or its error.
pub(super) fn lru(mut words: Tokens<'_>) -> Result<Tuning, ReplyLine> {
    match words.next().and_then(LruWord::from_wire) {
        Some(LruWord::Tune) => tune(words).unwrap_or(Err(ReplyLine::Error)),
        Some(LruWord::Mode) => match words.next().and_then(LruModeWord::from_wire) {
            Some(mode) => Ok(Tuning::LruMode(mode == LruModeWord::Segmented)),
            None => Err(ReplyLine::Error),
        },
        Some(LruWord::TempTtl) => match words.next().and_then(parse_short_i64).map(i32::try_from) {
            Some(Ok(seconds)) => Ok(Tuning::TempTtl(u32::try_from(seconds).ok())),
            Some(Err(_)) | None => Err(ReplyLine::Error),
        },
        None => Err(ReplyLine::Error),
    }
}

fn tune(mut words: Tokens<'_>) -> Option<Result<Tuning, ReplyLine>> {
    let (hot_pct, warm_pct) = (parse_u32(words.next()?)?, parse_u32(words.next()?)?);
    let mut factor = || fraction(words.next()?);
    let (hot_factor, warm_factor) = (factor()?, factor()?);
    Some(if hot_pct.saturating_add(warm_pct) > LRU_PERCENT_MAX {
        Err(ReplyLine::LruPercentTooHigh)
    } else if hot_factor > 0.0 && warm_factor > 0.0 {
        Ok(Tuning::Lru { hot_pct, warm_pct, hot_factor, warm_factor })
    } else {
        Err(ReplyLine::LruFactorTooLow)
    })
}

/// The request in the words behind `extstore`, or its error.
pub(super) fn extstore(mut words: Tokens<'_>) -> Result<Tuning, ReplyLine> {
    let tuning = match (words.next().and_then(ExtstoreWord::from_wire), words.next()) {
        (Some(ExtstoreWord::MaxFrag), Some(text)) => {
            fraction(text).filter(|ratio| *ratio >= 0.0).map(Tuning::ExtstoreMaxFrag)
        }
        (Some(knob), Some(text)) => parse_u32(text).map(|number| Tuning::Extstore(ExtstoreKnob(knob), number)),
        (Some(_) | None, Some(_) | None) => None,
    };
    tuning.ok_or(ReplyLine::Error)
}

/// A finite decimal number.
fn fraction(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::{ExtstoreKnob, Tuning, extstore, lru};
    use crate::protocol::reply_line::ReplyLine;
    use crate::protocol::tokens::Tokens;
    use crate::protocol::words::ExtstoreWord;

    #[test]
    fn what_has_no_effect_is_checked_all_the_same() {
        let factors = Tuning::Lru { hot_pct: 10, warm_pct: 20, hot_factor: 0.2, warm_factor: 2.0 };
        for (words, expected) in [
            ("tune 10 20 0.2 2.0", Ok(factors)),
            ("tune 50 40 0.2 2", Err(ReplyLine::LruPercentTooHigh)),
            ("tune 10 20 0 2", Err(ReplyLine::LruFactorTooLow)),
            ("tune 10 x 0.2 2", Err(ReplyLine::Error)),
            ("tune 10 20 inf 2", Err(ReplyLine::Error)),
            ("tune 10 20 0.2", Err(ReplyLine::Error)),
            ("mode flat", Ok(Tuning::LruMode(false))),
            ("mode other", Err(ReplyLine::Error)),
            ("temp_ttl -1", Ok(Tuning::TempTtl(None))),
            ("temp_ttl 0", Ok(Tuning::TempTtl(Some(0)))),
            ("temp_ttl 2147483647", Ok(Tuning::TempTtl(Some(2_147_483_647)))),
            ("temp_ttl 2147483648", Err(ReplyLine::Error)),
            ("temp_ttl 4294967295", Err(ReplyLine::Error)),
            ("temp_ttl", Err(ReplyLine::Error)),
            ("", Err(ReplyLine::Error)),
        ] {
            assert_eq!(lru(Tokens::new(words.as_bytes())), expected, "lru {words}");
        }
        for (words, expected) in [
            ("item_size 5", Ok(Tuning::Extstore(ExtstoreKnob(ExtstoreWord::ItemSize), 5))),
            ("max_frag 0.5", Ok(Tuning::ExtstoreMaxFrag(0.5))),
            ("max_frag -0.5", Err(ReplyLine::Error)),
            ("item_size x", Err(ReplyLine::Error)),
            ("item_size 0.5", Err(ReplyLine::Error)),
            ("item_size", Err(ReplyLine::Error)),
            ("other 5", Err(ReplyLine::Error)),
        ] {
            assert_eq!(extstore(Tokens::new(words.as_bytes())), expected, "extstore {words}");
        }
    }
}

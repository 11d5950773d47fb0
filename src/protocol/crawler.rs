//! Requests of `lru_crawler`, `lru` and `extstore`: dumps, and the tuning of parts that larder does not have.
//!
//! ```text
//! lru_crawler metadump|mgdump <all|hash|class,class,…> [prefix=<bytes>] [limit=<rows>]
//! lru_crawler crawl <all|class,class,…> | enable | disable | sleep <microseconds> | tocrawl <items>
//! lru tune <hot percent> <warm percent> <hot factor> <warm factor> | mode <flat|segmented> | temp_ttl <seconds>
//! extstore <knob> <number>
//! ```

use crate::base::{parse_short_i64, parse_u32, parse_u64};

use super::echo::Reply;
use super::reply_line::ReplyLine;
use super::tokens::Tokens;
use super::words::{CrawlerWord, ExtstoreWord, LruModeWord, LruWord, ScopeWord};

/// The largest pause of memcached's crawler, in microseconds.
const SLEEP_US_MAX: u32 = 1_000_000;
/// The most that the percentages of `lru tune` may add up to.
const LRU_PERCENT_MAX: u32 = 80;
/// Before a key prefix and before a number of rows.
const PREFIX_OPTION: &[u8] = b"prefix=";
const LIMIT_OPTION: &[u8] = b"limit=";

/// A request of `lru_crawler`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CrawlerRequest<'a> {
    /// `enable` or `disable`.
    Switch(bool),
    /// `sleep` or `tocrawl`, with the answer: neither has an effect here.
    Tune(ReplyLine),
    /// `crawl`, or the error in its list of classes.
    Crawl(Result<Classes, ReplyLine>),
    /// `metadump` or `mgdump`, or the error in its list of classes.
    Dump(DumpFormat, Result<DumpScope<'a>, ReplyLine>),
    /// Anything else.
    Invalid,
}

/// How a dump shows an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpFormat {
    /// `key=… exp=… la=… cas=… fetch=… cls=… size=… flags=…`
    Metadump,
    /// `mg <key>`
    Mgdump,
}

/// Which items a dump shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpScope<'a> {
    /// Their slab classes.
    pub classes: Classes,
    /// What their keys begin with.
    pub prefix: &'a [u8],
    /// Their maximum number.
    pub limit: u64,
}

/// A set of slab classes: one bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes(u128);

impl Classes {
    /// All classes.
    pub const ALL: Self = Self(u128::MAX);

    /// Whether the set has `class`.
    pub const fn has(self, class: u8) -> bool {
        self.0 >> (class % 128) & 1 == 1
    }

    /// The classes in a list of ids with commas.
    ///
    /// # Errors
    /// One of them is no id, or the list is empty.
    fn parse(list: &[u8]) -> Result<Self, ReplyLine> {
        let mut classes = 0;
        for id in list.split(|byte| *byte == b',').filter(|id| !id.is_empty()) {
            let id = parse_u32(id).filter(|id| (1..u128::BITS).contains(id)).ok_or(ReplyLine::CrawlBadClass)?;
            classes |= 1 << id;
        }
        if classes == 0 { Err(ReplyLine::CrawlNotStarted) } else { Ok(Self(classes)) }
    }
}

impl<'a> CrawlerRequest<'a> {
    /// The request in the words behind `lru_crawler`.
    pub fn parse(mut words: Tokens<'a>, reply: Reply) -> Self {
        let Some(word) = words.next().and_then(CrawlerWord::from_wire) else { return Self::Invalid };
        let mut words =
            std::iter::from_fn(|| words.next().filter(|word| reply == Reply::Wanted || *word != b"noreply"));
        let format = match word {
            CrawlerWord::Metadump => DumpFormat::Metadump,
            CrawlerWord::Mgdump => DumpFormat::Mgdump,
            CrawlerWord::Enable | CrawlerWord::Disable => {
                let is_on = word == CrawlerWord::Enable;
                return if words.next().is_some() { Self::Invalid } else { Self::Switch(is_on) };
            }
            CrawlerWord::Sleep | CrawlerWord::Tocrawl | CrawlerWord::Crawl => {
                let (Some(argument), None) = (words.next(), words.next()) else { return Self::Invalid };
                return match word {
                    CrawlerWord::Sleep => Self::Tune(sleep(argument)),
                    CrawlerWord::Tocrawl => {
                        Self::Tune(parse_u32(argument).map_or(ReplyLine::BadFormat, |_| ReplyLine::Ok))
                    }
                    _ => Self::Crawl(match ScopeWord::from_wire(argument) {
                        Some(ScopeWord::All) => Ok(Classes::ALL),
                        Some(ScopeWord::Hash) => Err(ReplyLine::CrawlUnknownError),
                        None => Classes::parse(argument),
                    }),
                };
            }
        };
        match words.next() {
            Some(list) => Self::dump(format, list, words),
            None => Self::Invalid,
        }
    }

    /// A dump of the items in `list`, with options.
    fn dump(format: DumpFormat, list: &'a [u8], options: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut prefix, mut limit) = (None, None);
        for option in options {
            if let (Some(bytes), None) = (option.strip_prefix(PREFIX_OPTION), prefix) {
                prefix = Some(bytes);
            } else if let (Some(rows), None) = (option.strip_prefix(LIMIT_OPTION).and_then(parse_u64), limit) {
                limit = Some(rows);
            } else {
                return Self::Invalid;
            }
        }
        let classes = match ScopeWord::from_wire(list) {
            Some(ScopeWord::All | ScopeWord::Hash) => Ok(Classes::ALL),
            None => Classes::parse(list),
        };
        let (prefix, limit) = (prefix.unwrap_or_default(), limit.unwrap_or(u64::MAX));
        Self::Dump(format, classes.map(|classes| DumpScope { classes, prefix, limit }))
    }
}

fn sleep(argument: &[u8]) -> ReplyLine {
    match parse_u32(argument) {
        None => ReplyLine::BadFormat,
        Some(us) if us > SLEEP_US_MAX => ReplyLine::CrawlerSleepTooLong,
        Some(_) => ReplyLine::Ok,
    }
}

/// The answer to `lru`. It has no effect: larder has no segmented LRU.
pub(super) fn lru(mut words: Tokens<'_>) -> ReplyLine {
    match words.next().and_then(LruWord::from_wire) {
        Some(LruWord::Tune) => tune(words).unwrap_or(ReplyLine::Error),
        Some(LruWord::Mode) => match words.next().and_then(LruModeWord::from_wire) {
            Some(LruModeWord::Flat | LruModeWord::Segmented) => ReplyLine::Ok,
            None => ReplyLine::Error,
        },
        Some(LruWord::TempTtl) => match words.next().and_then(parse_short_i64) {
            Some(_) => ReplyLine::Ok,
            None => ReplyLine::Error,
        },
        None => ReplyLine::Error,
    }
}

fn tune(mut words: Tokens<'_>) -> Option<ReplyLine> {
    let (hot, warm) = (parse_u32(words.next()?)?, parse_u32(words.next()?)?);
    let mut factor = || std::str::from_utf8(words.next()?).ok()?.parse::<f64>().ok();
    let (hot_factor, warm_factor) = (factor()?, factor()?);
    Some(if hot.saturating_add(warm) > LRU_PERCENT_MAX {
        ReplyLine::LruPercentTooHigh
    } else if hot_factor > 0.0 && warm_factor > 0.0 {
        ReplyLine::Ok
    } else {
        ReplyLine::LruFactorTooLow
    })
}

/// The answer to `extstore`. Like memcached without extstore, larder accepts a number for each knob. It has no effect.
pub(super) fn extstore(mut words: Tokens<'_>) -> ReplyLine {
    let knob = words.next().and_then(ExtstoreWord::from_wire);
    let value = words.next().and_then(|text| std::str::from_utf8(text).ok()?.parse::<f64>().ok());
    match (knob, value) {
        (Some(_), Some(value)) if value >= 0.0 => ReplyLine::Ok,
        (Some(_) | None, Some(_) | None) => ReplyLine::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::{Classes, CrawlerRequest, DumpFormat, DumpScope, extstore, lru};
    use crate::protocol::echo::Reply;
    use crate::protocol::reply_line::ReplyLine;
    use crate::protocol::tokens::Tokens;

    fn crawler(words: &str) -> CrawlerRequest<'_> {
        CrawlerRequest::parse(Tokens::new(words.as_bytes()), Reply::Wanted)
    }

    #[test]
    fn a_dump_has_a_scope_and_options_in_any_order() {
        let all = DumpScope { classes: Classes::ALL, prefix: b"", limit: u64::MAX };
        let dump = |scope| CrawlerRequest::Dump(DumpFormat::Metadump, scope);
        assert_eq!(crawler("metadump all"), dump(Ok(all)));
        assert_eq!(crawler("metadump hash limit=7"), dump(Ok(DumpScope { limit: 7, ..all })));
        let both = DumpScope { limit: 7, prefix: b"a=b", ..all };
        assert_eq!(crawler("metadump all prefix=a=b limit=7"), dump(Ok(both)));
        assert_eq!(crawler("metadump all limit=7 prefix=a=b"), dump(Ok(both)));
        for line in
            ["metadump", "metadump all x", "metadump all limit=", "metadump all limit=1 limit=2", "meta all", ""]
        {
            assert_eq!(crawler(line), CrawlerRequest::Invalid, "{line}");
        }
    }

    #[test]
    fn classes_are_listed_with_commas() {
        let classes = |list: &str| Classes::parse(list.as_bytes());
        let some = classes("1,,5,127").unwrap();
        assert!([1, 5, 127].into_iter().all(|class| some.has(class)));
        assert!([0, 2, 126].into_iter().all(|class| !some.has(class)));
        for list in ["0", "128", "1,x", "-1"] {
            assert_eq!(classes(list), Err(ReplyLine::CrawlBadClass), "{list}");
        }
        assert_eq!(classes(","), Err(ReplyLine::CrawlNotStarted));
    }

    #[test]
    fn what_has_no_effect_is_checked_all_the_same() {
        assert_eq!(crawler("sleep 1000001"), CrawlerRequest::Tune(ReplyLine::CrawlerSleepTooLong));
        assert_eq!(crawler("sleep 0"), CrawlerRequest::Tune(ReplyLine::Ok));
        assert_eq!(crawler("tocrawl -1"), CrawlerRequest::Tune(ReplyLine::BadFormat));
        for (words, expected) in [
            ("tune 10 20 0.2 2.0", ReplyLine::Ok),
            ("tune 50 40 0.2 2", ReplyLine::LruPercentTooHigh),
            ("tune 10 20 0 2", ReplyLine::LruFactorTooLow),
            ("tune 10 x 0.2 2", ReplyLine::Error),
            ("tune 10 20 0.2", ReplyLine::Error),
            ("mode flat", ReplyLine::Ok),
            ("mode other", ReplyLine::Error),
            ("temp_ttl -1", ReplyLine::Ok),
            ("temp_ttl", ReplyLine::Error),
            ("", ReplyLine::Error),
        ] {
            assert_eq!(lru(Tokens::new(words.as_bytes())), expected, "lru {words}");
        }
        for (words, expected) in [
            ("item_size 5", ReplyLine::Ok),
            ("max_frag 0.5", ReplyLine::Ok),
            ("item_size x", ReplyLine::Error),
            ("item_size", ReplyLine::Error),
            ("other 5", ReplyLine::Error),
        ] {
            assert_eq!(extstore(Tokens::new(words.as_bytes())), expected, "extstore {words}");
        }
    }
}

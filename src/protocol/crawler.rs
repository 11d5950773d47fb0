//! Requests of `lru_crawler`: dumps, sweeps, and the tuning of a thread that larder does not have.
//!
//! ```text
//! lru_crawler metadump|mgdump <all|hash|class,class,…> [prefix=<bytes>] [limit=<rows>]
//! lru_crawler crawl <all|class,class,…> | enable | disable | sleep <microseconds> | tocrawl <items>
//! ```

use crate::base::{parse_u32, parse_u64};

use super::echo::Reply;
use super::reply_line::ReplyLine;
use super::tokens::Tokens;
use super::tuning::Tuning;
use super::words::{CrawlerWord, ScopeWord};

/// The largest pause of memcached's crawler, in microseconds.
const SLEEP_US_MAX: u32 = 1_000_000;
/// Before a key prefix and before a number of rows.
const PREFIX_OPTION: &[u8] = b"prefix=";
const LIMIT_OPTION: &[u8] = b"limit=";

/// A request of `lru_crawler`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CrawlerRequest<'a> {
    /// `enable` or `disable`.
    Switch(bool),
    /// `sleep` or `tocrawl`, or the error in its number.
    Tune(Result<Tuning, ReplyLine>),
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
    /// The maximum number of rows.
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
                        Self::Tune(parse_u32(argument).map(Tuning::CrawlerItems).ok_or(ReplyLine::BadFormat))
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

fn sleep(argument: &[u8]) -> Result<Tuning, ReplyLine> {
    match parse_u32(argument) {
        None => Err(ReplyLine::BadFormat),
        Some(us) if us > SLEEP_US_MAX => Err(ReplyLine::CrawlerSleepTooLong),
        Some(us) => Ok(Tuning::CrawlerSleep(us)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Classes, CrawlerRequest, DumpFormat, DumpScope};
    use crate::protocol::echo::Reply;
    use crate::protocol::reply_line::ReplyLine;
    use crate::protocol::tokens::Tokens;
    use crate::protocol::tuning::Tuning;

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
    fn tuning_is_checked() {
        assert_eq!(crawler("sleep 1000001"), CrawlerRequest::Tune(Err(ReplyLine::CrawlerSleepTooLong)));
        assert_eq!(crawler("sleep 1000000"), CrawlerRequest::Tune(Ok(Tuning::CrawlerSleep(1_000_000))));
        assert_eq!(crawler("tocrawl -1"), CrawlerRequest::Tune(Err(ReplyLine::BadFormat)));
        assert_eq!(crawler("tocrawl 7"), CrawlerRequest::Tune(Ok(Tuning::CrawlerItems(7))));
    }
}

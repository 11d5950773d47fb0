//! The only tables of words behind an administrative verb (`stats items`), and the requests that they form. The fuzz
//! dictionary follows them.

use crate::base::{parse_short_i64, parse_u32};

use super::echo::Reply;
use super::reply_line::ReplyLine;
use super::tokens::Tokens;

/// How a word of a table may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// In full.
    Full,
    /// As any prefix of it, as in memcached. The first row that matches wins.
    Prefix,
}

macro_rules! words {
    ($(#[doc = $doc:literal])+ $table:ident { $($word:ident = $name:literal, $spelling:ident;)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $table { $($word,)+ }

        impl $table {
            const NAMES: &'static [&'static [u8]] = &[$($name,)+];

            pub(super) fn from_wire(word: &[u8]) -> Option<Self> {
                let is = |name: &[u8], spelling| match spelling {
                    Spelling::Full => name == word,
                    Spelling::Prefix => name.starts_with(word),
                };
                [$((Self::$word, &$name[..], Spelling::$spelling),)+]
                    .into_iter()
                    .find_map(|(row, name, spelling)| is(name, spelling).then_some(row))
            }
        }
    };
}

words! {
    /// Words behind `stats`.
    StatsWord {
        Items = b"items", Full;
        Slabs = b"slabs", Full;
        Sizes = b"sizes", Full;
        Hotkeys = b"hotkeys", Full;
        Prefixes = b"prefixes", Full;
        Reset = b"reset", Prefix;
        Detail = b"detail", Prefix;
        Settings = b"settings", Prefix;
        Cachedump = b"cachedump", Prefix;
        Conns = b"conns", Prefix;
        Replication = b"replication", Full;
        Latency = b"latency", Full;
        Slowlog = b"slowlog", Full;
        Extstore = b"extstore", Prefix;
        Proxy = b"proxy", Prefix;
        Proxyfuncs = b"proxyfuncs", Full;
        Proxybe = b"proxybe", Full;
    }
}

words! {
    /// Words behind `stats detail`.
    DetailWord {
        On = b"on", Prefix;
        Off = b"off", Prefix;
        Dump = b"dump", Prefix;
    }
}

words! {
    /// Words behind `stats hotkeys`.
    HotkeysWord {
        On = b"on", Full;
        Off = b"off", Full;
    }
}

words! {
    /// Words behind `slabs`.
    SlabsWord {
        Reassign = b"reassign", Prefix;
        Automove = b"automove", Prefix;
    }
}

words! {
    /// Words behind `slabs automove`, beside a level.
    AutomoveWord {
        Ratio = b"ratio", Prefix;
        Freeratio = b"freeratio", Prefix;
        Window = b"window", Prefix;
    }
}

words! {
    /// Words behind `lru_crawler`.
    CrawlerWord {
        Enable = b"enable", Full;
        Disable = b"disable", Full;
        Sleep = b"sleep", Full;
        Tocrawl = b"tocrawl", Full;
        Crawl = b"crawl", Full;
        Metadump = b"metadump", Full;
        Mgdump = b"mgdump", Full;
    }
}

words! {
    /// Words behind `replication`.
    ReplicationWord {
        Peers = b"peers", Full;
        Add = b"add", Full;
        Remove = b"remove", Full;
        Pause = b"pause", Full;
        Resume = b"resume", Full;
        Resync = b"resync", Full;
    }
}

words! {
    /// Words in place of a list of classes.
    ScopeWord {
        All = b"all", Full;
        Hash = b"hash", Full;
    }
}

words! {
    /// Words behind `lru`.
    LruWord {
        Tune = b"tune", Full;
        Mode = b"mode", Full;
        TempTtl = b"temp_ttl", Full;
    }
}

words! {
    /// Words behind `lru mode`.
    LruModeWord {
        Flat = b"flat", Full;
        Segmented = b"segmented", Full;
    }
}

words! {
    /// Words behind `watch`: names of streams.
    StreamWord {
        Fetchers = b"fetchers", Full;
        Mutations = b"mutations", Full;
        Evictions = b"evictions", Full;
        Connevents = b"connevents", Full;
        Deletions = b"deletions", Full;
        Sysevents = b"sysevents", Full;
        Replication = b"replication", Full;
        Rawcmds = b"rawcmds", Full;
        Proxyreqs = b"proxyreqs", Full;
        Proxyevents = b"proxyevents", Full;
        Proxyuser = b"proxyuser", Full;
        Touches = b"touches", Full;
        Numbers = b"numbers", Full;
        Expirations = b"expirations", Full;
        Flushes = b"flushes", Full;
    }
}

words! {
    /// Words behind `extstore`.
    ExtstoreWord {
        FreeMemchunks = b"free_memchunks", Full;
        ItemSize = b"item_size", Full;
        ItemAge = b"item_age", Full;
        LowTtl = b"low_ttl", Full;
        RecacheRate = b"recache_rate", Full;
        CompactUnder = b"compact_under", Full;
        DropUnder = b"drop_under", Full;
        MaxSleep = b"max_sleep", Full;
        MaxFrag = b"max_frag", Full;
        DropUnread = b"drop_unread", Full;
    }
}

words! {
    /// Words behind `shutdown`.
    ShutdownWord {
        Graceful = b"graceful", Full;
    }
}

words! {
    /// Words behind `debugtime`, beside a number of seconds.
    DebugtimeWord {
        Pause = b"p", Full;
        Resume = b"r", Full;
    }
}

/// All words of all tables, for the fuzz dictionary.
pub fn all_words() -> impl Iterator<Item = &'static [u8]> {
    let tables = [
        StatsWord::NAMES,
        DetailWord::NAMES,
        HotkeysWord::NAMES,
        SlabsWord::NAMES,
        AutomoveWord::NAMES,
        CrawlerWord::NAMES,
        ScopeWord::NAMES,
        LruWord::NAMES,
        LruModeWord::NAMES,
        StreamWord::NAMES,
        ExtstoreWord::NAMES,
        ShutdownWord::NAMES,
        ReplicationWord::NAMES,
        DebugtimeWord::NAMES,
    ];
    tables.into_iter().flatten().copied()
}

/// The words behind `stats` that have a report. memcached's reports of parts that larder does not have are empty.
pub fn stats_words() -> impl Iterator<Item = &'static str> {
    let has_report = |word: &&[u8]| StatsRequest::parse(Tokens::new(word)) != StatsRequest::Empty;
    StatsWord::NAMES.iter().copied().filter(has_report).filter_map(|word| std::str::from_utf8(word).ok())
}

/// A report of `stats`. Errors in arguments are a part of it: a report that is not allowed says so first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsRequest {
    /// `stats`.
    General,
    /// `stats items`.
    Items,
    /// `stats slabs`.
    Slabs,
    /// `stats sizes`.
    Sizes,
    /// `stats settings`.
    Settings,
    /// `stats conns`.
    Connections,
    /// `stats replication`.
    Replication,
    /// `stats latency`.
    Latency,
    /// `stats slowlog`.
    SlowLog,
    /// `stats prefixes`.
    Prefixes,
    /// `stats reset`.
    Reset,
    /// `stats hotkeys [on|off]`.
    Hotkeys(Result<SwitchRequest, ReplyLine>),
    /// `stats detail on|off|dump`.
    Detail(Result<SwitchRequest, ReplyLine>),
    /// `stats cachedump <class> <limit>`.
    Cachedump(Result<(u32, u32), ReplyLine>),
    /// `stats extstore`, `stats proxy`, `stats proxyfuncs`, `stats proxybe`: parts that larder does not have.
    Empty,
    /// Any other word.
    Unknown,
}

/// What to do with something that can be switched on and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchRequest {
    /// Switch it on or off.
    To(bool),
    /// Show it.
    Show,
}

impl StatsRequest {
    /// The request in the key of a packet. As in memcached, no word may follow a report that takes none, except for
    /// `settings` and `reset`.
    pub fn of_key(key: &[u8]) -> Self {
        let request = Self::parse(Tokens::new(key));
        let takes_words =
            matches!(request, Self::Settings | Self::Reset | Self::Hotkeys(_) | Self::Detail(_) | Self::Cachedump(_));
        if takes_words || !key.contains(&b' ') { request } else { Self::Unknown }
    }

    /// The request in the words behind `stats`.
    pub fn parse(mut words: Tokens<'_>) -> Self {
        let Some(word) = words.next() else { return Self::General };
        let Some(word) = StatsWord::from_wire(word) else { return Self::Unknown };
        match word {
            StatsWord::Items => Self::Items,
            StatsWord::Slabs => Self::Slabs,
            StatsWord::Sizes => Self::Sizes,
            StatsWord::Settings => Self::Settings,
            StatsWord::Conns => Self::Connections,
            StatsWord::Replication => Self::Replication,
            StatsWord::Latency => Self::Latency,
            StatsWord::Slowlog => Self::SlowLog,
            StatsWord::Extstore | StatsWord::Proxy | StatsWord::Proxyfuncs | StatsWord::Proxybe => Self::Empty,
            StatsWord::Prefixes => Self::Prefixes,
            StatsWord::Reset => Self::Reset,
            StatsWord::Hotkeys => Self::Hotkeys(match words.next().map(HotkeysWord::from_wire) {
                None => Ok(SwitchRequest::Show),
                Some(Some(HotkeysWord::On)) => Ok(SwitchRequest::To(true)),
                Some(Some(HotkeysWord::Off)) => Ok(SwitchRequest::To(false)),
                Some(None) => Err(ReplyLine::HotkeysUsage),
            }),
            StatsWord::Detail => Self::Detail(match words.next().and_then(DetailWord::from_wire) {
                Some(DetailWord::On) => Ok(SwitchRequest::To(true)),
                Some(DetailWord::Off) => Ok(SwitchRequest::To(false)),
                Some(DetailWord::Dump) => Ok(SwitchRequest::Show),
                None => Err(ReplyLine::StatsDetailUsage),
            }),
            StatsWord::Cachedump => Self::Cachedump(match (words.next(), words.next()) {
                (Some(class), Some(limit)) => match (parse_u32(class), parse_u32(limit)) {
                    (Some(class), Some(limit)) => Ok((class, limit)),
                    (None, _) | (_, None) => Err(ReplyLine::BadFormat),
                },
                (None, _) | (_, None) => Err(ReplyLine::BadCommandLine),
            }),
        }
    }
}

/// A request of `slabs`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SlabsRequest {
    /// `slabs reassign <source class | -1> <destination class | 0>`. `None`: not two numbers.
    Reassign(Option<(i32, i32)>),
    /// `slabs automove <level>`.
    Automove(AutomoveRequest),
    /// Anything else.
    Invalid,
}

/// A request of `slabs automove`. In each, `None` says that the value is not a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AutomoveRequest {
    /// `slabs automove <level>`.
    Level(Option<u32>),
    /// `slabs automove ratio <number>`.
    Ratio(Option<f64>),
    /// `slabs automove freeratio <number>`.
    FreeRatio(Option<f64>),
    /// `slabs automove window <ticks>`.
    Window(Option<u32>),
}

impl SlabsRequest {
    /// The request in the words behind `slabs`. memcached counts up to three of them.
    pub fn parse(mut words: Tokens<'_>, reply: Reply) -> Self {
        let word = words.next().and_then(SlabsWord::from_wire);
        let mut values = [None; 3];
        for value in &mut values {
            *value = words.next().filter(|word| reply == Reply::Wanted || *word != b"noreply");
        }
        match (word, values) {
            (Some(SlabsWord::Reassign), [Some(from), Some(to), None]) => {
                let class = |text: &[u8]| parse_short_i64(text).and_then(|class| i32::try_from(class).ok());
                Self::Reassign(class(from).zip(class(to)))
            }
            (Some(SlabsWord::Automove), [Some(what), value, _]) => Self::Automove(AutomoveRequest::parse(what, value)),
            (Some(_) | None, _) => Self::Invalid,
        }
    }
}

impl AutomoveRequest {
    fn parse(what: &[u8], value: Option<&[u8]>) -> Self {
        let ratio = || {
            let number = value.and_then(|text| std::str::from_utf8(text).ok()?.parse::<f64>().ok());
            number.filter(|number| number.is_finite())
        };
        match AutomoveWord::from_wire(what) {
            Some(AutomoveWord::Ratio) => Self::Ratio(ratio()),
            Some(AutomoveWord::Freeratio) => Self::FreeRatio(ratio()),
            Some(AutomoveWord::Window) => Self::Window(value.and_then(parse_u32)),
            None => Self::Level(parse_u32(what)),
        }
    }
}

/// What becomes of another node of a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerChange {
    /// This node dials it from now on.
    Add,
    /// This node dials it no longer, and ends the link.
    Remove,
    /// The link ends, and both nodes go on alone.
    Pause,
    /// They link again.
    Resume,
    /// All items are compared.
    Resync,
}

/// A request of `replication`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationRequest<'a> {
    /// Show the other nodes.
    Peers,
    /// Change one, which has this address.
    Change(PeerChange, &'a [u8]),
}

impl<'a> ReplicationRequest<'a> {
    /// The request in the words behind `replication`. `None`: it is invalid.
    pub fn parse(mut words: Tokens<'a>) -> Option<Self> {
        let change = match ReplicationWord::from_wire(words.next()?)? {
            ReplicationWord::Peers => return Some(Self::Peers),
            ReplicationWord::Add => PeerChange::Add,
            ReplicationWord::Remove => PeerChange::Remove,
            ReplicationWord::Pause => PeerChange::Pause,
            ReplicationWord::Resume => PeerChange::Resume,
            ReplicationWord::Resync => PeerChange::Resync,
        };
        Some(Self::Change(change, words.next()?))
    }
}

/// How the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Like SIGINT.
    Now,
    /// Like SIGUSR1.
    Graceful,
}

impl ShutdownMode {
    /// The mode in the words behind `shutdown`. `None`: there is no such mode.
    pub fn parse(mut words: Tokens<'_>) -> Option<Self> {
        match (words.next(), words.next()) {
            (None, _) => Some(Self::Now),
            (Some(word), None) => ShutdownWord::from_wire(word).map(|ShutdownWord::Graceful| Self::Graceful),
            (Some(_), Some(_)) => None,
        }
    }
}

/// A request of `debugtime`, which moves the clock, so that tests need not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugtimeRequest {
    /// Stop it.
    Pause,
    /// Let it run.
    Resume,
    /// Move it by this many seconds.
    Shift(i64),
}

impl DebugtimeRequest {
    /// The request in the words behind `debugtime`. `None`: it is invalid.
    pub fn parse(mut words: Tokens<'_>) -> Option<Self> {
        let word = words.next()?;
        match DebugtimeWord::from_wire(word) {
            Some(DebugtimeWord::Pause) => Some(Self::Pause),
            Some(DebugtimeWord::Resume) => Some(Self::Resume),
            None => parse_short_i64(word).map(Self::Shift),
        }
    }
}

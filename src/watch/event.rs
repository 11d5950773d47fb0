//! Events, and the lines that show them. Fields and their order are memcached's.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::protocol::{Streams, push_uri_encoded};

/// An event. Its subject travels beside it: a key, or the address of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A retrieval of one key.
    Fetched(FetchStatus, ItemFacts),
    /// A storage command.
    Stored(StoreStatus, &'static str, ItemFacts),
    /// A key was removed by this command.
    Deleted(&'static str, ItemFacts),
    /// A touch, or a retrieval with a new expiry date.
    Touched(FetchStatus, ItemFacts),
    /// incr, decr.
    Counted(ArithStatus, &'static str, ItemFacts),
    /// flush_all.
    Flushed {
        /// The client's descriptor.
        fd: i32,
        /// Seconds until it takes effect.
        delay_s: i64,
    },
    /// An item was evicted.
    Evicted {
        /// A client had read it.
        is_fetched: bool,
        /// Seconds since its last access.
        idle_s: u32,
        /// The item.
        item: ItemFacts,
    },
    /// An expired or flushed item was freed.
    Expired {
        /// A client had read it.
        is_fetched: bool,
        /// Seconds since its last access.
        idle_s: u32,
        /// The item.
        item: ItemFacts,
    },
    /// A page was moved from one size class to another one or to the page pool (0), or could not be.
    PageMoved {
        /// The class that had it.
        from: u8,
        /// The class to which it moves.
        to: u8,
        /// False: its items were in use.
        is_moved: bool,
    },
    /// The end of a round of the sweeper.
    Swept {
        /// Its duration in seconds.
        elapsed_s: u32,
        /// Items that were checked.
        checked: u64,
        /// Items that were freed.
        freed: u64,
    },
    /// A link with another node is up, has ended or was refused. The subject is the name of the node.
    Linked {
        /// `up`, `down` or `refused`.
        state: &'static str,
        /// Why, in words; empty for `up`.
        reason: &'static str,
    },
    /// This node catches up with another one, which is the subject.
    Resynced {
        /// `gap`, `begin` or `end`.
        state: &'static str,
        /// `incremental`, `snapshot` or `digest`; empty for `gap`.
        kind: &'static str,
    },
    /// Two nodes have changed the key without knowing of each other.
    Conflicted {
        /// The CAS unique of the value that stays.
        kept: u64,
        /// The CAS unique of the other one.
        lost: u64,
    },
    /// A TLS handshake has failed. The subject is why.
    HandshakeFailed {
        /// The client's descriptor.
        fd: i32,
        /// The client's address. `None`: the kernel does not know it any more.
        peer: Option<IpAddr>,
    },
    /// A client connected.
    Connected(ConnectionFacts),
    /// A client is gone.
    Closed(CloseCause, ConnectionFacts),
}

/// Facts about an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemFacts {
    /// Seconds until it expires; 0: never; -1: it has expired.
    pub ttl_s: i64,
    /// Its slab class; 0: there is no item.
    pub class: u8,
    /// The client's descriptor; -1: no client.
    pub fd: i32,
    /// Bytes of its value.
    pub size: u32,
}

/// Facts about a connection. Its address is the event's subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The client's descriptor.
    pub fd: i32,
    /// The client's port; 0: it has none.
    pub port: u16,
    /// `tcp` or `local`.
    pub transport: &'static str,
}

/// The outcome of a retrieval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FetchStatus {
    Found,
    NotFound,
    Expired,
    Flushed,
}

/// The outcome of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StoreStatus {
    Stored,
    NotStored,
    Exists,
    NotFound,
    TooLarge,
    NoMemory,
}

/// The outcome of incr or decr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ArithStatus {
    Stored,
    NotFound,
    Exists,
    NonNumeric,
    NoMemory,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CloseCause {
    Normal,
    Error,
    IdleTimeout,
    Shutdown,
}

impl Event {
    /// The stream that shows it.
    pub const fn stream(&self) -> Streams {
        match self {
            Self::Fetched(..) => Streams::FETCHERS,
            Self::Stored(..) => Streams::MUTATIONS,
            Self::Deleted(..) => Streams::DELETIONS,
            Self::Touched(..) => Streams::TOUCHES,
            Self::Counted(..) => Streams::NUMBERS,
            Self::Flushed { .. } => Streams::FLUSHES,
            Self::Evicted { .. } => Streams::EVICTIONS,
            Self::Expired { .. } => Streams::EXPIRATIONS,
            Self::PageMoved { .. } | Self::Swept { .. } => Streams::SYSTEM,
            Self::Linked { .. } | Self::Resynced { .. } | Self::Conflicted { .. } => Streams::REPLICATION,
            Self::HandshakeFailed { .. } | Self::Connected(_) | Self::Closed(..) => Streams::CONNECTIONS,
        }
    }

    /// Whether its subject is a key.
    pub const fn has_key(&self) -> bool {
        match self {
            Self::Fetched(..)
            | Self::Stored(..)
            | Self::Deleted(..)
            | Self::Touched(..)
            | Self::Counted(..)
            | Self::Evicted { .. }
            | Self::Expired { .. }
            | Self::Conflicted { .. } => true,
            Self::Flushed { .. }
            | Self::PageMoved { .. }
            | Self::Swept { .. }
            | Self::Linked { .. }
            | Self::Resynced { .. }
            | Self::HandshakeFailed { .. }
            | Self::Connected(_)
            | Self::Closed(..) => false,
        }
    }
}

/// Appends the line of an event with this time and number.
pub(super) fn push_line(out: &mut String, unix_us: u64, gid: u64, event: &Event, subject: &[u8]) {
    // Ignored, here and below: writing to a String cannot fail.
    let _ = write!(out, "ts={}.{} gid={gid} type=", unix_us / 1_000_000, unix_us % 1_000_000);
    let mut encoded = Vec::new();
    push_uri_encoded(subject, &mut encoded);
    let key = String::from_utf8_lossy(&encoded);
    let _ = match event {
        Event::Fetched(status, ItemFacts { class, fd, size, .. }) => {
            let status = status.name();
            writeln!(out, "item_get key={key} status={status} clsid={class} cfd={fd} size={size}")
        }
        Event::Stored(status, cmd, ItemFacts { ttl_s, class, fd, size }) => {
            let status = status.name();
            writeln!(
                out,
                "item_store key={key} status={status} cmd={cmd} ttl={ttl_s} clsid={class} cfd={fd} size={size}"
            )
        }
        Event::Deleted(cmd, ItemFacts { class, size, .. }) => {
            writeln!(out, "deleted key={key} cmd={cmd} clsid={class} size={size}")
        }
        Event::Touched(status, ItemFacts { ttl_s, class, fd, size }) => {
            let status = status.name();
            writeln!(out, "item_touch key={key} status={status} ttl={ttl_s} clsid={class} cfd={fd} size={size}")
        }
        Event::Counted(status, cmd, ItemFacts { class, fd, size, .. }) => {
            let status = status.name();
            writeln!(out, "item_arith key={key} status={status} cmd={cmd} clsid={class} cfd={fd} size={size}")
        }
        Event::Flushed { fd, delay_s } => writeln!(out, "flush_all delay={delay_s} cfd={fd}"),
        Event::Evicted { is_fetched, idle_s, item } => push_left(out, "eviction", &key, *is_fetched, *idle_s, item),
        Event::Expired { is_fetched, idle_s, item } => push_left(out, "expired", &key, *is_fetched, *idle_s, item),
        Event::PageMoved { from, to, is_moved } => {
            let state = if *is_moved { "ok" } else { "busy" };
            writeln!(out, "slab_move src={from} dst={to} state={state}")
        }
        Event::Swept { elapsed_s, checked, freed } => {
            writeln!(out, "lru_crawler elapsed={elapsed_s} examined={checked} reclaimed={freed}")
        }
        Event::Linked { state, reason } => push_with(out, "repl_link peer", &key, state, "reason", reason),
        Event::Resynced { state, kind } => push_with(out, "repl_sync peer", &key, state, "kind", kind),
        Event::Conflicted { kept, lost } => writeln!(out, "repl_conflict key={key} kept={kept} lost={lost}"),
        Event::HandshakeFailed { fd, peer } => push_handshake(out, *fd, *peer, subject),
        Event::Connected(connection) => push_connection(out, "conn_new", subject, None, connection),
        Event::Closed(cause, connection) => push_connection(out, "conn_close", subject, Some(*cause), connection),
    };
}

fn push_left(
    out: &mut String,
    what: &str,
    key: &str,
    is_fetched: bool,
    idle_s: u32,
    item: &ItemFacts,
) -> std::fmt::Result {
    let fetch = if is_fetched { "yes" } else { "no" };
    let ItemFacts { ttl_s, class, size, .. } = item;
    writeln!(out, "{what} key={key} fetch={fetch} ttl={ttl_s} la={idle_s} clsid={class} size={size}")
}

/// A subject and its state, and `detail` unless that is empty.
fn push_with(out: &mut String, what: &str, subject: &str, state: &str, name: &str, detail: &str) -> std::fmt::Result {
    write!(out, "{what}={subject} state={state}")?;
    if !detail.is_empty() {
        let mut encoded = Vec::new();
        push_uri_encoded(detail.as_bytes(), &mut encoded);
        write!(out, " {name}={}", String::from_utf8_lossy(&encoded))?;
    }
    writeln!(out)
}

fn push_connection(
    out: &mut String,
    what: &str,
    address: &[u8],
    cause: Option<CloseCause>,
    connection: &ConnectionFacts,
) -> std::fmt::Result {
    let ConnectionFacts { fd, port, transport } = connection;
    let rip = String::from_utf8_lossy(address);
    write!(out, "{what} rip={rip} rport={port} transport={transport}")?;
    if let Some(cause) = cause {
        write!(out, " reason={}", cause.name())?;
    }
    writeln!(out, " cfd={fd}")
}

/// As memcached, the reason is the rest of the line. It has no line end: some of it comes from the client.
fn push_handshake(out: &mut String, fd: i32, peer: Option<IpAddr>, reason: &[u8]) -> std::fmt::Result {
    write!(out, "conntlserr fd={fd}")?;
    if let Some(peer) = peer {
        write!(out, " rip={peer}")?;
    }
    let reason = String::from_utf8_lossy(reason).replace(char::is_control, " ");
    writeln!(out, " msg={reason}")
}

impl FetchStatus {
    const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::NotFound => "not_found",
            Self::Expired => "expired",
            Self::Flushed => "flushed",
        }
    }
}

impl StoreStatus {
    const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::NotStored => "not_stored",
            Self::Exists => "exists",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::NoMemory => "no_memory",
        }
    }
}

impl ArithStatus {
    const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::NonNumeric => "non_numeric",
            Self::NoMemory => "no_memory",
        }
    }
}

impl CloseCause {
    const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Error => "error",
            Self::IdleTimeout => "idle_timeout",
            Self::Shutdown => "shutdown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ArithStatus, CloseCause, ConnectionFacts, Event, FetchStatus, ItemFacts, StoreStatus, push_line};

    fn line(event: Event, subject: &str) -> String {
        let mut out = String::new();
        push_line(&mut out, 1_795_982_364_034_099, 17, &event, subject.as_bytes());
        let line = out.strip_prefix("ts=1795982364.34099 gid=17 type=").expect("the line has a head");
        line.strip_suffix('\n').expect("the line has an end").to_owned()
    }

    #[test]
    fn lines_are_memcacheds() {
        let item = ItemFacts { ttl_s: 60, class: 1, fd: 28, size: 3 };
        let connection = ConnectionFacts { fd: 30, port: 57392, transport: "tcp" };
        for (event, subject, expected) in [
            (Event::Fetched(FetchStatus::Found, item), "x%y", "item_get key=x%25y status=found clsid=1 cfd=28 size=3"),
            (
                Event::Stored(StoreStatus::Stored, "set", item),
                "a",
                "item_store key=a status=stored cmd=set ttl=60 clsid=1 cfd=28 size=3",
            ),
            (Event::Deleted("md", item), "m", "deleted key=m cmd=md clsid=1 size=3"),
            (
                Event::Touched(FetchStatus::NotFound, ItemFacts { fd: 28, ..ItemFacts::default() }),
                "m",
                "item_touch key=m status=not_found ttl=0 clsid=0 cfd=28 size=0",
            ),
            (
                Event::Counted(ArithStatus::NonNumeric, "incr", item),
                "n",
                "item_arith key=n status=non_numeric cmd=incr clsid=1 cfd=28 size=3",
            ),
            (
                Event::Evicted { is_fetched: false, idle_s: 7, item },
                "e",
                "eviction key=e fetch=no ttl=60 la=7 clsid=1 size=3",
            ),
            (
                Event::Expired { is_fetched: true, idle_s: 7, item },
                "e",
                "expired key=e fetch=yes ttl=60 la=7 clsid=1 size=3",
            ),
            (Event::Flushed { fd: 28, delay_s: 9 }, "", "flush_all delay=9 cfd=28"),
            (Event::PageMoved { from: 12, to: 19, is_moved: true }, "", "slab_move src=12 dst=19 state=ok"),
            (Event::Swept { elapsed_s: 2, checked: 30, freed: 4 }, "", "lru_crawler elapsed=2 examined=30 reclaimed=4"),
            (Event::Linked { state: "up", reason: "" }, "[::1]:7", "repl_link peer=%5B%3A%3A1%5D%3A7 state=up"),
            (
                Event::Linked { state: "refused", reason: "the secrets differ" },
                "a:7",
                "repl_link peer=a%3A7 state=refused reason=the%20secrets%20differ",
            ),
            (Event::Resynced { state: "begin", kind: "digest" }, "a:7", "repl_sync peer=a%3A7 state=begin kind=digest"),
            (Event::Conflicted { kept: 9, lost: 4 }, "k", "repl_conflict key=k kept=9 lost=4"),
            (
                Event::HandshakeFailed { fd: 28, peer: Some([127, 0, 0, 1].into()) },
                "a bad\nrecord",
                "conntlserr fd=28 rip=127.0.0.1 msg=a bad record",
            ),
            (Event::HandshakeFailed { fd: 28, peer: None }, "gone", "conntlserr fd=28 msg=gone"),
            (Event::Connected(connection), "127.0.0.1", "conn_new rip=127.0.0.1 rport=57392 transport=tcp cfd=30"),
            (
                Event::Closed(CloseCause::IdleTimeout, connection),
                "::1",
                "conn_close rip=::1 rport=57392 transport=tcp reason=idle_timeout cfd=30",
            ),
        ] {
            assert_eq!(line(event, subject), expected);
        }
    }
}

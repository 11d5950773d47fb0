//! The only table of fixed reply lines. Their wording is memcached's, byte for byte.

macro_rules! memcached_version {
    () => {
        "1.6.45"
    };
}

/// The memcached version that this server reports in `version` and `stats`. Exactly three numbers, because clients
/// parse it. The server's own version is `larder_version` in `stats`.
pub const MEMCACHED_VERSION: &str = memcached_version!();

macro_rules! reply_lines {
    ($($(#[doc = $doc:literal])+ $line:ident = $bytes:expr;)+) => {
        /// A fixed reply line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ReplyLine { $($(#[doc = $doc])+ $line,)+ }

        impl ReplyLine {
            /// All lines, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$line,)+];

            /// The line without CRLF.
            pub const fn text(self) -> &'static str { match self { $(Self::$line => $bytes,)+ } }

            /// The line with CRLF, as it is sent.
            pub const fn bytes(self) -> &'static [u8] {
                match self { $(Self::$line => concat!($bytes, "\r\n").as_bytes(),)+ }
            }
        }
    };
}

reply_lines! {
    /// A value was stored.
    Stored = "STORED";
    /// add, replace, append, prepend: the condition did not hold.
    NotStored = "NOT_STORED";
    /// cas: another client stored a value since.
    Exists = "EXISTS";
    /// The key does not exist.
    NotFound = "NOT_FOUND";
    /// A key was deleted.
    Deleted = "DELETED";
    /// The expiry of a key was renewed.
    Touched = "TOUCHED";
    /// The last line of a retrieval or of stats.
    End = "END";
    /// An administrative command was executed.
    Ok = "OK";
    /// The version of the server.
    Version = concat!("VERSION ", memcached_version!());
    /// mn was executed.
    Noop = "MN";
    /// Statistics were reset.
    Reset = "RESET";
    /// Unknown command.
    Error = "ERROR";
    /// Invalid arguments of a known command.
    BadFormat = "CLIENT_ERROR bad command line format";
    /// The data block does not end with CRLF.
    BadDataChunk = "CLIENT_ERROR bad data chunk";
    /// An exptime is not a number.
    InvalidExptime = "CLIENT_ERROR invalid exptime argument";
    /// A delta is not an unsigned number.
    InvalidDelta = "CLIENT_ERROR invalid numeric delta argument";
    /// incr, decr: the value is not a number.
    NonNumeric = "CLIENT_ERROR cannot increment or decrement non-numeric value";
    /// delete with a hold time other than 0.
    DeleteUsage = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]";
    /// flush_all while -F forbids it.
    FlushNotAllowed = "CLIENT_ERROR flush_all not allowed";
    /// shutdown with an unknown mode.
    InvalidShutdownMode = "CLIENT_ERROR invalid shutdown mode";
    /// shutdown without -A.
    ShutdownNotEnabled = "SERVER_ERROR: shutdown not enabled";
    /// stats detail without on, off or dump.
    StatsDetailUsage = "CLIENT_ERROR usage: stats detail on|off|dump";
    /// stats detail while -X forbids it.
    StatsDetailNotAllowed = "CLIENT_ERROR stats detail not allowed";
    /// stats hotkeys with an argument other than on and off.
    HotkeysUsage = "CLIENT_ERROR usage: stats hotkeys [on|off]";
    /// stats hotkeys while -X forbids it.
    HotkeysNotAllowed = "CLIENT_ERROR stats hotkeys not allowed";
    /// stats slowlog while -X forbids it.
    SlowLogNotAllowed = "CLIENT_ERROR stats slowlog not allowed";
    /// stats prefixes while -X forbids it.
    PrefixesNotAllowed = "CLIENT_ERROR stats prefixes not allowed";
    /// stats cachedump with too few arguments.
    BadCommandLine = "CLIENT_ERROR bad command line";
    /// stats cachedump with an invalid class number.
    IllegalSlabId = "CLIENT_ERROR Illegal slab id";
    /// stats cachedump while -X forbids it.
    CachedumpNotAllowed = "CLIENT_ERROR stats cachedump not allowed";
    /// A meta command has a flag that does not exist.
    InvalidFlag = "CLIENT_ERROR invalid flag";
    /// A meta command has a flag twice.
    DuplicateFlag = "CLIENT_ERROR duplicate flag";
    /// ma: any error in its flags.
    InvalidOrDuplicateFlag = "CLIENT_ERROR invalid or duplicate flag";
    /// A meta command has more than 20 words.
    TooManyFlags = "CLIENT_ERROR options flags are too long";
    /// The argument of the flag C, E, N, R or T is not a number.
    BadFlagNumber = "CLIENT_ERROR bad token in command line format";
    /// The argument of the flag J is not a number.
    InvalidInitial = "CLIENT_ERROR invalid numeric initial value";
    /// The argument of the flag D is not a number.
    InvalidMetaDelta = "CLIENT_ERROR invalid numeric delta value";
    /// The argument of the flag O is longer than 31 bytes.
    OpaqueTooLong = "CLIENT_ERROR opaque token too long";
    /// A key is not in base64, although the flag b says so.
    UndecodableKey = "CLIENT_ERROR error decoding key";
    /// ms: no such mode.
    InvalidStoreMode = "CLIENT_ERROR invalid mode for ms M token";
    /// ma: no such mode.
    InvalidArithMode = "CLIENT_ERROR invalid mode for ma M token";
    /// The value is longer than -I.
    TooLarge = "SERVER_ERROR object too large for cache";
    /// No memory for the value.
    NoMemoryStoring = "SERVER_ERROR out of memory storing object";
    /// No memory for the rest of a value that is being received.
    NoMemoryReading = "SERVER_ERROR Out of memory during read";
    /// incr, decr: no memory for the new number.
    NoMemory = "SERVER_ERROR out of memory";
    /// cache_memlimit: below the minimum.
    MemlimitTooSmall = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m";
    /// cache_memlimit: so large that the client probably means bytes.
    MemlimitInBytes = "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes";
    /// cache_memlimit: the limit cannot be reached.
    MemlimitOutOfBounds = "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust";
    /// slabs reassign: a move is running, and only one runs at a time.
    ReassignRunning = "BUSY currently processing reassign request";
    /// slabs reassign: no such class, or no class that could give a page.
    BadClass = "BADCLASS invalid src or dst class id";
    /// slabs reassign: the class has only one page, or the page pool is empty.
    NoSparePage = "NOSPARE source class has no spare pages";
    /// slabs reassign: source and destination are the same class.
    SameClass = "SAME src and dst class are identical";
    /// slabs reassign while -o no_slab_reassign forbids it.
    ReassignDisabled = "CLIENT_ERROR slab reassignment disabled";
    /// slabs automove window: outside its limits.
    WindowOutOfBounds = "CLIENT_ERROR automove window too low or too high";
    /// -B binary, or -S without -Y: the connection is closed.
    BinaryOnly = "CLIENT_ERROR only the binary protocol is allowed";
    /// -Y: the client must authenticate first.
    Unauthenticated = "CLIENT_ERROR unauthenticated";
    /// -Y: the user is unknown or the password is wrong.
    AuthenticationFailure = "CLIENT_ERROR authentication failure";
    /// -Y: the token has no blank between user and password.
    BadToken = "CLIENT_ERROR bad authentication token format";
    /// -Y: the token is longer than 16384 bytes.
    TokenTooLong = "CLIENT_ERROR auth token too long";
    /// -Y: the token does not end with CRLF.
    BadTermination = "CLIENT_ERROR bad command line termination";
    /// -Y: too many hashed passwords wait to be verified.
    TooManyAttempts = "SERVER_ERROR too many authentication attempts";
    /// lru_crawler enable while it is enabled.
    CrawlerNotStarted = "ERROR failed to start lru crawler thread";
    /// lru_crawler crawl and dumps after lru_crawler disable.
    CrawlerDisabled = "CLIENT_ERROR lru crawler disabled";
    /// lru_crawler sleep above a million microseconds.
    CrawlerSleepTooLong = "CLIENT_ERROR sleep must be one second or less";
    /// lru_crawler: no such class.
    CrawlBadClass = "BADCLASS invalid class id";
    /// lru_crawler with an empty list of classes.
    CrawlNotStarted = "NOTSTARTED no items to crawl";
    /// lru_crawler crawl hash.
    CrawlUnknownError = "ERROR an unknown error happened";
    /// lru_crawler metadump while -X forbids it.
    MetadumpNotAllowed = "ERROR metadump not allowed";
    /// lru_crawler mgdump while -X forbids it.
    MgdumpNotAllowed = "ERROR key dump not allowed";
    /// The last line of lru_crawler mgdump.
    MetaEnd = "EN";
    /// lru tune: the percentages are too high.
    LruPercentTooHigh = "ERROR hot and warm pcts must not exceed 80";
    /// lru tune: a factor is not positive.
    LruFactorTooLow = "ERROR hot/warm age factors must be greater than 0";
    /// watch while -W forbids it.
    WatchNotAllowed = "CLIENT_ERROR watch commands not allowed";
    /// watch while 20 clients watch.
    TooManyWatchers = "WATCHER_TOO_MANY log watcher limit reached";
    /// watch: the system has no thread or descriptor.
    WatcherFailed = "WATCHER_FAILED failed to add log watcher";
    /// replication with other words.
    ReplicationUsage = "CLIENT_ERROR usage: replication peers, or add, remove, pause, resume or resync <host>[:port]";
    /// replication without -x.
    ReplicationNotEnabled = "CLIENT_ERROR replication not enabled";
    /// replication add, remove, pause, resume and resync without -A.
    ReplicationNotAllowed = "CLIENT_ERROR replication not allowed";
    /// replication with the address of no peer.
    UnknownPeer = "CLIENT_ERROR unknown peer";
    /// replication resync with a peer that is paused.
    PeerPaused = "CLIENT_ERROR the peer is paused";
    /// replication resync with a peer that there is no link with.
    PeerNotLinked = "CLIENT_ERROR no link with the peer";
    /// replication with too many orders at a time.
    ReplicationBusy = "SERVER_ERROR replication is busy";
    /// add and delete of an owned key: no owner has answered in time, and the client has no lock.
    NoOwner = "SERVER_ERROR the owner of the key has not answered";
    /// refresh_certs without TLS.
    TlsNotEnabled = "Error TLS not enabled";
    /// refresh_certs: a file is missing or faulty.
    CertificatesFaulty = "Error the certificates cannot be used, the log says why";
    /// The reply to a datagram is longer than its bound.
    TooLargeForUdp = "SERVER_ERROR reply too large for UDP";
    /// A command that larder does not execute over UDP.
    NotOverUdp = "SERVER_ERROR not available over UDP";
    /// -c clients are already connected; the connection is closed.
    TooManyConnections = "ERROR Too many open connections";
}

#[cfg(test)]
mod tests {
    use super::ReplyLine;

    #[test]
    fn every_line_is_one_line() {
        for line in ReplyLine::ALL {
            assert_eq!(line.bytes(), format!("{}\r\n", line.text()).as_bytes());
            assert!(!line.text().contains(['\r', '\n']));
        }
    }
}

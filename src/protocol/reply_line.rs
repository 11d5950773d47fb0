//! THE table of every fixed line that a client can get. Wording is memcached's, byte for byte.

macro_rules! memcached_version {
    () => {
        "1.6.45"
    };
}

/// The version of memcached that this server answers as, in `version` and in `stats`. Three numbers and nothing behind
/// them: clients look for exactly that. The server's own version is `larder_version` in `stats`.
pub const MEMCACHED_VERSION: &str = memcached_version!();

macro_rules! reply_lines {
    ($($(#[doc = $doc:literal])+ $line:ident = $bytes:expr;)+) => {
        /// A fixed line that a client can get.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ReplyLine { $($(#[doc = $doc])+ $line,)+ }

        impl ReplyLine {
            /// All of them, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$line,)+];

            /// The line without its end.
            pub const fn text(self) -> &'static str { match self { $(Self::$line => $bytes,)+ } }

            /// The line as it is sent.
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
    /// cas: somebody else stored since.
    Exists = "EXISTS";
    /// There is no such key.
    NotFound = "NOT_FOUND";
    /// A key was removed.
    Deleted = "DELETED";
    /// A deadline was renewed.
    Touched = "TOUCHED";
    /// The last line of a retrieval or of stats.
    End = "END";
    /// An administrative order was obeyed.
    Ok = "OK";
    /// Which server this is.
    Version = concat!("VERSION ", memcached_version!());
    /// Statistics were zeroed.
    Reset = "RESET";
    /// No such command.
    Error = "ERROR";
    /// The line of a known command makes no sense.
    BadFormat = "CLIENT_ERROR bad command line format";
    /// The data block does not end in CRLF.
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
    /// stats hotkeys with another argument than those.
    HotkeysUsage = "CLIENT_ERROR usage: stats hotkeys [on|off]";
    /// stats hotkeys while -X forbids it.
    HotkeysNotAllowed = "CLIENT_ERROR stats hotkeys not allowed";
    /// stats prefixes while -X forbids it.
    PrefixesNotAllowed = "CLIENT_ERROR stats prefixes not allowed";
    /// stats cachedump with too few arguments.
    BadCommandLine = "CLIENT_ERROR bad command line";
    /// stats cachedump of a class that cannot be.
    IllegalSlabId = "CLIENT_ERROR Illegal slab id";
    /// stats cachedump while -X forbids it.
    CachedumpNotAllowed = "CLIENT_ERROR stats cachedump not allowed";
    /// The value is longer than -I.
    TooLarge = "SERVER_ERROR object too large for cache";
    /// No memory for the value.
    NoMemoryStoring = "SERVER_ERROR out of memory storing object";
    /// No memory for the rest of a value that is being received.
    NoMemoryReading = "SERVER_ERROR Out of memory during read";
    /// No memory for the new number.
    NoMemory = "SERVER_ERROR out of memory";
    /// cache_memlimit: too little.
    MemlimitTooSmall = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m";
    /// cache_memlimit: the client means bytes.
    MemlimitInBytes = "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes";
    /// cache_memlimit: not to be had.
    MemlimitOutOfBounds = "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust";
    /// slabs reassign: one page moves at a time.
    ReassignRunning = "BUSY currently processing reassign request";
    /// slabs reassign: no such class, or none that could give a page.
    BadClass = "BADCLASS invalid src or dst class id";
    /// slabs reassign: the class has one page, or the pool none.
    NoSparePage = "NOSPARE source class has no spare pages";
    /// slabs reassign: from a class to itself.
    SameClass = "SAME src and dst class are identical";
    /// slabs reassign while -o no_slab_reassign forbids it.
    ReassignDisabled = "CLIENT_ERROR slab reassignment disabled";
    /// slabs automove window: too short or too long.
    WindowOutOfBounds = "CLIENT_ERROR automove window too low or too high";
    /// -c clients are connected already; the connection is closed.
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

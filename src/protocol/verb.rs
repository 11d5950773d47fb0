//! The only table of verbs: one row per word that may begin a line. The parser's dispatch, the fuzz dictionary and the
//! list in doc/protocol.md follow it.

use crate::base::StoreMode;

use super::request::CasShown;

macro_rules! verbs {
    ($($(#[doc = $doc:literal])+ $verb:ident = $name:literal, $family:expr;)+) => {
        /// A word that may begin a line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Verb { $($(#[doc = $doc])+ $verb,)+ }

        impl Verb {
            /// All verbs, in table order. The fuzz dictionary and the documentation are checked against it.
            pub const ALL: &'static [Self] = &[$(Self::$verb,)+];

            /// The verb whose wire name is `word`.
            pub fn from_wire(word: &[u8]) -> Option<Self> {
                match word { $($name => Some(Self::$verb),)+ _ => None }
            }

            /// The word on the wire.
            pub const fn name(self) -> &'static [u8] { match self { $(Self::$verb => $name,)+ } }

            /// The family of the verb, whose parser reads the rest of the line.
            pub const fn family(self) -> Family { match self { $(Self::$verb => $family,)+ } }

            /// Its effect, in one line.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$verb => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

/// Verbs whose lines share a grammar, with the variant of the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One or more keys.
    Retrieval(CasShown),
    /// An exptime, then one or more keys.
    TouchingRetrieval(CasShown),
    /// A key, numbers, then a data block.
    Storage(StoreMode),
    /// The same, and the CAS unique that the item must have.
    CompareAndStore,
    /// A key, and a hold time that is always 0.
    Delete,
    /// A key, and a number to add.
    Incr,
    /// A key, and a number to subtract.
    Decr,
    /// A key and an exptime.
    Touch,
    /// No key: a command for the server itself.
    Admin(AdminVerb),
    /// A key and flags of one letter.
    Meta(MetaVerb),
}

/// The administrative family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table says what each does")]
pub enum AdminVerb {
    FlushAll,
    Version,
    Verbosity,
    Quit,
    Shutdown,
    CacheMemlimit,
    Stats,
    Slabs,
    Debugtime,
    LruCrawler,
    Lru,
    Extstore,
    RefreshCerts,
    Replication,
    Watch,
}

/// The meta commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table says what each does")]
pub enum MetaVerb {
    Get,
    Set,
    Delete,
    Arith,
    Debug,
    Noop,
}

verbs! {
    /// Fetch values.
    Get = b"get", Family::Retrieval(CasShown::No);
    /// Fetch values with their CAS uniques.
    Gets = b"gets", Family::Retrieval(CasShown::Yes);
    /// Fetch values and renew their expiry.
    Gat = b"gat", Family::TouchingRetrieval(CasShown::No);
    /// Fetch values with their CAS uniques and renew their expiry.
    Gats = b"gats", Family::TouchingRetrieval(CasShown::Yes);
    /// Fetch values; an old name of get.
    Bget = b"bget", Family::Retrieval(CasShown::No);
    /// Store unconditionally.
    Set = b"set", Family::Storage(StoreMode::Set);
    /// Store if the key does not exist.
    Add = b"add", Family::Storage(StoreMode::Add);
    /// Store if the key exists.
    Replace = b"replace", Family::Storage(StoreMode::Replace);
    /// Append data to the existing value.
    Append = b"append", Family::Storage(StoreMode::Append);
    /// Prepend data to the existing value.
    Prepend = b"prepend", Family::Storage(StoreMode::Prepend);
    /// Store if the item has not changed since it was fetched.
    Cas = b"cas", Family::CompareAndStore;
    /// Remove a key.
    Delete = b"delete", Family::Delete;
    /// Add to a decimal number, modulo 2^64.
    Incr = b"incr", Family::Incr;
    /// Subtract from a decimal number, not below 0.
    Decr = b"decr", Family::Decr;
    /// Renew the expiry of a key.
    Touch = b"touch", Family::Touch;
    /// Drop all items, now or at a given time.
    FlushAll = b"flush_all", Family::Admin(AdminVerb::FlushAll);
    /// Show the version.
    Version = b"version", Family::Admin(AdminVerb::Version);
    /// Set the log level.
    Verbosity = b"verbosity", Family::Admin(AdminVerb::Verbosity);
    /// Close the connection.
    Quit = b"quit", Family::Admin(AdminVerb::Quit);
    /// Stop the server, if -A allows it.
    Shutdown = b"shutdown", Family::Admin(AdminVerb::Shutdown);
    /// Change the memory limit, in megabytes.
    CacheMemlimit = b"cache_memlimit", Family::Admin(AdminVerb::CacheMemlimit);
    /// Show or reset statistics.
    Stats = b"stats", Family::Admin(AdminVerb::Stats);
    /// Move a page between size classes, or configure automatic page moves.
    Slabs = b"slabs", Family::Admin(AdminVerb::Slabs);
    /// Move, stop or restart the server's clock, if -o debug_commands allows it.
    Debugtime = b"debugtime", Family::Admin(AdminVerb::Debugtime);
    /// Fetch an item, or what is known of it.
    MetaGet = b"mg", Family::Meta(MetaVerb::Get);
    /// Store a value.
    MetaSet = b"ms", Family::Meta(MetaVerb::Set);
    /// Remove a key, or mark its value as stale.
    MetaDelete = b"md", Family::Meta(MetaVerb::Delete);
    /// Add to or subtract from a decimal number.
    MetaArith = b"ma", Family::Meta(MetaVerb::Arith);
    /// Show what is known of an item, for debugging.
    MetaDebug = b"me", Family::Meta(MetaVerb::Debug);
    /// Only reply.
    MetaNoop = b"mn", Family::Meta(MetaVerb::Noop);
    /// List keys, or look for expired items.
    LruCrawler = b"lru_crawler", Family::Admin(AdminVerb::LruCrawler);
    /// Changes only what `stats settings` shows: larder has no segmented LRU.
    Lru = b"lru", Family::Admin(AdminVerb::Lru);
    /// Changes only what `stats settings` shows: larder has no extstore.
    Extstore = b"extstore", Family::Admin(AdminVerb::Extstore);
    /// Load the TLS certificates again.
    RefreshCerts = b"refresh_certs", Family::Admin(AdminVerb::RefreshCerts);
    /// Show the other nodes of a mesh, or change which there are.
    Replication = b"replication", Family::Admin(AdminVerb::Replication);
    /// Show what happens, as lines of text.
    Watch = b"watch", Family::Admin(AdminVerb::Watch);
}

#[cfg(test)]
mod tests {
    use super::Verb;

    #[test]
    fn a_verb_is_found_by_its_own_name_only() {
        for verb in Verb::ALL {
            assert_eq!(Verb::from_wire(verb.name()), Some(*verb));
            assert_eq!(Verb::from_wire(&verb.name().to_ascii_uppercase()), None);
        }
        assert_eq!(Verb::from_wire(b""), None);
    }
}

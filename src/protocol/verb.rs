//! THE verb table. One row per word a client may open a line with; the parser's dispatch, the fuzz dictionary and
//! the list in doc/protocol.md follow.

macro_rules! verbs {
    ($($(#[doc = $doc:literal])+ $verb:ident = $name:literal, $family:ident;)+) => {
        /// Every word a client may open a line with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Verb { $($(#[doc = $doc])+ $verb,)+ }

        impl Verb {
            /// All of them, in table order: the fuzz dictionary and the documentation are checked against it.
            pub const ALL: &'static [Self] = &[$(Self::$verb,)+];

            /// The verb whose wire name is `word`.
            pub fn from_wire(word: &[u8]) -> Option<Self> {
                match word { $($name => Some(Self::$verb),)+ _ => None }
            }

            /// The word on the wire.
            pub const fn name(self) -> &'static [u8] { match self { $(Self::$verb => $name,)+ } }

            /// Which parser reads the rest of the line.
            pub const fn family(self) -> Family { match self { $(Self::$verb => Family::$family,)+ } }

            /// What it does, in one line.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$verb => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

/// Verbs whose lines share one grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One or more keys; gat and gats have an exptime before them.
    Retrieval,
    /// A key, numbers, then a data block.
    Storage,
    /// A key, and a hold time that is always 0.
    Delete,
    /// A key and a delta.
    Arith,
    /// A key and an exptime.
    Touch,
    /// No key: a word to the server.
    Admin,
}

verbs! {
    /// Fetch values.
    Get = b"get", Retrieval;
    /// Fetch values with their CAS uniques.
    Gets = b"gets", Retrieval;
    /// Fetch values and renew their expiry.
    Gat = b"gat", Retrieval;
    /// Fetch values with their CAS uniques and renew their expiry.
    Gats = b"gats", Retrieval;
    /// Fetch values; an ancient name of get.
    Bget = b"bget", Retrieval;
    /// Store unconditionally.
    Set = b"set", Storage;
    /// Store if the key is new.
    Add = b"add", Storage;
    /// Store if the key exists.
    Replace = b"replace", Storage;
    /// Put data after the existing value.
    Append = b"append", Storage;
    /// Put data before the existing value.
    Prepend = b"prepend", Storage;
    /// Store if nobody else has since the value was fetched.
    Cas = b"cas", Storage;
    /// Remove a key.
    Delete = b"delete", Delete;
    /// Add to a decimal number, modulo 2^64.
    Incr = b"incr", Arith;
    /// Subtract from a decimal number, not below 0.
    Decr = b"decr", Arith;
    /// Renew the expiry of a key.
    Touch = b"touch", Touch;
    /// Drop everything, now or at a given time.
    FlushAll = b"flush_all", Admin;
    /// Tell which server this is.
    Version = b"version", Admin;
    /// Set how much the server logs.
    Verbosity = b"verbosity", Admin;
    /// Close the connection.
    Quit = b"quit", Admin;
    /// End the server, when -A allows it.
    Shutdown = b"shutdown", Admin;
    /// Change the memory limit, in megabytes.
    CacheMemlimit = b"cache_memlimit", Admin;
    /// Report or reset statistics.
    Stats = b"stats", Admin;
    /// Move, stop or restart the server's clock, when -o debug_commands allows it.
    Debugtime = b"debugtime", Admin;
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

//! THE table of requests: one row per word of `--mix`. A row determines what a request names and carries, its bytes in
//! three protocols, its help and its figures.
//!
//! ```text
//! shape    names              carries    text                                 meta             binary
//! Fetch    keys               –          get KEY…                             mg KEY k v       24 B KEY
//! Store    a key              a value    set KEY 0 TTL LEN                    ms KEY LEN MODE  24 B, 8 B, KEY VALUE
//! Swap     a key              a value    gets KEY, then cas KEY … UNIQUE      mg … c, ms … C   the header's cas field
//! Extend   a key              a piece    append KEY 0 TTL LEN                 ms KEY LEN MODE  24 B, KEY PIECE
//! Remove   a key              –          delete KEY                           md KEY           24 B, KEY
//! Count    a counter's key    –          incr KEY 1                           ma KEY MODE      24 B, 20 B, KEY
//! Touch    a key              –          touch KEY TTL                        mg KEY T         24 B, 4 B, KEY
//! ```

/// The parts of a request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The reply has values.
    Fetch,
    /// Carries a value.
    Store,
    /// Two requests: a fetch of the item's unique, and a store that succeeds if the unique is still the same.
    Swap,
    /// Carries a piece of a value.
    Extend,
    /// Names a key.
    Remove,
    /// Names a counter.
    Count,
    /// Carries a time to live.
    Touch,
}

macro_rules! ops {
    ($($(#[doc = $doc:literal])+ $op:ident = $name:literal, $shape:ident, $mode:literal, $opcode:literal, $silent:expr;)+) => {
        /// One kind of request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Op { $($(#[doc = $doc])+ $op,)+ }

        impl Op {
            /// Number of kinds.
            pub const COUNT: usize = [$($name,)+].len();

            /// All kinds, in the order of the table.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$op,)+];

            /// The command's name.
            pub const fn name(self) -> &'static str { match self { $(Self::$op => $name,)+ } }

            /// What it does, in one line.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$op => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// The parts of its requests and replies.
            pub const fn shape(self) -> Shape { match self { $(Self::$op => Shape::$shape,)+ } }

            /// The mode flag of its meta command.
            pub(super) const fn meta_mode(self) -> &'static [u8] { match self { $(Self::$op => $mode,)+ } }

            /// Its opcode in the binary protocol.
            pub(super) const fn opcode(self) -> u8 { match self { $(Self::$op => $opcode,)+ } }

            /// Its opcode that leaves out the reply to success, or to the miss of a fetch. `None`: there is always one.
            pub(super) const fn silent_opcode(self) -> Option<u8> { match self { $(Self::$op => $silent,)+ } }
        }
    };
}

ops! {
    /// Fetches one value, or several with --multiget.
    Get = "get", Fetch, b"", 0x00, Some(0x0d);
    /// Fetches values with their CAS uniques.
    Gets = "gets", Fetch, b"", 0x00, Some(0x0d);
    /// Fetches a value and renews its time to live.
    Gat = "gat", Fetch, b"", 0x1d, Some(0x24);
    /// Stores a value.
    Set = "set", Store, b"", 0x01, Some(0x11);
    /// Stores a value if the key does not exist.
    Add = "add", Store, b" ME", 0x02, Some(0x12);
    /// Stores a value if the key exists.
    Replace = "replace", Store, b" MR", 0x03, Some(0x13);
    /// Appends 10 bytes to an existing value.
    Append = "append", Extend, b" MA", 0x0e, Some(0x19);
    /// Prepends 10 bytes to an existing value.
    Prepend = "prepend", Extend, b" MP", 0x0f, Some(0x1a);
    /// Sends a gets, then a cas with the CAS unique of its reply.
    Cas = "cas", Swap, b"", 0x01, None;
    /// Deletes a key.
    Delete = "delete", Remove, b"", 0x04, Some(0x14);
    /// Adds 1 to a counter.
    Incr = "incr", Count, b"", 0x05, Some(0x15);
    /// Subtracts 1 from a counter.
    Decr = "decr", Count, b" MD", 0x06, Some(0x16);
    /// Renews a time to live.
    Touch = "touch", Touch, b"", 0x1c, None;
}

impl Op {
    /// Its place in the table.
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Whether its key is a counter's.
    pub const fn counts(self) -> bool {
        matches!(self.shape(), Shape::Count)
    }

    /// Whether its reply carries values.
    pub const fn fetches(self) -> bool {
        matches!(self.shape(), Shape::Fetch)
    }

    /// Whether the request carries a value or a piece of one.
    pub const fn stores(self) -> bool {
        matches!(self.shape(), Shape::Store | Shape::Swap | Shape::Extend)
    }

    /// Whether one request may name many keys.
    pub(super) const fn takes_keys(self) -> bool {
        matches!(self, Self::Get | Self::Gets)
    }

    /// All names, for the help.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::Op;

    #[test]
    fn a_place_in_the_table_is_an_index() {
        for (place, op) in Op::ALL.into_iter().enumerate() {
            assert_eq!(op.index(), place);
        }
    }
}

//! The only table of opcodes. The parser, the replies, the fuzz dictionary and doc/protocol.md follow it.

use crate::base::StoreMode;

macro_rules! opcodes {
    ($(
        $(#[doc = $doc:literal])+
        $opcode:ident = $byte:literal, $name:literal, $family:expr, $quiet:ident, $key:ident, $extras_len:literal;
    )+) => {
        /// What a request asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Opcode { $($(#[doc = $doc])+ $opcode = $byte,)+ }

        impl Opcode {
            /// All opcodes, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$opcode,)+];

            /// The opcode with this byte on the wire.
            #[inline]
            pub const fn from_wire(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$opcode),)+ _ => None }
            }

            /// Its name in documents.
            pub const fn name(self) -> &'static str { match self { $(Self::$opcode => $name,)+ } }

            /// Opcodes of a family are parsed alike.
            #[inline]
            pub const fn family(self) -> OpcodeFamily { match self { $(Self::$opcode => $family,)+ } }

            /// Whether the expected reply is left out.
            #[inline]
            pub const fn quiet(self) -> Quiet { match self { $(Self::$opcode => Quiet::$quiet,)+ } }

            /// Whether the reply to a fetch has the key.
            #[inline]
            pub const fn key_shown(self) -> KeyShown { match self { $(Self::$opcode => KeyShown::$key,)+ } }

            /// Bytes of the extras of its requests.
            #[inline]
            pub const fn extras_len(self) -> usize { match self { $(Self::$opcode => $extras_len,)+ } }

            /// Its effect, in one line.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$opcode => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

/// Opcodes that are parsed alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpcodeFamily {
    /// A key.
    Fetch,
    /// A key. Extras: exptime.
    FetchAndTouch,
    /// A key. Extras: exptime.
    Touch,
    /// A key and a value. Extras, unless the value is joined to another: client flags, exptime.
    Store(StoreMode),
    /// A key.
    Delete,
    /// A key. Extras: delta, initial number, exptime.
    Increment,
    /// The same.
    Decrement,
    /// No body.
    Quit,
    /// No body, or extras: exptime.
    Flush,
    /// No body.
    Noop,
    /// No body.
    Version,
    /// The words behind `stats` as key, or no body.
    Stat,
    /// No body.
    SaslMechanisms,
    /// The name of a mechanism as key, its message as value.
    SaslMessage,
}

/// Whether an opcode leaves out the expected reply: that a key was not found, if it fetches, and else that it
/// succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// Whether the reply to a fetch has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShown {
    /// Yes.
    Yes,
    /// No.
    No,
}

opcodes! {
    /// Fetch a value.
    Get = 0x00, "get", OpcodeFamily::Fetch, No, No, 0;
    /// Store unconditionally.
    Set = 0x01, "set", OpcodeFamily::Store(StoreMode::Set), No, No, 8;
    /// Store if the key does not exist.
    Add = 0x02, "add", OpcodeFamily::Store(StoreMode::Add), No, No, 8;
    /// Store if the key exists.
    Replace = 0x03, "replace", OpcodeFamily::Store(StoreMode::Replace), No, No, 8;
    /// Remove a key.
    Delete = 0x04, "delete", OpcodeFamily::Delete, No, No, 0;
    /// Add to a decimal number, modulo 2^64, or create it.
    Increment = 0x05, "increment", OpcodeFamily::Increment, No, No, 20;
    /// Subtract from a decimal number, not below 0, or create it.
    Decrement = 0x06, "decrement", OpcodeFamily::Decrement, No, No, 20;
    /// Close the connection.
    Quit = 0x07, "quit", OpcodeFamily::Quit, No, No, 0;
    /// Drop all items, now or at a given time.
    Flush = 0x08, "flush", OpcodeFamily::Flush, No, No, 4;
    /// As get; a miss is not answered.
    GetQ = 0x09, "getq", OpcodeFamily::Fetch, Yes, No, 0;
    /// Only the reply: the requests before it are done.
    Noop = 0x0a, "noop", OpcodeFamily::Noop, No, No, 0;
    /// Show the version.
    Version = 0x0b, "version", OpcodeFamily::Version, No, No, 0;
    /// Fetch a value. The reply has the key.
    GetK = 0x0c, "getk", OpcodeFamily::Fetch, No, Yes, 0;
    /// As getk; a miss is not answered.
    GetKQ = 0x0d, "getkq", OpcodeFamily::Fetch, Yes, Yes, 0;
    /// Append data to the existing value.
    Append = 0x0e, "append", OpcodeFamily::Store(StoreMode::Append), No, No, 0;
    /// Prepend data to the existing value.
    Prepend = 0x0f, "prepend", OpcodeFamily::Store(StoreMode::Prepend), No, No, 0;
    /// Show or reset statistics.
    Stat = 0x10, "stat", OpcodeFamily::Stat, No, No, 0;
    /// As set; success is not answered.
    SetQ = 0x11, "setq", OpcodeFamily::Store(StoreMode::Set), Yes, No, 8;
    /// As add; success is not answered.
    AddQ = 0x12, "addq", OpcodeFamily::Store(StoreMode::Add), Yes, No, 8;
    /// As replace; success is not answered.
    ReplaceQ = 0x13, "replaceq", OpcodeFamily::Store(StoreMode::Replace), Yes, No, 8;
    /// As delete; success is not answered.
    DeleteQ = 0x14, "deleteq", OpcodeFamily::Delete, Yes, No, 0;
    /// As increment; success is not answered.
    IncrementQ = 0x15, "incrementq", OpcodeFamily::Increment, Yes, No, 20;
    /// As decrement; success is not answered.
    DecrementQ = 0x16, "decrementq", OpcodeFamily::Decrement, Yes, No, 20;
    /// As quit, without a reply.
    QuitQ = 0x17, "quitq", OpcodeFamily::Quit, Yes, No, 0;
    /// As flush; success is not answered.
    FlushQ = 0x18, "flushq", OpcodeFamily::Flush, Yes, No, 4;
    /// As append; success is not answered.
    AppendQ = 0x19, "appendq", OpcodeFamily::Store(StoreMode::Append), Yes, No, 0;
    /// As prepend; success is not answered.
    PrependQ = 0x1a, "prependq", OpcodeFamily::Store(StoreMode::Prepend), Yes, No, 0;
    /// Renew the expiry of a key.
    Touch = 0x1c, "touch", OpcodeFamily::Touch, No, No, 4;
    /// Fetch a value and renew its expiry.
    Gat = 0x1d, "gat", OpcodeFamily::FetchAndTouch, No, No, 4;
    /// As gat; a miss is not answered.
    GatQ = 0x1e, "gatq", OpcodeFamily::FetchAndTouch, Yes, No, 4;
    /// List the SASL mechanisms.
    SaslList = 0x20, "sasl list mechs", OpcodeFamily::SaslMechanisms, No, No, 0;
    /// Authenticate.
    SaslAuth = 0x21, "sasl auth", OpcodeFamily::SaslMessage, No, No, 0;
    /// Continue to authenticate.
    SaslStep = 0x22, "sasl step", OpcodeFamily::SaslMessage, No, No, 0;
    /// Fetch a value and renew its expiry. The reply has the key.
    GatK = 0x23, "gatk", OpcodeFamily::FetchAndTouch, No, Yes, 4;
    /// As gatk; a miss is not answered.
    GatKQ = 0x24, "gatkq", OpcodeFamily::FetchAndTouch, Yes, Yes, 4;
}

#[cfg(test)]
mod tests {
    use super::{KeyShown, Opcode, OpcodeFamily, Quiet};

    #[test]
    fn an_opcode_is_found_by_its_own_byte_only() {
        let mut known = 0;
        for byte in 0..=u8::MAX {
            if let Some(opcode) = Opcode::from_wire(byte) {
                assert_eq!(opcode as u8, byte);
                known += 1;
            }
        }
        assert_eq!(known, Opcode::ALL.len());
    }

    #[test]
    fn a_quiet_opcode_differs_from_its_loud_one_by_that_alone() {
        for quiet in Opcode::ALL.iter().filter(|opcode| opcode.quiet() == Quiet::Yes) {
            let loud = Opcode::ALL.iter().find(|loud| format!("{}q", loud.name()) == quiet.name()).unwrap();
            assert_eq!((loud.family(), loud.key_shown()), (quiet.family(), quiet.key_shown()));
            assert_eq!((loud.extras_len(), loud.quiet()), (quiet.extras_len(), Quiet::No));
        }
    }

    #[test]
    fn only_fetches_show_the_key() {
        for opcode in Opcode::ALL.iter().filter(|opcode| opcode.key_shown() == KeyShown::Yes) {
            assert!(matches!(opcode.family(), OpcodeFamily::Fetch | OpcodeFamily::FetchAndTouch));
        }
    }
}

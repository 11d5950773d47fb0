//! A client of a worker: its connection, and what the event loop notes about it.

use crate::conn::Connection;

/// A client that the event loop serves.
pub(super) struct ServedClient {
    pub(super) connection: Connection,
    /// Whether the poll reports writability.
    pub(super) watches_writable: bool,
    /// Whether it is on a list of the event loop, which drives it from there.
    pub(super) is_queued: bool,
    /// Microsecond since which the store is busy for its request; 0: it is not.
    pub(super) busy_since_us: u64,
}

/// An idle client costs this and its tag in the connection slab; memcached's takes 530 bytes.
const _: () = assert!(size_of::<ServedClient>() <= 104, "10,000 idle connections take less than a mebibyte");

impl From<Connection> for ServedClient {
    fn from(connection: Connection) -> Self {
        Self { connection, watches_writable: false, is_queued: false, busy_since_us: 0 }
    }
}

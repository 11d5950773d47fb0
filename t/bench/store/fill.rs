//! What several rows do with a server: fill it, store and read ranges of keys, print a curve.

use std::fmt::{self, Display};
use std::io;
use std::ops::Range;

use crate::items::{Items, KeyLen, ValueLen};
use crate::options::Options;
use crate::replay::{Client, Request, Tally};
use larder_bench::server::Server;

/// `-m` of the rows that use this file.
pub(crate) const MEGABYTES: u64 = 64;
const KEY_LEN: u64 = 24;
/// About the bytes of an item beside key and value. Only the number of keys of a fill depends on it.
const OVERHEAD: u64 = 32;
/// Ids with this bit are the keys of a fill, which no other request names.
const FILL: u64 = 1 << 41;

/// Items with keys of 24 bytes that never expire.
pub(crate) fn items_of(value: ValueLen) -> Items {
    Items::new(KeyLen::Fixed(24), value)
}

/// A server's client, and the items it names.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) items: Items,
}

impl Session {
    pub(crate) fn new(server: &Server, items: Items) -> io::Result<Self> {
        Ok(Self { client: Client::connect(server.address)?, items })
    }

    /// Stores new keys whose items need twice the server's memory; no other request names them.
    pub(crate) fn fill_twice(&mut self) -> io::Result<()> {
        let mut bytes = 0;
        let mut end = FILL;
        while bytes < 2 * (MEGABYTES << 20) {
            bytes += KEY_LEN + OVERHEAD + self.items.value_len(end);
            end += 1;
        }
        self.store(FILL..end).map(drop)
    }

    /// Stores `count` new keys that no other request names.
    pub(crate) fn fill(&mut self, count: u64) -> io::Result<Tally> {
        self.store(FILL..FILL + count)
    }

    pub(crate) fn delete_fill(&mut self, count: u64) -> io::Result<()> {
        self.each(FILL..FILL + count, 0, Request::Delete).map(drop)
    }

    /// Stores each key once, in order.
    pub(crate) fn store(&mut self, ids: Range<u64>) -> io::Result<Tally> {
        self.each(ids, 0, Request::Set)
    }

    /// The same at `rate` sets a second.
    pub(crate) fn store_paced(&mut self, ids: Range<u64>, rate: u64) -> io::Result<Tally> {
        self.each(ids, rate, Request::Set)
    }

    /// Reads each key once, in order.
    pub(crate) fn look(&mut self, ids: Range<u64>) -> io::Result<Tally> {
        self.each(ids, 0, Request::Look)
    }

    fn each(&mut self, ids: Range<u64>, rate: u64, request: fn(u64) -> Request) -> io::Result<Tally> {
        let mut id = ids.start;
        self.client.replay(&self.items, ids.end - ids.start, rate, || {
            id += 1;
            request(id - 1)
        })
    }

    /// Sends `count` requests as fast as they are answered.
    pub(crate) fn send(&mut self, count: u64, next: impl FnMut() -> Request) -> io::Result<Tally> {
        self.client.replay(&self.items, count, 0, next)
    }
}

/// The number of these items that a full memcached holds: "what fits", for both servers.
pub(crate) fn what_fits(options: &Options, value: ValueLen) -> io::Result<u64> {
    let [_, yardstick] = &options.comparison.servers;
    let server = options.start(yardstick, MEGABYTES)?;
    Session::new(&server, items_of(value))?.fill_twice()?;
    let held = server.control()?.stat("curr_items")?;
    server.stop()?;
    Ok(held)
}

/// Figures of consecutive slices of a run, printed in one cell.
#[derive(Clone, Default)]
pub(crate) struct Curve {
    pub(crate) points: Vec<f64>,
    decimals: usize,
}

impl Curve {
    pub(crate) fn with_decimals(decimals: usize) -> Self {
        Self { points: Vec::new(), decimals }
    }

    /// The lowest difference between larder's figure and the yardstick's in a slice.
    pub(crate) fn worst_lead(&self, yardstick: &Self) -> f64 {
        let leads = self.points.iter().zip(&yardstick.points).map(|(ours, theirs)| ours - theirs);
        leads.fold(f64::INFINITY, f64::min)
    }
}

impl Display for Curve {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.points.iter().map(|point| format!("{point:.*}", self.decimals)).collect();
        out.write_str(&texts.join(" "))
    }
}

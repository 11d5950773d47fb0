//! What a load is: which requests, on which connections, how fast. A value of this type says everything a run does.
//!
//! ```text
//! Plan ─┬─ threads, connections, pipeline, pacing, waiting      how it is sent
//!       ├─ wire, mix, keys_per_get, noreply                     which requests
//!       └─ keys, values, ttl                                    what they name and carry
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::op::{Op, Shape};

/// A plan that cannot be.
pub(super) fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.into())
}

/// The server under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// The protocol that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// `get`, `set`, …
    Text,
    /// `mg`, `ms`, …
    Meta,
    /// Frames of 24 bytes and more.
    Binary,
}

/// What decides when a request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pacing {
    /// The reply before it.
    Closed,
    /// The clock: a rate over all threads, whether or not the server keeps up.
    Open {
        /// Requests, not keys.
        per_second: f64,
    },
}

/// What a thread does when it has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It looks again at once: the server never pays for waking it.
    Poll,
    /// It sleeps in the kernel.
    Sleep,
}

/// Shares of the requests. They need not add up to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix(pub Vec<(Op, f64)>);

impl Mix {
    /// Nothing but this.
    pub fn only(op: Op) -> Self {
        Self(vec![(op, 1.0)])
    }

    /// The kinds of which there is a share, in the order of their table.
    fn ops(&self) -> impl Iterator<Item = Op> {
        Op::ALL.into_iter().filter(|op| self.0.iter().any(|(other, share)| other == op && *share > 0.0))
    }

    /// Whether there is any of a shape.
    pub(super) fn has(&self, shape: Shape) -> bool {
        self.ops().any(|op| op.shape() == shape)
    }

    /// The kinds of requests that are sent and timed apart, in the order of their table: a cas begins with a gets.
    pub(super) fn kinds(&self) -> Vec<Op> {
        let mut kinds: Vec<Op> = self.ops().collect();
        if self.has(Shape::Swap) {
            kinds.push(Op::Gets);
        }
        kinds.sort_by_key(|op| op.index());
        kinds.dedup();
        kinds
    }
}

/// Which keys are popular.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Popularity {
    /// All alike.
    Uniform,
    /// The n-th is asked for in proportion to n to the power of minus this.
    Zipf(f64),
    /// This share of the requests goes to this share of the keys, the others to all the rest.
    HotSet {
        /// Of the requests, 0 to 1.
        requests: f64,
        /// Of the keys, 0 to 1.
        keys: f64,
    },
}

/// Lengths in bytes. An item's lengths follow from its number.
#[derive(Clone, Debug, PartialEq)]
pub enum SizePlan {
    /// One length.
    Fixed(u32),
    /// Uniform from the first to the second.
    Between(u32, u32),
    /// Facebook's ETC pool: keys or values, as where it stands.
    Etc,
    /// CacheLib's kvcache_reg: a file with `valSizeRange` and `valSizeRangeProbability`.
    KvcacheReg(PathBuf),
}

/// Which connections name a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// All of them.
    Shared,
    /// One, which remembers what was acknowledged last and accepts no older value. Each has an equal part of the keys.
    Private,
}

/// The keys there are, and how one is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyPlan {
    /// Keys that are stored by a fill and asked for.
    pub count: u64,
    /// Their lengths, prefix and number included.
    pub length: SizePlan,
    /// What every key starts with.
    pub prefix: String,
    /// Which of them are asked for.
    pub popularity: Popularity,
    /// Share of the requests that name a new key.
    pub fresh: f64,
    /// Which connections name it.
    pub sharing: Sharing,
}

/// Seconds to live.
#[derive(Clone, Debug, PartialEq)]
pub enum TtlPlan {
    /// For ever.
    Never,
    /// All alike.
    Fixed(u32),
    /// Seconds by share of the keys. What the shares leave lives for ever.
    Mix(Vec<(f64, u32)>),
}

/// Everything about a load.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Threads, each with its share of the connections.
    pub threads: usize,
    /// The cores they are bound to, in turn. Empty: wherever the kernel puts them.
    pub cores: Vec<usize>,
    /// Connections that send requests.
    pub connections: usize,
    /// Connections that are open and silent.
    pub idle_connections: usize,
    /// The protocol.
    pub wire: Wire,
    /// When a request is sent.
    pub pacing: Pacing,
    /// What is done meanwhile.
    pub waiting: Waiting,
    /// Requests sent together on one connection, and all of them answered before the next are sent. In open loop: at
    /// most so many unanswered on one connection.
    pub pipeline: u32,
    /// Keys of each get.
    pub keys_per_get: u32,
    /// Which requests.
    pub mix: Mix,
    /// Stores, deletes and arithmetic ask for no reply, but for the last request of each batch.
    pub noreply: bool,
    /// What they name.
    pub keys: KeyPlan,
    /// What they carry.
    pub values: SizePlan,
    /// How long it lives.
    pub ttl: TtlPlan,
    /// Another seed is another sequence of the same load.
    pub seed: u64,
}

impl Plan {
    /// Parts that the keys are divided into, each named by other connections than the rest.
    pub(super) fn key_parts(&self) -> usize {
        match self.keys.sharing {
            Sharing::Shared => 1,
            Sharing::Private => self.connections,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            threads: 1,
            cores: Vec::new(),
            connections: 50,
            idle_connections: 0,
            wire: Wire::Text,
            pacing: Pacing::Closed,
            waiting: Waiting::Poll,
            pipeline: 1,
            keys_per_get: 1,
            mix: Mix::only(Op::Get),
            noreply: false,
            keys: KeyPlan {
                count: 1_000_000,
                length: SizePlan::Fixed(32),
                prefix: "bench:".to_string(),
                popularity: Popularity::Uniform,
                fresh: 0.0,
                sharing: Sharing::Shared,
            },
            values: SizePlan::Fixed(100),
            ttl: TtlPlan::Never,
            seed: 1,
        }
    }
}

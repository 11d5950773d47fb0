//! A plan describes a load completely: which requests, on which connections, how fast.
//!
//! ```text
//! Plan ─┬─ threads, connections, pipeline, pacing, waiting      how it is sent
//!       ├─ wire, mix, keys_per_get, noreply                     which requests
//!       └─ keys, values, ttl                                    what they name and carry
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use larder::tls::TlsClientOptions;

use super::op::{Op, Shape};

/// The error of an invalid plan.
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

/// The protocol of the requests.
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
    /// The reply to the request before it.
    Closed,
    /// The clock: a rate over all threads, whether or not the server keeps up.
    Open {
        /// Requests per second, not keys.
        per_second: f64,
    },
}

/// What a thread does while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It polls without a pause, so the server never pays for waking it.
    Poll,
    /// It sleeps in the kernel.
    Sleep,
}

/// Shares of the requests. They need not add up to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix(pub Vec<(Op, f64)>);

impl Mix {
    /// Requests of one kind.
    pub fn only(op: Op) -> Self {
        Self(vec![(op, 1.0)])
    }

    /// The kinds with a share, in the order of their table.
    fn ops(&self) -> impl Iterator<Item = Op> {
        Op::ALL.into_iter().filter(|op| self.0.iter().any(|(other, share)| other == op && *share > 0.0))
    }

    /// Whether any kind has this shape.
    pub(super) fn has(&self, shape: Shape) -> bool {
        self.ops().any(|op| op.shape() == shape)
    }

    /// The kinds of requests with latencies of their own, in the order of their table. A cas adds the gets before it.
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
    /// All have the same.
    Uniform,
    /// The n-th key is requested in proportion to n to the power of minus this.
    Zipf(f64),
    /// This share of the requests goes to this share of the keys, the others to all the rest.
    HotSet {
        /// Share of the requests, 0 to 1.
        requests: f64,
        /// Share of the keys, 0 to 1.
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
    /// The distribution of Facebook's ETC pool: of its keys or of its values, as the field says.
    Etc,
    /// CacheLib's kvcache_reg: a file with `valSizeRange` and `valSizeRangeProbability`.
    KvcacheReg(PathBuf),
}

/// Which connections name a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// All connections.
    Shared,
    /// One connection, which remembers the last acknowledged change and accepts no older value. Each has an equal part.
    Private,
}

/// The keys, and how they are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyPlan {
    /// Number of keys that a fill stores and requests name.
    pub count: u64,
    /// Their lengths, prefix and number included.
    pub length: SizePlan,
    /// What every key starts with.
    pub prefix: String,
    /// Which of them are requested.
    pub popularity: Popularity,
    /// Share of the requests that name a new key.
    pub fresh: f64,
    /// Which connections name it.
    pub sharing: Sharing,
}

/// Seconds to live.
#[derive(Clone, Debug, PartialEq)]
pub enum TtlPlan {
    /// Forever.
    Never,
    /// All have the same.
    Fixed(u32),
    /// Seconds by share of the keys. The rest of the shares lives forever.
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
    /// New connections per second beside those of the load. Each sends one request and closes.
    pub connects_per_second: Option<f64>,
    /// TLS on all connections.
    pub tls: Option<TlsClientOptions>,
    /// The protocol.
    pub wire: Wire,
    /// When a request is sent.
    pub pacing: Pacing,
    /// What threads do while they wait.
    pub waiting: Waiting,
    /// Requests sent together on one connection. The next are sent when all of them are answered. In open loop: the
    /// maximum number of unanswered requests on one connection.
    pub pipeline: u32,
    /// Keys of each get.
    pub keys_per_get: u32,
    /// Which requests.
    pub mix: Mix,
    /// Stores, deletes and arithmetic ask for no reply, except the last request of each batch.
    pub noreply: bool,
    /// The keys.
    pub keys: KeyPlan,
    /// The lengths of values.
    pub values: SizePlan,
    /// The times to live.
    pub ttl: TtlPlan,
    /// Seed of the sequence of requests.
    pub seed: u64,
}

impl Plan {
    /// Number of parts that the keys are divided into. Connections of one part do not name keys of another.
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
            connects_per_second: None,
            tls: None,
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

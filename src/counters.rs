//! The table of counters. One row declares a counter. The struct, the sum over workers, the reset, the row of
//! `stats` and the metric are generated from it. `as` names the metric if it is not `larder_`, the row and `_total`.
//!
//! Upholds I10: a counter is written by its own worker only; other threads may read an old value, never a torn one.

use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::{StatDoc, StatKind, StatMetric};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident => $wire:literal $(as $metric:literal)?;)+) => {
        /// Counters of one worker. Only that worker writes them (I10); `stats` sums over workers. The alignment keeps
        /// counters of two workers out of one pair of cache lines, because some processors fetch lines in pairs.
        #[derive(Default)]
        #[repr(align(128))]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $field: Counter,)+
            /// Memory of the worker's connections. `stats reset` does not change it.
            pub buffers: Buffers,
            /// The large sends of the latest drive that had any.
            pub large_sends: LargeSends,
        }

        impl Counters {
            /// `(name on the wire, value, help)` in table order.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
                [$(($wire, self.$field.read(), concat!($($doc),+).trim_ascii_start()),)+].into_iter()
            }

            /// The rows without their values.
            pub fn docs() -> Vec<StatDoc> {
                vec![$(StatDoc {
                    name: $wire,
                    help: concat!($($doc),+).trim_ascii_start(),
                    kind: StatKind::Counter,
                    metric: StatMetric::counter(concat!($($metric)?)),
                },)+]
            }

            /// Adds `other` to `self`. `stats` sums the workers this way.
            pub fn absorb(&self, other: &Self) {
                $(self.$field.add(other.$field.read());)+
                self.buffers.absorb(&other.buffers);
            }

            /// Adds `n` to the counter of this name on the wire, if there is one.
            pub fn add_to(&self, name: &str, n: u64) {
                match name {
                    $($wire => self.$field.add(n),)+
                    _ => {}
                }
            }

            /// `stats reset`. A concurrent `add` may overwrite the zero.
            pub fn reset(&self) { $(self.$field.clear();)+ }
        }
    };
}

counters! {
    /// Accepted connections.
    total_connections => "total_connections" as "memcached_connections_total";
    /// Connections refused because -c, -o conn_limit_per_address or the limit of -o admin_socket was reached.
    rejected_connections => "rejected_connections" as "memcached_connections_rejected_total";
    /// Connections refused because of -o conn_limit_per_address.
    rejected_per_address => "rejected_per_address";
    /// Clients disconnected because -B, -Y or -S does not allow their protocol.
    rejected_protocol => "rejected_protocol";
    /// With -N, clients of a further network queue, which has no thread. They are assigned in turn.
    unexpected_napi_ids => "unexpected_napi_ids";
    /// With -N, clients assigned to a thread in turn, because they came over no network queue.
    round_robin_fallback => "round_robin_fallback";
    /// Clients closed for lack of memory for replies that they had not read.
    response_obj_oom => "response_obj_oom";
    /// Clients closed for lack of memory for an incomplete request.
    read_buf_oom => "read_buf_oom";
    /// Keys requested by all retrieval commands.
    cmd_get => "cmd_get";
    /// Storage commands.
    cmd_set => "cmd_set";
    /// flush_all commands, including refused ones.
    cmd_flush => "cmd_flush" as "memcached_commands_total{command=\"flush\",status=\"hit\"}";
    /// Keys of touch and gat.
    cmd_touch => "cmd_touch";
    /// me commands. Other meta commands count as the command that they resemble.
    cmd_meta => "cmd_meta";
    /// Keys that were requested and found.
    get_hits => "get_hits" as "memcached_commands_total{command=\"get\",status=\"hit\"}";
    /// Keys that were requested and not found.
    get_misses => "get_misses" as "memcached_commands_total{command=\"get\",status=\"miss\"}";
    /// Misses of any command because the item was expired.
    get_expired => "get_expired";
    /// Misses of any command because flush_all had dropped the item.
    get_flushed => "get_flushed";
    /// Deletes without an item, and md of an item with another CAS unique.
    delete_misses => "delete_misses" as "memcached_commands_total{command=\"delete\",status=\"miss\"}";
    /// Deletes that removed an item.
    delete_hits => "delete_hits" as "memcached_commands_total{command=\"delete\",status=\"hit\"}";
    /// incr commands without an item, except those that create one.
    incr_misses => "incr_misses" as "memcached_commands_total{command=\"incr\",status=\"miss\"}";
    /// incr commands that found an item.
    incr_hits => "incr_hits" as "memcached_commands_total{command=\"incr\",status=\"hit\"}";
    /// decr commands without an item, except those that create one.
    decr_misses => "decr_misses" as "memcached_commands_total{command=\"decr\",status=\"miss\"}";
    /// decr commands that found an item.
    decr_hits => "decr_hits" as "memcached_commands_total{command=\"decr\",status=\"hit\"}";
    /// cas commands without an item.
    cas_misses => "cas_misses" as "memcached_commands_total{command=\"cas\",status=\"miss\"}";
    /// cas commands that stored.
    cas_hits => "cas_hits" as "memcached_commands_total{command=\"cas\",status=\"hit\"}";
    /// cas commands with an outdated CAS unique.
    cas_badval => "cas_badval" as "memcached_commands_total{command=\"cas\",status=\"badval\"}";
    /// Touches that found an item.
    touch_hits => "touch_hits" as "memcached_commands_total{command=\"touch\",status=\"hit\"}";
    /// Touches without an item.
    touch_misses => "touch_misses" as "memcached_commands_total{command=\"touch\",status=\"miss\"}";
    /// Values refused because they exceed -I.
    store_too_large => "store_too_large" as "memcached_item_too_large_total";
    /// Values refused for lack of memory.
    store_no_memory => "store_no_memory" as "memcached_item_no_memory_total";
    /// Authentication attempts.
    auth_cmds => "auth_cmds";
    /// Failed authentication attempts.
    auth_errors => "auth_errors";
    /// Connections closed by idle_timeout.
    idle_kicks => "idle_kicks";
    /// Bytes read from clients.
    bytes_read => "bytes_read" as "memcached_read_bytes_total";
    /// Bytes sent to clients.
    bytes_written => "bytes_written" as "memcached_written_bytes_total";
    /// Times a connection reached -R requests and yielded to others.
    conn_yields => "conn_yields" as "memcached_connections_yielded_total";
    /// TLS handshakes of clients that began a new session.
    ssl_new_sessions => "ssl_new_sessions" as "larder_tls_handshakes_total{result=\"full\"}";
    /// TLS handshakes of clients that resumed a session.
    ssl_resumed_sessions => "ssl_resumed_sessions" as "larder_tls_handshakes_total{result=\"resumed\"}";
    /// TLS handshakes of clients that failed, or took too long.
    ssl_handshake_errors => "ssl_handshake_errors" as "larder_tls_handshakes_total{result=\"failed\"}";
    /// Clients closed because of a fault in TLS after the handshake.
    ssl_proto_errors => "ssl_proto_errors";
    /// UDP datagrams that arrived (-U).
    udp_datagrams => "udp_datagrams";
    /// UDP datagrams that were no request, or ended with an incomplete one.
    udp_malformed => "udp_malformed";
    /// Replies over UDP that were too large and replaced by an error, and datagrams with too many requests.
    udp_replies_refused => "udp_replies_refused";
    /// UDP datagrams with replies that the kernel did not take, for example because its buffer was full.
    udp_replies_lost => "udp_replies_lost";
    /// Upgrades since the first process (SIGUSR2). Counters go on across an upgrade.
    upgrades => "upgrades";
    /// Clients that an upgrade closed: they used TLS, had sent a part of a value, or had not read large replies.
    upgrade_closed => "upgrade_closed";
}

/// Current memory of a worker's connections, in bytes. Only that worker writes it (I10).
#[derive(Default)]
pub struct Buffers {
    /// Bytes of the input buffers that the worker lends to its connections.
    pub input_bytes: Counter,
    /// Number of these buffers.
    pub inputs: Counter,
    /// Bytes of incomplete requests that connections keep until the rest arrives.
    pub tail_bytes: Counter,
    /// Number of these requests.
    pub tails: Counter,
    /// Bytes of the output buffer that the worker lends.
    pub output_bytes: Counter,
    /// Bytes of replies that clients have not read yet, without large values.
    pub backlog_bytes: Counter,
    /// Bytes of the connection structures.
    pub connection_bytes: Counter,
}

impl Buffers {
    fn absorb(&self, other: &Self) {
        self.input_bytes.add(other.input_bytes.read());
        self.inputs.add(other.inputs.read());
        self.tail_bytes.add(other.tail_bytes.read());
        self.tails.add(other.tails.read());
        self.output_bytes.add(other.output_bytes.read());
        self.backlog_bytes.add(other.backlog_bytes.read());
        self.connection_bytes.add(other.connection_bytes.read());
    }
}

/// The large sends of one drive. Only its worker reads and writes it.
#[derive(Default)]
pub struct LargeSends {
    began: Counter,
    took: Counter,
    bytes: Counter,
}

impl LargeSends {
    /// Adds a send of `bytes` bytes, which began at `began` and took `took` ticks. `is_first`: the first of its drive.
    pub fn add(&self, is_first: bool, began: u32, took: u32, bytes: u64) {
        if is_first {
            self.began.set(began.into());
            self.took.set(took.into());
            self.bytes.set(bytes);
        } else {
            self.took.add(took.into());
            self.bytes.add(bytes);
        }
    }

    /// When the first one began and the time of all, in ticks, and their bytes.
    pub fn read(&self) -> (u32, u32, u64) {
        let ticks = |counter: &Counter| u32::try_from(counter.read()).unwrap_or(u32::MAX);
        (ticks(&self.began), ticks(&self.took), self.bytes.read())
    }
}

/// A counter with one writer.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. With one writer (I10) a load and a store suffice. They avoid a locked instruction per request.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Subtracts `n`.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.add(n.wrapping_neg());
    }

    /// The current value. Other threads may read an old value, never a torn one.
    #[inline]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the counter to `n`.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Sets the counter to 0.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Counters;

    #[test]
    fn the_sum_of_two_workers_is_reported_under_the_wire_name() {
        let (total, one, two) = (Counters::default(), Counters::default(), Counters::default());
        one.get_hits.add(2);
        two.get_hits.add(3);
        total.absorb(&one);
        total.absorb(&two);
        assert!(total.rows().any(|(name, value, help)| name == "get_hits" && value == 5 && help.starts_with("Keys")));
        total.reset();
        assert!(total.rows().all(|(_, value, _)| value == 0));
    }
}

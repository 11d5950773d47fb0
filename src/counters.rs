//! What a worker counts. One row declares a counter; the struct, the sum over workers, the reset and its row in
//! `stats` follow.
//!
//! Upholds I10: a counter is written by its own worker only; readers may see it late, never torn.

use crate::base::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident => $wire:literal;)+) => {
        /// One worker's counters. Only its owner adds; `stats` sums over workers. They share no cache line with
        /// another worker's, nor a pair of lines, which some processors fetch together.
        #[derive(Default)]
        #[repr(align(128))]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $field: Counter,)+
            /// What its connections take; `stats reset` leaves that alone.
            pub buffers: Buffers,
        }

        impl Counters {
            /// `(name on the wire, value, help)` in table order.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
                [$(($wire, self.$field.read(), concat!($($doc),+).trim_ascii_start()),)+].into_iter()
            }

            /// Adds `other` into `self`: how `stats` folds the workers together.
            pub fn absorb(&self, other: &Self) {
                $(self.$field.add(other.$field.read());)+
                self.buffers.absorb(&other.buffers);
            }

            /// `stats reset`. A worker that counts at the same instant may win; nobody can tell.
            pub fn reset(&self) { $(self.$field.clear();)+ }
        }
    };
}

counters! {
    /// Connections that were accepted.
    total_connections => "total_connections";
    /// Connections refused because -c was reached.
    rejected_connections => "rejected_connections";
    /// Clients closed because there was no memory for replies that they had not read.
    response_obj_oom => "response_obj_oom";
    /// Clients closed because there was no memory for the beginning of a request.
    read_buf_oom => "read_buf_oom";
    /// Keys asked for by any retrieval command.
    cmd_get => "cmd_get";
    /// Storage commands.
    cmd_set => "cmd_set";
    /// flush_all commands, refused ones too.
    cmd_flush => "cmd_flush";
    /// Keys touched, by touch or gat.
    cmd_touch => "cmd_touch";
    /// Meta commands.
    cmd_meta => "cmd_meta";
    /// Keys asked for and found.
    get_hits => "get_hits";
    /// Keys asked for and not found.
    get_misses => "get_misses";
    /// Misses that found an item past its exptime.
    get_expired => "get_expired";
    /// Misses that found an item that a flush_all had dropped.
    get_flushed => "get_flushed";
    /// Deletes that found nothing.
    delete_misses => "delete_misses";
    /// Deletes that removed an item.
    delete_hits => "delete_hits";
    /// incr commands that found nothing.
    incr_misses => "incr_misses";
    /// incr commands that found an item.
    incr_hits => "incr_hits";
    /// decr commands that found nothing.
    decr_misses => "decr_misses";
    /// decr commands that found an item.
    decr_hits => "decr_hits";
    /// cas commands that found nothing.
    cas_misses => "cas_misses";
    /// cas commands that stored.
    cas_hits => "cas_hits";
    /// cas commands with an outdated unique.
    cas_badval => "cas_badval";
    /// Touches that found an item.
    touch_hits => "touch_hits";
    /// Touches that found nothing.
    touch_misses => "touch_misses";
    /// Values refused because they are larger than -I.
    store_too_large => "store_too_large";
    /// Values refused because no memory could be had.
    store_no_memory => "store_no_memory";
    /// Authentication attempts.
    auth_cmds => "auth_cmds";
    /// Authentication attempts that were refused.
    auth_errors => "auth_errors";
    /// Connections closed because they were silent for longer than idle_timeout.
    idle_kicks => "idle_kicks";
    /// Bytes read from clients.
    bytes_read => "bytes_read";
    /// Bytes sent to clients.
    bytes_written => "bytes_written";
    /// Times a connection used up -R requests and made room for others.
    conn_yields => "conn_yields";
}

/// Memory that a worker's connections take now, in bytes. Single-writer, as counters are (I10).
#[derive(Default)]
pub struct Buffers {
    /// Input buffers that the worker lends to its connections, and how many they are.
    pub input_bytes: Counter,
    /// See above.
    pub inputs: Counter,
    /// Beginnings of requests that connections keep until the rest arrives, and how many they are.
    pub tail_bytes: Counter,
    /// See above.
    pub tails: Counter,
    /// The output buffer that the worker lends.
    pub output_bytes: Counter,
    /// Replies, without the large values in them, that wait for clients to read.
    pub backlog_bytes: Counter,
    /// The connections themselves.
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

/// Single-writer counter.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. A load and a store instead of a read-modify-write: there is one writer (I10), and a locked
    /// instruction per request is what this program exists to avoid.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Takes `n` off again.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.add(n.wrapping_neg());
    }

    /// The value now; other threads may see it late, never torn.
    #[inline]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Overwrites it.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Back to zero.
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

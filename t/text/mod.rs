//! Behaviour beyond one conversation: several connections, other processes, counts, full memory, bulk.

mod admin;
mod confined;
mod connections;
mod counters;
mod framing;
mod huge_pages;
mod large;
mod latency;
mod memory;
mod meta;
mod page_moves;
mod resident;
mod stats;
mod stats_reset;
mod storms;

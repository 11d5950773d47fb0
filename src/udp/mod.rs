//! UDP: each datagram is answered by itself (-U).
//!
//! ```text
//! kernel ──several datagrams──▶ ReadBufs ──▶ frame ──▶ Batch, execute ──▶ Outbox ──several datagrams──▶ kernel
//!                                              │                             │ the kernel's buffer is full
//!                                              └─ not a request: dropped     └─ dropped
//! ```
//!
//! Nothing is kept between two datagrams, so no sender can disturb another. Each worker has a socket for each address.
//! Buffers belong to the worker, which lends them for one call. Runs on the worker's thread.

mod answer;
mod bounded;
mod frame;
mod outbox;
mod socket;

pub use socket::{DatagramSocket, DatagramTurn};

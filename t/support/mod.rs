//! What every test needs that speaks to a server over a socket: its own server, a client, transcripts, waiting.
//!
//! ```text
//! Server::start(&["-M"])   one process on a free port, ended with the test
//!   └── client()           one connection: send, expect, stats
//!         └── transcript   C: and S: lines, played line by line, byte by byte and in one packet
//! ```
//!
//! `LARDER_SERVER=/path/to/memcached` points the same tests at another server, to see what they expect of it.

pub(crate) mod client;
pub(crate) mod datagrams;
pub(crate) mod golden;
pub(crate) mod packet;
pub(crate) mod server;
pub(crate) mod tls_client;
pub(crate) mod transcript;
pub(crate) mod wait;

pub(crate) use client::Client;
pub(crate) use datagrams::{DatagramClient, datagram};
pub(crate) use server::{ScratchDirectory, Server, larder_bench, program_under_test, scratch_directory};
pub(crate) use tls_client::{Authority, TlsClient};
pub(crate) use wait::{WAIT_MAX, now, wait_until};

/// Says something beside the tests' own outcome.
pub(crate) fn report(text: &str) {
    text.lines().for_each(|line| larder::sys::log::log_line(larder::sys::log::Level::Info, line));
}

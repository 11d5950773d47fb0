//! The kernel interface: sockets, mappings, processes, signals, standard error. The only module with system calls.
//!
//! ```text
//! socket, datagram, busy_poll     TCP and Unix sockets; UDP; polling of network queues
//! passing                         descriptors for another process
//! mapping, spare, allocations     reserved memory; the allocator, and the one that counts for tests
//! process, filter, signal, boot   users and limits; seccomp; signals as a file; file locks, start of the machine
//! log                             lines for the operator
//! cpu, ticks                      prefetch and searches; a cheap counter of time
//! short, append                   short strings; several pieces at once
//! syscall                         system calls as `io::Result`
//! ```

#[cfg(test)]
pub mod allocations;
pub mod append;
pub mod boot;
pub mod busy_poll;
pub mod cpu;
pub mod datagram;
pub mod error;
pub mod filter;
pub mod log;
pub mod mapping;
pub mod passing;
pub mod process;
pub mod short;
pub mod signal;
pub mod socket;
pub mod spare;
pub(crate) mod syscall;
pub mod ticks;

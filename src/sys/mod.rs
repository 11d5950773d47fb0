//! The kernel interface: sockets, mappings, processes, signals, standard error. The only module with system calls.

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

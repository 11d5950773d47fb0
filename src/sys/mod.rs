//! The kernel: sockets, mappings, processes, signals. The only room that spells system calls.

pub mod process;
pub mod signal;
pub(crate) mod syscall;

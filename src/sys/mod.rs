//! The kernel: sockets, mappings, processes, signals. The only room that spells system calls.

pub(crate) mod syscall;

//! A load's connections, open from the first window to the last.

use std::io;
use std::time::Duration;

use super::outcome::Outcome;
use super::plan::{Plan, Target};

/// Connections to one server, and what is asked on them.
pub struct Session {
    _plan: Plan,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// The plan cannot be, or the kernel's word.
    pub fn open(plan: &Plan, _target: &Target) -> io::Result<Self> {
        Ok(Self { _plan: plan.clone() })
    }

    /// Stores every key once, and the counters if the mix has arithmetic.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn fill(&mut self) -> io::Result<Outcome> {
        Err(io::Error::other("comes with the next commit"))
    }

    /// Load for so long, then waits for the last replies.
    ///
    /// # Errors
    /// The kernel's word, or that the server fell silent.
    pub fn run(&mut self, _how_long: Duration) -> io::Result<Outcome> {
        Err(io::Error::other("comes with the next commit"))
    }
}

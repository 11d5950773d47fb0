//! Servers compared: `larder-bench --server A --server B`, and the table of `make bench`.
//!
//! ```text
//! rows ──▶ runs ──┬─▶ rounds         CPU per request: windows of one load on all servers in turns
//!                 ├─▶ threads        two threads beside one
//!                 ├─▶ instructions   counted by valgrind
//!                 ├─▶ tails          the slowest gets, alone and beside other clients
//!                 ├─▶ storm          the slowest gets while thousands of clients connect
//!                 └─▶ memory         RSS per connection, start, full
//!                        └──▶ table  figures beside bars, Markdown or JSON
//!
//! beside       one load on a few servers, for a terminal
//! candidate    a server of the comparison
//! modes        what the command line asks for
//! ```

mod beside;
mod candidate;
mod instructions;
mod memory;
mod modes;
mod rounds;
mod rows;
mod runs;
mod storm;
mod table;
mod tails;
mod threads;
mod tls;

pub use modes::run_mode;
pub use rows::{Measure, ROWS, Row, Stage, Unit, named};
pub use runs::{FloorPart, Form, Runs};
pub use storm::Limit;

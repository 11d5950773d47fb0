//! What an operator can set: the table, and what is derived from it.
//!
//! ```text
//! command line, environment ──SettingsBuilder──▶ Settings      fixed from then on; modules copy what they need
//!                                                   └────────▶ Tunables     atomics, for what may change later
//! table.rs ──▶ ROWS ──▶ help, man page, doc/settings.md, `stats settings`
//! ```
//!
//! A setting is one row in table.rs. codec.rs reads and shows the values, quantity.rs those that are whole numbers.

mod address;
mod builder;
mod codec;
mod manual;
mod quantity;
mod row;
mod stats;
mod suggest;
mod table;
mod tunables;

pub use address::{Endpoint, ListenAddress};
pub use builder::SettingsBuilder;
pub use manual::{help, man_page, markdown};
pub use row::{Group, Place, Row, Status};
pub use stats::LiveSettings;
pub use suggest::remedy;
pub use table::{ROWS, Settings};
pub use tunables::Tunables;

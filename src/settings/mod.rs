//! The settings: their table, and what is derived from it.
//!
//! ```text
//! command line, environment ──SettingsBuilder──▶ Settings      fixed after start; modules copy values
//!                                                   └────────▶ Tunables     atomics, for values that may change
//! table.rs ──▶ ROWS ──▶ help, man page, doc/settings.md, completions of shells, `stats settings`
//! ```
//!
//! Each setting is one row in table.rs. codec.rs parses and formats values; quantity.rs does so for whole numbers.

mod address;
mod builder;
mod codec;
mod completions;
mod manual;
mod prefixes;
mod quantity;
mod row;
mod stats;
mod suggest;
mod table;
mod tls;
mod tunables;

pub use address::{Endpoint, ListenAddress};
pub use builder::{DESCRIPTOR_STORE, SettingsBuilder};
pub use completions::{bash_completions, fish_completions, zsh_completions};
pub use manual::{help, man_page, markdown};
pub use row::{OptionGroup, Row, SettingStatus, Source};
pub use stats::LiveSettings;
pub use suggest::remedy;
pub use table::{AUTOMOVE_LEVELS, AUTOMOVE_WINDOW, LRU_PERCENT_MAX, ROWS, Settings};
pub use tls::ListenerTls;
pub use tunables::Tunables;

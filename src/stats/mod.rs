//! Report rows: what `stats` shows, without its wire format.

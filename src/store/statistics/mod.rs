//! The store's own statistics.
//!
//! ```text
//! counts         per thread and class, and per class where events are rare
//! large_sizes    items above a mebibyte, by exact length
//! rows           tables: names, meanings and values of the rows of `stats`
//! report         the reports, from all of these
//! ```

mod carried;
pub(super) mod counts;
pub(super) mod large_sizes;
pub(super) mod report;
pub(super) mod rows;

//! Values that did not arrive together with their request.
//!
//! ```text
//! admission    how many bytes may be arriving at a time, and which value is next
//! upload       one such value
//! ```

pub(super) mod admission;
pub(super) mod upload;

pub use upload::Upload;

//! Who leaves next.

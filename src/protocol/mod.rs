//! The wire grammar: bytes in, borrowed words out. No IO, no clock, no allocation, no store.

//! The bytes of one item inside its chunk.

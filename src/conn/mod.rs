//! One client: bytes in, states, bytes out.

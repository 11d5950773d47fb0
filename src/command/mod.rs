//! The bridge: a request and an engine make a reply.

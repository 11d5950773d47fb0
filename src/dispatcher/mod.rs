//! Listening sockets, accept, and which worker gets the client.

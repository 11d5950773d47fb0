//! What an operator can set: the table, and what is derived from it.

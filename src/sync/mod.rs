//! Threads and each other: epochs, bucket locks' order, mailboxes.

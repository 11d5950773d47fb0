//! Memory that is short: where chunks come from, which items leave for them, and pages that change their class.
//!
//! ```text
//! alloc              a chunk: from the magazine, the class, a new page, or by eviction
//! claims             pages that a class gets before it evicts
//! empty_pages        pages without a used chunk go to the class that asks next
//! evict              unlinks the items that the policy selects
//! pending_inserts    what the policy must learn of new items
//! lending            larger classes serve smaller ones
//! late_reads         signals that adapt the small queues
//! page_moves         orders to the page mover, and its counts
//! rescue             the items of a page that leaves its class
//! role               what a thread may do to get memory
//! sparse_pages       pages of few items go to a class that would evict
//! unread_pages       pages of old, unread items go to a class that would evict newer ones
//! ```

pub(super) mod alloc;
pub(super) mod claims;
pub(super) mod empty_pages;
pub(super) mod evict;
pub(super) mod late_reads;
pub(super) mod lending;
pub(super) mod page_moves;
pub(super) mod pending_inserts;
pub(super) mod rescue;
pub(super) mod role;
pub(super) mod sparse_pages;
pub(super) mod unread_pages;

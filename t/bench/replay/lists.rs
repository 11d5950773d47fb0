//! The policies to compare with: caches of doubly linked lists.
//!
//! The segmented LRU follows memcached's published description: the article "Replacing the cache replacement algorithm
//! in memcached" of its blog, and doc/new_lru.txt as quoted there. New items enter HOT (20 % of memory). The tail of
//! HOT goes to WARM (40 %) if it was hit twice, else to COLD. The tail of WARM goes round again if it was hit, else to
//! COLD. An item of COLD that is hit twice goes to WARM. Evictions take the tail of COLD.

use std::collections::HashMap;

use crate::Cache;

const NONE: u32 = u32::MAX;

/// Slots that are in one of some lists each, newest first.
struct Lists {
    ends: Vec<(u32, u32, usize)>,
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    key: u32,
    newer: u32,
    older: u32,
    list: usize,
    hits: u8,
}

impl Lists {
    fn new(lists: usize) -> Self {
        Self { ends: vec![(NONE, NONE, 0); lists], nodes: Vec::new() }
    }

    fn len(&self, list: usize) -> usize {
        self.ends[list].2
    }

    fn oldest(&self, list: usize) -> Option<u32> {
        Some(self.ends[list].1).filter(|slot| *slot != NONE)
    }

    fn push(&mut self, list: usize, slot: u32) {
        let (newest, oldest, len) = self.ends[list];
        let node = &mut self.nodes[slot as usize];
        (node.newer, node.older, node.list) = (NONE, newest, list);
        if newest != NONE {
            self.nodes[newest as usize].newer = slot;
        }
        self.ends[list] = (slot, if oldest == NONE { slot } else { oldest }, len + 1);
    }

    fn unlink(&mut self, slot: u32) {
        let Node { newer, older, list, .. } = self.nodes[slot as usize];
        let (newest, oldest, len) = self.ends[list];
        if newer != NONE {
            self.nodes[newer as usize].older = older;
        }
        if older != NONE {
            self.nodes[older as usize].newer = newer;
        }
        let newest = if newest == slot { older } else { newest };
        let oldest = if oldest == slot { newer } else { oldest };
        self.ends[list] = (newest, oldest, len - 1);
    }

    fn shift(&mut self, list: usize, slot: u32) {
        self.unlink(slot);
        self.push(list, slot);
    }

    /// A slot for a new key: another one while there is room, else that of `victim`, whose key leaves `index`.
    fn slot_for(&mut self, key: u32, room: usize, index: &mut HashMap<u32, u32>, victim: Option<u32>) -> u32 {
        let node = Node { key, ..Node::default() };
        let slot = match victim {
            Some(slot) if self.nodes.len() >= room => {
                self.unlink(slot);
                index.remove(&self.nodes[slot as usize].key);
                self.nodes[slot as usize] = node;
                slot
            }
            _ => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        index.insert(key, slot);
        slot
    }
}

/// Evicts the least recently used item.
pub(crate) struct Lru {
    room: usize,
    index: HashMap<u32, u32>,
    lists: Lists,
}

impl Lru {
    pub(crate) fn new(objects: usize) -> Self {
        Self { room: objects, index: HashMap::new(), lists: Lists::new(1) }
    }
}

impl Cache for Lru {
    fn read(&mut self, key: u32) -> bool {
        let there = self.index.get(&key).copied();
        if let Some(slot) = there {
            self.lists.shift(0, slot);
        }
        there.is_some()
    }

    fn store(&mut self, key: u32) {
        if self.read(key) {
            return;
        }
        let victim = self.lists.oldest(0);
        let slot = self.lists.slot_for(key, self.room, &mut self.index, victim);
        self.lists.push(0, slot);
    }
}

const HOT: usize = 0;
const WARM: usize = 1;
const COLD: usize = 2;
const HOT_SHARE: f64 = 0.2;
const WARM_SHARE: f64 = 0.4;
/// Hits after which an item counts as active.
const ACTIVE: u8 = 2;
/// Moves of one balancing at most.
const MOVES_MAX: usize = 50;

/// HOT, WARM and COLD.
pub(crate) struct Segmented {
    room: usize,
    index: HashMap<u32, u32>,
    lists: Lists,
}

impl Segmented {
    pub(crate) fn new(objects: usize) -> Self {
        Self { room: objects, index: HashMap::new(), lists: Lists::new(3) }
    }

    /// Shortens HOT and WARM to their shares of what is stored.
    fn balance(&mut self) {
        let stored = self.lists.nodes.len() as f64;
        for (list, share) in [(HOT, HOT_SHARE), (WARM, WARM_SHARE)] {
            for _ in 0..MOVES_MAX {
                if self.lists.len(list) as f64 <= (stored * share).max(1.0) {
                    break;
                }
                let Some(slot) = self.lists.oldest(list) else { break };
                let is_active = std::mem::take(&mut self.lists.nodes[slot as usize].hits) >= ACTIVE;
                self.lists.shift(if is_active { WARM } else { COLD }, slot);
            }
        }
    }
}

impl Cache for Segmented {
    fn read(&mut self, key: u32) -> bool {
        let Some(slot) = self.index.get(&key).copied() else { return false };
        let node = &mut self.lists.nodes[slot as usize];
        node.hits = (node.hits + 1).min(ACTIVE);
        if node.hits == ACTIVE && node.list == COLD {
            node.hits = 0;
            self.lists.shift(WARM, slot);
        }
        true
    }

    fn store(&mut self, key: u32) {
        if let Some(slot) = self.index.get(&key).copied() {
            // A new item, which was never read.
            self.lists.nodes[slot as usize].hits = 0;
            return self.lists.shift(HOT, slot);
        }
        self.balance();
        let victim = [COLD, HOT, WARM].into_iter().find_map(|list| self.lists.oldest(list));
        let slot = self.lists.slot_for(key, self.room, &mut self.index, victim);
        self.lists.push(HOT, slot);
    }
}

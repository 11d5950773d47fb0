//! The most requested keys of a server: the answer to `stats hotkeys`, which only larder gives.

use larder::tools::StatRows;

/// A key and its requests, as larder counts them in a sample of the last minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HotKey {
    pub(crate) key: String,
    pub(crate) requests: u64,
    pub(crate) writes: u64,
}

/// Keys that are shown.
pub(crate) const SHOWN_MAX: u16 = 8;

/// The keys of the rows, the hottest first.
pub(crate) fn hot_keys(rows: &StatRows) -> Vec<HotKey> {
    let number = |rank: usize, name: &str| rows.get(&format!("{rank}:{name}")).and_then(|value| value.parse().ok());
    let key = |rank: usize| {
        let key = rows.get(&format!("{rank}:key"))?.clone();
        Some(HotKey { key, requests: number(rank, "requests")?, writes: number(rank, "writes").unwrap_or(0) })
    };
    (1..=usize::from(SHOWN_MAX)).map_while(key).collect()
}

#[cfg(test)]
mod tests {
    use super::{HotKey, hot_keys};

    #[test]
    fn keys_are_in_the_order_of_their_ranks() {
        let rows = [("half_life", "60"), ("1:key", "a"), ("1:requests", "9"), ("1:writes", "2"), ("2:key", "b")];
        let rows = rows.map(|(name, value)| (name.to_string(), value.to_string())).into();
        assert_eq!(hot_keys(&rows), [HotKey { key: "a".into(), requests: 9, writes: 2 }]);
        assert!(hot_keys(&[].into()).is_empty());
    }
}

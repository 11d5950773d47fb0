//! The names that memcached prints in `stats`. t/oracle checks them.

pub(crate) const STATS_NAMES: [(&str, &str); 5] = [
    ("", include_str!("../golden/stats_general.txt")),
    ("settings", include_str!("../golden/stats_settings.txt")),
    ("items", include_str!("../golden/stats_items.txt")),
    ("slabs", include_str!("../golden/stats_slabs.txt")),
    ("conns", include_str!("../golden/stats_conns.txt")),
];

/// `items:12:number` and `12:chunk_size` without their class, `27:addr` without its descriptor.
pub(crate) fn without_numbers(name: &str) -> String {
    let parts: Vec<&str> =
        name.split(':').map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { "N" } else { part }).collect();
    parts.join(":")
}

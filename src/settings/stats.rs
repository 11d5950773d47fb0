//! The rows of `stats settings`, with memcached's keys, order and notation.

use crate::base::EmitRow;

use super::table::{ROWS, Settings};

/// The current values of settings that change at run time.
#[derive(Clone, Copy, Debug)]
pub struct LiveSettings {
    /// -m, or the value that `cache_memlimit` set.
    pub memory_limit_bytes: u64,
    /// -v, or the value that `verbosity` set.
    pub verbosity: u8,
    /// -D, or the value that `stats detail` set.
    pub detail_enabled: bool,
    /// -o lru_crawler, or the value that `lru_crawler enable` or `disable` set.
    pub lru_crawler: bool,
    /// -o slab_automove, or the value that `slabs automove` set.
    pub slab_automove: u32,
    /// -o slab_automove_ratio, or the value that `slabs automove` set.
    pub slab_automove_ratio: f64,
    /// -o slab_automove_window, or the value that `slabs automove` set.
    pub slab_automove_window: u32,
}

impl Settings {
    /// Calls `row` with each key and value of `stats settings`.
    pub fn stats_rows(&self, live: LiveSettings, row: EmitRow<'_>) {
        let yes_or_no = |yes| if yes { "yes" } else { "no" };
        for setting in ROWS.iter().filter(|row| !row.stat.is_empty()) {
            match setting.field {
                "memory_limit_bytes" => row(setting.stat, &live.memory_limit_bytes),
                "verbosity" => row(setting.stat, &live.verbosity),
                "detail_enabled" => row(setting.stat, &yes_or_no(live.detail_enabled)),
                "lru_crawler" => row(setting.stat, &yes_or_no(live.lru_crawler)),
                "slab_automove" => row(setting.stat, &live.slab_automove),
                "slab_automove_ratio" => row(setting.stat, &format_args!("{:.2}", live.slab_automove_ratio)),
                "slab_automove_window" => row(setting.stat, &live.slab_automove_window),
                // Whatever the options say. memcached ignores the first one, too.
                "inline_ascii_response" => row(setting.stat, &yes_or_no(false)),
                "hash_algorithm" => row(setting.stat, &Self::default().hash_algorithm),
                "protocol" if self.protocol == "auto" => row(setting.stat, &"auto-negotiate"),
                field => row(setting.stat, &self.show(field)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::LiveSettings;

    const LIVE: LiveSettings = LiveSettings {
        memory_limit_bytes: 5 << 20,
        verbosity: 2,
        detail_enabled: true,
        lru_crawler: false,
        slab_automove: 0,
        slab_automove_ratio: 0.5,
        slab_automove_window: 30,
    };

    fn rows(live: LiveSettings) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        Settings { hash_algorithm: "jenkins", ..Settings::default() }
            .stats_rows(live, &mut |key, value| rows.push((key.to_string(), value.to_string())));
        rows
    }

    #[test]
    fn the_keys_are_memcacheds_in_memcacheds_order() {
        let rows = rows(LIVE);
        let expected = include_str!("../../t/golden/stats_settings.txt").split_whitespace();
        assert!(rows.iter().map(|(key, _)| key.as_str()).eq(expected));
    }

    #[test]
    fn what_changes_while_running_is_shown_as_it_is_now() {
        let rows = rows(LIVE);
        for expected in [
            ("maxbytes", "5242880"),
            ("verbosity", "2"),
            ("detail_enabled", "yes"),
            ("lru_crawler", "no"),
            ("slab_automove", "0"),
            ("slab_automove_ratio", "0.50"),
            ("slab_automove_window", "30"),
            ("evictions", "on"),
            ("inter", "NULL"),
            ("umask", "700"),
            ("hash_algorithm", "rapidhash"),
        ] {
            assert!(rows.iter().any(|(key, value)| (key.as_str(), value.as_str()) == expected), "{expected:?}");
        }
    }
}

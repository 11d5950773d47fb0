//! The rows of `stats settings`: memcached's keys, order and notation.

use super::table::{ROWS, Settings};
use super::tunables::Tunables;

impl Settings {
    /// Calls `row` with each key and value of `stats settings`, as they are now.
    pub fn stats_rows(&self, tunables: &Tunables, row: &mut dyn FnMut(&str, &str)) {
        for setting in ROWS.iter().filter(|row| !row.stat.is_empty()) {
            let value = match setting.field {
                "memory_limit_bytes" => tunables.memory_limit_bytes().to_string(),
                "verbosity" => tunables.logger.verbosity().to_string(),
                "detail_enabled" => if tunables.detail_enabled() { "yes" } else { "no" }.to_string(),
                "auth_file" => if self.auth_file.is_some() { "yes" } else { "no" }.to_string(),
                // memcached's word for what -B calls auto.
                "protocol" if self.protocol == "auto" => "auto-negotiate".to_string(),
                field => self.show(field),
            };
            row(setting.stat, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, Tunables};

    #[test]
    fn the_keys_are_memcacheds_in_memcacheds_order() {
        let settings = Settings::default();
        let mut keys = Vec::new();
        settings.stats_rows(&Tunables::new(&settings), &mut |key, _| keys.push(key.to_string()));
        assert_eq!(keys, include_str!("../../t/golden/stats_settings_keys.txt").split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn what_changes_at_run_time_is_shown_as_it_is_now() {
        let settings = Settings::default();
        let tunables = Tunables::new(&settings);
        tunables.set_detail_enabled(true);
        tunables.logger.set_verbosity(2);
        tunables.set_memory_limit_bytes(5 << 20);
        let mut shown = Vec::new();
        settings.stats_rows(&tunables, &mut |key, value| shown.push(format!("{key} {value}")));
        for row in ["maxbytes 5242880", "verbosity 2", "detail_enabled yes", "evictions on", "inter NULL", "umask 700"]
        {
            assert!(shown.iter().any(|line| line == row), "{row}");
        }
    }
}

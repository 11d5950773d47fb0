//! Suggests the option that an operator probably meant by an unknown one.

use super::row::{Row, SettingStatus, Source};
use super::table::ROWS;

/// Advice about the unknown option `name`: the most similar option, or where to find the list.
pub fn remedy(name: &str) -> String {
    match nearest(name) {
        Some(option) => format!("did you mean {option}?"),
        None => "larder -h lists them".into(),
    }
}

/// Length in bytes from which a name also matches as a prefix. Shorter ones are prefixes of too many options.
const PREFIX_LEN_MIN: usize = 3;
/// Letters of a name per allowed mistake.
const LETTERS_PER_MISTAKE: usize = 3;

fn nearest(name: &str) -> Option<String> {
    // A single word such as `"--port 11211"` holds an option and its value.
    let name = name.split_whitespace().next().unwrap_or_default();
    let mistakes_max = (name.chars().count() / LETTERS_PER_MISTAKE).max(1);
    let mistakes = |candidate: &str| {
        let is_start = name.len() >= PREFIX_LEN_MIN && candidate.starts_with(name);
        if is_start { 0 } else { distance(name, candidate) }
    };
    ROWS.iter()
        .filter(|row| matches!(row.status, SettingStatus::Works | SettingStatus::NoEffect(_)))
        .flat_map(written)
        .map(|(option, bare)| (mistakes(&bare), option))
        .filter(|(mistakes, _)| *mistakes <= mistakes_max)
        .min_by_key(|(mistakes, _)| *mistakes)
        .map(|(_, option)| option)
}

/// Each form of an option, as a pair: with its marker (`--` or `-o`), and without it.
fn written(row: &Row) -> Vec<(String, String)> {
    let bare = row.bare_name();
    match row.source() {
        Source::Flag => row.longs().map(|long| (format!("--{long}"), long.to_string())).collect(),
        Source::Suboption => {
            let negation = row.has_negation().then(|| (format!("-o no_{bare}"), format!("no_{bare}")));
            [Some((format!("-o {bare}"), bare.to_string())), negation].into_iter().flatten().collect()
        }
        Source::Environment | Source::Nowhere => Vec::new(),
    }
}

/// Edit distance: letters to change, insert, delete or swap with a neighbour to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest, remedy};

    #[test]
    fn distance_counts_mistakes() {
        for (a, b, mistakes) in [
            ("", "abc", 3),
            ("port", "port", 0),
            ("prot", "port", 1),
            ("threds", "threads", 1),
            ("lsiten", "listens", 2),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (mistakes, mistakes), "{a} {b}");
        }
    }

    #[test]
    fn a_mistyped_name_finds_the_option_wherever_it_is_written() {
        for (typed, meant) in [
            ("threds", "--threads"),
            ("memory_limit", "--memory-limit"),
            ("idle_timout", "-o idle_timeout"),
            ("idle", "-o idle_timeout"),
            ("no_lru_crawlr", "-o no_lru_crawler"),
            ("port 11211", "--port"),
        ] {
            assert_eq!(nearest(typed).as_deref(), Some(meant), "{typed}");
        }
    }

    #[test]
    fn what_is_like_no_option_or_one_that_is_refused_gets_no_guess() {
        for typed in ["", "foo", "nonsense", "ext_pat", "debug_command"] {
            assert_eq!(remedy(typed), "larder -h lists them", "{typed}");
        }
    }
}

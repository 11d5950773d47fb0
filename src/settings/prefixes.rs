//! Prefixes of keys: the value of repl_owner_prefix.

use crate::base::Key;

use super::codec::Codec;

/// Most prefixes. Each add and delete looks at all of them.
const PREFIXES_MAX: usize = 16;

/// Codec of a list of prefixes. Each occurrence of the option adds some.
pub(super) struct Prefixes;

impl Codec<Vec<String>> for Prefixes {
    fn read(&self, text: &str, value: &mut Vec<String>) -> Result<(), String> {
        for word in text.split([',', ';']) {
            let is_part_of_key = |byte: u8| byte > b' ' && byte != 0x7f;
            if word.is_empty() || word.len() > Key::LEN_MAX || !word.bytes().all(is_part_of_key) {
                return Err(format!("no key begins with {word:?}"));
            }
            if !value.iter().any(|known| known == word) {
                value.push(word.to_owned());
            }
        }
        if value.len() > PREFIXES_MAX {
            return Err(format!("{} prefixes, at most {PREFIXES_MAX}", value.len()));
        }
        Ok(())
    }

    fn show(&self, value: &Vec<String>) -> String {
        if value.is_empty() { "NULL".into() } else { value.join(";") }
    }
}

#[cfg(test)]
mod tests {
    use super::{Codec as _, Prefixes};

    #[test]
    fn prefixes_add_up_and_must_begin_keys() {
        let mut all = Vec::new();
        assert_eq!(Prefixes.show(&all), "NULL");
        Prefixes.read("lock.;memc.sess.lock", &mut all).unwrap();
        Prefixes.read("lock.", &mut all).unwrap();
        assert_eq!(Prefixes.show(&all), "lock.;memc.sess.lock");
        for bad in ["", ";", "a b", "a\n", &"k".repeat(251)] {
            assert!(Prefixes.read(bad, &mut Vec::new()).is_err(), "{bad:?}");
        }
        let many = (0..17).map(|number| number.to_string()).collect::<Vec<_>>().join(";");
        assert_eq!(Prefixes.read(&many, &mut Vec::new()), Err("17 prefixes, at most 16".into()));
    }
}

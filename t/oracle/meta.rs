//! Meta commands of a random stream, and what the accepted differences ask of them.

use larder::base::Key;
use larder::protocol::meta::{KEY_BYTES_MAX, decode_key};

use super::stream::{Command, NUMBERS, Stream, TIMES, UNIQUE};

/// The verbs with a key.
pub(crate) const VERBS: [&str; 5] = ["mg", "ms", "md", "ma", "me"];

/// Keys in base64: some of them are `k0` to `k3`.
const BASE64_KEYS: [&str; 6] = ["azA=", "azE=", "azI=", "azM=", "YWJj", "AAECAwQFBgcICQ=="];
/// Flags without an argument.
const LETTERS: [&str; 14] = ["c", "f", "h", "k", "l", "q", "s", "t", "u", "v", "v", "v", "x", "I"];
/// CAS uniques that no server draws.
const CHOSEN_UNIQUES: [&str; 4] = ["1000000000000001", "1000000000000002", "1000000000000003", "18446744073709551615"];
const OPAQUES: [&str; 4] = ["O", "O1", "Oabc,=", "O123456789012345678901234567890"];
const SET_MODES: [&str; 7] = ["ME", "MA", "MP", "MR", "MS", "MA", "MX"];
const ARITH_MODES: [&str; 6] = ["MI", "M+", "MD", "M-", "MIncr", "Mi"];
/// Seconds before the end, none of which a time to live of `TIMES` comes near.
const RENEWALS: [&str; 4] = ["R50000", "R1000000", "R-1", "R0"];

impl Stream {
    /// A meta command, sound.
    pub(super) fn meta_command(&mut self) -> Command {
        let verb = match self.random.below(100) {
            0..38 => "mg",
            38..66 => "ms",
            66..78 => "md",
            78..92 => "ma",
            92..97 => "me",
            _ => return Command::of_line(self.random.pick(&["mn", "mn", "mn ignored words"])),
        };
        let is_base64 = verb != "me" && self.random.once_in(5);
        let key = if is_base64 { self.random.pick(&BASE64_KEYS).as_bytes().to_vec() } else { self.key() };
        let mut command = Command::of_line([verb.as_bytes(), b" ", &key].concat());
        let mut data = Vec::new();
        if verb == "ms" {
            data = self.value();
            command.line.extend(format!(" {}", data.len()).bytes());
            data.extend(b"\r\n");
        }
        let mut flags = self.flags(verb);
        // Most emptied items get a time, because without one they are left out (differences.rs).
        if verb == "md" && flags.iter().any(|flag| flag == "x") && flags.iter().all(|flag| !flag.starts_with('T')) {
            flags.push("T100000".into());
        }
        if is_base64 {
            flags.insert(self.random.below(flags.len() + 1), "b".into());
        }
        for flag in flags {
            if flag == "C" {
                command.unique_back = Some(self.random.below(4));
                command.line.extend([b" C", UNIQUE].concat());
            } else {
                command.line.extend(format!(" {flag}").bytes());
            }
        }
        command.data = data;
        command
    }

    /// Up to nine different flags in random order.
    fn flags(&mut self, verb: &str) -> Vec<String> {
        let mut flags: Vec<String> = Vec::new();
        for _ in 0..self.random.below(10) {
            let flag = match self.random.below(20) {
                0..11 => self.random.pick(&LETTERS).to_string(),
                11 => self.random.pick(&OPAQUES).to_string(),
                12 => format!("T{}", self.random.pick(&TIMES)),
                13 => format!("N{}", self.random.pick(&TIMES)),
                14 => format!("E{}", self.random.pick(&CHOSEN_UNIQUES)),
                15 => self.compare(),
                16 => self.random.pick(if verb == "ma" { &ARITH_MODES[..] } else { &SET_MODES[..] }).to_string(),
                17 => format!("{}{}", self.random.pick(&["D", "J"]), self.random.pick(&NUMBERS)),
                18 => self.random.pick(&RENEWALS).to_string(),
                _ => self.random.pick(&["F0", "F5", "F4294967295", "P", "L/proxy"]).to_string(),
            };
            if flags.iter().all(|other| other.as_bytes()[0] != flag.as_bytes()[0]) {
                flags.push(flag);
            }
        }
        flags
    }

    /// A CAS unique to compare with: often a recent one.
    fn compare(&mut self) -> String {
        match self.random.below(6) {
            0 => "C0".into(),
            1 => "C1".into(),
            2 => format!("C{}", self.random.pick(&CHOSEN_UNIQUES)),
            _ => "C".into(),
        }
    }
}

impl Command {
    /// Whether it is a meta command with a key.
    pub(crate) fn is_meta(&self) -> bool {
        VERBS.iter().any(|verb| verb.as_bytes() == self.words()[0])
    }

    /// The flags of a meta command.
    pub(crate) fn flags(&self) -> Vec<&[u8]> {
        let before = if self.words()[0] == b"ms" { 3 } else { 2 };
        if self.is_meta() { self.words().into_iter().skip(before).collect() } else { Vec::new() }
    }

    /// Whether it has a flag of one letter.
    pub(crate) fn has_flag(&self, letter: u8) -> bool {
        self.flags().iter().any(|word| word[0] == letter)
    }

    /// Whether it is a `ma` that adds. A mode that is invalid counts as one.
    pub(crate) fn is_increment(&self) -> bool {
        let subtracts = |word: &&[u8]| word[0] == b'M' && matches!(word.get(1), Some(b'd' | b'D' | b'-'));
        self.words()[0] == b"ma" && !self.flags().iter().any(subtracts)
    }

    /// The number behind the letter of a flag.
    pub(crate) fn flag_number(&self, letter: u8) -> Option<i128> {
        let words = self.flags();
        let word = words.iter().find(|word| word[0] == letter)?;
        std::str::from_utf8(&word[1..]).ok()?.parse().ok()
    }

    /// Whether its key should be base64, and is not in the one form that is allowed.
    pub(crate) fn has_odd_base64_key(&self) -> bool {
        let words = self.words();
        let key = words.get(1).and_then(|word| Key::new(word)).filter(|_| self.has_flag(b'b'));
        key.is_some_and(|key| decode_key(key, &mut [0; KEY_BYTES_MAX]).is_none())
    }
}

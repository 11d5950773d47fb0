//! Values in JSON.

/// A number with at most six decimals. Further ones have no meaning.
pub(super) fn number(value: f64) -> String {
    // JSON has no infinities; nothing here should have one.
    let value = if value.is_finite() { value } else { 0.0 };
    if value.fract() == 0.0 { value.to_string() } else { ((value * 1e6).round() / 1e6).to_string() }
}

/// A string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if u32::from(letter) < 0x20 => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{number, quoted};

    #[test]
    fn strings_are_quoted_as_json_wants_it() {
        assert_eq!(quoted("a \"b\" \\x00\n"), "\"a \\\"b\\\" \\\\x00\\u000a\"");
    }

    #[test]
    fn numbers_are_those_that_json_has() {
        let numbers = [0.0, 7.0, 0.5, 1.23456789, -2.5, 9e15, f64::NAN, f64::INFINITY];
        let expected = ["0", "7", "0.5", "1.234568", "-2.5", "9000000000000000", "0", "0"];
        assert_eq!(numbers.map(number), expected);
    }
}

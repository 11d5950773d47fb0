//! Rows of reports as members of a JSON object.

use crate::protocol::answer::RowValue;

/// Appends the beginning of an object that is a member: `"name":{`. A comma follows what stands before.
pub fn begin_object(name: &str, out: &mut Vec<u8>) {
    push_json_string(name.as_bytes(), out);
    out.extend_from_slice(b":{");
}

/// Appends the end of an object, and a comma. The comma behind its last member goes.
pub fn end_object(out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.extend_from_slice(b"},");
}

/// Appends a row as a member, and a comma.
pub(in crate::protocol) fn push_member(name: &[u8], value: RowValue<'_>, out: &mut Vec<u8>) {
    push_json_string(name, out);
    out.push(b':');
    let from = out.len();
    value.push_to(out);
    if !is_number(&out[from..]) {
        let text = out.split_off(from);
        push_json_string(&text, out);
    }
    out.push(b',');
}

/// Whether `text` is a number as JSON writes it, and without an exponent.
fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let are_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    are_digits(whole) && (whole.len() == 1 || whole[0] != b'0') && fraction.is_none_or(are_digits)
}

/// Appends a string. Bytes that are not UTF-8 are replaced.
pub fn push_json_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for letter in String::from_utf8_lossy(bytes).chars() {
        match letter {
            '"' | '\\' => out.extend([b'\\', letter as u8]),
            letter if u32::from(letter) < 0x20 => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(letter)).as_bytes());
            }
            letter => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::{RowValue, begin_object, end_object, push_member};

    #[test]
    fn numbers_stay_numbers_and_words_are_quoted() {
        let mut out = Vec::new();
        begin_object("a", &mut out);
        for value in ["0", "-1", "1.50", "1.6.45", "007", ".5", "5.", "", "x\"\\\n\u{e9}"] {
            push_member(b"v", RowValue::Shown(&value), &mut out);
        }
        push_member(b"k", RowValue::Bytes(b"\xff"), &mut out);
        end_object(&mut out);
        let expected = "\"a\":{\"v\":0,\"v\":-1,\"v\":1.50,\"v\":\"1.6.45\",\"v\":\"007\",\"v\":\".5\",\"v\":\"5.\",\"v\":\"\",\
            \"v\":\"x\\\"\\\\\\u000a\u{e9}\",\"k\":\"\u{fffd}\"},";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn an_object_may_be_empty() {
        let mut out = Vec::new();
        begin_object("a", &mut out);
        end_object(&mut out);
        assert_eq!(out, b"\"a\":{},");
    }
}

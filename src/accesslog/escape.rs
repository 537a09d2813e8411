//! What clients sent, so that nothing of it can be taken for something else.
//!
//! Escaped are control characters, quotes, backslashes, bytes that are no UTF-8, and characters that nobody sees or that
//! turn the direction of what stands around them: a line of the log is one line, on a terminal too. As a backslash is
//! itself escaped, every escape is what it seems to be.

/// Puts a text in for a line in quotes: `\xHH` for each byte of what is escaped.
pub(super) fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    escape(out, text, |out, bytes, _| bytes.iter().for_each(|byte| hex_byte(out, *byte)));
}

/// Puts a text in for a JSON string: `\uHHHH` for each character that is escaped; a byte that is no UTF-8 counts as the
/// character of its number.
pub(super) fn json(out: &mut Vec<u8>, text: &[u8]) {
    escape(out, text, |out, bytes, character| match character {
        Some(character) => hex_character(out, character),
        None => bytes.iter().for_each(|byte| hex_character(out, char::from(*byte))),
    });
}

fn escape(out: &mut Vec<u8>, text: &[u8], change: impl Fn(&mut Vec<u8>, &[u8], Option<char>)) {
    let plain = plain_length(text);
    let (plain, rest) = text.split_at(plain.min(text.len()));
    out.extend_from_slice(plain);
    if rest.is_empty() {
        return;
    }
    for chunk in rest.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            if is_harmless(character) {
                out.extend_from_slice(bytes);
            } else {
                change(out, bytes, Some(character));
            }
        }
        if !chunk.invalid().is_empty() {
            change(out, chunk.invalid(), None);
        }
    }
}

/// Bytes at the beginning that are visible ASCII but quotes and backslashes, eight at a time.
fn plain_length(text: &[u8]) -> usize {
    let (words, _) = text.as_chunks::<8>();
    let plain = 8 * words.iter().take_while(|word| are_plain(u64::from_le_bytes(**word))).count();
    let rest = text.get(plain..).unwrap_or_default();
    plain + rest.iter().take_while(|byte| is_plain(**byte)).count()
}

/// Whether all eight bytes are plain. A byte that is zero after a subtraction without carry shows in its highest bit; a
/// carry can only come from such a byte, so the answer for the whole is right.
fn are_plain(word: u64) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (word | below(word, 0x20) | is(b'"') | is(b'\\') | is(0x7f)) & HIGH == 0
}

fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// Seen as itself, where it stands.
fn is_harmless(character: char) -> bool {
    match character {
        '"' | '\\' => false,
        '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => false,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => false,
        // C0, DEL and C1.
        other => !other.is_control(),
    }
}

fn hex_byte(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(&[b'\\', b'x', hex(byte >> 4), hex(byte & 15)]);
}

fn hex_character(out: &mut Vec<u8>, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        let [high, low] = unit.to_be_bytes();
        out.extend_from_slice(&[b'\\', b'u', hex(high >> 4), hex(high & 15), hex(low >> 4), hex(low & 15)]);
    }
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'A' - 10 + digit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped() {
        let cases: [(&[u8], &str, &str); 9] = [
            (b"/plain?a=b&c='d'", "/plain?a=b&c='d'", "/plain?a=b&c='d'"),
            (b"a\"b\\c", r"a\x22b\x5Cc", r"a\u0022b\u005Cc"),
            (
                b"a\r\nb\t\0\x1b[31m\x7f",
                r"a\x0D\x0Ab\x09\x00\x1B[31m\x7F",
                r"a\u000D\u000Ab\u0009\u0000\u001B[31m\u007F",
            ),
            (
                "caf\u{e9} \u{6771}\u{4eac} \u{1f600}".as_bytes(),
                "caf\u{e9} \u{6771}\u{4eac} \u{1f600}",
                "caf\u{e9} \u{6771}\u{4eac} \u{1f600}",
            ),
            (b"\xff\xc3(", r"\xFF\xC3(", r"\u00FF\u00C3("),
            ("\u{202e}gpj".as_bytes(), r"\xE2\x80\xAEgpj", r"\u202Egpj"),
            ("\u{85}\u{2028}".as_bytes(), r"\xC2\x85\xE2\x80\xA8", r"\u0085\u2028"),
            ("\u{e0041}".as_bytes(), r"\xF3\xA0\x81\x81", r"\uDB40\uDC41"),
            (b"", "", ""),
        ];
        for (text, combined, as_json) in cases {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            quoted(&mut one, text);
            json(&mut other, text);
            assert_eq!((std::str::from_utf8(&one), std::str::from_utf8(&other)), (Ok(combined), Ok(as_json)));
        }
    }

    #[test]
    fn eight_at_a_time_are_as_one_by_one() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                for around in [b' ', b'a', b'~', b'!'] {
                    let mut bytes = [around; 8];
                    bytes[place] = byte;
                    assert_eq!(are_plain(u64::from_le_bytes(bytes)), is_plain(byte), "{byte} at {place}");
                }
            }
        }
    }

    #[test]
    fn each_place_in_a_long_text_is_looked_at() {
        for place in 0..70 {
            let mut text = vec![b'a'; 70];
            text[place] = b'\n';
            let mut out = Vec::new();
            quoted(&mut out, &text);
            assert_eq!(String::from_utf8(out).unwrap().find(r"\x0A"), Some(place));
        }
    }
}

//! What values take as JSON. Whoever limits what is stored must count what is stored: quotes, escapes and all.

use std::io;

use serde::Serialize;

/// Ends a text that was shortened.
const ELLIPSIS: &str = "...";

/// Bytes of `value` as JSON. What cannot be encoded cannot be stored either, and has no size that fits.
pub fn encoded_bytes<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0)
}

/// Bytes of a text as JSON, without its quotes.
pub fn text_bytes(text: &str) -> usize {
    text.chars().map(character_bytes).sum()
}

/// The text, or a beginning of it that takes at most `bytes_max` bytes as JSON.
pub fn shortened(text: &str, bytes_max: usize) -> String {
    if text_bytes(text) <= bytes_max {
        return text.to_owned();
    }
    let mut left = bytes_max.saturating_sub(ELLIPSIS.len());
    let mut short = String::new();
    for character in text.chars() {
        let bytes = character_bytes(character);
        if bytes > left {
            break;
        }
        left -= bytes;
        short.push(character);
    }
    short + ELLIPSIS
}

fn character_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// Counts what is written to it.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_shortened(text: &str, bytes_max: usize, expected: &str) {
        assert_eq!(shortened(text, bytes_max), expected);
    }

    #[test]
    fn what_fits_stays_and_the_rest_is_cut_between_characters() {
        check_shortened("no such image", 13, "no such image");
        check_shortened("no such image", 12, "no such i...");
        check_shortened("ääää", 7, "ää...");
        check_shortened("ääää", 6, "ä...");
        check_shortened("a\"b\"c", 6, "a\"...");
    }

    proptest! {
        #[test]
        fn a_shortened_text_fits_as_json(text in any::<String>(), bytes_max in 3_usize..300) {
            let short = shortened(&text, bytes_max);
            prop_assert!(encoded_bytes(&short) <= bytes_max + "\"\"".len(), "{short:?}");
        }

        #[test]
        fn a_text_takes_what_is_counted(text in any::<String>()) {
            prop_assert_eq!(text_bytes(&text) + "\"\"".len(), serde_json::to_string(&text).unwrap().len());
        }
    }

    #[test]
    fn every_escape_is_counted() {
        let text: String = ('\0'..='\u{ff}').collect();
        assert_eq!(text_bytes(&text) + 2, encoded_bytes(&text));
    }
}

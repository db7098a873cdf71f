//! Output of containers, made harmless for a terminal: nothing that a job writes moves the cursor, sets the title, or types.

/// Longest colour sequence that is taken for one.
const SGR_BYTES_MAX: usize = 32;
/// What ends a colour.
const RESET: &[u8] = b"\x1b[0m";

/// Whether a job's own colours are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// As it writes them.
    Shown,
    /// They are left out.
    LeftOut,
}

/// A line as a terminal may show it: text, tabs and colours as they are, anything else as `\u{1b}` and the like. The carriage return of a
/// line from Windows goes.
pub(crate) fn for_terminal(line: &[u8], colours: Colours) -> Vec<u8> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut shown = Vec::with_capacity(line.len());
    let mut coloured = false;
    let mut rest = line;
    while !rest.is_empty() {
        if let Some(length) = colour_length(rest) {
            if colours == Colours::Shown {
                shown.extend_from_slice(&rest[..length]);
                coloured = true;
            }
            rest = &rest[length..];
        } else {
            let length = rest.iter().skip(1).position(|byte| *byte == 0x1b).map_or(rest.len(), |place| place + 1);
            escape(&rest[..length], &mut shown);
            rest = &rest[length..];
        }
    }
    if coloured {
        shown.extend_from_slice(RESET);
    }
    shown
}

/// A line without any colours, as text.
pub(crate) fn text(line: &str) -> String {
    String::from_utf8_lossy(&for_terminal(line.as_bytes(), Colours::LeftOut)).into_owned()
}

/// Escapes several lines, and keeps their ends.
pub(crate) fn lines(lines: &str) -> String {
    lines.split('\n').map(text).collect::<Vec<_>>().join("\n")
}

/// Length of the colour sequence that `text` begins with: `ESC [ 1 ; 31 m`.
fn colour_length(text: &[u8]) -> Option<usize> {
    let parameters = text.strip_prefix(b"\x1b[")?;
    let length = parameters.iter().take(SGR_BYTES_MAX).position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (parameters[length] == b'm').then_some(length + 3)
}

fn escape(text: &[u8], shown: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\t' => shown.push(b'\t'),
                letter if letter.is_control() => shown.extend(letter.escape_default().to_string().bytes()),
                letter => shown.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            shown.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &[u8], expected: &str) {
        assert_eq!(String::from_utf8(for_terminal(line, Colours::Shown)).unwrap(), expected);
    }

    #[test]
    fn text_and_colours_pass() {
        check("plain\tgrün 界".as_bytes(), "plain\tgrün 界");
        check(b"from windows\r", "from windows");
        check(b"\x1b[1;31mred\x1b[m and more", "\x1b[1;31mred\x1b[m and more\x1b[0m");
        assert_eq!(for_terminal(b"\x1b[1;31mred\x1b[m", Colours::LeftOut), b"red");
    }

    #[test]
    fn nothing_drives_the_terminal() {
        check(b"50%\r100%", "50%\\r100%");
        check(b"\x1b[2J\x1b[H", "\\u{1b}[2J\\u{1b}[H");
        check(b"\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}");
        check(b"\x1b[31", "\\u{1b}[31");
        check("\u{9b}2J".as_bytes(), "\\u{9b}2J");
        check(b"\x00\xff\xfe", "\\u{0}\\xff\\xfe");
        assert_eq!(lines("a\n\x1b[2Jb\n"), "a\n\\u{1b}[2Jb\n");
    }
}

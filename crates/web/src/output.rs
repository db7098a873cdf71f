//! The output of a run for a page: the last lines of it, in the order in which they were stored.

use serde::Serialize;
use tickmesh_client::{
    tail::Tail,
    transcript::{Line, LineEnd},
};
use tickmesh_messaging::{Error, LogFilter, Mesh};

/// Lines that are shown at once.
pub(crate) const LINES_MAX: usize = 1_000;
/// Letters of a line that are shown: nobody reads on, and a thousand of the longest lines would be 64 MB.
const LETTERS_MAX: usize = 4_000;

/// One line, as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub writer: String,
    pub at: String,
    pub text: String,
    pub is_note: bool,
}

/// The last lines, and whether there are earlier ones.
pub(crate) async fn last_lines(mesh: &Mesh, filter: &LogFilter) -> Result<(Vec<Shown>, bool), Error> {
    let mut tail = Tail::read(mesh, filter, LINES_MAX, |_| true).await?;
    let (lines, earlier) = (std::mem::take(&mut tail.lines), tail.earlier);
    let unfinished = tail.unfinished();
    Ok((lines.iter().chain(&unfinished).map(shown).collect(), earlier))
}

pub(crate) fn shown(line: &Line) -> Shown {
    let writer = &line.writer;
    let again = if writer.attempt > 1 { format!(" ({})", writer.attempt) } else { String::new() };
    Shown {
        writer: format!("{}/{}{again}", writer.service, writer.replica),
        at: format!("{:.3}", line.at),
        text: plain(&line.text),
        is_note: line.end == LineEnd::Note,
    }
}

/// A line as text: without colours, with other control characters by their names.
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.trim_end_matches('\r').chars().peekable();
    let mut letters = 0;
    while let Some(letter) = rest.next() {
        letters += 1;
        if letters > LETTERS_MAX {
            shown.push_str(" ... (cut here)");
            break;
        }
        if letter == '\u{1b}' && rest.peek() == Some(&'[') {
            // The sequence ends with a letter: parameters are digits and the like.
            rest.next();
            while rest.next().is_some_and(|it| !it.is_ascii_alphabetic()) {}
        } else if letter == '\t' || !letter.is_control() {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_default());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_control_characters_have_names() {
        assert_eq!(plain(b"\x1b[1;31mred\x1b[0m\tx\r"), "red\tx");
        assert_eq!(plain(b"bell\x07"), "bell\\u{7}");
        assert_eq!(plain(b"<script>"), "<script>", "escaping is the template's");
        assert_eq!(plain(b"\x1b["), "");
        assert_eq!(plain(&[0xff]), "\u{fffd}");
        assert_eq!(plain("天".repeat(LETTERS_MAX + 1).as_bytes()), "天".repeat(LETTERS_MAX) + " ... (cut here)");
        assert_eq!(plain("天".repeat(LETTERS_MAX).as_bytes()), "天".repeat(LETTERS_MAX));
    }
}

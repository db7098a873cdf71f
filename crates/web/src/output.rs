//! The output of a run for a page: the last lines of it, in the order in which they were stored.

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use tickmesh_client::transcript::{Line, LineEnd, Transcript};
use tickmesh_messaging::{Error, LogFilter, Mesh};

/// Lines that are shown at once.
pub(crate) const LINES_MAX: usize = 1_000;

/// One line, as it is shown.
pub(crate) struct Shown {
    pub writer: String,
    pub at: String,
    pub text: String,
    pub is_note: bool,
}

/// The last lines, and whether there are earlier ones.
pub(crate) async fn last_lines(mesh: &Mesh, filter: LogFilter) -> Result<(Vec<Shown>, bool), Error> {
    let (mut transcript, mut last, mut earlier) = (Transcript::default(), VecDeque::new(), false);
    let mut keep = |lines: Vec<Line>| {
        for line in lines {
            last.push_back(line);
            if last.len() > LINES_MAX {
                last.pop_front();
                earlier = true;
            }
        }
    };
    let mut batches = mesh.logs().read(filter).await?;
    while let Some(batch) = batches.next().await.transpose()? {
        keep(transcript.fold(&batch));
    }
    keep(transcript.finish());
    Ok((last.iter().map(shown).collect(), earlier))
}

fn shown(line: &Line) -> Shown {
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
    while let Some(letter) = rest.next() {
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
    }
}

//! Gives long lines their newline back.
//!
//! The engine keeps a line of more than 16 KiB in pieces, all of one instant. Its driver `local` (20.10) gives the last piece without
//! the newline. A piece that does not fill up and is followed by one of another instant was the last of its line, and so was an
//! empty one. Only of a container's very last line nobody can tell: it is left as it comes.

use bytes::Bytes;
use jiff::Timestamp;
use tickmesh_core::message::LogStream;

use crate::engine::LogLine;

/// A piece that has this many bytes is full, and its line goes on.
const PIECE_BYTES: usize = 16 * 1024;

/// What has come of lines that have not ended, for each stream.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    stdout: Option<Timestamp>,
    stderr: Option<Timestamp>,
}

impl Pieces {
    /// The piece as it was written, and before it what the piece before had lost.
    pub(super) fn restore(&mut self, mut piece: LogLine) -> impl Iterator<Item = LogLine> + use<> {
        let ended = match piece.stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        };
        let newline = |at| LogLine { at, stream: piece.stream, output: Bytes::from_static(b"\n") };
        let lost = ended.take().filter(|at| *at != piece.at).map(newline);
        if piece.output.is_empty() {
            piece.output = Bytes::from_static(b"\n");
        }
        if !piece.output.ends_with(b"\n") && piece.output.len() != PIECE_BYTES {
            *ended = Some(piece.at);
        }
        lost.into_iter().chain([piece])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[(i64, &str)], expected: &[&str]) {
        let mut restorer = Pieces::default();
        let line = |(second, text): &(i64, &str)| LogLine {
            at: Timestamp::from_second(*second).unwrap(),
            stream: LogStream::Stdout,
            output: Bytes::copy_from_slice(text.as_bytes()),
        };
        let restored: Vec<LogLine> = pieces.iter().flat_map(|piece| restorer.restore(line(piece))).collect();
        let restored: Vec<_> = restored.iter().map(|line| String::from_utf8_lossy(&line.output)).collect();
        assert_eq!(restored, expected);
    }

    #[test]
    fn a_long_line_gets_its_newline_back() {
        let full = "x".repeat(PIECE_BYTES);
        check(&[(1, &full), (1, "end"), (2, "next\n")], &[&full, "end", "\n", "next\n"]);
        check(&[(1, &full), (1, ""), (2, "next\n")], &[&full, "\n", "next\n"]);
        check(&[(1, &full), (1, "end\n"), (2, "next\n")], &[&full, "end\n", "next\n"]);
        check(&[(1, &full), (1, "end")], &[&full, "end"]);
        check(&[(1, "a\n"), (2, "b")], &["a\n", "b"]);
    }
}

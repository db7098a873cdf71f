//! Where lines of output go: prefixed and coloured for people, byte for byte for programs.

use tickmesh_client::transcript::{Line, LineEnd, Writer};

use crate::{
    escape::{Colours, for_terminal},
    output::{Output, Screen},
    views::{Tone, paint},
};

/// Tones that tell replicas apart.
const TONES: [Tone; 4] = [Tone::Busy, Tone::Good, Tone::Unsure, Tone::Bad];

/// Whether lines say who wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// There is only one who can have, or nobody wants to know.
    None,
    /// In a column of this width.
    Width(usize),
}

/// Whether lines say when they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// They do.
    Shown,
    /// They do not.
    LeftOut,
}

/// Where lines go.
pub(super) struct Sink {
    output: Output,
    screen: Screen,
    prefix: Prefix,
    times: Times,
}

impl Sink {
    /// Prints on the program's stdout, and notes on its stderr.
    pub(super) fn new(output: Output, prefix: Prefix, times: Times) -> Self {
        Self { output, screen: output.screen(), prefix, times }
    }

    /// Prints lines, and has them on their way.
    pub(super) fn print(&self, lines: &[Line]) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            if line.end == LineEnd::Note {
                // What was before it is to be seen before it.
                self.output.raw(&std::mem::take(&mut bytes))?;
                self.output.talk(&format!("{}{}", self.prefix_of(&line.writer), String::from_utf8_lossy(&line.text)));
            } else {
                self.format(line, &mut bytes);
            }
        }
        self.output.raw(&bytes)
    }

    fn format(&self, line: &Line, bytes: &mut Vec<u8>) {
        let prefix = self.prefix_of(&line.writer);
        match self.screen {
            Screen::None | Screen::Plain => bytes.extend(anstream::adapter::strip_str(&prefix).to_string().bytes()),
            Screen::Coloured => bytes.extend(prefix.bytes()),
        }
        if self.times == Times::Shown {
            bytes.extend(format!("{} ", line.at).bytes());
        }
        match self.screen {
            Screen::None => bytes.extend_from_slice(&line.text),
            Screen::Plain => bytes.extend(for_terminal(&line.text, Colours::LeftOut)),
            Screen::Coloured => bytes.extend(for_terminal(&line.text, Colours::Shown)),
        }
        // With nothing of ours in it, a copy has the very bytes that were written.
        let is_copy = self.screen == Screen::None && self.prefix == Prefix::None && self.times == Times::LeftOut;
        if line.end == LineEnd::Newline || !is_copy {
            bytes.push(b'\n');
        }
    }

    fn prefix_of(&self, writer: &Writer) -> String {
        let Prefix::Width(width) = self.prefix else { return String::new() };
        let name = format!("{}/{}", writer.service, writer.replica);
        let again = if writer.attempt > 1 { format!(" (attempt {})", writer.attempt) } else { String::new() };
        format!("{} | ", paint(tone(writer), &format!("{name:<width$}{again}")))
    }
}

/// Returns the colour of a replica: the same wherever it is shown, and another one for its neighbours.
fn tone(writer: &Writer) -> Tone {
    let service: usize = writer.service.bytes().map(usize::from).sum();
    TONES[(service + writer.replica as usize) % TONES.len()]
}

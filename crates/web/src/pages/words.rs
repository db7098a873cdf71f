//! Small things that templates say.

use jiff::Timestamp;
use tickmesh_client::{views::Tone, when};

/// The class of a tone in the style sheet.
pub(super) fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Unsure => "unsure",
        Tone::Busy => "busy",
        Tone::Plain => "plain",
        Tone::Dim => "dim",
    }
}

/// A moment: as programs read it, and how far it is away.
pub(super) struct Moment {
    pub exact: String,
    pub relative: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { exact: format!("{at:.0}"), relative: when::relative(at, now) }
    }
}

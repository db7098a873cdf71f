//! How a state or an outcome is to be taken, wherever it is shown.

use serde::Serialize;

/// What a text says at a glance: terminals and pages have a colour for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// As it should be.
    Good,
    /// Somebody should look.
    Bad,
    /// Nobody knows.
    Unsure,
    /// Under way.
    Busy,
    /// Nothing special.
    Plain,
    /// Of no importance.
    Dim,
}

/// An outcome as a sign of one character, from its label ([`tickmesh_core::outcome::Outcome::label`]).
pub fn sign(outcome: &str) -> (&'static str, Tone) {
    match outcome {
        "succeeded" => ("✓", Tone::Good),
        "cancelled" => ("-", Tone::Dim),
        "lost" => ("?", Tone::Unsure),
        // Labels are text in the ledger: what a later release calls something else did not succeed either.
        _ => ("✗", Tone::Bad),
    }
}

/// The tone that an outcome is shown in.
pub fn outcome_tone(outcome: &str) -> Tone {
    sign(outcome).1
}

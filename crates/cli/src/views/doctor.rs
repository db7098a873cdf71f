//! What a look at a mesh has found.

use serde::Serialize;

use super::{Style, Table, Tone, View, cell};

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub name: &'static str,
    /// Whether it is as it should be.
    pub finding: Finding,
    /// What was found.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The finding that this one follows from: what mends that one mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows_from: Option<&'static str>,
}

/// Whether something is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Finding {
    Ok,
    /// It works, but something should be better.
    Warning,
    /// It does not work.
    Wrong,
}

impl Check {
    pub(crate) fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, finding: Finding::Ok, text: text.into(), hint: None, follows_from: None }
    }

    pub(crate) fn warning(name: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, finding: Finding::Warning, text: text.into(), hint: Some(hint.into()), follows_from: None }
    }

    pub(crate) fn wrong(name: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, finding: Finding::Wrong, text: text.into(), hint: Some(hint.into()), follows_from: None }
    }
}

/// All that was looked at.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct DoctorView(pub Vec<Check>);

impl View for DoctorView {
    fn text(&self, _style: &Style) -> String {
        let mut table = Table::new(vec!["CHECK", "FINDING", "WHAT"]);
        for check in &self.0 {
            let (finding, tone) = match check.finding {
                Finding::Ok => ("ok", Tone::Good),
                Finding::Warning => ("warning", Tone::Unsure),
                Finding::Wrong => ("WRONG", Tone::Bad),
            };
            let text = match (&check.hint, check.follows_from) {
                (_, Some(cause)) => format!("{} (follows from {cause})", check.text),
                (Some(hint), None) => format!("{} ({hint})", check.text),
                (None, None) => check.text.clone(),
            };
            table.row(vec![cell(check.name, Tone::Plain), cell(finding, tone), cell(text, Tone::Plain)]);
        }
        table.into_text()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|check| check.name.to_owned()).collect()
    }
}

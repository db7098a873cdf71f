//! What people say of an app to each other: tags, owner, description.

/// What people say of an app to each other. No decision looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// What the app is for, in one line.
    pub description: Option<String>,
    /// Who answers for the app.
    pub owner: Option<String>,
    /// Words by which lists are filtered, in the order of the file, each once.
    pub tags: Vec<String>,
}

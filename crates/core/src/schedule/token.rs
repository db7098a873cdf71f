//! Pieces of an expression, each with its place.

/// A piece of the expression that knows where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// Number of its first character, from 1. Only ASCII is cut into tokens, so bytes are characters.
    pub(super) column: usize,
}

impl<'a> Token<'a> {
    /// What stands before and after the first `separator`.
    pub(super) fn split_once(self, separator: char) -> (Self, Option<Self>) {
        match self.text.split_once(separator) {
            Some((before, after)) => {
                let column = self.column + before.len() + 1;
                (Token { text: before, ..self }, Some(Token { text: after, column }))
            }
            None => (self, None),
        }
    }

    /// The pieces between separators, empty ones included.
    pub(super) fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let mut column = self.column;
        self.text.split(separator).map(move |text| {
            let token = Token { text, column };
            column += text.len() + 1;
            token
        })
    }
}

//! What the engine tells of the end of a container besides its exit code.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is to be said about the end of a container, whatever its exit code. Stored as a list of words; a word that a later
/// release writes is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndNotes {
    /// The kernel killed a process of the container for want of memory: any of them, and not always the one that counts.
    pub oom_killed: bool,
    /// Its health check failed when it ended.
    pub unhealthy: bool,
}

const OOM_KILLED: &str = "oom_killed";
const UNHEALTHY: &str = "unhealthy";

impl EndNotes {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What there is to say beside an outcome that may say a part of it.
    pub fn beside(self, says_out_of_memory: bool) -> Self {
        Self { oom_killed: self.oom_killed && !says_out_of_memory, ..self }
    }

    fn words(self) -> impl Iterator<Item = &'static str> {
        [(self.oom_killed, OOM_KILLED), (self.unhealthy, UNHEALTHY)]
            .into_iter()
            .filter_map(|(is_so, word)| is_so.then_some(word))
    }
}

/// For people.
impl fmt::Display for EndNotes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = [
            (self.oom_killed, "a process of it was killed for want of memory"),
            (self.unhealthy, "its health check failed"),
        ];
        let texts = texts.into_iter().filter_map(|(is_so, text)| is_so.then_some(text));
        formatter.write_str(&texts.collect::<Vec<_>>().join("; "))
    }
}

impl Serialize for EndNotes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.words())
    }
}

impl<'de> Deserialize<'de> for EndNotes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        let says = |word: &str| words.iter().any(|it| it == word);
        Ok(Self { oom_killed: says(OOM_KILLED), unhealthy: says(UNHEALTHY) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_stored_as_words_and_read_back() {
        for (oom_killed, unhealthy, stored) in
            [(false, false, "[]"), (true, false, r#"["oom_killed"]"#), (true, true, r#"["oom_killed","unhealthy"]"#)]
        {
            let notes = EndNotes { oom_killed, unhealthy };
            assert_eq!(serde_json::to_string(&notes).unwrap(), stored);
            assert_eq!(serde_json::from_str::<EndNotes>(stored).unwrap(), notes);
        }
    }

    #[test]
    fn a_word_of_a_later_release_is_passed_over() {
        let read: EndNotes = serde_json::from_str(r#"["frozen","unhealthy"]"#).unwrap();
        assert_eq!(read, EndNotes { oom_killed: false, unhealthy: true });
        assert_eq!(read.to_string(), "its health check failed");
    }
}

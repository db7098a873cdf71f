//! A file on the host that jobs append to: the judge of what really ran.

use std::{collections::BTreeMap, fs, path::Path};

use tempfile::TempDir;

/// One line of a job: which replica of which run it was, in which attempt, and what it has to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Number of the run.
    pub run: u64,
    /// Index of the replica.
    pub replica: u32,
    /// Number of the attempt.
    pub attempt: u32,
    /// The rest of the line, such as `start` or `end`.
    pub word: String,
}

/// The folder that jobs see as `/journal`.
#[derive(Debug)]
pub struct Journal {
    folder: TempDir,
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal {
    /// An empty journal.
    ///
    /// # Panics
    ///
    /// If no folder can be made.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("make a folder for the journal") }
    }

    /// The folder on the host.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The volume line of a compose file.
    pub fn volume(&self) -> String {
        format!("{}:/journal", self.folder().display())
    }

    /// The shell command with which a job writes a line.
    pub fn write(word: &str) -> String {
        format!("echo $TICKMESH_RUN $TICKMESH_REPLICA $TICKMESH_ATTEMPT {word} >> /journal/lines")
    }

    /// All lines so far.
    ///
    /// # Panics
    ///
    /// If a line is damaged.
    pub fn lines(&self) -> Vec<Line> {
        let text = fs::read_to_string(self.folder().join("lines")).unwrap_or_default();
        text.lines().map(parse).collect()
    }

    /// The lines with this word.
    pub fn with(&self, word: &str) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.word == word).collect()
    }

    /// Every attempt began at most once: no attempt had two containers.
    ///
    /// # Panics
    ///
    /// If one began twice.
    pub fn assert_no_attempt_twice(&self) {
        let mut starts: BTreeMap<(u64, u32, u32), u32> = BTreeMap::new();
        for line in self.with("start") {
            *starts.entry((line.run, line.replica, line.attempt)).or_default() += 1;
        }
        let twice: Vec<_> = starts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "attempts that began more than once: {twice:?}");
    }
}

fn parse(line: &str) -> Line {
    let mut words = line.split(' ');
    let mut number =
        || words.next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("damaged line {line:?}"));
    let (run, replica, attempt) = (number(), number(), number());
    let narrow = |number: u64| u32::try_from(number).unwrap_or_else(|_| panic!("damaged line {line:?}"));
    Line { run, replica: narrow(replica), attempt: narrow(attempt), word: words.collect::<Vec<_>>().join(" ") }
}

//! Lives of containers, as something outside tickmesh saw them: an engine that keeps a journal, or the events of Docker.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::Arc,
};

use jiff::Timestamp;

/// The attempt that a container is of, by its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    pub app: String,
    /// Number of the run.
    pub run: u64,
    /// Uid of the run.
    pub uid: String,
    pub service: String,
    /// Index of the replica.
    pub replica: u32,
    /// Number of the attempt.
    pub number: u32,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// What it is of.
    pub attempt: Attempt,
    /// Where it ran.
    pub host: String,
    /// When it started.
    pub started: Timestamp,
    /// When and how it ended; `None`: it was not seen to.
    pub ended: Option<(Timestamp, End)>,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exited,
    /// Somebody ended it.
    Killed,
}

impl Attempt {
    /// Reads it from a container's labels.
    pub fn from_labels<'a>(label: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let text = |name: &str| label(&format!("io.tickmesh.{name}"));
        Some(Self {
            app: text("app")?.to_owned(),
            run: text("run")?.parse().ok()?,
            uid: text("uid")?.to_owned(),
            service: text("service")?.to_owned(),
            replica: text("replica")?.parse().ok()?,
            number: text("attempt")?.parse().ok()?,
        })
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, run, uid, service, replica, number } = self;
        write!(formatter, "{app} {run} {uid} {service} {replica} {number}")
    }
}

/// What the journal says of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Start,
    /// It has ended by itself.
    Exit,
    /// It was ended.
    Kill,
}

impl Word {
    const ALL: [Self; 3] = [Self::Start, Self::Exit, Self::Kill];

    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Exit => "exit",
            Self::Kill => "kill",
        }
    }
}

/// The journal, for an engine that writes it. Several processes may write to one file.
#[derive(Debug, Clone)]
pub struct Writer {
    file: Arc<File>,
    host: String,
}

impl Writer {
    /// Appends to a file, in the name of a host.
    ///
    /// # Panics
    ///
    /// If it cannot be opened.
    pub fn open(path: &Path, host: &str) -> Self {
        let file = File::options().create(true).append(true).open(path).expect("open the journal");
        Self { file: Arc::new(file), host: host.to_owned() }
    }

    /// Writes a line, in one call, so that no two are ever mixed.
    ///
    /// # Panics
    ///
    /// If it cannot be written: a journal with a gap would judge wrongly.
    pub fn write(&self, labels: &BTreeMap<String, String>, word: Word) {
        let attempt = Attempt::from_labels(|name| labels.get(name).map(String::as_str));
        let attempt = attempt.unwrap_or_else(|| panic!("a container without an attempt: {labels:?}"));
        let line = format!("{} {} {attempt} {}\n", Timestamp::now(), self.host, word.as_str());
        (&*self.file).write_all(line.as_bytes()).expect("write the journal");
    }
}

/// The lives in a journal.
///
/// # Panics
///
/// If a line is damaged.
pub fn read(path: &Path) -> Vec<Life> {
    parse(&fs::read_to_string(path).unwrap_or_default())
}

/// The lives in the text of a journal.
///
/// # Panics
///
/// If a line is damaged.
pub fn parse(text: &str) -> Vec<Life> {
    let mut lives: Vec<Life> = Vec::new();
    // The containers that run, by attempt and host.
    let mut running: BTreeMap<(Attempt, String), Vec<usize>> = BTreeMap::new();
    for line in text.lines() {
        let (at, host, attempt, word) = parse_line(line).unwrap_or_else(|| panic!("damaged line {line:?}"));
        let same = running.entry((attempt.clone(), host.clone())).or_default();
        let end = match word {
            Word::Start => {
                same.push(lives.len());
                lives.push(Life { attempt, host, started: at, ended: None });
                continue;
            }
            Word::Exit => End::Exited,
            Word::Kill => End::Killed,
        };
        let index = same.pop().unwrap_or_else(|| panic!("an end without a start: {line:?}"));
        lives[index].ended = Some((at, end));
    }
    lives
}

fn parse_line(line: &str) -> Option<(Timestamp, String, Attempt, Word)> {
    let words: Vec<_> = line.split(' ').collect();
    let [at, host, app, run, uid, service, replica, number, word] = words[..] else { return None };
    let attempt = Attempt {
        app: app.to_owned(),
        run: run.parse().ok()?,
        uid: uid.to_owned(),
        service: service.to_owned(),
        replica: replica.parse().ok()?,
        number: number.parse().ok()?,
    };
    let word = Word::ALL.into_iter().find(|known| known.as_str() == word)?;
    Some((at.parse().ok()?, host.to_owned(), attempt, word))
}

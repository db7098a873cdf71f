//! What runs containers, as the agent sees it: a dozen verbs, and the errors that callers branch on.
//!
//! The trait has two kinds of implementation: [`docker::Docker`], and the engines of tests, which fake containers or crash
//! between two steps. It is deliberately small, and its contract is stricter than Docker's own API: an answer "already so"
//! (stopped, removed) is success, and [`ContainerEngine::start`] never runs a container that has run before.

pub mod docker;

use std::{collections::BTreeMap, fmt, future::Future, time::Duration};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tickmesh_core::{
    end_notes::EndNotes,
    message::{EngineStock, LogStream, PullProgress},
    spec::ContainerSpec,
};
use tokio::sync::watch;

/// The engine's own name of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerId(pub String);

impl fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// What an engine says of itself and its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// What tells it from other engines.
    pub id: String,
    /// Version, for people.
    pub version: String,
    /// Cores of the host.
    pub cores: u32,
    /// Memory of the host, in bytes.
    pub memory_bytes: u64,
}

/// An image that a container is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// Its reference.
    pub name: String,
    /// The platform that it must be for; `None`: that of the host.
    pub platform: Option<String>,
}

impl Image {
    /// Returns the image of a container.
    pub fn of(container: &ContainerSpec) -> Self {
        Self { name: container.image.clone(), platform: container.platform.clone() }
    }
}

impl From<&str> for Image {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), platform: None }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.platform {
            Some(platform) => write!(formatter, "`{}` for {platform}", self.name),
            None => write!(formatter, "`{}`", self.name),
        }
    }
}

/// What a network of an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkKind {
    /// The network of the host itself, by whatever name or id it was asked for.
    Host,
    /// Another one.
    Own,
}

/// A container to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRequest {
    /// Its name: made from the attempt, so that an attempt can never have two.
    pub name: String,
    /// Its labels, ours and the user's.
    pub labels: BTreeMap<String, String>,
    /// Its environment, ours and the user's.
    pub environment: BTreeMap<String, String>,
    /// Everything else. Labels and environment in here are already part of those above.
    pub spec: ContainerSpec,
}

/// A container that the engine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerView {
    pub id: ContainerId,
    pub name: String,
    /// Its labels, those of its image included.
    pub labels: BTreeMap<String, String>,
    /// Whether the labels by which it was listed are known to be its own. A container of an image that was made from another
    /// container (`docker commit`) has the labels of that one. Not looked into where the name is the one that they give.
    pub labels_are_own: bool,
    /// What it is doing.
    pub status: ContainerStatus,
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerStatus {
    /// It was created and has never run.
    Created,
    /// It has a process (paused counts: the process is there).
    Running,
    /// Its process ended.
    Exited(ExitState),
    /// It is on its way out: somebody removed it.
    Removing,
}

/// How a container's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitState {
    /// Exit code; 128 + signal number after a signal.
    pub code: i64,
    /// The kernel killed a process of the container for want of memory. A hint: the main process may have exited with 0.
    pub oom_killed: bool,
    /// The container's health check failed when it ended.
    pub unhealthy: bool,
    /// When the process began, by the engine's clock.
    pub started_at: Option<Timestamp>,
    /// When it ended, by the engine's clock.
    pub finished_at: Option<Timestamp>,
}

impl ExitState {
    /// What the engine tells of the end besides its exit code.
    pub fn notes(&self) -> EndNotes {
        EndNotes { oom_killed: self.oom_killed, unhealthy: self.unhealthy }
    }
}

/// What a container wrote: a line, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the engine got it.
    pub at: Timestamp,
    /// Where it was written.
    pub stream: LogStream,
    /// The bytes, with the newline.
    pub output: Bytes,
}

/// Which of a container's output is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excerpt {
    /// What there is and what comes, until the container ends.
    Follow {
        /// Only what the engine got at this instant or later.
        from: Option<Timestamp>,
    },
    /// What there is.
    Stored {
        /// Only what the engine got at this instant or later.
        from: Option<Timestamp>,
    },
    /// The end of what there is.
    Last {
        /// This many lines; a piece of a long one counts as one.
        lines: u32,
    },
}

/// Why the engine did not do it. Callers branch on the variant; what was attempted is in the text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such container.
    #[error("cannot {attempted}: the container does not exist")]
    NotFound {
        /// What was attempted, on what.
        attempted: String,
    },
    /// The image is not there.
    #[error("cannot {attempted}: the engine does not have the image")]
    NoSuchImage {
        /// What was attempted, on what.
        attempted: String,
    },
    /// Another container has that name.
    #[error("cannot {attempted}: the name is taken")]
    NameTaken {
        /// What was attempted, on what.
        attempted: String,
    },
    /// The engine or the registry refused: there will not be a process.
    #[error("cannot {attempted}: {message}")]
    CouldNotStart {
        /// What was attempted, on what.
        attempted: String,
        /// What it said.
        message: String,
    },
    /// The engine did not answer. Whether it did what was asked is unknown.
    #[error("cannot {attempted}: the engine does not answer")]
    Unavailable {
        /// What was attempted, on what.
        attempted: String,
        /// What happened instead.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Labels that every container of a list carries, with their values.
pub type LabelFilter = BTreeMap<String, String>;

/// Something that runs containers.
pub trait ContainerEngine: Clone + Send + Sync + 'static {
    /// Checks that the engine answers, and says what it offers.
    fn describe(&self) -> impl Future<Output = Result<EngineInfo, Error>> + Send;

    /// Checks that the engine answers and could run something, and says what it has.
    fn probe(&self) -> impl Future<Output = Result<EngineStock, Error>> + Send;

    /// Whether the host's paths, as the engine mounts them, are those that this process sees.
    fn shares_files(&self) -> bool;

    /// The path of the host that stands behind a volume of this name, if somebody made it as a bind of one.
    fn path_of_volume(&self, name: &str) -> impl Future<Output = Result<Option<String>, Error>> + Send;

    /// Says whether the engine has a volume of this name.
    fn volume_present(&self, name: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Returns what the network with this name or id is; `None`: the engine has none.
    fn network(&self, name: &str) -> impl Future<Output = Result<Option<NetworkKind>, Error>> + Send;

    /// Whether the engine has the image.
    fn image_present(&self, image: &Image) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Brings the image from its registry. How far it has come is told to `progress`. Dropping the future gives up.
    fn pull(
        &self,
        image: &Image,
        progress: &watch::Sender<PullProgress>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Creates a container, without starting it.
    fn create(&self, request: &ContainerRequest) -> impl Future<Output = Result<ContainerId, Error>> + Send;

    /// Connects a created container to the networks of its request beyond the first, with which it
    /// was created. A network to which it is connected already is success.
    fn connect(&self, id: &ContainerId, request: &ContainerRequest) -> impl Future<Output = Result<(), Error>> + Send;

    /// The container of that name.
    fn find(&self, name: &str) -> impl Future<Output = Result<ContainerView, Error>> + Send;

    /// Starts a container that was created and never ran; one that runs already is left alone. One that has exited is
    /// refused with [`Error::CouldNotStart`], since starting it would run it again.
    fn start(&self, id: &ContainerId) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits until a started container does not run any more. [`Error::Unavailable`] means that nobody watched for a moment:
    /// the caller asks again. [`Error::NotFound`]: it was removed.
    fn wait(&self, id: &ContainerId) -> impl Future<Output = Result<ExitState, Error>> + Send;

    /// What a container is doing.
    fn inspect(&self, id: &ContainerId) -> impl Future<Output = Result<ContainerView, Error>> + Send;

    /// How long ago a container's process began, by the engine's clock. A container without a process began just now.
    fn running_for(&self, id: &ContainerId) -> impl Future<Output = Result<Duration, Error>> + Send;

    /// What a container writes, in the order in which the engine got it. A line is whole, or a piece of a long one.
    fn logs(&self, id: &ContainerId, excerpt: Excerpt) -> BoxStream<'static, Result<LogLine, Error>>;

    /// Stops a container the way it was created to be stopped: its stop signal, and SIGKILL after its grace. Success means
    /// that the container does not run; one that is gone is success too.
    fn stop(&self, id: &ContainerId) -> impl Future<Output = Result<(), Error>> + Send;

    /// Kills the container's process, without grace. `false`: it has none, or is gone.
    fn kill(&self, id: &ContainerId) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Kills and removes the container, with its anonymous volumes. One that is gone is success.
    fn remove(&self, id: &ContainerId) -> impl Future<Output = Result<(), Error>> + Send;

    /// The containers that carry all those labels and have not ended: a short list also where many are kept.
    fn list_unended(&self, filter: &LabelFilter) -> impl Future<Output = Result<Vec<ContainerView>, Error>> + Send;

    /// Every container, whatever its state, that carries all those labels.
    fn list(&self, filter: &LabelFilter) -> impl Future<Output = Result<Vec<ContainerView>, Error>> + Send;
}

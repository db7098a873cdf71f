//! What can go wrong between this process and NATS.

use std::fmt;

use tickmesh_core::{message::SCHEMA, name::AppName};

use crate::{limits::BODY_BYTES_MAX, login, marks::Loss, nodes::is_leaderless};

/// Whatever the client library reports.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why something on NATS did not work.
///
/// A lost compare-and-set is no error: see [`crate::Cas::Refused`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to log in with: a file is missing or damaged, or a credential has expired.
    #[error("failed to log in to NATS")]
    Login {
        /// What is wrong with which file.
        #[source]
        source: login::Refused,
    },
    /// The server does not know whoever connects, or not by this proof.
    #[error("NATS at `{url}` does not let in {login}")]
    LoginRefused {
        /// Where, without credentials.
        url: String,
        /// Who, and proved how.
        login: String,
    },
    /// No server answered in time, or it refused us.
    #[error("failed to connect to NATS at `{url}`")]
    Unreachable {
        /// Where, without credentials.
        url: String,
        /// What the client said.
        #[source]
        source: Source,
    },
    /// The server lacks what tickmesh relies on.
    #[error("NATS at `{url}` is too old: needs >= {needed}, found {found}")]
    ServerTooOld {
        /// Where, without credentials.
        url: String,
        /// Oldest version that will do.
        needed: &'static str,
        /// The server's version.
        found: String,
    },
    /// The server runs without JetStream, or the account may not use it.
    #[error("NATS at `{url}` offers no JetStream to this account")]
    NoJetStream {
        /// Where, without credentials.
        url: String,
        /// What the server said.
        #[source]
        source: Source,
    },
    /// JetStream has no leader that the server hears: a cluster elects one, or the server is cut off from it.
    #[error("no leader of JetStream is known to NATS at `{url}`")]
    NoJetStreamLeader {
        /// Where, without credentials.
        url: String,
        /// What the server said.
        #[source]
        source: Source,
    },
    /// The server has no mesh of this namespace.
    #[error("there is no mesh `{namespace}` on this NATS")]
    NotProvisioned { namespace: String },
    /// A scheduler knows a mesh of this namespace, and its store is lost.
    #[error(
        "the store of mesh `{namespace}` is lost: a scheduler has seen it, and nobody fills it before it is restored"
    )]
    StoreLost { namespace: String },
    /// The server has too little room for the streams of the mesh. None was made that was not there.
    #[error("NATS has too little room for the mesh: {shortage}")]
    NoRoom {
        /// What there is too little of.
        shortage: String,
    },
    /// A stream could not be made or changed.
    #[error("failed to provision stream `{stream}`")]
    Provision {
        stream: String,
        /// What the server said.
        #[source]
        source: Source,
    },
    /// Somebody else's stream has the name of one of ours.
    #[error("stream `{stream}` exists, but holds other subjects: {subjects}")]
    ForeignStream {
        stream: String,
        /// What it holds.
        subjects: String,
    },
    /// Somebody has given a stream a setting under which messages get lost that must be kept.
    #[error("stream `{stream}` has {setting} {found}, and must have {wanted}: change it with `nats stream edit`")]
    ForeignSetting {
        stream: String,
        /// The setting, as NATS's own tools call it.
        setting: &'static str,
        /// What it has.
        found: String,
        /// What it must have.
        wanted: String,
    },
    /// A stream was removed under our feet.
    #[error("stream `{stream}` does not exist any more")]
    StreamGone { stream: String },
    /// A stream is not what it was: stored messages were lost, or it was made anew.
    #[error("stored data was lost: {0}")]
    StateLost(Loss),
    /// Another process receives from the queue now.
    #[error("another process receives from stream `{stream}` now")]
    Superseded { stream: String },
    /// This process has closed the connection: see [`crate::Mesh::close`].
    #[error("the connection to NATS was closed while stream `{stream}` was read")]
    Closed { stream: String },
    /// The server did not answer in time, or refused. **The outcome of a write is unknown**: it may still be stored.
    #[error("failed to {action}")]
    Unavailable {
        /// What was attempted, and on what.
        action: String,
        /// What the client said last.
        #[source]
        source: Source,
    },
    /// The server does not allow it to this login, and nothing of it was stored.
    #[error("failed to {action}: NATS answered: {denial}")]
    Denied {
        /// What was attempted, and on what.
        action: String,
        /// In the server's words: what is missing.
        denial: String,
    },
    /// What is stored cannot be understood by this release.
    #[error("failed to read `{key}` at sequence {sequence}")]
    Unreadable {
        /// Key or subject.
        key: String,
        /// Where in the stream.
        sequence: u64,
        #[source]
        source: Unreadable,
    },
    /// Nothing was sent: another edit would push out the schedule that was in force, which the next leader has to account for.
    #[error("app `{app}` was edited {edits} times and no scheduler has taken it up: start one, and try again")]
    TooManyEdits {
        app: AppName,
        /// Edits that wait for a leader.
        edits: usize,
    },
    /// Nothing was sent: the record has no JSON form.
    #[error("failed to encode `{key}`")]
    Encode {
        /// Key or subject.
        key: String,
        #[source]
        source: serde_json::Error,
    },
    /// Nothing was sent: a record must fit into one message.
    #[error("`{key}` would have {bytes} bytes, but may have {limit}")]
    TooLarge {
        /// Key or subject.
        key: String,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
}

impl Error {
    pub(crate) fn unavailable(action: impl Into<String>, source: impl Into<Source>) -> Self {
        let (action, source) = (action.into(), source.into());
        match source.downcast::<NoAnswer>() {
            Ok(answer) => match *answer {
                NoAnswer::Denied(denial) => Self::Denied { action, denial },
                late @ NoAnswer::Late(_) => Self::Unavailable { action, source: late.into() },
            },
            Err(source) => Self::Unavailable { action, source },
        }
    }

    pub(crate) fn no_jetstream(url: String, source: Source) -> Self {
        if is_leaderless(&source) {
            return Self::NoJetStreamLeader { url, source };
        }
        match Self::unavailable("ask NATS for JetStream", source) {
            Self::Unavailable { source, .. } => Self::NoJetStream { url, source },
            denied => denied,
        }
    }

    /// Returns the sequence of a record that stands in the way and cannot be read. Whoever alone writes in its place may
    /// write over it: a later release that did so would have waited until all can read what it writes.
    pub fn unreadable_at(&self) -> Option<u64> {
        match self {
            Self::Unreadable { sequence, .. } => Some(*sequence),
            Self::Login { .. }
            | Self::LoginRefused { .. }
            | Self::Unreachable { .. }
            | Self::ServerTooOld { .. }
            | Self::NoJetStream { .. }
            | Self::NoJetStreamLeader { .. }
            | Self::NotProvisioned { .. }
            | Self::StoreLost { .. }
            | Self::NoRoom { .. }
            | Self::Provision { .. }
            | Self::ForeignStream { .. }
            | Self::ForeignSetting { .. }
            | Self::StreamGone { .. }
            | Self::StateLost(_)
            | Self::Superseded { .. }
            | Self::Closed { .. }
            | Self::Unavailable { .. }
            | Self::Denied { .. }
            | Self::TooManyEdits { .. }
            | Self::Encode { .. }
            | Self::TooLarge { .. } => None,
        }
    }

    /// Whether there is no mesh of this namespace.
    pub fn is_not_provisioned(&self) -> bool {
        matches!(self, Self::NotProvisioned { .. })
    }

    /// Whether the same call may succeed later, without anybody changing anything.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Denied { .. })
    }

    /// Whether the same call may succeed later without this process being restarted, maybe after somebody has mended the mesh: a
    /// stream that is gone is made anew, rights are given, and who has to run on meanwhile goes on asking.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Denied { .. } | Self::StreamGone { .. } | Self::StateLost(_))
    }
}

/// Why stored bytes are not a record that this release understands.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Written by a later release. Its fields may mean something else, so it is not even tried.
    #[error("schema {found} is newer than {SCHEMA}, the newest that this release knows")]
    NewerSchema {
        /// The record's schema.
        found: u32,
    },
    /// Not the JSON of this record.
    #[error("not a valid record{field}")]
    Json {
        field: Field,
        #[source]
        source: Problem,
    },
    /// Larger than anything that tickmesh stores.
    #[error("the record has {bytes} bytes, more than any that tickmesh stores ({BODY_BYTES_MAX})")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Deleted with another tool. tickmesh never deletes a record.
    #[error("the record was deleted by another program")]
    Deleted,
    /// The body is about something else than the subject that carries it.
    #[error("the body does not belong on this subject")]
    Misplaced,
}

impl Unreadable {
    /// Whether a later release wrote it, and can read it.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::NewerSchema { .. })
    }
}

/// The part of a record that cannot be read, such as `held[3].run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(pub(crate) String);

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            // The whole, or where a reader has to look at a part as a whole.
            "" | "." | "?" => Ok(()),
            field => write!(formatter, ": field `{field}`"),
        }
    }
}

/// What is wrong with the part of a record that cannot be read. Quotes the beginning of what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub(crate) String);

/// Returns an error with its causes, as one line of a log.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl NoAnswer {
    /// Whether the server said so.
    pub(crate) fn is_denial(&self) -> bool {
        matches!(self, Self::Denied(_))
    }
}

/// There will be no answer, or none in time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// A deadline of ours passed before it came.
    #[error("no answer within {0:?}")]
    Late(std::time::Duration),
    /// The server does not allow the request.
    #[error("NATS answered: {0}")]
    Denied(String),
}

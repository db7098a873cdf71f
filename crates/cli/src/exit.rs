//! How a command ended, as its exit code says it, and the one place that says what went wrong.

use std::{fmt::Write, process::ExitCode};

use tickmesh_messaging::Error as MeshError;

use crate::output::Closed;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: it did what was asked.
    Success,
    /// 1: it did not, or the run that it waited for did not succeed.
    Failed,
    /// 2: what was asked makes no sense: a bad file, an unknown app.
    BadInput,
    /// 3: the mesh, or the container engine, cannot be reached.
    Unreachable,
    /// 4: another agent has the name of the one that was to be started. To start it again does not help.
    NameTaken,
    /// 130: the user pressed Ctrl-C while it waited for something that goes on.
    Interrupted,
    /// The exit code of the only container of a run.
    Container(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::BadInput => 2,
            Self::Unreachable => 3,
            Self::NameTaken => 4,
            Self::Interrupted => 130,
            Self::Container(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Something that the caller got wrong, and what to do instead.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct BadInput {
    message: String,
    hint: Option<String>,
}

impl BadInput {
    /// `message` names what is wrong.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds the way out.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Something outside that is needed, is not there, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Missing {
    message: String,
    hint: String,
}

impl Missing {
    /// `message` names what is missing, `hint` the way to get it.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// What an error means to the caller: the exit code, and a hint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// How the command ended.
    pub exit: Exit,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Judgement {
    /// Judges by the first cause that has an opinion.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(judge).unwrap_or(Self { exit: Exit::Failed, hint: None })
    }
}

fn judge(cause: &(dyn std::error::Error + 'static)) -> Option<Judgement> {
    if cause.is::<Closed>() {
        return Some(Judgement { exit: Exit::Success, hint: None });
    }
    if let Some(bad) = cause.downcast_ref::<BadInput>() {
        return Some(Judgement { exit: Exit::BadInput, hint: bad.hint.clone() });
    }
    if let Some(missing) = cause.downcast_ref::<Missing>() {
        return Some(Judgement { exit: Exit::Unreachable, hint: Some(missing.hint.clone()) });
    }
    if cause.downcast_ref::<tickmesh_agent::Error>().is_some_and(tickmesh_agent::Error::is_name_taken) {
        let hint = "give this one a name of its own with --name";
        return Some(Judgement { exit: Exit::NameTaken, hint: Some(hint.to_owned()) });
    }
    cause.downcast_ref::<MeshError>().map(judge_mesh)
}

fn judge_mesh(error: &MeshError) -> Judgement {
    let (exit, hint) = match error {
        MeshError::Unreachable { url, .. } if is_own_host(url) => {
            (Exit::Unreachable, Some("start it with `tickmesh up`, or set --nats"))
        }
        // A mesh of its own on this host is not what somebody wants who names another one.
        MeshError::Unreachable { .. } => {
            (Exit::Unreachable, Some("look after the NATS servers: `tickmesh doctor` looks at each of them"))
        }
        MeshError::NotProvisioned { .. } => {
            (Exit::Unreachable, Some("`tickmesh scheduler` makes it; or set --namespace to one that exists"))
        }
        MeshError::NoJetStream { .. } => (
            Exit::Unreachable,
            Some("start nats-server with --jetstream; one whose disk was full is to be restarted once there is room"),
        ),
        MeshError::NoJetStreamLeader { .. } => (
            Exit::Unreachable,
            Some(
                "a cluster elects one within seconds: try again; if it stays so, `tickmesh doctor` says which servers are down \
                 or cut off",
            ),
        ),
        MeshError::ServerTooOld { .. } => {
            (Exit::Unreachable, Some("install nats-server 2.11 or newer from https://nats.io/download"))
        }
        MeshError::Unavailable { .. } | MeshError::StreamGone { .. } => (Exit::Unreachable, None),
        MeshError::NoRoom { .. } => (
            Exit::Failed,
            Some(
                "raise the limits of the NATS account, or `max_file_store` of the server, or remove what else it stores",
            ),
        ),
        MeshError::StateLost(_) | MeshError::StoreLost { .. } => {
            (Exit::Failed, Some("`tickmesh doctor` says what to do"))
        }
        MeshError::Denied { .. } => (Exit::Failed, Some("give the NATS login of this process that permission")),
        MeshError::LoginRefused { .. } => {
            (Exit::Failed, Some("log in with --nats-user, --nats-token-file, --nats-nkey, --nats-cert or --creds"))
        }
        MeshError::Login { .. } | MeshError::TooLarge { .. } | MeshError::TooManyEdits { .. } => (Exit::BadInput, None),
        MeshError::Provision { .. }
        | MeshError::ForeignStream { .. }
        | MeshError::ForeignSetting { .. }
        | MeshError::Superseded { .. }
        | MeshError::Closed { .. }
        | MeshError::Unreadable { .. }
        | MeshError::Encode { .. } => (Exit::Failed, None),
    };
    Judgement { exit, hint: hint.map(str::to_owned) }
}

/// Whether an address is one server of this host.
fn is_own_host(url: &str) -> bool {
    let host = url.rsplit("://").next().unwrap_or(url);
    !url.contains(',') && ["127.", "localhost", "[::1]"].iter().any(|own| host.starts_with(own))
}

/// An error with its causes, on one line. A cause that only repeats what its effect said already is left out.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            // Writing to a string cannot fail.
            let _written = write!(text, ": {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[track_caller]
    fn check(error: impl Into<anyhow::Error>, exit: Exit, hint: Option<&str>) {
        let error = error.into();
        let expected = Judgement { exit, hint: hint.map(str::to_owned) };
        assert_eq!(Judgement::of(&error), expected, "{error:#}");
    }

    #[test]
    fn the_cause_decides_the_exit_code_however_deep_it_is() {
        check(anyhow::anyhow!("no idea"), Exit::Failed, None);
        check(BadInput::new("no app `x`").hint("apply it"), Exit::BadInput, Some("apply it"));
        let deep: anyhow::Result<()> = Err(BadInput::new("no app `x`")).context("show it").context("help");
        check(deep.unwrap_err(), Exit::BadInput, None);
        check(Missing::new("no engine", "start it"), Exit::Unreachable, Some("start it"));
        let too_large = MeshError::TooLarge { key: "a".to_owned(), bytes: 2, limit: 1 };
        check(too_large, Exit::BadInput, None);
        check(Closed, Exit::Success, None);
    }

    #[test]
    fn causes_are_on_one_line_and_not_repeated() {
        let error =
            anyhow::anyhow!("connection refused").context("NATS said: connection refused").context("cannot reach");
        assert_eq!(chain(&error), "cannot reach: NATS said: connection refused");
    }
}

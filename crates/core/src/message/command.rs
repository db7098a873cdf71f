//! What people ask of the leader, on `command.<app>`.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{RequestId, RunNumber},
    name::AppName,
};

/// What a person asks of the leader. Durable: it waits while no scheduler lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Schema version.
    pub schema: u32,
    /// Sent again, a command has the same id.
    pub request: RequestId,
    /// The app it is about.
    pub app: AppName,
    /// Revision of the app in `apps` that the sender saw: the leader first gets there.
    pub app_revision: u64,
    /// Who asks, for people: `user@host`.
    pub by: String,
    /// The sender's clock, for people.
    pub at: Timestamp,
    /// What is asked.
    pub kind: CommandKind,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum CommandKind {
    /// Run the app now.
    Run(RunRequest),
    /// Stop a run.
    Cancel {
        /// The run; `None`: every active one.
        run: Option<RunNumber>,
        /// End the run now, whatever its agents still have to say. An older scheduler ignores this
        /// and stops the run.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Run again what did not succeed in a run that has ended.
    Retry {
        /// The run.
        run: RunNumber,
    },
    /// Decide no instants, and start nothing that waits, until [`CommandKind::Resume`].
    Pause,
    /// Go on.
    Resume,
    /// Throw away what waits.
    Flush,
}

/// Changes to one manual run. The values of variables may be secrets: they are in the command, in
/// the ledger and in orders, where a run or its retry needs them, and nowhere else.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunRequest {
    /// Environment variables added to every container, or replacing those of the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Replaces the command of every service, when not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
}

/// Without the values of variables: this is for logs.
impl fmt::Debug for RunRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.environment.keys().collect();
        formatter.debug_struct("RunRequest").field("names", &names).field("arguments", &self.arguments).finish()
    }
}

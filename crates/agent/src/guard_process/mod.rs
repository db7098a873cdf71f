//! The guard as a process: it outlives its agent, and ends its containers when nobody else would.
//!
//! ```text
//!   agent process                                guard process (a session of its own)
//!      core --effects--> Link ==== socket ====> Process --events--> guard::Guard --effects--> engine, memory.json
//!           <--events---      <================         <--answers--                <--events--
//! ```
//!
//! An agent finds the guard that an earlier process left, or starts one ([`Program`]). One of another build is
//! replaced: its successor is there before it is sent away (`candidate`). The guard has a folder on its host: a
//! lock, so that there is one; its memory, so that the next one keeps its deadline; its log; and the socket. SIGINT
//! is not for it, nor is SIGTERM unless the host goes down: whoever stops a whole service would end it together with the agent.
//! It goes by itself: when its agent has ended in order and left nothing to guard, or when nobody is connected and
//! everything is swept.

mod candidate;
mod files;
mod line;
mod link;
mod process;
mod seek;

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use self::files::Files;
pub(crate) use self::link::Link;
pub use self::process::{Error, run};
use crate::labels::Owner;

/// How a guard process is started: this program, these arguments, and the [`Settings`] as JSON after them. Such a process calls
/// [`run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// What comes before the settings.
    pub arguments: Vec<String>,
}

/// What a guard process has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Whose containers it may end.
    pub owner: Owner,
    /// How long after the last acknowledged heartbeat was sent.
    pub fence: Duration,
    /// Identity of the host's boot, or empty.
    pub boot: String,
    /// Identity of the engine on which they are.
    pub engine: String,
    /// Folder for the folders of guards. It has to be the same for every process of an agent, and need not outlive a boot.
    pub folder: PathBuf,
}

impl Settings {
    fn files(&self) -> Files {
        Files::of(&self.folder, &self.owner, &self.engine)
    }
}

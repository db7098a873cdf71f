//! Schedulers and agents as processes of their own, so that they can be killed: the binary `fleet` of this package.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{wait::until, world::World};

/// A child process. Dropped, it is killed.
pub struct Child {
    child: std::process::Child,
}

impl Child {
    /// Starts an agent. `die` names the moment at which it kills itself: see the binary's `CrashPoint`.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn agent(fleet: &Path, world: &World, name: &str, die: Option<&str>) -> Self {
        let mut command = Self::command(fleet, world, "agent");
        command.args(["--name", name, "--locks"]).arg(world.folder.path());
        command.arg("--allow").arg(world.journal.folder());
        Self::spawn(command, die)
    }

    /// Starts a scheduler.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn scheduler(fleet: &Path, world: &World, die: Option<&str>) -> Self {
        Self::spawn(Self::command(fleet, world, "scheduler"), die)
    }

    fn command(fleet: &Path, world: &World, role: &str) -> Command {
        let mut command = Command::new(fleet);
        command.args([role, "--nats", &world.server.url(), "--namespace", world.namespace().as_str()]);
        // The child ends when the other end of this pipe closes: nothing is left behind by a test that is killed.
        command.stdin(Stdio::piped());
        command
    }

    fn spawn(mut command: Command, die: Option<&str>) -> Self {
        if let Some(point) = die {
            command.args(["--die", point]);
        }
        Self { child: command.spawn().expect("start fleet") }
    }

    /// Kills it with `-9`.
    ///
    /// # Panics
    ///
    /// If it cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("kill the child");
        self.child.wait().expect("wait for the child");
    }

    /// Asks it to stop in order, and waits for it.
    ///
    /// # Panics
    ///
    /// If it cannot be signalled.
    pub async fn terminate(mut self, patience: Duration) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("signal the child");
        self.ended(patience).await;
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self, patience: Duration) {
        let child = std::sync::Mutex::new(&mut self.child);
        until("the end of a child process", patience, || async {
            child.lock().expect("nobody panicked").try_wait().expect("look at the child")
        })
        .await;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

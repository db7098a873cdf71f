//! Schedulers and agents as processes of their own, so that they can be killed: the binary `fleet` of this package.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tickmesh_core::name::Namespace;

use crate::{wait::until, world::World};

/// A child process. Dropped, it is killed.
pub struct Child {
    child: std::process::Child,
}

/// An agent that is to be started, with a guard.
#[derive(Debug, Clone)]
pub struct Agent<'a> {
    pub name: &'a str,
    /// The moment at which it kills itself: see the binary's `CrashPoint`.
    pub die: Option<&'a str>,
    /// Where it finds NATS, if not directly.
    pub nats: Option<String>,
    /// Its engine, if it is not the host's.
    pub docker: Option<String>,
    /// Attempts that it takes at once.
    pub slots: Slots,
    /// Whether its clocks are those of production.
    pub is_production: bool,
    /// The build that it says it is.
    pub build: &'a str,
    /// What it starts as its guard, if not the program of this package.
    pub guard: Option<&'a str>,
}

/// How many attempts an agent takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// As many as the program gives it by default.
    Default,
    /// So many.
    Many(u32),
}

/// More than any test needs.
const SLOTS: Slots = Slots::Many(64);

impl<'a> Agent<'a> {
    /// One that has everything in common with the test.
    pub fn new(name: &'a str) -> Self {
        Self { name, die: None, nats: None, docker: None, slots: SLOTS, is_production: false, build: "", guard: None }
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(self, fleet: &Path, world: &World) -> Child {
        let die = self.die;
        Child::spawn(self.command(fleet, world), die)
    }

    fn command(self, fleet: &Path, world: &World) -> Command {
        let Self { name, die: _, nats, docker, slots, is_production, build, guard } = self;
        let mut command = Child::command(fleet, world, "agent", nats);
        command.args(["--name", name, "--locks"]).arg(world.folder.path());
        command.arg("--allow").arg(world.journal.folder());
        match slots {
            Slots::Default => {}
            Slots::Many(slots) => _ = command.args(["--slots", &slots.to_string()]),
        }
        if is_production {
            command.args(["--clocks", "production"]);
        }
        command.args(["--build", build]);
        if let Some(program) = guard {
            command.args(["--guard", program]);
        }
        command.envs(docker.map(|host| ("DOCKER_HOST", host)));
        command
    }
}

/// The guards of an agent, by their command lines, on which are their settings.
///
/// # Panics
///
/// If the host does not list its processes.
pub fn guards(world: &World, agent: &str) -> Vec<Pid> {
    guards_of(world.folder.path(), &format!("\"agent\":\"{agent}\""))
}

/// Kills the guards of a mesh that is gone: they would look for its containers until their deadlines have passed.
pub(crate) fn kill_guards(locks: &Path) {
    for guard in guards_of(locks, "\"agent\":") {
        // It may have ended by itself.
        let _ = kill_process(guard, Signal::KILL);
    }
}

fn guards_of(locks: &Path, agent: &str) -> Vec<Pid> {
    let locks = locks.display().to_string();
    let processes = fs::read_dir("/proc").expect("list processes").flatten();
    let guards = processes.filter(|process| {
        let command_line = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        command_line.contains(&locks) && command_line.contains("\"fence\":") && command_line.contains(agent)
    });
    guards.filter_map(|process| process.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)).collect()
}

/// Sends the one guard of an agent a signal.
///
/// # Panics
///
/// If there is none, or more.
pub fn signal_guard(world: &World, agent: &str, signal: Signal) {
    let [guard] = guards(world, agent)[..] else { panic!("agent {agent} does not have one guard") };
    kill_process(guard, signal).expect("signal the guard");
}

impl Child {
    /// Starts an agent that kills itself at the moment `die`.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn agent(fleet: &Path, world: &World, name: &str, die: Option<&str>) -> Self {
        Agent { die, ..Agent::new(name) }.start(fleet, world)
    }

    /// Starts an agent at the speed of production.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn agent_at_rest(fleet: &Path, world: &World, name: &str) -> Self {
        Agent { slots: Slots::Default, is_production: true, ..Agent::new(name) }.start(fleet, world)
    }

    /// Starts a scheduler.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn scheduler(fleet: &Path, world: &World, die: Option<&str>) -> Self {
        Self::spawn(Self::command(fleet, world, "scheduler", None), die)
    }

    fn command(fleet: &Path, world: &World, role: &str, nats: Option<String>) -> Command {
        let nats = nats.unwrap_or_else(|| world.server.url());
        Self::role(fleet, role, &nats, world.namespace())
    }

    /// The command line of a part, as far as all have it in common.
    pub(crate) fn role(fleet: &Path, role: &str, nats: &str, namespace: &Namespace) -> Command {
        let mut command = Command::new(fleet);
        command.args([role, "--nats", nats, "--namespace", namespace.as_str()]);
        // The child ends when the other end of this pipe closes: nothing is left behind by a test that is killed.
        command.stdin(Stdio::piped());
        command
    }

    fn spawn(mut command: Command, die: Option<&str>) -> Self {
        if let Some(point) = die {
            command.args(["--die", point]);
        }
        Self::start(command)
    }

    /// Starts a part.
    pub(crate) fn start(mut command: Command) -> Self {
        Self { child: command.spawn().expect("start fleet") }
    }

    /// Whether it still runs.
    ///
    /// # Panics
    ///
    /// If it cannot be looked at.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("look at the child").is_none()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
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

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// If that is not possible.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal the child");
    }

    /// Asks it to stop in order, and waits for it.
    pub async fn terminate(mut self, patience: Duration) {
        self.signal(Signal::TERM);
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

//! A Docker engine that the test owns, for faults that nobody may do to the host's own.
//!
//! It has its own data, socket and containerd, all in one folder. The containerd is a child of the test and not of the
//! engine: one that the engine manages dies with it, and leaves files behind on which the next engine hangs.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_until;

/// An engine is up in 0.2 s; this much only on a machine under extreme load.
const START_MAX: Duration = Duration::from_secs(60);
/// An engine that is asked to stop gives each container 10 s.
const STOP_MAX: Duration = Duration::from_secs(60);

/// A running engine. Dropped, it ends, and its containers with it.
#[derive(Debug)]
pub struct Dockerd {
    folder: tempfile::TempDir,
    containerd: Child,
    engine: Child,
}

impl Dockerd {
    /// Starts one that has the image `busybox:latest`. It needs root, as the host's own does.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("make a folder for the engine");
        std::fs::write(folder.path().join("daemon.json"), "{}").expect("write the engine's settings");
        let containerd = spawn_containerd(folder.path());
        let engine = spawn_engine(folder.path());
        let dockerd = Self { folder, containerd, engine };
        dockerd.load_image();
        dockerd
    }

    /// Where it listens, as `DOCKER_HOST` says it.
    pub fn host(&self) -> String {
        host(self.folder.path())
    }

    /// Sends the engine a signal.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.engine), signal).expect("signal the engine");
    }

    /// Sends it a signal that ends it, and starts the next one.
    ///
    /// # Panics
    ///
    /// If that does not come up.
    pub fn restart_with(&mut self, signal: Signal) {
        self.signal(signal);
        wait_for_end(&mut self.engine, "the engine");
        self.engine = spawn_engine(self.folder.path());
    }

    /// A killed engine leaves its data mounted on itself, and then the folder cannot be deleted.
    fn unmount(&self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let targets = mounts.lines().filter_map(|mount| mount.split(' ').nth(1));
        for target in targets.filter(|target| Path::new(target).starts_with(self.folder.path())) {
            let _ = Command::new("umount").arg(target).output();
        }
    }

    fn load_image(&self) {
        let image = self.folder.path().join("image.tar");
        docker(Command::new("docker").arg("save").arg("-o").arg(&image).arg("busybox:latest"));
        docker(Command::new("docker").args(["-H", &self.host(), "load", "-i"]).arg(&image));
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // SIGCONT first: a test that failed may have left it stopped. SIGTERM stops its containers too.
        for signal in [Signal::CONT, Signal::TERM] {
            let _ = kill_process(Pid::from_child(&self.engine), signal);
        }
        wait_for_end(&mut self.engine, "the engine");
        let _ = kill_process(Pid::from_child(&self.containerd), Signal::TERM);
        wait_for_end(&mut self.containerd, "containerd");
        self.unmount();
    }
}

fn host(folder: &Path) -> String {
    format!("unix://{}", folder.join("docker.sock").display())
}

fn spawn_containerd(folder: &Path) -> Child {
    let mut command = Command::new("containerd");
    command.arg("--root").arg(folder.join("containerd")).arg("--state").arg(folder.join("containerd-state"));
    command.arg("--address").arg(folder.join("containerd.sock"));
    let child = spawn(command, &folder.join("containerd.log"));
    wait_until("containerd's socket", START_MAX, || folder.join("containerd.sock").exists());
    child
}

fn spawn_engine(folder: &Path) -> Child {
    // In a network namespace of its own: an engine that is told to have no bridge removes `docker0`, whoever's it is.
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "dockerd"]);
    command.arg("--config-file").arg(folder.join("daemon.json")).arg("--data-root").arg(folder.join("data"));
    command.arg("--exec-root").arg(folder.join("exec")).arg("--pidfile").arg(folder.join("docker.pid"));
    command.arg("--containerd").arg(folder.join("containerd.sock")).args(["-H", &host(folder)]);
    command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false"]);
    // A killed engine leaves its pid file, and the next one is another process all the same.
    let _ = std::fs::remove_file(folder.join("docker.pid"));
    let child = spawn(command, &folder.join("dockerd.log"));
    wait_until("the engine to answer", START_MAX, || {
        let version = Command::new("docker").args(["-H", &host(folder), "version"]).output();
        version.is_ok_and(|version| version.status.success())
    });
    child
}

fn docker(command: &mut Command) {
    let done = command.output().expect("run the docker command");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn spawn(mut command: Command, log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).expect("open a log");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("open a log twice")).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

fn wait_for_end(child: &mut Child, what: &str) {
    wait_until(&format!("{what} to end"), STOP_MAX, || child.try_wait().is_ok_and(|status| status.is_some()));
}

//! A Docker engine that the test owns, for faults that nobody may do to the host's own.
//!
//! It has its own data, socket and containerd, all in one folder. The containerd is a child of the test and not of the
//! engine: one that the engine manages dies with it, and leaves files behind on which the next engine hangs.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_until;

/// An engine is up in 0.2 s; this much only on a machine under extreme load.
const START_MAX: Duration = Duration::from_secs(60);
/// An engine that is asked to stop gives each container 10 s.
const STOP_MAX: Duration = Duration::from_secs(60);

/// What an engine with a small disk has: the busybox image twice (as it is loaded, and unpacked), and room to work.
const SMALL_DISK_MIB: u32 = 32;
/// How much is written at once to fill it.
const FILL_STEP: usize = 64 * 1024;

/// A running engine. Dropped, it ends, and its containers with it.
#[derive(Debug)]
pub struct Dockerd {
    folder: tempfile::TempDir,
    containerd: Child,
    engine: Child,
    network: Network,
}

/// What containers that ask for no network get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// Their loopback interface: starts take a third of the time.
    None,
    /// The engine's bridge, as on every host.
    Bridge,
}

impl Dockerd {
    /// Starts one that has the image `busybox:latest`, and no network. It needs root, as the host's own does.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("make a folder for the engine"), Network::None)
    }

    /// Starts one whose containers are connected as those of a host are, but with nobody outside.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn start_with_bridge() -> Self {
        Self::start_in(tempfile::tempdir().expect("make a folder for the engine"), Network::Bridge)
    }

    /// Starts one with so little disk that it can be filled.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn start_on_small_disk() -> Self {
        let folder = tempfile::tempdir().expect("make a folder for the engine");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("make a folder for the engine's data");
        let size = format!("size={SMALL_DISK_MIB}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&data));
        Self::start_in(folder, Network::None)
    }

    fn start_in(folder: tempfile::TempDir, network: Network) -> Self {
        std::fs::write(folder.path().join("daemon.json"), "{}").expect("write the engine's settings");
        let containerd = spawn_containerd(folder.path());
        let engine = spawn_engine(folder.path(), network);
        let dockerd = Self { folder, containerd, engine, network };
        dockerd.load_image();
        dockerd
    }

    /// Makes a Swarm of it, of one node.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn init_swarm(&self) {
        // A new network namespace has its loopback interface down, and a Swarm talks to itself.
        let namespace = format!("--net=/proc/{}/ns/net", self.engine.id());
        run(Command::new("nsenter").args([&namespace, "ip", "link", "set", "lo", "up"]));
        run(Command::new("docker").args(["-H", &self.host(), "swarm", "init", "--advertise-addr", "127.0.0.1"]));
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
        self.engine = spawn_engine(self.folder.path(), self.network);
    }

    /// Lets nobody find its socket.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn hide_socket(&self) {
        let socket = self.folder.path().join("docker.sock");
        std::fs::rename(&socket, socket.with_extension("hidden")).expect("hide the socket");
    }

    /// Lets everybody find it again.
    ///
    /// # Panics
    ///
    /// If it was not hidden.
    pub fn show_socket(&self) {
        let socket = self.folder.path().join("docker.sock");
        std::fs::rename(socket.with_extension("hidden"), &socket).expect("show the socket");
    }

    /// Writes to its disk until nothing more fits.
    ///
    /// # Panics
    ///
    /// If nothing can be written at all.
    pub fn fill_disk(&self) {
        let mut file = File::create(self.ballast()).expect("create a file on the engine's disk");
        while file.write_all(&[0; FILL_STEP]).is_ok() {}
        // And what is left of the last step.
        while file.write_all(&[0]).is_ok() {}
    }

    /// Takes back what filled its disk.
    ///
    /// # Panics
    ///
    /// If nothing did.
    pub fn empty_disk(&self) {
        std::fs::remove_file(self.ballast()).expect("remove a file from the engine's disk");
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("data/ballast")
    }

    /// A killed engine leaves its data mounted on itself, and then the folder cannot be deleted.
    fn unmount(&self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let targets = mounts.lines().filter_map(|mount| mount.split(' ').nth(1));
        let own: Vec<_> = targets.filter(|target| Path::new(target).starts_with(self.folder.path())).collect();
        // What was mounted last is on top.
        for target in own.iter().rev() {
            let _ = Command::new("umount").arg(target).output();
        }
    }

    fn load_image(&self) {
        let image = self.folder.path().join("image.tar");
        run(Command::new("docker").arg("save").arg("-o").arg(&image).arg("busybox:latest"));
        run(Command::new("docker").args(["-H", &self.host(), "load", "-i"]).arg(&image));
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

fn spawn_engine(folder: &Path, network: Network) -> Child {
    // In a network namespace of its own: an engine that is told to have no bridge removes `docker0`, whoever's it is, and one that has
    // a bridge changes the packet filter.
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "dockerd"]);
    command.arg("--config-file").arg(folder.join("daemon.json")).arg("--data-root").arg(folder.join("data"));
    command.arg("--exec-root").arg(folder.join("exec")).arg("--pidfile").arg(folder.join("docker.pid"));
    command.arg("--containerd").arg(folder.join("containerd.sock")).args(["-H", &host(folder)]);
    match network {
        Network::None => command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false"]),
        Network::Bridge => &mut command,
    };
    // A killed engine leaves its pid file, and the next one is another process all the same.
    let _ = std::fs::remove_file(folder.join("docker.pid"));
    let child = spawn(command, &folder.join("dockerd.log"));
    wait_until("the engine to answer", START_MAX, || {
        let version = Command::new("docker").args(["-H", &host(folder), "version"]).output();
        version.is_ok_and(|version| version.status.success())
    });
    child
}

fn run(command: &mut Command) {
    let done = command.output().expect("run a command");
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

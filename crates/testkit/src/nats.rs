//! A real `nats-server` for one test: own port, own store, gone with the test whatever happens to it.
//!
//! The server is brought to `.tools/nats-server` by `make setup`. It is a child of the test process; beside it sits a shell
//! that waits for the end of the test process, which closes its standard input, and then kills the server. So nothing is
//! left behind even by a test process that is killed with `-9`.

mod cluster;

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tickmesh_core::name::Namespace;
use tickmesh_messaging::{ConnectOptions, Login, Mesh, Provisioning};

pub use self::cluster::{Cluster, NODES};
use crate::wait::wait_until;

/// Path of the server's binary, if it is not the one that `make setup` brings.
const BINARY_VARIABLE: &str = "TICKMESH_NATS_SERVER";
/// A server needs some 40 ms to start; this much only on a machine under extreme load.
const START_MAX: Duration = Duration::from_secs(20);
/// Pause between two looks at something that takes milliseconds.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// How long a request to the server may take, for a client that a test connects.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Lines of the server's log that an error repeats.
const LOG_TAIL: usize = 12;

/// Waits for a line or the end of its input. A line means that the server was stopped in order; the end alone means that the
/// test process died: kill the server ($1) and delete its directory ($2).
const WATCHDOG: &str = r#"trap '' HUP INT TERM; if read -r _; then exit 0; fi; kill -9 "$1"; rm -rf "$2""#;

/// A running server. Dropping it kills the server and deletes its store.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    directory: TempDir,
    port: u16,
    arguments: Vec<String>,
    /// Whether it stores anything.
    has_jetstream: bool,
    process: Option<Process>,
}

/// One life of the server.
#[derive(Debug)]
struct Process {
    server: Child,
    watchdog: Child,
}

impl Server {
    /// Starts a server with JetStream on a free port of the loopback interface.
    ///
    /// # Panics
    ///
    /// If that fails: a test cannot go on without.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more arguments.
    ///
    /// # Panics
    ///
    /// If that fails: a test cannot go on without.
    #[track_caller]
    pub fn start_with(arguments: &[&str]) -> Self {
        match Self::try_start(arguments) {
            Ok(server) => server,
            Err(error) => panic!("{error:#}"),
        }
    }

    fn try_start(arguments: &[&str]) -> anyhow::Result<Self> {
        let directory = folder()?;
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let binary = binary()?;
        let mut server = Self { binary, directory, port: 0, arguments, has_jetstream: true, process: None };
        server.launch()?;
        Ok(server)
    }

    /// Where the server listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A mesh of that name on it, made if it is not there.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn mesh(&self, namespace: &str) -> Mesh {
        let options = ConnectOptions {
            url: self.url(),
            login: Login::default(),
            namespace: Namespace::new(namespace).expect("a name"),
            client_name: "test".to_owned(),
            request_timeout: REQUEST_TIMEOUT,
        };
        let mesh = Mesh::connect(&options).await.expect("connect to the server");
        mesh.provision(&Provisioning::default()).await.expect("make a mesh");
        mesh
    }

    /// Kills the server with `-9`. What it had acknowledged is in its store.
    #[track_caller]
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.end().expect("kill the server");
        }
    }

    /// Whether the server runs; one that is frozen does.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Asks the server to stop in order (SIGTERM), and waits for it.
    ///
    /// # Panics
    ///
    /// If it does not end.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let server = &mut self.process.as_mut().expect("the server runs").server;
        wait_until("nats-server to end", START_MAX, || server.try_wait().is_ok_and(|status| status.is_some()));
        self.kill();
    }

    /// A copy of everything that the server has stored, for [`Self::restore`]. It must not run meanwhile.
    ///
    /// # Panics
    ///
    /// If it runs, or nothing can be copied.
    #[track_caller]
    pub fn copy_store(&self) -> TempDir {
        assert!(!self.runs(), "a server that runs writes while it is copied");
        let copy = folder().expect("make a folder for the copy");
        copy_folder(&self.store(), copy.path()).expect("copy the store");
        copy
    }

    /// Replaces everything that the server has stored by a copy. It must not run meanwhile.
    ///
    /// # Panics
    ///
    /// If it runs, or nothing can be copied.
    #[track_caller]
    pub fn restore(&self, copy: &TempDir) {
        assert!(!self.runs(), "a server that runs has its store in memory, too");
        fs::remove_dir_all(self.store()).expect("remove the store");
        copy_folder(copy.path(), &self.store()).expect("copy the store back");
    }

    /// Puts everything aside that the server has stored: it begins with nothing. It must not run meanwhile.
    ///
    /// # Panics
    ///
    /// If it runs, or nothing can be removed.
    #[track_caller]
    pub fn empty_store(&self) {
        assert!(!self.runs(), "a server that runs has its store in memory, too");
        fs::remove_dir_all(self.store()).expect("remove the store");
    }

    /// What a server that was started with `--http_port` tells of itself.
    fn monitor(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let file = port_file(&self.directory.path().join("ports"), self.pid());
        let port = announced_port(&file, "monitoring").context("no port is announced")?;
        let mut connection = TcpStream::connect(("127.0.0.1", port)).context("connect")?;
        connection.set_read_timeout(Some(START_MAX)).context("set a timeout")?;
        // The old version of the protocol: the answer ends where the connection does.
        write!(connection, "GET {path} HTTP/1.0\r\n\r\n").context("ask")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).context("read the answer")?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
        serde_json::from_str(body).context("an answer that is no JSON")
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// Starts the server again, on the same port and store; kills it before if it runs.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.has_jetstream = true;
        self.start_again();
    }

    /// Like [`Self::restart`], but without JetStream: as after a full disk, when a server turns it off.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[track_caller]
    pub fn restart_without_jetstream(&mut self) {
        self.has_jetstream = false;
        self.start_again();
    }

    #[track_caller]
    fn start_again(&mut self) {
        self.kill();
        if let Err(error) = self.launch() {
            panic!("{error:#}");
        }
    }

    /// Freezes the server: connections stay open, and nothing is answered.
    #[track_caller]
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        // The signal is under way when `kill` returns: a thread on another core may still answer something.
        let deadline = Instant::now() + START_MAX;
        while !is_stopped(self.pid()) {
            assert!(Instant::now() < deadline, "waited {START_MAX:?} for nats-server to stop");
            sleep(LOOK_PAUSE);
        }
    }

    /// Lets a frozen server go on.
    #[track_caller]
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Process id of the running server.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").server.id()
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("signal the server");
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let ports = self.directory.path().join("ports");
        // The file of an earlier life would name a port on which nobody listens yet.
        fs::remove_dir_all(&ports).or_else(ignore_missing).context("remove old port files")?;
        fs::create_dir_all(&ports).context("make a directory for port files")?;
        let log = self.directory.path().join("log");
        let server = self.spawn(&ports, &log)?;
        let watchdog = spawn_watchdog(&server, self.directory.path())?;
        let process = self.process.insert(Process { server, watchdog });
        self.port = wait_until_ready(&mut process.server, &ports)
            .with_context(|| format!("nats-server did not start; it said:\n{}", tail(&log)))?;
        Ok(())
    }

    fn spawn(&self, ports: &Path, log: &Path) -> anyhow::Result<Child> {
        // -1: any free port.
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let output = fs::OpenOptions::new().create(true).append(true).open(log).context("open the server's log")?;
        Command::new(&self.binary)
            .args(["--addr", "127.0.0.1", "--port", &port])
            .args(self.has_jetstream.then_some("--jetstream"))
            .args([OsStr::new("--store_dir"), self.store().as_os_str()])
            .args([OsStr::new("--ports_file_dir"), ports.as_os_str()])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the server's log")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", self.binary.display()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            // The watchdog kills the server anyway if this fails.
            let _ended = process.end();
        }
    }
}

impl Process {
    fn end(mut self) -> anyhow::Result<()> {
        self.server.kill().context("kill nats-server")?;
        self.server.wait().context("wait for nats-server")?;
        // Only now, and before the process id can be given to anybody else: the watchdog has nothing to do any more.
        if let Some(mut input) = self.watchdog.stdin.take() {
            input.write_all(b"done\n").context("dismiss the watchdog")?;
        }
        self.watchdog.wait().context("wait for the watchdog")?;
        Ok(())
    }
}

/// The server's binary, or one clear sentence.
fn binary() -> anyhow::Result<PathBuf> {
    existing(match std::env::var_os(BINARY_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/nats-server"),
    })
}

fn existing(path: PathBuf) -> anyhow::Result<PathBuf> {
    ensure!(path.is_file(), "there is no nats-server at {}: run `make setup`", path.display());
    Ok(path)
}

fn spawn_watchdog(server: &Child, directory: &Path) -> anyhow::Result<Child> {
    Command::new("sh")
        .args(["-c", WATCHDOG, "watchdog", &server.id().to_string()])
        .arg(directory)
        .stdin(Stdio::piped())
        .spawn()
        .context("start the watchdog")
}

/// Waits until the server greets on the port that it announces in its port file.
fn wait_until_ready(server: &mut Child, ports: &Path) -> anyhow::Result<u16> {
    let deadline = Instant::now() + START_MAX;
    let file = port_file(ports, server.id());
    loop {
        if let Some(port) = announced_port(&file, "nats")
            && greets(port)
        {
            return Ok(port);
        }
        if let Some(status) = server.try_wait().context("look after nats-server")? {
            bail!("nats-server ended: {status}");
        }
        ensure!(Instant::now() < deadline, "nats-server was not ready within {START_MAX:?}");
        sleep(LOOK_PAUSE);
    }
}

/// Where a server announces its ports.
fn port_file(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("nats-server_{pid}.ports"))
}

/// The port in a port file on which a service listens; `None` while it is missing or half written.
fn announced_port(file: &Path, service: &str) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let url = ports.get(service)?.get(0)?.as_str()?;
    url.rsplit(':').next()?.parse().ok()
}

fn greets(port: u16) -> bool {
    let Ok(connection) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut line = String::new();
    let read = connection
        .set_read_timeout(Some(Duration::from_secs(1)))
        .and_then(|()| BufReader::new(connection).read_line(&mut line));
    read.is_ok() && line.starts_with("INFO ")
}

/// Whether every thread of a process stands still.
fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // `<id> (<name>) <state> ...`; the name may have spaces and parentheses.
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    })
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}

fn folder() -> anyhow::Result<TempDir> {
    tempfile::Builder::new().prefix("tickmesh-nats-").tempdir().context("make a directory")
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            copy_folder(&entry, &target)?;
        } else {
            fs::copy(&entry, &target)?;
        }
    }
    Ok(())
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that goes on for longer than any test, in place of a server.
    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[track_caller]
    fn wait_for_end(what: &str, child: &mut Child) -> std::process::ExitStatus {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "waited {START_MAX:?} for the end of {what}");
            sleep(LOOK_PAUSE);
        }
    }

    #[test]
    fn the_end_of_the_test_process_kills_the_server_and_deletes_its_store() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("block"), "data").unwrap();
        let mut server = sleeper();
        let mut watchdog = spawn_watchdog(&server, directory.path()).unwrap();
        // What the kernel does when a process dies.
        drop(watchdog.stdin.take());
        assert!(!wait_for_end("the server", &mut server).success());
        wait_for_end("the watchdog", &mut watchdog);
        assert!(!directory.path().exists());
    }

    #[test]
    fn a_watchdog_that_is_dismissed_kills_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let mut server = sleeper();
        let mut watchdog = spawn_watchdog(&server, directory.path()).unwrap();
        watchdog.stdin.take().unwrap().write_all(b"done\n").unwrap();
        wait_for_end("the watchdog", &mut watchdog);
        assert!(server.try_wait().unwrap().is_none() && directory.path().exists());
        server.kill().unwrap();
        server.wait().unwrap();
    }

    #[test]
    fn a_missing_binary_says_what_to_do() {
        let error = existing(PathBuf::from("/nowhere/nats-server")).unwrap_err();
        assert_eq!(error.to_string(), "there is no nats-server at /nowhere/nats-server: run `make setup`");
    }

    #[test]
    fn a_server_that_does_not_start_says_why() {
        let error = Server::try_start(&["--config", "/nowhere/nats.conf"]).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("/nowhere/nats.conf") && text.contains("nats-server ended"), "{text}");
    }

    #[test]
    fn a_server_goes_on_from_a_copy_of_its_store() {
        let mut server = Server::start();
        fs::write(server.store().join("mark"), "old").unwrap();
        server.stop();
        assert!(!server.runs());
        let copy = server.copy_store();
        fs::write(server.store().join("mark"), "new").unwrap();
        server.restore(&copy);
        server.restart();
        assert_eq!(fs::read_to_string(server.store().join("mark")).unwrap(), "old");
    }

    #[test]
    fn a_dropped_server_is_gone_with_its_store() {
        let server = Server::start();
        let (port, path) = (server.port, server.directory.path().to_owned());
        assert!(greets(port) && path.exists());
        drop(server);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err() && !path.exists());
    }
}

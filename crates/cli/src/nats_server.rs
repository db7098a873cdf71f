//! A nats-server of our own, for `up` and `demo`: found, started, watched, and stopped with us whatever happens.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::exit::Missing;

/// Names the binary.
const BINARY_VARIABLE: &str = "TICKMESH_NATS_SERVER";
/// Where `make setup` puts it, in the checkout.
const BINARY_OF_SETUP: &str = ".tools/nats-server";
/// What brings it there.
const SETUP: &str = "scripts/setup-nats-server";
/// Where the Debian package has it. The tarball has it beside the program.
const BINARY_OF_PACKAGE: &str = "/usr/lib/tickmesh/nats-server";
/// How it is called on PATH.
const BINARY_NAME: &str = "nats-server";
/// A server needs some 40 ms to start, and longer to read a large store.
const START_MAX: Duration = Duration::from_secs(30);
/// Pause between two looks at something that takes milliseconds.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// How long the server may take to stop in order.
const STOP_MAX: Duration = Duration::from_secs(5);
/// How long a server that accepts a connection may take to say who it is.
const GREETING_MAX: Duration = Duration::from_secs(1);
/// Lines of its log that an error repeats.
const LOG_TAIL: usize = 8;

/// A running server. Dropping it kills it; [`NatsServer::stop`] asks first.
#[derive(Debug)]
pub(crate) struct NatsServer {
    child: Child,
    port: u16,
    log: PathBuf,
}

/// Which port it listens on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Port {
    /// Any that is free.
    Any,
    Number(u16),
}

impl NatsServer {
    /// Starts a server with its store in `data`, and waits until it listens on the loopback interface.
    ///
    /// To be called on the main thread: the kernel ends the server with the **thread** that started it.
    pub(crate) async fn start(data: &Path, port: Port) -> anyhow::Result<Self> {
        let (ports, log) = (data.join("nats-ports"), data.join("nats-server.log"));
        // The file of an earlier life would name a port on which nobody listens any more.
        remove_directory(&ports).and_then(|()| fs::create_dir_all(&ports)).context("failed to prepare a port file")?;
        let output = OpenOptions::new().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("failed to open {}", log.display()))?;
        let child = spawn(&find_binary()?, data, &ports, port, output)?;
        let mut server = Self { child, port: 0, log };
        match server.wait_until_ready(&ports).await {
            Ok(port) => Ok(Self { port, ..server }),
            Err(error) => bail!("nats-server did not start: {error:#}; {}", server.last_words()),
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port on which it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Resolves when the server has ended, which it should not.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow::anyhow!("nats-server ended ({status}); {}", self.last_words()),
            Err(error) => anyhow::Error::new(error).context("failed to wait for nats-server"),
        }
    }

    /// Stops it in order, or else kills it.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).context("failed to stop nats-server")?;
        }
        if timeout(STOP_MAX, self.child.wait()).await.is_err() {
            self.child.kill().await.context("failed to kill nats-server")?;
        }
        Ok(())
    }

    async fn wait_until_ready(&mut self, ports: &Path) -> anyhow::Result<u16> {
        let id = self.child.id().context("it ended at once")?;
        let file = ports.join(format!("nats-server_{id}.ports"));
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(port) = announced_port(&file)
                && greets(port).await
            {
                return Ok(port);
            }
            if let Some(status) = self.exit_status()? {
                bail!("it ended ({status})");
            }
            if Instant::now() >= deadline {
                bail!("it was not ready within {}s", START_MAX.as_secs());
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    fn exit_status(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().context("failed to look after nats-server")
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n  ");
        format!("{} ends with:\n  {tail}\n", self.log.display())
    }
}

/// Starts the server by way of `internal-exec`, so that it ends with this process.
fn spawn(binary: &Path, data: &Path, ports: &Path, port: Port, output: File) -> anyhow::Result<Child> {
    let ourselves = env::current_exe().context("failed to find this program's own file")?;
    let port = match port {
        Port::Any => "-1".to_owned(),
        Port::Number(number) => number.to_string(),
    };
    Command::new(ourselves)
        .args(["internal-exec", "--parent", &std::process::id().to_string(), "--"])
        .arg(binary)
        .args(["--addr", "127.0.0.1", "--port", &port, "--jetstream"])
        .args([OsStr::new("--store_dir"), data.join("nats").as_os_str()])
        .args([OsStr::new("--ports_file_dir"), ports.as_os_str()])
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("failed to share the server's log")?)
        .stderr(output)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("failed to start {}", binary.display()))
}

fn find_binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os(BINARY_VARIABLE).map(PathBuf::from) {
        if path.is_file() {
            return Ok(path);
        }
        let problem = format!("{BINARY_VARIABLE} names {}, which is no file", path.display());
        return Err(Missing::new(problem, "correct it, or unset it").into());
    }
    let starts = [env::current_dir().ok(), env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()))];
    let path_variable = env::var_os("PATH").unwrap_or_default();
    let beside = starts[1].as_ref().map(|folder| folder.join(BINARY_NAME));
    let of_release = || beside.into_iter().chain([PathBuf::from(BINARY_OF_PACKAGE)]).find(|path| path.is_file());
    let found = find_upwards(starts.iter().flatten()).or_else(|| find_on_path(&path_variable)).or_else(of_release);
    let setup = if in_checkout() { "run `make setup`, " } else { "install nats-server (https://nats.io/download), " };
    let hint = format!("{setup}put one on PATH, or name one with {BINARY_VARIABLE}");
    Ok(found.ok_or_else(|| Missing::new("there is no nats-server on this machine", hint))?)
}

/// Whether this is a checkout, where `make` is at hand: whoever has installed the program has none.
pub(crate) fn in_checkout() -> bool {
    let starts = [env::current_dir().ok(), env::current_exe().ok()];
    let has_setup = |folder: &Path| folder.join(SETUP).is_file();
    starts.iter().flatten().any(|start| start.ancestors().any(has_setup))
}

fn find_upwards<'a>(starts: impl IntoIterator<Item = &'a PathBuf>) -> Option<PathBuf> {
    let directories = starts.into_iter().flat_map(|start| start.ancestors());
    directories.map(|directory| directory.join(BINARY_OF_SETUP)).find(|path| path.is_file())
}

fn find_on_path(path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path).map(|directory| directory.join(BINARY_NAME)).find(|path| path.is_file())
}

/// The port in a port file; `None` while it is missing or half written.
fn announced_port(file: &Path) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let url = ports.get("nats")?.get(0)?.as_str()?;
    url.rsplit(':').next()?.parse().ok()
}

async fn greets(port: u16) -> bool {
    let greeting = async {
        let connection = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).await.ok()?;
        Some(line.starts_with("INFO "))
    };
    timeout(GREETING_MAX, greeting).await.ok().flatten().unwrap_or(false)
}

fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_setup_is_found_from_any_directory_of_the_checkout() {
        let checkout = tempfile::tempdir().unwrap();
        let deep = checkout.path().join("target/debug");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(find_upwards([&deep]), None);
        let binary = checkout.path().join(BINARY_OF_SETUP);
        fs::create_dir_all(binary.parent().unwrap()).unwrap();
        fs::write(&binary, "").unwrap();
        assert_eq!(find_upwards([&deep]), Some(binary));
    }

    #[test]
    fn a_server_on_path_is_found() {
        let (empty, bin) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = env::join_paths([empty.path(), bin.path()]).unwrap();
        assert_eq!(find_on_path(&path), None);
        fs::write(bin.path().join(BINARY_NAME), "").unwrap();
        assert_eq!(find_on_path(&path), Some(bin.path().join(BINARY_NAME)));
    }

    #[test]
    fn a_half_written_port_file_is_no_port() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ports");
        assert_eq!(announced_port(&file), None);
        fs::write(&file, r#"{"nats": ["nats://127.0.0.1:41"#).unwrap();
        assert_eq!(announced_port(&file), None);
        fs::write(&file, r#"{"nats": ["nats://127.0.0.1:4123"]}"#).unwrap();
        assert_eq!(announced_port(&file), Some(4123));
    }
}

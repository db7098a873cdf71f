//! Runs the command.

use std::{
    io::Write as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use futures_util::TryStreamExt as _;
use tempfile::TempDir;
use tickmesh_core::name::Namespace;
use tickmesh_messaging::{ConnectOptions, Login, Mesh, Provisioning};
use tickmesh_testkit::nats::Server;

/// A directory to run commands in, and where they find a mesh.
pub(crate) struct Place {
    pub folder: TempDir,
    url: Option<String>,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    /// Without a mesh.
    pub(crate) fn alone() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url: None }
    }

    /// With a mesh that nobody leads.
    pub(crate) fn with_mesh(server: &Server) -> Self {
        stored(server, async |mesh| {
            mesh.provision(&Provisioning::default()).await.unwrap();
        });
        Self::at(server.url())
    }

    /// At a server, whether it has a mesh or not.
    pub(crate) fn at(url: String) -> Self {
        Self { url: Some(url), ..Self::alone() }
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The command, in this place and without anything of the environment that could change its answer.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickmesh"));
        for variable in [
            "TICKMESH_NATS_URL",
            "TICKMESH_NAMESPACE",
            "TICKMESH_CONTEXT",
            "TICKMESH_CONFIG",
            "TICKMESH_CONTEXTS",
            "TICKMESH_LOG",
            "NO_COLOR",
            "CLICOLOR_FORCE",
        ] {
            command.env_remove(variable);
        }
        if let Some(url) = &self.url {
            command.env("TICKMESH_NATS_URL", url);
        }
        // What it keeps for its user, such as the lock of an agent's name, goes with the test.
        command.env("XDG_DATA_HOME", self.folder.path()).env("XDG_CONFIG_HOME", self.folder.path().join("config"));
        command.env("USER", "me").args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        self.run_with_input(arguments, "")
    }

    /// Runs the command with text on its stdin.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Answer {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Starts it, with all that it prints as a pipe.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Answer {
    /// The answer's stdout, if that is how the command ended.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        self.stdout
    }

    /// Checks that the command failed so, and said this on stderr and nothing on stdout.
    #[track_caller]
    pub(crate) fn expect_error(self, code: i32, said: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!(self.stderr.contains(said), "`{said}` is not in {self:?}");
    }

    /// The answer as JSON, if the command succeeded.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.expect(0)).unwrap()
    }
}

/// Stores something in the mesh, as the parts of one do.
pub(crate) fn stored(server: &Server, store: impl AsyncFnOnce(&Mesh)) {
    let options = ConnectOptions {
        url: server.url(),
        login: Login::default(),
        namespace: Namespace::new("tickmesh").unwrap(),
        client_name: "test".to_owned(),
        request_timeout: std::time::Duration::from_secs(5),
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mesh = Mesh::connect(&options).await.unwrap();
        store(&mesh).await;
        mesh.close().await;
    });
}

/// A file of this repository.
pub(crate) fn repository_file(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).canonicalize().unwrap().display().to_string()
}

/// The containers whose name has this in it, as docker tells.
pub(crate) fn containers_named(text: &str) -> String {
    docker(&["ps", "--all", "--quiet", "--filter", &format!("name={text}")])
}

/// Those of them that run.
pub(crate) fn running_named(text: &str) -> String {
    docker(&["ps", "--quiet", "--filter", &format!("name={text}")])
}

fn docker(arguments: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Removes a stream under the mesh, by its name on the server.
pub(crate) fn remove_stream(server: &Server, stream: &str) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = async_nats::connect(server.url()).await.unwrap();
        async_nats::jetstream::new(client).delete_stream(stream).await.unwrap();
    });
}

/// Names of all streams on the server.
pub(crate) fn streams(server: &Server) -> Vec<String> {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = async_nats::connect(server.url()).await.unwrap();
        async_nats::jetstream::new(client).stream_names().try_collect().await.unwrap()
    })
}

/// Removes every message on a subject of a stream, as another program would.
pub(crate) fn purge(server: &Server, stream: &str, subject: &str) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = async_nats::connect(server.url()).await.unwrap();
        let stream = async_nats::jetstream::new(client).get_stream(stream).await.unwrap();
        assert!(stream.purge().filter(subject).await.unwrap().purged > 0, "there was nothing on {subject}");
    });
}

/// Stores something under the mesh as another program would.
pub(crate) fn publish(server: &Server, subject: &str, body: &'static str) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = async_nats::connect(server.url()).await.unwrap();
        let jetstream = async_nats::jetstream::new(client);
        jetstream.publish(subject.to_owned(), body.into()).await.unwrap().await.unwrap();
    });
}

/// Whether whoever connects so may publish on a subject of a stream.
pub(crate) fn may_publish(url: &str, subject: &str) -> bool {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = async_nats::connect(url).await.unwrap();
        let mut jetstream = async_nats::jetstream::new(client);
        jetstream.set_timeout(std::time::Duration::from_secs(2));
        match jetstream.publish(subject.to_owned(), "{}".into()).await {
            Ok(acknowledgement) => acknowledgement.await.is_ok(),
            Err(_) => false,
        }
    })
}

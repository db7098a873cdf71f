//! Credential programs: `docker-credential-NAME get`, with the registry on its standard input and the answer on its output.

use std::{path::PathBuf, process::Stdio, time::Duration};

use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    time::timeout,
};

use super::registry::Registry;

/// What the names of all of them begin with.
const PREFIX: &str = "docker-credential-";
/// Longest name behind that.
const NAME_CHARS_MAX: usize = 64;
/// How long one may take. Those of clouds ask a service over the network, which takes seconds; one that asks a person for a
/// password would take for ever, and hold the attempt and its slot.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Longest answer: tokens of clouds have a few thousand bytes.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
/// Longest part of its own words that is passed on.
const MESSAGE_CHARS_MAX: usize = 200;
/// What a program says, in these words whatever its store is, if it has nothing for a registry.
const NOT_FOUND: &str = "credentials not found";
/// User name of an answer whose secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// Why a pull cannot have the credentials that it is to have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file names a program that it cannot have.
    #[error("`{0}` in `config.json` is not the name of a credential program")]
    ProgramName(String),
    /// The program failed.
    #[error("`{program}` gave no credentials: {message}")]
    Program {
        /// Its name.
        program: String,
        /// What it said, or what was wrong with what it said.
        message: String,
    },
}

/// A program that exists.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    path: PathBuf,
    time_max: Duration,
}

/// What a program knows of a registry.
#[derive(Debug)]
pub(super) enum Answer {
    Nothing,
    /// How to log in.
    Credentials(DockerCredentials),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    username: String,
    secret: String,
}

impl Program {
    /// The program of that name in the first folder that has one. The name is checked: the file is not to name any program.
    pub(super) fn find(name: &str, search_path: &[PathBuf]) -> Result<Self, Error> {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
        if name.len() > NAME_CHARS_MAX || !name.chars().all(is_plain) {
            return Err(Error::ProgramName(name.chars().take(NAME_CHARS_MAX).collect()));
        }
        let name = format!("{PREFIX}{name}");
        match search_path.iter().map(|folder| folder.join(&name)).find(|path| path.is_file()) {
            Some(path) => Ok(Self { name, path, time_max: TIME_MAX }),
            None => Err(Error::Program { program: name, message: "there is no such program in PATH".to_owned() }),
        }
    }

    /// Asks it about a registry.
    pub(super) async fn ask(&self, registry: Registry<'_>) -> Result<Answer, Error> {
        let failed = |message: String| Error::Program { program: self.name.clone(), message };
        match timeout(self.time_max, self.run(registry)).await {
            Ok(Ok((succeeded, output))) => understand(registry, succeeded, &output).map_err(failed),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("it took longer than {} s", self.time_max.as_secs()))),
        }
    }

    /// Whether it succeeded, and what it wrote. Dropped, it kills the program.
    async fn run(&self, registry: Registry<'_>) -> std::io::Result<(bool, Vec<u8>)> {
        let mut command = Command::new(&self.path);
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends without reading has said why, and that counts.
            let _ = stdin.write_all(registry.key().as_bytes()).await;
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut output).await?;
        }
        if output.len() as u64 > OUTPUT_BYTES_MAX {
            return Err(std::io::Error::other(format!("it wrote more than {OUTPUT_BYTES_MAX} bytes")));
        }
        Ok((child.wait().await?.success(), output))
    }
}

/// What the output means. An error never quotes what may be a secret: only a program that failed has written a message.
fn understand(registry: Registry<'_>, succeeded: bool, output: &[u8]) -> Result<Answer, String> {
    let answer = serde_json::from_slice::<Output>(output).ok();
    let said = String::from_utf8_lossy(output);
    match (succeeded, answer) {
        (true, Some(Output { username, secret })) if username == TOKEN_USER => {
            Ok(Answer::Credentials(DockerCredentials { identitytoken: Some(secret), ..registry.blank() }))
        }
        (true, Some(Output { username, secret })) => {
            let (username, password) = (Some(username), Some(secret));
            Ok(Answer::Credentials(DockerCredentials { username, password, ..registry.blank() }))
        }
        (true, None) => Err("its answer is not what docker's programs say".to_owned()),
        (false, None) if said.contains(NOT_FOUND) => Ok(Answer::Nothing),
        // Half an answer is no message.
        (false, None) if !said.trim().is_empty() && !said.contains('{') => {
            Err(said.trim().chars().take(MESSAGE_CHARS_MAX).collect())
        }
        (false, Some(_) | None) => Err("it failed without a word".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;

    const IMAGE: &str = "r.example/job";

    /// Puts a program there. Copied by a process of its own: a file that this one has open for writing, or a child of it that
    /// was forked meanwhile, cannot be run.
    fn install(folder: &Path, name: &str, script: &str) {
        let (source, target) = (folder.join("source"), folder.join(format!("{PREFIX}{name}")));
        fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(std::process::Command::new("cp").arg(&source).arg(&target).status().unwrap().success());
    }

    async fn ask(script: &str, time_max: Duration) -> Result<Answer, Error> {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path(), "test", script);
        let program = Program::find("test", &[folder.path().to_owned()])?;
        Program { time_max, ..program }.ask(Registry::of(IMAGE)).await
    }

    /// Asks and shows what the answer comes to.
    async fn told(script: &str) -> String {
        match ask(script, TIME_MAX).await {
            Ok(Answer::Nothing) => "nothing".to_owned(),
            Ok(Answer::Credentials(DockerCredentials { username, password, identitytoken, serveraddress, .. })) => {
                let parts = [username, password, identitytoken, serveraddress];
                parts.map(|part| part.unwrap_or_else(|| "-".to_owned())).join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_program_is_asked_for_the_registry_of_the_image() {
        let echo = r#"read -r server; echo "{\"ServerURL\": \"x\", \"Username\": \"$1\", \"Secret\": \"$server\"}""#;
        assert_eq!(told(echo).await, "get r.example - r.example");
        let token = r#"echo '{"Username": "<token>", "Secret": "tok"}'"#;
        assert_eq!(told(token).await, "- - tok r.example");
    }

    #[tokio::test]
    async fn a_program_that_has_nothing_is_no_error_and_one_that_fails_is_with_its_words() {
        assert_eq!(told("echo credentials not found in native keychain; exit 1").await, "nothing");
        let failed = |message: &str| format!("`docker-credential-test` gave no credentials: {message}");
        assert_eq!(told("echo the vault is sealed; exit 1").await, failed("the vault is sealed"));
        assert_eq!(told("exit 3").await, failed("it failed without a word"));
        assert_eq!(told("yes").await, failed("it wrote more than 65536 bytes"));
    }

    #[tokio::test]
    async fn what_may_be_a_secret_is_never_quoted() {
        for script in [
            "echo hunter2",
            r#"echo '{"Username": "ann", "Secret": "hunter2"}'; exit 1"#,
            r#"echo '{"Username": "ann", "Secret": "hunter2"'; exit 1"#,
            r#"echo '{"Username": 1, "Secret": "hunter2"}'"#,
        ] {
            let told = told(script).await;
            assert!(told.contains("gave no credentials") && !told.contains("hunter2"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_given_up() {
        let error = ask("exec sleep 600", Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "`docker-credential-test` gave no credentials: it took longer than 1 s");
    }

    #[test]
    fn only_a_plain_name_is_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let find = |name: &str| Program::find(name, &[folder.path().to_owned()]).map(drop).map_err(|e| e.to_string());
        let missing = "`docker-credential-x` gave no credentials: there is no such program in PATH";
        assert_eq!(find("x"), Err(missing.to_owned()));
        for name in ["../x", "a b", "x;y", "\u{e9}", &"x".repeat(65)] {
            let error = find(name).unwrap_err();
            assert!(error.ends_with("is not the name of a credential program"), "{error}");
        }
        install(folder.path(), "x", "");
        assert_eq!(find("x"), Ok(()));
    }
}

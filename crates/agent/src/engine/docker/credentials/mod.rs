//! Who pulls: the credentials for registries that `docker login` stored.
//!
//! They are looked up for every pull, so that a login or a token that was renewed counts at once. A file that cannot be read is
//! a warning, since most images need no credentials, and the registry says so where they do. A credential program that fails
//! fails the pull: it was told to be asked, and what it says is what the operator has to know. Nothing secret is in any error
//! or log: neither what was read nor what an answer could not be understood for.

mod file;
mod program;
mod registry;

use std::path::{Path, PathBuf};

use bollard::auth::DockerCredentials;
use tokio::io::AsyncReadExt as _;

use self::{
    file::ConfigFile,
    program::{Answer, Program},
};
pub(super) use self::{program::Error, registry::Registry};

/// Name of the file with the credentials.
const FILE_NAME: &str = "config.json";
/// Largest file that is read: a thousand registries with long tokens.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where credentials are looked for.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Folder of `config.json`. `None`: nobody knows where this user's is.
    folder: Option<PathBuf>,
    /// Folders of credential programs, the first one that has a program counts.
    search_path: Vec<PathBuf>,
}

/// Why the file is no help.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the file cannot be read")]
    Io(#[from] std::io::Error),
    #[error("the file has more than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error(transparent)]
    Content(#[from] file::Invalid),
}

impl Credentials {
    /// Those of the user that this process runs as: in the folder that `DOCKER_CONFIG` names, or else `.docker` in the home
    /// folder; programs are looked for in `PATH`.
    pub fn of_user() -> Self {
        let named = std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let folder = named.or_else(|| std::env::home_dir().map(|home| home.join(".docker")));
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        Self { folder, search_path: std::env::split_paths(&search_path).collect() }
    }

    /// Those in `folder`, with programs in `search_path`.
    pub fn of(folder: &Path, search_path: &[PathBuf]) -> Self {
        Self { folder: Some(folder.to_owned()), search_path: search_path.to_owned() }
    }

    /// The credentials for a registry, if there are any.
    pub(super) async fn find(&self, registry: Registry<'_>) -> Result<Option<DockerCredentials>, Error> {
        let Some(path) = self.folder.as_ref().map(|folder| folder.join(FILE_NAME)) else { return Ok(None) };
        let file = match read(&path).await {
            Ok(file) => file,
            Err(unreadable) => {
                tracing::warn!(path = %path.display(), error = %crate::error::chain(&unreadable), "no credentials");
                return Ok(None);
            }
        };
        if let Some(name) = file.program(registry) {
            let program = Program::find(name, &self.search_path)?;
            if let Answer::Credentials(found) = program.ask(registry).await? {
                return Ok(Some(found));
            }
        }
        Ok(file.credentials(registry).unwrap_or_else(|invalid| {
            tracing::warn!(path = %path.display(), registry = registry.name(), error = %invalid, "no credentials");
            None
        }))
    }
}

async fn read(path: &Path) -> Result<ConfigFile, Unreadable> {
    let file = match tokio::fs::File::open(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(ConfigFile::default()),
        opened => opened?,
    };
    let mut content = Vec::new();
    if file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content).await? as u64 > FILE_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    Ok(ConfigFile::parse(&content)?)
}

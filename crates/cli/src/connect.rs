//! The way to the mesh that all commands share, and who we say we are.

use std::{path::PathBuf, time::Duration};

use tickmesh_client::requests::Asker;
use tickmesh_core::{encoded::shortened, message::BY_BYTES_MAX, name::Namespace};
use tickmesh_messaging::{ConnectOptions, Mesh};

use crate::contexts::{Contexts, Place};

/// How long a request may take. A person waits, and a cluster that elects a leader needs a few seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Namespace of a mesh that was given none.
pub(crate) const NAMESPACE_DEFAULT: &str = "tickmesh";

/// Where NATS is if nobody says so.
const URL_DEFAULT: &str = "nats://127.0.0.1:4222";

/// Options that say where the mesh is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MeshFlags {
    /// NATS server, or several separated by commas [default: the context's, or nats://127.0.0.1:4222]
    #[arg(
        long = "nats",
        global = true,
        env = "TICKMESH_NATS_URL",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Mesh"
    )]
    pub url: Option<String>,
    /// NATS credentials
    #[arg(long = "creds", global = true, value_name = "FILE", help_heading = "Mesh")]
    pub credentials: Option<PathBuf>,
    /// Prefix of every NATS name of the mesh [default: the context's, or tickmesh]
    #[arg(long, global = true, env = "TICKMESH_NAMESPACE", value_name = "NAME", help_heading = "Mesh")]
    pub namespace: Option<Namespace>,
    /// Context that says where the mesh is, if --nats does not [default: the current one]
    #[arg(
        long,
        global = true,
        env = "TICKMESH_CONTEXT",
        value_name = "NAME",
        help_heading = "Mesh",
        add = crate::completion::contexts()
    )]
    pub context: Option<String>,
}

impl MeshFlags {
    /// Says where the mesh is: by the options, else by the context that is named, else by the current one unless
    /// `--nats` names a server, whose credentials and namespace are not those of a context.
    pub(crate) fn resolve(&self) -> anyhow::Result<MeshArgs> {
        let place = match (&self.context, &self.url) {
            (Some(name), _) => Some(Contexts::read()?.place(name)?),
            (None, Some(_)) => None,
            (None, None) => Contexts::current_place()?,
        };
        self.at(place)
    }

    /// Says where the mesh is by the options alone.
    pub(crate) fn resolve_without_context(&self) -> anyhow::Result<MeshArgs> {
        self.at(None)
    }

    fn at(&self, place: Option<Place>) -> anyhow::Result<MeshArgs> {
        let (nats, namespace, credentials) = match place {
            Some(Place { nats, namespace, credentials }) => (Some(nats), namespace, credentials),
            None => (None, None, None),
        };
        Ok(MeshArgs {
            url: self.url.clone().or(nats).unwrap_or_else(|| URL_DEFAULT.to_owned()),
            credentials: self.credentials.clone().or(credentials),
            namespace: self.namespace.clone().or(namespace).map_or_else(|| Namespace::new(NAMESPACE_DEFAULT), Ok)?,
        })
    }
}

/// Where the mesh is.
#[derive(Debug, Clone)]
pub(crate) struct MeshArgs {
    /// NATS server, or several separated by commas.
    pub url: String,
    /// NATS credentials file.
    pub credentials: Option<PathBuf>,
    /// Prefix of every NATS name of the mesh.
    pub namespace: Namespace,
}

impl MeshArgs {
    /// Connects, without looking whether there is a mesh.
    pub(crate) async fn connect(&self, role: &str) -> Result<Mesh, tickmesh_messaging::Error> {
        Mesh::connect(&self.options(role)).await
    }

    /// Connects to a mesh that exists.
    pub(crate) async fn open(&self) -> Result<Mesh, tickmesh_messaging::Error> {
        let mesh = self.connect("cli").await?;
        mesh.open_or_lost().await?;
        Ok(mesh)
    }

    /// How to connect.
    pub(crate) fn options(&self, role: &str) -> ConnectOptions {
        ConnectOptions {
            url: self.url.clone(),
            credentials: self.credentials.clone(),
            namespace: self.namespace.clone(),
            client_name: format!("tickmesh {role} {}@{}", std::process::id(), host()),
            request_timeout: REQUEST_TIMEOUT,
        }
    }
}

/// Whoever types commands, as the one who asks.
pub(crate) fn asker(mesh: &Mesh) -> Asker {
    Asker { mesh: mesh.clone(), by: who() }
}

/// `user@host`: who applied, ran or cancelled something, for people. A host may have any name, and must not be refused for
/// it.
pub(crate) fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| format!("uid-{}", rustix::process::getuid().as_raw()));
    shortened(&format!("{user}@{}", host()), BY_BYTES_MAX)
}

/// Name of this host.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

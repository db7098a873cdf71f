//! The way to the mesh that all commands share, and who we say we are.

use std::{collections::BTreeMap, ffi::OsStr, fmt, time::Duration};

use tickmesh_client::requests::Asker;
use tickmesh_core::{json_size::shortened, message::BY_BYTES_MAX, name::Namespace};
use tickmesh_messaging::{ConnectOptions, Login, Mesh, redacted};

use crate::{
    contexts::{Contexts, Place},
    login::{LoginFlags, LoginKey, LoginParts, StatedElsewhere},
    settings::{FileFlag, file::SettingsFile, keys::MESH},
};

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
    #[command(flatten)]
    pub login: LoginFlags,
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

/// Where a command looks for the mesh that no flag and no variable names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    /// In the contexts of whoever types, then in the settings of this host.
    ContextsFirst,
    /// In the settings of this host, key by key, and in contexts only if those say nothing: a process must not go
    /// elsewhere because somebody chose another context.
    SettingsFirst,
}

/// A place that says where the mesh is, after flags and variables.
#[derive(Debug, Default)]
struct Layer {
    nats: Option<String>,
    namespace: Option<Namespace>,
    login: LoginParts,
    context: Option<String>,
    file: SettingsFile,
}

impl Layer {
    fn of_context(name: String, place: Place) -> Self {
        let Place { nats, namespace, login } = place;
        Self { nats: Some(nats), namespace, login, context: Some(name), file: SettingsFile::default() }
    }

    /// What `[mesh]` of the settings says, if anything.
    fn of_settings(flag: &FileFlag) -> anyhow::Result<Option<Self>> {
        let file = SettingsFile::read(flag.config.as_ref())?;
        file.ensure_valid(MESH)?;
        let nats = file.value(MESH, "nats").map(str::to_owned);
        let login = LoginParts::read(|name| anyhow::Ok(file.value(MESH, name).map(str::to_owned)))?;
        let namespace = file.value(MESH, "namespace").map(Namespace::new).transpose()?;
        let layer = Self { nats, namespace, login, context: None, file };
        let says_nothing = layer.nats.is_none() && layer.namespace.is_none() && layer.login.0.is_empty();
        Ok((!says_nothing).then_some(layer))
    }

    /// Where a value of this layer is from.
    fn source(&self, key: &str) -> MeshSource {
        match &self.context {
            Some(name) => MeshSource::Context(name.clone()),
            None => self.file.place(MESH, key).map_or(MeshSource::Default, MeshSource::File),
        }
    }
}

/// Where a part of the address is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum MeshSource {
    /// From this option, without hyphens in front.
    Flag(&'static str),
    /// From this variable.
    Variable(&'static str),
    /// From this context.
    Context(String),
    /// From the settings of this host, at that place.
    File(String),
    #[default]
    Default,
}

impl MeshSource {
    /// The source of what was typed or set as a variable: clap tells no difference.
    fn typed(value: &OsStr, flag: &'static str, variable: &'static str) -> Self {
        if std::env::var_os(variable).as_deref() == Some(value) { Self::Variable(variable) } else { Self::Flag(flag) }
    }
}

impl fmt::Display for MeshSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(formatter, "--{name}"),
            Self::Variable(name) => formatter.write_str(name),
            Self::Context(name) => write!(formatter, "context {name}"),
            Self::File(place) => formatter.write_str(place),
            Self::Default => formatter.write_str("default"),
        }
    }
}

/// Where each part of the address is from.
#[derive(Debug, Clone, Default)]
pub(crate) struct MeshSources {
    pub url: MeshSource,
    pub namespace: MeshSource,
    pub login: BTreeMap<LoginKey, MeshSource>,
}

impl MeshFlags {
    /// Says where the mesh is: by the options and variables, else by the context that is named, else by what comes first:
    /// the current context, unless `--nats` names a server, whose credentials and namespace are not those of a context,
    /// or the settings of this host.
    pub(crate) fn resolve(&self, file: &FileFlag, looks: Looks) -> anyhow::Result<MeshArgs> {
        let current = || -> anyhow::Result<Option<Layer>> {
            let current = if self.url.is_some() { None } else { Contexts::current_place()? };
            Ok(current.map(|(name, place)| Layer::of_context(name, place)))
        };
        let layer = match (&self.context, looks) {
            (Some(name), _) => Some(Layer::of_context(name.clone(), Contexts::read()?.place(name)?)),
            (None, Looks::SettingsFirst) => match Layer::of_settings(file)? {
                Some(layer) => Some(layer),
                None => current()?,
            },
            (None, Looks::ContextsFirst) if self.url.is_some() => None,
            (None, Looks::ContextsFirst) => match current()? {
                Some(layer) => Some(layer),
                None => Layer::of_settings(file)?,
            },
        };
        self.at(layer.unwrap_or_default())
    }

    /// Says where the mesh is by the options alone.
    pub(crate) fn resolve_without_context(&self) -> anyhow::Result<MeshArgs> {
        self.at(Layer::default())
    }

    fn at(&self, layer: Layer) -> anyhow::Result<MeshArgs> {
        let typed = |value: Option<&OsStr>, key, flag, variable| {
            value.map_or_else(|| layer.source(key), |value| MeshSource::typed(value, flag, variable))
        };
        let url = self.url.as_deref().map(OsStr::new);
        let namespace = self.namespace.as_ref().map(|it| OsStr::new(it.as_str()));
        let stated = self.login.parts();
        let login = stated.clone().over(layer.login.clone(), StatedElsewhere::with(self.url.as_deref()));
        let source = |key: LoginKey| {
            let value = stated.0.get(&key).map(OsStr::new);
            typed(value, key.name(), key.flag(), key.variable())
        };
        let sources = MeshSources {
            url: typed(url, "nats", "nats", "TICKMESH_NATS_URL"),
            namespace: typed(namespace, "namespace", "namespace", "TICKMESH_NAMESPACE"),
            login: login.0.keys().map(|key| (*key, source(*key))).collect(),
        };
        let namespace = self.namespace.clone().or(layer.namespace);
        Ok(MeshArgs {
            url: self.url.clone().or(layer.nats).unwrap_or_else(|| URL_DEFAULT.to_owned()),
            login: login.login()?,
            login_parts: login,
            namespace: namespace.map_or_else(|| Namespace::new(NAMESPACE_DEFAULT), Ok)?,
            sources,
        })
    }
}

/// Where the mesh is.
#[derive(Debug, Clone)]
pub(crate) struct MeshArgs {
    /// NATS server, or several separated by commas.
    pub url: String,
    /// Who this process is to NATS.
    pub login: Login,
    /// That, part by part as it was stated.
    pub login_parts: LoginParts,
    /// Prefix of every NATS name of the mesh.
    pub namespace: Namespace,
    /// Where all that is from.
    pub sources: MeshSources,
}

impl MeshArgs {
    /// The address for people, without passwords.
    pub(crate) fn shown_url(&self) -> String {
        redacted(&self.url)
    }

    /// Connects, without looking whether there is a mesh.
    pub(crate) async fn connect(&self, role: &str) -> Result<Mesh, tickmesh_messaging::Error> {
        Mesh::connect(&self.options(role)).await
    }

    /// Connects to a mesh that exists.
    pub(crate) async fn open(&self) -> Result<Mesh, tickmesh_messaging::Error> {
        let nothing = async |_: &Mesh| Ok(());
        let (mesh, ()) =
            Mesh::first_look(&self.options("cli"), nothing, tickmesh_messaging::Error::is_unanswered).await?;
        Ok(mesh)
    }

    /// Connects to a mesh that exists, and looks at something on it: see [`Mesh::first_look`].
    pub(crate) async fn first_look<T>(
        &self,
        look: impl AsyncFn(&Mesh) -> anyhow::Result<T>,
    ) -> anyhow::Result<(Mesh, T)> {
        let is_unanswered = |error: &anyhow::Error| {
            error.downcast_ref::<tickmesh_messaging::Error>().is_some_and(tickmesh_messaging::Error::is_unanswered)
        };
        Mesh::first_look(&self.options("cli"), look, is_unanswered).await
    }

    /// How to connect.
    pub(crate) fn options(&self, role: &str) -> ConnectOptions {
        ConnectOptions {
            url: self.url.clone(),
            login: self.login.clone(),
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

//! The Docker Engine through bollard. What surprises here was measured; `docs/` and the comments say where.
//!
//! - Containers are never created with auto-remove: the exit code would go with them.
//! - `Init` is what the file says, and else the engine's own setting: mostly there is none. A process with number 1 that does not
//!   catch SIGTERM ignores it then, and a stop lasts the whole grace.
//! - The client's timeout covers an answer's headers only; a frozen engine lets wait and logs hang for ever. So a wait
//!   looks at the container now and then.
//! - An empty command is taken for none given, and the image's is used. So it is asked for together with an entrypoint.
//! - Stopping is done with signals of our own, since a client timeout would cut a long stop, and engines before API 1.42
//!   ignore the signal of a stop.

mod convert;
mod create;
mod credentials;
mod disk;
mod image_labels;
mod mounts;
mod output;
mod own;
mod pieces;
mod pull;

use std::{collections::HashMap, sync::Arc, time::Duration};

use bollard::{
    BollardRequest,
    errors::Error as DockerError,
    models::ContainerSummary,
    query_parameters::{
        CreateContainerOptionsBuilder, CreateImageOptionsBuilder, KillContainerOptionsBuilder,
        ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptions, RemoveContainerOptionsBuilder,
        WaitContainerOptionsBuilder,
    },
};
use futures_util::{StreamExt, stream::BoxStream};
use tickmesh_core::{
    message::{EngineStock, PullProgress},
    spec::ContainerSpec,
};
use tokio::{
    sync::{OnceCell, watch},
    time::timeout,
};

pub use self::credentials::Credentials;
use self::{credentials::Registry, image_labels::ImageLabels, output::Keeping};
use crate::labels::name_fits;

use super::{
    ContainerEngine, ContainerId, ContainerRequest, ContainerStatus, ContainerView, EngineInfo, Error, Excerpt,
    ExitState, Image, LabelFilter, LogLine, NetworkKind,
};

/// Longest wait for an answer. A start on a loaded host was measured at 3 s; pulls and waits answer at once with headers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a wait looks at the container itself, in case the engine froze or forgot to tell.
const INSPECT_INTERVAL: Duration = Duration::from_secs(15);
/// Pause between two looks at a container that was told to stop, or whose end is not recorded yet.
const SETTLE_INTERVAL: Duration = Duration::from_millis(50);
/// How long the record of a container may lag behind the end of its wait (podman returns early).
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a killed container may take to die before the kill is reported as not done.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the engine may take to tell the labels of an image. Without them a name decides what is ours.
const IMAGE_PATIENCE: Duration = Duration::from_secs(1);
/// After a process was ended by a signal: how long the engine may take to show what became of the container, or that it is
/// going down itself.
const SECOND_LOOK: Duration = Duration::from_millis(300);
/// States of containers that have not ended, as the engine filters by them.
const UNENDED: [&str; 5] = ["created", "running", "paused", "restarting", "removing"];
/// How the addresses of engines of this host begin. The default is one of them.
const LOCAL: &str = "unix://";
/// The signal that no process survives.
const SIGKILL: &str = "SIGKILL";
/// How the engine is told that there is no entrypoint, and that the image's command is not to be used either.
const NO_ENTRYPOINT: &str = "";
/// Where the credentials for a registry stand in a request.
const CREDENTIALS_HEADER: &str = "X-Registry-Auth";
/// Exit code of a process that SIGKILL ended.
const EXIT_KILLED: i64 = 137;
/// Exit code of a process that SIGTERM ended.
const EXIT_TERMINATED: i64 = 143;

/// A connection to a Docker Engine.
#[derive(Debug, Clone)]
pub struct Docker {
    client: bollard::Docker,
    /// How the output of our containers is kept; found out when the first is created.
    keeping: Arc<OnceCell<Keeping>>,
    credentials: Arc<Credentials>,
    /// Whether it is reached by a socket of this host.
    is_local: bool,
    images: ImageLabels,
}

impl Docker {
    /// Connects to the engine that `DOCKER_HOST` names, or the local one, and agrees on an API version. It pulls with the
    /// credentials of this process's user.
    pub async fn connect() -> Result<Self, Error> {
        let attempted = "connect to the Docker engine";
        let client = bollard::Docker::connect_with_defaults().map_err(convert::failure(attempted))?;
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| LOCAL.to_owned());
        Self::negotiate(client, &host, attempted).await
    }

    /// Connects to the engine at `host`, such as `unix:///run/docker.sock`.
    pub async fn connect_to(host: &str) -> Result<Self, Error> {
        let attempted = format!("connect to the Docker engine at `{host}`");
        let client = bollard::Docker::connect_with_host(host).map_err(convert::failure(&attempted))?;
        Self::negotiate(client, host, &attempted).await
    }

    async fn negotiate(client: bollard::Docker, host: &str, attempted: &str) -> Result<Self, Error> {
        let client = client.with_timeout(ANSWER_TIMEOUT).with_request_modifier(with_safe_credentials);
        let client = answer(attempted, client.negotiate_version()).await?;
        tracing::info!(api_version = %client.client_version(), "connected to the Docker engine");
        let (keeping, credentials) = (Arc::default(), Arc::new(Credentials::of_user()));
        let images = ImageLabels::default();
        Ok(Self { client, keeping, credentials, is_local: host.starts_with(LOCAL), images })
    }

    /// Returns the engine with other credentials for its pulls.
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Arc::new(credentials), ..self }
    }

    async fn look(&self, name: &str) -> Result<ContainerView, Error> {
        let attempted = format!("inspect container `{name}`");
        let found = answer(&attempted, self.client.inspect_container(name, None)).await?;
        Ok(convert::view(found))
    }

    /// The entrypoint to ask for. An empty one takes the image's away; an empty command does so only beside an entrypoint, so
    /// the image's own is asked for.
    async fn entrypoint(&self, spec: &ContainerSpec) -> Result<Option<Vec<String>>, DockerError> {
        if spec.command.as_ref().is_none_or(|command| !command.is_empty()) {
            return Ok(spec.entrypoint.clone());
        }
        let entrypoint = match &spec.entrypoint {
            Some(entrypoint) => entrypoint.clone(),
            None => {
                let image = self.client.inspect_image(&spec.image).await?;
                image.config.and_then(|config| config.entrypoint).unwrap_or_default()
            }
        };
        Ok(Some(if entrypoint.is_empty() { vec![NO_ENTRYPOINT.to_owned()] } else { entrypoint }))
    }

    /// Finds out whether a container's labels are its own. Only of one that has another name than they give it: a guard that
    /// must end containers asks for a list and nothing more of an engine that may be slow.
    async fn with_provenance(&self, view: ContainerView, image: Option<&str>, filter: &LabelFilter) -> ContainerView {
        if name_fits(&view.name, &view.labels) {
            return view;
        }
        let labels_are_own = self.image_lacks(image, filter).await;
        ContainerView { labels_are_own, ..view }
    }

    /// Whether an image is known to have none of those labels. The labels of a container that has them are its own, then.
    async fn image_lacks(&self, image: Option<&str>, filter: &LabelFilter) -> bool {
        let Some(image) = image else { return false };
        let ask = async {
            let found = timeout(IMAGE_PATIENCE, self.client.inspect_image(image)).await.ok()?.ok()?;
            Some(found.config.and_then(|config| config.labels).unwrap_or_default())
        };
        let labels = self.images.of(image, ask).await;
        labels.is_some_and(|labels| !filter.iter().any(|(key, value)| labels.get(key) == Some(value)))
    }

    /// What the engine lists at once of the containers that carry all those labels, and match the other filters.
    async fn summaries(
        &self,
        filter: &LabelFilter,
        others: impl IntoIterator<Item = (String, Vec<String>)>,
    ) -> Result<Vec<ContainerSummary>, Error> {
        let labels = filter.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters: HashMap<_, _> = others.into_iter().chain([("label".to_owned(), labels)]).collect();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        answer("list containers", self.client.list_containers(Some(options))).await
    }

    /// Waits for the engine to tell that the container does not run any more.
    async fn told(&self, id: &ContainerId) -> Result<(), Error> {
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut answers = Box::pin(self.client.wait_container(&id.0, Some(options)));
        match answers.next().await {
            // bollard makes an error of an exit code that is not 0; the code itself is read from the container's record.
            Some(Ok(_)) | Some(Err(DockerError::DockerContainerWaitError { .. })) | None => Ok(()),
            Some(Err(error)) => Err(convert::failure(&format!("wait for container `{id}`"))(error)),
        }
    }

    /// Looks until the container does not run.
    async fn seen(&self, id: &ContainerId, interval: Duration) -> Result<(), Error> {
        loop {
            match self.inspect(id).await?.status {
                ContainerStatus::Created | ContainerStatus::Running => tokio::time::sleep(interval).await,
                ContainerStatus::Exited(_) | ContainerStatus::Removing => return Ok(()),
            }
        }
    }

    /// Looks now and then, in case the engine does not tell. It does at once for nearly all: those cost no look.
    async fn seen_later(&self, id: &ContainerId) -> Result<(), Error> {
        tokio::time::sleep(INSPECT_INTERVAL).await;
        self.seen(id, INSPECT_INTERVAL).await
    }

    /// The record of a container that does not run any more.
    async fn exit_state(&self, id: &ContainerId) -> Result<ExitState, Error> {
        let attempted = format!("read the end of container `{id}`");
        let deadline = tokio::time::Instant::now() + SETTLE_TIMEOUT;
        loop {
            match self.inspect(id).await?.status {
                ContainerStatus::Exited(exit) => return Ok(exit),
                ContainerStatus::Removing => return Err(Error::NotFound { attempted }),
                ContainerStatus::Created | ContainerStatus::Running => {}
            }
            if tokio::time::Instant::now() >= deadline {
                let source = "the wait ended, and the container still runs".into();
                return Err(Error::Unavailable { attempted, source });
            }
            tokio::time::sleep(SETTLE_INTERVAL).await;
        }
    }

    /// Sends a signal; to a container that does not run, or is gone, none is needed (`false`).
    async fn signal(&self, id: &ContainerId, signal: &str) -> Result<bool, Error> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        match answer_raw(self.client.kill_container(&id.0, Some(options))).await {
            Ok(()) => Ok(true),
            Err(error) if matches!(convert::status_code(&error), Some(404 | 409)) => Ok(false),
            Err(error) => Err(convert::failure(&format!("send {signal} to container `{id}`"))(error)),
        }
    }

    /// Whether the container stopped running within `limit`.
    async fn stops_within(&self, id: &ContainerId, limit: Duration) -> Result<bool, Error> {
        match tokio::time::timeout(limit, self.seen(id, SETTLE_INTERVAL)).await {
            Ok(Ok(()) | Err(Error::NotFound { .. })) => Ok(true),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// Engines read credentials in the URL-safe alphabet of base64, and take what they cannot read for none. bollard writes the other
/// alphabet (its pull request 169), which differs for one password in four that has `?`, `>` or `~` in it.
fn with_safe_credentials(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut(CREDENTIALS_HEADER) {
        let safe = value.to_str().ok().and_then(|text| text.replace('+', "-").replace('/', "_").parse().ok());
        *value = safe.unwrap_or_else(|| value.clone());
    }
    request
}

/// What an engine cannot do on its host (a limit that the kernel does not have, say) it leaves out of the container, and says so in
/// passing.
fn log_warnings(container: &str, warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(container, warning, "the engine created a container with a warning");
    }
}

/// Runs one request under [`ANSWER_TIMEOUT`], the body of the answer included.
async fn answer_raw<T>(request: impl Future<Output = Result<T, DockerError>>) -> Result<T, DockerError> {
    tokio::time::timeout(ANSWER_TIMEOUT, request).await.unwrap_or(Err(DockerError::RequestTimeoutError))
}

/// Driver of the network of the host itself.
const DRIVER_OF_HOST: &str = "host";

/// Says whether the engine has what it is asked about.
async fn presence<T>(attempted: &str, request: impl Future<Output = Result<T, DockerError>>) -> Result<bool, Error> {
    match answer_raw(request).await.map_err(convert::lookup(attempted)) {
        Ok(_) => Ok(true),
        Err(Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn answer<T>(attempted: &str, request: impl Future<Output = Result<T, DockerError>>) -> Result<T, Error> {
    answer_raw(request).await.map_err(convert::failure(attempted))
}

impl ContainerEngine for Docker {
    async fn describe(&self) -> Result<EngineInfo, Error> {
        let info = answer("ask the engine what it offers", self.client.info()).await?;
        Ok(convert::info(info))
    }

    async fn probe(&self) -> Result<EngineStock, Error> {
        let attempted = "ask the engine whether it works";
        let info = answer(attempted, self.client.info()).await?;
        if let Some(root) = info.docker_root_dir.clone().filter(|_| self.is_local) {
            let full = |full| Error::Unavailable { attempted: attempted.to_owned(), source: Box::new(full) };
            disk::check_room(root).await.map_err(full)?;
        }
        let networks =
            answer("list the engine's networks", self.client.list_networks(None::<ListNetworksOptions>)).await?;
        let volumes = answer("list the engine's volumes", self.client.list_volumes(None::<ListVolumesOptions>)).await?;
        Ok(convert::stock(&info, networks, volumes).bounded())
    }

    fn shares_files(&self) -> bool {
        self.is_local
    }

    async fn path_of_volume(&self, name: &str) -> Result<Option<String>, Error> {
        match answer_raw(self.client.inspect_volume(name)).await {
            Ok(volume) => Ok(convert::path_of_volume(volume)),
            // The engine makes it as one of its own.
            Err(error) if convert::status_code(&error) == Some(404) => Ok(None),
            Err(error) => Err(convert::lookup(&format!("look at volume `{name}`"))(error)),
        }
    }

    async fn volume_present(&self, name: &str) -> Result<bool, Error> {
        presence(&format!("look for volume `{name}`"), self.client.inspect_volume(name)).await
    }

    async fn network(&self, name: &str) -> Result<Option<NetworkKind>, Error> {
        let attempted = format!("look for network `{name}`");
        match answer_raw(self.client.inspect_network(name, None)).await.map_err(convert::lookup(&attempted)) {
            Ok(found) if found.driver.as_deref() == Some(DRIVER_OF_HOST) => Ok(Some(NetworkKind::Host)),
            Ok(_) => Ok(Some(NetworkKind::Own)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn image_present(&self, image: &Image) -> Result<bool, Error> {
        match answer_raw(self.client.inspect_image(&image.name)).await {
            // One of another platform has the same name, and the engine would refuse it.
            Ok(found) => Ok(image.platform.as_deref().is_none_or(|platform| convert::is_for(&found, platform))),
            Err(error) if convert::status_code(&error) == Some(404) => Ok(false),
            // No container is there yet, so what the engine refuses is refused: it will not change its mind by being asked again.
            Err(error) => Err(convert::refusal(&format!("look for image {image}"))(error)),
        }
    }

    async fn pull(&self, image: &Image, progress: &watch::Sender<PullProgress>) -> Result<(), Error> {
        let registry = Registry::of(&image.name);
        let attempted = format!("pull image {image} from registry `{}`", registry.name());
        let credentials = self.credentials.find(registry).await.map_err(|error| {
            let attempted = attempted.clone();
            Error::CouldNotStart { attempted, message: error.to_string() }
        })?;
        let manner = if credentials.is_some() { "with credentials" } else { "without credentials" };
        let (repository, tag) = convert::image_reference(&image.name);
        let options = CreateImageOptionsBuilder::default().from_image(repository).tag(tag);
        let options = match &image.platform {
            Some(platform) => options.platform(platform),
            None => options,
        };
        let said = self.client.create_image(Some(options.build()), None, credentials);
        pull::finish(&format!("{attempted} {manner}"), said, progress, pull::STALL_MAX).await
    }

    async fn create(&self, request: &ContainerRequest) -> Result<ContainerId, Error> {
        let options = CreateContainerOptionsBuilder::default().name(&request.name);
        let options = match &request.spec.platform {
            Some(platform) => options.platform(platform),
            None => options,
        };
        let created = answer_raw(async {
            let entrypoint = self.entrypoint(&request.spec).await?;
            let mut body = create::create_body(request, entrypoint);
            let keeping = self.keeping.get_or_try_init(|| output::keeping(&self.client)).await?;
            body.host_config.get_or_insert_default().log_config = keeping.log_config();
            self.client.create_container(Some(options.build()), body).await
        })
        .await;
        let attempted = format!("create container `{}` from image `{}`", request.name, request.spec.image);
        match created {
            Ok(created) => {
                log_warnings(&request.name, &created.warnings);
                Ok(ContainerId(created.id))
            }
            Err(error) => Err(match convert::status_code(&error) {
                Some(404) => Error::NoSuchImage { attempted },
                Some(409) => Error::NameTaken { attempted },
                Some(_) | None => convert::refusal(&attempted)(error),
            }),
        }
    }

    async fn connect(&self, id: &ContainerId, request: &ContainerRequest) -> Result<(), Error> {
        let further = request.spec.networks.iter().skip(1);
        if further.len() == 0 {
            return Ok(());
        }
        let attempted = format!("look at the networks of container `{}`", request.name);
        let found = answer(&attempted, self.client.inspect_container(&id.0, None)).await?;
        let connected = convert::networks(found);
        for network in further.filter(|network| !connected.contains(&network.name)) {
            let attempted = format!("connect container `{}` to network `{}`", request.name, network.name);
            let body = create::connect_body(id, network);
            answer_raw(self.client.connect_network(&network.name, body)).await.map_err(convert::refusal(&attempted))?;
        }
        Ok(())
    }

    async fn find(&self, name: &str) -> Result<ContainerView, Error> {
        self.look(name).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), Error> {
        let attempted = format!("start container `{id}`");
        match self.inspect(id).await?.status {
            ContainerStatus::Created => {}
            ContainerStatus::Running => return Ok(()),
            ContainerStatus::Exited(_) => {
                return Err(Error::CouldNotStart { attempted, message: "it has run before".to_owned() });
            }
            ContainerStatus::Removing => return Err(Error::NotFound { attempted }),
        }
        let Err(error) = answer_raw(self.client.start_container(&id.0, None)).await else { return Ok(()) };
        // Mounts, networks and containers that this one names and that do not exist are 404 as well, and what the engine says
        // of another container reads like what it would say of this one. So it is asked.
        let is_gone =
            convert::status_code(&error) == Some(404) && matches!(self.inspect(id).await, Err(Error::NotFound { .. }));
        Err(if is_gone { Error::NotFound { attempted } } else { convert::refusal(&attempted)(error) })
    }

    async fn wait(&self, id: &ContainerId) -> Result<ExitState, Error> {
        tokio::select! {
            told = self.told(id) => told?,
            seen = self.seen_later(id) => seen?,
        }
        let exit = self.exit_state(id).await?;
        if matches!(exit.code, EXIT_KILLED | EXIT_TERMINATED) && !exit.oom_killed {
            // `docker rm -f` is a kill and then a removal, and an engine that goes down first stops its containers: whoever
            // looks at once may see only the first half.
            tokio::time::sleep(SECOND_LOOK).await;
            return self.exit_state(id).await;
        }
        Ok(exit)
    }

    async fn inspect(&self, id: &ContainerId) -> Result<ContainerView, Error> {
        self.look(&id.0).await
    }

    async fn running_for(&self, id: &ContainerId) -> Result<Duration, Error> {
        let attempted = format!("ask how long container `{id}` has been running");
        let found = answer(&attempted, self.client.inspect_container(&id.0, None)).await?;
        let info = answer(&attempted, self.client.info()).await?;
        Ok(convert::running_for(found, &info))
    }

    fn logs(&self, id: &ContainerId, excerpt: Excerpt) -> BoxStream<'static, Result<LogLine, Error>> {
        output::read(self.client.clone(), id.clone(), excerpt)
    }

    async fn stop(&self, id: &ContainerId) -> Result<(), Error> {
        let attempted = format!("inspect container `{id}`");
        let (signal, grace) = match answer(&attempted, self.client.inspect_container(&id.0, None)).await {
            Ok(found) => convert::stop_policy(found),
            Err(Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.signal(id, &signal).await?;
        if self.stops_within(id, grace).await? {
            return Ok(());
        }
        self.signal(id, SIGKILL).await?;
        if self.stops_within(id, KILL_TIMEOUT).await? {
            return Ok(());
        }
        let attempted = format!("kill container `{id}`");
        Err(Error::Unavailable { attempted, source: "it still runs after SIGKILL".into() })
    }

    async fn kill(&self, id: &ContainerId) -> Result<bool, Error> {
        self.signal(id, SIGKILL).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match answer_raw(self.client.remove_container(&id.0, Some(options))).await {
            Ok(()) => Ok(()),
            Err(error) if convert::status_code(&error) == Some(404) => Ok(()),
            // "removal is already in progress": it is gone once nobody finds it.
            Err(error) if convert::status_code(&error) == Some(409) => {
                Err(Error::Unavailable { attempted: format!("remove container `{id}`"), source: Box::new(error) })
            }
            Err(error) => Err(convert::failure(&format!("remove container `{id}`"))(error)),
        }
    }

    async fn list_unended(&self, filter: &LabelFilter) -> Result<Vec<ContainerView>, Error> {
        let states = UNENDED.map(str::to_owned).to_vec();
        let found = self.summaries(filter, [("status".to_owned(), states)]).await?;
        let mut views = Vec::with_capacity(found.len());
        for mut summary in found {
            let image = summary.image_id.take();
            if let Some(view) = convert::unended_view(summary) {
                views.push(self.with_provenance(view, image.as_deref(), filter).await);
            }
        }
        Ok(views)
    }

    async fn list(&self, filter: &LabelFilter) -> Result<Vec<ContainerView>, Error> {
        let found = self.summaries(filter, []).await?;
        let mut views = Vec::with_capacity(found.len());
        for ContainerSummary { id, image_id, .. } in found {
            let Some(id) = id else { continue };
            // The list has no exit codes. What is removed meanwhile is not in the list any more.
            match self.look(&id).await {
                Ok(view) => views.push(self.with_provenance(view, image_id.as_deref(), filter).await),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(views)
    }
}

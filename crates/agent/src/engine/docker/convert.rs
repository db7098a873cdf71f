//! Between our words and Docker's: records and errors. Requests are in `create`.

use std::{collections::BTreeSet, time::Duration};

use bollard::{
    errors::Error as DockerError,
    models::{
        ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as Status, ContainerSummary,
        ContainerSummaryStateEnum as SummaryState, HealthStatusEnum, ImageInspect, LocalNodeState, Network, SystemInfo,
        Volume, VolumeListResponse,
    },
};
use jiff::Timestamp;
use tickmesh_core::{message::EngineStock, spec::STOP_GRACE_DEFAULT};

use crate::engine::{ContainerId, ContainerStatus, ContainerView, EngineInfo, Error, ExitState};

/// The status of the engine's answer, if it answered.
pub(super) fn status_code(error: &DockerError) -> Option<u16> {
    match error {
        DockerError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        // Everything else never reached the engine, or came in the middle of an answer. (Not our enum.)
        _ => None,
    }
}

/// The error of a request that is about an existing container, or about none.
pub(super) fn failure(attempted: &str) -> impl Fn(DockerError) -> Error {
    let attempted = attempted.to_owned();
    move |error| match status_code(&error) {
        Some(404) => Error::NotFound { attempted: attempted.clone() },
        Some(_) | None => Error::Unavailable { attempted: attempted.clone(), source: Box::new(error) },
    }
}

/// The error of a request that asks for something which the engine may refuse for good.
pub(super) fn refusal(attempted: &str) -> impl Fn(DockerError) -> Error {
    let attempted = attempted.to_owned();
    move |error| {
        let attempted = attempted.clone();
        match error {
            // 503: the engine is going down, or not up yet.
            DockerError::DockerResponseServerError { status_code, message } if status_code != 503 => {
                Error::CouldNotStart { attempted, message: message.trim().to_owned() }
            }
            DockerError::DockerStreamError { error } => Error::CouldNotStart { attempted, message: error },
            other => Error::Unavailable { attempted, source: Box::new(other) },
        }
    }
}

/// The error of a look for something that a file names. A redirect (`//` in a name makes one) or another answer that the
/// request is wrong stays the same however often it is asked again.
pub(super) fn lookup(attempted: &str) -> impl Fn(DockerError) -> Error {
    let (failure, refusal) = (failure(attempted), refusal(attempted));
    move |error| match status_code(&error) {
        Some(404 | 408 | 429) => failure(error),
        Some(300..500) => refusal(error),
        Some(_) | None => failure(error),
    }
}

/// Repository and tag of a reference, as the pull request wants them. Without a tag the engine would pull every tag.
pub(super) fn image_reference(image: &str) -> (&str, &str) {
    if image.contains('@') {
        return (image, "");
    }
    match image.rsplit_once(':') {
        // `host:5000/name` has a port, not a tag.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        Some(_) | None => (image, "latest"),
    }
}

/// What the engine offers.
pub(super) fn info(info: SystemInfo) -> EngineInfo {
    EngineInfo {
        id: info.id.unwrap_or_default(),
        version: info.server_version.unwrap_or_default(),
        cores: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
        memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
    }
}

/// What the engine has. A volume without a name of its own is no file's to ask for. A worker of a swarm brings networks of its
/// managers when they are asked for, and does not list them before: it tells nothing of networks.
pub(super) fn stock(info: &SystemInfo, networks: Vec<Network>, volumes: VolumeListResponse) -> EngineStock {
    let swarm = info.swarm.as_ref();
    let is_active = swarm.is_some_and(|swarm| swarm.local_node_state == Some(LocalNodeState::ACTIVE));
    let is_manager = swarm.is_some_and(|swarm| swarm.control_available == Some(true));
    let networks = networks.into_iter().filter_map(|network| network.name).collect();
    let volumes = volumes.volumes.unwrap_or_default().into_iter().map(|volume| volume.name);
    let is_nameless = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    EngineStock {
        networks: (!is_active || is_manager).then_some(networks),
        volumes: Some(volumes.filter(|name| !is_nameless(name)).collect()),
    }
}

/// The path that a volume binds, if that is all it is. (`device` is no path of the host for other kinds: a disk, an address.)
pub(super) fn path_of_volume(volume: Volume) -> Option<String> {
    let mut options = volume.options;
    let is_bind = |option: &str| matches!(option.trim(), "bind" | "rbind");
    let binds = options.get("o").is_some_and(|given| given.split(',').any(is_bind));
    options.remove("device").filter(|_| volume.driver == "local" && binds)
}

/// Whether an image is for a platform such as `linux/arm64` or `linux/arm/v7`. A part that the platform
/// does not name may be any.
pub(super) fn is_for(image: &ImageInspect, platform: &str) -> bool {
    let found = [&image.os, &image.architecture, &image.variant];
    let wanted = platform.split('/').map(|part| part.trim().to_ascii_lowercase());
    wanted.zip(found).all(|(wanted, found)| {
        let found = found.as_deref().unwrap_or_default();
        // Engines leave the variant out that an architecture has alone, such as v8 of arm64.
        found.is_empty() || found == wanted
    })
}

/// Returns the names of the networks to which a container is connected.
pub(super) fn networks(found: ContainerInspectResponse) -> BTreeSet<String> {
    let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    networks.into_keys().collect()
}

/// A container as the engine describes it.
pub(super) fn view(found: ContainerInspectResponse) -> ContainerView {
    let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
    ContainerView {
        id: ContainerId(found.id.unwrap_or_default()),
        // Docker's names begin with a slash, from the days of links.
        name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        labels: labels.into_iter().collect(),
        labels_are_own: false,
        status: found.state.map_or(ContainerStatus::Created, status),
    }
}

/// A container that has not ended, as the engine lists it; `None`: it has ended after all. Without a word about its state it counts
/// as running: whoever asks must not take it for ended.
pub(super) fn unended_view(found: ContainerSummary) -> Option<ContainerView> {
    let status = match found.state.unwrap_or(SummaryState::EMPTY) {
        SummaryState::CREATED => ContainerStatus::Created,
        SummaryState::EMPTY
        | SummaryState::RUNNING
        | SummaryState::PAUSED
        | SummaryState::RESTARTING
        | SummaryState::STOPPING => ContainerStatus::Running,
        SummaryState::REMOVING => ContainerStatus::Removing,
        SummaryState::EXITED | SummaryState::DEAD => return None,
    };
    let name = found.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    Some(ContainerView {
        id: ContainerId(found.id?),
        name: name.trim_start_matches('/').to_owned(),
        labels: found.labels.unwrap_or_default().into_iter().collect(),
        labels_are_own: false,
        status,
    })
}

/// Signal and grace that the container was created with.
pub(super) fn stop_policy(found: ContainerInspectResponse) -> (String, Duration) {
    let config = found.config.unwrap_or_default();
    let signal = config.stop_signal.filter(|signal| !signal.is_empty()).unwrap_or_else(|| "SIGTERM".to_owned());
    let grace = config.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok());
    (signal, grace.map_or(STOP_GRACE_DEFAULT, Duration::from_secs))
}

/// How long ago the container's process began. The engine's clock need not be the host's: it tells what time it has.
pub(super) fn running_for(found: ContainerInspectResponse, info: &SystemInfo) -> Duration {
    let started_at = found.state.and_then(|state| instant(&state.started_at?));
    let now = info.system_time.as_deref().and_then(instant);
    let age = started_at.zip(now).map(|(started_at, now)| now.duration_since(started_at));
    // Negative if the engine's clock was set back meanwhile.
    age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default()
}

fn status(state: ContainerState) -> ContainerStatus {
    match state.status.unwrap_or(Status::EMPTY) {
        Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING => ContainerStatus::Running,
        Status::EXITED | Status::DEAD => ContainerStatus::Exited(exit_state(state)),
        Status::REMOVING => ContainerStatus::Removing,
        Status::CREATED | Status::EMPTY => ContainerStatus::Created,
    }
}

fn exit_state(state: ContainerState) -> ExitState {
    ExitState {
        code: state.exit_code.unwrap_or(-1),
        oom_killed: state.oom_killed.unwrap_or(false),
        unhealthy: is_unhealthy(&state),
        started_at: state.started_at.as_deref().and_then(instant),
        finished_at: state.finished_at.as_deref().and_then(instant),
    }
}

fn is_unhealthy(state: &ContainerState) -> bool {
    state.health.as_ref().is_some_and(|health| health.status == Some(HealthStatusEnum::UNHEALTHY))
}

/// Docker writes "never" as the year 1.
fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|at: &Timestamp| at.as_second() > 0)
}

#[cfg(test)]
mod tests {
    use bollard::models::Health;
    use tickmesh_core::end_notes::EndNotes;

    use super::*;

    #[track_caller]
    fn check_reference(image: &str, repository: &str, tag: &str) {
        assert_eq!(image_reference(image), (repository, tag), "{image}");
    }

    #[test]
    fn a_pull_always_names_one_tag() {
        check_reference("busybox", "busybox", "latest");
        check_reference("busybox:1.36", "busybox", "1.36");
        check_reference("registry:5000/team/job", "registry:5000/team/job", "latest");
        check_reference("registry:5000/team/job:2", "registry:5000/team/job", "2");
        check_reference("job@sha256:00ff", "job@sha256:00ff", "");
    }

    #[track_caller]
    fn check_volume(driver: &str, options: &[(&str, &str)], path: Option<&str>) {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let volume = Volume { driver: driver.to_owned(), options, ..Volume::default() };
        assert_eq!(path_of_volume(volume).as_deref(), path);
    }

    #[test]
    fn a_volume_that_binds_a_path_is_that_path() {
        check_volume("local", &[], None);
        check_volume("local", &[("type", "none"), ("o", "bind"), ("device", "/etc")], Some("/etc"));
        check_volume("local", &[("o", "ro,rbind"), ("device", "/etc")], Some("/etc"));
        check_volume("local", &[("type", "nfs"), ("o", "addr=192.0.2.1"), ("device", ":/export")], None);
        check_volume("nfs", &[("o", "bind"), ("device", "/etc")], None);
    }

    #[test]
    fn a_wrong_name_is_refused_and_a_busy_engine_asked_again() {
        let answered = |status_code| {
            let message = String::new();
            lookup("look")(DockerError::DockerResponseServerError { status_code, message })
        };
        for status_code in [301, 308, 400, 403, 405, 422] {
            assert!(matches!(answered(status_code), Error::CouldNotStart { .. }), "{status_code}");
        }
        for status_code in [408, 429, 500, 503] {
            assert!(matches!(answered(status_code), Error::Unavailable { .. }), "{status_code}");
        }
        assert!(matches!(answered(404), Error::NotFound { .. }));
        assert!(matches!(lookup("look")(DockerError::RequestTimeoutError), Error::Unavailable { .. }));
    }

    #[test]
    fn what_the_engine_says_of_an_end_is_read() {
        let ended = |oom_killed, status| {
            let health = Health { status, ..Health::default() };
            let state = ContainerState { oom_killed, health: Some(health), ..ContainerState::default() };
            let exit = exit_state(state);
            (exit.oom_killed, exit.unhealthy)
        };
        assert_eq!(ended(Some(true), Some(HealthStatusEnum::UNHEALTHY)), (true, true));
        assert_eq!(ended(Some(false), Some(HealthStatusEnum::HEALTHY)), (false, false));
        assert_eq!(ended(None, Some(HealthStatusEnum::STARTING)), (false, false));
        assert_eq!(exit_state(ContainerState::default()).notes(), EndNotes::default());
    }

    #[test]
    fn the_year_one_is_no_instant() {
        assert_eq!(instant("0001-01-01T00:00:00Z"), None);
        assert!(instant("2026-11-22T07:46:43.123456789Z").is_some());
    }

    #[track_caller]
    fn check_running_for(started_at: &str, now: &str, expected: Duration) {
        let state = ContainerState { started_at: Some(started_at.to_owned()), ..ContainerState::default() };
        let found = ContainerInspectResponse { state: Some(state), ..ContainerInspectResponse::default() };
        let info = SystemInfo { system_time: Some(now.to_owned()), ..SystemInfo::default() };
        assert_eq!(running_for(found, &info), expected);
    }

    #[test]
    fn the_engine_says_how_long_a_container_has_been_running() {
        let now = "2026-11-22T07:46:45.5+08:00";
        check_running_for("2026-11-21T23:46:43.25Z", now, Duration::from_millis(2_250));
        check_running_for("2026-11-21T23:46:46Z", now, Duration::ZERO);
        check_running_for("0001-01-01T00:00:00Z", now, Duration::ZERO);
        check_running_for("2026-11-21T23:46:43Z", "", Duration::ZERO);
    }

    #[test]
    fn only_an_engine_that_does_not_answer_leaves_a_refusal_open() {
        let server =
            |status_code| DockerError::DockerResponseServerError { status_code, message: "no such volume".to_owned() };
        assert!(matches!(refusal("start it")(server(500)), Error::CouldNotStart { .. }));
        assert!(matches!(refusal("start it")(server(503)), Error::Unavailable { .. }));
        assert!(matches!(refusal("start it")(DockerError::RequestTimeoutError), Error::Unavailable { .. }));
    }
}

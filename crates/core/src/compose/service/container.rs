//! The keys of one service.

use std::time::Duration;

use super::{
    super::{
        keys::ServiceKey,
        labels::{Labels, ServiceLabels, read_service_labels},
        reader::Reader,
        report::quote,
        value::{Refused, boolean, cpus, duration, duration_text, number, size},
        yaml::{Item, Value},
    },
    depends::{self, Dependency, read_depends_on},
    environment::read_environment,
    image, signal,
    volumes::read_volumes,
};
use crate::{
    name::ServiceName,
    spec::{ContainerSpec, RetryPolicy, STOP_GRACE_DEFAULT, ServiceSpec},
};

/// Smallest `mem_limit`: the original's 4 MB, in its smaller reading, since its own example counts in millions.
const MEMORY_BYTES_MIN: u64 = 4_000_000;
/// Docker engines since 20.10 refuse less than this.
const MEMORY_BYTES_MIN_OF_DOCKER: u64 = 6 * 1024 * 1024;
/// Largest `mem_limit`: more than any host has, and small enough to be added up.
const MEMORY_BYTES_MAX: u64 = 1 << 50;
/// The weights that the kernel knows.
const CPU_SHARES_MIN: u64 = 2;
const CPU_SHARES_MAX: u64 = 262_144;
/// Longest wait for a container that is asked to stop: a run that is cancelled should end the same hour.
const STOP_GRACE_MAX: Duration = Duration::from_secs(60 * 60);
/// Longest name or path in a container's description: that of a path of Linux.
const TEXT_BYTES_MAX: usize = 4096;

/// A service while its keys are read.
#[derive(Debug)]
pub(super) struct ServiceDraft {
    pub(super) container: ContainerSpec,
    pub(super) labels: Labels<ServiceLabels>,
    pub(super) depends_on: Vec<Dependency>,
}

impl Default for ServiceDraft {
    fn default() -> Self {
        let container = ContainerSpec::new(String::new());
        Self { container, labels: Labels::default(), depends_on: Vec::new() }
    }
}

impl ServiceDraft {
    /// Reads the value of a key.
    pub(super) fn read(&mut self, key: ServiceKey, reader: &mut Reader<'_>, item: &Item<'_>) {
        let container = &mut self.container;
        match key {
            ServiceKey::Image => container.image = reader.parsed(item, image::read).unwrap_or_default(),
            ServiceKey::Command => container.command = read_words(reader, item),
            ServiceKey::Entrypoint => container.entrypoint = read_words(reader, item),
            ServiceKey::Environment => container.environment = read_environment(reader, item),
            ServiceKey::Labels => (self.labels, container.labels) = read_service_labels(reader, item),
            ServiceKey::DependsOn => self.depends_on = read_depends_on(reader, item),
            ServiceKey::WorkingDir => container.working_dir = reader.parsed(item, working_dir),
            ServiceKey::User => container.user = reader.parsed(item, user),
            ServiceKey::MemLimit => container.memory_bytes = read_memory(reader, item),
            ServiceKey::Cpus => container.cpu_millis = reader.parsed(item, cpus),
            ServiceKey::CpuShares => {
                container.cpu_shares = reader.parsed(item, |text| number(text, CPU_SHARES_MIN..=CPU_SHARES_MAX));
            }
            ServiceKey::NetworkMode => container.network_mode = reader.parsed(item, network_mode),
            ServiceKey::Volumes => container.volumes = read_volumes(reader, item),
            ServiceKey::StopSignal => container.stop_signal = reader.parsed(item, signal::read),
            ServiceKey::StopGracePeriod => {
                container.stop_grace = reader.parsed(item, stop_grace).unwrap_or(STOP_GRACE_DEFAULT);
            }
            ServiceKey::Restart => check_restart(reader, item),
        }
    }

    /// Takes out what the service waits for, in either spelling.
    pub(super) fn depends(&mut self, reader: &mut Reader<'_>) -> Vec<Dependency> {
        let by_label = self.labels.depends.as_ref().map(|text| depends::read_label(reader, text));
        let mut depends = by_label.unwrap_or_default();
        depends.append(&mut self.depends_on);
        depends
    }

    /// The service.
    pub(super) fn spec(self, name: ServiceName) -> ServiceSpec {
        let Self { container, labels, depends_on: _ } = self;
        let spec = ServiceSpec::new(name, container);
        ServiceSpec {
            scale: labels.scale.unwrap_or(spec.scale),
            retry: RetryPolicy { count: labels.retry_count.unwrap_or(spec.retry.count), ..labels.retry },
            remove_containers: labels.remove_containers,
            attempt_timeout: labels.attempt_timeout,
            ..spec
        }
    }
}

/// `command` and `entrypoint`: a list as it is, or a text that is split as a shell would, without any other of its meanings.
fn read_words(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<String>> {
    match &item.node.value {
        Value::Scalar(scalar) if scalar.is_null() => None,
        Value::Scalar(_) => reader.parsed(item, |text| {
            shell_words::split(text).map_err(|_| Refused::new(text, "complete: a quote is not closed"))
        }),
        Value::Sequence(_) => Some(reader.texts(item)?.into_iter().map(|text| text.value).collect()),
        Value::Mapping(_) => {
            reader.expected("a text or a list", item);
            None
        }
    }
}

fn working_dir(text: &str) -> Result<String, Refused> {
    let valid = text.starts_with('/') && text.len() <= TEXT_BYTES_MAX;
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "an absolute path in the container")) }
}

fn user(text: &str) -> Result<String, Refused> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_name = |part: &&str| !part.is_empty() && part.chars().all(|character| character.is_ascii_graphic());
    let valid = parts.len() <= 2 && parts.iter().all(is_name) && text.len() <= TEXT_BYTES_MAX;
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "a user such as `app`, `1000` or `1000:1000`")) }
}

fn read_memory(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<u64> {
    let bytes = reader.parsed(item, |text| {
        size(text).and_then(|bytes| match bytes {
            MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX => Ok(bytes),
            _ => Err(Refused::new(text, "a size from 4000000 bytes (4 MB) to 1024 TiB")),
        })
    })?;
    if bytes < MEMORY_BYTES_MIN_OF_DOCKER {
        reader.report.warning(item.place(), "docker engines since 20.10 refuse less than `6m`");
    }
    Some(bytes)
}

/// What an agent allows is its own affair; here is only what could never work.
fn network_mode(text: &str) -> Result<String, Refused> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|character| character.is_ascii_alphanumeric() || "_.-".contains(character))
            && name.len() <= TEXT_BYTES_MAX
    };
    if is_name(text.strip_prefix("container:").unwrap_or(text)) {
        return Ok(text.to_owned());
    }
    let expected = if text.starts_with("service:") {
        "possible: the other service may be on another host"
    } else {
        "`bridge`, `none`, `host`, `container:NAME` or the name of a network of the host"
    };
    Err(Refused::new(text, expected))
}

fn stop_grace(text: &str) -> Result<Duration, Refused> {
    let grace = duration(text)?;
    if grace > STOP_GRACE_MAX {
        return Err(Refused::new(text, format!("a duration of at most `{}`", duration_text(STOP_GRACE_MAX))));
    }
    Ok(grace)
}

/// Whatever `restart` says, containers of a batch job are never restarted: the original had it so too.
fn check_restart(reader: &mut Reader<'_>, item: &Item<'_>) {
    let Some(text) = reader.text(item) else { return };
    // Without quotes `no` is a boolean to some and a text to others.
    if boolean(&text.value) == Ok(false) {
        return;
    }
    let policy = text.value.split_once(':').map_or(text.value.as_str(), |(policy, _)| policy);
    if matches!(policy, "always" | "on-failure" | "unless-stopped") {
        let message = format!("`restart: {policy}` has no effect: a batch job is not restarted");
        reader.report.warning_with_hint(text.place(), message, "retries are set by the label `aliyun.retry_count`");
    } else {
        let message = format!("{} is not `no`, `always`, `on-failure` or `unless-stopped`", quote(&text.value));
        reader.report.error(text.place(), message);
    }
}

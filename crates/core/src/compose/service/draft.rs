//! A service while its keys are read: each key has its place here, and what they come to together is settled at the end.

use std::collections::BTreeMap;

use super::{
    super::{
        constraint::CONSTRAINTS_MAX,
        host_files::HostFileKind,
        keys::ServiceKey,
        labels::{Labels, ServiceLabels, read_service_labels},
        reader::Reader,
        report::quote,
        value::{boolean, number},
        yaml::Item,
    },
    container::{check_restart, network_mode, pull_policy, read_words, stop_grace, user, working_dir},
    depends::{self, Dependency, read_depends_on},
    deploy::{Deploy, read_deploy},
    env_file::read_env_files,
    environment::{check_size, read_environment},
    host_files::read_grants,
    image, limits,
    mount::Mount,
    naming,
    resources::{Bound, Resources, Setting},
    rights, signal,
    tmpfs::read_tmpfs,
    volumes::read_volumes,
};
use crate::{
    name::ServiceName,
    spec::{Constraint, ContainerSpec, RetryPolicy, STOP_GRACE_DEFAULT, ServiceSpec},
};

/// The weights that the kernel knows.
const CPU_SHARES_MIN: u64 = 2;
const CPU_SHARES_MAX: u64 = 262_144;

/// A service while its keys are read.
#[derive(Debug)]
pub(super) struct ServiceDraft {
    container: ContainerSpec,
    resources: Resources,
    labels: Labels<ServiceLabels>,
    depends_on: Vec<Dependency>,
    /// Variables of files: those of `environment` win.
    env_files: BTreeMap<String, String>,
    /// Directives among the variables.
    constraints: Vec<Constraint>,
    deploy: Deploy,
}

impl Default for ServiceDraft {
    fn default() -> Self {
        Self {
            container: ContainerSpec::new(String::new()),
            resources: Resources::default(),
            labels: Labels::default(),
            depends_on: Vec::new(),
            env_files: BTreeMap::new(),
            constraints: Vec::new(),
            deploy: Deploy::default(),
        }
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
            ServiceKey::Environment => (container.environment, self.constraints) = read_environment(reader, item),
            ServiceKey::EnvFile => self.env_files = read_env_files(reader, item),
            ServiceKey::Labels => (self.labels, container.labels) = read_service_labels(reader, item),
            ServiceKey::DependsOn => self.depends_on = read_depends_on(reader, item),
            ServiceKey::WorkingDir => container.working_dir = reader.parsed(item, working_dir),
            ServiceKey::User => container.user = reader.parsed(item, user),
            ServiceKey::Deploy => self.deploy = read_deploy(reader, item, &mut self.resources),
            ServiceKey::MemLimit => self.resources.read_memory(reader, item, "mem_limit", Bound::Limit),
            ServiceKey::MemReservation => {
                self.resources.read_memory(reader, item, "mem_reservation", Bound::Reservation);
            }
            ServiceKey::MemswapLimit => self.resources.read_memory_and_swap(reader, item),
            ServiceKey::PidsLimit => self.resources.read_pids(reader, item, "pids_limit"),
            ServiceKey::Cpus => self.resources.read_cpus(reader, item, "cpus", Bound::Limit),
            ServiceKey::CpuShares => {
                container.cpu_shares = reader.parsed(item, |text| number(text, CPU_SHARES_MIN..=CPU_SHARES_MAX));
            }
            ServiceKey::NetworkMode => container.network_mode = reader.parsed(item, network_mode),
            ServiceKey::Volumes => {
                let mounts = read_volumes(reader, item);
                self.mount(reader, mounts);
            }
            ServiceKey::Tmpfs => {
                let mounts = read_tmpfs(reader, item);
                self.mount(reader, mounts);
            }
            ServiceKey::Secrets => {
                let mounts = read_grants(reader, item, HostFileKind::Secret);
                self.mount(reader, mounts);
            }
            ServiceKey::Configs => {
                let mounts = read_grants(reader, item, HostFileKind::Config);
                self.mount(reader, mounts);
            }
            ServiceKey::Init => container.init = reader.parsed(item, boolean).unwrap_or(true),
            ServiceKey::StopSignal => container.stop_signal = reader.parsed(item, signal::read),
            ServiceKey::StopGracePeriod => {
                container.stop_grace = reader.parsed(item, stop_grace).unwrap_or(STOP_GRACE_DEFAULT);
            }
            ServiceKey::PullPolicy => container.pull_policy = reader.parsed(item, pull_policy).unwrap_or_default(),
            ServiceKey::Restart => check_restart(reader, item),
            ServiceKey::Naming(key) => naming::read(&mut container.naming, key, reader, item),
            ServiceKey::Limit(key) => limits::read(&mut container.limits, key, reader, item),
            ServiceKey::Right(key) => rights::read(&mut container.rights, key, reader, item),
        }
    }

    /// Takes mounts over, each of which needs a place of its own.
    fn mount(&mut self, reader: &mut Reader<'_>, mounts: Vec<Mount>) {
        for Mount { volume, place } in mounts {
            if self.container.volumes.iter().any(|other| other.target == volume.target) {
                let message = format!("two volumes have the target {}", quote(&volume.target));
                reader.report.error(place, message);
            }
            self.container.volumes.push(volume);
        }
    }

    /// Takes out what the service waits for, in either spelling.
    pub(super) fn take_depends(&mut self, reader: &mut Reader<'_>) -> Vec<Dependency> {
        let by_label = self.labels.depends.as_ref().map(|text| depends::read_label(reader, text));
        let mut depends = by_label.unwrap_or_default();
        depends.append(&mut self.depends_on);
        depends
    }

    /// The service; `None` if it has no name.
    pub(super) fn finish(
        mut self,
        reader: &mut Reader<'_>,
        item: &Item<'_>,
        name: Option<ServiceName>,
    ) -> Option<ServiceSpec> {
        self.resources.finish(reader, &mut self.container);
        self.finish_environment(reader, item);
        let (scale, global) = self.replicas(reader);
        let constraints = self.take_constraints(reader, item);
        let labels = self.labels;
        let spec = ServiceSpec::new(name?, self.container);
        Some(ServiceSpec {
            scale: scale.unwrap_or(spec.scale),
            retry: RetryPolicy { count: labels.retry_count.unwrap_or(spec.retry.count), ..labels.retry },
            remove_containers: labels.remove_containers,
            attempt_timeout: labels.attempt_timeout,
            global,
            constraints,
            ..spec
        })
    }

    fn finish_environment(&mut self, reader: &mut Reader<'_>, item: &Item<'_>) {
        if self.env_files.is_empty() {
            return;
        }
        let mut environment = std::mem::take(&mut self.env_files);
        environment.append(&mut self.container.environment);
        check_size(reader, item, &environment);
        self.container.environment = environment;
    }

    /// How many replicas there are, or that there is one on each agent: one of both.
    fn replicas(&mut self, reader: &mut Reader<'_>) -> (Option<u32>, bool) {
        let (mut scale, mut global) = (Setting::default(), Setting::default());
        if let (Some(given), Some(count)) = (self.labels.given("scale"), self.labels.scale) {
            scale.put(reader, &given.name, given.place.clone(), count);
        }
        if let Some((count, place)) = self.deploy.replicas.take() {
            scale.put(reader, "deploy.replicas", place, count);
        }
        if let Some(given) = self.labels.given("global") {
            global.put(reader, &given.name, given.place.clone(), self.labels.global);
        }
        if let Some((is_global, place)) = self.deploy.global.take() {
            global.put(reader, "deploy.mode", place, is_global);
        }
        let is_global = global.value().unwrap_or(false);
        if is_global && let (Some((scale, place)), Some((global, _))) = (scale.origin(), global.origin()) {
            let message = format!("`{scale}` contradicts `{global}`: there is one replica on each agent that fits");
            reader.report.error_with_hint(place, message, "remove one of them");
        }
        (scale.value(), is_global)
    }

    /// Constraints of all three spellings: each must hold.
    fn take_constraints(&mut self, reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Constraint> {
        let mut constraints = self.labels.constraints.clone();
        constraints.append(&mut self.constraints);
        constraints.append(&mut self.deploy.constraints);
        if constraints.len() > CONSTRAINTS_MAX {
            let message =
                format!("the service has {} constraints, at most {CONSTRAINTS_MAX} are allowed", constraints.len());
            reader.report.error(item.place(), message);
        }
        constraints
    }
}

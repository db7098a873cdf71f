//! A service while its keys are read: each key has its place here, and what they come to together is settled at the end.

use std::collections::BTreeMap;

use super::{
    super::{
        constraint::CONSTRAINTS_MAX,
        dialect::Dialect,
        host_files::HostFileKind,
        keys::ServiceKey,
        labels::{Labels, ServiceLabels, read_service_keys, read_service_labels, settle_no_replicas},
        reader::{Reader, Unset},
        report::{Place, quote},
        value::{boolean, number, unless_zero},
        yaml::Item,
    },
    affinity::Neighbourhood,
    build,
    container::{check_restart, network_mode, platform, pull_policy, read_words, stop_grace, user, working_dir},
    depends::{self, Dependency, read_depends_on},
    deploy::{Deploy, read_deploy, replicas},
    directive::Directives,
    env_file::read_env_files,
    environment::{check_size, read_environment},
    gpus::{read_gpus, read_runtime, visible_devices},
    host_files::read_grants,
    image, limits,
    mount::Mount,
    naming,
    networks::Attachments,
    resources::{Bound, Resources, Setting},
    rights, signal,
    tmpfs::read_tmpfs,
    volumes::read_volumes,
};
use crate::{
    name::ServiceName,
    spec::{
        Constraint, ContainerSpec, DeviceRequest, PullPolicy, RequestedDevices, RetryPolicy, STOP_GRACE_DEFAULT,
        ServiceSpec,
    },
};

/// Docker's own default, and what one share below it stands for in files of the original: 100 are a
/// core.
const CPU_SHARES_OF_DOCKER: u64 = 1_024;
const CPU_MILLIS_PER_SHARE: u64 = 10;
/// The weights that the kernel knows.
const CPU_SHARES_MIN: u64 = 2;
const CPU_SHARES_MAX: u64 = 262_144;

/// A service while its keys are read.
#[derive(Debug)]
pub(super) struct ServiceDraft {
    container: ContainerSpec,
    /// Where `image` stands, if it does.
    image: Option<Place>,
    /// Where `build` stands, if it does.
    build: Option<Place>,
    /// The networks that the service names, or the place of a mode that stands instead.
    networks: Attachments,
    resources: Resources,
    /// What `gpus` asks for, and where it stands.
    gpus: Option<(Vec<DeviceRequest>, Place)>,
    /// Whether `runtime` asks for GPUs, and where it stands.
    by_runtime: Option<Place>,
    /// Where `pull_policy` stands, if it does.
    pull_policy: Option<Place>,
    labels: Labels<ServiceLabels>,
    depends_on: Vec<Dependency>,
    /// Variables of files: those of `environment` win.
    env_files: BTreeMap<String, String>,
    /// Directives among the variables.
    directives: Directives,
    deploy: Deploy,
    /// What `scale` says, and where.
    scale: Option<(u32, Place)>,
}

impl ServiceDraft {
    /// A service that says nothing yet.
    pub(super) fn new(dialect: Dialect) -> Self {
        let container = ContainerSpec::new(String::new());
        Self {
            image: None,
            build: None,
            networks: Attachments::default(),
            container: ContainerSpec { init: dialect.adds_init(), engine_init: !dialect.adds_init(), ..container },
            resources: Resources::default(),
            gpus: None,
            by_runtime: None,
            pull_policy: None,
            labels: Labels::default(),
            depends_on: Vec::new(),
            env_files: BTreeMap::new(),
            directives: Directives::default(),
            deploy: Deploy::default(),
            scale: None,
        }
    }

    /// Reads the value of a key.
    pub(super) fn read(&mut self, key: ServiceKey, reader: &mut Reader<'_>, item: &Item<'_>) {
        let container = &mut self.container;
        match key {
            ServiceKey::Image => {
                self.image = Some(item.place());
                container.image = reader.parsed(item, image::read).unwrap_or_default();
            }
            ServiceKey::Platform => container.platform = reader.parsed(item, platform),
            ServiceKey::Build => self.build = Some(item.place()),
            ServiceKey::Command => container.command = read_words(reader, item),
            ServiceKey::Entrypoint => container.entrypoint = read_words(reader, item),
            ServiceKey::Environment => {
                (container.environment, self.directives) =
                    reader.with_unset(Unset::Deferred, |reader| read_environment(reader, item));
            }
            ServiceKey::EnvFile => {
                self.env_files = reader.with_unset(Unset::Refused, |reader| read_env_files(reader, item));
            }
            ServiceKey::Labels => container.labels = read_service_labels(reader, item, &mut self.labels),
            ServiceKey::DependsOn => self.depends_on = read_depends_on(reader, item),
            ServiceKey::WorkingDir => container.working_dir = reader.parsed(item, working_dir),
            ServiceKey::User => {
                container.user = reader.with_unset(Unset::Refused, |reader| reader.parsed(item, user));
            }
            ServiceKey::Deploy => self.deploy = read_deploy(reader, item, &mut self.resources, &mut self.labels),
            ServiceKey::Scale => self.scale = reader.parsed(item, replicas).map(|count| (count, item.place())),
            ServiceKey::MemLimit => self.resources.read_memory(reader, item, "mem_limit", Bound::Limit),
            ServiceKey::MemReservation => {
                self.resources.read_memory(reader, item, "mem_reservation", Bound::Reservation);
            }
            ServiceKey::MemswapLimit => self.resources.read_memory_and_swap(reader, item),
            ServiceKey::PidsLimit => self.resources.read_pids(reader, item, "pids_limit"),
            ServiceKey::Cpus => self.resources.read_cpus(reader, item, "cpus", Bound::Limit),
            ServiceKey::Gpus => self.gpus = Some((read_gpus(reader, item), item.place())),
            ServiceKey::Runtime => self.by_runtime = read_runtime(reader, item),
            ServiceKey::CpuShares => {
                let shares = |text: &str| number(text, CPU_SHARES_MIN..=CPU_SHARES_MAX);
                container.cpu_shares = reader.parsed(item, |text| unless_zero(text, shares)).flatten();
            }
            ServiceKey::NetworkMode => {
                self.networks.mode = Some(item.place());
                container.network_mode = reader.parsed(item, network_mode);
            }
            ServiceKey::Networks => self.networks.read(reader, item),
            ServiceKey::Volumes => {
                let mounts = reader.with_unset(Unset::Refused, |reader| read_volumes(reader, item));
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
            ServiceKey::Init => {
                container.init = reader.parsed(item, boolean).unwrap_or(container.init);
                container.engine_init = false;
            }
            ServiceKey::StopSignal => container.stop_signal = reader.parsed(item, signal::read),
            ServiceKey::StopGracePeriod => {
                container.stop_grace = reader.parsed(item, stop_grace).unwrap_or(STOP_GRACE_DEFAULT);
            }
            ServiceKey::PullPolicy => {
                self.pull_policy = Some(item.place());
                container.pull_policy = reader.parsed(item, pull_policy).unwrap_or_default();
                if item.scalar() == Some("build") {
                    let message =
                        "`pull_policy: build` is read as `never`: agents build no images, so hosts must have it";
                    reader.report.warning(item.place(), message);
                }
            }
            ServiceKey::Restart => check_restart(reader, item),
            ServiceKey::Naming(key) => naming::read(&mut container.naming, key, reader, item),
            ServiceKey::Limit(key) => limits::read(&mut container.limits, key, reader, item),
            ServiceKey::Right(key) => rights::read(&mut container.rights, key, reader, item),
        }
    }

    /// Reads labels that stand under `x-tickmesh`.
    pub(super) fn read_keys(&mut self, reader: &mut Reader<'_>, item: &Item<'_>) {
        read_service_keys(reader, item, &mut self.labels);
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

    /// Takes out what the service says about its neighbours.
    pub(super) fn take_neighbourhood(&mut self) -> Neighbourhood {
        std::mem::take(&mut self.directives.neighbourhood)
    }

    /// The service; `None` if it has no name.
    pub(super) fn finish(
        mut self,
        reader: &mut Reader<'_>,
        item: &Item<'_>,
        key: &str,
        name: Option<ServiceName>,
    ) -> Option<ServiceSpec> {
        if let Some(place) = self.build.take() {
            build::settle(reader, &mut self.container, key, self.image.is_some(), place);
        }
        std::mem::take(&mut self.networks).settle(reader, &mut self.container, key);
        self.resources.finish(reader, &mut self.container);
        self.reserve_shares(reader);
        self.settle_latest_image(reader);
        self.finish_environment(reader, item);
        self.settle_gpus(reader);
        let (scale, global) = self.replicas(reader);
        let constraints = self.take_constraints(reader, item);
        let labels = self.labels;
        let spec = ServiceSpec::new(name?, self.container);
        Some(ServiceSpec {
            scale: scale.unwrap_or(spec.scale),
            retry: RetryPolicy { count: labels.retry_count.unwrap_or(spec.retry.count), ..labels.retry },
            remove_containers: labels.remove_containers,
            attempt_timeout: labels.attempt_timeout,
            oom: labels.oom,
            global,
            constraints,
            ..spec
        })
    }

    /// In files of the original 100 shares are a core that is kept free; docker's own default of
    /// 1,024 and more is a weight.
    fn reserve_shares(&mut self, reader: &Reader<'_>) {
        let Some(shares) = self.container.cpu_shares.filter(|shares| *shares < CPU_SHARES_OF_DOCKER) else { return };
        if reader.is_original && reader.dialect.reserves_shares() && self.container.reserved_cpu_millis().is_none() {
            self.container.cpu_reservation_millis = Some(shares * CPU_MILLIS_PER_SHARE);
        }
    }

    /// The original's word for `pull_policy: always`.
    fn settle_latest_image(&mut self, reader: &mut Reader<'_>) {
        let Some(given) = self.labels.given("latest_image").filter(|_| self.labels.latest_image) else { return };
        if self.pull_policy.is_some() && self.container.pull_policy != PullPolicy::Always {
            let message = format!("`{}` contradicts `pull_policy`", given.name);
            return reader.report.error_with_hint(given.place.clone(), message, "remove one of them");
        }
        self.container.pull_policy = PullPolicy::Always;
    }

    /// Takes the GPUs over from one of the three places that can ask for them.
    fn settle_gpus(&mut self, reader: &mut Reader<'_>) {
        let count = self.labels.gpu.unwrap_or_default();
        let by_label = (count > 0).then(|| DeviceRequest::gpus(RequestedDevices::Count(count)));
        let by_deploy = std::mem::take(&mut self.deploy.devices);
        let (by_key, place) = self.gpus.take().unwrap_or_else(|| (Vec::new(), Place::file()));
        let given = self.labels.given("gpu").map_or(place, |given| given.place.clone());
        let asked: Vec<Vec<DeviceRequest>> = [by_label.into_iter().collect(), by_key, by_deploy]
            .into_iter()
            .filter(|requests| !requests.is_empty())
            .collect();
        if asked.iter().any(|requests| *requests != asked[0]) {
            let message = "the service asks for GPUs in two places that differ";
            return reader.report.error_with_hint(given, message, "keep one of them");
        }
        self.container.device_requests = asked.into_iter().next().unwrap_or_default();
        if self.by_runtime.is_some() && self.container.device_requests.is_empty() {
            let devices = visible_devices(&self.container.environment);
            self.container.device_requests.extend(devices.map(DeviceRequest::gpus));
        }
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
        for (name, given) in [("deploy.replicas", self.deploy.replicas.take()), ("scale", self.scale.take())] {
            match given {
                Some((0, place)) => settle_no_replicas(reader, place, self.labels.is_of_swarm_cronjob()),
                Some((count, place)) => scale.put(reader, name, place, count),
                None => {}
            }
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
        constraints.append(&mut self.directives.constraints);
        constraints.append(&mut self.deploy.constraints);
        if constraints.len() > CONSTRAINTS_MAX {
            let message =
                format!("the service has {} constraints, at most {CONSTRAINTS_MAX} are allowed", constraints.len());
            reader.report.error(item.place(), message);
        }
        constraints
    }
}

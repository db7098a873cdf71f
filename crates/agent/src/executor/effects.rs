//! One function for each effect.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tickmesh_core::{
    id::Nonce,
    message::{AttemptEvent, AttemptReport, MachineId},
    spec::{ContainerSpec, HostAccess, HostNeed},
};
use tickmesh_messaging::Cas;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    collect::Output,
    host_paths,
    pulls::Wait,
    surroundings::{Surroundings, reason},
    unit::Unit,
};
use crate::{
    attempt::{Event, Job, OutputFrom, Stop, Terms},
    backoff::Backoff,
    clock::uptime,
    container,
    engine::{ContainerEngine, ContainerId, ContainerRequest, ContainerStatus, Error, NetworkKind},
    error::chain,
    labels::Tag,
    policy::{Detour, Refusal, check_volume},
};

/// How long the end of an attempt waits for the end of its output, so that whoever reads it right afterwards finds it all.
const OUTPUT_GRACE: Duration = Duration::from_secs(2);
/// How often the engine is asked how long a container has been running that may run for longer: a time-out is late by no more than
/// that after its host slept.
const TIME_LOOK_INTERVAL: Duration = Duration::from_secs(60);

impl<E: ContainerEngine> Unit<E> {
    pub(super) async fn decline(self, event: AttemptEvent) {
        let report = self.surroundings.report(&self.attempt, event);
        match self.append(&report, 0).await {
            Cas::Stored { .. } | Cas::Refused { .. } => self.tell(Event::Declined).await,
        }
    }

    pub(super) async fn claim(self, nonce: Nonce, machine: MachineId) {
        let report = self.surroundings.report(&self.attempt, AttemptEvent::Claimed { nonce, machine });
        let event = match self.append(&report, 0).await {
            Cas::Stored { sequence } => Event::ClaimStored { sequence, at: uptime() },
            Cas::Refused { .. } => Event::ClaimRefused,
        };
        self.tell(event).await;
    }

    pub(super) async fn pull(self, wait: Wait, given_up: CancellationToken) {
        match given_up.run_until_cancelled(wait).await {
            Some(Ok(())) => self.tell(Event::ImageReady).await,
            Some(Err(reason)) => self.tell(Event::CouldNotPull { reason }).await,
            None => {}
        }
    }

    pub(super) async fn create(self, claim_sequence: u64, job: Arc<Job>, given_up: CancellationToken) {
        let (attempt, terms) = (self.attempt.clone(), Terms::of(&job.order));
        let tag = Tag { attempt, nonce: job.nonce, claim_sequence, terms };
        let name = self.surroundings.ownership.container_name(&self.attempt);
        let Surroundings { ownership, default_limits, .. } = &*self.surroundings;
        let request = container::request(name, ownership.owner(), &tag, &job.order, *default_limits);
        if let Some(event) = given_up.run_until_cancelled(self.created(&request)).await {
            self.tell(event).await;
        }
    }

    async fn created(&self, request: &ContainerRequest) -> Event {
        let mut backoff = Backoff::default();
        loop {
            match self.check_mounts(&request.spec).await {
                Ok(Ok(())) => {}
                Ok(Err(detour)) => return Event::NotAllowed { reason: reason(&detour) },
                Err(error @ Error::CouldNotStart { .. }) => {
                    return Event::CouldNotCreate { reason: reason(&error) };
                }
                Err(error) => {
                    self.again("look at the volumes", &error, &mut backoff).await;
                    continue;
                }
            }
            match self.unmet(&request.spec).await {
                Ok(None) => {}
                Ok(Some(Unmet::Missing(need))) => return Event::CouldNotCreate { reason: missing_reason(&need) },
                Ok(Some(Unmet::Forbidden(refusal))) => return Event::NotAllowed { reason: reason(&refusal) },
                Err(error @ Error::CouldNotStart { .. }) => {
                    return Event::CouldNotCreate { reason: reason(&error) };
                }
                Err(error) => {
                    self.again("look for networks and volumes", &error, &mut backoff).await;
                    continue;
                }
            }
            let error = match self.surroundings.engine.create(request).await {
                Ok(container) => return self.connected(container, request).await,
                Err(error @ Error::NameTaken { .. }) => match self.surroundings.engine.find(&request.name).await {
                    // Created by a try whose answer was lost: the nonce among the labels says that it is this very claim's.
                    Ok(found) if carries(&found.labels, &request.labels) => {
                        return self.connected(found.id, request).await;
                    }
                    Ok(_) => return Event::CouldNotCreate { reason: reason(&error) },
                    Err(error) => error,
                },
                Err(error) => error,
            };
            match error {
                Error::Unavailable { .. } | Error::NotFound { .. } => self.again("create", &error, &mut backoff).await,
                Error::NameTaken { .. } | Error::NoSuchImage { .. } | Error::CouldNotStart { .. } => {
                    return Event::CouldNotCreate { reason: reason(&error) };
                }
            }
        }
    }

    /// Returns the first network or volume that must be there and is not, or that the host keeps for itself. The network of
    /// the host has an id like any other, by which a file may name it.
    async fn unmet(&self, container: &ContainerSpec) -> Result<Option<Unmet>, Error> {
        let engine = &self.surroundings.engine;
        for need in container.host_needs() {
            let is_present = match &need {
                HostNeed::Network(name) => match engine.network(name).await? {
                    Some(NetworkKind::Host) if !self.surroundings.policy.allows(&HostAccess::Network) => {
                        return Ok(Some(Unmet::Forbidden(Refusal { access: HostAccess::Network })));
                    }
                    Some(NetworkKind::Host | NetworkKind::Own) => true,
                    None => false,
                },
                HostNeed::Volume(name) => engine.volume_present(name).await?,
                // Whoever brings the image has looked.
                HostNeed::Image(_) => true,
            };
            if !is_present {
                return Ok(Some(Unmet::Missing(need)));
            }
        }
        Ok(None)
    }

    /// Connects a created container to its further networks. One that cannot be connected goes:
    /// without them it would not be what the file says.
    async fn connected(&self, container: ContainerId, request: &ContainerRequest) -> Event {
        let engine = &self.surroundings.engine;
        let mut backoff = Backoff::default();
        let error = loop {
            match engine.connect(&container, request).await {
                Ok(()) => return Event::Created { container },
                Err(error @ Error::Unavailable { .. }) => self.again("connect", &error, &mut backoff).await,
                Err(error) => break error,
            }
        };
        while let Err(error) = engine.remove(&container).await {
            self.again("remove", &error, &mut backoff).await;
        }
        Event::CouldNotCreate { reason: reason(&error) }
    }

    /// Whether the host allows what is behind the names of a container's mounts. As late as possible: a job may make a link at
    /// any time.
    async fn check_mounts(&self, container: &ContainerSpec) -> Result<Result<(), Detour>, Error> {
        let Surroundings { engine, policy, .. } = &*self.surroundings;
        let mut paths = host_paths::named(container);
        for volume in host_paths::volumes(container) {
            let Some(path) = engine.path_of_volume(volume).await? else { continue };
            if let Err(detour) = check_volume(policy, volume, &path) {
                return Ok(Err(detour));
            }
            paths.push(path);
        }
        if !engine.shares_files() {
            return Ok(Ok(()));
        }
        let policy = policy.clone();
        // A file system may hang, and the runtime must not.
        let checked = tokio::task::spawn_blocking(move || host_paths::check(paths, &policy)).await;
        Ok(checked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
    }

    pub(super) async fn start(self, container: ContainerId) {
        let event = match self.surroundings.engine.start(&container).await {
            Ok(()) => Event::Started,
            Err(Error::NotFound { .. }) => Event::ContainerGone,
            Err(error @ (Error::CouldNotStart { .. } | Error::NoSuchImage { .. } | Error::NameTaken { .. })) => {
                Event::CouldNotStart { reason: reason(&error) }
            }
            // It may still take effect, and a second start after a quick exit would run the job twice.
            Err(error @ Error::Unavailable { .. }) => {
                tracing::warn!(attempt_id = %self.attempt, error = %chain(&error), "start unanswered");
                self.look_after_start(&container).await
            }
        };
        self.tell(event).await;
    }

    async fn look_after_start(&self, container: &ContainerId) -> Event {
        let mut backoff = Backoff::default();
        loop {
            match self.surroundings.engine.inspect(container).await.map(|found| found.status) {
                Ok(ContainerStatus::Created) => return Event::StartUnanswered,
                Ok(ContainerStatus::Running | ContainerStatus::Exited(_)) => return Event::Started,
                Ok(ContainerStatus::Removing) | Err(Error::NotFound { .. }) => return Event::ContainerGone,
                Err(error) => self.again("inspect", &error, &mut backoff).await,
            }
        }
    }

    /// Waits for the end of a container whose output is `under_way`.
    pub(super) async fn watch(self, container: ContainerId, from: OutputFrom, under_way: Output) {
        let ended = CancellationToken::new();
        let mut pump =
            AbortOnDropHandle::new(tokio::spawn(under_way.store(self.pump(&container), from, ended.clone())));
        let end = self.end(&container).await;
        ended.cancel();
        let is_stored = timeout(OUTPUT_GRACE, &mut pump).await.is_ok();
        self.tell(end).await;
        if !is_stored {
            // The container stays as long as its output is on its way, and its end may be, too.
            let _ = pump.await;
        }
    }

    async fn end(&self, container: &ContainerId) -> Event {
        let mut backoff = Backoff::default();
        loop {
            match self.surroundings.engine.wait(container).await {
                Ok(exit) => return Event::Exited(exit),
                Err(Error::NotFound { .. }) => return Event::ContainerGone,
                Err(error) => {
                    self.tell(Event::WatchInterrupted).await;
                    self.again("watch", &error, &mut backoff).await;
                }
            }
        }
    }

    pub(super) async fn time(self, container: ContainerId, limit: Duration, ended: CancellationToken) {
        if let Some(event) = ended.run_until_cancelled(self.time_up(&container, limit)).await {
            self.tell(event).await;
        }
    }

    /// Asks the engine again and again, for its clock may be set, and the host may sleep.
    async fn time_up(&self, container: &ContainerId, limit: Duration) -> Event {
        let mut backoff = Backoff::default();
        loop {
            match self.surroundings.engine.running_for(container).await {
                Ok(age) if age >= limit => return Event::StopWanted(Stop::TimedOut),
                Ok(age) => sleep((limit - age).min(TIME_LOOK_INTERVAL)).await,
                // The watch tells of a container that is gone, and that ends this.
                Err(error) => self.again("time", &error, &mut backoff).await,
            }
        }
    }

    pub(super) async fn stop(self, container: ContainerId) {
        let mut backoff = Backoff::default();
        while let Err(error) = self.surroundings.engine.stop(&container).await {
            self.again("stop", &error, &mut backoff).await;
        }
    }

    pub(super) async fn report(self, claim_sequence: u64, event: AttemptEvent) {
        let report = self.surroundings.report(&self.attempt, event);
        let mut fate = self.append(&report, claim_sequence).await;
        if let Cas::Refused { current: None } = fate {
            // The stream lost the claim, or nobody needs it any more: the end is the first word then.
            fate = self.append(&report, 0).await;
        }
        let event = match fate {
            Cas::Stored { .. } => Event::EndStored,
            Cas::Refused { current } => {
                tracing::info!(attempt_id = %self.attempt, current = ?current, "somebody else ended the attempt");
                Event::EndRefused
            }
        };
        self.tell(event).await;
    }

    pub(super) async fn remove(self, container: ContainerId) {
        let mut backoff = Backoff::default();
        while let Err(error) = self.surroundings.engine.remove(&container).await {
            self.again("remove", &error, &mut backoff).await;
        }
        self.tell(Event::Removed).await;
    }

    /// Stores a report, the same one until its fate is known.
    async fn append(&self, report: &AttemptReport, expected: u64) -> Cas<AttemptReport> {
        let results = self.surroundings.mesh.results();
        let mut backoff = Backoff::default();
        loop {
            match results.append(report, expected).await {
                Ok(fate) => return fate,
                Err(error) => self.again("report", &error, &mut backoff).await,
            }
        }
    }
}

/// Why a host cannot give a container what its file names.
enum Unmet {
    /// It is not there.
    Missing(HostNeed),
    /// It is there, and not for containers.
    Forbidden(Refusal),
}

/// Says what a host lacks, and what to do about it.
fn missing_reason(need: &HostNeed) -> String {
    let remedy = match need {
        HostNeed::Network(name) => format!("make it with `docker network create {name}`, or start what makes it"),
        HostNeed::Volume(name) => format!("make it with `docker volume create {name}`, or start what makes it"),
        HostNeed::Image(name) => format!("load it, or build it there as `{name}`"),
    };
    format!("the host does not have {need}: {remedy}")
}

/// Whether a container has all those labels. It may have more: an image brings its own.
fn carries(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| found.get(key) == Some(value))
}

//! One mesh for one test: a NATS server, a mesh id of its own, and the containers that carry it.

use std::{path::Path, time::Duration};

use futures_util::StreamExt;
use jiff::Timestamp;
use tickmesh_agent::{
    Config, Error, Host, container,
    default_limits::DefaultLimits,
    engine::{ContainerEngine, ContainerId, ContainerView, docker::Docker},
    labels::{Owner, Tag},
    policy::HostPolicy,
    run,
};
use tickmesh_core::{
    id::{AttemptId, Epoch, MeshId, Nonce, RunUid},
    ledger::Cause,
    message::{AgentRecord, AttemptEvent, AttemptReport, LogBatch, MachineId, Order, OrderKind, SCHEMA, StartOrder},
    name::{AgentName, AppName, Namespace, ServiceName},
    spec::{ContainerSpec, MountOptions, OnDisconnect, RemoveContainers, Volume, VolumeSource},
    timing::Timing,
};
use tickmesh_messaging::{Cas, ConnectOptions, LEASE_KEY, LeaseRecord, LogFilter, Login, Mesh, Provisioning};
use tickmesh_testkit::nats::Server;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Every wait of these tests ends by then: a container on a loaded host takes seconds, not minutes.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long one request to NATS may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two renewals of the lease.
const LEASE_INTERVAL: Duration = Duration::from_millis(100);
/// Pause between two looks at something that nobody announces.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// All deadlines of the protocol are this much shorter: a heartbeat every 100 ms, lost after 3 s.
const TIMING_FACTOR: f64 = 0.05;

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) mesh: Mesh,
    pub(crate) mesh_id: MeshId,
    pub(crate) engine: Docker,
    pub(crate) uid: RunUid,
    lock_dir: tempfile::TempDir,
    /// Renews the lease.
    _leader: AbortOnDropHandle<()>,
}

/// Renews the lease as a leader does, only more often: agents believe nobody who does not.
async fn keep_lease(mesh: Mesh, mut lease: LeaseRecord) {
    loop {
        sleep(LEASE_INTERVAL).await;
        lease = lease.next();
        // The server may be down, or the lease damaged: what tests do to it is met by the agent, too.
        if let Ok(Some(current)) = mesh.lease().read(LEASE_KEY).await {
            let _ = mesh.lease().compare_and_set(LEASE_KEY, &lease, current.sequence).await;
        }
    }
}

/// An agent process, as far as one can be had inside the test.
pub(crate) struct RunningAgent {
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: JoinHandle<Result<(), Error>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Docker::connect().await.expect("these tests need a Docker engine")).await
    }

    /// A world on an engine that the test owns.
    pub(crate) async fn on(engine: Docker) -> Self {
        let server = Server::start();
        let mesh = connect(&server).await;
        let mesh_id = mesh.provision(&Provisioning::default()).await.unwrap();
        // Its first revision begins the tenure of the orders.
        let lease = LeaseRecord::first("scheduler-1", "host", None);
        mesh.lease().compare_and_set(LEASE_KEY, &lease, 0).await.unwrap();
        let leader = AbortOnDropHandle::new(tokio::spawn(keep_lease(mesh.clone(), lease)));
        let uid = RunUid::from_random(rand::random());
        Self { server, mesh, mesh_id, engine, uid, lock_dir: tempfile::tempdir().unwrap(), _leader: leader }
    }

    pub(crate) fn config(&self) -> Config {
        let host = Host { machine: machine(), boot: "boot-1".to_owned(), name: "test-host".to_owned() };
        let config = Config::new(agent(), host, self.lock_dir.path().to_owned());
        Config { timing: Timing::default().scaled(TIMING_FACTOR), ..config }
    }

    /// The configuration of a host that lets containers mount `folder`.
    pub(crate) fn config_with_mount(&self, folder: &Path) -> Config {
        Config { policy: HostPolicy { host_paths: vec![folder.to_owned()], ..HostPolicy::default() }, ..self.config() }
    }

    pub(crate) async fn start_agent(&self) -> RunningAgent {
        self.start_agent_with(self.config()).await
    }

    /// Starts an agent and returns at once: see [`Self::wait_for_heartbeat`].
    pub(crate) async fn start_agent_with(&self, config: Config) -> RunningAgent {
        self.start_agent_on(config, self.engine.clone()).await
    }

    /// Starts an agent on another engine than the world's.
    pub(crate) async fn start_agent_on(&self, config: Config, engine: impl ContainerEngine) -> RunningAgent {
        let (mesh, logs) = (connect(&self.server).await, connect(&self.server).await);
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(run(config, mesh, logs, self.mesh_id, engine, shutdown.clone()));
        RunningAgent { shutdown, ended }
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner { mesh: self.mesh_id, namespace: self.mesh.names().namespace().clone(), agent: agent() }
    }

    pub(crate) fn attempt(&self, replica: u32) -> AttemptId {
        AttemptId {
            app: AppName::new("nightly").unwrap(),
            run: 1,
            uid: self.uid,
            service: ServiceName::new("s.1").unwrap(),
            replica,
            attempt: 1,
        }
    }

    pub(crate) async fn order_start(&self, replica: u32, start: StartOrder) {
        self.order(replica, OrderKind::Start(Box::new(start))).await;
    }

    pub(crate) async fn order_stop(&self, replica: u32) {
        self.order(replica, OrderKind::Stop).await;
    }

    async fn order(&self, replica: u32, kind: OrderKind) {
        self.order_of(Epoch(1), replica, kind).await;
    }

    /// Sends an order of a tenure.
    pub(crate) async fn order_of(&self, epoch: Epoch, replica: u32, kind: OrderKind) {
        let attempt = self.attempt(replica);
        let order = Order { schema: SCHEMA, epoch, agent: agent(), attempt, kind };
        self.mesh.orders().send(&order).await.unwrap();
    }

    /// The attempt's last report, once it is terminal.
    pub(crate) async fn end_of(&self, replica: u32) -> AttemptEvent {
        let attempt = self.attempt(replica);
        eventually(&format!("the end of {attempt}"), async || {
            let last = self.mesh.results().last_of(&attempt, &agent()).await.ok()?;
            last.map(|entry| entry.value.event).filter(AttemptEvent::is_terminal)
        })
        .await
    }

    /// Stores a claim, as an earlier agent process would have.
    pub(crate) async fn claim(&self, replica: u32, nonce: Nonce) -> u64 {
        let report = AttemptReport {
            schema: SCHEMA,
            attempt: self.attempt(replica),
            agent: agent(),
            at: Timestamp::now(),
            event: AttemptEvent::Claimed { nonce, machine: machine() },
        };
        match self.mesh.results().append(&report, 0).await.unwrap() {
            Cas::Stored { sequence } => sequence,
            Cas::Refused { current } => panic!("claimed already: {current:?}"),
        }
    }

    /// Stores the end of a claimed attempt, as the leader would.
    pub(crate) async fn end(&self, replica: u32, claim_sequence: u64, event: AttemptEvent) {
        let attempt = self.attempt(replica);
        let report = AttemptReport { schema: SCHEMA, attempt, agent: agent(), at: Timestamp::now(), event };
        let stored = self.mesh.results().append(&report, claim_sequence).await.unwrap();
        assert!(matches!(stored, Cas::Stored { .. }), "somebody else ended it: {stored:?}");
    }

    /// Creates the container of a claim, as an earlier agent process of `owner` would have.
    pub(crate) async fn create(&self, owner: &Owner, name: &str, tag: &Tag, order: &StartOrder) -> ContainerId {
        let request = container::request(name.to_owned(), owner, tag, order, DefaultLimits::default());
        self.engine.create(&request).await.unwrap()
    }

    /// Every container of this mesh, whoever's it is.
    pub(crate) async fn containers(&self) -> Vec<ContainerView> {
        let filter = [("io.tickmesh.mesh".to_owned(), self.mesh_id.to_string())].into();
        self.engine.list(&filter).await.unwrap()
    }

    pub(crate) async fn wait_for_no_containers(&self) {
        eventually("every container to be removed", async || self.containers().await.is_empty().then_some(())).await;
    }

    /// The agent's first heartbeat that is as wanted.
    pub(crate) async fn wait_for_heartbeat(&self, what: &str, wanted: impl Fn(&AgentRecord) -> bool) -> AgentRecord {
        eventually(&format!("a heartbeat that shows {what}"), async || {
            let entry = self.mesh.agents().read(agent().as_str()).await.ok()??;
            Some(entry.value).filter(&wanted)
        })
        .await
    }

    /// The stored output of a replica's attempt, in order.
    pub(crate) async fn stored_output(&self, replica: u32) -> Vec<LogBatch> {
        let filter = LogFilter { replica: Some(replica), ..LogFilter::of_app(self.attempt(replica).app) };
        let batches = self.mesh.logs().read(filter).await.unwrap();
        batches.map(Result::unwrap).collect().await
    }

    /// Waits until the output contains `text`: then the container's script has got that far.
    pub(crate) async fn wait_for_output(&self, replica: u32, text: &str) {
        eventually(&format!("output {text:?}"), async || {
            output_text(&self.stored_output(replica).await).contains(text).then_some(())
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that fails unwinds through here; the engine's client is async, docker's own is not.
        for label in ["io.tickmesh.mesh", "io.tickmesh.test"] {
            let label = format!("label={label}={}", self.mesh_id);
            let found = std::process::Command::new("docker").args(["ps", "-aq", "--filter", &label]).output();
            let ids = found.map(|found| String::from_utf8_lossy(&found.stdout).into_owned()).unwrap_or_default();
            for id in ids.split_whitespace() {
                // An agent that is still running may be faster.
                let _ = std::process::Command::new("docker").args(["rm", "-f", "-v", id]).output();
            }
        }
    }
}

impl RunningAgent {
    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.end().await.unwrap();
    }

    pub(crate) async fn end(self) -> Result<(), Error> {
        timeout(DEADLINE, self.ended).await.expect("the agent ends before the deadline").unwrap()
    }

    /// Ends it as SIGKILL does: in the middle of whatever it does.
    pub(crate) async fn kill(self) {
        self.ended.abort();
        let ended = timeout(DEADLINE, self.ended).await.expect("the agent dies before the deadline");
        assert!(ended.unwrap_err().is_cancelled());
    }
}

/// Looks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = timeout(DEADLINE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(LOOK_PAUSE).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("waited {DEADLINE:?} for {what}"))
}

async fn connect(server: &Server) -> Mesh {
    let options = ConnectOptions {
        url: server.url(),
        login: Login::default(),
        namespace: Namespace::new("agent-test").unwrap(),
        client_name: "agent-test".to_owned(),
        request_timeout: REQUEST_TIMEOUT,
    };
    Mesh::connect(&options).await.unwrap()
}

pub(crate) fn agent() -> AgentName {
    AgentName::new("host-1").unwrap()
}

pub(crate) fn machine() -> MachineId {
    MachineId("machine-1".to_owned())
}

pub(crate) fn nonce() -> Nonce {
    Nonce::from_random(rand::random())
}

pub(crate) fn output_text(batches: &[LogBatch]) -> String {
    let chunks = batches.iter().flat_map(|batch| &batch.chunks);
    chunks.map(|chunk| String::from_utf8(chunk.output.bytes().unwrap()).unwrap()).collect()
}

pub(crate) fn script(script: &str) -> StartOrder {
    StartOrder {
        container: ContainerSpec {
            command: Some(["sh", "-c", script].map(str::to_owned).into()),
            network_mode: Some("none".to_owned()),
            stop_grace: Duration::from_secs(5),
            ..ContainerSpec::new("busybox:latest")
        },
        remove_containers: RemoveContainers::RemoveFinished,
        attempt_timeout: None,
        on_disconnect: OnDisconnect::Stop,
        replicas: 3,
        scheduled_at: Some("2026-11-22T01:30:00Z".parse().unwrap()),
        cause: Cause::Schedule,
    }
}

/// A script that goes on once `gate` exists; its folder is mounted.
pub(crate) fn gated(before: &str, gate: &Path, after: &str) -> StartOrder {
    let folder = gate.parent().unwrap().display();
    let mut order =
        script(&format!("echo {before}; while [ ! -e {gate} ]; do sleep 0.05; done; {after}", gate = gate.display()));
    order.container.volumes = vec![Volume {
        source: VolumeSource::HostPath(folder.to_string()),
        target: folder.to_string(),
        read_only: true,
        options: MountOptions::default(),
    }];
    order
}

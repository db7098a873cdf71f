//! The one place that spells the names of streams, subjects and containers, both ways.
//!
//! Every name of a mesh begins with its namespace, so that several meshes share a server or an engine. Streams and buckets
//! are `<namespace>_ticks`: the underscore occurs in no namespace, so no two meshes collide. Subjects are
//! `<namespace>.tick.<app>`. The parsers are exact inverses of the builders: what does not come out of a builder is refused.

use tickmesh_core::{
    id::{AttemptId, RunNumber, RunToken},
    name::{AgentName, AppName, Namespace, ServiceName},
};

use crate::address::{AttemptAddress, ContainerAddress, InvalidAddress, escape};

/// Key of the mesh's only record in the bucket `meta`.
pub(crate) const MESH_KEY: &str = "mesh";
/// Key of the lease in its bucket.
pub const LEASE_KEY: &str = "leader";

/// The streams of a mesh. Buckets are streams, as NATS has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// Bucket of the mesh's identity.
    Meta,
    /// Bucket of the lease.
    Lease,
    /// Bucket of the apps as they were applied.
    Apps,
    /// Bucket of the ledgers.
    Ledger,
    /// Bucket of the agents' heartbeats.
    Agents,
    /// What people ask of the leader.
    Commands,
    /// Decisions of the clock.
    Ticks,
    /// Wake-ups for agents.
    Orders,
    /// Claims and ends of attempts.
    Results,
    /// Finished runs.
    History,
    /// What people should hear of apps.
    Notices,
    /// Output of containers.
    Logs,
    /// What happens to the mesh itself.
    Mesh,
}

impl StreamKind {
    /// Every stream. The one with the mesh's identity is the last: where it has its record, all others exist.
    pub const ALL: [Self; 13] = [
        Self::Lease,
        Self::Apps,
        Self::Ledger,
        Self::Agents,
        Self::Commands,
        Self::Ticks,
        Self::Orders,
        Self::Results,
        Self::History,
        Self::Notices,
        Self::Logs,
        Self::Mesh,
        Self::Meta,
    ];

    /// The name without its namespace, as people and the lease's record have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Lease => "lease",
            Self::Apps => "apps",
            Self::Ledger => "ledger",
            Self::Agents => "agents",
            Self::Commands => "commands",
            Self::Ticks => "ticks",
            Self::Orders => "orders",
            Self::Results => "results",
            Self::History => "history",
            Self::Notices => "notices",
            Self::Logs => "logs",
            Self::Mesh => "mesh",
        }
    }

    /// How its messages are addressed.
    fn addressing(self) -> Addressing {
        match self {
            Self::Meta | Self::Lease | Self::Apps | Self::Ledger | Self::Agents => Addressing::Keys,
            Self::Commands => Addressing::Subjects("command"),
            Self::Ticks => Addressing::Subjects("tick"),
            Self::Orders => Addressing::Subjects("order"),
            Self::Results => Addressing::Subjects("result"),
            Self::History => Addressing::Subjects("history"),
            Self::Notices => Addressing::Subjects("notice"),
            Self::Logs => Addressing::Subjects("log"),
            Self::Mesh => Addressing::Subjects("mesh"),
        }
    }
}

/// How the messages of a stream are addressed.
enum Addressing {
    /// As a NATS key-value bucket: `$KV.<bucket>.<key>`.
    Keys,
    /// `<namespace>.<this>.<...>`.
    Subjects(&'static str),
}

/// Which runs of an app a filter lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunSelector {
    /// Exactly this run.
    Token(RunToken),
    /// The run of that number, whatever its uid.
    Number(RunNumber),
}

/// Which output is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    pub app: AppName,
    /// The run; `None`: every run.
    pub run: Option<RunSelector>,
    /// The service; `None`: every service.
    pub service: Option<ServiceName>,
    /// The replica; `None`: every replica.
    pub replica: Option<u32>,
}

impl LogFilter {
    /// All output of an app.
    pub fn of_app(app: AppName) -> Self {
        Self { app, run: None, service: None, replica: None }
    }

    /// Whether output of that attempt is asked for.
    pub fn admits(&self, address: &AttemptAddress) -> bool {
        let run = match self.run {
            None => true,
            Some(RunSelector::Token(token)) => address.run == token,
            Some(RunSelector::Number(number)) => address.run.number == number,
        };
        run && self.app == address.app
            && self.service.as_ref().is_none_or(|service| *service == address.service)
            && self.replica.is_none_or(|replica| replica == address.replica)
    }
}

/// Builds and parses every name of one mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    namespace: Namespace,
}

impl Names {
    /// The names of the mesh with that namespace.
    pub fn new(namespace: Namespace) -> Self {
        Self { namespace }
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Name of a stream on the server.
    pub fn stream(&self, kind: StreamKind) -> String {
        match kind.addressing() {
            Addressing::Keys => format!("KV_{}", self.bucket(kind)),
            Addressing::Subjects(_) => format!("{}_{}", self.namespace, kind.as_str()),
        }
    }

    /// The filter that covers every subject of a stream.
    pub fn subjects(&self, kind: StreamKind) -> String {
        format!("{}>", self.prefix(kind))
    }

    /// Subject of a key in a bucket.
    pub(crate) fn key(&self, bucket: StreamKind, key: &str) -> String {
        format!("{}{key}", self.prefix(bucket))
    }

    /// Returns what a subject of this stream ends with: the key in a bucket; elsewhere what the message is about.
    pub(crate) fn key_of<'a>(&self, stream: StreamKind, subject: &'a str) -> &'a str {
        subject.strip_prefix(&self.prefix(stream)).unwrap_or(subject)
    }

    /// Subject of an app's clock decisions.
    pub fn tick(&self, app: &AppName) -> String {
        format!("{}{app}", self.prefix(StreamKind::Ticks))
    }

    /// Subject of an app's finished runs.
    pub fn history(&self, app: &AppName) -> String {
        format!("{}{app}", self.prefix(StreamKind::History))
    }

    /// Subject of the notices about an app.
    pub fn notice(&self, app: &AppName) -> String {
        format!("{}{app}", self.prefix(StreamKind::Notices))
    }

    /// Subject of the orders for an agent.
    pub fn order(&self, agent: &AgentName) -> String {
        format!("{}{agent}", self.prefix(StreamKind::Orders))
    }

    /// Subject of the commands about an app.
    pub fn command(&self, app: &AppName) -> String {
        format!("{}{app}", self.prefix(StreamKind::Commands))
    }

    /// Subject of what happens to the mesh.
    pub fn event(&self, kind: &str) -> String {
        format!("{}{kind}", self.prefix(StreamKind::Mesh))
    }

    /// Subject of an attempt's life: everything on it is a compare-and-set.
    pub fn result(&self, attempt: &AttemptId, agent: &AgentName) -> String {
        format!("{}{}", self.prefix(StreamKind::Results), AttemptAddress::of(attempt, agent).tokens())
    }

    /// Subject of an attempt's output.
    pub fn log(&self, attempt: &AttemptId, agent: &AgentName) -> String {
        format!("{}{}", self.prefix(StreamKind::Logs), AttemptAddress::of(attempt, agent).tokens())
    }

    /// The attempt whose life a subject carries.
    pub fn parse_result(&self, subject: &str) -> Result<AttemptAddress, InvalidAddress> {
        self.parse_attempt(StreamKind::Results, subject)
    }

    /// The attempt whose output a subject carries.
    pub fn parse_log(&self, subject: &str) -> Result<AttemptAddress, InvalidAddress> {
        self.parse_attempt(StreamKind::Logs, subject)
    }

    fn parse_attempt(&self, kind: StreamKind, subject: &str) -> Result<AttemptAddress, InvalidAddress> {
        subject
            .strip_prefix(&self.prefix(kind))
            .and_then(AttemptAddress::parse)
            .ok_or_else(|| InvalidAddress::new("attempt", subject))
    }

    /// Filter: the results of every run of an app.
    pub fn results_of_app(&self, app: &AppName) -> String {
        format!("{}{app}.>", self.prefix(StreamKind::Results))
    }

    /// Filter: the results of one run.
    pub fn results_of_run(&self, app: &AppName, run: RunToken) -> String {
        format!("{}{app}.{run}.>", self.prefix(StreamKind::Results))
    }

    /// Filter: output. A run's number alone is no token, so [`LogFilter::admits`] has the last word.
    pub fn logs(&self, filter: &LogFilter) -> String {
        let any = || "*".to_owned();
        let run = match filter.run {
            Some(RunSelector::Token(token)) => token.to_string(),
            Some(RunSelector::Number(_)) | None => any(),
        };
        let service = filter.service.as_ref().map_or_else(any, escape);
        let replica = filter.replica.map_or_else(any, |replica| replica.to_string());
        format!("{}{}.{run}.{service}.{replica}.*.*", self.prefix(StreamKind::Logs), filter.app)
    }

    /// Subject on which the scheduler process of that id answers.
    pub(crate) fn scheduler(&self, id: &str) -> String {
        format!("{}.{id}", self.schedulers())
    }

    /// Subject on which all schedulers answer.
    pub(crate) fn schedulers(&self) -> String {
        format!("{}.scheduler", self.namespace)
    }

    /// Name of an attempt's container.
    pub fn container(&self, attempt: &AttemptId) -> String {
        ContainerAddress::of(attempt).name(&self.namespace)
    }

    /// The attempt that a container of this mesh belongs to.
    pub fn parse_container(&self, name: &str) -> Result<ContainerAddress, InvalidAddress> {
        ContainerAddress::parse(&self.namespace, name).ok_or_else(|| InvalidAddress::new("container", name))
    }

    fn bucket(&self, kind: StreamKind) -> String {
        format!("{}_{}", self.namespace, kind.as_str())
    }

    fn prefix(&self, kind: StreamKind) -> String {
        match kind.addressing() {
            Addressing::Keys => format!("$KV.{}.", self.bucket(kind)),
            Addressing::Subjects(token) => format!("{}.{token}.", self.namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(Namespace::new("tickmesh").unwrap())
    }

    #[test]
    fn streams_and_subjects_are_spelled_as_the_design_says() {
        let names = names();
        let app = AppName::new("nightly").unwrap();
        assert_eq!(names.stream(StreamKind::Ledger), "KV_tickmesh_ledger");
        assert_eq!(names.subjects(StreamKind::Ledger), "$KV.tickmesh_ledger.>");
        assert_eq!(names.stream(StreamKind::Ticks), "tickmesh_ticks");
        assert_eq!(names.subjects(StreamKind::Ticks), "tickmesh.tick.>");
        assert_eq!(names.key(StreamKind::Apps, "nightly"), "$KV.tickmesh_apps.nightly");
        assert_eq!(names.key_of(StreamKind::Apps, "$KV.tickmesh_apps.nightly"), "nightly");
        assert_eq!(names.tick(&app), "tickmesh.tick.nightly");
        assert_eq!(names.history(&app), "tickmesh.history.nightly");
        assert_eq!(names.notice(&app), "tickmesh.notice.nightly");
        assert_eq!(names.command(&app), "tickmesh.command.nightly");
        assert_eq!(names.order(&AgentName::new("host-1").unwrap()), "tickmesh.order.host-1");
        assert_eq!(names.event("agent-lost"), "tickmesh.mesh.agent-lost");
    }

    #[test]
    fn no_two_streams_share_a_name_or_a_subject() {
        let names = names();
        let mut seen = std::collections::BTreeSet::new();
        for kind in StreamKind::ALL {
            assert!(seen.insert(names.stream(kind)), "{kind:?}");
            assert!(seen.insert(names.subjects(kind)), "{kind:?}");
        }
    }

    #[track_caller]
    fn check_filter(run: Option<RunSelector>, service: Option<&str>, replica: Option<u32>, filter: &str) {
        let service = service.map(|name| ServiceName::new(name).unwrap());
        let app = AppName::new("nightly").unwrap();
        assert_eq!(names().logs(&LogFilter { app, run, service, replica }), filter);
    }

    #[test]
    fn log_filters_name_what_is_asked_for() {
        let token = RunToken { number: 42, uid_head: 0xabc };
        check_filter(None, None, None, "tickmesh.log.nightly.*.*.*.*.*");
        check_filter(Some(RunSelector::Number(42)), None, None, "tickmesh.log.nightly.*.*.*.*.*");
        check_filter(Some(RunSelector::Token(token)), Some("db.main"), Some(3), {
            "tickmesh.log.nightly.42-00000abc.db=main.3.*.*"
        });
    }
}

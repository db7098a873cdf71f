//! Every label, in one table for each of the two places where labels stand: what it takes, what is true without it, and what
//! it does. The README's tables are made of these, which a test holds.

use std::time::Duration;

use super::{
    super::{constraint, reader::Text},
    about, backoff, notify,
    value_types::Takes::{self, Flag, Number, Value, Word},
};
use crate::spec::{
    ACTIVE_RUNS_MAX, About, Constraint, Misfire, NotifyChoice, OnDisconnect, OnLost, OnOom, Overlap, QUEUE_LIMIT_MAX,
    RETRY_COUNT_MAX, RemoveContainers, RetryPolicy, SCALE_MAX,
};

/// Shortest time that a limit may be: one that is over at once would let nothing run.
const LIMIT_MIN: Duration = Duration::from_secs(1);
/// Most GPUs of a container: more than any host has.
const GPUS_MAX: u32 = 64;
/// Longest time of any label: more than a year is a typing error, as it is in `@every`.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What the labels at the top of the file say about the app.
#[derive(Debug, Default)]
pub(crate) struct AppLabels {
    /// When it runs.
    pub(crate) schedule: Option<Text>,
    /// The time zone of the schedule.
    pub(crate) timezone: Option<Text>,
    /// What sort of app it is: `batch`.
    pub(crate) project_type: Option<Text>,
    /// What becomes of a tick that finds a run active; as many runs as there may be are another label.
    pub(crate) overlap: Option<Overlap>,
    /// Most runs at once, where they may overlap.
    pub(crate) max_active: Option<u32>,
    /// Most ticks that may wait.
    pub(crate) queue_limit: Option<u32>,
    /// What becomes of missed instants.
    pub(crate) misfire: Misfire,
    /// How late a tick may start a run.
    pub(crate) start_deadline: Option<Duration>,
    /// How long a run may last.
    pub(crate) timeout: Option<Duration>,
    /// How far apps of one schedule are spread.
    pub(crate) jitter: Option<Duration>,
    /// How long no run may succeed before people are told.
    pub(crate) expect_success: Option<Duration>,
    /// How long a run may go on before people are told.
    pub(crate) warn_after: Option<Duration>,
    /// Who is told of what.
    pub(crate) notify: NotifyChoice,
    /// Whether the app is to be paused.
    pub(crate) paused: bool,
    /// What becomes of containers on a host that is cut off.
    pub(crate) on_disconnect: OnDisconnect,
    /// What becomes of a lost replica.
    pub(crate) on_lost: OnLost,
    /// What people say of it.
    pub(crate) about: About,
}

/// What the labels of a service say about it.
#[derive(Debug, Default)]
pub(crate) struct ServiceLabels {
    /// Number of replicas.
    pub(crate) scale: Option<u32>,
    /// Retries of each.
    pub(crate) retry_count: Option<u32>,
    /// Pauses between them; its count is that of the label before.
    pub(crate) retry: RetryPolicy,
    /// How long an attempt may last.
    pub(crate) attempt_timeout: Option<Duration>,
    /// Which containers are removed.
    pub(crate) remove_containers: RemoveContainers,
    /// Which services have to succeed first.
    pub(crate) depends: Option<Text>,
    /// Whether there is one replica on each agent.
    pub(crate) global: bool,
    /// What an agent must be.
    pub(crate) constraints: Vec<Constraint>,
    /// Whether the image is pulled before every attempt.
    pub(crate) latest_image: bool,
    /// GPUs of each container.
    pub(crate) gpu: Option<u32>,
    /// Whether a container of which a process was killed for want of memory may succeed.
    pub(crate) oom: OnOom,
}

/// A label whose value goes into an `S`.
#[derive(Debug)]
pub(super) struct Label<S: 'static> {
    /// Its name without the prefix.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) takes: Takes<S>,
    /// What is true without it, as a value; `None`: nothing that could be written.
    pub(super) default: Option<&'static str>,
    /// What it does, for people.
    pub(super) does: &'static str,
}

impl<S> Label<S> {
    /// What to know about it, in one line.
    pub(super) fn help(&self) -> String {
        let values = self.takes.values();
        let default = self.default.unwrap_or(NO_DEFAULT);
        format!("it takes {values} (default: {default}): {}", self.does)
    }
}

/// What people read where there is no default.
pub(super) const NO_DEFAULT: &str = "none";

/// Labels at the top of the file.
pub(super) const APP_LABELS: &[Label<AppLabels>] = &[
    Label {
        name: "schedule",
        takes: Takes::Text {
            looks: "five or six cron fields, or `@daily` and the like",
            into: |labels| &mut labels.schedule,
        },
        default: None,
        does: "when it runs; without it, by hand only",
    },
    Label {
        name: "project_type",
        takes: Takes::Text { looks: "`batch`", into: |labels| &mut labels.project_type },
        default: None,
        does: "implied by `schedule`; an app that runs by hand only needs it",
    },
    Label {
        name: "timezone",
        takes: Takes::Text { looks: "an IANA name", into: |labels| &mut labels.timezone },
        default: None,
        does: "zone in which the schedule is read; without it UTC, and Asia/Shanghai for `aliyun.schedule`",
    },
    Label {
        name: "overlap",
        takes: Word(&[
            ("queue", |labels| labels.overlap = Some(Overlap::Queue)),
            ("skip", |labels| labels.overlap = Some(Overlap::Skip)),
            ("replace", |labels| labels.overlap = Some(Overlap::Replace)),
            ("allow", |labels| labels.overlap = Some(Overlap::ALLOW)),
        ]),
        default: Some("queue"),
        does: "a tick that finds a run active waits, is skipped, stops that run and takes its place, or runs beside it",
    },
    Label {
        name: "max_active",
        takes: Number { min: 1, max: ACTIVE_RUNS_MAX, into: |labels| &mut labels.max_active },
        default: Some("10"),
        does: "runs at once with `overlap: allow`; further ticks wait",
    },
    Label {
        name: "queue_limit",
        takes: Number { min: 0, max: QUEUE_LIMIT_MAX, into: |labels| &mut labels.queue_limit },
        default: Some("3"),
        does: "ticks that may wait; one more is dropped",
    },
    Label {
        name: "misfire",
        takes: Word(&[
            ("latest", |labels| labels.misfire = Misfire::Latest),
            ("skip", |labels| labels.misfire = Misfire::Skip),
        ]),
        default: Some("latest"),
        does: "ticks that fell due while no scheduler lived become one run, or none",
    },
    Label {
        name: "start_deadline",
        takes: Takes::Duration { min: LIMIT_MIN, max: DURATION_MAX, into: |labels| &mut labels.start_deadline },
        default: None,
        does: "a tick that could start no run for this long is given up",
    },
    Label {
        name: "timeout",
        takes: Takes::Duration { min: LIMIT_MIN, max: DURATION_MAX, into: |labels| &mut labels.timeout },
        default: None,
        does: "a run that lasts longer is stopped; nothing of it is retried",
    },
    Label {
        name: "jitter",
        takes: Takes::Duration { min: Duration::ZERO, max: DURATION_MAX, into: |labels| &mut labels.jitter },
        default: Some("0s"),
        does: "every tick is due up to this much later, always by the same; shorter than the schedule's period",
    },
    Label {
        name: "expect_success",
        takes: Takes::Duration { min: LIMIT_MIN, max: DURATION_MAX, into: |labels| &mut labels.expect_success },
        default: None,
        does: "a notice is sent when no run has succeeded for this long; counts from `apply`, and not while the app is paused",
    },
    Label {
        name: "warn_after",
        takes: Takes::Duration { min: LIMIT_MIN, max: DURATION_MAX, into: |labels| &mut labels.warn_after },
        default: None,
        does: "a notice is sent when a run goes on for longer; the run is left alone",
    },
    Label {
        name: "notify",
        takes: Value {
            looks: "names such as `ops,pager`, or `none`",
            read: |text, labels| notify::read_targets(text, &mut labels.notify),
        },
        default: None,
        does: "targets of the schedulers that are told of the app; without it, those with `default = true`",
    },
    Label {
        name: "notify_on",
        takes: Value {
            looks: "some of `failure,recovery,pending,overdue,long,dropped,invalid`",
            read: |text, labels| notify::read_topics(text, &mut labels.notify),
        },
        default: None,
        does: "what they are told; without it, what each target takes",
    },
    Label {
        name: "paused",
        takes: Flag(|labels| &mut labels.paused),
        default: Some("false"),
        does: "pauses or resumes the app when the value differs from that of the last applied file",
    },
    Label {
        name: "on_disconnect",
        takes: Word(&[
            ("stop", |labels| labels.on_disconnect = OnDisconnect::Stop),
            ("continue", |labels| labels.on_disconnect = OnDisconnect::Continue),
        ]),
        default: Some("stop"),
        does: "containers of a host that is cut off are stopped and run elsewhere, or go on and are waited for",
    },
    Label {
        name: "on_lost",
        takes: Word(&[
            ("retry", |labels| labels.on_lost = OnLost::Retry),
            ("fail", |labels| labels.on_lost = OnLost::Fail),
        ]),
        default: Some("retry"),
        does: "a replica whose outcome nobody knows is tried again (at least once), or fails (at most once)",
    },
    Label {
        name: "tags",
        takes: Value {
            looks: "words such as `billing,nightly`",
            read: |text, labels| about::read_tags(text, &mut labels.about),
        },
        default: None,
        does: "words by which `ls --tag` and the page find the app",
    },
    Label {
        name: "owner",
        takes: Value { looks: "a name", read: |text, labels| about::read_owner(text, &mut labels.about) },
        default: None,
        does: "who answers for the app",
    },
    Label {
        name: "description",
        takes: Value { looks: "a sentence", read: |text, labels| about::read_description(text, &mut labels.about) },
        default: None,
        does: "what the app is for",
    },
];

/// Labels that the original did not have, and whose names are everybody's: read only with our own prefix.
pub(super) const OURS_ALONE: &[&str] =
    &["expect_success", "warn_after", "notify", "notify_on", "tags", "owner", "description"];

pub(super) const SERVICE_LABELS: &[Label<ServiceLabels>] = &[
    Label {
        name: "scale",
        takes: Number { min: 1, max: SCALE_MAX, into: |labels| &mut labels.scale },
        default: Some("1"),
        does: "containers of a run; at most 2000 of all services together",
    },
    Label {
        name: "retry_count",
        takes: Number { min: 0, max: RETRY_COUNT_MAX, into: |labels| &mut labels.retry_count },
        default: Some("3"),
        does: "retries of each container",
    },
    Label {
        name: "retry_backoff",
        takes: Value {
            looks: "`delay` or `delay,factor,max`",
            read: |text, labels| backoff::read(text, &mut labels.retry),
        },
        default: Some("1s,2,60s"),
        does: "pauses before the retries; each is between half and the whole of it",
    },
    Label {
        name: "attempt_timeout",
        takes: Takes::Duration { min: LIMIT_MIN, max: DURATION_MAX, into: |labels| &mut labels.attempt_timeout },
        default: None,
        does: "a container that runs longer is stopped; that is a failure, and is retried",
    },
    Label {
        name: "remove_containers",
        takes: Word(&[
            (RemoveContainers::RemoveFinished.as_str(), |labels| {
                labels.remove_containers = RemoveContainers::RemoveFinished;
            }),
            (RemoveContainers::RemoveFailed.as_str(), |labels| {
                labels.remove_containers = RemoveContainers::RemoveFailed;
            }),
            (RemoveContainers::RemoveAll.as_str(), |labels| labels.remove_containers = RemoveContainers::RemoveAll),
            (RemoveContainers::RemoveNone.as_str(), |labels| labels.remove_containers = RemoveContainers::RemoveNone),
        ]),
        default: Some("remove-finished"),
        does: "which containers go after their end: those that exited with 0, all others, all, none",
    },
    Label {
        name: "depends",
        takes: Takes::Text { looks: "names of services, such as `s1,s2`", into: |labels| &mut labels.depends },
        default: None,
        does: "services that have to succeed first; after a failure those that wait are skipped, the others go on",
    },
    Label {
        name: "global",
        takes: Flag(|labels| &mut labels.global),
        default: Some("false"),
        does: "one container on each agent that fits when the run begins, instead of `scale`; also `deploy.mode: global`",
    },
    Label {
        name: "constraint",
        takes: Value {
            looks: "`disk==ssd,zone!=(a|b)`",
            read: |text, labels| constraint::read_label(text, &mut labels.constraints),
        },
        default: None,
        does: "labels that an agent must have, or must not; `host==NAME` and `agent==NAME` are names",
    },
    Label {
        name: "latest_image",
        takes: Flag(|labels| &mut labels.latest_image),
        default: Some("false"),
        does: "pulls the image before every attempt, as `pull_policy: always` does",
    },
    Label {
        name: "gpu",
        takes: Number { min: 0, max: GPUS_MAX, into: |labels| &mut labels.gpu },
        default: Some("0"),
        does: "GPUs of each container; its agent has to allow them",
    },
    Label {
        name: "oom",
        takes: Word(&[("note", |labels| labels.oom = OnOom::Note), ("fail", |labels| labels.oom = OnOom::Fail)]),
        default: Some("note"),
        does: "a container that exits with 0 although a process of it was killed for want of memory succeeds, with a note, or fails",
    },
];

/// Labels of the original's online services, and the beginnings of such labels: a batch job has no use for them.
pub(super) const USELESS: &[&str] = &[
    "log_store_*",
    "log_ttl_*",
    "log.timestamp",
    "logs",
    "logs.*",
    "latest_image",
    "probe.*",
    "rolling_updates",
    "rolling_updates.*",
    "routing.*",
    "lb.*",
    "auto_scaling.*",
    "monitoring.*",
];

//! Every label, in one table for each of the two places where labels stand: what it takes, and where its value goes.
//!
//! What is true without a label is in the `Default` of the two structs.

use super::{
    super::{
        reader::Text,
        report::one_of,
        value::{Refused, number},
    },
    backoff,
};
use crate::spec::{QUEUE_LIMIT_MAX, RETRY_COUNT_MAX, RemoveContainers, RetryPolicy, SCALE_MAX};

/// What the labels at the top of the file say about the app.
#[derive(Debug)]
pub(in crate::compose) struct AppLabels {
    /// When it runs.
    pub(in crate::compose) schedule: Option<Text>,
    /// The time zone of the schedule.
    pub(in crate::compose) timezone: Option<Text>,
    /// What sort of app it is: `batch`.
    pub(in crate::compose) project_type: Option<Text>,
    /// Most ticks that may wait.
    pub(in crate::compose) queue_limit: u32,
}

impl Default for AppLabels {
    fn default() -> Self {
        Self { schedule: None, timezone: None, project_type: None, queue_limit: 3 }
    }
}

/// What the labels of a service say about it.
#[derive(Debug)]
pub(in crate::compose) struct ServiceLabels {
    /// Number of replicas.
    pub(in crate::compose) scale: u32,
    /// Retries of each.
    pub(in crate::compose) retry: RetryPolicy,
    /// Which containers are removed.
    pub(in crate::compose) remove_containers: RemoveContainers,
}

impl Default for ServiceLabels {
    fn default() -> Self {
        Self { scale: 1, retry: RetryPolicy::default(), remove_containers: RemoveContainers::default() }
    }
}

/// A label whose value goes into an `S`.
#[derive(Debug)]
pub(super) struct Label<S: 'static> {
    /// Its name without the prefix.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) takes: Takes<S>,
}

/// What a label takes, and where its value goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes<S> {
    /// A whole number.
    Number { min: u32, max: u32, into: fn(&mut S) -> &mut u32 },
    /// Something that has a reader of its own.
    Value(fn(&str, &mut S) -> Result<(), Refused>),
    /// What can only be read when all labels are known.
    Text(fn(&mut S) -> &mut Option<Text>),
    /// Nothing, for as long as nobody has written it: an error.
    Later,
}

/// Labels at the top of the file.
pub(super) const APP_LABELS: &[Label<AppLabels>] = &[
    Label { name: "schedule", takes: Takes::Text(|labels| &mut labels.schedule) },
    Label { name: "timezone", takes: Takes::Text(|labels| &mut labels.timezone) },
    Label { name: "project_type", takes: Takes::Text(|labels| &mut labels.project_type) },
    Label {
        name: "queue_limit",
        takes: Takes::Number { min: 0, max: QUEUE_LIMIT_MAX, into: |labels| &mut labels.queue_limit },
    },
    Label { name: "overlap", takes: Takes::Later },
    Label { name: "max_active", takes: Takes::Later },
    Label { name: "misfire", takes: Takes::Later },
    Label { name: "start_deadline", takes: Takes::Later },
    Label { name: "timeout", takes: Takes::Later },
    Label { name: "jitter", takes: Takes::Later },
    Label { name: "paused", takes: Takes::Later },
    Label { name: "on_disconnect", takes: Takes::Later },
    Label { name: "on_lost", takes: Takes::Later },
];

/// Labels of a service.
pub(super) const SERVICE_LABELS: &[Label<ServiceLabels>] = &[
    Label { name: "scale", takes: Takes::Number { min: 1, max: SCALE_MAX, into: |labels| &mut labels.scale } },
    Label {
        name: "retry_count",
        takes: Takes::Number { min: 0, max: RETRY_COUNT_MAX, into: |labels| &mut labels.retry.count },
    },
    Label { name: "retry_backoff", takes: Takes::Value(|text, labels| backoff::read(text, &mut labels.retry)) },
    Label { name: "remove_containers", takes: Takes::Value(read_remove_containers) },
    Label { name: "attempt_timeout", takes: Takes::Later },
    Label { name: "depends", takes: Takes::Later },
    Label { name: "gpu", takes: Takes::Later },
    Label { name: "global", takes: Takes::Later },
    Label { name: "constraint", takes: Takes::Later },
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

impl<S> Label<S> {
    /// Puts the value where it belongs.
    pub(super) fn read(&self, text: Text, labels: &mut S) -> Result<(), Refused> {
        match self.takes {
            Takes::Number { min, max, into } => {
                let value = number(&text.value, u64::from(min)..=u64::from(max))?;
                *into(labels) = u32::try_from(value).unwrap_or(max);
                Ok(())
            }
            Takes::Value(read) => read(&text.value, labels),
            Takes::Text(into) => {
                *into(labels) = Some(text);
                Ok(())
            }
            Takes::Later => Ok(()),
        }
    }
}

fn read_remove_containers(text: &str, labels: &mut ServiceLabels) -> Result<(), Refused> {
    let refused = || Refused::new(text, one_of(RemoveContainers::ALL.map(RemoveContainers::as_str)));
    labels.remove_containers = RemoveContainers::parse(text).ok_or_else(refused)?;
    Ok(())
}

//! What the labels of an app and its services say.

use std::time::Duration;

use serde::Serialize;
use tickmesh_core::spec::{AppSpec, Misfire, OnDisconnect, OnLost, OnOom, Overlap, ServiceSpec};

/// What is set for an app and its runs.
#[derive(Debug, Serialize)]
pub struct SettingsView {
    /// `queue`, `skip`, `replace` or `allow`.
    pub overlap: &'static str,
    /// Most runs at once, with `allow`.
    pub max_active: Option<u32>,
    /// Most ticks that may wait.
    pub queue_limit: u32,
    /// `latest` or `skip`.
    pub misfire: &'static str,
    /// A tick may start a run for this long, in milliseconds.
    pub start_deadline_ms: Option<u64>,
    /// Bound of the jitter, in milliseconds.
    pub jitter_ms: u64,
    /// This app's share of it.
    pub offset_ms: u64,
    /// A run may last this long, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// A notice is sent when no run has succeeded for this long, in milliseconds.
    pub expect_success_ms: Option<u64>,
    /// A notice is sent when a run goes on for longer, in milliseconds.
    pub warn_after_ms: Option<u64>,
    /// `stop` or `continue`.
    pub on_disconnect: &'static str,
    /// `retry` or `fail`.
    pub on_lost: &'static str,
    /// Whether the file wants it paused.
    pub paused: bool,
}

/// One service.
#[derive(Debug, Serialize)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Replicas of a run.
    pub scale: u32,
    /// Whether it has one replica on each agent that matches, instead.
    pub global: bool,
    /// Services that must have succeeded before.
    pub depends: Vec<String>,
    /// What its agents must be.
    pub constraints: Vec<String>,
    /// Retries of a replica.
    pub retry_count: u32,
    /// An attempt may last this long, in milliseconds.
    pub attempt_timeout_ms: Option<u64>,
    /// Which containers are removed after their end.
    pub remove_containers: &'static str,
    /// `note` or `fail`.
    pub oom: &'static str,
    /// What of their hosts its containers ask for, which agents have to allow.
    pub host_access: Vec<String>,
}

impl SettingsView {
    /// What is set for an app.
    pub fn of(spec: &AppSpec) -> Self {
        let (overlap, max_active) = match spec.overlap {
            Overlap::Queue => ("queue", None),
            Overlap::Skip => ("skip", None),
            Overlap::Replace => ("replace", None),
            Overlap::Allow { max_active } => ("allow", Some(max_active)),
        };
        Self {
            overlap,
            max_active,
            queue_limit: spec.queue_limit,
            misfire: match spec.misfire {
                Misfire::Latest => "latest",
                Misfire::Skip => "skip",
            },
            start_deadline_ms: spec.start_deadline.map(millis),
            jitter_ms: millis(spec.jitter),
            offset_ms: millis(spec.offset()),
            timeout_ms: spec.run().timeout.map(millis),
            expect_success_ms: spec.expect_success.map(millis),
            warn_after_ms: spec.warn_after.map(millis),
            on_disconnect: match spec.run().on_disconnect {
                OnDisconnect::Stop => "stop",
                OnDisconnect::Continue => "continue",
            },
            on_lost: match spec.run().on_lost {
                OnLost::Retry => "retry",
                OnLost::Fail => "fail",
            },
            paused: spec.paused,
        }
    }

    /// One line for each part: when it runs, and what runs may do.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let mut ticks = vec![format!("overlap {}", self.overlap)];
        ticks.extend(self.max_active.map(|max_active| format!("max_active {max_active}")));
        ticks.push(format!("queue_limit {}", self.queue_limit));
        ticks.push(format!("misfire {}", self.misfire));
        ticks.extend(self.start_deadline_ms.map(|ms| format!("start_deadline {}", duration(ms))));
        if self.jitter_ms > 0 {
            ticks.push(format!("jitter {} (here {})", duration(self.jitter_ms), duration(self.offset_ms)));
        }
        if self.paused {
            ticks.push("paused true".to_owned());
        }
        let mut runs: Vec<String> = self.timeout_ms.map(|ms| format!("timeout {}", duration(ms))).into_iter().collect();
        runs.push(format!("on_disconnect {}", self.on_disconnect));
        runs.push(format!("on_lost {}", self.on_lost));
        let mut facts = vec![("ticks", ticks.join(", ")), ("runs", runs.join(", "))];
        let expected = self.expect_success_ms.map(|ms| format!("expect_success {}", duration(ms)));
        let warned = self.warn_after_ms.map(|ms| format!("warn_after {}", duration(ms)));
        let notices: Vec<String> = expected.into_iter().chain(warned).collect();
        if !notices.is_empty() {
            facts.push(("notices", notices.join(", ")));
        }
        facts
    }
}

impl ServiceView {
    /// The services of an app.
    pub fn of(spec: &AppSpec) -> Vec<Self> {
        spec.run().services.iter().map(Self::new).collect()
    }

    fn new(service: &ServiceSpec) -> Self {
        Self {
            name: service.name.to_string(),
            image: service.container.image.clone(),
            scale: service.scale,
            global: service.global,
            depends: service.depends.iter().map(ToString::to_string).collect(),
            constraints: service.constraints.iter().map(ToString::to_string).collect(),
            retry_count: service.retry.count,
            attempt_timeout_ms: service.attempt_timeout.map(millis),
            remove_containers: service.remove_containers.as_str(),
            oom: match service.oom {
                OnOom::Note => "note",
                OnOom::Fail => "fail",
            },
            host_access: service.container.host_access().iter().map(ToString::to_string).collect(),
        }
    }

    /// All of it on one line.
    pub fn text(&self) -> String {
        let Self { name, image, retry_count, remove_containers, .. } = self;
        let replicas = if self.global { "one on each agent".to_owned() } else { self.scale.to_string() };
        let mut text = format!("{name}: {replicas} x {image}, {retry_count} retries, {remove_containers}");
        if self.oom == "fail" {
            text.push_str(", oom fail");
        }
        if let Some(ms) = self.attempt_timeout_ms {
            text.push_str(&format!(", attempt_timeout {}", duration(ms)));
        }
        if !self.depends.is_empty() {
            text.push_str(&format!(", after {}", self.depends.join(", ")));
        }
        if !self.constraints.is_empty() {
            text.push_str(&format!(", on {}", self.constraints.join(", ")));
        }
        if !self.host_access.is_empty() {
            text.push_str(&format!(", where agents allow {}", self.host_access.join(", ")));
        }
        text
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as labels write it.
fn duration(ms: u64) -> String {
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = ms;
    let mut text = String::new();
    for (unit, length) in UNITS {
        let amount = rest / length;
        rest %= length;
        if amount > 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZoneDatabase;
    use tickmesh_core::{
        compose::{self, ComposeFile, TIMEZONE_DEFAULT},
        name::ServiceName,
        spec::{Attribute, Constraint, Operator},
    };

    use tickmesh_testkit::records as fixture;

    use super::*;

    fn spec(labels: &str) -> AppSpec {
        let text = format!("labels: {{aliyun.schedule: '@daily', {labels}}}\nservices: {{s1: {{image: busybox}}}}\n");
        let file = ComposeFile {
            dialect: compose::Dialect::PRESENT,
            app: &fixture::app(),
            file_name: "nightly.yml",
            text: &text,
            variables: &Default::default(),
            env_files: &Default::default(),
            timezone_default: TIMEZONE_DEFAULT,
        };
        let reading = compose::read(&file, &TimeZoneDatabase::bundled());
        reading.spec.unwrap_or_else(|| panic!("{:?}", reading.diagnostics))
    }

    #[track_caller]
    fn check(labels: &str, ticks: &str, runs: &str) {
        let facts = SettingsView::of(&spec(labels)).facts();
        assert_eq!(facts, [("ticks", ticks.to_owned()), ("runs", runs.to_owned())]);
    }

    #[test]
    fn what_is_set_is_shown_with_the_labels_own_words() {
        check("", "overlap queue, queue_limit 3, misfire latest", "on_disconnect stop, on_lost retry");
        check(
            "tickmesh.overlap: allow, tickmesh.max_active: 4, tickmesh.start_deadline: 90s, tickmesh.paused: 'true'",
            "overlap allow, max_active 4, queue_limit 3, misfire latest, start_deadline 1m30s, paused true",
            "on_disconnect stop, on_lost retry",
        );
        check(
            "tickmesh.overlap: skip, tickmesh.misfire: skip, tickmesh.jitter: 60s, tickmesh.timeout: 36h, tickmesh.on_lost: fail",
            "overlap skip, queue_limit 3, misfire skip, jitter 1m (here 29s258ms)",
            "timeout 1d12h, on_disconnect stop, on_lost fail",
        );
    }

    #[test]
    fn a_service_is_one_line() {
        let mut service = spec("").run().services[0].clone();
        assert_eq!(ServiceView::new(&service).text(), "s1: 1 x busybox, 3 retries, remove-finished");
        service.global = true;
        service.attempt_timeout = Some(Duration::from_millis(1_500));
        service.depends = vec![ServiceName::new("s0").unwrap()];
        let (attribute, values) = (Attribute::Label("disk".to_owned()), vec!["ssd".to_owned()]);
        service.constraints = vec![Constraint { attribute, operator: Operator::Is, values }];
        service.container.rights.privileged = true;
        service.container.network_mode = Some("host".to_owned());
        let text = "s1: one on each agent x busybox, 3 retries, remove-finished, attempt_timeout 1s500ms, after s0, on disk==ssd, where agents allow network_mode host, privileged";
        assert_eq!(ServiceView::new(&service).text(), text);
    }

    #[test]
    fn no_time_is_told_as_seconds() {
        assert_eq!([0, 1, 60_000, 90_061_001].map(duration), ["0s", "1ms", "1m", "1d1h1m1s1ms"]);
    }
}

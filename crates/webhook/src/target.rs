//! A target: a service with a name, and what it is told.

use std::collections::BTreeSet;

use hyper::Uri;
use jiff::{Timestamp, civil::Time, tz::TimeZone};
use tickmesh_core::spec::{NotifyChoice, Topic};

use crate::{Notice, service::Service, sign::digest_text};

/// Messages that a target gets in an hour, unless its table says otherwise. What is more comes together in one message.
pub const PER_HOUR_DEFAULT: usize = 60;

/// A service with a name, and what it is told.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name, for people.
    pub name: String,
    /// What its place is stored under.
    pub key: u64,
    pub service: Service,
    /// What it is told, unless an app says otherwise.
    pub topics: BTreeSet<Topic>,
    /// Whether it is told of apps that name no target, and of the mesh.
    pub is_default: bool,
    /// Messages in an hour at most.
    pub per_hour: usize,
    /// When it is told nothing.
    pub quiet: Option<QuietHours>,
}

/// Hours of every day in which notices wait.
#[derive(Debug, Clone)]
pub struct QuietHours {
    pub from: Time,
    /// Not among them. Before `from`: of the next day.
    pub to: Time,
    pub zone: TimeZone,
}

impl Target {
    /// A target that is told everything.
    pub fn new(name: &str, service: Service) -> Self {
        Self {
            name: name.to_owned(),
            key: digest_text(&format!("target:{name}")),
            service,
            topics: Topic::ALL.into(),
            is_default: true,
            per_hour: PER_HOUR_DEFAULT,
            quiet: None,
        }
    }

    /// The webhook at an address, known by the address.
    pub fn webhook(url: Uri, secret: Option<Vec<u8>>) -> Self {
        let (name, key) = (url.host().unwrap_or_default().to_owned(), crate::digest(&url));
        Self { key, ..Self::new(&name, Service::Webhook { url, secret }) }
    }

    /// Whether the target is told. `choice` is that of the app that the notice is about.
    pub(crate) fn wants(&self, notice: &Notice, choice: Option<&NotifyChoice>) -> bool {
        let Some(topic) = notice.kind.topic() else { return true };
        let named = choice.and_then(|choice| choice.targets.as_ref());
        let is_told = named.map_or(self.is_default, |names| names.contains(&self.name));
        let topics = choice.and_then(|choice| choice.topics.as_ref()).unwrap_or(&self.topics);
        is_told && topics.contains(&topic)
    }
}

impl QuietHours {
    /// When the quiet hours that `now` is in are over; `None`: it is in none.
    pub(crate) fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let local = now.to_zoned(self.zone.clone());
        let (time, is_overnight) = (local.time(), self.to <= self.from);
        let is_quiet =
            if is_overnight { time >= self.from || time < self.to } else { (self.from..self.to).contains(&time) };
        if !is_quiet {
            return None;
        }
        let is_tomorrow = is_overnight && time >= self.from;
        let day = if is_tomorrow { local.date().tomorrow().ok()? } else { local.date() };
        Some(day.to_datetime(self.to).to_zoned(self.zone.clone()).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        message::{AppNotice, NoticeRecord, SCHEMA},
        outcome::Outcome,
    };
    use tickmesh_testkit::records;

    use super::*;

    fn failed() -> Notice {
        let notice = AppNotice::Failed { run: 1, outcome: Outcome::failed(3), failures: 1 };
        let record = NoticeRecord { schema: SCHEMA, number: 1, app: records::app(), at: records::now(), notice };
        Notice::of_app(&record, None, None).unwrap()
    }

    fn choice(targets: &[&str], topics: &[Topic]) -> NotifyChoice {
        NotifyChoice {
            targets: Some(targets.iter().map(|name| (*name).to_owned()).collect()),
            topics: (!topics.is_empty()).then(|| topics.iter().copied().collect()),
        }
    }

    #[test]
    fn an_app_chooses_its_targets_and_what_they_are_told() {
        let ops = Target::new("ops", Service::Slack { url: Uri::from_static("http://slack/x") });
        let pager =
            Target { is_default: false, topics: [Topic::Overdue].into(), ..Target::new("pager", ops.service.clone()) };
        let wants = |choice: Option<&NotifyChoice>| (ops.wants(&failed(), choice), pager.wants(&failed(), choice));
        assert_eq!(wants(None), (true, false));
        assert_eq!(wants(Some(&choice(&["pager"], &[]))), (false, false), "it takes only what is overdue");
        assert_eq!(wants(Some(&choice(&["pager"], &[Topic::Failure]))), (false, true));
        assert_eq!(wants(Some(&choice(&[], &[]))), (false, false));
        assert_eq!(wants(Some(&choice(&["ops", "pager"], &[Topic::Recovery]))), (false, false));
    }

    #[test]
    fn quiet_hours_end_in_the_morning() {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
        let quiet = |from, to| QuietHours {
            from: Time::constant(from, 0, 0, 0),
            to: Time::constant(to, 0, 0, 0),
            zone: zone.clone(),
        };
        let end = |quiet: &QuietHours, now: &str| quiet.end(now.parse().unwrap()).map(|end| end.to_string());
        let night = quiet(22, 7);
        assert_eq!(end(&night, "2026-11-22T20:59:59Z"), None);
        assert_eq!(end(&night, "2026-11-22T21:00:00Z").as_deref(), Some("2026-11-23T06:00:00Z"));
        assert_eq!(end(&night, "2026-11-23T05:59:59Z").as_deref(), Some("2026-11-23T06:00:00Z"));
        assert_eq!(end(&night, "2026-11-23T06:00:00Z"), None);
        assert_eq!(end(&quiet(12, 14), "2026-11-22T11:30:00Z").as_deref(), Some("2026-11-22T13:00:00Z"));
        assert_eq!(end(&quiet(12, 14), "2026-11-22T13:00:00Z"), None);
    }
}

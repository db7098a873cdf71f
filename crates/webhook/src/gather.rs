//! Which notices become one message: those of many apps that say the same, and those that there is no room for. Pure.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::{Notice, kind::Kind};

/// Apps that say the same, from which on one message says it of all of them.
const STORM_MIN: usize = 4;
const HOUR: Duration = Duration::from_secs(3_600);

/// Puts notices of several apps that say the same together. What is told of one app stays in its order: of each app only its
/// first notice is looked at, then only its second, and so on.
pub(crate) fn collapse(notices: Vec<Notice>) -> Vec<Notice> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut rounds: Vec<Vec<Notice>> = Vec::new();
    for notice in notices {
        let of_whom = notice.app.clone().unwrap_or_default();
        let round = seen.entry(of_whom).and_modify(|count| *count += 1).or_insert(0);
        if rounds.len() <= *round {
            rounds.resize_with(*round + 1, Vec::new);
        }
        rounds[*round].push(notice);
    }
    rounds.into_iter().flat_map(storms).collect()
}

/// The notices of one round, each of another app.
fn storms(notices: Vec<Notice>) -> Vec<Notice> {
    let mut groups: Vec<((Kind, String), Vec<Notice>)> = Vec::new();
    for notice in notices {
        let key = (notice.kind, notice.same.clone());
        match groups.iter_mut().find(|(known, _)| *known == key && notice.app.is_some()) {
            Some((_, group)) => group.push(notice),
            None => groups.push((key, vec![notice])),
        }
    }
    let told = groups.into_iter().flat_map(|(_, group)| match group.len() {
        count if count >= STORM_MIN => Notice::storm(&group).into_iter().collect(),
        _ => group,
    });
    told.collect()
}

/// Messages of the last hour.
#[derive(Debug)]
pub(crate) struct Limit {
    per_hour: usize,
    sent: VecDeque<Instant>,
}

impl Limit {
    pub(crate) fn new(per_hour: usize) -> Self {
        Self { per_hour, sent: VecDeque::new() }
    }

    /// How long nothing may be sent.
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        while self.sent.front().is_some_and(|at| now.duration_since(*at) >= HOUR) {
            self.sent.pop_front();
        }
        match self.sent.front() {
            Some(first) if self.sent.len() >= self.per_hour => HOUR.saturating_sub(now.duration_since(*first)),
            Some(_) | None => Duration::ZERO,
        }
    }

    /// The messages for which there is room now: what has none comes together in the last one.
    pub(crate) fn fitting(&self, mut notices: Vec<Notice>) -> Vec<Notice> {
        let room = self.per_hour.saturating_sub(self.sent.len()).max(1);
        if notices.len() > room {
            let rest = notices.split_off(room - 1);
            notices.extend(Notice::digest(&rest));
        }
        notices
    }

    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        message::{AppNotice, NoticeRecord, SCHEMA},
        name::AppName,
        outcome::Outcome,
    };
    use tickmesh_testkit::records;

    use super::*;

    fn notice(app: &str, notice: AppNotice) -> Notice {
        let app = AppName::new(app).unwrap();
        let record = NoticeRecord { schema: SCHEMA, number: 1, app, at: records::now(), notice };
        Notice::of_app(&record, None, None).unwrap()
    }

    fn pending(app: &str) -> Notice {
        notice(app, AppNotice::Pending { run: 1, since: records::now(), reason: "no agent is known".to_owned() })
    }

    fn failed(app: &str) -> Notice {
        notice(app, AppNotice::Failed { run: 1, outcome: Outcome::TimedOut, failures: 1 })
    }

    fn texts(notices: Vec<Notice>) -> Vec<String> {
        collapse(notices).into_iter().map(|notice| notice.text.chars().take(24).collect()).collect()
    }

    #[test]
    fn four_apps_that_say_the_same_are_one_message() {
        assert_eq!(texts(vec![pending("a"), pending("b"), pending("c")]).len(), 3);
        let told = texts(vec![pending("a"), failed("x"), pending("b"), pending("c"), pending("d")]);
        assert_eq!(told, ["4 apps wait: no agent is", "run x/1 timed out"]);
    }

    #[test]
    fn notices_of_one_app_stay_in_their_order() {
        let told = texts(vec![failed("a"), pending("a"), pending("b"), pending("c"), pending("d"), pending("e")]);
        assert_eq!(told, ["run a/1 timed out", "4 apps wait: no agent is", "run a/1 has waited for a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_more_than_an_hour_takes_comes_together() {
        let mut limit = Limit::new(3);
        let all = || vec![failed("a"), failed("b"), failed("c"), failed("d"), failed("e")];
        let fitting = limit.fitting(all());
        assert_eq!((fitting.len(), fitting[2].kind, fitting[2].notices.len()), (3, Kind::Digest, 3));
        let begin = Instant::now();
        (0..3).for_each(|_| limit.sent(begin));
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(limit.wait(Instant::now()), Duration::from_secs(3_000));
        tokio::time::advance(Duration::from_secs(3_000)).await;
        assert_eq!(limit.wait(Instant::now()), Duration::ZERO);
        assert_eq!(limit.fitting(all()).len(), 3);
    }
}

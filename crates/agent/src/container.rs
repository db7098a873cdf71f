//! The container of an attempt: its name, labels and environment.

use std::collections::BTreeMap;

use tickmesh_core::{id::AttemptId, message::StartOrder};

use crate::{
    default_limits::DefaultLimits,
    engine::ContainerRequest,
    labels::{Owner, Tag},
};

/// What the engine is asked to create. `name` is the attempt's container name.
pub fn request(name: String, owner: &Owner, tag: &Tag, order: &StartOrder, limits: DefaultLimits) -> ContainerRequest {
    let mut spec = order.container.clone();
    limits.apply(&mut spec);
    ContainerRequest {
        name,
        labels: tag.labels(owner, &order.container.labels),
        environment: environment(&tag.attempt, order),
        spec,
    }
}

/// The user's environment and what a replica needs to know to share work. Ours win: they are facts.
fn environment(attempt: &AttemptId, order: &StartOrder) -> BTreeMap<String, String> {
    let mut environment = order.container.environment.clone();
    let ours = [
        ("TICKMESH_APP", attempt.app.to_string()),
        ("TICKMESH_RUN", attempt.run.to_string()),
        ("TICKMESH_SERVICE", attempt.service.to_string()),
        ("TICKMESH_REPLICA", attempt.replica.to_string()),
        ("TICKMESH_REPLICAS", order.replicas.to_string()),
        ("TICKMESH_ATTEMPT", attempt.attempt.to_string()),
        // Empty in a run by hand, so that `set -u` scripts need not care.
        ("TICKMESH_SCHEDULED_AT", order.scheduled_at.map(|at| at.to_string()).unwrap_or_default()),
        ("TICKMESH_CAUSE", order.cause.label().to_owned()),
    ];
    environment.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[track_caller]
    fn check(environment: &BTreeMap<String, String>, key: &str, value: &str) {
        assert_eq!(environment.get(key).map(String::as_str), Some(value), "{key}");
    }

    #[test]
    fn a_replica_is_told_who_it_is() {
        let environment = environment(&fixture::attempt(), &fixture::start_order());
        check(&environment, "TICKMESH_APP", "nightly");
        check(&environment, "TICKMESH_RUN", "42");
        check(&environment, "TICKMESH_SERVICE", "s1");
        check(&environment, "TICKMESH_REPLICA", "3");
        check(&environment, "TICKMESH_REPLICAS", "5");
        check(&environment, "TICKMESH_ATTEMPT", "1");
        check(&environment, "TICKMESH_SCHEDULED_AT", "2026-11-22T01:30:00Z");
        check(&environment, "TICKMESH_CAUSE", "schedule");
    }

    #[test]
    fn a_run_by_hand_has_no_instant() {
        let order = StartOrder { scheduled_at: None, ..fixture::start_order() };
        check(&environment(&fixture::attempt(), &order), "TICKMESH_SCHEDULED_AT", "");
    }

    #[test]
    fn users_variables_are_passed_on_and_cannot_replace_ours() {
        let mut order = fixture::start_order();
        order.container.environment.insert("DEBUG".to_owned(), "1".to_owned());
        order.container.environment.insert("TICKMESH_REPLICA".to_owned(), "0".to_owned());
        let environment = environment(&fixture::attempt(), &order);
        check(&environment, "DEBUG", "1");
        check(&environment, "TICKMESH_REPLICA", "3");
    }
}

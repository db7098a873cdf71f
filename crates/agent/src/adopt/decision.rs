//! What becomes of one container that was found.

use tickmesh_core::message::AttemptEvent;

use crate::{
    attempt::{Disposal, disposal_after},
    engine::{ContainerStatus, ExitState},
    labels::Tag,
};

/// What becomes of a container that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// It was started under an open claim of ours: it is watched, and its end reported, if it has not ended already. It is
    /// never started again.
    Watch,
    /// It was created and not seen running: it is removed, and only then reported lost (protocol rule P6).
    Clear,
    /// Its attempt is over, which does not say that its output is stored: it is stopped if it runs still, and disposed of once
    /// that is.
    Collect(Disposal),
    /// Its attempt was never ours, or was over before it could begin: it is removed.
    Remove,
    /// Its attempt is over, and the policy keeps the container until its run leaves the history.
    Keep,
}

/// Decides about one container. `last` is the last message on its attempt's subject.
pub fn decide_adoption(tag: &Tag, status: &ContainerStatus, last: Option<&AttemptEvent>) -> Adoption {
    match (last, status) {
        (Some(AttemptEvent::Claimed { nonce, .. }), _) if *nonce != tag.nonce => Adoption::Remove,
        (Some(AttemptEvent::Claimed { .. }), ContainerStatus::Created) => Adoption::Clear,
        // The watch of one that is being removed finds it gone.
        (
            Some(AttemptEvent::Claimed { .. }),
            ContainerStatus::Running | ContainerStatus::Exited(_) | ContainerStatus::Removing,
        ) => Adoption::Watch,
        (Some(end), ContainerStatus::Exited(_)) => Adoption::Collect(disposal_after(end, tag.terms.remove_containers)),
        // No container is made without a claim. One that ended and has none left is of a run that was folded long ago: the
        // results are purged below what active runs need (rule P14).
        (None, ContainerStatus::Exited(exit)) => match disposal_after(&exit_event(exit), tag.terms.remove_containers) {
            Disposal::Remove => Adoption::Remove,
            Disposal::Keep => Adoption::Keep,
        },
        (Some(_), ContainerStatus::Running) => Adoption::Collect(Disposal::Remove),
        (Some(_), ContainerStatus::Created | ContainerStatus::Removing)
        | (None, ContainerStatus::Created | ContainerStatus::Running | ContainerStatus::Removing) => Adoption::Remove,
    }
}

fn exit_event(exit: &ExitState) -> AttemptEvent {
    AttemptEvent::Exited {
        exit_code: exit.code,
        oom_killed: exit.oom_killed,
        unhealthy: exit.unhealthy,
        started_at: exit.started_at,
        finished_at: exit.finished_at,
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{message::Revoker, outcome::LostReason, spec::RemoveContainers};

    use super::*;
    use crate::{attempt::Terms, fixture};

    const REMOVE: Adoption = Adoption::Collect(Disposal::Remove);
    const KEEP: Adoption = Adoption::Collect(Disposal::Keep);

    fn claimed(seed: u8) -> Option<AttemptEvent> {
        Some(AttemptEvent::Claimed { nonce: fixture::nonce(seed), machine: fixture::machine() })
    }

    fn ended(exit_code: i64) -> Option<AttemptEvent> {
        Some(exit_event(&fixture::exit(exit_code)))
    }

    fn exited(code: i64) -> ContainerStatus {
        ContainerStatus::Exited(fixture::exit(code))
    }

    #[track_caller]
    fn check_with(policy: RemoveContainers, status: ContainerStatus, last: Option<AttemptEvent>, expected: Adoption) {
        let nonce = fixture::nonce(1);
        let terms = Terms { remove_containers: policy, ..fixture::terms() };
        let tag = Tag { attempt: fixture::attempt(), nonce, claim_sequence: 7, terms };
        assert_eq!(decide_adoption(&tag, &status, last.as_ref()), expected, "{status:?}, {last:?}, {policy:?}");
    }

    #[track_caller]
    fn check(status: ContainerStatus, last: Option<AttemptEvent>, expected: Adoption) {
        check_with(RemoveContainers::RemoveFinished, status, last, expected);
    }

    #[test]
    fn under_an_open_claim_of_ours_the_container_decides() {
        check(ContainerStatus::Running, claimed(1), Adoption::Watch);
        check(ContainerStatus::Removing, claimed(1), Adoption::Watch);
        check(ContainerStatus::Created, claimed(1), Adoption::Clear);
        check(exited(0), claimed(1), Adoption::Watch);
        check(exited(3), claimed(1), Adoption::Watch);
    }

    #[test]
    fn under_a_claim_with_another_nonce_the_container_goes() {
        for status in [ContainerStatus::Running, ContainerStatus::Created, ContainerStatus::Removing, exited(0)] {
            check(status, claimed(2), Adoption::Remove);
        }
    }

    #[test]
    fn a_container_that_outlives_its_attempt_goes() {
        let lost = Some(AttemptEvent::Lost { reason: LostReason::AgentSilent });
        for last in [lost, ended(0), Some(AttemptEvent::Cancelled { exit_code: None })] {
            check(ContainerStatus::Running, last.clone(), Adoption::Collect(Disposal::Remove));
            check(ContainerStatus::Created, last, Adoption::Remove);
        }
    }

    #[test]
    fn an_ended_container_of_an_ended_attempt_is_kept_or_removed_by_policy_once_its_output_is_stored() {
        check(exited(0), ended(0), REMOVE);
        check(exited(3), ended(3), KEEP);
        check(exited(143), Some(AttemptEvent::Cancelled { exit_code: Some(143) }), KEEP);
        check_with(RemoveContainers::RemoveFailed, exited(0), ended(0), KEEP);
        check_with(RemoveContainers::RemoveFailed, exited(3), ended(3), REMOVE);
        check_with(RemoveContainers::RemoveAll, exited(0), ended(0), REMOVE);
        check_with(RemoveContainers::RemoveNone, exited(0), ended(0), KEEP);
    }

    #[test]
    fn what_was_declared_lost_or_never_ran_goes_whatever_the_policy() {
        for last in [
            AttemptEvent::Lost { reason: LostReason::AgentSilent },
            AttemptEvent::CouldNotStart { reason: "no such command".to_owned(), permanent: false },
            AttemptEvent::Revoked { by: Revoker::Leader, reason: "unclaimed".to_owned() },
        ] {
            check_with(RemoveContainers::RemoveNone, exited(0), Some(last), REMOVE);
        }
    }

    #[test]
    fn without_any_message_only_a_kept_container_stays() {
        check(ContainerStatus::Running, None, Adoption::Remove);
        check(ContainerStatus::Created, None, Adoption::Remove);
        check(ContainerStatus::Removing, None, Adoption::Remove);
        check(exited(3), None, Adoption::Keep);
        check(exited(0), None, Adoption::Remove);
    }
}

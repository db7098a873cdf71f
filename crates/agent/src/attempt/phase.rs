//! The part of an attempt's life in which it is claimed.

use std::sync::Arc;

use tickmesh_core::{
    end_notes::EndNotes,
    message::{AttemptEvent, PullProgress},
};

use super::{
    State, Step,
    end::{
        NO_ENGINE, cancelled, could_not_start, end_of, end_of_stopped, fenced, not_allowed, not_started, removed,
        returned, stopped, unless_stopped,
    },
    event::{Claimed, Disposal, Effect, Event, IllegalEvent, Job, Remains, Stop, Watched, Wish},
    step::{abandon, clear, dispose, end_and_remove, end_by_policy, end_without, exited, started, still, stop},
};
use crate::engine::ContainerId;

/// How far an attempt has come that is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The image is looked for, and fetched.
    Pulling {
        /// What to create.
        job: Arc<Job>,
        /// How far that has come, for people.
        progress: PullProgress,
    },
    /// It waits for its turn to start a container.
    Queued {
        /// What to create.
        job: Arc<Job>,
    },
    /// The engine creates the container.
    Creating {
        /// Whether a stop came meanwhile.
        wish: Wish,
    },
    /// The engine starts the container.
    Starting {
        container: ContainerId,
        /// Whether a stop came meanwhile.
        wish: Wish,
    },
    /// The container runs.
    Running {
        container: ContainerId,
        /// Whether we saw all of it.
        watched: Watched,
    },
    /// The container is being stopped.
    Stopping {
        container: ContainerId,
        /// Whether we saw all of it.
        watched: Watched,
        stop: Stop,
    },
    /// A container that may be about to start is being removed; only then may the end be known (protocol rule P6).
    Clearing {
        /// How the attempt will have ended.
        end: AttemptEvent,
    },
    /// It ended, and its end is on its way.
    Ending {
        /// How it ended.
        event: AttemptEvent,
        /// What it leaves.
        remains: Remains,
    },
}

impl Phase {
    /// One word for logs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pulling { .. } => "pulling",
            Self::Queued { .. } => "queued",
            Self::Creating { .. } => "creating",
            Self::Starting { .. } => "starting",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
            Self::Clearing { .. } => "clearing",
            Self::Ending { .. } => "ending",
        }
    }

    /// The part of the legal life in which the attempt is claimed.
    pub(super) fn apply(self, claimed: Claimed, event: Event) -> Result<Step, IllegalEvent> {
        use Event as E;
        use Phase as P;
        let still = |phase| still(State::Claimed { claimed, phase });
        Ok(match (self, event) {
            (P::Pulling { job, .. }, E::ImageReady) => still(P::Queued { job }),
            (P::Pulling { .. }, E::CouldNotPull { reason }) => end_without(claimed, could_not_start(reason)),
            (P::Pulling { .. }, E::StopWanted(_)) => {
                abandon(Effect::AbandonPull, end_without(claimed, cancelled(None)))
            }
            (P::Pulling { .. }, E::EngineLost) => {
                abandon(Effect::AbandonPull, end_without(claimed, returned(NO_ENGINE)))
            }

            (P::Queued { job }, E::TurnCame) => {
                let create = Effect::Create { claim_sequence: claimed.sequence, job };
                (State::Claimed { claimed, phase: P::Creating { wish: Wish::Run } }, vec![create])
            }
            (P::Queued { .. }, E::StopWanted(_)) => end_without(claimed, cancelled(None)),
            (P::Queued { .. }, E::EngineLost) => end_without(claimed, returned(NO_ENGINE)),

            (P::Creating { wish: Wish::Run | Wish::GiveBack }, E::Created { container }) => {
                let start = Effect::Start { container: container.clone() };
                (State::Claimed { claimed, phase: P::Starting { container, wish: Wish::Run } }, vec![start])
            }
            (P::Creating { wish: Wish::Stop(_) }, E::Created { container }) => {
                end_and_remove(claimed, container, cancelled(None))
            }
            (P::Creating { wish }, E::CouldNotCreate { reason }) => {
                end_without(claimed, unless_stopped(wish, could_not_start(reason)))
            }
            (P::Creating { wish }, E::NotAllowed { reason }) => {
                end_without(claimed, unless_stopped(wish, not_allowed(reason)))
            }
            (P::Creating { wish }, E::Fenced) => end_without(claimed, unless_stopped(wish, fenced())),
            (P::Creating { wish }, E::StopWanted(stop)) => still(P::Creating { wish: wish.or(stop) }),
            // A container that the engine makes of it later is never started: a start is asked for only after this phase.
            (P::Creating { wish }, E::EngineLost) => {
                abandon(Effect::AbandonCreate, end_without(claimed, unless_stopped(wish, returned(NO_ENGINE))))
            }

            (P::Starting { container, wish }, E::Started) => started(claimed, container, wish),
            // An engine that gave up waiting for its own start answers so, too; the container may yet come up.
            (P::Starting { container, wish }, E::CouldNotStart { reason }) => {
                clear(claimed, container, unless_stopped(wish, could_not_start(reason)))
            }
            (P::Starting { container, .. }, E::StartUnanswered) => clear(claimed, container, not_started()),
            (P::Starting { wish, .. }, E::ContainerGone) => end_without(claimed, unless_stopped(wish, removed())),
            (P::Starting { container, wish }, E::Fenced) => clear(claimed, container, unless_stopped(wish, fenced())),
            (P::Starting { container, wish }, E::StopWanted(stop)) => {
                still(P::Starting { container, wish: wish.or(stop) })
            }

            (P::Running { container, .. }, E::WatchInterrupted) => {
                still(P::Running { container, watched: Watched::WithGaps })
            }
            (P::Running { container, watched }, E::Exited(exit)) => exited(claimed, container, &exit, watched),
            (P::Running { container, .. }, E::KilledByGuard(_)) => end_by_policy(claimed, container, fenced()),
            (P::Running { .. }, E::ContainerGone) => end_without(claimed, removed()),
            (P::Running { container, watched }, E::StopWanted(why)) => stop(claimed, container, watched, why),

            (P::Stopping { container, watched, stop }, E::Exited(exit)) => {
                let own = end_of(&exit, watched);
                end_by_policy(claimed, container, end_of_stopped(stop, claimed.terms, &exit, own))
            }
            (P::Stopping { container, stop, .. }, E::KilledByGuard(exit)) => {
                end_by_policy(claimed, container, end_of_stopped(stop, claimed.terms, &exit, fenced()))
            }
            (P::Stopping { stop, .. }, E::ContainerGone) => {
                end_without(claimed, stopped(stop, None, EndNotes::default()))
            }
            (P::Stopping { container, stop, .. }, E::WatchInterrupted) => {
                still(P::Stopping { container, watched: Watched::WithGaps, stop })
            }

            (P::Clearing { end }, E::Removed) => end_without(claimed, end),

            (P::Ending { remains, .. }, E::EndStored) => dispose(remains, |disposal| disposal),
            (P::Ending { remains, .. }, E::EndRefused) => dispose(remains, |_| Disposal::Remove),

            // It is on its way already, and the first reason counts. The leader repeats a stop while the attempt is held.
            (phase @ (P::Stopping { .. } | P::Clearing { .. } | P::Ending { .. }), E::StopWanted(_)) => still(phase),
            // What was asked to start may run, whatever the engine says: its end is for the engine to tell.
            (
                phase @ (P::Starting { .. }
                | P::Running { .. }
                | P::Stopping { .. }
                | P::Clearing { .. }
                | P::Ending { .. }),
                E::EngineLost,
            ) => still(phase),
            // The container was created just before that was given up: it is as unused as one that is stopped before its start.
            (P::Ending { event, remains: Remains::Nothing }, E::Created { container }) => {
                still(P::Ending { event, remains: Remains::Unused(container) })
            }
            // It was refused just before it was given up, or the pull ended just before that.
            (
                phase @ P::Ending { .. },
                E::CouldNotCreate { .. } | E::NotAllowed { .. } | E::Fenced | E::ImageReady | E::CouldNotPull { .. },
            ) => still(phase),

            (phase, event) => return Err(IllegalEvent { state: phase.name(), event: event.name() }),
        })
    }
}

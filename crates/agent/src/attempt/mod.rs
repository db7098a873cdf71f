//! The life of one attempt on its agent. Pure: events in, effects out.
//!
//! ```text
//!  Claiming -> Pulling -> Queued -> Creating -> Starting -> Running -> Ending -> Collecting -> Removing -> Gone
//!      |          |         |          |           |           |          ^           (its output)
//!      |          +---------+----------+-----------+-----------+----------+  (stopped, failed: the end is reported)
//!      |                                           +-> Stopping +---------+  (by order, or its time is up)
//!      +-> Gone  (somebody else wrote first)       +-> Clearing (removed *before* the end is reported)
//! ```
//!
//! An attempt is *held* from before its claim is sent until its end is stored, or its claim is known to have failed (protocol
//! rule P1): [`State::is_held`]. [`State::apply`] is the whole legal life; whatever is not in it is an [`IllegalEvent`].

mod end;
mod event;

use std::{sync::Arc, time::Duration};

use tickmesh_core::{
    end_notes::EndNotes,
    message::{AttemptEvent, Awaited, PullProgress, Revoker},
};

pub(crate) use self::end::{EXIT_KILLED, NO_ENGINE};
use self::end::{
    STORE_PUT_BACK, cancelled, could_not_start, end_of, end_of_stopped, fenced, not_allowed, not_started, removed,
    returned, stopped, unless_stopped,
};
pub use self::{
    end::disposal_after,
    event::{
        Claimed, Disposal, Effect, Event, IllegalEvent, Job, LastReport, OutputFrom, Remains, Stop, Terms, Watched,
        Wish,
    },
};
use crate::engine::{ContainerId, ExitState, Image};

/// A claim that is stored this long after its order arrived creates nothing. It is tried until NATS answers, however long
/// that takes; but the leader may have revoked the attempt meanwhile, the run may be over, and an hour later the revocation
/// that would refuse the claim is purged (protocol rule P14). A fraction of that hour, and far more than the half minute after
/// which a leader revokes what nobody claims: whoever is this late has missed an outage, and the leader has long decided.
const CLAIM_DELAY_MAX: Duration = Duration::from_secs(10 * 60);

/// Where an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was never ours: a first message that ends it at once is on its way. Not held.
    Declining,
    /// The claim is on its way, its fate unknown.
    Claiming {
        /// What follows if it is stored.
        job: Arc<Job>,
        /// Whether a stop came meanwhile.
        wish: Wish,
    },
    /// The image is looked for, and fetched.
    Pulling {
        /// The claim.
        claimed: Claimed,
        /// What to create.
        job: Arc<Job>,
        /// How far that has come, for people.
        progress: PullProgress,
    },
    /// It waits for its turn to start a container.
    Queued {
        /// The claim.
        claimed: Claimed,
        /// What to create.
        job: Arc<Job>,
    },
    /// The engine creates the container.
    Creating {
        /// The claim.
        claimed: Claimed,
        /// Whether a stop came meanwhile.
        wish: Wish,
    },
    /// The engine starts the container.
    Starting {
        /// The claim.
        claimed: Claimed,
        container: ContainerId,
        /// Whether a stop came meanwhile.
        wish: Wish,
    },
    /// The container runs.
    Running {
        /// The claim.
        claimed: Claimed,
        container: ContainerId,
        /// Whether we saw all of it.
        watched: Watched,
    },
    /// The container is being stopped.
    Stopping {
        /// The claim.
        claimed: Claimed,
        container: ContainerId,
        /// Whether we saw all of it.
        watched: Watched,
        stop: Stop,
    },
    /// A container that may be about to start is being removed; only then may the end be known (protocol rule P6).
    Clearing {
        /// The claim.
        claimed: Claimed,
        /// How the attempt will have ended.
        end: AttemptEvent,
    },
    /// It ended, and its end is on its way.
    Ending {
        /// The claim.
        claimed: Claimed,
        /// How it ended.
        event: AttemptEvent,
        /// What it leaves.
        remains: Remains,
    },
    /// The end is stored, and the rest of the container's output is on its way: nothing else may take the container. Not held.
    Collecting {
        container: ContainerId,
        /// What becomes of it afterwards.
        disposal: Disposal,
    },
    /// The end is stored, and the container is being removed. Not held.
    Removing,
    /// Nothing is left to do.
    Gone,
}

/// The next state and what to do.
pub type Step = (State, Vec<Effect>);

impl State {
    /// A new attempt: held from now on, the claim is sent afterwards.
    pub fn claim(job: Job) -> Step {
        let nonce = job.nonce;
        (Self::Claiming { job: Arc::new(job), wish: Wish::Run }, vec![Effect::Claim { nonce }])
    }

    /// An attempt that will not be taken, or was stopped before it was known.
    pub fn decline(event: AttemptEvent) -> Step {
        (Self::Declining, vec![Effect::Decline { event }])
    }

    /// A container of an earlier process that has been started. If it has ended meanwhile, the watch says so; it is never
    /// started again.
    pub fn adopt_started(claimed: Claimed, container: ContainerId) -> Step {
        run(claimed, container, OutputFrom::LastStored)
    }

    /// A container of an earlier process that never ran, as far as known.
    pub fn adopt_created(claimed: Claimed, container: ContainerId) -> Step {
        clear(claimed, container, not_started())
    }

    /// A container that ran under an attempt whose end is stored, which does not say that its output is.
    pub fn adopt_ended(container: ContainerId, disposal: Disposal) -> Step {
        let collect = Effect::Collect { container: container.clone() };
        (Self::Collecting { container, disposal }, vec![collect])
    }

    /// A container that nobody needs anything of.
    pub fn adopt_leftover(container: ContainerId) -> Step {
        (Self::Removing, vec![Effect::Remove { container }])
    }

    /// Whether a heartbeat lists the attempt (protocol rule P1).
    pub fn is_held(&self) -> bool {
        match self {
            Self::Claiming { .. }
            | Self::Pulling { .. }
            | Self::Queued { .. }
            | Self::Creating { .. }
            | Self::Starting { .. }
            | Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Clearing { .. }
            | Self::Ending { .. } => true,
            Self::Declining | Self::Collecting { .. } | Self::Removing | Self::Gone => false,
        }
    }

    /// Whether nobody knows yet whose it is.
    pub fn is_claiming(&self) -> bool {
        matches!(self, Self::Claiming { .. })
    }

    /// Whether its container has ended, and only its end is still on its way.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Ending { .. })
    }

    /// Whether the engine is busy bringing its container up: such attempts are limited.
    pub fn takes_a_turn(&self) -> bool {
        matches!(self, Self::Creating { .. } | Self::Starting { .. })
    }

    /// Whether the engine is busy taking its container away, which costs it about as much.
    pub fn clears_away(&self) -> bool {
        matches!(self, Self::Clearing { .. } | Self::Removing)
    }

    /// Whether the next agent process finds all it needs to go on, if this one stops now.
    pub fn survives_restart(&self) -> bool {
        match self {
            Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Declining
            | Self::Collecting { .. }
            | Self::Removing
            | Self::Gone => true,
            Self::Claiming { .. }
            | Self::Pulling { .. }
            | Self::Queued { .. }
            | Self::Creating { .. }
            | Self::Starting { .. }
            | Self::Clearing { .. }
            | Self::Ending { .. } => false,
        }
    }

    /// What is left to say when this process gives everything up and its container is removed: the claim's sequence and the
    /// end of the attempt. `None`: there is no claim, as far as known.
    pub fn last_words(&self) -> Option<(u64, AttemptEvent)> {
        match self {
            Self::Pulling { claimed, .. }
            | Self::Queued { claimed, .. }
            | Self::Creating { claimed, .. }
            | Self::Starting { claimed, .. }
            | Self::Running { claimed, .. }
            | Self::Stopping { claimed, .. } => Some((claimed.sequence, removed())),
            Self::Clearing { claimed, end: event } | Self::Ending { claimed, event, .. } => {
                Some((claimed.sequence, event.clone()))
            }
            Self::Claiming { .. } | Self::Declining | Self::Collecting { .. } | Self::Removing | Self::Gone => None,
        }
    }

    /// The whole legal life.
    pub fn apply(self, event: Event) -> Result<Step, IllegalEvent> {
        use Event as E;
        use State as S;
        Ok(match (self, event) {
            (S::Declining, E::Declined) => gone(),

            (S::Claiming { job, wish }, E::ClaimStored { sequence, at }) => claim_stored(job, wish, sequence, at),
            (S::Claiming { .. }, E::ClaimRefused) => gone(),
            (S::Claiming { wish, .. }, E::Fenced) => S::decline(not_claimed(wish)),
            (S::Claiming { job, wish }, E::StopWanted(stop)) => still(S::Claiming { job, wish: wish.or(stop) }),
            (S::Claiming { job, wish }, E::EngineLost) => still(S::Claiming { job, wish: wish.or_give_back() }),

            (S::Pulling { claimed, job, .. }, E::ImageReady) => still(S::Queued { claimed, job }),
            (S::Pulling { claimed, .. }, E::CouldNotPull { reason }) => end_without(claimed, could_not_start(reason)),
            (S::Pulling { claimed, .. }, E::StopWanted(_)) => {
                abandon(Effect::AbandonPull, end_without(claimed, cancelled(None)))
            }
            (S::Pulling { claimed, .. }, E::EngineLost) => {
                abandon(Effect::AbandonPull, end_without(claimed, returned(NO_ENGINE)))
            }

            (S::Queued { claimed, job }, E::TurnCame) => {
                let create = Effect::Create { claim_sequence: claimed.sequence, job };
                (S::Creating { claimed, wish: Wish::Run }, vec![create])
            }
            (S::Queued { claimed, .. }, E::StopWanted(_)) => end_without(claimed, cancelled(None)),
            (S::Queued { claimed, .. }, E::EngineLost) => end_without(claimed, returned(NO_ENGINE)),

            (S::Creating { claimed, wish: Wish::Run | Wish::GiveBack }, E::Created { container }) => {
                let start = Effect::Start { container: container.clone() };
                (S::Starting { claimed, container, wish: Wish::Run }, vec![start])
            }
            (S::Creating { claimed, wish: Wish::Stop(_) }, E::Created { container }) => {
                end_and_remove(claimed, container, cancelled(None))
            }
            (S::Creating { claimed, wish }, E::CouldNotCreate { reason }) => {
                end_without(claimed, unless_stopped(wish, could_not_start(reason)))
            }
            (S::Creating { claimed, wish }, E::NotAllowed { reason }) => {
                end_without(claimed, unless_stopped(wish, not_allowed(reason)))
            }
            (S::Creating { claimed, wish }, E::Fenced) => end_without(claimed, unless_stopped(wish, fenced())),
            (S::Creating { claimed, wish }, E::StopWanted(stop)) => still(S::Creating { claimed, wish: wish.or(stop) }),
            // A container that the engine makes of it later is never started: a start is asked for only after this state.
            (S::Creating { claimed, wish }, E::EngineLost) => {
                abandon(Effect::AbandonCreate, end_without(claimed, unless_stopped(wish, returned(NO_ENGINE))))
            }

            (S::Starting { claimed, container, wish }, E::Started) => started(claimed, container, wish),
            // An engine that gave up waiting for its own start answers so, too; the container may yet come up.
            (S::Starting { claimed, container, wish }, E::CouldNotStart { reason }) => {
                clear(claimed, container, unless_stopped(wish, could_not_start(reason)))
            }
            (S::Starting { claimed, container, .. }, E::StartUnanswered) => clear(claimed, container, not_started()),
            (S::Starting { claimed, wish, .. }, E::ContainerGone) => {
                end_without(claimed, unless_stopped(wish, removed()))
            }
            (S::Starting { claimed, container, wish }, E::Fenced) => {
                clear(claimed, container, unless_stopped(wish, fenced()))
            }
            (S::Starting { claimed, container, wish }, E::StopWanted(stop)) => {
                still(S::Starting { claimed, container, wish: wish.or(stop) })
            }

            (S::Running { claimed, container, .. }, E::WatchInterrupted) => {
                still(S::Running { claimed, container, watched: Watched::WithGaps })
            }
            (S::Running { claimed, container, watched }, E::Exited(exit)) => exited(claimed, container, &exit, watched),
            (S::Running { claimed, container, .. }, E::KilledByGuard(_)) => end_by_policy(claimed, container, fenced()),
            (S::Running { claimed, .. }, E::ContainerGone) => end_without(claimed, removed()),
            (S::Running { claimed, container, watched }, E::StopWanted(why)) => stop(claimed, container, watched, why),

            (S::Stopping { claimed, container, watched, stop }, E::Exited(exit)) => {
                let own = end_of(&exit, watched);
                end_by_policy(claimed, container, end_of_stopped(stop, claimed.terms, &exit, own))
            }
            (S::Stopping { claimed, container, stop, .. }, E::KilledByGuard(exit)) => {
                end_by_policy(claimed, container, end_of_stopped(stop, claimed.terms, &exit, fenced()))
            }
            (S::Stopping { claimed, stop, .. }, E::ContainerGone) => {
                end_without(claimed, stopped(stop, None, EndNotes::default()))
            }
            (S::Stopping { claimed, container, stop, .. }, E::WatchInterrupted) => {
                still(S::Stopping { claimed, container, watched: Watched::WithGaps, stop })
            }

            (S::Clearing { claimed, end }, E::Removed) => end_without(claimed, end),

            (S::Ending { remains, .. }, E::EndStored) => dispose(remains, |disposal| disposal),
            (S::Ending { remains, .. }, E::EndRefused) => dispose(remains, |_| Disposal::Remove),

            (S::Collecting { container, disposal: Disposal::Remove }, E::Collected) => S::adopt_leftover(container),
            (S::Collecting { disposal: Disposal::Keep, .. }, E::Collected) => gone(),

            (S::Removing, E::Removed) => gone(),

            // It is on its way already, or over, and the first reason counts. The leader repeats a stop while the attempt is held.
            (
                state @ (S::Declining
                | S::Stopping { .. }
                | S::Clearing { .. }
                | S::Ending { .. }
                | S::Collecting { .. }
                | S::Removing),
                E::StopWanted(_),
            ) => still(state),
            // What was asked to start may run, whatever the engine says: its end is for the engine to tell.
            (
                state @ (S::Declining
                | S::Starting { .. }
                | S::Running { .. }
                | S::Stopping { .. }
                | S::Clearing { .. }
                | S::Ending { .. }
                | S::Collecting { .. }
                | S::Removing),
                E::EngineLost,
            ) => still(state),
            // The container was created just before that was given up: it is as unused as one that is stopped before its start.
            (S::Ending { claimed, event, remains: Remains::Nothing }, E::Created { container }) => {
                still(S::Ending { claimed, event, remains: Remains::Unused(container) })
            }
            // It was refused just before it was given up.
            (state @ S::Ending { .. }, E::CouldNotCreate { .. } | E::NotAllowed { .. } | E::Fenced) => still(state),
            // The pull ended just before it was given up.
            (state @ (S::Ending { .. } | S::Removing), E::ImageReady | E::CouldNotPull { .. }) => still(state),

            (state, event) => return Err(IllegalEvent { state: state.name(), event: event.name() }),
        })
    }

    /// The pull of an image has come this far. It changes nothing but what people are told.
    pub fn pull_moved(&mut self, image: &str, moved: PullProgress) {
        match self {
            Self::Pulling { job, progress, .. } if job.order.container.image == image => *progress = moved,
            Self::Pulling { .. }
            | Self::Declining
            | Self::Claiming { .. }
            | Self::Queued { .. }
            | Self::Creating { .. }
            | Self::Starting { .. }
            | Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Clearing { .. }
            | Self::Ending { .. }
            | Self::Collecting { .. }
            | Self::Removing
            | Self::Gone => {}
        }
    }

    /// What it waits for, if that may take long.
    pub fn awaited(&self) -> Option<Awaited> {
        match self {
            Self::Pulling { progress, .. } => Some(Awaited::Pulling(*progress)),
            Self::Queued { .. } => Some(Awaited::Queued),
            Self::Declining
            | Self::Claiming { .. }
            | Self::Creating { .. }
            | Self::Starting { .. }
            | Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Clearing { .. }
            | Self::Ending { .. }
            | Self::Collecting { .. }
            | Self::Removing
            | Self::Gone => None,
        }
    }

    /// The container, once it has been started.
    pub fn started(&self) -> Option<&ContainerId> {
        match self {
            Self::Running { container, .. } | Self::Stopping { container, .. } => Some(container),
            Self::Declining
            | Self::Claiming { .. }
            | Self::Pulling { .. }
            | Self::Queued { .. }
            | Self::Creating { .. }
            | Self::Starting { .. }
            | Self::Clearing { .. }
            | Self::Ending { .. }
            | Self::Collecting { .. }
            | Self::Removing
            | Self::Gone => None,
        }
    }

    /// One word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Declining => "declining",
            Self::Claiming { .. } => "claiming",
            Self::Pulling { .. } => "pulling",
            Self::Queued { .. } => "queued",
            Self::Creating { .. } => "creating",
            Self::Starting { .. } => "starting",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
            Self::Clearing { .. } => "clearing",
            Self::Ending { .. } => "ending",
            Self::Collecting { .. } => "collecting",
            Self::Removing => "removing",
            Self::Gone => "gone",
        }
    }
}

fn still(state: State) -> Step {
    (state, Vec::new())
}

fn gone() -> Step {
    still(State::Gone)
}

/// What is said about an attempt whose claim was never sent.
fn not_claimed(wish: Wish) -> AttemptEvent {
    match wish {
        Wish::Run => revoked("the agent was cut off meanwhile"),
        Wish::GiveBack => revoked(NO_ENGINE),
        Wish::Stop(_) => cancelled(None),
    }
}

fn revoked(reason: &str) -> AttemptEvent {
    AttemptEvent::Revoked { by: Revoker::Agent, reason: reason.to_owned() }
}

fn claim_stored(job: Arc<Job>, wish: Wish, sequence: u64, at: Duration) -> Step {
    let claimed = Claimed { sequence, terms: Terms::of(&job.order) };
    let is_late = at.saturating_sub(job.ordered_at) >= CLAIM_DELAY_MAX;
    match (wish, &job.verdict) {
        (Wish::Stop(_), _) => end_without(claimed, cancelled(None)),
        // The attempt may have ended in what the store has lost, and another run may be active.
        (Wish::Run | Wish::GiveBack, _) if sequence <= job.results_seen => {
            end_without(claimed, returned(STORE_PUT_BACK))
        }
        (Wish::GiveBack, _) => end_without(claimed, returned(NO_ENGINE)),
        (Wish::Run, Err(refusal)) => end_without(claimed, not_allowed(refusal.to_string())),
        (Wish::Run, Ok(())) if is_late => end_without(claimed, not_started()),
        (Wish::Run, Ok(())) => {
            let container = &job.order.container;
            let pull = Effect::Pull { image: Image::of(container), policy: container.pull_policy };
            (State::Pulling { claimed, job, progress: PullProgress::default() }, vec![pull])
        }
    }
}

fn started(claimed: Claimed, container: ContainerId, wish: Wish) -> Step {
    match wish {
        Wish::Run | Wish::GiveBack => run(claimed, container, OutputFrom::Beginning),
        Wish::Stop(why) => {
            let watch = Effect::Watch { container: container.clone(), output: OutputFrom::Beginning };
            let (state, mut effects) = stop(claimed, container, Watched::Throughout, why);
            effects.insert(0, watch);
            (state, effects)
        }
    }
}

/// Watches a container that has been started, by whomever, and has its time kept.
fn run(claimed: Claimed, container: ContainerId, output: OutputFrom) -> Step {
    let watched = match output {
        OutputFrom::Beginning => Watched::Throughout,
        OutputFrom::LastStored => Watched::WithGaps,
    };
    let mut effects = vec![Effect::Watch { container: container.clone(), output }];
    let time = |limit| Effect::Time { container: container.clone(), limit };
    effects.extend(claimed.terms.attempt_timeout.map(time));
    (State::Running { claimed, container, watched }, effects)
}

fn stop(claimed: Claimed, container: ContainerId, watched: Watched, stop: Stop) -> Step {
    let effect = Effect::Stop { container: container.clone() };
    (State::Stopping { claimed, container, watched, stop }, vec![effect])
}

fn exited(claimed: Claimed, container: ContainerId, exit: &ExitState, watched: Watched) -> Step {
    end_by_policy(claimed, container, end_of(exit, watched))
}

/// Removes a container before the end of its attempt is told: the replacement may begin as soon as that is stored.
fn clear(claimed: Claimed, container: ContainerId, end: AttemptEvent) -> Step {
    (State::Clearing { claimed, end }, vec![Effect::Remove { container }])
}

/// Sends the end of an attempt.
fn report(ending: State) -> Step {
    let effects = ending.last_words().map(|(claim_sequence, event)| Effect::Report { claim_sequence, event });
    (ending, effects.into_iter().collect())
}

fn end_without(claimed: Claimed, event: AttemptEvent) -> Step {
    report(State::Ending { claimed, event, remains: Remains::Nothing })
}

/// Gives up what is under way before anything else is done.
fn abandon(what: Effect, (state, mut effects): Step) -> Step {
    effects.insert(0, what);
    (state, effects)
}

fn end_and_remove(claimed: Claimed, container: ContainerId, event: AttemptEvent) -> Step {
    report(State::Ending { claimed, event, remains: Remains::Unused(container) })
}

fn end_by_policy(claimed: Claimed, container: ContainerId, event: AttemptEvent) -> Step {
    let disposal = disposal_after(&event, claimed.terms.remove_containers);
    report(State::Ending { claimed, event, remains: Remains::Ended { container, disposal } })
}

/// The end is known to everybody: what it left goes its way. `judge` has the last word on a container that ran.
fn dispose(remains: Remains, judge: impl FnOnce(Disposal) -> Disposal) -> Step {
    match remains {
        Remains::Nothing => gone(),
        Remains::Unused(container) => State::adopt_leftover(container),
        Remains::Ended { container, disposal } => State::adopt_ended(container, judge(disposal)),
    }
}

#[cfg(test)]
mod tests;

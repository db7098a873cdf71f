//! Ends what runs once a deadline has passed (protocol rule P5): again and again, until the engine lists nothing to end. A start
//! that was under way in a slow engine takes effect after the first look.

use std::time::Duration;

use tickmesh_core::spec::OnDisconnect;

use super::io::Effect;
use crate::{
    engine::{ContainerStatus, ContainerView},
    ownership::Ownership,
};

/// Pause between two looks. A small part of the kill margin (10 s), and no burden to an engine that has only this to do.
const PAUSE: Duration = Duration::from_millis(250);
/// Pause after an engine that did not tell: it may be gone for long, or for ever.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A sweep that is not at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sweep {
    /// The engine was asked for a list.
    Listing,
    /// The next look is then.
    Pausing {
        /// Uptime of the host.
        until: Duration,
    },
}

impl Sweep {
    /// The first look.
    pub(super) fn begin() -> (Self, Effect) {
        (Self::Listing, Effect::List)
    }

    /// The next look, if it is due.
    pub(super) fn woken(&mut self, now: Duration) -> Option<Effect> {
        match *self {
            Self::Pausing { until } if until <= now => {
                *self = Self::Listing;
                Some(Effect::List)
            }
            Self::Pausing { .. } | Self::Listing => None,
        }
    }

    /// Has the next look come after a pause.
    pub(super) fn pause(&mut self, now: Duration) {
        *self = Self::Pausing { until: now + PAUSE };
    }

    /// Plans the next look after one that failed.
    pub(super) fn retry(&mut self, now: Duration) {
        *self = Self::Pausing { until: now + RETRY_PAUSE };
    }

    /// When the next look is due.
    pub(super) fn wake_at(self) -> Option<Duration> {
        match self {
            Self::Listing => None,
            Self::Pausing { until } => Some(until),
        }
    }
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing to end.
    Swept,
    /// This is to be done, and another look is needed.
    Dirty(Vec<Effect>),
}

/// Looks through a list. Ended containers are the agent's: it reports how they ended.
pub(super) fn look_through(containers: &[ContainerView], ownership: &Ownership) -> Finding {
    let fenced: Vec<_> = containers.iter().filter(|container| is_fenced(container, ownership)).collect();
    if fenced.is_empty() { Finding::Swept } else { Finding::Dirty(fenced.into_iter().filter_map(end).collect()) }
}

fn is_fenced(container: &ContainerView, ownership: &Ownership) -> bool {
    let stops = ownership.tag_of(container).is_some_and(|tag| tag.terms.on_disconnect == OnDisconnect::Stop);
    let has_ended = matches!(container.status, ContainerStatus::Exited(_));
    stops && !has_ended
}

fn end(container: &ContainerView) -> Option<Effect> {
    let id = container.id.clone();
    match container.status {
        ContainerStatus::Running => Some(Effect::Kill { container: id }),
        ContainerStatus::Created => Some(Effect::Remove { container: id }),
        // Somebody is at it; the next look tells whether it is gone.
        ContainerStatus::Removing | ContainerStatus::Exited(_) => None,
    }
}

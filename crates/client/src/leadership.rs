//! Whether ticks are decided now: a scheduler leads, and trusts its clock.

use tickmesh_messaging::{Error, Mesh, SchedulerCard, SchedulerRole, chain};

use crate::{
    read::ROLL_PATIENCE,
    views::{app::AppView, details::DetailsView, run::RunView},
};

/// Who decides ticks, as far as the schedulers say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Leadership {
    /// A scheduler leads, and decides them.
    #[default]
    Led,
    /// A scheduler leads, and decides none.
    InDoubt {
        /// Its host.
        host: String,
        /// What it says of its clock.
        doubt: String,
    },
    /// No scheduler says that it leads.
    Nobody,
    /// The schedulers could not be asked.
    Unknown {
        /// What came instead of an answer.
        reason: String,
    },
}

/// Asks the schedulers: one round trip where one leads, and half a second more where none does. That they cannot be asked is
/// an answer, too: whatever else is known can be shown beside it.
pub async fn leadership(mesh: &Mesh) -> Leadership {
    match mesh.schedulers().leader(ROLL_PATIENCE).await {
        Ok(leader) => of_leader(leader),
        Err(error) => unknown(&error),
    }
}

fn unknown(error: &Error) -> Leadership {
    Leadership::Unknown { reason: chain(error) }
}

fn of_leader(leader: Option<SchedulerCard>) -> Leadership {
    let Some(SchedulerCard { host, role, .. }) = leader else { return Leadership::Nobody };
    match role {
        SchedulerRole::Leading { doubt: None, .. } => Leadership::Led,
        SchedulerRole::Leading { doubt: Some(doubt), .. } => Leadership::InDoubt { host, doubt },
        SchedulerRole::Preparing | SchedulerRole::StandingBy { .. } | SchedulerRole::Refusing { .. } => {
            Leadership::Nobody
        }
    }
}

impl Leadership {
    /// What is wrong, in one sentence; `None`: nothing is.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Led => None,
            Self::InDoubt { host, doubt } => {
                Some(format!("no tick is decided: the leader on {host} doubts its clock: {doubt}"))
            }
            Self::Nobody => Some("no tick is decided: no scheduler leads".to_owned()),
            Self::Unknown { reason } => Some(format!("nobody knows whether ticks are decided: {reason}")),
        }
    }

    /// Takes the next instants out of a list unless somebody decides them: no run may be promised.
    pub fn correct_apps(&self, apps: &mut [AppView]) {
        if self.problem().is_some() {
            apps.iter_mut().for_each(|app| app.next = None);
        }
    }

    /// Takes the next instants of an app out unless somebody decides them.
    pub fn correct_details(&self, details: &mut DetailsView) {
        if self.problem().is_some() {
            (details.app.next, details.next) = (None, Vec::new());
        }
    }

    /// Takes the next instant of a run's app out unless somebody decides it.
    pub fn correct_run(&self, run: &mut RunView) {
        if self.problem().is_some() {
            run.next = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tickmesh_core::{build::Build, id::Epoch};

    use super::*;

    fn card(role: SchedulerRole) -> Option<SchedulerCard> {
        let (id, host, version) = ("1".to_owned(), "host-1".to_owned(), "1.0.0".to_owned());
        Some(SchedulerCard {
            schema: 1,
            id,
            host,
            version,
            build: Build::default(),
            role,
            since: Timestamp::UNIX_EPOCH,
        })
    }

    #[track_caller]
    fn check(leader: Option<SchedulerCard>, problem: Option<&str>) {
        assert_eq!(of_leader(leader).problem().as_deref(), problem);
    }

    #[test]
    fn ticks_are_decided_by_a_leader_without_doubt() {
        let leading =
            |doubt: Option<&str>| card(SchedulerRole::Leading { epoch: Epoch(1), doubt: doubt.map(ToOwned::to_owned) });
        check(leading(None), None);
        let doubt = "no tick is decided: the leader on host-1 doubts its clock: it is 30s ahead";
        check(leading(Some("it is 30s ahead")), Some(doubt));
        check(card(SchedulerRole::StandingBy { doubt: None }), Some("no tick is decided: no scheduler leads"));
        check(None, Some("no tick is decided: no scheduler leads"));
    }

    /// A list that could be read is shown, and promises nothing.
    #[test]
    fn schedulers_that_cannot_be_asked_are_said() {
        let denied = Error::Denied { action: "call the roll".to_owned(), denial: "no right".to_owned() };
        let said = "nobody knows whether ticks are decided: failed to call the roll: NATS answered: no right";
        assert_eq!(unknown(&denied).problem().as_deref(), Some(said));
    }
}

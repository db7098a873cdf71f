//! Notices: what somebody should be told, sent to webhooks and chat services. A run failed, an app is overdue, an agent is lost.
//!
//! Schedulers decide what is told of apps and store it in the stream `notices`. This crate runs beside a scheduler and delivers
//! while that one leads, so that each notice is sent by one process; nothing that a scheduler does waits for it. How far each
//! target has come is stored, from its first moment on: a notice is sent at least once, also across a change of leaders, and its
//! `id` is the same each time. A target that is away holds up no other. What comes at about the same time and says the same of
//! many apps is one message, and so is what would be more messages than a target takes in an hour.

mod deliver;
mod file;
mod gather;
mod heartbeat;
mod kind;
mod mesh_notices;
mod notice;
mod service;
mod session;
mod sign;
mod target;
mod text;

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use hyper::{StatusCode, Uri};
use jiff::tz::TimeZoneDatabase;
use tickmesh_messaging::{Mesh, SchedulerRole};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{
    deliver::{Answer, Deliverer},
    session::{Session, Surroundings},
};
pub use self::{
    file::{FileError, NOTIFY_TABLE, read_targets},
    heartbeat::{HEARTBEAT_EVERY, heartbeat},
    kind::Kind,
    notice::Notice,
    service::Service,
    sign::{SIGNATURE_HEADER, digest},
    target::{PER_HOUR_DEFAULT, QuietHours, Target},
};

/// Before it is tried again to read a mesh that could not be read.
const PAUSE: Duration = Duration::from_secs(5);
/// Each has two readers of its own on the server. Whoever has more to tell puts one target before them that passes notices on.
const TARGETS_MAX: usize = 16;

/// Whom to tell.
#[derive(Debug, Clone)]
pub struct Config {
    pub targets: Vec<Target>,
    /// Where the page is, for links.
    pub public_url: Option<String>,
    /// Zones that apps name.
    pub zones: TimeZoneDatabase,
}

/// Why targets cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A target is no address.
    #[error("target `{0}` is no http or https address")]
    Target(Uri),
    /// So many that reading for them all would be a burden.
    #[error("{count} targets are more than {TARGETS_MAX}")]
    TooMany {
        /// How many different ones there are.
        count: usize,
    },
    /// There are no certificates to trust, and a target is https.
    #[error("failed to load the system's certificates")]
    Certificates(#[source] std::io::Error),
    /// A notice was not taken.
    #[error("target {target} refuses the notice: {status}")]
    Refused { target: String, status: StatusCode },
    /// A target is away.
    #[error("target {target} cannot be reached, or may take the notice later: see the log")]
    Away { target: String },
}

/// Delivers while `role` is that of a leader, until `shutdown`. An error is about the settings.
pub async fn run(
    config: Config,
    mesh: Mesh,
    role: watch::Receiver<SchedulerRole>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let Config { targets, public_url, zones } = config;
    let public_url = public_url.map(|url| url.trim_end_matches('/').to_owned());
    let around = Surroundings { mesh, zones, public_url };
    let deliverer = |target: Target| Ok((Deliverer::new(target.service.clone())?, target));
    let deliverers: Result<Vec<_>, Error> = served(targets)?.into_iter().map(deliverer).collect();
    let deliverers = deliverers?;
    let serving =
        join_all(deliverers.iter().map(|(deliverer, target)| serve(&around, target, deliverer, role.clone())));
    shutdown.run_until_cancelled(serving).await;
    Ok(())
}

/// Sends one notice to one target, once.
pub async fn send(target: &Target, notice: &Notice) -> Result<(), Error> {
    let target_name = || target.name.clone();
    match Deliverer::new(target.service.clone())?.send(notice).await {
        Answer::Taken => Ok(()),
        Answer::Refused(status) => Err(Error::Refused { target: target_name(), status }),
        Answer::Later(_) => Err(Error::Away { target: target_name() }),
    }
}

/// Those that can be served, each once: two that read for the same one would send everything twice.
fn served(targets: Vec<Target>) -> Result<Vec<Target>, Error> {
    if let Some(target) = targets.iter().find(|target| !is_web(target.service.uri())) {
        return Err(Error::Target(target.service.uri().clone()));
    }
    let targets: BTreeMap<u64, Target> = targets.into_iter().map(|target| (target.key, target)).collect();
    match targets.len() {
        count if count > TARGETS_MAX => Err(Error::TooMany { count }),
        _ => Ok(targets.into_values().collect()),
    }
}

/// Serves one target whenever this process leads.
async fn serve(
    around: &Surroundings,
    target: &Target,
    deliverer: &Deliverer,
    mut role: watch::Receiver<SchedulerRole>,
) {
    while becomes(&mut role, leads).await {
        let mut until = role.clone();
        tokio::select! {
            error = Session::run(around, target, deliverer) => {
                warn!(error = &error as &dyn std::error::Error, "a target is not served right now");
                sleep(PAUSE).await;
            }
            _changed = becomes(&mut until, |role| !leads(role)) => {}
        }
    }
}

/// Waits until the role is as wanted. `false`: it never will be.
async fn becomes(role: &mut watch::Receiver<SchedulerRole>, is_wanted: impl Fn(&SchedulerRole) -> bool) -> bool {
    role.wait_for(|role| is_wanted(role)).await.is_ok()
}

fn leads(role: &SchedulerRole) -> bool {
    matches!(role, SchedulerRole::Leading { .. })
}

fn is_web(target: &Uri) -> bool {
    target.host().is_some() && matches!(target.scheme_str(), Some("http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(urls: &[&str]) -> Vec<Target> {
        urls.iter().map(|url| Target::webhook(url.parse().unwrap(), None)).collect()
    }

    #[test]
    fn a_target_that_is_given_twice_is_served_once() {
        let given = targets(&["http://a/x", "https://b", "http://a/x", "https://b/"]);
        let served = served(given).unwrap();
        assert_eq!(served.len(), 2, "{served:?}");
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        assert!(matches!(served(targets(&["ftp://a/x"])), Err(Error::Target(_))));
        let many: Vec<String> = (0..=TARGETS_MAX).map(|number| format!("http://a/{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(served(targets(&many)), Err(Error::TooMany { count: 17 })));
        assert_eq!(served(targets(&many[1..])).unwrap().len(), TARGETS_MAX);
    }
}

//! Webhooks: what somebody should be told, posted as JSON. A run failed, an app recovered, a tick was dropped, an agent is lost.
//!
//! It runs beside a scheduler and delivers while that one leads, so that each notice is posted by one process; nothing that a scheduler
//! does waits for it. How far each webhook has come is stored, from its first moment on: a notice is posted at least once, also across a
//! change of leaders, and its `id` is the same each time. A webhook that is away holds up no other. Messages that the streams keep no
//! longer by the time that it is back (they keep ten of each app) are not posted any more.

mod deliver;
mod notice;
mod session;
mod sign;

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use hyper::Uri;
use tickmesh_messaging::Mesh;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{deliver::Deliverer, session::Session};
pub use self::{
    notice::{Kind, Notice},
    sign::{SIGNATURE_HEADER, digest},
};

/// Before it is tried again to read a mesh that could not be read.
const PAUSE: Duration = Duration::from_secs(5);
/// Each has three readers of its own on the server. Whoever has more to tell puts one webhook before them that passes notices on.
const TARGETS_MAX: usize = 16;

/// Whom to tell.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where notices are posted: `http` or `https`.
    pub targets: Vec<Uri>,
    /// What notices are signed with, if with anything: see [`SIGNATURE_HEADER`].
    pub secret: Option<Vec<u8>>,
}

/// Why webhooks cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A target is no address.
    #[error("webhook `{0}` is no http or https address")]
    Target(Uri),
    /// So many that reading for them all would be a burden.
    #[error("{count} webhooks are more than {TARGETS_MAX}")]
    TooMany {
        /// How many different ones there are.
        count: usize,
    },
    /// There are no certificates to trust, and a target is https.
    #[error("failed to load the system's certificates")]
    Certificates(#[source] std::io::Error),
}

/// Delivers while `leading` says so, until `shutdown`. An error is about the settings.
pub async fn run(
    config: Config,
    mesh: Mesh,
    leading: watch::Receiver<bool>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let targets = targets(&config)?.into_iter();
    let deliverers: Result<Vec<_>, _> =
        targets.map(|target| Deliverer::new(target.clone(), config.secret.clone())).collect();
    let deliverers = deliverers?;
    let serving = join_all(deliverers.iter().map(|deliverer| serve(&mesh, deliverer, leading.clone())));
    shutdown.run_until_cancelled(serving).await;
    Ok(())
}

/// Those that can be served, each once: two that read for the same one would post everything twice.
fn targets(config: &Config) -> Result<Vec<&Uri>, Error> {
    if let Some(target) = config.targets.iter().find(|target| !is_web(target)) {
        return Err(Error::Target(target.clone()));
    }
    let targets: BTreeMap<u64, &Uri> = config.targets.iter().map(|target| (digest(target), target)).collect();
    match targets.len() {
        count if count > TARGETS_MAX => Err(Error::TooMany { count }),
        _ => Ok(targets.into_values().collect()),
    }
}

/// Serves one target whenever this process leads.
async fn serve(mesh: &Mesh, deliverer: &Deliverer, mut leading: watch::Receiver<bool>) {
    while becomes(&mut leading, true).await {
        let mut until = leading.clone();
        tokio::select! {
            error = Session::run(mesh, deliverer) => {
                warn!(error = &error as &dyn std::error::Error, "webhooks are not served right now");
                sleep(PAUSE).await;
            }
            _changed = becomes(&mut until, false) => {}
        }
    }
}

/// Waits until that is so. `false`: it never will be.
async fn becomes(leading: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    leading.wait_for(|leading| *leading == wanted).await.is_ok()
}

fn is_web(target: &Uri) -> bool {
    target.host().is_some() && matches!(target.scheme_str(), Some("http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(targets: &[&str]) -> Config {
        Config { targets: targets.iter().map(|target| target.parse().unwrap()).collect(), secret: None }
    }

    #[test]
    fn a_target_that_is_given_twice_is_served_once() {
        let given = config(&["http://a/x", "https://b", "http://a/x", "https://b/"]);
        let served = targets(&given).unwrap();
        assert_eq!(served.len(), 2, "{served:?}");
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        assert!(matches!(targets(&config(&["ftp://a/x"])), Err(Error::Target(_))));
        let many: Vec<String> = (0..=TARGETS_MAX).map(|number| format!("http://a/{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(targets(&config(&many)), Err(Error::TooMany { count: 17 })));
        assert_eq!(targets(&config(&many[1..])).unwrap().len(), TARGETS_MAX);
    }
}

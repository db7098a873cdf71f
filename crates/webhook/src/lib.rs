//! Webhooks: what somebody should be told, posted as JSON. A run failed, an app recovered, a tick was dropped, an agent is lost.
//!
//! It runs beside a scheduler and delivers while that one leads, so that each notice is posted by one process; nothing that a scheduler
//! does waits for it. How far it has come is stored: a notice is posted at least once, also across a change of leaders, and its `id` is the
//! same each time. Messages that the streams keep no longer (ten of each app) are not posted any more.

mod deliver;
mod notice;
mod session;
mod sign;

use std::time::Duration;

use hyper::Uri;
use tickmesh_messaging::Mesh;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{deliver::Deliverer, session::Session};
pub use self::{
    notice::{Kind, Notice},
    sign::SIGNATURE_HEADER,
};

/// Before it is tried again to read a mesh that could not be read.
const PAUSE: Duration = Duration::from_secs(5);

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
    /// There are no certificates to trust.
    #[error("failed to load the system's certificates")]
    Certificates(#[source] std::io::Error),
}

/// Delivers while `leading` says so, until `shutdown`. An error is about the settings.
pub async fn run(
    config: Config,
    mesh: Mesh,
    mut leading: watch::Receiver<bool>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    if let Some(target) = config.targets.iter().find(|target| !is_web(target)) {
        return Err(Error::Target(target.clone()));
    }
    let deliverer = Deliverer::new(config)?;
    let serving = async {
        loop {
            if !becomes(&mut leading, true).await {
                return;
            }
            let mut until = leading.clone();
            tokio::select! {
                error = Session::run(&mesh, &deliverer) => {
                    warn!(error = &error as &dyn std::error::Error, "webhooks are not served right now");
                    sleep(PAUSE).await;
                }
                _changed = becomes(&mut until, false) => {}
            }
        }
    };
    shutdown.run_until_cancelled(serving).await;
    Ok(())
}

/// Waits until that is so. `false`: it never will be.
async fn becomes(leading: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    leading.wait_for(|leading| *leading == wanted).await.is_ok()
}

fn is_web(target: &Uri) -> bool {
    target.host().is_some() && matches!(target.scheme_str(), Some("http" | "https"))
}

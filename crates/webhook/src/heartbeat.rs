//! The heartbeat of the mesh: an address outside that is pinged while somebody leads and trusts the clock. When all schedulers are
//! dead, frozen, cut off or in doubt, the pings stop, and whoever listens there can tell.

use std::time::Duration;

use hyper::Uri;
use tickmesh_messaging::SchedulerRole;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{Error, becomes, deliver::Pinger, is_web};

/// How often the address is pinged.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);

/// Pings while `role` is that of a leader without doubt, until `shutdown`. An error is about the address.
pub async fn heartbeat(
    url: Uri,
    mut role: watch::Receiver<SchedulerRole>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    if !is_web(&url) {
        return Err(Error::Target(url));
    }
    let pinger = Pinger::new(url)?;
    let beating = async {
        while becomes(&mut role, decides).await {
            let mut until = role.clone();
            let pinging = async {
                loop {
                    pinger.ping().await;
                    sleep(HEARTBEAT_EVERY).await;
                }
            };
            tokio::select! {
                () = pinging => {}
                _changed = becomes(&mut until, |role| !decides(role)) => {}
            }
        }
    };
    shutdown.run_until_cancelled(beating).await;
    Ok(())
}

/// Whether a scheduler of that role decides ticks.
fn decides(role: &SchedulerRole) -> bool {
    matches!(role, SchedulerRole::Leading { doubt: None, .. })
}

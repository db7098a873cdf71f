//! What a process does that finds its name taken (protocol rule P10): it removes the containers of its own claims, and no
//! others, tells how their attempts ended, and is gone.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    backoff::Backoff,
    engine::{self, ContainerEngine},
    error::chain,
    executor::Surroundings,
    roster::OwnClaim,
};

/// Sweeps, one after the other: a container whose creation was under way shows up late.
const SWEEPS: usize = 3;
/// Pause between two sweeps.
const SWEEP_PAUSE: Duration = Duration::from_millis(500);
/// Longest time for everything. What is left is for the leader's deadline, and the guard.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Gives up what this process claimed.
pub(crate) async fn give_up<E: ContainerEngine>(surroundings: &Surroundings<E>, claims: Vec<OwnClaim>) {
    let all = async {
        for _ in 0..SWEEPS {
            sweep_until_done(surroundings, &claims).await;
            sleep(SWEEP_PAUSE).await;
        }
        for claim in &claims {
            tell_end(surroundings, claim).await;
        }
    };
    if timeout(TIMEOUT, all).await.is_err() {
        tracing::error!("gave up before every container was removed and every end told");
    }
}

async fn sweep_until_done<E: ContainerEngine>(surroundings: &Surroundings<E>, claims: &[OwnClaim]) {
    let mut backoff = Backoff::default();
    while let Err(error) = sweep(surroundings, claims).await {
        tracing::error!(error = %chain(&error), "containers not removed yet");
        backoff.pause().await;
    }
}

async fn sweep<E: ContainerEngine>(surroundings: &Surroundings<E>, claims: &[OwnClaim]) -> Result<(), engine::Error> {
    for container in surroundings.engine.list(&surroundings.owner.filter()).await? {
        let Some(tag) = surroundings.tag_of(&container) else { continue };
        if claims.iter().any(|claim| claim.nonce == tag.nonce) {
            surroundings.engine.remove(&container.id).await?;
        }
    }
    Ok(())
}

/// Ends the attempt, as far as that can be done: the process that has the name now cannot, for it holds no claim.
async fn tell_end<E: ContainerEngine>(surroundings: &Surroundings<E>, claim: &OwnClaim) {
    let Some((claim_sequence, event)) = claim.last_words.clone() else { return };
    let report = surroundings.report(&claim.attempt, event);
    if let Err(error) = surroundings.mesh.results().append(&report, claim_sequence).await {
        tracing::error!(attempt_id = %claim.attempt, error = %chain(&error), "end not told");
    }
}

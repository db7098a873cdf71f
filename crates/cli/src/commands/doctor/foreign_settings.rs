//! Settings of streams that this release does not lead with.

use tickmesh_client::read::ROLL_PATIENCE;
use tickmesh_core::build::Build;
use tickmesh_messaging::{Error, Mesh, SchedulerRole};

use crate::{build::build, views::doctor::Check};

/// Judges the settings of all streams.
pub(super) async fn check(mesh: &Mesh) -> anyhow::Result<Check> {
    let error = match mesh.check_streams().await {
        Ok(()) => return Ok(Check::ok("streams", "all exist, with settings that lose nothing")),
        Err(error) if error.is_unavailable() || matches!(error, Error::StreamGone { .. }) => return Err(error.into()),
        Err(error) => error,
    };
    let cards = mesh.schedulers().roll(ROLL_PATIENCE).await?;
    let leader = cards.iter().find(|card| matches!(card.role, SchedulerRole::Leading { .. }));
    Ok(judged(error.to_string(), leader.map(|card| &card.build), &build()))
}

/// An earlier release may lead with less, and the first scheduler of this one that starts mends what that one left.
fn judged(text: String, leader: Option<&Build>, this: &Build) -> Check {
    match leader {
        Some(leader) if leader != this => {
            let hint = "a scheduler of another build leads with it: go on with the upgrade, and the first scheduler of this build mends \
                        it, or says why it cannot";
            Check::warning("streams", text, hint)
        }
        Some(_) | None => Check::wrong("streams", text, "nobody leads until that is mended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::doctor::Finding;

    #[test]
    fn setting_of_an_earlier_release_is_no_fault_while_that_leads() {
        let this = Build::new("0.2.0+b");
        let finding = |leader: Option<&Build>| judged("it differs".to_owned(), leader, &this).finding;
        assert_eq!(finding(Some(&Build::default())), Finding::Warning);
        assert_eq!(finding(Some(&Build::new("0.1.0+a"))), Finding::Warning);
        assert_eq!(finding(Some(&this)), Finding::Wrong);
        assert_eq!(finding(None), Finding::Wrong);
    }
}

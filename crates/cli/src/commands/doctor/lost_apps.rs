//! Apps that are gone, although their ledgers go by them: not even a record says that they were removed.

use std::collections::BTreeMap;

use anyhow::bail;
use tickmesh_core::{
    ledger::Ledger,
    message::{AppRecord, SCHEMA},
    name::AppName,
};
use tickmesh_messaging::{Edit, Listing, Mesh};

use crate::{commands::Session, connect::who, views::doctor::Check};

/// Apps that a finding names.
const NAMED_MAX: usize = 8;

/// An app whose revision in force is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LostApp {
    app: String,
    /// The revision that its ledger has folded.
    folded: u64,
    /// The newest one that is left; 0: none.
    newest: u64,
}

/// Returns the apps that these ledgers go by and that are gone, by name. Removed apps have a record that says so.
pub(super) async fn of(mesh: &Mesh, ledgers: &Listing<Ledger>) -> anyhow::Result<Vec<LostApp>> {
    let apps = mesh.apps().list().await?;
    let unreadable = apps.unreadable.iter().map(|record| (record.key.as_str(), record.sequence));
    let readable = apps.iter().map(|entry| (entry.key.as_str(), entry.sequence));
    let newest: BTreeMap<&str, u64> = unreadable.chain(readable).collect();
    let lost = ledgers.iter().filter_map(|entry| {
        let folded = entry.value.app_revision;
        let newest = newest.get(entry.key.as_str()).copied().unwrap_or(0);
        (newest < folded).then(|| LostApp { app: entry.key.clone(), folded, newest })
    });
    let mut lost: Vec<LostApp> = lost.collect();
    lost.sort_by(|one, other| one.app.cmp(&other.app));
    Ok(lost)
}

/// What is wrong, if an app is gone.
pub(super) fn finding(lost: &[LostApp]) -> Option<Check> {
    let text = match lost {
        [] => return None,
        [LostApp { app, .. }] => {
            format!("the ledger of app {app} goes by a revision of which bucket `apps` has no record")
        }
        several => {
            let mut named: Vec<_> = several.iter().take(NAMED_MAX).map(|lost| lost.app.clone()).collect();
            if several.len() > NAMED_MAX {
                named.push(format!("{} more", several.len() - NAMED_MAX));
            }
            format!("bucket `apps` has no record of what {} ledgers go by: {}", several.len(), named.join(", "))
        }
    };
    let hint = "apply its file again, which mends it; or, if the app is not wanted any more, have it removed and its active run \
                stopped: `tickmesh doctor --accept-loss`";
    Some(Check::wrong("data", text, hint))
}

/// Goes on without the files that are gone: an app of which nothing is left counts as removed, and the leader stops its
/// active run. Of another one the newest revision that is left is in force.
pub(super) async fn accept(session: &Session, mesh: &Mesh, ledgers: &mut Listing<Ledger>) -> anyhow::Result<()> {
    for LostApp { app, folded, newest } in of(mesh, ledgers).await? {
        let newest = if newest > 0 {
            let left = mesh.newest_revision(&app).await?;
            let gone = "the revision that its ledger goes by is gone";
            session.output.line(&format!("app {app}: {gone}, and revision {left} is in force again"))?;
            newest
        } else {
            let text = "its file is gone: it counts as removed, and its active run is stopped; apply its file to have it again";
            session.output.line(&format!("app {app}: {text}"))?;
            remove(mesh, &AppName::new(app.clone())?).await?
        };
        // Revisions that begin anew would seem to be folded.
        for entry in ledgers.entries.iter_mut().filter(|entry| entry.key == app && newest < folded) {
            entry.value.app_revision = 0;
        }
    }
    Ok(())
}

async fn remove(mesh: &Mesh, app: &AppName) -> anyhow::Result<u64> {
    let edits = mesh.edits();
    let edit = AppRecord { schema: SCHEMA, by: who(), number: None, source: None };
    match edits.write(app, &edit, &edits.current(app).await?).await? {
        Edit::Stored { revision, .. } => Ok(revision),
        Edit::Refused { .. } => bail!("somebody has applied app `{app}` meanwhile: run `tickmesh doctor` again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(apps: u64, text: Option<&str>) {
        let lost = |number| LostApp { app: format!("a{number}"), folded: 10 + number, newest: 0 };
        let lost: Vec<_> = (1..=apps).map(lost).collect();
        assert_eq!(finding(&lost).map(|check| check.text).as_deref(), text);
    }

    #[test]
    fn apps_that_are_gone_are_named() {
        check(0, None);
        check(1, Some("the ledger of app a1 goes by a revision of which bucket `apps` has no record"));
        check(2, Some("bucket `apps` has no record of what 2 ledgers go by: a1, a2"));
        let named = "a1, a2, a3, a4, a5, a6, a7, a8, 3 more";
        check(11, Some(&format!("bucket `apps` has no record of what 11 ledgers go by: {named}")));
    }
}

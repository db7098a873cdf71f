//! Edits of apps on a real server, and which revisions are kept.

use futures_util::StreamExt;
use jiff::Timestamp;
use tickmesh_core::ledger::Ledger;
use tickmesh_messaging::{Change, Edit, Error, Mesh, UNFOLDED_EDITS_MAX};

use crate::support::*;

async fn edit(mesh: &Mesh, number: usize) -> Result<u64, Error> {
    let edits = mesh.edits();
    let current = edits.current(&app("nightly")).await?;
    edits.write(&app("nightly"), &record(format!("edit {number}")), &current).await.map(edited)
}

fn edited(edit: Edit) -> u64 {
    let Edit::Stored { revision, .. } = edit else { panic!("{edit:?}") };
    revision
}

/// A leader writes that it has folded everything up to a revision.
async fn fold(mesh: &Mesh, revision: u64) {
    let ledgers = mesh.ledgers();
    let before = ledgers.read("nightly").await.unwrap().map_or(0, |entry| entry.sequence);
    let ledger = Ledger::new(revision, Timestamp::UNIX_EPOCH);
    stored(ledgers.compare_and_set("nightly", &ledger, before).await.unwrap());
}

/// Revisions of all apps that are still stored.
async fn kept(mesh: &Mesh) -> Vec<u64> {
    let mut changes = mesh.apps().follow_history().await.unwrap();
    let mut kept = Vec::new();
    while let Change::Entry(entry) = changes.next().await.unwrap().unwrap() {
        kept.push(entry.sequence);
    }
    kept
}

#[tokio::test]
async fn no_edit_pushes_out_the_revision_in_force() {
    let (_server, mesh) = mesh().await;
    let in_force = edit(&mesh, 0).await.unwrap();
    fold(&mesh, in_force).await;
    for number in 1..=UNFOLDED_EDITS_MAX {
        edit(&mesh, number).await.unwrap();
    }
    let refused = edit(&mesh, UNFOLDED_EDITS_MAX + 1).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "app `nightly` was edited 9 times and no scheduler has taken it up: start one, and try again"
    );
    assert_eq!(kept(&mesh).await.first(), Some(&in_force), "the next leader can still account for it");
}

#[tokio::test]
async fn there_is_room_again_as_soon_as_a_leader_has_folded() {
    let (_server, mesh) = mesh().await;
    for number in 1..=UNFOLDED_EDITS_MAX {
        edit(&mesh, number).await.unwrap();
    }
    assert!(matches!(edit(&mesh, 0).await, Err(Error::TooManyEdits { .. })), "of a new app as well");
    fold(&mesh, 2).await;
    edit(&mesh, 10).await.unwrap();
    edit(&mesh, 11).await.unwrap();
    assert!(matches!(edit(&mesh, 12).await, Err(Error::TooManyEdits { .. })));
    assert_eq!(kept(&mesh).await.first(), Some(&2));
}

#[tokio::test]
async fn an_edit_of_something_older_is_refused() {
    let (_server, mesh) = mesh().await;
    let edits = mesh.edits();
    edit(&mesh, 1).await.unwrap();
    let old = edits.current(&app("nightly")).await.unwrap();
    edit(&mesh, 2).await.unwrap();
    let outcome = edits.write(&app("nightly"), &record("late"), &old).await.unwrap();
    let Edit::Refused { current } = outcome else { panic!("an older edit was overwritten unseen") };
    assert_eq!(current.record().unwrap().by, "edit 2");
}

/// The numbers of the kept revisions of an app.
async fn numbers(mesh: &Mesh, name: &str) -> Vec<u64> {
    let revisions = mesh.revisions(&app(name)).await.unwrap();
    revisions.iter().map(|entry| entry.value.number.unwrap()).collect()
}

/// Earlier releases store no number. While a mesh is upgraded or taken back both edit the same app.
#[tokio::test]
async fn revisions_of_each_app_count_from_one() {
    let (_server, mesh) = mesh().await;
    edit(&mesh, 1).await.unwrap();
    let edits = mesh.edits();
    let current = edits.current(&app("other")).await.unwrap();
    let Edit::Stored { number, .. } = edits.write(&app("other"), &record("me"), &current).await.unwrap() else {
        panic!("nobody else edits it")
    };
    assert_eq!(number, 1);
    let second = edit(&mesh, 2).await.unwrap();
    assert_eq!(numbers(&mesh, "nightly").await, [1, 2]);
    let earlier = stored(mesh.apps().compare_and_set("nightly", &record("an earlier release"), second).await.unwrap());
    assert_eq!(numbers(&mesh, "nightly").await, [1, 2, 3]);
    let entry = mesh.apps().read("nightly").await.unwrap().unwrap();
    assert_eq!((entry.sequence, entry.value.number), (earlier, None));
    assert_eq!(mesh.number(entry).await.unwrap().value.number, Some(3));
    edit(&mesh, 4).await.unwrap();
    assert_eq!(numbers(&mesh, "nightly").await, [1, 2, 3, 4]);
    // Ten are kept, and the numbers go on.
    for number in 5..=12 {
        fold(&mesh, mesh.apps().last_sequence().await.unwrap()).await;
        edit(&mesh, number).await.unwrap();
    }
    assert_eq!(numbers(&mesh, "nightly").await, (3..=12).collect::<Vec<u64>>());
}

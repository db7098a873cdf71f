//! A server with too little room for a mesh says so before anything is made.

use std::path::PathBuf;

use tickmesh_messaging::{Error, Mesh, Provisioning};
use tickmesh_testkit::nats::Server;

use crate::support::connect;

/// Two of the limits that an administrator can set.
fn configuration(max_file_store: &str, of_account: &str) -> String {
    format!(
        "jetstream {{ max_file_store: {max_file_store} }}\n\
         accounts {{ A: {{ jetstream: {{ max_file: {of_account} }}, users: [{{user: a, password: a}}] }} }}\n\
         no_auth_user: a\n"
    )
}

/// Starts a server with that configuration, refuses to make a mesh there, and makes it once there is room.
async fn check(limited: &str, shortage: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("nats.conf");
    std::fs::write(&file, limited).unwrap();
    let mut server = Server::start_with(&["-c", file.to_str().unwrap()]);
    let mesh = connect(&server, "mesh").await;
    let error = refused(&mesh).await;
    assert!(error.contains(shortage), "{error}");
    assert!(mesh.find_streams().await.unwrap().found.is_empty(), "nothing is left half made");
    mesh.close().await;

    std::fs::write(&file, configuration("4GB", "3GB")).unwrap();
    server.restart();
    let mesh = connect(&server, "mesh").await;
    mesh.provision(&Provisioning::default()).await.unwrap();
    assert!(mesh.find_streams().await.unwrap().missing.is_empty());
}

async fn refused(mesh: &Mesh) -> String {
    let error = mesh.provision(&Provisioning::default()).await.unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn account_without_room_is_left_alone() {
    let limited = configuration("4GB", "200MB");
    check(&limited, "1088 MiB are needed, and the account has 200 MiB left of 200 MiB").await;
}

#[tokio::test]
async fn server_without_room_is_left_alone() {
    let limited = "jetstream { max_file_store: 200MB }\n";
    check(limited, "it refuses stream `mesh_logs`, which needs 1024 MiB").await;
}

#[tokio::test]
async fn streams_that_somebody_made_are_completed() {
    let server = Server::start();
    let mesh = connect(&server, "mesh").await;
    let some = [tickmesh_messaging::StreamKind::Apps, tickmesh_messaging::StreamKind::Logs].into();
    mesh.make_missing(&some).await.unwrap();
    let streams = mesh.find_streams().await.unwrap();
    assert_eq!((streams.found.len(), streams.missing.len(), streams.were_used()), (2, 11, false));
    mesh.found(None).await.unwrap();
    assert!(mesh.open().await.is_ok() && mesh.find_streams().await.unwrap().missing.is_empty());
}

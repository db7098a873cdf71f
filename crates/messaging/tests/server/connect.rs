//! Connections: servers that are away, that refuse a login, or that allow too little.

use std::{
    error::Error as _,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::PathBuf,
    thread,
    time::Instant,
};

use tickmesh_messaging::{ConnectOptions, Error, Login, Mesh, Proof, Provisioning, Tls};
use tickmesh_testkit::nats::Server;

use crate::support::*;

async fn refused(options: ConnectOptions) -> Error {
    within("a refusal", Mesh::connect(&options)).await.unwrap_err()
}

/// An address on which nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let url = format!("nats://user:secret@127.0.0.1:{}", free_port());
    let error = refused(options(&url, "mesh")).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().starts_with("failed to connect to NATS at `nats://127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn a_frozen_server_is_given_up() {
    let server = Server::start();
    server.pause();
    let error = refused(options(&server.url(), "mesh")).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn of_several_servers_any_will_do() {
    let server = Server::start();
    let urls = format!("nats://127.0.0.1:{}, {}", free_port(), server.url());
    let mesh = within("a connection", Mesh::connect(&options(&urls, "mesh"))).await.unwrap();
    assert!(mesh.is_connected());
    assert!(mesh.server_version().starts_with("2."), "{}", mesh.server_version());
    within("an answer", mesh.round_trip()).await.unwrap();
}

#[tokio::test]
async fn user_and_password_are_those_of_the_address() {
    let server = Server::start_with(&["--user", "me", "--pass", "p@ss"]);
    let url = |login: &str| server.url().replace("nats://", &format!("nats://{login}"));
    let mesh = within("a connection", Mesh::connect(&options(&url("me:p%40ss@"), "mesh"))).await.unwrap();
    within("an answer", mesh.round_trip()).await.unwrap();
    for login in ["me:wrong@", ""] {
        let error = refused(options(&url(login), "mesh")).await;
        assert!(matches!(error, Error::LoginRefused { .. }), "{login}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_without_jetstream_is_refused() {
    let server = Server::start_with(&["--jetstream=false"]);
    let error = refused(options(&server.url(), "mesh")).await;
    assert!(matches!(error, Error::NoJetStream { .. }), "{error:?}");
}

#[tokio::test]
async fn missing_credentials_are_named() {
    let options = ConnectOptions {
        login: Login { proof: Some(Proof::Credentials(PathBuf::from("/nowhere/agent.creds"))), tls: Tls::default() },
        ..options("nats://127.0.0.1:4222", "mesh")
    };
    let error = refused(options).await;
    let told = tickmesh_messaging::chain(&error);
    assert!(told.starts_with("failed to log in to NATS: `/nowhere/agent.creds`: No such file"), "{told}");
}

/// A server whose users have rights of their own: `admin` all, `reader` none to write and none to read ledgers.
fn server_with_rights() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("rights.conf");
    let rights = r#"authorization { users = [
        { user: admin, password: a }
        { user: reader, password: r, permissions: { publish: {
            deny: ["$KV.>", "$JS.API.STREAM.INFO.KV_mesh_ledger"] } } }
        { user: stranger, password: s, permissions: { publish: { deny: ">" } } }
    ] }"#;
    std::fs::write(&config, rights).unwrap();
    let server = Server::start_with(&["--config", config.to_str().unwrap()]);
    (server, folder)
}

fn login(server: &Server, login: &str) -> ConnectOptions {
    options(&server.url().replace("://", &format!("://{login}@")), "mesh")
}

/// The denial with its subject, at once, from the server's own words.
#[tokio::test]
async fn a_denied_request_says_so_at_once() {
    let (server, _folder) = server_with_rights();
    let admin = Mesh::connect(&login(&server, "admin:a")).await.unwrap();
    admin.provision(&Provisioning::default()).await.unwrap();
    let reader = Mesh::connect(&login(&server, "reader:r")).await.unwrap();
    let begun = Instant::now();
    let write = reader.apps().compare_and_set("a", &record("me"), 0).await.unwrap_err();
    let subject = "$KV.mesh_apps.a";
    let said = format!(r#"NATS answered: Permissions Violation for Publish to "{subject}""#);
    assert!(matches!(&write, Error::Denied { .. }) && write.to_string().contains(&said), "{write}");
    let read = reader.ledgers().list().await.unwrap_err();
    assert!(read.to_string().contains("$JS.API.STREAM.INFO.KV_mesh_ledger"), "{read}");
    assert_eq!(reader.apps().list().await.unwrap().len(), 0, "what is allowed goes on");
    let stranger = refused(login(&server, "stranger:s")).await;
    assert!(stranger.to_string().contains("$JS.API.INFO"), "{stranger}");
    assert!(begun.elapsed() < REQUEST_TIMEOUT, "{:?}", begun.elapsed());
}

/// Greets one client as a server of that version would, and returns the address.
fn server_of_version(version: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let info = format!(r#"{{"server_id":"x","version":"{version}","max_payload":1048576,"headers":true}}"#);
        write!(connection, "INFO {info}\r\n").unwrap();
        let lines = BufReader::new(connection.try_clone().unwrap()).lines();
        for _ping in lines.map_while(Result::ok).filter(|line| line == "PING") {
            connection.write_all(b"PONG\r\n").unwrap();
        }
    });
    format!("nats://127.0.0.1:{port}")
}

#[tokio::test]
async fn an_old_server_is_refused() {
    let url = server_of_version("2.10.29");
    let error = refused(options(&url, "mesh")).await;
    assert_eq!(error.to_string(), format!("NATS at `{url}` is too old: needs >= 2.11, found 2.10.29"));
}

use std::{
    error::Error as _,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::PathBuf,
    thread,
};

use tickmesh_messaging::{ConnectOptions, Error, Mesh};
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
        assert!(matches!(error, Error::Unreachable { .. }), "{login}: {error:?}");
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
        credentials: Some(PathBuf::from("/nowhere/agent.creds")),
        ..options("nats://127.0.0.1:4222", "mesh")
    };
    assert_eq!(refused(options).await.to_string(), "failed to read credentials `/nowhere/agent.creds`");
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

//! Connections of a user of the nats-server. The client library takes no user name from an address, so a proxy says it.

use std::{
    io::{Read as _, Write as _, copy},
    net::{TcpListener, TcpStream},
    thread,
};

use tickmesh_testkit::nats::Server;

/// How every client begins.
const BEGINNING: &[u8] = b"CONNECT {";

/// An address that leads to a server, where everybody is that user. Their password is the same word.
pub(crate) fn url_of_user(server: &Server, user: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let (target, user) = (server.url().replace("nats://", ""), user.to_owned());
    // The thread ends with the process of the test.
    thread::spawn(move || {
        for client in listener.incoming() {
            pass(client.unwrap(), TcpStream::connect(&target).unwrap(), &user);
        }
    });
    url
}

/// Passes on what both sides say, with the name of the user in the first message of the client.
fn pass(mut client: TcpStream, mut server: TcpStream, user: &str) {
    let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || copy(&mut from_server, &mut to_client));
    let named = format!(r#"CONNECT {{"user":"{user}","pass":"{user}","#);
    thread::spawn(move || {
        let mut beginning = vec![0; BEGINNING.len()];
        // Whoever connects and says nothing, such as a test of whether the port is open, has no user.
        if client.read_exact(&mut beginning).is_ok() && beginning == BEGINNING {
            server.write_all(named.as_bytes()).unwrap();
            let _ended = copy(&mut client, &mut server);
        }
    });
}

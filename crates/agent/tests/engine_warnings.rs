//! What an engine says in passing, from a stand-in that always says something: a real one does so only where its kernel lacks what is
//! asked for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use tickmesh_agent::engine::{ContainerEngine, ContainerId, ContainerRequest, docker::Docker};
use tickmesh_core::spec::ContainerSpec;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

const WARNING: &str = "Memory swappiness discarded.";

/// Answers one request after the other, for as long as the client keeps the connection.
async fn serve(mut stream: UnixStream) -> io::Result<()> {
    let (mut received, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        received.extend_from_slice(&piece[..count]);
        let Some(request) = whole_request(&received) else { continue };
        let answer = match request {
            path if path.contains("/containers/create") => format!(r#"{{"Id":"c1","Warnings":["{WARNING}"]}}"#),
            path if path.contains("/version") => r#"{"ApiVersion":"1.41"}"#.to_owned(),
            _ => "{}".to_owned(),
        };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
        stream.write_all(format!("{head} {}\r\n\r\n{answer}", answer.len()).as_bytes()).await?;
        received.clear();
    }
}

/// The first line of a request, once its body is there.
fn whole_request(received: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(received).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    (body.len() >= length.unwrap_or(0)).then(|| head.lines().next().unwrap_or_default().to_owned())
}

/// What is logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_the_engine_leaves_out_of_a_container_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // Of this thread, on which all of this test is.
    let _logging = tracing::subscriber::set_default(subscriber);
    let engine = Docker::connect_to(&format!("unix://{}", socket.display())).await.unwrap();
    let request = ContainerRequest {
        name: "tickmesh.nightly.s1.0".to_owned(),
        labels: BTreeMap::new(),
        environment: BTreeMap::new(),
        spec: ContainerSpec::new("busybox"),
    };
    assert_eq!(engine.create(&request).await.unwrap(), ContainerId("c1".to_owned()));
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = logged.lines().find(|line| line.contains(WARNING)).unwrap_or_else(|| panic!("not in the log: {logged}"));
    assert!(line.contains("WARN") && line.contains(&request.name), "{line}");
}

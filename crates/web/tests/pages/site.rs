//! A page of a mesh on a real server, and what asks it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    header::HeaderMap,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::tz::TimeZoneDatabase;
use serde_json::Value;
use tickmesh_core::{
    ledger::{Cause, RecentRun},
    message::{AppRecord, AppSource, SCHEMA},
    outcome::Outcome,
};
use tickmesh_messaging::{Cas, Current, Edit, Mesh};
use tickmesh_testkit::{nats, records};
use tickmesh_web::{Config, Server};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// What no page may repeat as it is.
pub(crate) const HOSTILE: &str = "<script>alert('x')</script>\"><img src=x>";

/// Long enough for anything on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A page of a mesh.
pub(crate) struct Site {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    pub(crate) mesh: Mesh,
    pub(crate) server: Option<nats::Server>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Site {
    pub(crate) async fn start(token: Option<&str>) -> Self {
        let server = nats::Server::start();
        let mesh = server.mesh("mesh").await;
        write(&mesh).await;
        let config = Config {
            bind: "127.0.0.1:0".parse().unwrap(),
            token: token.map(str::to_owned),
            zones: TimeZoneDatabase::bundled(),
            by: "tester@page".to_owned(),
        };
        let bound = Server::bind(config).await.unwrap();
        let (address, shutdown) = (bound.address(), CancellationToken::new());
        let (stop, served) = (shutdown.clone(), mesh.clone());
        let serving = tokio::spawn(async move { bound.serve(served, stop).await });
        let client = Client::builder(TokioExecutor::new()).build_http();
        let site = Self { address, client, shutdown, serving, mesh, server: Some(server) };
        while site.get("/readyz").await.status != StatusCode::OK {
            tokio::task::yield_now().await;
        }
        site
    }

    /// The address of a page.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let response = self.client.request(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// Listens to server-sent events.
    pub(crate) async fn listen(&self, path: &str, headers: &[(&str, &str)]) -> Told {
        let mut request = Request::builder().uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Told { body: response.into_body(), text: String::new() }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
    }
}

/// Server-sent events, as they come.
pub(crate) struct Told {
    body: Incoming,
    text: String,
}

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: String,
}

impl Told {
    /// The next one; an empty one if there will be none.
    pub(crate) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.next_event()).await.expect("an event")
    }

    async fn next_event(&mut self) -> Event {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let mut found = Event::default();
                for line in event.lines() {
                    match line.split_once(": ") {
                        Some(("id", value)) => value.clone_into(&mut found.id),
                        Some(("event", value)) => value.clone_into(&mut found.event),
                        Some(("data", value)) => value.clone_into(&mut found.data),
                        Some(_) | None => {}
                    }
                }
                self.text = rest.to_owned();
                return found;
            }
            let Some(frame) = self.body.frame().await else { return Event::default() };
            if let Ok(data) = frame.unwrap().into_data() {
                self.text.push_str(str::from_utf8(&data).unwrap());
            }
        }
    }
}

/// An app whose last run failed, with names that want to be more than text, and an agent.
async fn write(mesh: &Mesh) {
    let app = records::app();
    let text = Value::from(HOSTILE);
    let about = format!("tickmesh.owner: {text}, tickmesh.description: {text}, tickmesh.tags: 'billing,night'");
    let compose = format!(
        "# {HOSTILE}\n{}",
        records::COMPOSE
            .replace("image: busybox", "image: busybox, command: \"bu<b>sybox\"")
            .replace("labels: {aliyun.schedule", &format!("labels: {{{about}, aliyun.schedule"))
    );
    let source = AppSource {
        compose,
        file_name: format!("{HOSTILE}{}.yml", "z".repeat(80)),
        variables: BTreeMap::new(),
        env_files: BTreeMap::new(),
        timezone: "Asia/Shanghai".to_owned(),
        dialect: tickmesh_core::compose::DIALECT_FIRST,
        project: Default::default(),
    };
    let record = AppRecord { schema: SCHEMA, by: HOSTILE.to_owned(), number: None, source: Some(source) };
    let edit = mesh.edits().write(&app, &record, &Current::Absent).await.unwrap();
    assert!(matches!(edit, Edit::Stored { .. }), "{edit:?}");
    let mut ledger = records::ledger(vec![]);
    let failed = Outcome::CouldNotStart { reason: HOSTILE.to_owned() };
    ledger.recent.push_back(RecentRun { run: 1, outcome: "failed".to_owned(), finished_at: records::now() });
    stored(mesh.ledgers().compare_and_set(app.as_str(), &ledger, 0).await.unwrap());
    let summary = records::summary(1, Cause::Manual { by: HOSTILE.to_owned(), request: records::request() }, &[failed]);
    stored(mesh.history().append(&app, &summary, 0).await.unwrap());
    let mut agent = records::heartbeat(std::iter::empty()).value;
    agent.labels.insert("disk".to_owned(), HOSTILE.to_owned());
    agent.labels.insert("long".to_owned(), "x".repeat(120));
    stored(mesh.agents().compare_and_set(agent.agent.as_str(), &agent, 0).await.unwrap());
    let output = records::output(0, &format!("{HOSTILE}\n{}\n", "y".repeat(400)));
    mesh.logs().publish(&output).await.unwrap();
}

pub(crate) fn stored<T: std::fmt::Debug>(cas: Cas<T>) {
    assert!(matches!(cas, Cas::Stored { .. }), "{cas:?}");
}

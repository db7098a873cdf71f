//! Pages, API and metrics on a real server, with records that a test wrote: what is shown, what is refused, and what never gets through.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    header::{self, HeaderMap},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::tz::TimeZoneDatabase;
use serde_json::{Value, json};
use tickmesh_core::{
    ledger::{Cause, RecentRun},
    message::{AppRecord, AppSource, SCHEMA},
    name::{AppName, Namespace},
    outcome::Outcome,
};
use tickmesh_messaging::{Cas, ConnectOptions, Mesh, Provisioning};
use tickmesh_testkit::{nats, records};
use tickmesh_web::{Config, Server};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What no page may repeat as it is.
const HOSTILE: &str = "<script>alert('x')</script>\"><img src=x>";

/// A page of a mesh.
struct Site {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    mesh: Mesh,
    server: Option<nats::Server>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Site {
    async fn start(token: Option<&str>) -> Self {
        let server = nats::Server::start();
        let options = ConnectOptions {
            url: server.url(),
            credentials: None,
            namespace: Namespace::new("mesh").unwrap(),
            client_name: "test".to_owned(),
            request_timeout: Duration::from_secs(5),
        };
        let mesh = Mesh::connect(&options).await.unwrap();
        mesh.provision(&Provisioning::default()).await.unwrap();
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
        let serving = tokio::spawn(async move { bound.serve(served, stop).await.unwrap() });
        let client = Client::builder(TokioExecutor::new()).build_http();
        let site = Self { address, client, shutdown, serving, mesh, server: Some(server) };
        while site.get("/readyz").await.status != StatusCode::OK {
            tokio::task::yield_now().await;
        }
        site
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let response = self.client.request(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
    }
}

/// An app whose last run failed, with names that want to be more than text, and an agent.
async fn write(mesh: &Mesh) {
    let app = records::app();
    let compose = format!(
        "# {HOSTILE}\n{}",
        records::COMPOSE.replace("image: busybox", "image: busybox, command: \"bu<b>sybox\"")
    );
    let source = AppSource {
        compose,
        file_name: HOSTILE.to_owned(),
        variables: BTreeMap::new(),
        env_files: BTreeMap::new(),
        timezone: "Asia/Shanghai".to_owned(),
    };
    let record = AppRecord { schema: SCHEMA, by: HOSTILE.to_owned(), source: Some(source) };
    stored(mesh.edits().write(&app, &record, None).await.unwrap());
    let mut ledger = records::ledger(vec![]);
    let failed = Outcome::CouldNotStart { reason: HOSTILE.to_owned() };
    ledger.recent.push_back(RecentRun { run: 1, outcome: "failed".to_owned(), finished_at: records::now() });
    stored(mesh.ledgers().compare_and_set(app.as_str(), &ledger, 0).await.unwrap());
    let summary = records::summary(1, Cause::Manual { by: HOSTILE.to_owned(), request: records::request() }, &[failed]);
    stored(mesh.history().append(&app, &summary, 0).await.unwrap());
    let mut agent = records::heartbeat(std::iter::empty()).value;
    agent.labels.insert("disk".to_owned(), HOSTILE.to_owned());
    stored(mesh.agents().compare_and_set(agent.agent.as_str(), &agent, 0).await.unwrap());
}

fn stored<T: std::fmt::Debug>(cas: Cas<T>) {
    assert!(matches!(cas, Cas::Stored { .. }), "{cas:?}");
}

const PAGES: [&str; 7] = [
    "/",
    "/apps/nightly",
    "/apps/nightly/runs/1",
    "/apps/nightly/runs/1/logs",
    "/timeline?date=2026-11-22",
    "/agents",
    "/mesh",
];

#[tokio::test]
async fn every_page_says_what_it_knows_and_nothing_on_it_is_more_than_text() {
    let site = Site::start(None).await;
    for path in PAGES {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        let policy = answer.headers.get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        for forbidden in ["<script>alert", "<img", "<b>sybox", " style=", " onclick"] {
            assert!(!answer.text.contains(forbidden), "{path} has {forbidden}");
        }
    }
    let shows = async |path: &str, texts: &[&str]| {
        let text = site.get(path).await.text;
        texts.iter().for_each(|shown| assert!(text.contains(shown), "{path} does not say {shown}: {text}"));
    };
    shows("/", &["nightly", "every day at 02:30", "failed", "0/3", "<title>Apps"]).await;
    shows("/apps/nightly", &["Asia/Shanghai", "nightly/1", "Run now", "&#60;script&#62;alert"]).await;
    shows("/apps/nightly/runs/1", &["could_not_start", "host-1", "next run", "Retry what failed"]).await;
    shows("/apps/nightly/runs/1/logs", &["<main id=\"main\" data-still>"]).await;
    shows("/timeline?date=2026-11-22", &["nightly/1: could_not_start", "1 at once", "at most 1 run<"]).await;
    shows("/agents", &["host-1", "0/4"]).await;
    shows("/mesh", &["No scheduler answers", "ledger"]).await;
    site.stop().await;
}

#[tokio::test]
async fn while_nats_is_away_lists_are_shown_and_say_that_they_may_be_old() {
    let mut site = Site::start(None).await;
    assert!(!site.get("/").await.text.contains("This may be old"));
    drop(site.server.take());
    while site.get("/readyz").await.status == StatusCode::OK {
        tokio::task::yield_now().await;
    }
    for path in ["/", "/timeline?date=2026-11-22", "/agents"] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(
            answer.text.contains("This may be old") && answer.text.contains("host-1") | answer.text.contains("nightly"),
            "{path}: {}",
            answer.text
        );
    }
    assert_eq!(site.get("/healthz").await.status, StatusCode::OK);
    site.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_and_nothing_odd_breaks_them() {
    let site = Site::start(None).await;
    assert!(site.get("/?status=failed&q=NIGHT").await.text.contains("/apps/nightly"));
    assert!(site.get("/?status=running").await.text.contains("No app fits."));
    let hostile = site.get("/?q=%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(hostile.status == StatusCode::OK && !hostile.text.contains("<script>alert"), "{}", hostile.text);
    let long = format!("/?q={}", "a".repeat(4_000));
    for (path, status) in [
        ("/?page=18446744073709551615", StatusCode::OK),
        ("/?page=0", StatusCode::OK),
        ("/?page=-1", StatusCode::BAD_REQUEST),
        ("/?q=%ff", StatusCode::BAD_REQUEST),
        (long.as_str(), StatusCode::OK),
        ("/timeline?date=9999-99-99", StatusCode::OK),
        ("/timeline?date=-9999-01-01", StatusCode::OK),
        ("/apps/..%2f..%2fetc", StatusCode::NOT_FOUND),
        ("/apps/nightly/runs/2", StatusCode::NOT_FOUND),
        ("/apps/nightly/runs/x", StatusCode::BAD_REQUEST),
        ("/apps/nobody", StatusCode::NOT_FOUND),
        ("/nowhere", StatusCode::NOT_FOUND),
    ] {
        let found = site.get(path).await.status;
        // What the client would not send at all is no test of the server.
        assert!(
            found == status || (status == StatusCode::BAD_REQUEST && found == StatusCode::OK && path.ends_with("%ff")),
            "{path}: {found}"
        );
    }
    site.stop().await;
}

/// The schema of a path's answer, with the parts that it refers to.
fn schema(description: &Value, path: &str) -> Value {
    let answer = &description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(answer.is_object(), "{path} is not described");
    json!({"allOf": [answer], "components": description["components"]})
}

#[tokio::test]
async fn the_api_answers_as_its_description_says() {
    let site = Site::start(None).await;
    let description = site.get("/api/v1/openapi.json").await.json();
    for (path, asked) in [
        ("/apps", "/apps?limit=200&status=failed"),
        ("/apps/{app}", "/apps/nightly"),
        ("/apps/{app}/runs", "/apps/nightly/runs"),
        ("/apps/{app}/runs/{run}", "/apps/nightly/runs/1"),
        ("/apps/{app}/revisions", "/apps/nightly/revisions"),
        ("/agents", "/agents"),
        ("/schedulers", "/schedulers"),
    ] {
        let told = site.get(&format!("/api/v1{asked}")).await.json();
        let errors: Vec<String> = jsonschema::validator_for(&schema(&description, path))
            .unwrap()
            .iter_errors(&told)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{asked}: {errors:?}\n{told:#}");
    }
    assert_eq!(site.get("/api/v1/apps").await.json()["apps"][0]["name"], "nightly");
    // Every path that is described is there: what is asked of it may still be refused.
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = path.replace("{app}", "nobody").replace("{run}", "1");
        for method in methods.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = site.ask(method, &format!("/api/v1{path}"), &[], "").await;
            assert!(!answer.text.contains("no such resource"), "{path}: {}", answer.text);
        }
    }
    for (path, status) in [
        ("/apps?limit=201", StatusCode::BAD_REQUEST),
        ("/apps?limit=many", StatusCode::BAD_REQUEST),
        ("/apps?skip=-1", StatusCode::BAD_REQUEST),
        ("/apps/nightly/runs/x", StatusCode::BAD_REQUEST),
        ("/apps/nobody", StatusCode::NOT_FOUND),
        ("/apps/nightly/runs/9", StatusCode::NOT_FOUND),
        ("/nothing", StatusCode::NOT_FOUND),
    ] {
        let answer = site.get(&format!("/api/v1{path}")).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json", "{path}");
    }
    site.stop().await;
}

#[tokio::test]
async fn a_request_reaches_the_leader_once_however_often_it_is_sent() {
    let site = Site::start(None).await;
    let body = r#"{"env":{"A":"1"},"args":["x"],"request":"01a21a1f-212b-7743-bf1f-3b29ea778586"}"#;
    let json = [("content-type", "application/json")];
    // Nobody leads: it is stored, and that is what is said.
    let (one, two) = tokio::join!(
        site.ask(Method::POST, "/api/v1/apps/nightly/run", &json, body),
        site.ask(Method::POST, "/api/v1/apps/nightly/run", &json, body)
    );
    for answer in [one, two] {
        assert_eq!(answer.json()["answered"], false);
    }
    let state = site.mesh.stream_states().await.unwrap();
    assert_eq!(state.iter().find(|it| it.stream == "commands").unwrap().messages, 1);
    let unknown = site.ask(Method::POST, "/api/v1/apps/nightly/run", &json, r#"{"evn":{}}"#).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unknown.text);
    assert!(unknown.text.contains(r#""detail":"Failed to deserialize"#), "{}", unknown.text);
    let long = format!(r#"{{"args":["{}"]}}"#, "a".repeat(1_100_000));
    let long = site.ask(Method::POST, "/api/v1/apps/nightly/run", &json, &long).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", long.text);
    for answer in [unknown, long] {
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
    }
    site.stop().await;
}

#[tokio::test]
async fn nothing_is_changed_from_another_site_and_nothing_is_shown_to_another_name() {
    let site = Site::start(None).await;
    let pause = "/apps/nightly/pause";
    let form = ("content-type", "application/x-www-form-urlencoded");
    for foreign in [("origin", "http://evil.example.org"), ("sec-fetch-site", "cross-site"), ("origin", "null")] {
        assert_eq!(
            site.ask(Method::POST, pause, &[form, foreign], "").await.status,
            StatusCode::FORBIDDEN,
            "{foreign:?}"
        );
    }
    let rebound = site.ask(Method::GET, "/", &[("host", "evil.example.org")], "").await;
    assert_eq!(rebound.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(site.mesh.stream_states().await.unwrap().iter().any(|it| it.stream == "commands" && it.last_sequence == 0));
    site.stop().await;
}

#[tokio::test]
async fn with_a_token_nobody_sees_anything_without_it() {
    let site = Site::start(Some("a token of some length")).await;
    for path in PAGES.into_iter().chain(["/metrics", "/api/v1/apps", "/live"]) {
        assert_eq!(site.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let page = site.ask(Method::GET, "/", &[("accept", "text/html,*/*")], "").await;
    assert_eq!((page.status, page.headers[header::LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, "/login"));
    let bearer = ("authorization", "Bearer a token of some length");
    assert_eq!(site.ask(Method::GET, "/api/v1/apps", &[bearer], "").await.json()["total"], 1);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let wrong = site.ask(Method::POST, "/login", &[form], "token=wrong").await;
    assert_eq!(wrong.headers[header::LOCATION], "/login?wrong");
    let login = site.ask(Method::POST, "/login", &[form], "token=a+token+of+some+length").await;
    let cookie = login.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(site.ask(Method::GET, "/", &[("cookie", cookie)], "").await.status, StatusCode::OK);
    assert_eq!(site.get("/healthz").await.text, "ok\n");
    site.stop().await;
}

#[tokio::test]
async fn a_browser_has_each_asset_once_until_it_changes() {
    let site = Site::start(None).await;
    for path in ["/assets/style.css", "/assets/app.js"] {
        let first = site.get(path).await;
        let tag = first.headers[header::ETAG].to_str().unwrap();
        let again = site.ask(Method::GET, path, &[("if-none-match", tag)], "").await;
        assert_eq!((first.status, again.status), (StatusCode::OK, StatusCode::NOT_MODIFIED), "{path}");
        let other = site.ask(Method::GET, path, &[("if-none-match", "\"0123456789abcdef\"")], "").await;
        assert_eq!(other.status, StatusCode::OK, "{path}");
    }
    site.stop().await;
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_token() {
    let config = Config {
        bind: "0.0.0.0:0".parse().unwrap(),
        token: None,
        zones: TimeZoneDatabase::bundled(),
        by: String::new(),
    };
    let Err(error) = Server::bind(config).await else { panic!("it listens") };
    assert_eq!(error.to_string(), "0.0.0.0:0 can be reached from other hosts: that needs a token");
}

#[tokio::test]
async fn metrics_are_those_that_are_documented() {
    let site = Site::start(None).await;
    let text = site.get("/metrics?apps=1").await.text;
    assert!(text.contains("tickmesh_app_last_run_failed{app=\"nightly\"} 1"), "{text}");
    assert!(!site.get("/metrics").await.text.contains("nightly"), "only who asks for them gets those of each app");
    let documented = include_str!("../../../docs/http.md");
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(documented.contains(&format!("`{name}")), "{name} is not in docs/http.md");
    }
    assert!(
        text.contains("tickmesh_agents{kind=\"silent\"} 1") || text.contains("tickmesh_agents{kind=\"ready\"} 1"),
        "{text}"
    );
    assert!(text.contains("tickmesh_apps 1") && text.ends_with("# EOF\n"), "{text}");
    // Another run, while it watches: that one is counted.
    let app: AppName = records::app();
    let last = site.mesh.history().newest(&app).await.unwrap().unwrap().sequence;
    let summary = records::summary(2, Cause::Schedule, &[Outcome::Succeeded]);
    stored(site.mesh.history().append(&app, &summary, last).await.unwrap());
    while !site.get("/metrics").await.text.contains("tickmesh_runs_total{kind=\"succeeded\"} 1") {
        tokio::task::yield_now().await;
    }
    site.stop().await;
}

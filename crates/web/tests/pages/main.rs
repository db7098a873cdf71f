//! Pages, API and metrics on a real server, with records that a test wrote: what is shown, what is refused, and what never gets through.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;
mod browser;
mod site;
mod stacks;

use hyper::{Method, StatusCode, header};
use jiff::tz::TimeZoneDatabase;
use tickmesh_core::{ledger::Cause, name::AppName, outcome::Outcome};
use tickmesh_testkit::records;
use tickmesh_web::{Config, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::site::{PATIENCE, Site, stored};

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
    shows("/?tag=night", &["nightly</a>", "<a href=\"/?tag=billing\">billing</a>", "Only apps with the tag"]).await;
    shows("/?tag=other", &["No app fits."]).await;
    shows("/apps/nightly", &["<dt>owner</dt><dd>&#60;script", "<a href=\"/?tag=night\">night</a>"]).await;
    shows("/apps/nightly/runs/1", &["could_not_start", "host-1", "next run", "Retry what failed"]).await;
    shows("/apps/nightly/runs/1/logs", &["<main id=\"main\" data-still>", "&#60;script&#62;alert"]).await;
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

/// Who says nothing keeps nobody out: idle connections end, and others are served meanwhile.
#[tokio::test]
async fn a_visitor_who_says_nothing_is_cut_off() {
    let site = Site::start(None).await;
    let address = site.url("").trim_start_matches("http://").to_owned();
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(&address).await.unwrap());
    }
    idle[0].write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    assert_eq!(site.get("/healthz").await.status, StatusCode::OK);
    for connection in &mut idle {
        let read = timeout(PATIENCE, connection.read_to_end(&mut Vec::new())).await;
        assert!(read.is_ok(), "it is open for ever");
    }
    site.stop().await;
}

#[tokio::test]
async fn that_nobody_leads_is_said_on_every_page() {
    let site = Site::start(None).await;
    while !site.get("/").await.text.contains("no tick is decided: no scheduler leads") {
        tokio::task::yield_now().await;
    }
    for path in ["/apps/nightly", "/apps/nightly/runs/1", "/timeline", "/agents", "/mesh"] {
        assert!(site.get(path).await.text.contains("no scheduler leads"), "{path}");
    }
    let ready = site.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.text.contains("no scheduler leads"), "{}", ready.text);
    assert!(site.get("/metrics").await.text.contains("tickmesh_leader_present 0\n"));
    assert!(site.get("/api/v1/apps").await.text.contains("\"next\":null"));
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
    assert_eq!(
        (page.status, page.headers[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/login?next=/")
    );
    let linked = site.ask(Method::GET, "/apps/nightly?a=b", &[("accept", "text/html,*/*")], "").await;
    assert_eq!(linked.headers[header::LOCATION], "/login?next=/apps/nightly%3Fa%3Db");
    assert!(site.get("/login?next=/apps/nightly%3Fa%3Db").await.text.contains("value=\"/apps/nightly?a=b\""));
    let bearer = ("authorization", "Bearer a token of some length");
    assert_eq!(site.ask(Method::GET, "/api/v1/apps", &[bearer], "").await.json()["total"], 1);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let wrong = site.ask(Method::POST, "/login", &[form], "token=wrong").await;
    assert_eq!(wrong.headers[header::LOCATION], "/login?next=/&wrong=1");
    let login = "token=a+token+of+some+length&next=/apps/nightly";
    let login = site.ask(Method::POST, "/login", &[form], login).await;
    assert_eq!(login.headers[header::LOCATION], "/apps/nightly");
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
    let documented = include_str!("../../../../docs/reference/metrics.md");
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(documented.contains(&format!("`{name}")), "{name} is not in docs/reference/metrics.md");
    }
    assert!(
        text.contains("tickmesh_agents{state=\"silent\"} 1") || text.contains("tickmesh_agents{state=\"ready\"} 1"),
        "{text}"
    );
    assert!(text.contains("tickmesh_apps 1") && text.contains("# TYPE tickmesh_instants_total counter\n"), "{text}");
    // Another run, while it watches: that one is counted.
    let app: AppName = records::app();
    let last = site.mesh.history().newest(&app).await.unwrap().unwrap().sequence;
    let summary = records::summary(2, Cause::Schedule, &[Outcome::Succeeded]);
    stored(site.mesh.history().append(&app, &summary, last).await.unwrap());
    while !site.get("/metrics").await.text.contains("tickmesh_runs_total{outcome=\"succeeded\"} 1") {
        tokio::task::yield_now().await;
    }
    site.stop().await;
}

//! The API: it answers as its description says, whatever it is asked.

use hyper::{Method, StatusCode, header};
use serde_json::{Value, json};
use tickmesh_core::{ledger::Cause, message::MeshEvent, outcome::Outcome};
use tickmesh_testkit::{leader::StandIn, records};
use tokio::time::timeout;

use crate::site::{HOSTILE, PATIENCE, Site, stored};

/// The schema of a path's answer, with the parts that it refers to.
pub(crate) fn schema(description: &Value, path: &str, method: &str) -> Value {
    let answer = &description["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(answer.is_object(), "{method} {path} is not described");
    json!({"allOf": [answer], "components": description["components"]})
}

#[track_caller]
pub(crate) fn is_as_described(told: &Value, schema: &Value) {
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(told).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:?}\n{told:#}");
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
        is_as_described(&told, &schema(&description, path, "get"));
    }
    let apps = site.get("/api/v1/apps").await.json();
    assert_eq!((&apps["apps"][0]["name"], &apps["next"]), (&json!("nightly"), &Value::Null));
    assert_eq!(site.get("/api/v1/apps?after=nightly").await.json()["apps"], json!([]));
    assert_eq!(site.get("/api/v1/apps?limit=0").await.json()["total"], 1);
    assert_eq!(apps["apps"][0]["tags"], json!(["billing", "night"]));
    assert_eq!(site.get("/api/v1/apps?tag=billing").await.json()["total"], 1);
    assert_eq!(site.get("/api/v1/apps?tag=bill").await.json()["total"], 0);
    // Every path that is described is there: what is asked of it may still be refused.
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = path
            .replace("{app}", "nobody")
            .replace("{project}", "nobody")
            .replace("{run}", "1")
            .replace("{agent}", "nobody");
        for method in methods.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = site.ask(method, &format!("/api/v1{path}"), &[("last-event-id", "none")], "").await;
            assert!(!answer.text.contains("no such resource"), "{path}: {}", answer.text);
        }
    }
    for (path, status) in [
        ("/apps?limit=201", StatusCode::BAD_REQUEST),
        ("/apps?limit=many", StatusCode::BAD_REQUEST),
        ("/apps?skip=1", StatusCode::BAD_REQUEST),
        ("/apps?status=odd", StatusCode::BAD_REQUEST),
        ("/apps?status=", StatusCode::BAD_REQUEST),
        ("/events?app=../x", StatusCode::BAD_REQUEST),
        ("/events?from=yesterday", StatusCode::BAD_REQUEST),
        ("/apps/nightly/runs/-1", StatusCode::BAD_REQUEST),
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
    // What is misspelt would be a `cancel` of everything.
    let misspelt = site.ask(Method::POST, "/api/v1/apps/nightly/cancel?ran=1", &[], "").await;
    assert_eq!(misspelt.status, StatusCode::BAD_REQUEST, "{}", misspelt.text);
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

/// Ends a run, on top of the one before.
async fn end(site: &Site, number: u64) {
    let history = site.mesh.history();
    let last = history.newest(&records::app()).await.unwrap().unwrap().sequence;
    let summary = records::summary(number, Cause::Schedule, &[Outcome::Succeeded]);
    stored(history.append(&records::app(), &summary, last).await.unwrap());
}

#[tokio::test]
async fn events_come_as_they_happen_and_a_client_that_was_cut_off_misses_none() {
    let site = Site::start(None).await;
    let description = site.get("/api/v1/openapi.json").await.json();
    let event = json!({"$ref": "#/components/schemas/Event", "components": description["components"]});
    let mut told = site.listen("/api/v1/events", &[]).await;
    let begin = told.next().await;
    assert!(begin.data.is_empty() && !begin.id.is_empty(), "{begin:?}");
    end(&site, 2).await;
    let second = told.next().await;
    let view: Value = serde_json::from_str(&second.data).unwrap();
    is_as_described(&view, &event);
    assert_eq!((&view["type"], &view["message"]["run"]), (&json!("run"), &json!(2)));
    drop(told);
    // While nobody listens: of several streams, so that no single sequence could say where it was.
    end(&site, 3).await;
    site.mesh.events().publish(&MeshEvent::AgentLost { agent: records::agent() }).await;
    let mut kinds = Vec::new();
    let mut told = site.listen("/api/v1/events", &[("last-event-id", &second.id)]).await;
    assert_eq!(told.next().await.id, second.id);
    for _ in 0..2 {
        let view: Value = serde_json::from_str(&told.next().await.data).unwrap();
        is_as_described(&view, &event);
        kinds.push(format!("{} {}", view["type"], view["message"]["run"]));
    }
    kinds.sort();
    assert_eq!(kinds, ["\"mesh\" null", "\"run\" 3"]);
    // From where the beginning was, the same again; from the oldest, what was before; of an app, nothing of the mesh.
    let mut again = site.listen("/api/v1/events?app=nightly", &[("last-event-id", &begin.id)]).await;
    let mut oldest = site.listen("/api/v1/events?from=oldest&app=nightly", &[]).await;
    for (told, first) in [(&mut again, 2), (&mut oldest, 1)] {
        told.next().await;
        let view: Value = serde_json::from_str(&told.next().await.data).unwrap();
        assert_eq!(view["message"]["run"], first);
    }
    // What it never was told it cannot have seen.
    let ahead = site.ask(Method::GET, "/api/v1/events", &[("last-event-id", "9-9-9-9")], "").await;
    assert_eq!(ahead.status, StatusCode::GONE, "{}", ahead.text);
    site.stop().await;
}

#[tokio::test]
async fn an_app_is_put_and_deleted_with_the_checks_of_the_command_line() {
    let site = Site::start(None).await;
    let description = site.get("/api/v1/openapi.json").await.json();
    let put = async |app: &str, kind: &str, body: &str| {
        site.ask(Method::PUT, &format!("/api/v1/apps/{app}"), &[("content-type", kind)], body).await
    };
    let first = put("hourly", "application/yaml", records::COMPOSE).await.json();
    is_as_described(&first, &schema(&description, "/apps/{app}", "put"));
    assert_eq!((&first["changed"], &first["valid"]), (&json!(true), &json!(true)));
    assert_eq!(first["next"].as_array().unwrap().len(), 3);
    let again = put("hourly", "application/yaml", records::COMPOSE).await.json();
    assert_eq!((&again["changed"], &again["revision"]), (&json!(false), &first["revision"]));
    // With what it needs, which is stored with it, and nothing of this process's own environment.
    let text = "labels: {aliyun.project_type: batch}\n\
                services: {s1: {image: $IMAGE, env_file: [a.env], environment: {HOME: \"${PATH:-none}\"}}}";
    let body = json!({"compose": text, "variables": {"IMAGE": "busybox"}, "env_files": {"a.env": "A=1"}}).to_string();
    put("by-hand", "application/json; charset=utf-8", &body).await.json();
    let stored = site.mesh.apps().read("by-hand").await.unwrap().unwrap().value;
    let source = stored.source.unwrap();
    assert_eq!((stored.by.as_str(), source.env_files["a.env"].as_str()), ("tester@page", "A=1"));
    assert_eq!((source.variables.len(), source.variables.contains_key("PATH")), (1, false), "{:?}", source.variables);

    // Several files, and the job of a stack.
    let stack = "services:\n  db: {image: postgres}\n  dump: {image: busybox, volumes: ['./out:/out'], labels: \
                 {tickmesh.schedule: '@daily', tickmesh.timezone: UTC}}\n";
    let project = json!({
        "name": "shop", "service": "dump", "folder": "/srv/shop", "overrides": ["over.yml"],
        "files": {"over.yml": "services: {dump: {image: 'alpine:3'}}\n"},
    });
    let body = json!({"compose": stack, "project": project}).to_string();
    let answer = put("shop-dump", "application/json", &body).await.json();
    assert_eq!(answer["changed"], json!(true), "{answer}");
    let stored = site.mesh.apps().read("shop-dump").await.unwrap().unwrap().value.source.unwrap();
    assert_eq!((stored.project.overrides.len(), stored.project.folder.as_deref()), (1, Some("/srv/shop")));

    let applied = site.mesh.apps().last_sequence().await.unwrap();
    let long = format!("# {}", "x".repeat(1_000_000));
    let hostile = format!("services: {{s1: {{image: \"{}\", {HOSTILE}: 1}}}}", "a".repeat(300));
    for (app, kind, body, status) in [
        ("hourly", "", "services: [", StatusCode::UNPROCESSABLE_ENTITY),
        ("hourly", "", "", StatusCode::UNPROCESSABLE_ENTITY),
        ("hourly", "", &hostile, StatusCode::UNPROCESSABLE_ENTITY),
        ("hourly", "text/plain", &long, StatusCode::UNPROCESSABLE_ENTITY),
        ("hourly", "application/json", records::COMPOSE, StatusCode::BAD_REQUEST),
        ("hourly", "application/json", r#"{"compose": "", "variable": {}}"#, StatusCode::BAD_REQUEST),
        ("hourly", "application/json", r#"{"compose": "", "project": {"folder": "x"}}"#, StatusCode::BAD_REQUEST),
        (
            "hourly",
            "application/json",
            r#"{"compose": "services: {s1: {image: $IMAGE}}"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        ("..%2Fx", "", records::COMPOSE, StatusCode::BAD_REQUEST),
        ("a%20b", "", records::COMPOSE, StatusCode::BAD_REQUEST),
    ] {
        let answer = put(app, kind, body).await;
        assert_eq!(answer.status, status, "{app} {kind} {:.80}: {}", body, answer.text);
        let problem: Value = serde_json::from_str(&answer.text).unwrap();
        let problem_schema = json!({"$ref": "#/components/schemas/Problem", "components": description["components"]});
        is_as_described(&problem, &problem_schema);
        assert_eq!(problem["diagnostics"].is_array(), status == StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    }
    assert_eq!(site.mesh.apps().last_sequence().await.unwrap(), applied, "nothing has changed");
    let foreign = [("origin", "http://evil.example.org")];
    for method in [Method::PUT, Method::DELETE] {
        let refused = site.ask(method, "/api/v1/apps/hourly", &foreign, records::COMPOSE).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }

    let removed = site.ask(Method::DELETE, "/api/v1/apps/hourly", &[], "").await.json();
    is_as_described(&removed, &schema(&description, "/apps/{app}", "delete"));
    assert!(site.mesh.apps().read("hourly").await.unwrap().unwrap().value.source.is_none());
    for app in ["hourly", "nobody", "a%20b"] {
        let gone = site.ask(Method::DELETE, &format!("/api/v1/apps/{app}"), &[], "").await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{app}");
    }
    site.stop().await;
}

#[tokio::test]
async fn an_agent_is_drained_as_the_command_line_does() {
    let site = Site::start(None).await;
    let draining = async || site.mesh.agents().read("host-1").await.unwrap().unwrap().value.draining;
    let nobody_leads = site.ask(Method::POST, "/api/v1/agents/host-1/drain", &[], "").await;
    assert_eq!((nobody_leads.status, draining().await), (StatusCode::SERVICE_UNAVAILABLE, false));
    assert!(nobody_leads.text.contains("agent `host-1` is as it was"), "{}", nobody_leads.text);
    let _leader = StandIn::lead(&site.mesh).await;
    let answer = site.ask(Method::POST, "/api/v1/agents/host-1/drain", &[], "").await.json();
    assert_eq!((answer["answered"].clone(), draining().await), (json!(true), true));
    site.ask(Method::POST, "/api/v1/agents/host-1/undrain", &[], "").await.json();
    assert!(!draining().await);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let sent = site.ask(Method::POST, "/agents/host-1/drain", &form, "").await;
    assert_eq!(
        (sent.status, &sent.headers[header::LOCATION], draining().await),
        (StatusCode::SEE_OTHER, &"/agents".parse().unwrap(), true)
    );
    for path in
        ["/api/v1/agents/nobody/drain", "/agents/nobody/undrain", "/agents/host-1/forget", "/agents/a%20b/drain"]
    {
        assert_eq!(site.ask(Method::POST, path, &form, "").await.status, StatusCode::NOT_FOUND, "{path}");
    }
    site.stop().await;
}

#[tokio::test]
async fn output_is_told_as_it_is_written_after_its_last_thousand_lines() {
    let site = Site::start(None).await;
    let app = records::app();
    let entry = site.mesh.ledgers().read(app.as_str()).await.unwrap().unwrap();
    let mut running = entry.value.clone();
    running.active.push(records::active(1, Cause::Schedule, vec![records::pending()]));
    let cas = site.mesh.ledgers().compare_and_set(app.as_str(), &running, entry.sequence).await.unwrap();
    let tickmesh_messaging::Cas::Stored { sequence } = cas else { panic!("nobody else writes") };
    while !site.get("/apps/nightly/runs/1/logs").await.text.contains("data-follow") {
        tokio::task::yield_now().await;
    }
    // More batches than the first window has, each of two lines, after the first one of the records.
    for number in 1..=600 {
        site.mesh.logs().publish(&records::output(number, &format!("a{number}\nb{number}\n"))).await.unwrap();
    }
    let mut told = site.listen("/apps/nightly/runs/1/logs/live?service=s1&replica=0", &[]).await;
    let lines = |event: &crate::site::Event| -> Value { serde_json::from_str(&event.data).unwrap() };
    let all = told.next().await;
    let shown = lines(&all);
    assert_eq!((all.event.as_str(), shown["lines"].as_array().unwrap().len()), ("all", 1_000));
    assert_eq!(
        (&shown["lines"][0]["text"], &shown["lines"][999]["text"], &shown["earlier"]),
        (&json!("a101"), &json!("b600"), &json!(true))
    );
    // A line that is not finished is told when it is.
    site.mesh.logs().publish(&records::output(601, "half")).await.unwrap();
    site.mesh.logs().publish(&records::output(602, " a line\n")).await.unwrap();
    let more = told.next().await;
    assert_eq!((more.event.as_str(), &lines(&more)["lines"][0]["text"]), ("more", &json!("half a line")));
    site.mesh.logs().publish(&records::output(603, "open")).await.unwrap();
    let over = records::ledger(vec![]);
    stored(site.mesh.ledgers().compare_and_set(app.as_str(), &over, sequence).await.unwrap());
    let rest = told.next().await;
    assert_eq!(lines(&rest)["lines"][0]["text"], "open");
    assert_eq!(told.next().await.event, "end");
    assert_eq!(told.next().await.event, "", "and the connection ends");
    let page = site.get("/apps/nightly/runs/1/logs").await.text;
    assert!(!page.contains("data-follow") && page.contains("The last 1000 lines") && page.contains("open"), "{page}");
    assert!(!page.contains("output is missing"), "what is before the last lines is not missing");
    site.stop().await;
}

#[tokio::test]
async fn as_many_follow_as_may_and_who_goes_makes_room() {
    let site = Site::start(None).await;
    let (events, output) = ("/api/v1/events", "/apps/nightly/runs/1/logs/live");
    // A run that has ended is followed for a while only, so the places are taken by those who stay.
    let mut followers = Vec::new();
    for _ in 0..100 {
        followers.push(site.listen(events, &[]).await);
    }
    for path in [events, output] {
        let full = site.get(path).await;
        assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(full.text.contains("100 follow something already"), "{}", full.text);
    }
    assert_eq!(site.get("/apps/nightly/runs/1/logs").await.status, StatusCode::OK, "a page needs no place");
    followers.pop();
    let room = async { while !site.get(output).await.text.contains("event: end") {} };
    timeout(PATIENCE, room).await.expect("room for another one");
    site.stop().await;
}

//! The API: it answers as its description says, whatever it is asked.

use hyper::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::site::Site;

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

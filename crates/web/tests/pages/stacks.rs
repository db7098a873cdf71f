//! A stack is put under control of the mesh by one request, or none of it is.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    api::{is_as_described, schema},
    site::{Answer, Site},
};

const HEAD: &str = "services:\n  db: {image: postgres, restart: always}\n";

/// A job of a stack.
fn job(name: &str, keys: &str) -> String {
    format!("  {name}: {{image: busybox, {keys} x-tickmesh: {{schedule: '@daily', timezone: UTC}}}}\n")
}

async fn put(site: &Site, path: &str, kind: &str, body: &str) -> Answer {
    site.ask(Method::PUT, &format!("/api/v1{path}"), &[("content-type", kind)], body).await
}

async fn applied(site: &Site) -> u64 {
    site.mesh.apps().last_sequence().await.unwrap()
}

#[tokio::test]
async fn stack_is_put_by_one_request() {
    let site = Site::start(None).await;
    let description = site.get("/api/v1/openapi.json").await.json();
    let both = format!("{HEAD}{}{}", job("dump", "depends_on: [db],"), job("clean", ""));
    let answer = put(&site, "/stacks/shop", "application/yaml", &both).await.json();
    is_as_described(&answer, &schema(&description, "/stacks/{project}", "put"));
    let names = |answer: &Value| -> Vec<String> {
        answer["apps"].as_array().unwrap().iter().map(|it| format!("{} {}", it["app"], it["changed"])).collect()
    };
    assert_eq!(names(&answer), ["\"shop-dump\" true", "\"shop-clean\" true"]);
    assert_eq!((&answer["left"], &answer["vanished"]), (&json!(["db"]), &json!([])));
    let stored = site.mesh.apps().read("shop-dump").await.unwrap().unwrap().value.source.unwrap();
    assert_eq!((stored.project.name.as_deref(), stored.compose.as_str()), (Some("shop"), both.as_str()));

    // One job is gone from the file: its app goes on until somebody wants it removed.
    let one = format!("{HEAD}{}", job("dump", "depends_on: [db],"));
    let answer = put(&site, "/stacks/shop", "", &one).await.json();
    assert_eq!((names(&answer).len(), &answer["vanished"]), (1, &json!(["shop-clean"])));
    assert!(site.mesh.apps().read("shop-clean").await.unwrap().unwrap().value.source.is_some());
    let answer = put(&site, "/stacks/shop?prune=true", "", &one).await.json();
    assert_eq!(names(&answer), ["\"shop-dump\" false"]);
    assert_eq!((&answer["vanished"], &answer["removed"]), (&json!([]), &json!(["shop-clean"])));
    assert!(site.mesh.apps().read("shop-clean").await.unwrap().unwrap().value.source.is_none());
    assert!(site.mesh.apps().read("nightly").await.unwrap().unwrap().value.source.is_some(), "it is of no stack");

    // With what belongs to the file.
    let over = format!("services:\n{}", job("late", ""));
    let project = json!({"overrides": ["over.yml"], "files": {"over.yml": over}, "folder": "/srv/shop"});
    let body = json!({"compose": one, "project": project}).to_string();
    let answer = put(&site, "/stacks/shop", "application/json", &body).await.json();
    assert_eq!(names(&answer).len(), 2, "{answer}");
    site.stop().await;
}

#[tokio::test]
async fn stack_that_is_not_valid_changes_nothing() {
    let site = Site::start(None).await;
    let description = site.get("/api/v1/openapi.json").await.json();
    let good = job("dump", "");
    // Another stack has an app of that name already.
    put(&site, "/stacks/a-b", "", &format!("{HEAD}{}", job("c", ""))).await.json();
    let before = applied(&site).await;
    let many: String = (0..257).map(|at| job(&format!("s{at}"), "")).collect();
    for (path, body, status, told) in [
        ("/stacks/shop", format!("{HEAD}{good}{}", job("bad", "imge: x,")), 422, "unknown key `imge`"),
        ("/stacks/shop", format!("{HEAD}{}{}", job("a.b", ""), job("a-b", "")), 422, "would both be the app shop-a-b"),
        ("/stacks/shop", "services: [".to_owned(), 422, "not valid"),
        ("/stacks/shop", HEAD.to_owned(), 422, "does not say when to run"),
        (
            "/stacks/shop",
            format!("x-tickmesh: {{schedule: '@daily'}}\n{}", "services: {s1: {image: a}}"),
            400,
            "PUT at /apps",
        ),
        ("/stacks/Shop", format!("{HEAD}{good}"), 400, "no name of a project"),
        ("/stacks/shop?prun=true", format!("{HEAD}{good}"), 400, "prun"),
        ("/stacks/shop", format!("{HEAD}{many}"), 400, "257 services with a schedule"),
        ("/stacks/a", format!("{HEAD}{good}{}", job("b-c", "")), 409, "is service c of project a-b"),
        ("/apps/shop", format!("{HEAD}{good}"), 400, "PUT it at /stacks/PROJECT"),
    ] {
        let answer = put(&site, path, "", &body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {:.80}: {}", body, answer.text);
        assert!(answer.text.contains(told), "{path}: {}", answer.text);
        let problem: Value = serde_json::from_str(&answer.text).unwrap();
        is_as_described(
            &problem,
            &json!({"$ref": "#/components/schemas/Problem", "components": description["components"]}),
        );
    }
    // Each finding once, although three apps are read from the file.
    let twice = format!("{HEAD}{good}{}{}name: [x]\n", job("two", ""), job("bad", "imge: x,"));
    let problem: Value = serde_json::from_str(&put(&site, "/stacks/shop", "", &twice).await.text).unwrap();
    let found: Vec<String> = problem["diagnostics"].as_array().unwrap().iter().map(ToString::to_string).collect();
    let mut once = found.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), found.len(), "{found:?}");
    let body = json!({"compose": format!("{HEAD}{good}"), "project": {"service": "dump"}}).to_string();
    let answer = put(&site, "/stacks/shop", "application/json", &body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
    // The job of one service may not take the name of another stack's.
    let body = json!({"compose": format!("{HEAD}{}", job("b-c", "")), "project": {"name": "a", "service": "b-c"}});
    let answer = put(&site, "/apps/a-b-c", "application/json", &body.to_string()).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text);
    assert_eq!(applied(&site).await, before, "nothing has changed");
    site.stop().await;
}

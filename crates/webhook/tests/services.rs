//! Every service gets what its provider documents, byte for byte within its limits: the receivers here refuse anything else, as the
//! providers do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, Uri, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tickmesh_core::id::Epoch;
use tickmesh_messaging::SchedulerRole;
use tickmesh_testkit::records;
use tickmesh_webhook::{Error, HEARTBEAT_EVERY, Kind, Notice, Service, Target, heartbeat, send};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

/// What a provider says of a request: a problem, or the status of success.
type Check = fn(&Received) -> Result<u16, String>;

/// A request as it came.
#[derive(Debug, Clone)]
struct Received {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Value,
    bytes: usize,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Refuses other fields than these, as strict providers do.
    fn has_only(&self, fields: &[&str]) -> Result<(), String> {
        has_only(&self.body, fields)
    }
}

fn has_only(value: &Value, fields: &[&str]) -> Result<(), String> {
    let object = value.as_object().ok_or("no object")?;
    let found: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = fields.iter().copied().collect();
    match found.difference(&known).next() {
        Some(field) => Err(format!("unknown field {field}")),
        None => Ok(()),
    }
}

/// A text that is there, is not empty, and has at most so many characters.
fn text(value: &Value, characters_max: usize) -> Result<&str, String> {
    let text = value.as_str().ok_or_else(|| format!("{value} is no text"))?;
    match text.chars().count() {
        0 => Err("an empty text".to_owned()),
        count if count > characters_max => Err(format!("{count} characters are more than {characters_max}")),
        _ => Ok(text),
    }
}

fn ensure(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_owned()) }
}

/// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
fn slack(received: &Received) -> Result<u16, String> {
    received.has_only(&["text"])?;
    let text = text(&received.body["text"], 4_000)?;
    let markup = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
    let without_links = markup.replace("<https://", "");
    ensure(!without_links.contains('<') && !markup.contains('&'), "markup that nobody escaped")?;
    Ok(200)
}

/// https://discord.com/developers/docs/resources/webhook#execute-webhook
fn discord(received: &Received) -> Result<u16, String> {
    received.has_only(&["content", "allowed_mentions"])?;
    text(&received.body["content"], 2_000)?;
    ensure(received.body["allowed_mentions"]["parse"] == serde_json::json!([]), "it may ping everybody")?;
    Ok(204)
}

/// https://learn.microsoft.com/power-automate/create-flow-solution: a message with one adaptive card, of 28 KB at most.
fn teams(received: &Received) -> Result<u16, String> {
    received.has_only(&["type", "attachments"])?;
    ensure(received.bytes <= 28 * 1024, "more than 28 KB")?;
    ensure(received.body["type"] == "message", "no message")?;
    let attachment = &received.body["attachments"][0];
    has_only(attachment, &["contentType", "contentUrl", "content"])?;
    ensure(attachment["contentType"] == "application/vnd.microsoft.card.adaptive", "no adaptive card")?;
    let card = &attachment["content"];
    has_only(card, &["$schema", "type", "version", "body", "actions"])?;
    ensure(card["type"] == "AdaptiveCard" && card["version"] == "1.4", "an unknown card")?;
    for block in card["body"].as_array().ok_or("no body")? {
        has_only(block, &["type", "text", "wrap", "fontType"])?;
        ensure(block["type"] == "TextBlock" && block["wrap"] == true, "no text block")?;
        text(&block["text"], 28_000)?;
    }
    for action in card["actions"].as_array().ok_or("no actions")? {
        has_only(action, &["type", "title", "url"])?;
        ensure(action["type"] == "Action.OpenUrl", "an unknown action")?;
    }
    Ok(202)
}

/// https://docs.ntfy.sh/publish/#publish-as-json
fn ntfy(received: &Received) -> Result<u16, String> {
    received.has_only(&["topic", "title", "message", "priority", "tags", "click"])?;
    ensure(received.path == "/", "JSON goes to the root of the server")?;
    ensure(received.header("authorization") == Some("Bearer tk_1"), "no token")?;
    let topic = text(&received.body["topic"], 64)?;
    ensure(topic.chars().all(|it| it.is_ascii_alphanumeric() || it == '-' || it == '_'), "no topic")?;
    let message = text(&received.body["message"], 4_096)?;
    ensure(message.len() <= 4_096, "it would become an attachment")?;
    ensure((1..=5).contains(&received.body["priority"].as_i64().unwrap_or(0)), "no priority")?;
    Ok(200)
}

/// https://gotify.net/api-docs#/message/createMessage
fn gotify(received: &Received) -> Result<u16, String> {
    received.has_only(&["title", "message", "priority", "extras"])?;
    ensure(received.path == "/message", "an unknown path")?;
    ensure(received.header("x-gotify-key") == Some("A1"), "no token")?;
    text(&received.body["message"], 1 << 20)?;
    ensure(received.body["priority"].is_i64(), "no priority")?;
    Ok(200)
}

/// https://core.telegram.org/bots/api#sendmessage
fn telegram(received: &Received) -> Result<u16, String> {
    received.has_only(&["chat_id", "text", "link_preview_options"])?;
    ensure(received.path == "/bot1:a/sendMessage", "an unknown path")?;
    text(&received.body["chat_id"], 100)?;
    text(&received.body["text"], 4_096)?;
    has_only(&received.body["link_preview_options"], &["is_disabled"])?;
    Ok(200)
}

/// https://developer.pagerduty.com/docs/send-alert-event
fn pagerduty(received: &Received) -> Result<u16, String> {
    received.has_only(&["routing_key", "event_action", "dedup_key", "client", "links", "payload"])?;
    ensure(text(&received.body["routing_key"], 32)?.len() == 32, "a routing key has 32 characters")?;
    let action = received.body["event_action"].as_str().unwrap_or_default();
    ensure(["trigger", "acknowledge", "resolve"].contains(&action), "an unknown action")?;
    text(&received.body["dedup_key"], 255)?;
    let payload = &received.body["payload"];
    has_only(
        payload,
        &["summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"],
    )?;
    text(&payload["summary"], 1_024)?;
    text(&payload["source"], 255)?;
    let severity = payload["severity"].as_str().unwrap_or_default();
    ensure(["critical", "error", "warning", "info"].contains(&severity), "an unknown severity")?;
    let timestamp: Result<jiff::Timestamp, _> = payload["timestamp"].as_str().unwrap_or_default().parse();
    ensure(timestamp.is_ok(), "no timestamp")?;
    for link in received.body["links"].as_array().ok_or("no links")? {
        has_only(link, &["href", "text"])?;
    }
    Ok(202)
}

/// Anything that takes a GET.
fn health(received: &Received) -> Result<u16, String> {
    ensure(received.method == "GET" && received.path == "/ping/1", "no ping")?;
    Ok(200)
}

/// A provider of the test's own.
struct Provider {
    url: String,
    /// What came, and what was said to it.
    received: watch::Receiver<Vec<(Received, Result<u16, String>)>>,
}

impl Provider {
    async fn start(check: Check) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, received) = watch::channel(Vec::new());
        let sender = Arc::new(Mutex::new(sender));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let sender = sender.clone();
                    async move {
                        let received = read(request).await?;
                        let is_json = received.header("content-type") == Some("application/json");
                        let said = if is_json || received.method == "GET" {
                            check(&received)
                        } else {
                            Err("no JSON".to_owned())
                        };
                        let status = said.clone().unwrap_or(400);
                        sender.lock().unwrap().send_modify(|all| all.push((received, said)));
                        let answer = Response::builder().status(status).body(Full::new(Bytes::from_static(b"ok")));
                        Ok::<_, hyper::Error>(answer.unwrap())
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, received }
    }

    fn at(&self, path: &str) -> Uri {
        format!("{}{path}", self.url).parse().unwrap()
    }
}

async fn read(request: Request<Incoming>) -> Result<Received, hyper::Error> {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap_or_default().to_owned())
    };
    let headers = request.headers().iter().map(header).collect();
    let bytes = request.into_body().collect().await?.to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Ok(Received { method, path, headers, body, bytes: bytes.len() })
}

/// A notice that is short, one that is longer than anybody takes, and one that closes an incident.
fn notices() -> [Notice; 3] {
    let notice = Notice {
        link: Some("https://jobs.example.org/apps/nightly/runs/7".to_owned()),
        app: Some("nightly".to_owned()),
        ..Notice::test("ops", "me@here", records::now(), "run-nightly-7".to_owned())
    };
    let long = Notice {
        kind: Kind::RunFailed,
        text: format!("run nightly/7 failed: <b> & \u{1f980} {}", "天".repeat(50_000)),
        last_lines: (0..20).map(|number| format!("{number}: ``` <script> & {}", "x".repeat(280))).collect(),
        incident: "i".repeat(400),
        ..notice.clone()
    };
    let closing = Notice { kind: Kind::RunRecovered, link: None, ..notice.clone() };
    [notice, long, closing]
}

/// Sends all notices to a service, and returns what the provider got.
async fn check(provider: Provider, service: Service) -> Vec<Value> {
    let target = Target::new("ops", service);
    for notice in notices() {
        let sent = send(&target, &notice).await;
        let said: Vec<_> = provider.received.borrow().iter().map(|(_, said)| said.clone()).collect();
        assert!(sent.is_ok(), "{sent:?} {said:?}");
    }
    let received = provider.received.borrow();
    assert_eq!(received.len(), 3);
    received.iter().map(|(received, _)| received.body.clone()).collect()
}

#[tokio::test]
async fn slack_discord_and_teams_take_every_notice() {
    let provider = Provider::start(slack).await;
    let url = provider.at("/services/T/B/x");
    let told = check(provider, Service::Slack { url }).await;
    assert!(told[0]["text"].as_str().unwrap().ends_with("<https://jobs.example.org/apps/nightly/runs/7>"));
    let provider = Provider::start(discord).await;
    let url = provider.at("/api/webhooks/1/x");
    check(provider, Service::Discord { url }).await;
    let provider = Provider::start(teams).await;
    let url = provider.at("/workflows/x");
    check(provider, Service::Teams { url }).await;
}

#[tokio::test]
async fn ntfy_gotify_and_telegram_take_every_notice() {
    let provider = Provider::start(ntfy).await;
    let (server, topic, token) = (provider.at("/"), "jobs".to_owned(), Some("tk_1".to_owned()));
    let told = check(provider, Service::Ntfy { server, topic, token }).await;
    assert_eq!((&told[1]["priority"], &told[2]["priority"]), (&Value::from(4), &Value::from(3)));
    assert_eq!(told[1]["title"], "nightly: problem");
    let provider = Provider::start(gotify).await;
    let url = provider.at("/message");
    check(provider, Service::Gotify { url, token: "A1".to_owned() }).await;
    let provider = Provider::start(telegram).await;
    let url = provider.at("/bot1:a/sendMessage");
    check(provider, Service::Telegram { url, chat: "-100".to_owned() }).await;
}

#[tokio::test]
async fn pagerduty_opens_and_resolves_incidents() {
    let provider = Provider::start(pagerduty).await;
    let (url, routing_key) = (provider.at("/v2/enqueue"), "r".repeat(32));
    let told = check(provider, Service::PagerDuty { url, routing_key }).await;
    let actions: Vec<_> = told.iter().map(|event| event["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    assert_eq!(told[1]["payload"]["severity"], "error");
}

#[tokio::test]
async fn whoever_refuses_a_notice_is_named() {
    let provider = Provider::start(|_| Err("no".to_owned())).await;
    let target = Target::new("ops", Service::Slack { url: provider.at("/x") });
    let refused = send(&target, &notices()[0]).await;
    assert!(
        matches!(&refused, Err(Error::Refused { target, status }) if target == "ops" && *status == 400),
        "{refused:?}"
    );
    let nobody = Target::new("ops", Service::Slack { url: Uri::from_static("http://127.0.0.1:1/x") });
    assert!(matches!(send(&nobody, &notices()[0]).await, Err(Error::Away { .. })));
}

#[tokio::test]
async fn the_heartbeat_stops_with_the_leader_and_with_its_clock() {
    let mut provider = Provider::start(health).await;
    let leading = |doubt: Option<&str>| SchedulerRole::Leading { epoch: Epoch(1), doubt: doubt.map(str::to_owned) };
    let (role, seen) = watch::channel(SchedulerRole::StandingBy { doubt: None });
    let over = CancellationToken::new();
    let beating = tokio::spawn(heartbeat(provider.at("/ping/1"), seen, over.clone()));
    assert!(provider.received.borrow().is_empty());
    for (count, silent) in [(1, leading(Some("2 s ahead"))), (2, SchedulerRole::Preparing)] {
        role.send_replace(leading(None));
        timeout(Duration::from_secs(60), provider.received.wait_for(|all| all.len() == count)).await.unwrap().unwrap();
        role.send_replace(silent);
        let more =
            timeout(HEARTBEAT_EVERY + Duration::from_secs(1), provider.received.wait_for(|all| all.len() > count));
        assert!(more.await.is_err(), "nobody leads without doubt");
    }
    assert!(provider.received.borrow().iter().all(|(_, said)| *said == Ok(200)));
    over.cancel();
    beating.await.unwrap().unwrap();
}

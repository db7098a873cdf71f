//! The services that notices are sent to, and what each of them takes. Pure.

use bytes::Bytes;
use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Notice,
    sign::{SIGNATURE_HEADER, signature},
    text::{shortened, shortened_bytes},
};

/// Most characters of a message to Slack, well below the limit of a text block.
const SLACK_CHARACTERS_MAX: usize = 3_000;
/// Most characters that Discord takes.
const DISCORD_CHARACTERS_MAX: usize = 2_000;
/// Most bytes of a text for Teams: a whole card may have 28 KB.
const TEAMS_BYTES_MAX: usize = 16_000;
/// ntfy makes an attachment of a longer message.
const NTFY_BYTES_MAX: usize = 4_000;
const GOTIFY_BYTES_MAX: usize = 16_000;
/// Most characters that Telegram takes.
const TELEGRAM_CHARACTERS_MAX: usize = 4_096;
/// Most characters of a summary that PagerDuty takes.
const PAGERDUTY_CHARACTERS_MAX: usize = 1_024;
/// Longest key of an incident that PagerDuty takes.
const PAGERDUTY_KEY_BYTES_MAX: usize = 255;
/// The header in which Gotify wants its token.
const GOTIFY_KEY: HeaderName = HeaderName::from_static("x-gotify-key");

/// Where notices go, with what it takes to be let in.
#[derive(Debug, Clone)]
pub enum Service {
    /// Anything that takes JSON. With a secret, what is posted is signed: see [`SIGNATURE_HEADER`].
    Webhook { url: Uri, secret: Option<Vec<u8>> },
    /// An incoming webhook of Slack, Mattermost or Rocket.Chat.
    Slack { url: Uri },
    /// A webhook of a Discord channel.
    Discord { url: Uri },
    /// A webhook of a Teams workflow.
    Teams { url: Uri },
    /// A topic of ntfy.
    Ntfy { server: Uri, topic: String, token: Option<String> },
    /// An application of Gotify.
    Gotify { url: Uri, token: String },
    /// A chat of a Telegram bot.
    Telegram { url: Uri, chat: String },
    /// A service of PagerDuty.
    PagerDuty { url: Uri, routing_key: String },
}

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Service {
    /// Where it is. All of it but the host may be a secret.
    pub(crate) fn uri(&self) -> &Uri {
        match self {
            Self::Webhook { url, .. }
            | Self::Slack { url }
            | Self::Discord { url }
            | Self::Teams { url }
            | Self::Gotify { url, .. }
            | Self::Telegram { url, .. }
            | Self::PagerDuty { url, .. } => url,
            Self::Ntfy { server, .. } => server,
        }
    }

    /// The word for it in a file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::Discord { .. } => "discord",
            Self::Teams { .. } => "teams",
            Self::Ntfy { .. } => "ntfy",
            Self::Gotify { .. } => "gotify",
            Self::Telegram { .. } => "telegram",
            Self::PagerDuty { .. } => "pagerduty",
        }
    }

    /// The host that it is on.
    pub fn host(&self) -> &str {
        self.uri().host().unwrap_or_default()
    }

    /// Whether the service keeps incidents, each of which must be opened and closed by its own notice.
    pub(crate) fn keeps_incidents(&self) -> bool {
        match self {
            Self::PagerDuty { .. } => true,
            Self::Webhook { .. }
            | Self::Slack { .. }
            | Self::Discord { .. }
            | Self::Teams { .. }
            | Self::Ntfy { .. }
            | Self::Gotify { .. }
            | Self::Telegram { .. } => false,
        }
    }

    /// The request that brings a notice to the service; an error is about the notice.
    pub(crate) fn post(&self, notice: &Notice) -> Result<Post, serde_json::Error> {
        let encode = |body: Value| serde_json::to_vec(&body);
        let body = match self {
            Self::Webhook { .. } => serde_json::to_vec(notice),
            Self::Slack { .. } => encode(json!({ "text": slack_text(notice) })),
            Self::Discord { .. } => encode(json!({
                "content": shortened(&plain_text(notice), DISCORD_CHARACTERS_MAX),
                "allowed_mentions": { "parse": [] },
            })),
            Self::Teams { .. } => encode(teams_card(notice)),
            Self::Ntfy { topic, .. } => encode(ntfy_message(notice, topic)),
            Self::Gotify { .. } => encode(gotify_message(notice)),
            Self::Telegram { chat, .. } => encode(json!({
                "chat_id": chat,
                "text": shortened(&plain_text(notice), TELEGRAM_CHARACTERS_MAX),
                "link_preview_options": { "is_disabled": true },
            })),
            Self::PagerDuty { routing_key, .. } => encode(pagerduty_event(notice, routing_key)),
        };
        let body = Bytes::from(body?);
        let (uri, mut headers) = (self.uri().clone(), HeaderMap::new());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let credential = match self {
            Self::Webhook { secret: Some(secret), .. } => {
                Some((HeaderName::from_static(SIGNATURE_HEADER), signature(secret, &body)))
            }
            Self::Ntfy { token: Some(token), .. } => Some((AUTHORIZATION, format!("Bearer {token}"))),
            Self::Gotify { token, .. } => Some((GOTIFY_KEY, token.clone())),
            Self::Webhook { secret: None, .. }
            | Self::Ntfy { token: None, .. }
            | Self::Slack { .. }
            | Self::Discord { .. }
            | Self::Teams { .. }
            | Self::Telegram { .. }
            | Self::PagerDuty { .. } => None,
        };
        if let Some((name, value)) = credential
            && let Ok(mut value) = HeaderValue::from_str(&value)
        {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Post { uri, headers, body })
    }
}

/// The sentence, the last lines and the link, for services that show text as it is.
fn plain_text(notice: &Notice) -> String {
    let mut text = notice.text.clone();
    if !notice.last_lines.is_empty() {
        text.push_str("\n\n");
        text.push_str(&notice.last_lines.join("\n"));
    }
    if let Some(link) = &notice.link {
        text.push_str("\n\n");
        text.push_str(link);
    }
    text
}

/// Slack reads `<`, `>` and `&` as markup.
fn slack_text(notice: &Notice) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut text = escaped(&notice.text);
    if !notice.last_lines.is_empty() {
        let lines = notice.last_lines.join("\n").replace("```", "'''");
        text = format!("{text}\n```\n{}\n```", escaped(&shortened(&lines, SLACK_CHARACTERS_MAX / 2)));
    }
    let link = notice.link.as_ref().map(|link| format!("\n<{link}>")).unwrap_or_default();
    shortened(&text, SLACK_CHARACTERS_MAX - link.len().min(SLACK_CHARACTERS_MAX)) + &link
}

fn teams_card(notice: &Notice) -> Value {
    let block =
        |text: &str| json!({ "type": "TextBlock", "text": shortened_bytes(text, TEAMS_BYTES_MAX), "wrap": true });
    let mut body = vec![block(&notice.text)];
    if !notice.last_lines.is_empty() {
        let mut lines = block(&notice.last_lines.join("\n\n"));
        lines["fontType"] = "Monospace".into();
        body.push(lines);
    }
    let actions: Vec<Value> =
        notice.link.iter().map(|link| json!({ "type": "Action.OpenUrl", "title": "Open", "url": link })).collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
                "actions": actions,
            },
        }],
    })
}

fn ntfy_message(notice: &Notice, topic: &str) -> Value {
    let mut message = json!({
        "topic": topic,
        "title": title(notice),
        "message": shortened_bytes(&without_link(notice), NTFY_BYTES_MAX),
        "priority": if notice.kind.opens() { 4 } else { 3 },
        "tags": [if notice.kind.opens() { "warning" } else if notice.kind.closes() { "white_check_mark" } else { "bell" }],
    });
    if let Some(link) = &notice.link {
        message["click"] = link.as_str().into();
    }
    message
}

fn gotify_message(notice: &Notice) -> Value {
    let mut message = json!({
        "title": title(notice),
        "message": shortened_bytes(&without_link(notice), GOTIFY_BYTES_MAX),
        "priority": if notice.kind.opens() { 8 } else { 4 },
    });
    if let Some(link) = &notice.link {
        message["extras"] = json!({ "client::notification": { "click": { "url": link } } });
    }
    message
}

fn pagerduty_event(notice: &Notice, routing_key: &str) -> Value {
    let action = if notice.kind.closes() { "resolve" } else { "trigger" };
    let severity = if notice.kind.opens() { "error" } else { "info" };
    let timestamp: Timestamp = notice.at;
    let links: Vec<Value> = notice.link.iter().map(|link| json!({ "href": link, "text": "Open" })).collect();
    json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": shortened_bytes(&notice.incident, PAGERDUTY_KEY_BYTES_MAX),
        "client": "tickmesh",
        "links": links,
        "payload": {
            "summary": shortened(&notice.text, PAGERDUTY_CHARACTERS_MAX),
            "source": notice.app.as_deref().unwrap_or("tickmesh"),
            "severity": severity,
            "timestamp": timestamp.to_string(),
            "class": serde_json::to_value(notice.kind).unwrap_or_default(),
            "custom_details": { "id": notice.id, "last_lines": notice.last_lines },
        },
    })
}

fn title(notice: &Notice) -> String {
    let state = if notice.kind.opens() {
        "problem"
    } else if notice.kind.closes() {
        "well again"
    } else {
        "notice"
    };
    notice.app.as_ref().map_or_else(|| format!("tickmesh: {state}"), |app| format!("{app}: {state}"))
}

fn without_link(notice: &Notice) -> String {
    plain_text(&Notice { link: None, ..notice.clone() })
}

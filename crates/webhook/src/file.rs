//! The tables `[notify.NAME]` of a TOML file: the targets of a scheduler. Secrets are in files of their own.
//!
//! ```toml
//! [notify.ops]
//! type = "slack"
//! url_file = "/etc/tickmesh/slack-url"
//! on = ["failure", "recovery", "overdue"]
//!
//! [notify.pager]
//! type = "pagerduty"
//! routing_key_file = "/etc/tickmesh/pagerduty-key"
//! default = false
//! ```

use std::{
    collections::BTreeSet,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use hyper::Uri;
use jiff::{civil::Time, tz::TimeZoneDatabase};
use tickmesh_core::{compose::is_target_name, spec::Topic};
use toml_edit::{DocumentMut, Item, TableLike};

use crate::{
    TARGETS_MAX,
    service::Service,
    target::{QuietHours, Target},
};

/// The table that the targets stand in.
pub const NOTIFY_TABLE: &str = "notify";
/// Longest file of targets, and longest secret.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
const SECRET_BYTES_MAX: u64 = 4_096;
/// More messages an hour are no limit.
const PER_HOUR_MAX: i64 = 3_600;

const TELEGRAM: &str = "https://api.telegram.org";
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
const NTFY: &str = "https://ntfy.sh";

/// Keys that every target has.
const COMMON_KEYS: [&str; 6] = ["type", "on", "default", "per_hour", "quiet", "timezone"];

/// What is wrong with the targets in a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// It is no TOML.
    #[error("{} is no TOML: {problem}", path.display())]
    Syntax { path: PathBuf, problem: String },
    /// A target is not as it must be.
    #[error("{}: [{NOTIFY_TABLE}.{target}]: {problem}", path.display())]
    Target { path: PathBuf, target: String, problem: String },
    /// The targets are not as they must be.
    #[error("{}: {problem}", path.display())]
    Targets { path: PathBuf, problem: String },
}

/// Reads the targets of a file, by name. Other tables of the file are somebody else's.
pub fn read_targets(path: &Path, zones: &TimeZoneDatabase) -> Result<Vec<Target>, FileError> {
    let at = || path.to_owned();
    let bytes = read(path, FILE_BYTES_MAX).map_err(|source| FileError::Read { path: at(), source })?;
    let text = String::from_utf8(bytes);
    let text = text.map_err(|error| FileError::Syntax { path: at(), problem: error.to_string() })?;
    let document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| FileError::Syntax { path: at(), problem: error.to_string() })?;
    let Some(notify) = document.get(NOTIFY_TABLE) else { return Ok(Vec::new()) };
    let problem = |problem: String| FileError::Targets { path: at(), problem };
    let tables = notify.as_table_like().ok_or_else(|| problem(format!("`{NOTIFY_TABLE}` is no table")))?;
    let mut targets = Vec::new();
    for (name, item) in tables.iter() {
        let read = target(name, item, zones);
        targets.push(read.map_err(|problem| FileError::Target { path: at(), target: name.to_owned(), problem })?);
    }
    match targets.len() {
        count if count > TARGETS_MAX => Err(problem(format!("{count} targets are more than {TARGETS_MAX}"))),
        _ => Ok(targets),
    }
}

fn read(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(std::io::Error::other(format!("it is longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn target(name: &str, item: &Item, zones: &TimeZoneDatabase) -> Result<Target, String> {
    if !is_target_name(name) {
        return Err("a name has up to 40 letters, digits, `_` and `-`, and is not `none`".to_owned());
    }
    let table = Table { table: item.as_table_like().ok_or("it is no table")? };
    let (service, keys) = service(&table)?;
    table.refuse_others(keys)?;
    let target = Target::new(name, service);
    Ok(Target {
        topics: table.topics("on")?.unwrap_or(target.topics),
        is_default: table.boolean("default")?.unwrap_or(target.is_default),
        per_hour: table.number("per_hour", 1, PER_HOUR_MAX)?.unwrap_or(target.per_hour),
        quiet: quiet(&table, zones)?,
        ..target
    })
}

/// The service of a table, and the keys that it reads beside those of every target.
fn service(table: &Table<'_>) -> Result<(Service, &'static [&'static str]), String> {
    const TYPES: &str = "`webhook`, `slack`, `discord`, `teams`, `ntfy`, `gotify`, `telegram` or `pagerduty`";
    let url_keys: &[&str] = &["url", "url_file"];
    let kind = table.text("type")?.ok_or_else(|| format!("`type` is missing: it is {TYPES}"))?;
    Ok(match kind {
        "webhook" => {
            let secret = table.secret_of("secret")?.map(String::into_bytes);
            (Service::Webhook { url: table.url(None)?, secret }, &["url", "url_file", "secret_file"])
        }
        "slack" => (Service::Slack { url: table.url(None)? }, url_keys),
        "discord" => (Service::Discord { url: table.url(None)? }, url_keys),
        "teams" => (Service::Teams { url: table.url(None)? }, url_keys),
        "ntfy" => {
            let topic = table.text("topic")?.ok_or("`topic` is missing")?.to_owned();
            let (server, token) = (table.url(Some(NTFY))?, table.secret_of("token")?);
            (Service::Ntfy { server, topic, token }, &["url", "url_file", "topic", "token_file"])
        }
        "gotify" => {
            let token = table.secret_of("token")?.ok_or("`token_file` is missing")?;
            let url = joined(&table.url(None)?, "/message")?;
            (Service::Gotify { url, token }, &["url", "url_file", "token_file"])
        }
        "telegram" => {
            let token = table.secret_of("token")?.ok_or("`token_file` is missing")?;
            let chat = table.text("chat")?.ok_or("`chat` is missing: the number of a chat, as text, or `@channel`")?;
            let url = joined(&table.url(Some(TELEGRAM))?, &format!("/bot{token}/sendMessage"))
                .map_err(|_| "`token_file` has no token of a bot".to_owned())?;
            (Service::Telegram { url, chat: chat.to_owned() }, &["url", "url_file", "token_file", "chat"])
        }
        "pagerduty" => {
            let routing_key = table.secret_of("routing_key")?.ok_or("`routing_key_file` is missing")?;
            let url = table.url(Some(PAGERDUTY))?;
            (Service::PagerDuty { url, routing_key }, &["url", "url_file", "routing_key_file"])
        }
        other => return Err(format!("`type` is `{other}`, and must be {TYPES}")),
    })
}

/// An address below another one.
fn joined(base: &Uri, path: &str) -> Result<Uri, String> {
    let base = base.to_string();
    format!("{}{path}", base.trim_end_matches('/')).parse().map_err(|_| format!("`{path}` does not fit behind `url`"))
}

fn quiet(table: &Table<'_>, zones: &TimeZoneDatabase) -> Result<Option<QuietHours>, String> {
    let Some(text) = table.text("quiet")? else { return Ok(None) };
    let time = |text: &str| text.trim().parse::<Time>().ok();
    let hours = text.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?)));
    let (from, to) =
        hours.ok_or_else(|| format!("`quiet` is `{text}`, and must be two times such as `22:00-07:00`"))?;
    let name = table.text("timezone")?.unwrap_or("UTC");
    let zone = zones.get(name).map_err(|_| format!("`timezone`: `{name}` is not a time zone this program knows"))?;
    Ok(Some(QuietHours { from, to, zone }))
}

/// A table whose values have types that somebody knows.
struct Table<'t> {
    table: &'t dyn TableLike,
}

impl<'t> Table<'t> {
    fn text(&self, key: &str) -> Result<Option<&'t str>, String> {
        let value = self.table.get(key).map(|item| item.as_str().ok_or_else(|| format!("`{key}` must be a text")));
        value.transpose()
    }

    fn boolean(&self, key: &str) -> Result<Option<bool>, String> {
        let value =
            self.table.get(key).map(|item| item.as_bool().ok_or_else(|| format!("`{key}` must be true or false")));
        value.transpose()
    }

    fn number(&self, key: &str, min: i64, max: i64) -> Result<Option<usize>, String> {
        let problem = || format!("`{key}` must be a whole number from {min} to {max}");
        let Some(item) = self.table.get(key) else { return Ok(None) };
        let number = item.as_integer().filter(|number| (min..=max).contains(number)).ok_or_else(problem)?;
        usize::try_from(number).map(Some).map_err(|_| problem())
    }

    fn topics(&self, key: &str) -> Result<Option<BTreeSet<Topic>>, String> {
        let Some(item) = self.table.get(key) else { return Ok(None) };
        let words = Topic::ALL.map(Topic::as_str).join(", ");
        let array = item.as_array().ok_or_else(|| format!("`{key}` must be a list of {words}"))?;
        let topic = |value: &toml_edit::Value| {
            let found = value.as_str().and_then(Topic::parse);
            found.ok_or_else(|| format!("`{key}` has {value}, which is none of {words}"))
        };
        array.iter().map(topic).collect::<Result<_, _>>().map(Some)
    }

    /// The address: in the file, in a file of its own, or else the usual one.
    fn url(&self, usual: Option<&'static str>) -> Result<Uri, String> {
        let from_file = self.secret_of("url")?;
        let text = match (self.text("url")?, &from_file) {
            (Some(_), Some(_)) => return Err("`url` and `url_file` are two addresses: keep one".to_owned()),
            (Some(text), None) => text,
            (None, Some(text)) => text,
            (None, None) => usual.ok_or("`url` or `url_file` is missing")?,
        };
        // The address may be a secret: it is not repeated.
        let url: Uri = text.parse().map_err(|_| "`url` is no address".to_owned())?;
        if url.host().is_none() || !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err("`url` is no http or https address".to_owned());
        }
        Ok(url)
    }

    /// What the file has that `KEY_file` names.
    fn secret_of(&self, key: &str) -> Result<Option<String>, String> {
        let key = format!("{key}_file");
        let Some(path) = self.text(&key)? else { return Ok(None) };
        let bytes =
            read(Path::new(path), SECRET_BYTES_MAX).map_err(|error| format!("`{key}`: cannot read {path}: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("`{key}`: {path} is no text"))?;
        match text.trim() {
            "" => Err(format!("`{key}`: {path} is empty")),
            secret => Ok(Some(secret.to_owned())),
        }
    }

    /// A key that nobody reads is mostly misspelt.
    fn refuse_others(&self, keys: &[&str]) -> Result<(), String> {
        let known: Vec<&str> = COMMON_KEYS.iter().chain(keys).copied().collect();
        match self.table.iter().find(|(key, _)| !known.contains(key)) {
            Some((key, _)) => Err(format!("`{key}` is not known here: there are {}", known.join(", "))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_text(text: &str) -> Result<Vec<Target>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tickmesh.toml");
        fs::write(folder.path().join("secret"), "s3cret\n").unwrap();
        fs::write(&path, text.replace("DIR", folder.path().to_str().unwrap())).unwrap();
        let zones = TimeZoneDatabase::bundled();
        read_targets(&path, &zones).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    #[test]
    fn targets_of_every_type_are_read() {
        let text = r#"
            nats = "nats://other"
            [notify.a]
            type = "webhook"
            url = "https://hook/x"
            secret_file = "DIR/secret"
            [notify.b]
            type = "slack"
            url = "https://hooks.slack.com/services/x"
            on = ["failure", "overdue"]
            per_hour = 5
            quiet = "22:00-07:00"
            timezone = "Europe/Berlin"
            [notify.c]
            type = "discord"
            url = "https://discord/x"
            [notify.d]
            type = "teams"
            url = "https://teams/x"
            [notify.e]
            type = "ntfy"
            topic = "jobs"
            token_file = "DIR/secret"
            [notify.f]
            type = "gotify"
            url = "https://gotify/"
            token_file = "DIR/secret"
            [notify.g]
            type = "telegram"
            token_file = "DIR/secret"
            chat = "-100"
            [notify.h]
            type = "pagerduty"
            routing_key_file = "DIR/secret"
            default = false
        "#;
        let targets = read_text(text).unwrap();
        let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e", "f", "g", "h"]);
        let uris: Vec<_> = targets.iter().map(|target| target.service.uri().to_string()).collect();
        assert_eq!(
            uris[4..7],
            ["https://ntfy.sh/", "https://gotify/message", "https://api.telegram.org/bots3cret/sendMessage"]
        );
        assert_eq!(targets[1].topics, [Topic::Failure, Topic::Overdue].into());
        assert!(targets[1].quiet.is_some() && targets[1].per_hour == 5 && targets[1].is_default);
        assert!(!targets[7].is_default);
        assert!(read_text("[contexts.x]\n").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_target_names_it() {
        for (table, problem) in [
            (
                "x]\nurl = 'http://a'",
                "[notify.x]: `type` is missing: it is `webhook`, `slack`, `discord`, `teams`, `ntfy`, `gotify`, `telegram` or `pagerduty`",
            ),
            ("x]\ntype = 'slack'", "[notify.x]: `url` or `url_file` is missing"),
            ("x]\ntype = 'slack'\nurl = 'ftp://a'", "[notify.x]: `url` is no http or https address"),
            (
                "x]\ntype = 'slack'\nurl = 'http://a'\ntoken = 'b'",
                "[notify.x]: `token` is not known here: there are type, on, default, per_hour, quiet, timezone, url, url_file",
            ),
            (
                "x]\ntype = 'slack'\nurl = 'http://a'\non = ['fail']",
                "[notify.x]: `on` has 'fail', which is none of failure, recovery, pending, overdue, long, dropped, invalid, agent, engine, leader",
            ),
            (
                "x]\ntype = 'slack'\nurl = 'http://a'\nquiet = 'night'",
                "[notify.x]: `quiet` is `night`, and must be two times such as `22:00-07:00`",
            ),
            (
                "x]\ntype = 'slack'\nurl = 'http://a'\nper_hour = 0",
                "[notify.x]: `per_hour` must be a whole number from 1 to 3600",
            ),
            (
                "none]\ntype = 'slack'",
                "[notify.none]: a name has up to 40 letters, digits, `_` and `-`, and is not `none`",
            ),
        ] {
            assert_eq!(read_text(&format!("[notify.{table}\n")).unwrap_err(), format!("FILE: {problem}"));
        }
        let missing =
            read_text("[notify.x]\ntype = 'gotify'\nurl = 'http://a'\ntoken_file = '/nowhere/x'\n").unwrap_err();
        assert!(missing.contains("`token_file`: cannot read /nowhere/x"), "{missing}");
    }
}

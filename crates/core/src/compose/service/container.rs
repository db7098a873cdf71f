//! What a container is, key by key: what each of them takes.

use std::time::Duration;

use super::super::{
    reader::Reader,
    report::quote,
    value::{Refused, boolean, duration, duration_text, is_engine_name},
    yaml::{Item, Value},
};
use crate::spec::PullPolicy;

/// Longest wait for a container that is asked to stop: a run that is cancelled should end the same hour.
const STOP_GRACE_MAX: Duration = Duration::from_secs(60 * 60);
/// Longest name or path in a container's description: that of a path of Linux.
const TEXT_BYTES_MAX: usize = 4096;

/// Longest name of a platform.
const PLATFORM_BYTES_MAX: usize = 100;
/// The system of nearly all images.
const LINUX: &str = "linux";

/// `command` and `entrypoint`: a list as it is, or a text that is split as a shell would, without any other of its meanings.
pub(super) fn read_words(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<String>> {
    match &item.node.value {
        Value::Scalar(scalar) if scalar.is_null() => None,
        Value::Scalar(_) => reader.parsed(item, |text| {
            shell_words::split(text).map_err(|_| Refused::new(text, "complete: a quote is not closed"))
        }),
        Value::Sequence(_) => Some(reader.texts(item)?.into_iter().map(|text| text.value).collect()),
        Value::Mapping(_) => {
            reader.expected("a text or a list", item);
            None
        }
    }
}

pub(super) fn working_dir(text: &str) -> Result<String, Refused> {
    let valid = text.starts_with('/') && text.len() <= TEXT_BYTES_MAX;
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "an absolute path in the container")) }
}

pub(super) fn user(text: &str) -> Result<String, Refused> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_name = |part: &&str| !part.is_empty() && part.chars().all(|character| character.is_ascii_graphic());
    let valid = parts.len() <= 2 && parts.iter().all(is_name) && text.len() <= TEXT_BYTES_MAX;
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "a user such as `app`, `1000` or `1000:1000`")) }
}

/// When the image is pulled. An image that compose builds comes from no registry; its periods mean
/// nothing to an agent.
pub(super) fn pull_policy(text: &str) -> Result<PullPolicy, Refused> {
    match text {
        "always" => Ok(PullPolicy::Always),
        "missing" | "if_not_present" => Ok(PullPolicy::Missing),
        "never" | "build" => Ok(PullPolicy::Never),
        _ => Err(Refused::new(text, "`always`, `missing` or `never`")),
    }
}

/// The platform of an image, as docker takes it. A word alone may be a system or an architecture, and
/// the engine wants to know which.
pub(super) fn platform(text: &str) -> Result<String, Refused> {
    let parts: Vec<&str> = text.split('/').collect();
    let is_word = |part: &&str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    if parts.len() > 3 || !parts.iter().all(is_word) || text.len() > PLATFORM_BYTES_MAX {
        return Err(Refused::new(text, "a platform such as `linux/amd64`"));
    }
    let (system, further) = match parts.as_slice() {
        ["linux" | "windows", further @ ..] => (parts[0], further),
        [_] => (LINUX, parts.as_slice()),
        further => (further[0], &further[1..]),
    };
    let architecture = further.iter().map(|part| match *part {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        part => part,
    });
    Ok(std::iter::once(system).chain(architecture).collect::<Vec<_>>().join("/"))
}

/// What an agent allows is its own affair; here is only what could never work.
pub(super) fn network_mode(text: &str) -> Result<String, Refused> {
    if is_engine_name(text.strip_prefix("container:").unwrap_or(text)) {
        return Ok(text.to_owned());
    }
    let expected = if text.starts_with("service:") {
        "possible: the other service may be on another host"
    } else {
        "`bridge`, `none`, `host`, `container:NAME` or the name of a network of the host"
    };
    Err(Refused::new(text, expected))
}

pub(super) fn stop_grace(text: &str) -> Result<Duration, Refused> {
    let grace = duration(text)?;
    if grace > STOP_GRACE_MAX {
        return Err(Refused::new(text, format!("a duration of at most `{}`", duration_text(STOP_GRACE_MAX))));
    }
    Ok(grace)
}

/// Whatever `restart` says, containers of a batch job are never restarted: the original had it so too.
pub(super) fn check_restart(reader: &mut Reader<'_>, item: &Item<'_>) {
    let Some(text) = reader.text(item) else { return };
    // Without quotes `no` is a boolean to some and a text to others.
    if boolean(&text.value) == Ok(false) {
        return;
    }
    let policy = text.value.split_once(':').map_or(text.value.as_str(), |(policy, _)| policy);
    if matches!(policy, "always" | "on-failure" | "unless-stopped") {
        let message = format!("`restart: {policy}` has no effect: a batch job is not restarted");
        let hint = format!("retries are set by the label `{}`", reader.label_name("retry_count"));
        reader.report.warning_with_hint(text.place(), message, hint);
    } else {
        let message = format!("{} is not `no`, `always`, `on-failure` or `unless-stopped`", quote(&text.value));
        reader.report.error(text.place(), message);
    }
}

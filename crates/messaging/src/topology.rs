//! The streams of a mesh on the server: what each of them keeps, how they are made, and the identity that a mesh gets when it
//! is made.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc, time::Duration};

use async_nats::jetstream::{
    ErrorCode,
    context::{CreateStreamError, CreateStreamErrorKind},
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use serde::{Deserialize, Serialize};
use tickmesh_core::{id::MeshId, ledger::HISTORY_RUNS, message::SCHEMA};
use tracing::{info, warn};

use crate::{
    bucket::Bucket,
    compare_and_set::Cas,
    connect::Link,
    error::{Error, chain},
    names::{MESH_KEY, Names, StreamKind},
    room::{Need, is_shortage, mebibytes, shortage},
    store::Store,
    streams::StreamsThere,
};

/// Revisions of an app that are kept.
pub(crate) const APP_REVISIONS: i64 = 10;
/// How long an order lives on the server. An agent that sees it later would find the attempt revoked or placed elsewhere; what is still
/// wanted, the leader sends again.
pub const ORDER_AGE: Duration = Duration::from_secs(60);
/// How long the server remembers the ids of commands, so that it can drop a repeat. Nothing relies on it. No stream's age may
/// be shorter than its window.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(60);
/// How long events of the mesh are kept.
const EVENT_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes of events that are kept: a flapping host must not fill the disk.
const EVENT_BYTES: i64 = 64 * 1024 * 1024;

/// Notices of an app that are kept, for targets that are away.
const NOTICES_KEPT: i64 = 100;

/// What may differ from mesh to mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioning {
    /// Servers that keep a copy: 1 or 3.
    pub replicas: usize,
    /// How long output is kept.
    pub log_age: Duration,
    /// Bytes of output that are kept, all apps together; the oldest goes first.
    pub log_bytes: i64,
}

impl Default for Provisioning {
    fn default() -> Self {
        Self { replicas: 1, log_age: Duration::from_secs(7 * 24 * 3600), log_bytes: 1024 * 1024 * 1024 }
    }
}

/// The identity of a mesh, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MeshRecord {
    schema: u32,
    pub(crate) id: MeshId,
}

/// Makes every stream that does not exist and adapts what may differ in the others. Those that the server sets room aside for
/// come first: where there is too little, and the server alone knows, it says so before any other one is made.
pub(crate) async fn provision_streams(link: &Arc<Link>, names: &Names, settings: &Provisioning) -> Result<(), Error> {
    let missing = find_streams(link, names).await?.missing;
    ensure_room(link, names, missing, settings).await?;
    let mut kinds = StreamKind::ALL;
    // Stable: the stream of the identity stays the last one.
    kinds.sort_by_key(|kind| Reverse(set_aside(&config(names, *kind, settings))));
    for kind in kinds {
        provision_stream(link, names, kind, settings).await?;
    }
    Ok(())
}

/// Bytes that the server sets aside for a stream, all its copies together.
fn set_aside(config: &Config) -> u64 {
    u64::try_from(config.max_bytes).unwrap_or(0) * config.num_replicas as u64
}

/// Makes sure that the account may have these streams.
async fn ensure_room(
    link: &Arc<Link>,
    names: &Names,
    missing: BTreeSet<StreamKind>,
    settings: &Provisioning,
) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    let sizes: Vec<_> = missing.iter().map(|kind| set_aside(&config(names, *kind, settings))).collect();
    let need = Need {
        streams: missing.len(),
        bytes: sizes.iter().sum(),
        bytes_of_largest: sizes.into_iter().max().unwrap_or(0) / settings.replicas.max(1) as u64,
        replicas: settings.replicas,
    };
    let account = link.context.query_account().await;
    let account = account.map_err(|source| Error::unavailable("ask JetStream how much room there is", source))?;
    shortage(&account, need).map_or(Ok(()), |shortage| Err(Error::NoRoom { shortage }))
}

/// Looks which streams are there.
pub(crate) async fn find_streams(link: &Arc<Link>, names: &Names) -> Result<StreamsThere, Error> {
    let infos = StreamKind::ALL.into_iter().map(|kind| async move {
        match Store::new(link.clone(), Arc::new(names.clone()), kind).info().await {
            Ok(found) => Ok((kind, Some(found.state.last_sequence))),
            Err(Error::StreamGone { .. }) => Ok((kind, None)),
            Err(error) => Err(error),
        }
    });
    let mut streams = StreamsThere::default();
    for (kind, last_sequence) in futures_util::future::try_join_all(infos).await? {
        match last_sequence {
            Some(last_sequence) => streams.found.insert(kind, last_sequence).map_or((), drop),
            None => drop(streams.missing.insert(kind)),
        }
    }
    Ok(streams)
}

/// Makes these streams of a mesh that was there, as far as they are missing, with as many copies as those that are left. No
/// other one is made, even if it has gone meanwhile: whoever asks for it has looked at all of them first.
pub(crate) async fn provision_missing(
    link: &Arc<Link>,
    names: &Names,
    kinds: &BTreeSet<StreamKind>,
) -> Result<(), Error> {
    let mut replicas = Provisioning::default().replicas;
    let mut missing = Vec::new();
    for kind in StreamKind::ALL {
        match Store::new(link.clone(), Arc::new(names.clone()), kind).info().await {
            Ok(found) => replicas = replicas.max(found.config.num_replicas),
            Err(Error::StreamGone { stream }) if kinds.contains(&kind) => missing.push((kind, stream)),
            Err(Error::StreamGone { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let settings = Provisioning { replicas, ..Provisioning::default() };
    ensure_room(link, names, missing.iter().map(|(kind, _)| *kind).collect(), &settings).await?;
    for (kind, stream) in missing {
        provision_stream(link, names, kind, &settings).await?;
        warn!(stream, "made a stream anew that was gone, with all that was in it");
    }
    Ok(())
}

/// Makes the stream of notices of a mesh that an earlier release made. That release leaves it alone.
pub(crate) async fn add_notices(link: &Arc<Link>, names: &Names) -> Result<(), Error> {
    let kind = StreamKind::Notices;
    match Store::new(link.clone(), Arc::new(names.clone()), kind).info().await {
        Ok(_) => return Ok(()),
        Err(Error::StreamGone { .. }) => {}
        Err(error) => return Err(error),
    }
    let replicas = match Store::new(link.clone(), Arc::new(names.clone()), StreamKind::Ledger).info().await {
        Ok(found) => found.config.num_replicas,
        // Whoever leads makes that one anew, or refuses to lead.
        Err(Error::StreamGone { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    provision_stream(link, names, kind, &Provisioning { replicas, ..Provisioning::default() }).await?;
    info!(stream = names.stream(kind), "made the stream that this release adds");
    Ok(())
}

/// Takes roll-ups from the buckets of a mesh that an earlier release made. That release works with
/// them as well. A stream that is missing is made without.
pub(crate) async fn refuse_roll_ups(link: &Arc<Link>, names: &Names) -> Result<(), Error> {
    for kind in StreamKind::ALL {
        let existing = match Store::new(link.clone(), Arc::new(names.clone()), kind).info().await {
            Ok(found) => found.config.clone(),
            Err(Error::StreamGone { .. }) => continue,
            Err(error) => return Err(error),
        };
        if existing.allow_rollup {
            let stream = existing.name.clone();
            let updated = link.context.update_stream(&Config { allow_rollup: false, ..existing }).await;
            updated.map_err(|source| Error::Provision { stream: stream.clone(), source: source.into() })?;
            info!(stream, "the bucket takes no roll-ups any more");
        }
    }
    Ok(())
}

/// Gives the mesh this identity, unless it has one. Of two who do so at once, both get the same.
pub(crate) async fn provision_identity(bucket: &Bucket<MeshRecord>, id: MeshId) -> Result<MeshId, Error> {
    let record = MeshRecord { schema: SCHEMA, id };
    match bucket.compare_and_set(MESH_KEY, &record, 0).await? {
        Cas::Stored { .. } => Ok(record.id),
        Cas::Refused { current: Some(current) } => Ok(current.value.id),
        Cas::Refused { current: None } => {
            Err(Error::unavailable("give the mesh an identity", "the server refuses the first record"))
        }
    }
}

/// Gives the mesh back the identity that it had, also where its record is damaged.
pub(crate) async fn restore_identity(bucket: &Bucket<MeshRecord>, id: MeshId) -> Result<MeshId, Error> {
    let error = match provision_identity(bucket, id).await {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    let Some(damaged) = error.unreadable_at() else { return Err(error) };
    warn!(error = %chain(&error), "writing the mesh's identity anew");
    bucket.compare_and_set(MESH_KEY, &MeshRecord { schema: SCHEMA, id }, damaged).await?;
    provision_identity(bucket, id).await
}

async fn provision_stream(
    link: &Arc<Link>,
    names: &Names,
    kind: StreamKind,
    settings: &Provisioning,
) -> Result<(), Error> {
    let wanted = config(names, kind, settings);
    let stream = wanted.name.clone();
    let problem = |source: CreateStreamError| Error::Provision { stream: stream.clone(), source: source.into() };
    match link.context.create_stream(&wanted).await {
        Ok(_) => return Ok(()),
        Err(error) if is_taken(&error.kind()) => {}
        Err(error) if is_no_room(&error.kind()) => {
            let size = match set_aside(&wanted) {
                0 => String::new(),
                bytes => format!(", which needs {}", mebibytes(bytes)),
            };
            return Err(Error::NoRoom { shortage: format!("it refuses stream `{stream}`{size}: {}", chain(&error)) });
        }
        Err(error) => return Err(problem(error)),
    }
    let existing = match link.context.get_stream(&wanted.name).await {
        Ok(found) => found.cached_info().config.clone(),
        Err(error) => return Err(Error::Provision { stream, source: error.into() }),
    };
    let Some(adapted) = adapt(existing, &wanted)? else { return Ok(()) };
    link.context.update_stream(&adapted).await.map_err(problem)?;
    info!(stream = adapted.name, "adapted the settings of a stream");
    Ok(())
}

fn is_taken(kind: &CreateStreamErrorKind) -> bool {
    matches!(kind, CreateStreamErrorKind::JetStream(problem) if problem.error_code() == ErrorCode::STREAM_NAME_EXIST)
}

fn is_no_room(kind: &CreateStreamErrorKind) -> bool {
    matches!(kind, CreateStreamErrorKind::JetStream(problem) if is_shortage(problem.error_code()))
}

/// The existing settings with what may be changed at any time; `None`: nothing to change. Everything else is left as it is:
/// an administrator may have had a reason, and some changes would drop messages.
fn adapt(existing: Config, wanted: &Config) -> Result<Option<Config>, Error> {
    if existing.subjects != wanted.subjects {
        let subjects = existing.subjects.join(", ");
        return Err(Error::ForeignStream { stream: existing.name, subjects });
    }
    let adapted = Config {
        num_replicas: wanted.num_replicas,
        max_age: wanted.max_age,
        max_bytes: wanted.max_bytes,
        duplicate_window: wanted.duplicate_window,
        allow_rollup: wanted.allow_rollup,
        ..existing.clone()
    };
    Ok((adapted != existing).then_some(adapted))
}

/// Refuses streams that somebody else has made or changed so that they would lose what must be kept.
pub(crate) async fn check_streams(link: &Arc<Link>, names: &Names) -> Result<(), Error> {
    let checks = StreamKind::ALL.into_iter().map(|kind| check_stream(link, names, kind));
    futures_util::future::try_join_all(checks).await.map(drop)
}

async fn check_stream(link: &Arc<Link>, names: &Names, kind: StreamKind) -> Result<(), Error> {
    let stored = Store::new(link.clone(), Arc::new(names.clone()), kind).info().await?;
    let wanted = config(names, kind, &Provisioning::default());
    match foreign_setting(&stored.config, &wanted) {
        None => Ok(()),
        Some(Foreign { setting, found, wanted }) => {
            Err(Error::ForeignSetting { stream: stored.config.name, setting, found, wanted })
        }
    }
}

/// A setting that breaks a promise.
#[derive(Debug, PartialEq, Eq)]
struct Foreign {
    setting: &'static str,
    found: String,
    wanted: String,
}

/// The first setting that would lose messages which must be kept, or keep some from being stored. Where the mesh itself limits a
/// stream (orders, output, events), an administrator may do so otherwise.
fn foreign_setting(existing: &Config, wanted: &Config) -> Option<Foreign> {
    let text = |value: &dyn std::fmt::Debug| format!("{value:?}");
    let differs =
        |setting, found: String, wanted: String| (found != wanted).then_some(Foreign { setting, found, wanted });
    let limited = wanted.max_age > Duration::ZERO || wanted.max_bytes > 0;
    let limits = || {
        let age = differs("max_age", text(&existing.max_age), text(&wanted.max_age));
        let bytes = || differs("max_bytes", unlimited(existing.max_bytes), unlimited(wanted.max_bytes));
        age.or_else(bytes)
    };
    differs("subjects", existing.subjects.join(", "), wanted.subjects.join(", "))
        .or_else(|| differs("storage", text(&existing.storage), text(&wanted.storage)))
        .or_else(|| differs("retention", text(&existing.retention), text(&wanted.retention)))
        .or_else(|| differs("max_msgs", unlimited(existing.max_messages), unlimited(wanted.max_messages)))
        .or_else(|| {
            let (found, wanted) = (existing.max_messages_per_subject, wanted.max_messages_per_subject);
            differs("max_msgs_per_subject", unlimited(found), unlimited(wanted))
        })
        .or_else(|| differs("max_msg_size", unlimited(existing.max_message_size.into()), unlimited(-1)))
        .or_else(|| differs("sealed", existing.sealed.to_string(), wanted.sealed.to_string()))
        .or_else(|| differs("allow_rollup_hdrs", existing.allow_rollup.to_string(), wanted.allow_rollup.to_string()))
        .or_else(|| differs("no_ack", existing.no_ack.to_string(), wanted.no_ack.to_string()))
        .or_else(|| if limited { None } else { limits() })
}

/// A limit as people know it: the server has two numbers for none.
fn unlimited(limit: i64) -> String {
    if limit <= 0 { "unlimited".to_owned() } else { limit.to_string() }
}

/// What a stream is to be.
fn config(names: &Names, kind: StreamKind, settings: &Provisioning) -> Config {
    let base = Config {
        name: names.stream(kind),
        subjects: vec![names.subjects(kind)],
        storage: StorageType::File,
        num_replicas: settings.replicas,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_bytes: -1,
        duplicate_window: DUPLICATE_WINDOW,
        deny_delete: true,
        allow_direct: true,
        ..Config::default()
    };
    let runs = HISTORY_RUNS as i64;
    match kind {
        StreamKind::Meta | StreamKind::Lease | StreamKind::Ledger | StreamKind::Agents => bucket(base, 1),
        StreamKind::Apps => bucket(base, APP_REVISIONS),
        StreamKind::Commands => Config { retention: RetentionPolicy::WorkQueue, ..base },
        StreamKind::Ticks | StreamKind::History => Config { max_messages_per_subject: runs, ..base },
        StreamKind::Notices => Config { max_messages_per_subject: NOTICES_KEPT, max_age: EVENT_AGE, ..base },
        StreamKind::Orders => Config { max_age: ORDER_AGE, ..base },
        // No age and no limit of any kind: what may go is known only to the leader, which purges (protocol rule P14).
        StreamKind::Results => base,
        StreamKind::Logs => Config {
            max_age: settings.log_age,
            max_bytes: settings.log_bytes,
            duplicate_window: DUPLICATE_WINDOW.min(settings.log_age),
            ..base
        },
        StreamKind::Mesh => Config { max_age: EVENT_AGE, max_bytes: EVENT_BYTES, ..base },
    }
}

/// A bucket, as NATS's own tools lay it out; but without roll-ups, by which one message removes all others.
fn bucket(base: Config, history: i64) -> Config {
    Config { max_messages_per_subject: history, discard: DiscardPolicy::New, ..base }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::name::Namespace;

    use super::*;

    fn wanted(kind: StreamKind, settings: &Provisioning) -> Config {
        config(&Names::new(Namespace::new("mesh").unwrap()), kind, settings)
    }

    #[test]
    fn an_existing_stream_gets_only_what_may_be_changed_at_any_time() {
        let settings = Provisioning { replicas: 3, log_bytes: 1 << 20, ..Provisioning::default() };
        let existing =
            Config { description: Some("ours".to_owned()), ..wanted(StreamKind::Logs, &Provisioning::default()) };
        let adapted = adapt(existing.clone(), &wanted(StreamKind::Logs, &settings)).unwrap().unwrap();
        assert_eq!((adapted.num_replicas, adapted.max_bytes), (3, 1 << 20));
        assert_eq!(adapted.description, existing.description);
        assert_eq!(adapt(existing.clone(), &existing).unwrap(), None);
    }

    /// What is wrong with a ledger bucket after that change.
    #[track_caller]
    fn check_foreign(kind: StreamKind, change: impl FnOnce(&mut Config), problem: Option<(&str, &str, &str)>) {
        let wanted = wanted(kind, &Provisioning::default());
        let mut existing = wanted.clone();
        change(&mut existing);
        let found = foreign_setting(&existing, &wanted);
        let found = found.as_ref().map(|it| (it.setting, it.found.as_str(), it.wanted.as_str()));
        assert_eq!(found, problem);
    }

    #[test]
    fn settings_that_would_lose_what_must_be_kept_are_foreign() {
        check_foreign(StreamKind::Ledger, |_| {}, None);
        check_foreign(StreamKind::Ledger, |it| it.max_message_size = 0, None);
        check_foreign(StreamKind::Ledger, |it| it.num_replicas = 3, None);
        let memory = |it: &mut Config| it.storage = StorageType::Memory;
        check_foreign(StreamKind::Ledger, memory, Some(("storage", "Memory", "File")));
        let hour = |it: &mut Config| it.max_age = Duration::from_secs(3_600);
        check_foreign(StreamKind::Results, hour, Some(("max_age", "3600s", "0ns")));
        let few = |it: &mut Config| it.max_messages_per_subject = 1;
        check_foreign(StreamKind::Apps, few, Some(("max_msgs_per_subject", "1", "10")));
        check_foreign(StreamKind::History, |it| it.max_messages = 9, Some(("max_msgs", "9", "unlimited")));
        check_foreign(StreamKind::Results, |it| it.max_bytes = 9, Some(("max_bytes", "9", "unlimited")));
        for kind in StreamKind::ALL {
            check_foreign(kind, |it| it.allow_rollup = true, Some(("allow_rollup_hdrs", "true", "false")));
        }
    }

    #[test]
    fn what_the_mesh_itself_limits_may_be_limited_otherwise() {
        check_foreign(StreamKind::Logs, |it| it.max_age = Duration::from_secs(60), None);
        check_foreign(StreamKind::Mesh, |it| it.max_bytes = 1 << 20, None);
    }

    #[test]
    fn a_stream_of_others_is_left_alone() {
        let wanted = wanted(StreamKind::Ticks, &Provisioning::default());
        let foreign = Config { subjects: vec!["clock.>".to_owned()], ..wanted.clone() };
        let error = adapt(foreign, &wanted).unwrap_err().to_string();
        assert_eq!(error, "stream `mesh_ticks` exists, but holds other subjects: clock.>");
    }
}

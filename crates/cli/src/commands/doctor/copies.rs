//! The copies of the streams, and the room that is left for them.

use std::{collections::BTreeMap, time::Duration};

use tickmesh_messaging::{CopiesState, Mesh, PeerCopy, StoreUse, StreamCopies, StreamKind, WriteTrial};
use tokio::time::sleep;

use crate::views::doctor::Check;

const NAME: &str = "copies";
/// A server sends its leader something every second or so; one that is silent for so long has a reason.
const SILENT: Duration = Duration::from_secs(4);
/// Operations that a copy may be behind while much is written.
const LAG_MAX: u64 = 1_000;
/// A copy that is behind may catch up at once, and then that is no finding.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Streams that are named of many.
const NAMED_MAX: usize = 4;
const LOOK_AFTER: &str = "look after that server: nats-server must run there with JetStream and reach the others; if its disk was \
                          full, make room and restart it. It catches up by itself";

/// What is wrong with the copies of a server.
#[derive(Debug, PartialEq, Eq)]
enum Lacking {
    Offline,
    Silent(Duration),
    Behind(u64),
}

/// Looks at the copies; twice if something is behind.
pub(super) async fn check(mesh: &Mesh, servers: usize) -> Vec<Check> {
    let copies = mesh.copies().await;
    let is_led = copies.iter().all(|copy| !matches!(copy.state, CopiesState::Leaderless { .. }));
    let copies = if !is_led || lacking(&copies).is_empty() {
        copies
    } else {
        sleep(LOOK_AGAIN).await;
        mesh.copies().await
    };
    of_copies(&copies, servers)
}

/// What each server lacks, by its name, and how many streams that concerns.
fn lacking(copies: &[StreamCopies]) -> BTreeMap<&str, (Lacking, usize)> {
    let mut found: BTreeMap<&str, (Lacking, usize)> = BTreeMap::new();
    for copy in copies {
        let CopiesState::Led { peers, .. } = &copy.state else { continue };
        for peer in peers {
            if let Some(lack) = lack(peer) {
                found.entry(peer.node.as_str()).or_insert((lack, 0)).1 += 1;
            }
        }
    }
    found
}

fn lack(peer: &PeerCopy) -> Option<Lacking> {
    if peer.is_offline {
        Some(Lacking::Offline)
    } else if peer.silent >= SILENT {
        Some(Lacking::Silent(peer.silent))
    } else if !peer.is_current || peer.lag > LAG_MAX {
        Some(Lacking::Behind(peer.lag))
    } else {
        None
    }
}

fn of_copies(copies: &[StreamCopies], servers: usize) -> Vec<Check> {
    let mut checks: Vec<Check> = lacking(copies)
        .into_iter()
        .map(|(node, (lack, streams))| {
            let what = match lack {
                Lacking::Offline => "is offline".to_owned(),
                Lacking::Silent(silent) => format!("has said nothing for {} s", silent.as_secs()),
                Lacking::Behind(0) => "is not up to date".to_owned(),
                Lacking::Behind(lag) => format!("is {lag} operations behind"),
            };
            let missing = if streams == 1 {
                "its copy of 1 stream is".to_owned()
            } else {
                format!("its copies of {streams} streams are")
            };
            Check::wrong(NAME, format!("server {node} {what}: {missing} missing"), LOOK_AFTER)
        })
        .collect();
    let named = |is: &dyn Fn(&CopiesState) -> bool| {
        let of: Vec<_> = copies.iter().filter(|copy| is(&copy.state)).map(|copy| copy.stream).collect();
        (!of.is_empty()).then(|| names(&of))
    };
    if let Some(streams) = named(&|state| matches!(state, CopiesState::Leaderless { .. })) {
        let text = format!("nobody leads the streams {streams}: they can be neither read nor written");
        let hint = "an election takes seconds: look again; if it stays so, most of their copies are gone: start the servers that \
                    have them";
        checks.push(Check::wrong(NAME, text, hint));
    }
    if let Some(streams) = named(&|state| is_short(state)) {
        let text = format!("the streams {streams} have fewer copies than they should");
        checks.push(Check::wrong(NAME, text, "add a server to the cluster in the place of one that was removed"));
    }
    let single = |state: &CopiesState| matches!(state, CopiesState::Led { wanted: 1, .. });
    if servers > 1 && copies.iter().any(|copy| single(&copy.state)) {
        let text =
            format!("there are {servers} servers, and one copy of everything: whatever that server has goes with it");
        checks.push(Check::warning(NAME, text, "restart a scheduler with `--replicas 3`"));
    }
    if checks.is_empty() {
        let most = copies.iter().filter_map(|copy| wanted(&copy.state)).max().unwrap_or(1);
        checks.push(Check::ok(
            NAME,
            match most {
                1 => "one server keeps everything: a copy is what `tickmesh backup` makes".to_owned(),
                count => format!("{count} of each stream, all up to date"),
            },
        ));
    }
    checks
}

fn wanted(state: &CopiesState) -> Option<usize> {
    match state {
        CopiesState::Led { wanted, .. } => Some(*wanted),
        CopiesState::Leaderless { .. } | CopiesState::Absent => None,
    }
}

fn is_short(state: &CopiesState) -> bool {
    match state {
        CopiesState::Led { wanted, peers } => peers.len() + 1 < *wanted,
        CopiesState::Leaderless { .. } | CopiesState::Absent => false,
    }
}

fn names(streams: &[StreamKind]) -> String {
    let mut shown: Vec<String> = streams.iter().take(NAMED_MAX).map(|stream| stream.as_str().to_owned()).collect();
    if streams.len() > NAMED_MAX {
        shown.push(format!("{} more", streams.len() - NAMED_MAX));
    }
    shown.join(", ")
}

/// Shares of the room from which on it is a warning, and from which on it is wrong.
const ROOM_LOW: f64 = 0.75;
const ROOM_GONE: f64 = 0.95;

/// How much of its room the account has left.
pub(super) async fn room(mesh: &Mesh) -> anyhow::Result<Check> {
    Ok(of_room(&mesh.store_use().await?))
}

fn of_room(uses: &[StoreUse]) -> Check {
    const NAME: &str = "room";
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let share = |it: &StoreUse| it.used as f64 / it.max as f64;
    let Some(fullest) = uses.iter().max_by(|one, other| share(one).total_cmp(&share(other))) else {
        return Check::ok(NAME, "the NATS account has no limit of its own");
    };
    let mebibytes = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let (used, max) = (mebibytes(fullest.used), mebibytes(fullest.max));
    let text =
        format!("{used} of {max} MiB of the NATS account are used or set aside ({:.0} %)", share(fullest) * 100.0);
    let hint = "raise the account's limit of JetStream (`max_file`), or remove what else it stores";
    if share(fullest) >= ROOM_GONE {
        Check::wrong(NAME, text, hint)
    } else if share(fullest) >= ROOM_LOW {
        Check::warning(NAME, text, hint)
    } else {
        Check::ok(NAME, text)
    }
}

/// Whether each stream that schedulers and agents write would take something.
pub(super) async fn writes(mesh: &Mesh) -> Check {
    of_writes(&mesh.try_writes().await)
}

fn of_writes(trials: &[(StreamKind, WriteTrial)]) -> Check {
    const NAME: &str = "writes";
    let of = |is: fn(&WriteTrial) -> bool| -> Vec<StreamKind> {
        trials.iter().filter(|(_, trial)| is(trial)).map(|(stream, _)| *stream).collect()
    };
    let untaken = of(|trial| matches!(trial, WriteTrial::Untaken { .. }));
    let reason = trials.iter().find_map(|(_, trial)| match trial {
        WriteTrial::Untaken { reason } => Some(reason.as_str()),
        WriteTrial::Taken | WriteTrial::Denied | WriteTrial::Absent => None,
    });
    let denied = of(|trial| matches!(trial, WriteTrial::Denied));
    if let Some(reason) = reason {
        let text = format!("the streams {} take nothing: {reason}", names(&untaken));
        return Check::wrong(NAME, text, super::STORAGE_HINT);
    }
    match denied.as_slice() {
        [] => Check::ok(NAME, "every stream takes what schedulers and agents write"),
        some => Check::ok(NAME, format!("the streams take what is written; this login may not write {}", names(some))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::doctor::Finding;

    fn peer(node: &str, silent: u64) -> PeerCopy {
        let silent = Duration::from_secs(silent);
        PeerCopy { node: node.to_owned(), is_current: true, is_offline: false, silent, lag: 0 }
    }

    fn led(peers: &[PeerCopy]) -> StreamCopies {
        StreamCopies { stream: StreamKind::Ledger, state: CopiesState::Led { wanted: 3, peers: peers.to_vec() } }
    }

    #[track_caller]
    fn check(copies: &[StreamCopies], servers: usize, expected: &[(Finding, &str)]) {
        let found = of_copies(copies, servers);
        assert_eq!(found.iter().map(|it| (it.finding, it.text.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn server_whose_copies_are_missing_is_named() {
        use Finding::{Ok, Wrong};
        check(&[led(&[peer("n2", 0), peer("n3", 1)])], 3, &[(Ok, "3 of each stream, all up to date")]);
        let silent = "server n3 has said nothing for 9 s: its copies of 2 streams are missing";
        check(&[led(&[peer("n2", 0), peer("n3", 9)]), led(&[peer("n1", 0), peer("n3", 9)])], 3, &[(Wrong, silent)]);
        let offline = PeerCopy { is_offline: true, ..peer("n3", 0) };
        let gone = "server n3 is offline: its copy of 1 stream is missing";
        check(&[led(&[peer("n2", 0), offline])], 3, &[(Wrong, gone)]);
        let behind = PeerCopy { is_current: false, lag: 4_000, ..peer("n3", 0) };
        let lag = "server n3 is 4000 operations behind: its copy of 1 stream is missing";
        check(&[led(&[peer("n2", 0), behind])], 3, &[(Wrong, lag)]);
        let busy = PeerCopy { lag: LAG_MAX, ..peer("n3", 0) };
        check(&[led(&[peer("n2", 0), busy])], 3, &[(Ok, "3 of each stream, all up to date")]);
        check(&[led(&[peer("n2", 0)])], 3, &[(Wrong, "the streams ledger have fewer copies than they should")]);
    }

    #[test]
    fn stream_that_nobody_leads_is_wrong() {
        let state = CopiesState::Leaderless { reason: "no answer".to_owned() };
        let copies = [StreamCopies { stream: StreamKind::Apps, state }];
        check(&copies, 3, &[(Finding::Wrong, "nobody leads the streams apps: they can be neither read nor written")]);
    }

    #[test]
    fn one_copy_in_a_cluster_is_too_few() {
        let copies = [StreamCopies { stream: StreamKind::Apps, state: CopiesState::Led { wanted: 1, peers: vec![] } }];
        assert_eq!(of_copies(&copies, 1)[0].finding, Finding::Ok);
        assert_eq!(of_copies(&copies, 3)[0].finding, Finding::Warning);
    }

    #[test]
    fn room_is_low_before_it_is_gone() {
        let of = |used| of_room(&[StoreUse { used, max: 100 << 20 }]).finding;
        assert_eq!([of(10 << 20), of(80 << 20), of(96 << 20)], [Finding::Ok, Finding::Warning, Finding::Wrong]);
        assert_eq!(of_room(&[]).finding, Finding::Ok);
    }
}

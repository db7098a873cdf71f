//! What becomes of a job when something is wrong with its engine, its image or its container: each fault, what its attempt ends as,
//! and how long after the engine is well again that is known.

mod play;

use std::{fmt, time::Duration};

use tickmesh_core::{
    message::AttemptEvent,
    outcome::{LostReason, Outcome, exit_words},
};

pub use self::play::play;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The engine is stopped in order and started again while the container runs.
    EngineRestarted,
    /// The engine is killed and started again while the container runs.
    EngineKilled,
    /// The engine stands still, and the container exits meanwhile.
    EngineFrozen,
    /// The engine's socket is gone, and the container exits meanwhile.
    SocketGone,
    /// The disk of the engine is full when the container is created, and has room again later.
    DiskFull,
    /// Nobody has the image.
    ImageMissing,
    /// The image does not have the command.
    BadCommand,
    /// The container wants more memory than it may have.
    OutOfMemory,
    /// Somebody removes the container.
    RemovedByHand,
    /// Somebody kills the container.
    KilledByHand,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::EngineRestarted,
        Self::EngineKilled,
        Self::EngineFrozen,
        Self::SocketGone,
        Self::DiskFull,
        Self::ImageMissing,
        Self::BadCommand,
        Self::OutOfMemory,
        Self::RemovedByHand,
        Self::KilledByHand,
    ];

    /// Whether it is done to an engine: to one that the test owns, never to the host's.
    pub fn is_of_engine(self) -> bool {
        match self {
            Self::EngineRestarted | Self::EngineKilled | Self::EngineFrozen | Self::SocketGone | Self::DiskFull => true,
            Self::ImageMissing | Self::BadCommand | Self::OutOfMemory | Self::RemovedByHand | Self::KilledByHand => {
                false
            }
        }
    }

    /// The job's script: it ends by itself where the fault does not end it, or where nobody ends it any more. `None`: there is no such
    /// thing.
    fn command(self) -> Option<&'static str> {
        Some(match self {
            Self::EngineFrozen | Self::SocketGone => "sleep 2; exit 5",
            Self::EngineRestarted | Self::EngineKilled | Self::RemovedByHand => {
                "if [ $$TICKMESH_ATTEMPT = 1 ]; then exec sleep 600; fi"
            }
            Self::KilledByHand => "exec sleep 600",
            Self::DiskFull => "exit 0",
            Self::OutOfMemory => "exec tail /dev/zero",
            Self::ImageMissing => "exit 0",
            Self::BadCommand => return None,
        })
    }

    /// What its attempt and its run end as.
    pub fn is_right(self, measured: &Measured) -> bool {
        let Measured { first, run, attempts, .. } = measured;
        let lost = |why: LostReason| matches!(first, AttemptEvent::Lost { reason } if *reason == why);
        let ran_again = run.is_success() && *attempts == 2;
        let exited = |code: i64| matches!(first, AttemptEvent::Exited { exit_code, .. } if *exit_code == code);
        let failed = |code: i64| {
            exited(code) && matches!(run, Outcome::Failed { exit_code, .. } if *exit_code == code) && *attempts == 1
        };
        let could_not = |hint: &str| match first {
            AttemptEvent::CouldNotStart { reason, permanent: false } => reason.contains(hint),
            AttemptEvent::CouldNotStart { permanent: true, .. }
            | AttemptEvent::Claimed { .. }
            | AttemptEvent::Revoked { .. }
            | AttemptEvent::Returned { .. }
            | AttemptEvent::Cancelled { .. }
            | AttemptEvent::Exited { .. }
            | AttemptEvent::TimedOut { .. }
            | AttemptEvent::Lost { .. } => false,
        };
        match self {
            Self::EngineRestarted | Self::EngineKilled => lost(LostReason::EngineRestarted) && ran_again,
            Self::RemovedByHand => lost(LostReason::ContainerRemoved) && ran_again,
            Self::EngineFrozen | Self::SocketGone => failed(5),
            Self::DiskFull => could_not("no space left") && run.is_success() && *attempts > 1,
            Self::ImageMissing => could_not("image") && run.label() == "could_not_start",
            // It is the container's own init that does not find it.
            Self::BadCommand => failed(127),
            Self::OutOfMemory => failed(137) && matches!(run, Outcome::Failed { out_of_memory: true, .. }),
            Self::KilledByHand => failed(137),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::EngineRestarted => "engine restarted (SIGTERM)",
            Self::EngineKilled => "engine killed (-9) and started",
            Self::EngineFrozen => "engine stands still (SIGSTOP), the container exits with 5 meanwhile",
            Self::SocketGone => "socket of the engine gone, the container exits with 5 meanwhile",
            Self::DiskFull => "disk full, and room again later",
            Self::ImageMissing => "image that nobody has",
            Self::BadCommand => "command that the image does not have",
            Self::OutOfMemory => "more memory wanted than allowed",
            Self::RemovedByHand => "container removed by hand",
            Self::KilledByHand => "container killed by hand",
        })
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Measured {
    /// How the first attempt ended.
    pub first: AttemptEvent,
    /// How the run ended.
    pub run: Outcome,
    /// Attempts that were ordered.
    pub attempts: u32,
    /// From the fault, or from when the engine was well again, until the end that counts was known: of the first attempt, or of the
    /// run where that one could not start.
    pub known_after: Duration,
}

pub fn table(rows: &[(Fault, Measured)]) -> String {
    let mut lines = vec![
        "| what happens | the attempt ends as | the run | attempts | known after |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(rows.iter().map(|(fault, measured)| {
        let Measured { first, run, attempts, known_after } = measured;
        let seconds = known_after.as_secs_f64();
        format!("| {fault} | {} | {} | {attempts} | {seconds:.1} s |", words(first), run.label())
    }));
    lines.join("\n") + "\n"
}

/// An end, as people read it.
fn words(event: &AttemptEvent) -> String {
    match event {
        AttemptEvent::Exited { exit_code, oom_killed, .. } => exit_words(*exit_code, *oom_killed),
        AttemptEvent::Lost { reason } => format!("lost: {reason}"),
        AttemptEvent::CouldNotStart { reason, .. } => format!("could not start: {}", nameless(reason)),
        AttemptEvent::Claimed { .. }
        | AttemptEvent::Revoked { .. }
        | AttemptEvent::Returned { .. }
        | AttemptEvent::Cancelled { .. }
        | AttemptEvent::TimedOut { .. } => format!("{event:?}"),
    }
}

/// A reason without what differs from one play to the next: names of containers, and paths in the engine's own folder.
fn nameless(reason: &str) -> String {
    let is_of_this_play = |word: &str| word.starts_with("tickmesh.test.") || word.starts_with("/tmp/");
    let words = reason.split(' ').map(|word| {
        let bare = word.trim_matches(['`', '"', ':', ',']);
        if is_of_this_play(bare) { word.replace(bare, "...") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ").replace('|', "/").replace('\n', " ")
}

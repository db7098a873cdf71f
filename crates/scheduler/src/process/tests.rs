//! The process alone: events in, effects out. Nothing here waits, and no time passes by itself.

mod damaged_lease;
mod lost_store;
mod wishes;

use jiff::Timestamp;
use rand::SeedableRng as _;
use tickmesh_core::{
    decide::AppContent, fleet::Reservations, id::Epoch, ledger::Ledger, name::AppName, timing::Timing,
};
use tickmesh_messaging::{
    self as messaging, Cas, Entry, LeaseRecord, SchedulerRole,
    lease::{Presence, StreamMark, StreamMarks},
};

use super::*;
use crate::{
    dispatcher::{self, Batches, StateChange},
    effect::Priority,
    error::Failure,
};

const ID: &str = "s1";

/// A process, its clocks, and what the streams hold.
struct World {
    process: Process,
    moment: Moment,
    effects: Vec<Effect>,
    valid_until: Option<Duration>,
    marks: StreamMarks,
    /// Of the last write of the lease.
    renewal: u64,
}

fn start() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

fn failure() -> Failure {
    Failure::new(messaging::Error::Unavailable { action: "ask".to_owned(), source: "no answer".into() })
}

fn mesh() -> MeshId {
    MeshId::from_random([1; 16])
}

impl World {
    fn new() -> Self {
        let settings = Settings {
            id: ID.to_owned(),
            host: "h1".to_owned(),
            timing: Timing::default(),
            reservations: Reservations::default(),
            batches: Batches::default(),
            queue: QueueLimits::default(),
        };
        let (process, first) = Process::begin(settings, StdRng::seed_from_u64(1));
        let moment = Moment { wall: start(), uptime: Duration::from_secs(1_000) };
        let mark = StreamMark { last_sequence: 9, created: Timestamp::UNIX_EPOCH };
        let marks = ["apps", "ledger", "results", "history"].map(|stream| (stream.to_owned(), mark)).into();
        Self { process, moment, effects: first.effects, valid_until: None, marks, renewal: 0 }
    }

    /// Folds an event. `effects` are those that follow from it.
    fn fold(&mut self, event: Event) -> &mut Self {
        let outcome = self.process.fold(event, self.moment);
        (self.effects, self.valid_until) = (outcome.effects, outcome.valid_until);
        for effect in &self.effects {
            if let Effect::WriteLease { record, .. } = effect {
                self.renewal = record.renewal;
            }
        }
        self
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.moment.uptime += time;
        self.moment.wall = tickmesh_core::time::after(self.moment.wall, time);
        self.fold(Event::Woken)
    }

    /// Checks which effects follow, by the beginnings of their debug forms, and what the process does then.
    #[track_caller]
    fn check(&mut self, effects: &[&str], stage: &str) -> &mut Self {
        let found: Vec<String> = self.effects.iter().map(|effect| format!("{effect:?}")).collect();
        let matches =
            found.len() == effects.len() && found.iter().zip(effects).all(|(it, begin)| it.starts_with(begin));
        assert!(matches, "{found:#?} instead of {effects:?}");
        assert_eq!(self.process.stage(), stage);
        self
    }

    fn lease(&self) -> LeaseRecord {
        LeaseRecord { streams: self.marks.clone(), ..LeaseRecord::first("s0", "h0", None) }
    }

    /// Answers the last write of the lease.
    fn lease_written(&mut self, answer: Answer<Box<Cas<LeaseRecord>>>) -> &mut Self {
        self.fold(Event::LeaseWritten(LeaseWritten { renewal: self.renewal, answer }))
    }

    fn stored(&mut self, sequence: u64) -> &mut Self {
        self.lease_written(Ok(Box::new(Cas::Stored { sequence })))
    }

    fn refused(&mut self, revision: u64) -> &mut Self {
        self.lease_written(refusal(revision, LeaseRecord::first("s2", "h2", None)))
    }

    fn look(&mut self) -> &mut Self {
        self.fold(Event::MarksRead(Ok(self.marks.clone())))
    }

    /// Everything up to the point where all that is stored has been read: one ledger, at 5.
    fn standing_by() -> Self {
        let mut world = Self::new();
        let lease = Box::new(world.lease());
        world.check(&["OpenMesh"], "checking");
        world.fold(Event::MeshFound(Ok(mesh()))).check(&["ReadLease"], "checking");
        world.fold(Event::LeaseRead(Ok(Some(lease.clone())))).check(&["ReadMarks"], "checking");
        world.look().check(&["CheckStreams"], "checking");
        world.fold(Event::StreamsChecked(Ok(()))).check(&["Follow(Ledgers)"], "loading");
        let ledger = Box::new(Ledger::new(4, start()));
        let app = AppName::new("nightly").unwrap();
        world.fold(Event::Changed(StateChange::Ledger { app: app.clone(), revision: 5, ledger: Ok(ledger) }));
        let end = |stream, sequence| Event::SnapshotEnd { stream, sequence };
        world.fold(end(StreamKind::Ledger, 5)).check(&["Follow(Agents)", "Follow(Apps"], "loading");
        world.fold(end(StreamKind::Agents, 0)).check(&[], "loading");
        let content = AppContent::Removed;
        world.fold(Event::Changed(StateChange::App { app, revision: 4, at: start(), content })).check(&[], "loading");
        world
            .fold(end(StreamKind::Apps, 4))
            .check(&["ShowRole(StandingBy", "Follow(Lease)", "ReadClock"], "standing by");
        world.read_clock(world.moment.wall).check(&["ShowRole(StandingBy { doubt: None })"], "standing by");
        world.fold(Event::LeaseSeen { revision: 7, record: lease });
        world
    }

    /// The lease has run out, and this process has it, at revision 8.
    fn catching_up() -> Self {
        let mut world = Self::standing_by();
        world.pass(Duration::from_secs(3)).check(&["ReadMarks", "ReadClock"], "taking");
        world.look().check(&["WriteLease"], "taking");
        world.stored(8).check(&["ReadClock", "ReadEnds"], "catching up");
        world
    }

    fn read_clock(&mut self, server: Timestamp) -> &mut Self {
        let reading = Reading { asked: self.moment, server, answered: self.moment };
        self.fold(Event::ClockRead(Ok(reading)))
    }

    fn leading() -> Self {
        let mut world = Self::catching_up();
        world.fold(Event::EndsRead(Ok(ends(5)))).check(&[], "catching up");
        world
            .read_clock(world.moment.wall)
            .check(&["ShowRole(Leading", "Follow(LedgerWrites { after: 5 })"], "leading");
        world.fold(Event::Woken).check(&[], "leading");
        world.fold(Event::Woken).check(&["ReadCatchUpEnd"], "leading");
        let begun = ["Follow(Results { after: 0 })", "Follow(Commands)", "ReadCommandsBegin", "Announce(LeaderChanged"];
        world.fold(Event::CatchUpEndRead(Ok(0))).check(&begun, "leading");
        world
    }

    /// Answers the looks of a process that finds something missing, until it believes it.
    fn lose(&mut self) -> &mut Self {
        self.marks.get_mut("ledger").unwrap().last_sequence = 4;
        for _ in 0..3 {
            let stage = self.process.stage();
            self.look().check(&[], stage);
            self.pass(Duration::from_millis(500));
            assert!(self.effects.iter().any(|effect| matches!(effect, Effect::ReadMarks)), "{:?}", self.effects);
        }
        self.look()
    }
}

fn ends(ledgers: u64) -> Ends {
    [(StreamKind::Ledger, ledgers), (StreamKind::Agents, 0), (StreamKind::Apps, 4)].into()
}

fn refusal(revision: u64, record: LeaseRecord) -> Answer<Box<Cas<LeaseRecord>>> {
    let entry = Entry { key: "leader".to_owned(), sequence: revision, at: start(), value: record };
    Ok(Box::new(Cas::Refused { current: Some(entry) }))
}

#[test]
fn the_tenure_has_the_number_of_the_write_that_took_the_lease() {
    let world = World::leading();
    assert_eq!(world.process.dispatcher().unwrap().tenure().epoch, Epoch(8));
}

#[test]
fn a_lease_that_another_one_took_is_waited_for() {
    let mut world = World::standing_by();
    world.pass(Duration::from_secs(3)).look();
    world.refused(8).check(&[], "standing by");
    world.pass(Duration::from_millis(2_999));
    assert_eq!(world.process.stage(), "standing by");
    world.pass(Duration::from_millis(1)).check(&["ReadMarks"], "taking");
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let mut world = World::standing_by();
    let record = Box::new(LeaseRecord { released: true, ..world.lease() });
    world.fold(Event::LeaseSeen { revision: 8, record }).fold(Event::Woken).check(&["ReadMarks"], "taking");
}

#[test]
fn a_try_to_take_the_lease_without_an_answer_is_repeated() {
    let mut world = World::standing_by();
    world.pass(Duration::from_secs(3)).look();
    world.lease_written(Err(failure())).check(&[], "standing by");
    world.pass(Duration::from_millis(750)).check(&["ReadMarks"], "taking");
}

#[test]
fn a_holder_that_is_gone_is_not_waited_for() {
    let mut world = World::standing_by();
    let heard = |presence| Event::HolderAsked { holder: "s0".to_owned(), presence, connection: 1 };
    world.pass(Duration::from_millis(2_200)).check(&["AskHolder"], "standing by");
    world.fold(heard(Presence::Answers));
    for _ in 0..2 {
        world.pass(Duration::from_millis(150)).check(&["AskHolder"], "standing by");
        world.fold(heard(Presence::Gone));
    }
    world.fold(Event::Woken).check(&["ReadMarks"], "taking");
}

#[test]
fn a_new_connection_says_nothing_of_others_for_a_while() {
    let mut world = World::standing_by();
    let heard = |presence, connection| Event::HolderAsked { holder: "s0".to_owned(), presence, connection };
    world.pass(Duration::from_millis(2_200)).fold(heard(Presence::Answers, 1));
    world.pass(Duration::from_millis(150)).fold(heard(Presence::Gone, 2));
    world.pass(Duration::from_millis(150)).fold(heard(Presence::Gone, 2));
    world.fold(Event::Woken);
    assert_eq!(world.process.stage(), "standing by");
}

#[test]
fn a_renewal_of_unknown_fate_is_sent_again_unchanged() {
    let mut world = World::leading();
    world.pass(Duration::from_millis(750));
    let Some(Effect::WriteLease { record, expected: 8 }) = world.effects.first().cloned() else {
        panic!("{:?}", world.effects)
    };
    world.lease_written(Err(failure()));
    let [Effect::WriteLease { record: again, expected: 8 }] = &world.effects[..] else { panic!("{:?}", world.effects) };
    assert_eq!(*again, record);
    world.stored(9).check(&[], "leading");
    let renewed = world.moment.uptime;
    world.fold(Event::Woken);
    assert_eq!(world.valid_until, Some(renewed + Duration::from_millis(2_250)), "from when it was sent first");
}

#[test]
fn a_leader_with_an_expired_lease_gives_it_back() {
    let mut world = World::leading();
    world.moment.uptime += Duration::from_millis(2_250);
    world.fold(Event::Mesh(dispatcher::Event::Woken));
    world.check(&["Abandon", "ShowRole(Preparing)", "WriteLease"], "stepping down");
    world.stored(9).check(&[], "resting");
    world.pass(Duration::from_secs(1)).check(&["ReadLease"], "checking");
}

#[test]
fn a_refused_renewal_ends_the_tenure() {
    let mut world = World::leading();
    world.pass(Duration::from_millis(750));
    world.refused(9);
    world.check(&["Abandon", "ShowRole(Preparing)"], "resting");
}

#[test]
fn a_leader_that_steps_down_lets_somebody_else_take_the_lease() {
    let mut world = World::leading();
    world.fold(Event::StepDown);
    world.check(&["Abandon", "ShowRole(Preparing)", "WriteLease"], "stepping down");
    let Effect::WriteLease { record, expected: 8 } = &world.effects[2] else { panic!("{:?}", world.effects) };
    assert!(record.released);
    world.stored(9).check(&[], "resting");
    world.pass(Duration::from_millis(2_999)).check(&[], "resting");
    world.pass(Duration::from_millis(1)).check(&["ReadLease"], "checking");
}

#[test]
fn a_release_waits_for_the_renewal_under_way() {
    let mut world = World::leading();
    world.pass(Duration::from_millis(750));
    world.fold(Event::StepDown).check(&["Abandon", "ShowRole(Preparing)"], "stepping down");
    world.stored(9).check(&["WriteLease"], "stepping down");
    let [Effect::WriteLease { record, expected: 9 }] = &world.effects[..] else { panic!("{:?}", world.effects) };
    assert!(record.released);
}

#[test]
fn a_lease_that_cannot_be_given_back_runs_out() {
    let mut world = World::leading();
    world.fold(Event::StepDown).pass(Duration::from_secs(3)).check(&[], "resting");
}

#[test]
fn a_process_that_is_to_stop_gives_its_lease_back_first() {
    let mut world = World::leading();
    world.fold(Event::Shutdown).check(&["Abandon", "ShowRole(Preparing)", "WriteLease"], "stepping down");
    world.stored(9).check(&["End"], "stopped");
    World::standing_by().fold(Event::Shutdown).check(&["Abandon", "End"], "stopped");
}

#[test]
fn a_standby_keeps_what_it_is_asked_to_give() {
    World::standing_by().fold(Event::StepDown).check(&[], "standing by");
}

#[test]
fn a_loss_is_believed_only_after_several_looks() {
    let mut world = World::standing_by();
    world.pass(Duration::from_secs(3)).check(&["ReadMarks", "ReadClock"], "taking");
    world.lose().check(&["Abandon", "ShowRole(Refusing"], "refusing");
    let Effect::ShowRole(SchedulerRole::Refusing { reason, data_lost: true, .. }) = &world.effects[1] else {
        panic!("{:?}", world.effects)
    };
    assert!(reason.contains("stream `ledger` ends at sequence 4, but a scheduler has seen 9"), "{reason}");
    world.pass(Duration::from_secs(5)).check(&["ReadLease"], "checking");
}

#[test]
fn a_loss_that_only_one_look_shows_is_none() {
    let mut world = World::standing_by();
    world.pass(Duration::from_secs(3));
    let whole = world.marks.clone();
    world.marks.get_mut("ledger").unwrap().last_sequence = 4;
    world.look().check(&[], "taking");
    world.marks = whole;
    world.pass(Duration::from_millis(500)).look().check(&["WriteLease"], "taking");
}

#[test]
fn a_leader_finds_that_its_streams_lost_something() {
    let mut world = World::leading();
    world.pass(Duration::from_millis(750)).stored(9);
    world.pass(Duration::from_millis(750)).stored(10);
    world.pass(Duration::from_millis(750)).stored(11);
    world.pass(Duration::from_millis(750)).stored(12);
    world.lose();
    assert_eq!(world.process.stage(), "stepping down");
}

/// What a standby has read counts although no lease says so, even if the lease itself is an older copy.
#[test]
fn a_standby_leads_on_nothing_shorter_than_what_it_has_read() {
    let mut world = World::standing_by();
    let app = AppName::new("nightly").unwrap();
    let ledger = Box::new(Ledger::new(4, start()));
    world.fold(Event::Changed(StateChange::Ledger { app, revision: 10, ledger: Ok(ledger) }));
    world.pass(Duration::from_secs(3)).check(&["ReadMarks", "ReadClock"], "taking");
    world.look().check(&[], "taking");
}

#[test]
fn nobody_leads_where_there_are_ledgers_and_no_lease() {
    let mut world = World::new();
    world.fold(Event::MeshFound(Ok(mesh()))).fold(Event::LeaseRead(Ok(None))).check(&["ReadMarks"], "checking");
    for _ in 0..3 {
        world.look().pass(Duration::from_millis(500)).check(&["ReadMarks"], "checking");
    }
    world.look().check(&["Abandon", "ShowRole(Refusing"], "refusing");
}

#[test]
fn a_new_leader_reads_to_the_ends_of_the_streams_or_gives_up() {
    let mut world = World::catching_up();
    world.read_clock(world.moment.wall).fold(Event::EndsRead(Ok(ends(6))));
    world.check(&[], "catching up");
    for term in 1..40 {
        world.pass(Duration::from_millis(750)).stored(8 + term);
        assert_eq!(world.process.stage(), "catching up");
    }
    world.pass(Duration::from_millis(750)).check(&["Abandon", "ShowRole(Preparing)", "WriteLease"], "stepping down");
}

/// A clock that is far off: nothing is decided by it.
fn off(world: &World) -> Timestamp {
    tickmesh_core::time::before(world.moment.wall, Duration::from_secs(30))
}

/// The answer may be to a question that the process asked as a standby.
#[test]
fn a_clock_that_was_not_read_is_asked_for_again() {
    let mut world = World::catching_up();
    world.fold(Event::ClockRead(Err(failure()))).check(&[], "catching up");
    world.pass(Duration::from_millis(500)).check(&["ReadClock"], "catching up");
}

#[test]
fn a_leader_in_doubt_steps_down_for_one_without() {
    let mut world = World::leading();
    let wrong = off(&world);
    world.read_clock(wrong);
    let seeks = |world: &World| world.effects.iter().any(|effect| matches!(effect, Effect::SeekSuccessor));
    let mut renewals = 0;
    while !seeks(world.pass(Duration::from_millis(750))) {
        renewals += 1;
        world.stored(8 + renewals);
        assert!(renewals < 8, "nobody is sought for 6 s");
    }
    assert_eq!(renewals, 6, "a clock may be set right again within 5 s");
    world.stored(9 + renewals);
    world.fold(Event::SuccessorSought { is_there: false }).check(&[], "leading");
    world.fold(Event::SuccessorSought { is_there: true });
    world.check(&["Abandon", "ShowRole(Preparing)", "WriteLease"], "stepping down");
}

#[test]
fn a_leader_that_trusts_its_clock_again_leads_on() {
    let mut world = World::leading();
    let wrong = off(&world);
    world.read_clock(wrong);
    let right = world.moment.wall;
    world.read_clock(right);
    world.fold(Event::SuccessorSought { is_there: true }).check(&[], "leading");
}

#[test]
fn a_standby_in_doubt_leaves_the_lease_to_others() {
    let mut world = World::standing_by();
    let wrong = off(&world);
    world.read_clock(wrong).check(&["ShowRole(StandingBy { doubt: Some("], "standing by");
    world.read_clock(wrong).check(&[], "standing by");
    let worse = tickmesh_core::time::before(wrong, Duration::from_secs(60));
    world.read_clock(worse).check(&["ShowRole(StandingBy { doubt: Some("], "standing by");
    let mut lease = world.lease();
    lease.released = true;
    world.fold(Event::LeaseSeen { revision: 8, record: Box::new(lease) }).fold(Event::Woken);
    assert_eq!(world.process.stage(), "standing by");
    for _ in 0..5 {
        world.pass(Duration::from_secs(1));
        assert_eq!(world.process.stage(), "standing by");
    }
    // Nobody has: then this one does, and what needs no clock goes on.
    world.pass(Duration::from_secs(1));
    assert_eq!(world.process.stage(), "taking");
}

#[test]
fn a_doubted_clock_is_shown_until_it_agrees() {
    let mut world = World::leading();
    let ahead = tickmesh_core::time::before(world.moment.wall, Duration::from_secs(5));
    let doubted = ["ShowRole(Leading { epoch: Epoch(8), doubt: Some(", "Announce(LeaderDoubted {"];
    world.read_clock(ahead).check(&doubted, "leading");
    let trusted = ["ShowRole(Leading { epoch: Epoch(8), doubt: None", "Announce(LeaderTrusted {"];
    world.read_clock(world.moment.wall).check(&trusted, "leading");
}

#[test]
fn an_outage_is_waited_out_and_a_missing_stream_is_made() {
    let mut world = World::new();
    world.fold(Event::MeshFound(Err(failure()))).check(&["Abandon", "ShowRole(Preparing)"], "resting");
    world.pass(Duration::from_secs(1)).check(&["OpenMesh"], "checking");
    world.fold(Event::MeshFound(Ok(mesh())));
    let gone = messaging::Error::StreamGone { stream: "ticks".to_owned() };
    world.fold(Event::LeaseRead(Err(Failure::new(gone)))).check(&["Abandon", "ShowRole(Refusing"], "refusing");
    world.pass(Duration::from_secs(1)).check(&["FindStreams"], "checking");
    let made = ["MakeMissingStreams { mesh: MeshId(01010101-0101-4101-8101-010101010101), missing: {Ticks} }"];
    world.fold(Event::StreamsFound(Ok([StreamKind::Ticks].into()))).check(&made, "checking");
    world.fold(Event::MeshFound(Ok(mesh()))).check(&["ReadLease"], "checking");
}

#[test]
fn another_mesh_in_the_place_of_the_known_one_is_not_led() {
    let mut world = World::new();
    world.fold(Event::MeshFound(Ok(mesh())));
    let gone = messaging::Error::StreamGone { stream: "ticks".to_owned() };
    world.fold(Event::LeaseRead(Err(Failure::new(gone)))).pass(Duration::from_secs(1));
    world.fold(Event::StreamsFound(Ok([StreamKind::Ticks].into()))).check(&["MakeMissingStreams"], "checking");
    world.fold(Event::MeshFound(Ok(MeshId::from_random([2; 16])))).check(&["Abandon", "ShowRole(Refusing"], "refusing");
}

#[test]
fn ends_of_effects_that_are_not_counted_change_nothing() {
    World::leading().fold(Event::Ended(Priority::Immediate)).check(&[], "leading");
}

#[test]
fn effects_that_come_too_late_end_the_tenure() {
    let mut world = World::leading();
    world.fold(Event::TooLate).check(&["Abandon", "ShowRole(Preparing)", "WriteLease"], "stepping down");
}

#[test]
fn nothing_that_waited_begins_under_a_lease_that_is_too_old() {
    let mut world = World::leading();
    world.moment.uptime += Duration::from_millis(2_250);
    world.fold(Event::Ended(Priority::Urgent));
    assert_eq!(world.process.stage(), "stepping down");
}

#[test]
fn an_answer_to_a_lease_write_of_an_earlier_tenure_is_ignored() {
    let mut world = World::leading();
    let renewal = world.renewal;
    world.fold(Event::StepDown).pass(Duration::from_secs(3)).check(&[], "resting");
    let mut next = World::standing_by();
    next.pass(Duration::from_secs(3)).look().check(&["WriteLease"], "taking");
    next.renewal = renewal + 7;
    next.stored(99).check(&[], "taking");
}

#[test]
fn what_is_written_while_somebody_looks_is_no_loss() {
    let mut world = World::leading();
    for revision in 9..13 {
        world.pass(Duration::from_millis(750)).stored(revision);
    }
    world.fold(Event::Mesh(dispatcher::Event::LedgerSeen {
        app: AppName::new("nightly").unwrap(),
        revision: 30,
        epoch: Epoch(8),
    }));
    // The look had begun when the ledger was written.
    world.look().check(&[], "leading");
    world.pass(Duration::from_millis(500));
    assert!(!world.effects.iter().any(|effect| matches!(effect, Effect::ReadMarks)), "nothing is missing");
}

#[test]
fn a_lease_that_nobody_ever_had_is_taken_at_once() {
    let mut world = World::new();
    world.marks.values_mut().for_each(|mark| mark.last_sequence = 0);
    world.fold(Event::MeshFound(Ok(mesh()))).fold(Event::LeaseRead(Ok(None))).look();
    world.fold(Event::StreamsChecked(Ok(())));
    for stream in [StreamKind::Ledger, StreamKind::Agents, StreamKind::Apps] {
        world.fold(Event::SnapshotEnd { stream, sequence: 0 });
    }
    world.check(&["ShowRole(StandingBy", "Follow(Lease)", "ReadClock"], "standing by");
    world.fold(Event::SnapshotEnd { stream: StreamKind::Lease, sequence: 0 });
    // Its clock could be wrong, and that of another standby right.
    world.fold(Event::Woken).check(&[], "standing by");
    world.read_clock(world.moment.wall);
    world.fold(Event::Woken).check(&["ReadMarks"], "taking");
}

//! Which event concerns which stage. What comes for a stage that is over changes nothing.

use std::time::Duration;

use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_core::agent_wish::WishAnswer;
use tickmesh_messaging::{Cas, LeaseRecord, SchedulerRole, StreamKind, lease::StreamMarks};
use tracing::info;

use super::{
    Process, Reading, Stage, Standby,
    catching_up::CatchingUp,
    checking::Checking,
    clock_watch::ClockWatch,
    election::Election,
    held_lease::{HeldLease, LeaseLost},
    io::{Answer, Ends, Event, LeaseWritten},
    leader::Leader,
    reason::End,
    standby::StandbyCopy,
};
use crate::{
    clock::Moment,
    dispatcher::StateChange,
    effect::{Effect, Source, Wish},
    error::Error,
};

type Folded = Result<Vec<Effect>, End>;

impl Process {
    pub(super) fn folded(&mut self, event: Event, moment: Moment) -> Folded {
        let now = moment.uptime;
        match event {
            Event::Changed(change) => self.changed(change, moment),
            Event::Passed { stream, sequence } => self.passed(stream, sequence, moment),
            Event::SnapshotEnd { stream, sequence } => self.snapshot_end(stream, sequence, moment),
            Event::Mesh(event) => self.lead(|leader| leader.handle(event, moment)),
            Event::FollowEnded(error) => Err(End::Broken(Error::Follow(error))),
            Event::LeaseSeen { revision, record } => Ok(self.lease_seen(revision, *record, now)),
            Event::LeaseDamaged { revision } => Ok(self.stand_by(|standby| standby.election.damaged(revision, now))),
            Event::HolderAsked { holder, presence, connection } => {
                Ok(self.stand_by(|standby| standby.election.probed(&holder, presence, connection, now)))
            }
            Event::MeshFound(answer) => self.mesh_found(answer),
            Event::StreamsFound(answer) => self.streams_found(answer, now),
            Event::LeaseRead(answer) => self.lease_read(answer, now),
            Event::MarksRead(answer) => self.marks_read(answer, now),
            Event::StreamsChecked(answer) => self.streams_checked(answer, now),
            Event::LeaseWritten(written) => self.lease_written(written, moment),
            Event::EndsRead(answer) => self.ends_read(answer, moment),
            Event::ClockRead(answer) => self.clock_read(answer, moment),
            Event::SuccessorSought { is_there } => self.lead(|leader| leader.successor_sought(is_there)),
            Event::CatchUpEndRead(answer) => self.lead(|leader| leader.catch_up_end_read(answer, moment)),
            Event::Ended(priority) => self.lead(|leader| leader.ended(priority, now)),
            Event::AgentWished(wish) => self.wished(wish, now),
            Event::WishCarriedOut { id, answer } => self.lead(|leader| Ok(leader.wish_carried_out(id, answer))),
            Event::TooLate => self.lead(|_| Err(End::LeaseLost)),
            Event::StepDown => self.step_down(),
            Event::Shutdown => Err(End::Shutdown),
            Event::Woken => self.woken(moment),
        }
    }

    /// Lets a leader do something.
    fn lead(&mut self, act: impl FnOnce(&mut Leader) -> Folded) -> Folded {
        if let Stage::Leading(leader) = &mut self.stage { act(leader) } else { Ok(Vec::new()) }
    }

    /// Tells a standby something.
    fn stand_by(&mut self, act: impl FnOnce(&mut Standby)) -> Vec<Effect> {
        if let Stage::Standby(standby) = &mut self.stage {
            act(standby);
        }
        Vec::new()
    }

    /// The copy of the mesh's state, as long as this process keeps one.
    fn copy(&mut self) -> Option<&mut StandbyCopy> {
        match &mut self.stage {
            Stage::Loading(loading) => Some(&mut loading.copy),
            Stage::Standby(standby) => Some(&mut standby.copy),
            Stage::CatchingUp(catching_up) => Some(&mut catching_up.copy),
            Stage::Checking(_)
            | Stage::Leading(_)
            | Stage::SteppingDown(_)
            | Stage::Resting { .. }
            | Stage::Refusing { .. }
            | Stage::Stopped => None,
        }
    }

    fn changed(&mut self, change: StateChange, moment: Moment) -> Folded {
        if let Stage::Leading(leader) = &mut self.stage {
            return leader.changed(change, moment);
        }
        if let Some(copy) = self.copy() {
            copy.change(change);
        }
        self.lead_once_caught_up(moment)
    }

    fn passed(&mut self, stream: StreamKind, sequence: u64, moment: Moment) -> Folded {
        if let Some(copy) = self.copy() {
            copy.passed(stream, sequence);
        }
        self.lead_once_caught_up(moment)
    }

    fn snapshot_end(&mut self, stream: StreamKind, sequence: u64, moment: Moment) -> Folded {
        if let (Stage::Standby(standby), StreamKind::Lease) = (&mut self.stage, stream) {
            standby.election.absent(moment.uptime);
        }
        let mut effects = self.passed(stream, sequence, moment)?;
        if let Stage::Loading(loading) = &mut self.stage {
            effects.extend(loading.read(stream));
            if loading.is_complete() {
                effects.extend(self.loaded(moment.uptime)?);
            }
        }
        Ok(effects)
    }

    /// All is read: this process stands by, unless a ledger goes by a file that is gone.
    fn loaded(&mut self, now: Duration) -> Folded {
        let Stage::Loading(loading) = std::mem::replace(&mut self.stage, Stage::Stopped) else { return Ok(Vec::new()) };
        let apps = loading.copy.apps_lost(&loading.folded);
        if !apps.is_empty() {
            return Err(End::Broken(Error::AppsLost { apps }));
        }
        info!(scheduler = self.settings.id, "standing by");
        let election = Election::new(&self.settings, now);
        let clock = ClockWatch::of_standby(self.settings.timing.lease);
        let role = SchedulerRole::StandingBy { doubt: clock.doubt().map(ToOwned::to_owned) };
        self.stage = Stage::Standby(Box::new(Standby { copy: loading.copy, election, clock }));
        Ok(vec![Effect::ShowRole(role), Effect::Follow(Source::Lease), Effect::ReadClock])
    }

    fn lease_seen(&mut self, revision: u64, record: LeaseRecord, now: Duration) -> Vec<Effect> {
        let Stage::Standby(standby) = &mut self.stage else { return Vec::new() };
        self.marks.see(record.acceptance, &record.streams);
        standby.election.observe(revision, record, now);
        Vec::new()
    }

    fn marks_read(&mut self, answer: Answer<StreamMarks>, now: Duration) -> Folded {
        if let Stage::Leading(leader) = &mut self.stage {
            return leader.marks_read(answer, &mut self.marks, now).map(|()| Vec::new());
        }
        if let Stage::Standby(standby) = &mut self.stage {
            let write = standby.election.marks_read(answer, &mut self.marks, now).map_err(End::Broken)?;
            return Ok(write.into_iter().collect());
        }
        self.looked(answer, now)
    }

    fn streams_checked(&mut self, answer: Answer<()>, now: Duration) -> Folded {
        if let Stage::Leading(leader) = &mut self.stage {
            return leader.streams_checked(answer, now).map(|()| Vec::new());
        }
        self.checked(answer)
    }

    fn lease_written(&mut self, written: LeaseWritten, moment: Moment) -> Folded {
        if let Ok(Cas::Refused { current: Some(current) }) = written.answer.as_deref() {
            self.marks.see(current.value.acceptance, &current.value.streams);
        }
        if let Stage::Standby(standby) = &mut self.stage {
            let held = standby.election.written(written, moment.uptime).map_err(End::Broken)?;
            return Ok(held.map(|lease| self.catch_up(lease, moment)).unwrap_or_default());
        }
        if let Some(lease) = self.lease() {
            let again = lease.written(written).map_err(|LeaseLost| End::LeaseLost)?;
            return Ok(again.into_iter().collect());
        }
        Ok(self.given_back(written, moment.uptime))
    }

    /// The lease, while this process acts under it.
    fn lease(&mut self) -> Option<&mut HeldLease> {
        match &mut self.stage {
            Stage::CatchingUp(catching_up) => Some(&mut catching_up.lease),
            Stage::Leading(leader) => Some(&mut leader.lease),
            Stage::Checking(_)
            | Stage::Loading(_)
            | Stage::Standby(_)
            | Stage::SteppingDown(_)
            | Stage::Resting { .. }
            | Stage::Refusing { .. }
            | Stage::Stopped => None,
        }
    }

    /// The lease is this process's.
    fn catch_up(&mut self, lease: HeldLease, moment: Moment) -> Vec<Effect> {
        let Stage::Standby(standby) = std::mem::replace(&mut self.stage, Stage::Stopped) else { return Vec::new() };
        let random = StdRng::from_rng(&mut self.random);
        let moment = standby.clock.by_server(moment);
        let (catching_up, effects) = CatchingUp::begin(&self.settings, lease, standby.copy, random, moment);
        self.stage = Stage::CatchingUp(Box::new(catching_up));
        effects
    }

    fn ends_read(&mut self, answer: Answer<Ends>, moment: Moment) -> Folded {
        if let Stage::CatchingUp(catching_up) = &mut self.stage {
            catching_up.ends_read(answer)?;
        }
        self.lead_once_caught_up(moment)
    }

    fn clock_read(&mut self, answer: Answer<Reading>, moment: Moment) -> Folded {
        if let Stage::Leading(leader) = &mut self.stage {
            return leader.clock_read(answer, moment);
        }
        if let Stage::Standby(standby) = &mut self.stage {
            return Ok(standby.clock_read(answer, moment).into_iter().collect());
        }
        if let Stage::CatchingUp(catching_up) = &mut self.stage {
            catching_up.clock_read(answer, moment.uptime);
        }
        self.lead_once_caught_up(moment)
    }

    /// A new leader that has read to the ends of the streams leads.
    fn lead_once_caught_up(&mut self, moment: Moment) -> Folded {
        let Stage::CatchingUp(catching_up) = &self.stage else { return Ok(Vec::new()) };
        let Some(reading) = catching_up.is_complete() else { return Ok(Vec::new()) };
        if let Stage::CatchingUp(catching_up) = std::mem::replace(&mut self.stage, Stage::Stopped) {
            let leader = Leader::new(&self.settings, *catching_up, moment.uptime);
            self.stage = Stage::Leading(Box::new(leader));
        }
        self.lead(|leader| leader.begin(&reading, moment))
    }

    /// Carries out a wish about an agent if this process leads: who does not lead may be mistaken about who
    /// does, and another leader's wishes must not be undone.
    fn wished(&mut self, wish: Wish, now: Duration) -> Folded {
        match &mut self.stage {
            Stage::Leading(leader) => leader.wished(wish, now),
            Stage::Checking(_)
            | Stage::Loading(_)
            | Stage::Standby(_)
            | Stage::CatchingUp(_)
            | Stage::SteppingDown(_)
            | Stage::Resting { .. }
            | Stage::Refusing { .. }
            | Stage::Stopped => Ok(vec![Effect::AnswerWish { id: wish.id, answer: WishAnswer::NotLeading }]),
        }
    }

    /// Ends the tenure on request. A process that does not lead ignores the request.
    fn step_down(&mut self) -> Folded {
        if self.lease().is_some() { Err(End::SteppedDown) } else { Ok(Vec::new()) }
    }

    fn woken(&mut self, moment: Moment) -> Folded {
        let now = moment.uptime;
        match &mut self.stage {
            Stage::Checking(Checking::Looking { looks, .. }) => Ok(looks.woken(&self.marks, now).into_iter().collect()),
            Stage::Checking(Checking::Seeking(looks)) => {
                Ok(looks.woken(self.mesh.is_some(), now).into_iter().collect())
            }
            Stage::Standby(standby) => standby.woken(&self.marks, moment).map_err(End::Broken),
            Stage::CatchingUp(catching_up) => catching_up.woken(now),
            Stage::Leading(leader) => leader.woken(&self.marks, moment),
            Stage::SteppingDown(stepping_down) if stepping_down.until <= now => Ok(self.stepped_down(now)),
            Stage::Resting { until } | Stage::Refusing { until } if *until <= now => Ok(self.check()),
            Stage::Checking(Checking::Asked)
            | Stage::Loading(_)
            | Stage::SteppingDown(_)
            | Stage::Resting { .. }
            | Stage::Refusing { .. }
            | Stage::Stopped => Ok(Vec::new()),
        }
    }

    /// Notes how far an event shows a durable stream to be: this process leads on nothing shorter.
    pub(super) fn note_progress(&mut self, event: &Event) {
        let progress = match event {
            Event::Changed(change) => change.progress(),
            Event::Mesh(event) => event.progress(),
            Event::Passed { stream, sequence } | Event::SnapshotEnd { stream, sequence } => Some((*stream, *sequence)),
            Event::FollowEnded(_)
            | Event::LeaseSeen { .. }
            | Event::LeaseDamaged { .. }
            | Event::MeshFound(_)
            | Event::StreamsFound(_)
            | Event::StreamsChecked(_)
            | Event::LeaseRead(_)
            | Event::LeaseWritten(_)
            | Event::HolderAsked { .. }
            | Event::MarksRead(_)
            | Event::EndsRead(_)
            | Event::CatchUpEndRead(_)
            | Event::ClockRead(_)
            | Event::SuccessorSought { .. }
            | Event::Ended(_)
            | Event::AgentWished(_)
            | Event::WishCarriedOut { .. }
            | Event::TooLate
            | Event::StepDown
            | Event::Shutdown
            | Event::Woken => None,
        };
        if let Some((stream, sequence)) = progress {
            self.marks.saw(stream.as_str(), sequence);
        }
    }
}

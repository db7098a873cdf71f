//! How a leader begins: its dispatcher is told of the state, and makes what is under way its own. Both go
//! through the apps in portions, between which the lease is renewed.
//!
//! ```text
//!   Telling --all told--> ReadingEnd --> TakingOver --every app asked--> Over
//! ```

use tickmesh_core::message::MeshEvent;
use tracing::info;

use super::{
    io::Answer,
    leader::{Leader, Start},
    reason::End,
    standby::seen,
};
use crate::{
    clock::Moment,
    dispatcher::{Event, StateChange},
    effect::{Effect, Source},
    error::Error,
};

impl Leader {
    /// Whether the leader has something to do before it may wait for anything.
    pub(super) fn is_starting(&self) -> bool {
        match self.start {
            Start::Telling(_) | Start::TakingOver => true,
            Start::ReadingEnd | Start::Over => false,
        }
    }

    /// Goes on with the next portion of apps.
    pub(super) fn go_on_starting(&mut self, moment: Moment) -> Result<Vec<Effect>, End> {
        match &mut self.start {
            Start::Telling(telling) => {
                let portion: Vec<Event> = telling.by_ref().take(self.settings.batches.round).collect();
                if portion.is_empty() {
                    self.start = Start::ReadingEnd;
                    return Ok(vec![Effect::ReadCatchUpEnd]);
                }
                self.handle_all(portion, moment)
            }
            Start::TakingOver => {
                let mut effects = self.handle(Event::Woken, moment)?;
                effects.extend(self.taken_over(moment));
                Ok(effects)
            }
            Start::ReadingEnd | Start::Over => Ok(Vec::new()),
        }
    }

    /// Takes a change in. While the dispatcher is being told of the state, the change is told after it.
    pub(super) fn changed(&mut self, change: StateChange, moment: Moment) -> Result<Vec<Effect>, End> {
        if let Start::Telling(telling) = &mut self.start {
            telling.add(change);
            return Ok(Vec::new());
        }
        self.handle(seen(change), moment)
    }

    /// Takes where the results end: from there on, results are news.
    pub(super) fn catch_up_end_read(&mut self, answer: Answer<u64>, moment: Moment) -> Result<Vec<Effect>, End> {
        let results_end = answer.map_err(|error| End::Broken(Error::Load(error)))?;
        self.start = Start::TakingOver;
        let mut effects = self.handle(Event::Loaded { results_end }, moment)?;
        effects.extend(self.taken_over(moment));
        Ok(effects)
    }

    /// Once every app is taken over, the leader hears of results and commands.
    fn taken_over(&mut self, moment: Moment) -> Vec<Effect> {
        if !self.dispatcher.has_taken_over() {
            return Vec::new();
        }
        self.start = Start::Over;
        let took = moment.uptime.saturating_sub(self.began);
        info!(epoch = %self.tenure.epoch, took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "took over");
        let (leader, host) = (self.settings.id.clone(), self.settings.host.clone());
        let changed = MeshEvent::LeaderChanged { leader, host, epoch: self.tenure.epoch };
        let follow = [Source::Results { after: self.dispatcher.results_through() }, Source::Commands];
        let effects =
            follow.map(Effect::Follow).into_iter().chain([Effect::ReadCommandsBegin, Effect::Announce(changed)]);
        effects.filter_map(|effect| self.queue.push(effect)).collect()
    }
}

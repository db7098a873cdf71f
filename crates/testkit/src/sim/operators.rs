//! People: they apply, remove, command and drain, now and then with an old view of things.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rand::RngExt as _;
use tickmesh_core::{
    agent_wish::AgentWish,
    decide::AppContent,
    id::RequestId,
    message::{Command, CommandKind, SCHEMA},
    name::{AgentName, AppName},
    time,
};
use tickmesh_messaging::UNFOLDED_EDITS_MAX;

use super::{
    context::SimContext,
    event::SimEvent,
    faults::Fault,
    generators::{self, Edition, View},
    net::{Kind, Record, Stored},
    reference_schedules::RHYTHMS,
    wishes::Wishes,
};

/// Commands of one app at most: fewer than a ledger's ring of requests holds, so that the verdict on each is there to be
/// looked at in the end.
const COMMANDS_MAX: u32 = 50;

/// Edits of one app at most that no leader has folded, as production has it. One place is left for the last edit of all.
const UNFOLDED_MAX: usize = UNFOLDED_EDITS_MAX - 1;

/// Longest time that somebody who drains a host gives to what runs there: some of it takes longer.
const DRAIN_DEADLINE_MAX: Duration = Duration::from_secs(40);

/// Whether every host has an agent's name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hosts {
    Settled,
    /// Two have one name: what goes on without a mesh on one of them would wait for ever while the other has the name.
    Contested,
}

#[derive(Debug, Clone)]
pub(super) struct Operators {
    apps: BTreeMap<AppName, Managed>,
    hosts: Hosts,
    editions: u64,
    pub(super) wishes: Wishes,
}

/// An app as people know it.
#[derive(Debug, Clone, Default)]
struct Managed {
    /// Revisions of the app, oldest first.
    revisions: Vec<u64>,
    removed: bool,
    commands: u32,
}

impl Operators {
    pub(super) fn new(apps: impl IntoIterator<Item = AppName>, hosts: Hosts) -> Self {
        Self {
            hosts,
            apps: apps.into_iter().map(|app| (app, Managed::default())).collect(),
            editions: 0,
            wishes: Wishes::default(),
        }
    }

    /// What people stored since the copy is gone, and they know.
    pub(super) fn restore(&mut self, copy: Self) {
        let Self { apps, hosts: _, editions: _, wishes: _ } = copy;
        for (app, before) in apps {
            if let Some(managed) = self.apps.get_mut(&app) {
                *managed = Managed { commands: managed.commands, ..before };
            }
        }
    }

    /// Somebody does something, and somebody will again. On a store that lost data, or is lost, nobody does.
    pub(super) fn act(&mut self, context: &mut SimContext) {
        if !context.net.regressed && !context.net.is_lost {
            self.act_now(context);
        }
        let pause = context.between(Duration::from_millis(100), Duration::from_secs(9));
        context.later(pause, SimEvent::Operators);
    }

    fn act_now(&mut self, context: &mut SimContext) {
        let apps: Vec<AppName> = self.apps.keys().cloned().collect();
        let app = &apps[context.random.random_range(0..apps.len())];
        match context.random.random_range(0..20) {
            _ if self.apps[app].revisions.is_empty() => self.apply(context, app),
            0..13 => self.command(context, app),
            _ if self.unfolded(context, app) >= UNFOLDED_MAX => {}
            13..17 => self.apply(context, app),
            17 => self.remove(context, app),
            18 => self.spoil(context, app),
            _ if context.random.random_ratio(1, 4) => self.forget(context),
            _ => self.drain(context),
        }
    }

    /// Revisions of an app that the stored ledger has not folded.
    fn unfolded(&self, context: &SimContext, app: &AppName) -> usize {
        let stored = context.net.stream(Kind::Ledger).last(app.as_str());
        let folded = stored.and_then(|stored| stored.record.ledger().map(|ledger| ledger.app_revision)).unwrap_or(0);
        self.apps[app].revisions.iter().filter(|revision| **revision > folded).count()
    }

    pub(super) fn apply(&mut self, context: &mut SimContext, app: &AppName) {
        let rhythm = (!context.random.random_ratio(1, 8)).then(|| context.random.random_range(0..RHYTHMS.len()));
        let fault = match &self.apps[app] {
            managed if managed.revisions.is_empty() => None,
            managed if managed.removed => Some(Fault::AppReturned),
            _ => Some(Fault::AppEdited),
        };
        fault.into_iter().for_each(|fault| context.count(fault));
        let edition = generators::edition(self.next_edition(), app, rhythm, self.hosts, &mut context.random);
        self.store(context, app, edition);
    }

    pub(super) fn remove(&mut self, context: &mut SimContext, app: &AppName) {
        context.count(Fault::AppRemoved);
        let edition = generators::without_spec(self.next_edition(), app, AppContent::Removed);
        self.store(context, app, edition);
    }

    /// The file of an app is gone, and somebody accepts that it counts as removed.
    pub(super) fn accept_lost(&mut self, context: &mut SimContext, app: &AppName) {
        if let Some(managed) = self.apps.get_mut(app) {
            managed.revisions.clear();
        }
        let edition = generators::without_spec(self.next_edition(), app, AppContent::Removed);
        self.store(context, app, edition);
    }

    fn spoil(&mut self, context: &mut SimContext, app: &AppName) {
        context.count(Fault::FileInvalid);
        let content = AppContent::Invalid { reason: "line 3: no".to_owned() };
        let edition = generators::without_spec(self.next_edition(), app, content);
        self.store(context, app, edition);
    }

    /// No app falls due any more.
    pub(super) fn unschedule_all(&mut self, context: &mut SimContext) {
        let apps: Vec<AppName> = self.apps.keys().cloned().collect();
        for app in apps {
            if context.random.random_ratio(1, 4) {
                self.remove(context, &app);
            } else {
                let edition = generators::edition(self.next_edition(), &app, None, self.hosts, &mut context.random);
                self.store(context, &app, edition);
                self.send(context, &app, CommandKind::Resume);
            }
        }
    }

    fn store(&mut self, context: &mut SimContext, app: &AppName, edition: Edition) {
        let removed = matches!(edition.content, AppContent::Removed);
        let revision = context.store(Kind::Apps, &app.as_str().into(), Record::App(Arc::new(edition)), None);
        if let Some(managed) = self.apps.get_mut(app) {
            managed.revisions.extend(revision);
            managed.removed = removed;
        }
    }

    fn command(&mut self, context: &mut SimContext, app: &AppName) {
        if self.apps[app].commands < COMMANDS_MAX {
            let history = context.net.stream(Kind::History).last(app.as_str());
            let last_run = history.and_then(|stored| stored.record.history().map(|summary| summary.run)).unwrap_or(0);
            let kind = generators::command(View { last_run }, &mut context.random);
            self.send(context, app, kind);
        }
    }

    fn send(&mut self, context: &mut SimContext, app: &AppName, kind: CommandKind) {
        let outdated = context.mishap(Fault::CommandOutdated);
        let Some(managed) = self.apps.get_mut(app) else { return };
        managed.commands += 1;
        let back = if outdated { context.random.random_range(0..managed.revisions.len()) } else { 0 };
        let app_revision = managed.revisions.iter().rev().nth(back).copied().unwrap_or(0);
        let (request, at) = (RequestId::from_random(context.random_bytes()), context.server_time());
        let command =
            Command { schema: SCHEMA, request, app: app.clone(), app_revision, by: "ann@desk".to_owned(), at, kind };
        let record = Record::Command(Arc::new(command));
        context.store(Kind::Commands, &app.as_str().into(), record.clone(), None);
        // The server drops a repeat for as long as it remembers the id.
        if context.mishap(Fault::CommandRepeated) && context.mishap(Fault::IdForgotten) {
            context.store(Kind::Commands, &app.as_str().into(), record, None);
        }
    }

    /// Somebody wishes that an agent drains, or does not any more.
    fn drain(&mut self, context: &mut SimContext) {
        let Some(key) = some_agent(context) else { return };
        let Some(record) = key.record.agent() else { return };
        let wish = if record.draining {
            AgentWish::Undrain
        } else {
            let has_deadline = context.random.random_ratio(1, 2);
            AgentWish::drain(has_deadline.then(|| context.between(Duration::ZERO, DRAIN_DEADLINE_MAX)))
        };
        self.wishes.begin(context, &record.agent, wish);
    }

    /// Somebody says that an agent's host is gone for good: of one that has been silent for long, if there is one. It may come back all
    /// the same.
    fn forget(&mut self, context: &mut SimContext) {
        let (now, lost) = (context.server_time(), context.timing.lost);
        let mut keys = context.net.stream(Kind::Agents).last_per_subject();
        keys.retain(|key| time::after(key.at, lost) <= now);
        let Some(key) = keys.into_iter().next().or_else(|| some_agent(context)) else { return };
        let is_forgotten = key.record.agent().is_some_and(|record| record.forgotten);
        if let (Ok(agent), false) = (AgentName::new(&*key.subject), is_forgotten) {
            self.wishes.begin(context, &agent, AgentWish::Forget);
        }
    }

    /// Nobody is to drain any more.
    pub(super) fn undrain_all(&mut self, context: &mut SimContext) {
        for key in context.net.stream(Kind::Agents).last_per_subject() {
            if let Some(record) = key.record.agent().filter(|record| record.draining) {
                self.wishes.begin(context, &record.agent, AgentWish::Undrain);
            }
        }
    }

    fn next_edition(&mut self) -> u64 {
        self.editions += 1;
        self.editions
    }
}

fn some_agent(context: &mut SimContext) -> Option<Stored> {
    let mut keys = context.net.stream(Kind::Agents).last_per_subject();
    if keys.is_empty() {
        return None;
    }
    let index = context.random.random_range(0..keys.len());
    Some(keys.swap_remove(index))
}

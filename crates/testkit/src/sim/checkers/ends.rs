//! What an agent says of the end of a container is what its engine saw: the code, and that it was not the guard (protocol rule P16).

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use tickmesh_agent::engine::ContainerId;
use tickmesh_core::{
    id::AttemptId,
    message::{AttemptEvent, AttemptReport},
};

use super::Sighting;

/// Who ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Ender {
    /// It ended itself, its agent stopped it, or its engine went down.
    Other,
    /// The guard, and it, or its file, is there to tell.
    Guard,
}

#[derive(Debug, Default)]
pub(super) struct Ends {
    alive: BTreeMap<ContainerId, (usize, AttemptId)>,
    exits: BTreeMap<AttemptId, Exit>,
}

#[derive(Debug)]
struct Exit {
    host: usize,
    code: i64,
    ender: Ender,
}

impl Ends {
    pub(super) fn started(&mut self, sighting: &Sighting<'_>) {
        self.alive.insert(sighting.container.clone(), (sighting.host, sighting.attempt.clone()));
    }

    pub(super) fn exited(&mut self, container: &ContainerId, code: i64, ender: Ender) {
        if let Some((host, attempt)) = self.alive.remove(container) {
            self.exits.insert(attempt, Exit { host, code, ender });
        }
    }

    /// What guards knew of a host is gone with its boot.
    pub(super) fn rebooted(&mut self, host: usize) {
        for exit in self.exits.values_mut().filter(|exit| exit.host == host) {
            exit.ender = Ender::Other;
        }
    }

    /// A message about an attempt was stored.
    pub(super) fn reported(&self, report: &AttemptReport) -> anyhow::Result<()> {
        let code = match &report.event {
            AttemptEvent::Exited { exit_code, .. } => *exit_code,
            AttemptEvent::TimedOut { exit_code, .. } | AttemptEvent::Cancelled { exit_code } => match exit_code {
                Some(code) => *code,
                None => return Ok(()),
            },
            AttemptEvent::Claimed { .. }
            | AttemptEvent::Revoked { .. }
            | AttemptEvent::Returned { .. }
            | AttemptEvent::CouldNotStart { .. }
            | AttemptEvent::Lost { .. } => return Ok(()),
        };
        let exit = self.exits.get(&report.attempt).context("no container of it has exited")?;
        ensure!(exit.code == code, "its container exited with {}", exit.code);
        let is_told_as_its_own = matches!(report.event, AttemptEvent::Exited { .. });
        ensure!(exit.ender == Ender::Other || !is_told_as_its_own, "P16: it was killed by the guard");
        Ok(())
    }
}

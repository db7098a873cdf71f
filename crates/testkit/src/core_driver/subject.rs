//! Streams as JetStream has them: every message gets the next sequence, and may be conditional on the sequence of its
//! subject's last message.

use std::collections::BTreeMap;

use tickmesh_core::{id::AttemptId, message::AttemptReport, name::AgentName};

/// A conditional write that came too late: the sequence of the subject's last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) last_sequence: u64,
}

/// One subject that is all of its stream.
#[derive(Debug)]
pub(super) struct Subject<T> {
    pub(super) messages: Vec<T>,
}

impl<T> Default for Subject<T> {
    fn default() -> Self {
        Self { messages: Vec::new() }
    }
}

impl<T> Subject<T> {
    pub(super) fn last_sequence(&self) -> u64 {
        self.messages.len() as u64
    }

    pub(super) fn publish(&mut self, message: T, expected: u64) -> Result<u64, Refused> {
        if expected != self.last_sequence() {
            return Err(Refused { last_sequence: self.last_sequence() });
        }
        self.messages.push(message);
        Ok(self.last_sequence())
    }
}

/// The stream `results`: a subject for each attempt and agent that writes about it. Only one agent has a right to.
#[derive(Debug, Default)]
pub(super) struct Results {
    messages: Vec<AttemptReport>,
    last: BTreeMap<(AttemptId, AgentName), u64>,
}

impl Results {
    pub(super) fn last_sequence(&self) -> u64 {
        self.messages.len() as u64
    }

    /// The message at a sequence that was given out.
    pub(super) fn at(&self, sequence: u64) -> &AttemptReport {
        &self.messages[sequence as usize - 1]
    }

    /// Last message of an agent about an attempt.
    pub(super) fn last(&self, attempt: &AttemptId, agent: &AgentName) -> Option<(u64, &AttemptReport)> {
        let sequence = *self.last.get(&(attempt.clone(), agent.clone()))?;
        Some((sequence, self.at(sequence)))
    }

    pub(super) fn publish(&mut self, report: AttemptReport, expected: u64) -> Result<u64, Refused> {
        let subject = (report.attempt.clone(), report.agent.clone());
        let last_sequence = self.last.get(&subject).copied().unwrap_or(0);
        if expected != last_sequence {
            return Err(Refused { last_sequence });
        }
        self.last.insert(subject, self.last_sequence() + 1);
        self.messages.push(report);
        Ok(self.last_sequence())
    }
}

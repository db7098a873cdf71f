//! What became of something that was asked for: a sentence for people, data for programs.

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_core::{
    id::{RequestId, RunNumber},
    name::{AgentName, AppName},
};

use super::{Style, View};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Done {
    /// The app is stored, as this revision.
    Applied,
    /// The app is as it was.
    Unchanged,
    /// The app would be stored, and there is none yet.
    WouldBeNew,
    /// The app would be another one.
    WouldChange,
    /// The app is removed.
    Removed,
    /// The app would be removed.
    WouldBeRemoved,
    /// The request is stored, and no leader has answered yet.
    Stored,
    /// The run began.
    Started,
    /// The run waits for its start.
    Waiting,
    /// The run is being stopped.
    Stopping,
    /// The run ended.
    Ended,
    /// The app is paused.
    Paused,
    /// The app goes on.
    Resumed,
    /// The queue is empty.
    Flushed,
    /// The agent takes no new work.
    Draining,
    /// Nothing runs on the agent any more.
    Drained,
    /// The agent takes new work again.
    Undrained,
    /// The agent has left the lists.
    Forgotten,
}

/// What was done, and to what.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DoneView {
    pub done: Done,
    /// The app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The app's revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The run's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunNumber>,
    /// Its place in the queue, or how many were thrown out of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u32>,
    /// Instants that passed while the app was paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
    /// How the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// Containers that still run on the agent, where it has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<usize>,
    /// When the app falls due next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Timestamp>,
    /// The request that the leader answered, or will.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The line for people.
    #[serde(skip)]
    pub text: String,
}

impl DoneView {
    /// Something done to an app.
    pub(crate) fn app(done: Done, app: &AppName, text: impl Into<String>) -> Self {
        Self { app: Some(app.to_string()), ..Self::new(done, text.into()) }
    }

    /// Something done to an agent.
    pub(crate) fn agent(done: Done, agent: &AgentName, text: impl Into<String>) -> Self {
        Self { agent: Some(agent.to_string()), ..Self::new(done, text.into()) }
    }

    /// What nobody has answered yet. People are told on stderr, since nothing is done so far.
    pub(crate) fn stored(app: &AppName, request: RequestId) -> Self {
        Self::app(Done::Stored, app, "").of(request)
    }

    /// With the request that it came of.
    pub(crate) fn of(self, request: RequestId) -> Self {
        Self { request: Some(request.0.to_string()), ..self }
    }

    fn new(done: Done, text: String) -> Self {
        Self {
            done,
            app: None,
            agent: None,
            revision: None,
            run: None,
            waiting: None,
            skipped: None,
            outcome: None,
            held: None,
            next: Vec::new(),
            request: None,
            text,
        }
    }

    fn name(&self) -> String {
        match (&self.app, self.run) {
            (Some(app), Some(run)) => format!("{app}/{run}"),
            (Some(app), None) => app.clone(),
            (None, Some(_) | None) => self.agent.clone().unwrap_or_default(),
        }
    }
}

impl View for DoneView {
    fn text(&self, _style: &Style) -> String {
        self.text.clone()
    }

    fn names(&self) -> Vec<String> {
        vec![self.name()]
    }
}

/// What several things came to.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct DoneListView(pub Vec<DoneView>);

impl View for DoneListView {
    fn text(&self, _style: &Style) -> String {
        let told = self.0.iter().filter(|done| !done.text.is_empty());
        told.map(|done| format!("{}\n", done.text)).collect()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(DoneView::name).collect()
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_testkit::records as fixture;

    use super::*;

    #[test]
    fn what_is_only_stored_is_no_line_for_people_and_data_for_programs() {
        let stored = DoneListView(vec![DoneView::stored(&fixture::app(), fixture::request())]);
        let style = Style { detail: super::super::Detail::Normal, now: fixture::now() };
        assert_eq!(stored.text(&style), "");
        assert_eq!(stored.names(), ["nightly"]);
        let data = serde_json::to_value(&stored).unwrap();
        assert_eq!(data[0], serde_json::json!({"done": "stored", "app": "nightly", "request": fixture::request().0}));
    }
}

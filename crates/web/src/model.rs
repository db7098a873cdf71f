//! The mesh in memory: what lists, filters and metrics are made of. Pure: changes come in, answers go out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZoneDatabase};
use tickmesh_client::{
    leadership::Leadership,
    views::{
        agent,
        app::{self, AppView, LedgerState, Stored},
        filter::AppFilter,
    },
};
use tickmesh_core::{
    compose::Reading,
    fleet::Fleet,
    histogram::{Histogram, LATENESS_BOUNDS},
    history::RunSummary,
    id::RunNumber,
    ledger::{Cause, Ledger, Origin, State},
    message::{Admission, AgentRecord, AppRecord, MeshEvent, TickRecord},
    name::AppName,
};
use tickmesh_messaging::Entry;

/// Finished runs that the timeline has: of a busy mesh, those of the last hours.
const RUNS_MAX: usize = 50_000;
/// Ticks that were dropped or skipped, for the timeline.
const TICKS_MAX: usize = 10_000;
/// Runs of an app whose time is known: those that a ledger lists.
const TOOK_MAX: usize = 10;
/// Bounds of the buckets of how long runs take and wait, in seconds: from a second to a day.
const RUN_BOUNDS: [f64; 12] =
    [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0, 86_400.0];

/// What is known.
#[derive(Default)]
pub(crate) struct Model {
    apps: BTreeMap<AppName, Known>,
    agents: BTreeMap<String, Entry<AgentRecord>>,
    /// Names of agents whose key cannot be read.
    unreadable_agents: BTreeSet<String>,
    pub(crate) runs: VecDeque<Ended>,
    pub(crate) ticks: VecDeque<TickRecord>,
    pub(crate) counts: Counts,
    /// Which messages of the histories, the ticks and the events are counted.
    pub(crate) new_runs: News,
    pub(crate) new_ticks: News,
    pub(crate) new_events: News,
    /// Who decides ticks.
    pub(crate) leadership: Leadership,
    /// Streams that cannot be followed, each with since when.
    broken: BTreeMap<&'static str, Timestamp>,
    /// How long the last runs of each app took.
    took: BTreeMap<String, BTreeMap<RunNumber, SignedDuration>>,
    /// What has been read to its end once.
    loaded: Loaded,
}

/// A finished run, as the timeline shows it: its replicas would fill the memory.
pub(crate) struct Ended {
    pub(crate) app: AppName,
    pub(crate) run: RunNumber,
    pub(crate) outcome: &'static str,
    pub(crate) scheduled_at: Option<Timestamp>,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Timestamp,
}

/// Tells what is new in a stream that is read from its beginning whenever it is followed again: each message once, and none that was
/// there before this process.
#[derive(Default)]
pub(crate) struct News(Option<u64>);

impl News {
    /// The stream is about to be read; its last message is `last`. One that ends earlier than before was made anew.
    pub(crate) fn begin(&mut self, last: u64) {
        self.0 = Some(self.0.map_or(last, |known| known.min(last)));
    }

    fn has(&mut self, sequence: u64) -> bool {
        let is_new = self.0.is_some_and(|known| sequence > known);
        if is_new {
            self.0 = Some(sequence);
        }
        is_new
    }
}

#[derive(Default)]
struct Loaded {
    apps: bool,
    ledgers: bool,
    agents: bool,
}

/// What this process has counted since it began.
pub(crate) struct Counts {
    pub(crate) runs: BTreeMap<&'static str, u64>,
    /// From the instant to its decision.
    pub(crate) lateness: Histogram,
    /// From the start of a run to its end.
    pub(crate) took: Histogram,
    /// How long the runs of each app took.
    pub(crate) took_by_app: BTreeMap<AppName, Histogram>,
    /// From the instant to the start of its run.
    pub(crate) waited: Histogram,
    pub(crate) leader_changes: u64,
    pub(crate) epoch: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            runs: BTreeMap::new(),
            lateness: Histogram::new(&LATENESS_BOUNDS),
            took: Histogram::new(&RUN_BOUNDS),
            took_by_app: BTreeMap::new(),
            waited: Histogram::new(&RUN_BOUNDS),
            leader_changes: 0,
            epoch: 0,
        }
    }
}

/// One app.
#[derive(Default)]
struct Known {
    record: Option<Entry<AppRecord>>,
    /// Its file, read once for each revision.
    reading: Option<Arc<Reading>>,
    /// The stored file cannot be read.
    damaged_file: bool,
    ledger: KnownLedger,
}

/// What is known of an app's ledger.
#[derive(Default)]
enum KnownLedger {
    #[default]
    Absent,
    Known(Box<Ledger>),
    Unreadable(String),
}

impl KnownLedger {
    fn state(&self) -> LedgerState<'_> {
        match self {
            Self::Absent => LedgerState::Absent,
            Self::Known(ledger) => LedgerState::Known(ledger),
            Self::Unreadable(reason) => LedgerState::Unreadable(reason),
        }
    }

    fn known(&self) -> Option<&Ledger> {
        self.state().known()
    }
}

/// A revision of an app whose file was read: that takes a while, and whoever takes it in holds everybody up.
pub(crate) struct Applied {
    app: AppName,
    entry: Entry<AppRecord>,
    reading: Option<Arc<Reading>>,
}

impl Applied {
    /// Reads the file; `None`: that is no name of an app.
    pub(crate) fn read(entry: Entry<AppRecord>, zones: &TimeZoneDatabase) -> Option<Self> {
        let app = AppName::new(entry.key.clone()).ok()?;
        let source = entry.value.source.as_ref();
        let reading = source.map(|source| Arc::new(source.read(&app, zones)));
        Some(Self { app, entry, reading })
    }
}

/// Where in a list somebody goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin<'a> {
    /// After so many.
    At(usize),
    /// After that name, whether it is still there or not.
    After(&'a str),
}

/// Which apps a list shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search<'a> {
    /// What their names contain.
    pub(crate) text: &'a str,
    /// A tag that they have; empty: any.
    pub(crate) tag: &'a str,
    pub(crate) filter: AppFilter,
}

/// A page of a list.
pub(crate) struct Listed {
    /// The apps of this page.
    pub apps: Vec<AppView>,
    /// How many there are that fit.
    pub total: usize,
    /// Whether more follow.
    pub more: bool,
    /// How many of all whose names fit each filter would leave.
    pub counts: Vec<(AppFilter, &'static str, usize)>,
}

impl Model {
    pub(crate) fn app(&mut self, Applied { app, entry, reading }: Applied) {
        let known = self.apps.entry(app).or_default();
        (known.record, known.reading) = (Some(entry), reading);
        known.damaged_file = false;
    }

    /// The stored file of an app cannot be read: what it was before is shown, and the leader says that it is not valid.
    pub(crate) fn unreadable_app(&mut self, key: &str, _: String) {
        if let Ok(app) = AppName::new(key) {
            self.apps.entry(app).or_default().damaged_file = true;
        }
    }

    /// The ledger of an app cannot be read.
    pub(crate) fn unreadable_ledger(&mut self, key: &str, reason: String) {
        if let Ok(app) = AppName::new(key) {
            self.apps.entry(app).or_default().ledger = KnownLedger::Unreadable(reason);
        }
    }

    /// The key of an agent cannot be read: it is nobody's until the agent writes over it.
    pub(crate) fn unreadable_agent(&mut self, key: &str, _: String) {
        self.agents.remove(key);
        self.unreadable_agents.insert(key.to_owned());
    }

    /// How many keys of each bucket cannot be read now.
    pub(crate) fn unreadable(&self) -> [(&'static str, usize); 3] {
        let count = |is: fn(&Known) -> bool| self.apps.values().filter(|known| is(known)).count();
        [
            ("apps", count(|known| known.damaged_file)),
            ("ledger", count(|known| matches!(known.ledger, KnownLedger::Unreadable(_)))),
            ("agents", self.unreadable_agents.len()),
        ]
    }

    pub(crate) fn ledger(&mut self, entry: Entry<Ledger>) {
        let Ok(app) = AppName::new(entry.key) else { return };
        self.apps.entry(app).or_default().ledger = KnownLedger::Known(Box::new(entry.value));
    }

    pub(crate) fn agent(&mut self, entry: Entry<AgentRecord>) {
        self.unreadable_agents.remove(&entry.key);
        self.agents.insert(entry.key.clone(), entry);
    }

    /// A run ended. One that had ended before this process began is listed, and not counted.
    pub(crate) fn run(&mut self, entry: Entry<RunSummary>) {
        let outcome = entry.value.outcome.label();
        if self.new_runs.has(entry.sequence) {
            *self.counts.runs.entry(outcome).or_default() += 1;
            let summary = &entry.value;
            let took = summary.finished_at.duration_since(summary.started_at).as_secs_f64();
            self.counts.took.observe(took);
            let of_app = self.counts.took_by_app.entry(summary.app.clone());
            of_app.or_insert_with(|| Histogram::new(&RUN_BOUNDS)).observe(took);
            if let Some(scheduled_at) = summary.scheduled_at.filter(|_| is_of_schedule(&summary.cause)) {
                self.counts.waited.observe(summary.started_at.duration_since(scheduled_at).as_secs_f64());
            }
        }
        let RunSummary { app, run, scheduled_at, started_at, finished_at, .. } = entry.value;
        let took = self.took.entry(app.to_string()).or_default();
        took.insert(run, finished_at.duration_since(started_at));
        if took.len() > TOOK_MAX {
            took.pop_first();
        }
        self.runs.push_back(Ended { app, run, outcome, scheduled_at, started_at, finished_at });
        if self.runs.len() > RUNS_MAX {
            self.runs.pop_front();
        }
    }

    /// Takes in a decision of the clock. One that is told again is not counted again.
    pub(crate) fn tick(&mut self, entry: Entry<TickRecord>) {
        let record = entry.value;
        if self.new_ticks.has(entry.sequence) && record.admission.is_when_due() {
            self.counts.lateness.observe(record.decided_at.duration_since(record.scheduled_at).as_secs_f64());
        }
        if matches!(record.admission, Admission::Start { .. } | Admission::Enqueue { .. }) {
            return;
        }
        self.ticks.push_back(record);
        if self.ticks.len() > TICKS_MAX {
            self.ticks.pop_front();
        }
    }

    pub(crate) fn event(&mut self, entry: &Entry<MeshEvent>) {
        let is_new = self.new_events.has(entry.sequence);
        if let MeshEvent::LeaderChanged { epoch, .. } = &entry.value {
            self.counts.leader_changes += u64::from(is_new);
            self.counts.epoch = self.counts.epoch.max(epoch.0);
        }
    }

    pub(crate) fn apps_loaded(&mut self) {
        self.loaded.apps = true;
        self.mended("apps");
    }

    pub(crate) fn ledgers_loaded(&mut self) {
        self.loaded.ledgers = true;
        self.mended("ledgers");
    }

    pub(crate) fn agents_loaded(&mut self) {
        self.loaded.agents = true;
        self.mended("agents");
    }

    /// A stream cannot be followed, or can be again.
    pub(crate) fn broke(&mut self, what: &'static str, now: Timestamp) {
        self.broken.entry(what).or_insert(now);
    }

    pub(crate) fn mended(&mut self, what: &'static str) {
        self.broken.remove(what);
    }

    /// Since when this may be older than the mesh.
    pub(crate) fn stale_since(&self) -> Option<Timestamp> {
        self.broken.values().min().copied()
    }

    /// Whether everything was read once.
    pub(crate) fn is_loaded(&self) -> bool {
        let Loaded { apps, ledgers, agents } = self.loaded;
        apps && ledgers && agents
    }

    /// The apps that are looked for, by name.
    pub(crate) fn list(&self, search: Search<'_>, begin: Begin<'_>, take: usize, now: Timestamp) -> Listed {
        let Search { text, tag, filter } = search;
        let text = text.to_lowercase();
        let is_found = |name: &AppName, known: &Known| {
            name.as_str().to_lowercase().contains(&text) && (tag.is_empty() || known.tags().iter().any(|it| it == tag))
        };
        let fleet = self.fleet(now);
        let mut counts = AppFilter::ALL.map(|(filter, name)| (filter, name, 0)).to_vec();
        let mut fitting = Vec::new();
        for (name, known) in self.apps.iter().filter(|(name, known)| is_found(name, known)) {
            let Some(state) = known.state_among(name, &fleet, now) else { continue };
            let last = known.last_outcome();
            for (filter, _, count) in &mut counts {
                *count += usize::from(filter.wants(state, last));
            }
            if filter.wants(state, last) {
                fitting.push((name, known));
            }
        }
        let total = fitting.len();
        let skip = match begin {
            Begin::At(skip) => skip,
            Begin::After(last) => fitting.partition_point(|(name, _)| name.as_str() <= last),
        };
        let page = fitting.into_iter().skip(skip).take(take);
        let mut apps: Vec<_> = page.filter_map(|(name, known)| known.view_among(name, &fleet, now)).collect();
        self.leadership.correct_apps(&mut apps);
        Listed { apps, total, more: skip.saturating_add(take) < total, counts }
    }

    /// What is placed where; empty while nothing runs.
    fn fleet(&self, now: Timestamp) -> Fleet {
        if self.ledgers().all(|(_, ledger)| ledger.active.is_empty()) {
            return Fleet::default();
        }
        agent::fleet(&self.agents(), self.ledgers().map(|(_, ledger)| ledger), now)
    }

    /// Names of all apps that are not removed, with how each is read.
    pub(crate) fn names(&self) -> impl Iterator<Item = &AppName> {
        self.apps.iter().filter(|(name, known)| known.state(name).is_some()).map(|(name, _)| name)
    }

    /// Whether a run goes on.
    pub(crate) fn is_active(&self, app: &AppName, run: RunNumber) -> bool {
        let ledger = self.apps.get(app).and_then(|known| known.ledger.known());
        ledger.is_some_and(|ledger| ledger.active.iter().any(|active| active.number == run))
    }

    /// How long a run took, if it is one of the app's last.
    pub(crate) fn took(&self, app: &str, run: RunNumber) -> Option<SignedDuration> {
        self.took.get(app)?.get(&run).copied()
    }

    pub(crate) fn ledgers(&self) -> impl Iterator<Item = (&AppName, &Ledger)> {
        self.apps.iter().filter_map(|(name, known)| Some((name, known.ledger.known()?)))
    }

    pub(crate) fn agents(&self) -> Vec<Entry<AgentRecord>> {
        self.agents.values().cloned().collect()
    }
}

impl Known {
    fn stored<'a>(&'a self, app: &'a AppName) -> Option<Stored<'a>> {
        Some(Stored { app, record: self.record.as_ref()?, ledger: self.ledger.state() })
    }

    /// What the app is doing; `None`: it is removed, or only its ledger is known so far.
    fn state(&self, app: &AppName) -> Option<State> {
        Some(app::state(self.stored(app)?, self.reading.as_deref())).filter(|state| *state != State::Removed)
    }

    /// The state, as somebody sees it who knows the agents.
    fn state_among(&self, app: &AppName, fleet: &Fleet, now: Timestamp) -> Option<State> {
        let state = self.state(app)?;
        let is_pending = || self.ledger.known().is_some_and(|it| app::waits_for_agents(it, fleet, now).is_some());
        Some(if state == State::Running && is_pending() { State::Pending } else { state })
    }

    fn view_among(&self, app: &AppName, fleet: &Fleet, now: Timestamp) -> Option<AppView> {
        let mut view = AppView::of(self.stored(app)?, self.reading.as_deref(), now)?;
        if let Some(ledger) = self.ledger.known() {
            view.look_for_agents(ledger, fleet, now);
        }
        Some(view)
    }

    fn tags(&self) -> &[String] {
        let spec = self.reading.as_ref().and_then(|reading| reading.spec.as_ref());
        spec.map_or(&[], |spec| &spec.about.tags)
    }

    fn last_outcome(&self) -> Option<&str> {
        self.ledger.known()?.recent.back().map(|run| run.outcome.as_str())
    }
}

/// Whether a run began for an instant: a retry has the instant of the run that it repeats.
fn is_of_schedule(cause: &Cause) -> bool {
    match cause.origin() {
        Origin::Tick => true,
        Origin::Manual | Origin::Retry => false,
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        ledger::RecentRun,
        message::{DiscardReason, DropReason, SCHEMA, SkipReason},
        outcome::Outcome,
    };
    use tickmesh_testkit::records;

    use super::*;

    /// Twelve apps: `a-00` to `a-11`. The last run of every third one failed.
    fn model() -> Model {
        let (mut model, zones) = (Model::default(), TimeZoneDatabase::bundled());
        for number in 0..12 {
            let key = format!("a-{number:02}");
            let entry = Entry { key: key.clone(), ..records::record(Some(records::COMPOSE), 1) };
            model.app(Applied::read(entry, &zones).unwrap());
            let mut ledger = records::ledger(vec![]);
            let outcome = if number % 3 == 0 { "failed" } else { "succeeded" };
            ledger.recent.push_back(RecentRun { run: 1, outcome: outcome.to_owned(), finished_at: records::now() });
            model.ledger(Entry { key, sequence: 1, at: records::now(), value: ledger });
        }
        model
    }

    #[track_caller]
    fn check(text: &str, filter: AppFilter, begin: Begin<'_>, take: usize, total: usize, names: &[&str]) {
        let listed = model().list(Search { text, tag: "", filter }, begin, take, records::now());
        let found: Vec<_> = listed.apps.iter().map(|app| app.name.as_str()).collect();
        assert_eq!((listed.total, found.as_slice()), (total, names));
    }

    #[test]
    fn lists_are_searched_filtered_and_cut() {
        let (first, at) = (Begin::At(0), Begin::At);
        check("", AppFilter::All, first, 2, 12, &["a-00", "a-01"]);
        check("", AppFilter::All, at(10), 50, 12, &["a-10", "a-11"]);
        check("A-1", AppFilter::All, first, 50, 2, &["a-10", "a-11"]);
        check("", AppFilter::Failed, first, 50, 4, &["a-00", "a-03", "a-06", "a-09"]);
        check("", AppFilter::Failed, at(usize::MAX), 50, 4, &[]);
        check("nothing", AppFilter::All, first, 50, 0, &[]);
        let paused = Search { text: "a-0", tag: "", filter: AppFilter::Paused };
        let counts = model().list(paused, first, 1, records::now()).counts;
        let counts: Vec<_> = counts.into_iter().map(|(_, name, count)| (name, count)).collect();
        let untagged = Search { text: "", tag: "billing", filter: AppFilter::All };
        assert_eq!(model().list(untagged, first, 50, records::now()).total, 0);
        assert_eq!(counts[..4], [("all", 10), ("running", 0), ("pending", 0), ("failed", 4)]);
    }

    #[test]
    fn a_list_goes_on_after_a_name_that_may_be_gone() {
        check("", AppFilter::All, Begin::After("a-09"), 50, 12, &["a-10", "a-11"]);
        check("", AppFilter::All, Begin::After("a-09x"), 1, 12, &["a-10"]);
        check("", AppFilter::Failed, Begin::After("a-04"), 50, 4, &["a-06", "a-09"]);
        check("", AppFilter::All, Begin::After("z"), 50, 12, &[]);
        let all = Search { text: "", tag: "", filter: AppFilter::All };
        let more = |begin, take| model().list(all, begin, take, records::now()).more;
        assert!(more(Begin::After("a-04"), 6) && !more(Begin::After("a-04"), 7) && !more(Begin::At(usize::MAX), 1));
    }

    fn entry<T>(sequence: u64, value: T) -> Entry<T> {
        Entry { key: "nightly".to_owned(), sequence, at: records::now(), value }
    }

    #[test]
    fn only_what_is_new_is_counted_and_that_once() {
        let mut model = Model::default();
        let summary = |number| entry(number, records::summary(number, Cause::Schedule, &[Outcome::failed(1)]));
        model.new_runs.begin(1);
        model.run(summary(1));
        model.run(summary(2));
        assert_eq!((model.runs.len(), model.counts.runs["failed"]), (2, 1));
        // Followed again from the beginning: what came meanwhile is new, the rest is counted already.
        model.runs.clear();
        model.new_runs.begin(3);
        (1..=3).for_each(|number| model.run(summary(number)));
        assert_eq!((model.runs.len(), model.counts.runs["failed"]), (3, 2));
        // Made anew: it begins at 1.
        model.new_runs.begin(0);
        model.run(summary(1));
        assert_eq!(model.counts.runs["failed"], 3);
    }

    #[test]
    fn lateness_is_put_into_buckets() {
        let mut model = Model::default();
        let tick = |milliseconds| TickRecord {
            schema: SCHEMA,
            number: 1,
            app: records::app(),
            scheduled_at: records::now(),
            decided_at: records::now() + SignedDuration::from_millis(milliseconds),
            admission: Admission::Drop { reason: DropReason::QueueFull },
            coalesced: 0,
        };
        model.new_ticks.begin(1);
        model.tick(entry(1, tick(2)));
        model.tick(entry(2, tick(2)));
        model.tick(entry(3, tick(70_000)));
        let lateness = |model: &Model| model.counts.lateness.samples("t", "");
        let told = lateness(&model);
        assert!(told.contains("t_bucket{le=\"0.0025\"} 1\n") && told.ends_with("t_count 2\n"), "{told}");
        assert_eq!(model.ticks.len(), 3);
        let later = |admission| TickRecord { admission, ..tick(275_000) };
        let paused = Admission::Skip { reason: SkipReason::Paused, instants: 1 };
        let flushed = Admission::Discard { reason: DiscardReason::Flushed, ticks: 1 };
        model.tick(entry(4, later(paused)));
        model.tick(entry(5, later(flushed)));
        assert!(lateness(&model).ends_with("t_count 2\n"));
        assert_eq!(model.ticks.len(), 5);
    }

    #[test]
    fn it_is_stale_since_the_first_stream_broke() {
        let mut model = Model::default();
        let at = |second| records::now() + SignedDuration::from_secs(second);
        assert_eq!(model.stale_since(), None);
        model.broke("apps", at(1));
        model.broke("ticks", at(2));
        model.broke("apps", at(3));
        assert_eq!(model.stale_since(), Some(at(1)));
        model.mended("apps");
        model.mended("ticks");
        assert_eq!(model.stale_since(), None);
    }
}

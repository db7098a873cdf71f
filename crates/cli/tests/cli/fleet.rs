//! Several agents, on one engine, stand for several hosts: where replicas go, why they wait, and what becomes of them when a host is
//! drained or forgotten.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use tickmesh_core::timing::Timing;
use tickmesh_testkit::{nats::Server, wait::wait_until};

use crate::{
    command::{Place, may_publish, remove_stream, running_named, stored},
    part::Part,
    user::url_of_user,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A job whose replicas run until they are told to stop; with more of its settings.
fn endless(scale: u32, settings: &str) -> String {
    format!(
        "labels: {{aliyun.project_type: batch, tickmesh.overlap: allow}}\n\
         services:\n  s1:\n    image: busybox\n    network_mode: none\n    command: sleep 600\n    stop_signal: KILL\n    \
         {settings}\n    labels:\n      tickmesh.scale: \"{scale}\"\n      tickmesh.remove_containers: remove-all\n"
    )
}

/// A mesh with a leader.
pub(crate) struct Mesh {
    pub(crate) place: Place,
    agents: BTreeMap<&'static str, Part>,
    leader: Option<Part>,
}

impl Mesh {
    pub(crate) fn start(server: &Server) -> Self {
        let place = Place::with_mesh(server);
        let leader = Some(Part::start(&place, &["scheduler"], "leading"));
        Self { place, agents: BTreeMap::new(), leader }
    }

    pub(crate) fn agent(&mut self, name: &'static str, settings: &[&str]) {
        let arguments = [&["agent", "--name", name], settings].concat();
        let agent = Part::start(&self.place, &arguments, "agent starts");
        self.agents.insert(name, agent);
        wait_until("the agent", PATIENCE, || self.state(name) == "ready");
    }

    /// Runs an app of that name, and returns the target of its run.
    pub(crate) fn run(&self, app: &str, compose: &str) -> String {
        self.place.write(&format!("{app}.yml"), compose);
        self.place.run(&["apply", &format!("{app}.yml")]).expect(0);
        let said = self.place.run(&["run", app]).expect(0);
        said.split_whitespace().nth(1).unwrap().to_owned()
    }

    pub(crate) fn agents(&self) -> Vec<Value> {
        serde_json::from_value(self.place.run(&["agents", "-o", "json"]).json()).unwrap()
    }

    fn state(&self, agent: &str) -> String {
        let agents = self.agents();
        let found = agents.iter().find(|it| it["name"] == agent);
        found.and_then(|it| it["state"].as_str()).unwrap_or("unknown").to_owned()
    }

    fn replicas(&self, run: &str) -> Vec<Value> {
        serde_json::from_value(self.place.run(&["show", run, "-o", "json"]).json()["replicas"].clone()).unwrap()
    }

    /// How many replicas of a run are in that state, by agent.
    fn spread(&self, run: &str, state: &str) -> BTreeMap<String, usize> {
        let mut spread = BTreeMap::new();
        for replica in self.replicas(run).iter().filter(|it| it["state"] == state) {
            *spread.entry(replica["agent"].as_str().unwrap_or("-").to_owned()).or_default() += 1;
        }
        spread
    }

    /// Waits until replicas run so on agents, and so many are pending, for that reason.
    #[track_caller]
    fn expect(&self, run: &str, running: &[(&str, usize)], pending: usize, reason: &str) {
        let running: BTreeMap<String, usize> =
            running.iter().map(|(agent, count)| ((*agent).to_owned(), *count)).collect();
        let settled =
            || self.spread(run, "running") == running && self.spread(run, "pending").values().sum::<usize>() == pending;
        let what = format!("{run} on {running:?}, {pending} pending");
        wait_until(&what, PATIENCE, settled);
        let replicas = self.replicas(run);
        let reasons: Vec<_> = replicas.iter().filter(|it| it["state"] == "pending").map(|it| &it["reason"]).collect();
        assert!(reasons.iter().all(|it| *it == reason), "{reasons:?}");
    }

    /// Waits until nobody leads for want of data, accepts that, and waits for a leader. Returns what was said.
    pub(crate) fn accept_loss(&self) -> String {
        wait_until("the refusal", PATIENCE, || self.place.run(&["leader"]).stdout.contains("stored data was lost"));
        let accepted = self.place.run(&["doctor", "--accept-loss"]);
        assert_eq!(accepted.code, 0, "{accepted:?}");
        wait_until("a leader", PATIENCE, || self.place.run(&["leader"]).code == 0);
        accepted.stderr
    }

    /// Ends a run, so that its room is free again.
    fn cancel(&self, run: &str) {
        self.place.run(&["cancel", run, "--wait"]).expect(0);
    }

    /// Stops all agents in order.
    pub(crate) fn stop_agents(&mut self) {
        std::mem::take(&mut self.agents).into_values().for_each(Part::stop);
    }

    /// Stops the scheduler in order.
    pub(crate) fn stop_leader(&mut self) {
        self.leader.take().unwrap().stop();
    }

    /// Starts another scheduler.
    pub(crate) fn start_leader(&mut self) {
        self.leader = Some(Part::start(&self.place, &["scheduler"], "leading"));
    }

    /// Ends everything, and sees that nothing is left.
    pub(crate) fn stop(self) {
        self.agents.into_values().for_each(Part::stop);
    }
}

#[test]
fn replicas_go_where_they_may_and_wait_where_there_is_no_room() {
    let server = Server::start();
    let mut mesh = Mesh::start(&server);
    mesh.agent("h1", &["--slots", "2", "--label", "disk=ssd"]);
    mesh.agent("h2", &["--slots", "2", "--label", "disk=ssd"]);
    mesh.agent("h3", &["--slots", "3"]);

    // Spread first, and as many as there are slots.
    let run = mesh.run("spread", &endless(3, ""));
    mesh.expect(&run, &[("h1", 1), ("h2", 1), ("h3", 1)], 0, "");
    let more = mesh.run("more", &endless(6, ""));
    mesh.expect(&more, &[("h1", 1), ("h2", 1), ("h3", 2)], 2, "0 of 3 agents fit: 3 without a free slot");
    let used: Vec<_> = mesh.agents().iter().map(|agent| agent["slots_used"].as_u64()).collect();
    assert_eq!(used, [Some(2), Some(2), Some(3)]);
    // Whichever slot is set free first goes to one that waits.
    mesh.cancel(&run);
    wait_until("all to run", PATIENCE, || mesh.spread(&more, "running").values().sum::<usize>() == 6);
    let spread = mesh.spread(&more, "running");
    assert!(spread["h1"] <= 2 && spread["h2"] <= 2 && spread["h3"] <= 3, "{spread:?}");
    mesh.cancel(&more);

    let ssd = mesh.run("ssd", &endless(5, "environment: [\"constraint:disk==ssd\"]"));
    mesh.expect(&ssd, &[("h1", 2), ("h2", 2)], 1, "0 of 3 agents fit: 1 without disk==ssd, 2 without a free slot");
    mesh.cancel(&ssd);
    let tape = mesh.run("tape", &endless(1, "environment: [\"constraint:disk==tape\"]"));
    mesh.expect(&tape, &[], 1, "0 of 3 agents fit: 3 without disk==tape");
    let listed = mesh.place.run(&["ls", "tape", "-o", "json"]).json();
    assert_eq!(listed[0]["state"], "pending");
    assert_eq!(listed[0]["reason"], "0 of 3 agents fit: 3 without disk==tape");
    assert_eq!(mesh.place.run(&["ls", "--status", "pending", "-o", "name"]).expect(0), "tape\n");
    assert_eq!(mesh.place.run(&["show", "tape", "-o", "json"]).json()["app"]["state"], "pending");
    mesh.cancel(&tape);

    // Each agent has all cores of the host to give: one replica takes them.
    let cores = mesh.agents()[0]["cpu_millis"].as_u64().unwrap() / 1_000;
    let limits = format!("deploy: {{resources: {{reservations: {{cpus: '{cores}'}}}}}}");
    let cpu = mesh.run("cpu", &endless(4, &limits));
    let noun = if cores == 1 { "core" } else { "cores" };
    let why = format!("0 of 3 agents fit: 3 without {cores} {noun} left");
    mesh.expect(&cpu, &[("h1", 1), ("h2", 1), ("h3", 1)], 1, &why);
    let table = mesh.place.run(&["agents"]).expect(0);
    assert!(table.contains(&format!(" {cores}/{cores} ")), "{table}");
    assert_eq!(mesh.agents()[0]["cpu_millis_reserved"].as_u64(), Some(cores * 1_000));
    mesh.cancel(&cpu);
    let memory = mesh.run("memory", &endless(1, "mem_limit: 100t"));
    mesh.expect(&memory, &[], 1, "0 of 3 agents fit: 3 too small for 100.0TiB of memory");
    mesh.cancel(&memory);
    let limit =
        mesh.run("limit", &endless(1, "deploy: {resources: {limits: {cpus: 1000}, reservations: {cpus: 0.1}}}"));
    mesh.expect(&limit, &[], 1, "0 of 3 agents fit: 3 too small for a limit of 1000 cores");
    mesh.cancel(&limit);
    let set = mesh.run("set", &endless(1, "cpuset: 0,8000"));
    mesh.expect(&set, &[], 1, "0 of 3 agents fit: 3 without core 8000 of the cpuset");
    mesh.cancel(&set);

    let global = mesh.run("global", &endless(1, "deploy: {mode: global}").replace("      tickmesh.scale: \"1\"\n", ""));
    mesh.expect(&global, &[("h1", 1), ("h2", 1), ("h3", 1)], 0, "");
    mesh.cancel(&global);
    mesh.stop();
}

/// The names of the containers that `agent prune` removes.
fn prune(mesh: &Mesh, arguments: &[&str]) -> Vec<String> {
    let stdout = mesh.place.run(&[&["agent", "prune"], arguments].concat()).expect(0);
    stdout.lines().map(str::to_owned).collect()
}

#[test]
fn kept_containers_go_when_somebody_says_so_and_others_stay() {
    let server = Server::start();
    let mut mesh = Mesh::start(&server);
    mesh.agent("h1", &[]);
    mesh.agent("h2", &[]);
    let kept = endless(1, "").replace("remove-all", "remove-none").replace("sleep 600", "'true'");
    let only_on = |agent: &str| {
        kept.replace("    network_mode", &format!("    environment: [\"constraint:agent=={agent}\"]\n    network_mode"))
    };
    for (app, agent) in [("one", "h1"), ("other", "h2")] {
        mesh.place.write(&format!("{app}.yml"), &only_on(agent));
        mesh.place.run(&["apply", &format!("{app}.yml")]).expect(0);
        mesh.place.run(&["run", app, "--wait"]).expect(0);
    }
    let running = mesh.run("running", &endless(1, "environment: [\"constraint:agent==h1\"]"));
    mesh.expect(&running, &[("h1", 1)], 0, "");
    assert_eq!(prune(&mesh, &["--name", "h3"]), [""; 0]);
    let [name] = &prune(&mesh, &["--name", "h1", "--dry-run"])[..] else { panic!("not one kept container of h1") };
    assert!(name.contains(".one.1-"), "{name}");
    assert_eq!(prune(&mesh, &["--name", "h1"]), std::slice::from_ref(name));
    assert_eq!(prune(&mesh, &["--name", "h1"]), [""; 0]);
    mesh.expect(&running, &[("h1", 1)], 0, "");
    mesh.cancel(&running);
    assert_eq!(prune(&mesh, &["--name", "h2"]).len(), 1);
    mesh.stop();
}

#[test]
fn a_host_is_drained_to_its_deadline_and_then_forgotten() {
    let server = Server::start();
    let mut mesh = Mesh::start(&server);
    mesh.agent("h1", &["--slots", "4"]);
    mesh.agent("h2", &["--slots", "4"]);
    let place = || &mesh.place;

    let run = mesh.run("job", &endless(4, ""));
    mesh.expect(&run, &[("h1", 2), ("h2", 2)], 0, "");
    let said = place().run(&["agent", "drain", "h1", "--deadline", "1s", "--wait"]).expect(0);
    let (first, rest) = said.split_once('\n').unwrap();
    assert!(first.starts_with("agent h1 is draining: 2 containers still run there"), "{said}");
    assert_eq!(rest, "agent h1 has nothing left\n");
    mesh.expect(&run, &[("h2", 4)], 0, "");
    let attempts: Vec<_> = mesh.replicas(&run).iter().map(|it| it["attempt"].as_u64().unwrap()).collect();
    assert_eq!(attempts.iter().sum::<u64>(), 6, "two of four were tried again: {attempts:?}");
    assert_eq!(mesh.state("h1"), "draining");
    // Only what is drained before its deadline is let alone: nothing of h2 was stopped.
    place().run(&["agent", "undrain", "h1"]).expect(0);
    wait_until("h1 to take work", PATIENCE, || mesh.state("h1") == "ready");
    let again = mesh.run("again", &endless(4, ""));
    mesh.expect(&again, &[("h1", 4)], 0, "");
    mesh.cancel(&again);

    let refused = place().run(&["agent", "forget", "h1"]);
    refused.expect_error(2, "hint: drain and stop it, or wait until it has been silent for 60 s");
    place().run(&["agent", "forget", "h9"]).expect_error(2, "there is no agent `h9`");
    mesh.agents.remove("h1").unwrap().stop();
    assert_eq!(mesh.state("h1"), "stopped");
    assert_eq!(mesh.place.run(&["agent", "forget", "h1"]).expect(0), "agent h1 is forgotten\n");
    assert_eq!(mesh.place.run(&["agents", "-o", "name"]).expect(0), "h2\n");
    mesh.place.run(&["agent", "forget", "h1"]).expect_error(2, "there is no agent `h1`");
    let more = mesh.run("more", &endless(1, ""));
    mesh.expect(&more, &[], 1, "0 of 1 agents fit: 1 without a free slot");
    // Whoever comes back is there again.
    mesh.agent("h1", &["--slots", "4"]);
    mesh.expect(&more, &[("h1", 1)], 0, "");
    mesh.cancel(&run);
    mesh.cancel(&more);
    mesh.stop();
}

/// Whoever connects without a name may do everything, an operator everything but write an agent's key.
const OPERATOR: &str = r#"
    no_auth_user: "mesh"
    authorization {
        users: [
            { user: "mesh", password: "mesh" }
            { user: "operator", password: "operator", permissions: { publish: { deny: ["$KV.tickmesh_agents.>"] } } }
        ]
    }
"#;

/// What is on an agent's key.
fn key(server: &Server, agent: &str) -> u64 {
    let mut sequence = 0;
    stored(server, async |mesh| sequence = mesh.agents().read(agent).await.unwrap().unwrap().sequence);
    sequence
}

#[test]
fn only_the_leader_and_the_agent_write_an_agents_key() {
    let settings = Place::alone();
    settings.write("nats.conf", OPERATOR);
    let server = Server::start_with(&["--config", settings.folder.path().join("nats.conf").to_str().unwrap()]);
    let mut mesh = Mesh::start(&server);
    mesh.agent("h1", &[]);
    let url = url_of_user(&server, "operator");
    assert!(!may_publish(&url, "$KV.tickmesh_agents.h1"), "or the test proves nothing");
    assert!(may_publish(&url, "tickmesh.mesh.examined"), "nor does it if nothing is allowed");

    let operator = Place::at(url);
    let drained = operator.run(&["agent", "drain", "h1", "--deadline", "1m", "--wait"]).expect(0);
    assert!(drained.starts_with("agent h1 is draining: "), "{drained}");
    wait_until("h1 to drain", PATIENCE, || mesh.state("h1") == "draining");
    operator.run(&["agent", "undrain", "h1"]).expect(0);
    wait_until("h1 to take work", PATIENCE, || mesh.state("h1") == "ready");
    operator.run(&["agent", "forget", "h1"]).expect_error(2, "its containers may run");
    mesh.agents.remove("h1").unwrap().stop();
    operator.run(&["agent", "forget", "h1"]).expect(0);
    assert_eq!(operator.run(&["agents", "-o", "name"]).expect(0), "");
    let events = operator.run(&["events", "-o", "json"]).expect(0);
    assert_eq!(events.matches("agent_forgotten").count(), 1, "{events}");

    // Nobody is left who could, and nothing is changed.
    mesh.agent("h2", &[]);
    mesh.agents.remove("h2").unwrap().stop();
    mesh.stop_leader();
    let before = key(&server, "h2");
    operator
        .run(&["agent", "forget", "h2"])
        .expect_error(1, "no scheduler has led for 8 s, and agent `h2` is as it was");
    assert_eq!(key(&server, "h2"), before);
}

#[test]
fn what_runs_and_no_ledger_knows_any_more_is_stopped_before_a_loss_is_accepted() {
    let mut server = Server::start();
    let mut mesh = Mesh::start(&server);
    mesh.agent("h1", &[]);
    let known = mesh.run("known", &endless(1, ""));
    mesh.expect(&known, &[("h1", 1)], 0, "");
    server.stop();
    let copy = server.copy_store();
    server.restart();
    let unknown = mesh.run("unknown", &endless(1, ""));
    mesh.expect(&unknown, &[("h1", 1)], 0, "");
    let running = |app: &str| running_named(&format!("tickmesh.tickmesh.{app}.1-"));
    wait_until("both containers", PATIENCE, || !running("known").is_empty() && !running("unknown").is_empty());
    server.stop();
    server.restore(&copy);
    server.restart();
    let said = mesh.accept_loss();
    assert!(said.contains("unknown/1-") && said.contains("/s1/0/1 on h1 is not known any more"), "{said}");
    assert_eq!(running("unknown"), "", "before anything new may run beside it");
    mesh.expect(&known, &[("h1", 1)], 0, "");
    let again = mesh.run("known", &endless(1, ""));
    assert_eq!(again, "known/1002", "no number is given twice");
    mesh.expect(&again, &[("h1", 1)], 0, "");
    mesh.cancel(&known);
    mesh.cancel(&again);
    mesh.stop();
}

#[test]
fn attempts_whose_claims_are_lost_go_on_and_end() {
    let server = Server::start();
    let mut mesh = Mesh::start(&server);
    mesh.agent("h1", &[]);
    // Long enough to outlast all that follows, and then it ends by itself.
    let run = mesh.run("claimed", &endless(1, "").replace("sleep 600", "sleep 75"));
    mesh.expect(&run, &[("h1", 1)], 0, "");
    let running = || running_named("tickmesh.tickmesh.claimed.1-");
    wait_until("the container", PATIENCE, || !running().is_empty());
    let container = running();
    remove_stream(&server, "tickmesh_results");
    mesh.accept_loss();
    mesh.expect(&run, &[("h1", 1)], 0, "");
    let unclaimed = Instant::now() + Timing::default().unclaimed + Timing::default().resend;
    wait_until("the end of what an unclaimed attempt may take", PATIENCE, || Instant::now() >= unclaimed);
    assert_eq!(running(), container, "it is the same one, and the only one");
    let replica = || mesh.replicas(&run)[0].clone();
    wait_until("its end", PATIENCE, || !replica()["outcome"].is_null() || replica()["attempt"] != 1);
    assert_eq!((&replica()["outcome"], &replica()["attempt"]), (&"succeeded".into(), &1.into()), "{:?}", replica());
    mesh.stop();
}

/// A job with three retries, whose attempts do this by their number.
fn by_attempt(cases: &str) -> String {
    endless(1, "").replace("command: sleep 600", &format!("command: sh -c 'case $$TICKMESH_ATTEMPT in {cases} esac'"))
        + "      tickmesh.retry_count: \"3\"\n"
}

/// The copy is made while first and second attempts run. When it is put back, later attempts run, or the run has
/// ended: their numbers were used already, and their messages lie where the next attempts would claim.
#[test]
fn every_run_of_an_older_copy_ends() {
    let mut server = Server::start();
    let mut mesh = Mesh::start(&server);
    mesh.agent("h1", &[]);
    let jobs = [
        ("first", "1) sleep 12; exit 1;; 2) sleep 600;; *) exit 0;;"),
        ("second", "1) exit 1;; 2) sleep 12; exit 1;; 3) sleep 600;; *) exit 0;;"),
        ("over", "*) sleep 12;;"),
    ];
    let runs = jobs.map(|(app, cases)| mesh.run(app, &by_attempt(cases)));
    let attempt = |run: &str| mesh.replicas(run)[0]["attempt"].as_u64().unwrap();
    let runs_attempt = |run: &str, number| {
        attempt(run) == number && mesh.spread(run, "running") == BTreeMap::from([("h1".to_owned(), 1)])
    };
    let [first, second, over] = &runs;
    let are_running = || runs_attempt(first, 1) && runs_attempt(second, 2) && runs_attempt(over, 1);
    wait_until("the attempts of the copy", PATIENCE, are_running);
    server.stop();
    let copy = server.copy_store();
    server.restart();
    let has_ended = || mesh.place.run(&["show", over]).stdout.contains("succeeded");
    let are_later = || runs_attempt(first, 2) && runs_attempt(second, 3) && has_ended();
    wait_until("the attempts that the copy does not know", PATIENCE, are_later);
    server.stop();
    server.restore(&copy);
    server.restart();
    let said = mesh.accept_loss();
    assert!(said.contains("/s1/0/2 on h1 is not known any more"), "{said}");
    for run in &runs {
        let outcome = || mesh.replicas(run)[0]["outcome"].clone();
        wait_until("the end of a run", PATIENCE, || outcome() == "succeeded");
        assert!(attempt(run) > 1_000, "no number is given twice: {run} {}", attempt(run));
    }
    wait_until("free slots", PATIENCE, || mesh.agents()[0]["slots_used"] == 0);
    mesh.stop();
}

/// An agent that stands still answers nobody: its run ends by force, and its container once the agent is back.
#[test]
fn a_run_is_ended_by_force_whatever_its_agent_does() {
    let server = Server::start();
    let mut mesh = Mesh::start(&server);
    mesh.agent("h1", &[]);
    let run = mesh.run("held", &endless(1, ""));
    mesh.expect(&run, &[("h1", 1)], 0, "");
    let running = || running_named("tickmesh.tickmesh.held.1-");
    wait_until("the container", PATIENCE, || !running().is_empty());
    mesh.agents["h1"].signal(Signal::STOP);
    let forced = mesh.place.run(&["cancel", &run, "--force", "--wait"]);
    assert_eq!((forced.code, forced.stdout.contains("ended: cancelled")), (0, true), "{forced:?}");
    assert!(forced.stderr.contains("/s1/0/1 may still run on h1: the agent stops it"), "{forced:?}");
    assert_ne!(running(), "", "nobody could stop it yet");
    mesh.agents["h1"].signal(Signal::CONT);
    wait_until("the end of the container", PATIENCE, || running().is_empty());
    mesh.stop();
}

//! A job of a stack that runs: it goes where the network of its stack is, and nowhere while there is none.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tickmesh_testkit::{dockerd::Dockerd, wait::wait_until};

use crate::{command::Place, local::Up, stack::Stack};

/// Often enough that a job on the wrong host would be seen: it has as much room as the right one.
const RUNS: usize = 20;
/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon a job starts once its network is there: a heartbeat tells of it.
const STARTS_WITHIN: Duration = Duration::from_secs(5);

const FILE: &str = "\
services:
  shop:
    image: busybox
    command: sh -c 'mkdir /www && echo hello from the shop > /www/index.html && httpd -f -h /www'
  greet:
    image: busybox
    command: wget -qO- http://shop/
    profiles: [jobs]
    labels: {tickmesh.schedule: '0 0 1 1 *', tickmesh.timezone: UTC}
";

/// An agent that goes with the test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).unwrap();
        let _ended_before = kill_process(pid, Signal::INT);
        let _reaped_before = self.0.wait();
    }
}

fn newest_run(up: &Up, app: &str) -> Value {
    up.run(&["runs", app, "-o", "json"]).json()[0].clone()
}

#[test]
fn job_of_a_stack_runs_where_its_network_is() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "an engine of one's own takes root");
        eprintln!("SKIPPED, for it takes root to have an engine of one's own");
        return;
    }
    let place = Place::alone();
    let project = format!("n{:08x}", std::process::id());
    std::fs::create_dir(place.folder.path().join(&project)).unwrap();
    let file = format!("{project}/compose.yml");
    place.write(&file, FILE);
    let stack = Stack::up(&project, &place.folder.path().join(&file));
    let other = Dockerd::start_with_bridge();
    let up = Up::start(place);
    let agent = Agent(up.agent("alone", &other.host()));
    let has_both = || up.run(&["agents", "-o", "name"]).stdout.lines().count() == 2;
    wait_until("both agents", PATIENCE, has_both);
    up.run(&["apply", &file]).expect(0);
    let app = format!("{project}-greet");
    for number in 1..=RUNS {
        up.run(&["run", &app, "--wait"]).expect(0);
        let run = newest_run(&up, &app);
        let replica = &run["replicas"][0];
        assert_eq!(
            (&run["run"], &replica["agent"], &replica["attempt"]),
            (&number.into(), &"host-1".into(), &1.into())
        );
        let greeted = || up.run(&["logs", &format!("{app}/{number}")]).stdout == "hello from the shop\n";
        wait_until("the greeting of the server", PATIENCE, greeted);
    }

    stack.remove();
    let lacks = format!("0 of 2 agents have network {}", stack.network);
    // Until the next heartbeat nobody knows that it is gone, and the job is refused by the engine.
    let is_missed = || up.run(&["apply", &file]).stderr.contains(&lacks);
    wait_until("the network to be missed", PATIENCE, is_missed);
    up.run(&["run", &app]).expect(0);
    let waits = || up.run(&["show", &app]).stdout.contains(&lacks);
    wait_until("a run that waits for the network", PATIENCE, waits);
    assert_eq!(up.run(&["ls", &app, "-o", "json"]).json()[0]["state"], "pending");
    stack.make();
    let begun = Instant::now();
    let starts = || up.run(&["ls", &app, "-o", "json"]).json()[0]["state"] != "pending";
    wait_until("the job to start", PATIENCE, starts);
    assert!(begun.elapsed() < STARTS_WITHIN, "it took {:?}", begun.elapsed());
    let has_succeeded = || newest_run(&up, &app)["outcome"] == "succeeded";
    wait_until("the job to end", PATIENCE, has_succeeded);
    up.run(&["rm", &app]).expect(0);
    drop(agent);
    up.stop();
}

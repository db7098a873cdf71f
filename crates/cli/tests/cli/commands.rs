//! docs/reference/commands.md: every command of it is run, and must print what is written there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tickmesh_testkit::{nats::Server, wait::wait_until};
use trycmd::TestCases;

use crate::{
    command::{Place, repository_file},
    part::Part,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the page's only app that is due every day is due soon: it is to run when the page says so, and not before.
fn is_due_soon(place: &Place) -> bool {
    let next = place.run(&["next", "--schedule", "0 30 2 * * *", "--tz", "Asia/Shanghai", "-n", "1"]).expect(0);
    let next: Timestamp = next.trim().parse().unwrap();
    next.duration_since(Timestamp::now()) < SignedDuration::from_secs(60)
}

#[test]
fn every_command_prints_what_its_page_says() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let _leader = Part::start(&place, &["scheduler"], "leading");
    let _agent = Part::start(&place, &["agent", "--name", "host-1", "--slots", "8"], "agent starts");
    wait_until("the agent", PATIENCE, || place.run(&["agents"]).stdout.contains("ready"));
    wait_until("the nightly run to be over", PATIENCE * 2, || !is_due_soon(&place));
    TestCases::new()
        .register_bin("tickmesh", std::path::Path::new(env!("CARGO_BIN_EXE_tickmesh")))
        .env("TICKMESH_NATS_URL", server.url())
        .env("USER", "me")
        .case(repository_file("docs/reference/commands.md"));
    // What the runs that failed have left for people to look at.
    place.run(&["agent", "prune", "--name", "host-1"]).expect(0);
}

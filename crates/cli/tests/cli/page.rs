//! The page of a mesh with a failed job, in a real browser: what somebody has to open to understand it.

use std::{path::Path, time::Duration};

use tickmesh_testkit::{
    browser::{Browser, Scheme},
    nats::Server,
    wait::wait_until,
};

use crate::{
    command::{Place, repository_file},
    part::Part,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Names a folder that gets a picture of every page.
const PICTURES_VARIABLE: &str = "TICKMESH_PICTURES";
const PAGES: [(&str, &str); 7] = [
    ("apps", "/"),
    ("app", "/apps/nightly"),
    ("run", "/apps/nightly/runs/1"),
    ("output", "/apps/nightly/runs/1/logs"),
    ("timeline", "/timeline"),
    ("agents", "/agents"),
    ("mesh", "/mesh"),
];

/// The state of docs/reference/commands.md: one job that failed on one of its replicas, one that did not.
fn fill(place: &Place) {
    wait_until("the agent", PATIENCE, || place.run(&["agents"]).stdout.contains("ready"));
    place.run(&["apply", &repository_file("docs/reference/commands.in/jobs")]).expect(0);
    place.run(&["run", "nightly", "--wait"]).expect(1);
    place.run(&["run", "billing", "--wait"]).expect(0);
    place.run(&["pause", "billing"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_understood_on_two_pages() {
    let Some(mut browser) = Browser::start().await else { return };
    let server = Server::start();
    let place = tokio::task::block_in_place(|| Place::with_mesh(&server));
    let _leader = Part::start(&place, &["scheduler"], "leading");
    let _agent = Part::start(&place, &["agent", "--name", "host-1", "--slots", "8"], "agent starts");
    let (_web, page) = Part::serving(&place, &["web", "--bind", "127.0.0.1:0"]);
    fill(&place);

    // The first page has the failure in the list; a click leads to the run, and that is all.
    browser.resize(1_280, 800).await;
    browser.visit(&page).await;
    browser.until("the list to have both", "document.querySelectorAll('.bar').length === 2").await;
    browser.click("a.bar.bad").await;
    browser
        .until("the run", "location.pathname === '/apps/nightly/runs/1' && document.readyState === 'complete'")
        .await;
    let told = browser.text().await;
    let end = "row 2\nrow 3\nrow 4\nrow 5\nrow 6";
    let facts = ["s1/1", "host-1", "exit code 3", end, "attempt 1", "attempt 2", "tried again after", "next run"];
    for fact in facts {
        assert!(told.contains(fact), "the page does not say `{fact}`:\n{told}");
    }
    let next =
        "document.evaluate(\"//dt[.='next run']/following-sibling::dd[1]/time\", document).iterateNext().dateTime";
    let next = browser.evaluate(next).await;
    let due = place.run(&["show", "nightly", "-o", "json"]).json()["next"][0].clone();
    assert_eq!(next, due, "when it runs next");
    // Paused: no tick starts anything.
    let paused = "document.evaluate(\"//tr[contains(., 'billing')]/td[@data-label='Next']\", document).iterateNext().textContent";
    browser.visit(&page).await;
    assert_eq!(browser.evaluate(paused).await, "–");

    // Nothing of a real mesh is too wide for a phone, or makes the console complain.
    let pictures = std::env::var_os(PICTURES_VARIABLE);
    for (name, path) in PAGES {
        browser.visit(&format!("{page}{path}")).await;
        for (width, height, scheme, kind) in
            [(1_280, 800, Scheme::Light, ""), (1_280, 800, Scheme::Dark, "-dark"), (360, 740, Scheme::Light, "-phone")]
        {
            browser.resize(width, height).await;
            browser.prefer(scheme).await;
            assert_eq!(browser.sticking_out().await, [""; 0], "{path} is wider than {width}");
            if let Some(folder) = &pictures {
                browser.picture(&Path::new(folder).join(format!("{name}{kind}.png"))).await;
            }
        }
        assert_eq!(browser.complaints(), [""; 0], "{path}");
    }
    browser.stop().await;
    // What the runs that failed have left for people to look at.
    place.run(&["agent", "prune", "--name", "host-1"]).expect(0);
}

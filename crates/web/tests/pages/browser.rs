//! The page in a real browser: what its script does, what its policy lets it do, and how it looks on a phone and without a mouse.

use serde_json::json;
use tickmesh_client::when;
use tickmesh_core::{
    ledger::{Cause, Ledger, RecentRun},
    outcome::Outcome,
};
use tickmesh_testkit::{
    browser::{Browser, Reply, Scheme},
    leader::StandIn,
    records,
};
use tokio::time::timeout;

use crate::{
    PAGES,
    site::{HOSTILE, PATIENCE, Site, stored},
};

/// From here on nothing but the page's own clock changes it.
const LEAVE_ALONE: &str = "window.fetch = () => Promise.reject(new Error('left alone'))";
/// What somebody could want to press.
const PRESSABLE: &str = "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), summary')]\
                         .filter((it) => it.checkVisibility())";

async fn ledger(site: &Site, change: impl FnOnce(&mut Ledger)) {
    let app = records::app();
    let entry = site.mesh.ledgers().read(app.as_str()).await.unwrap().unwrap();
    let mut ledger = entry.value;
    change(&mut ledger);
    stored(site.mesh.ledgers().compare_and_set(app.as_str(), &ledger, entry.sequence).await.unwrap());
}

/// Requests that were sent to the leader.
async fn requests(site: &Site) -> u64 {
    let states = site.mesh.stream_states().await.unwrap();
    states.iter().find(|it| it.stream == "commands").unwrap().messages
}

#[track_caller]
fn content(browser: &mut Browser, what: &str) {
    assert_eq!(browser.complaints(), [""; 0], "{what}");
    assert_eq!(browser.questions(), [""; 0], "{what}");
}

#[tokio::test]
async fn every_page_fits_a_phone_in_both_colours_and_runs_nothing_but_its_own_script() {
    let Some(mut browser) = Browser::start().await else { return };
    let site = Site::start(None).await;
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme).await;
        for path in PAGES.into_iter().chain(["/apps/nobody", "/login"]) {
            browser.resize(1_280, 800).await;
            browser.visit(&site.url(path)).await;
            assert_eq!(browser.sticking_out().await, [""; 0], "{path} is wider than a screen");
            let images = browser.evaluate("document.images.length").await;
            assert_eq!(images, 0, "{path} has an image: somebody's text is more than text");
            let dark = "matchMedia('(prefers-color-scheme: dark)').matches";
            let back = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)";
            let seen = browser.evaluate(&format!("[{dark}, {back}[0] < 128]")).await;
            assert_eq!(seen, json!([scheme == Scheme::Dark, scheme == Scheme::Dark]), "{path}");
            browser.resize(360, 740).await;
            assert_eq!(browser.sticking_out().await, [""; 0], "{path} is wider than a phone");
            // A page that does not exist is a complaint of the console's, and the only one.
            let missing = path == "/apps/nobody";
            let complaints = browser.complaints();
            assert!(complaints.iter().all(|it| missing && it.contains("404")), "{path}: {complaints:?}");
            content(&mut browser, path);
        }
    }
    browser.visit(&site.url("/apps/nightly/runs/1/logs")).await;
    assert!(browser.text().await.contains(HOSTILE), "it is shown as it was written");
    browser.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn a_page_renews_itself_where_it_is_when_a_run_ends() {
    let Some(mut browser) = Browser::start().await else { return };
    let site = Site::start(None).await;
    browser.visit(&site.url("/")).await;
    browser.until("the page to be live", "document.getElementById('live').textContent === 'live'").await;
    browser.evaluate("window.isSame = true").await;
    ledger(&site, |ledger| {
        let outcome = "succeeded".to_owned();
        ledger.recent.push_back(RecentRun { run: 2, outcome, finished_at: records::now() });
    })
    .await;
    browser.until("the run", "document.querySelector('td[data-label=Last]').textContent.includes('succeeded')").await;
    assert_eq!(browser.evaluate("[window.isSame, document.querySelectorAll('.bar').length]").await, json!([true, 2]));
    // While somebody types, nothing is taken away under his hands.
    browser.press("/").await;
    browser.press("n").await;
    browser.evaluate("window.told = 0; source.addEventListener('changed', () => { told += 1; })").await;
    ledger(&site, |ledger| ledger.recent.clear()).await;
    browser.until("the page to be told", "told > 0 && !busy").await;
    let typed = browser.evaluate("document.activeElement.value + document.querySelectorAll('.bar').length").await;
    assert_eq!(typed, "n2");
    content(&mut browser, "/");
    browser.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn distances_count_as_the_server_writes_them() {
    let Some(mut browser) = Browser::start().await else { return };
    let site = Site::start(None).await;
    browser.visit(&site.url("/agents")).await;
    browser.evaluate(LEAVE_ALONE).await;
    browser.evaluate("window.seen = new Set()").await;
    let look = "seen.add(document.querySelector('time').textContent).size > 2";
    browser.until("the time since the heartbeat to count", look).await;
    let now = records::now();
    for seconds in [0, 1, -1, 119, 120, -7_199, 7_200, -172_799, 172_800, 8_640_000] {
        let at = now + jiff::SignedDuration::from_secs(seconds);
        let shown = browser.evaluate(&format!("relative(Date.parse('{at}'), Date.parse('{now}'))")).await;
        assert_eq!(shown, when::relative(at, now), "{seconds} s");
    }
    content(&mut browser, "/agents");
    browser.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn everything_is_reached_and_seen_without_a_mouse() {
    let Some(mut browser) = Browser::start().await else { return };
    let site = Site::start(None).await;
    for path in PAGES {
        browser.visit(&site.url(path)).await;
        browser.evaluate(LEAVE_ALONE).await;
        let count = browser.evaluate(&format!("window.reached = new Set(); {PRESSABLE}.length")).await;
        for _ in 0..count.as_u64().unwrap() {
            browser.press("Tab").await;
            let outline = browser
                .evaluate(
                    "(() => { const it = document.activeElement; reached.add(it); const style = getComputedStyle(it); \
                     return [style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0, it.outerHTML]; })()",
                )
                .await;
            assert_eq!(outline[0], true, "{path}: nobody sees that {} has the focus", outline[1]);
        }
        let missed = format!("{PRESSABLE}.filter((it) => !reached.has(it)).map((it) => it.outerHTML)");
        assert_eq!(browser.evaluate(&missed).await, json!([]), "{path}");
        content(&mut browser, path);
    }
    browser.visit(&site.url("/")).await;
    browser.press("/").await;
    assert_eq!(browser.evaluate("document.activeElement.id").await, "search");
    for key in ["x", "/", "Enter"] {
        browser.press(key).await;
    }
    browser
        .until("the search", "location.search === '?q=x%2F' && document.body.innerText.includes('No app fits')")
        .await;
    browser.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn it_asks_before_it_stops_something_and_remembers_the_colours() {
    let Some(mut browser) = Browser::start().await else { return };
    let site = Site::start(None).await;
    ledger(&site, |ledger| {
        ledger.active.push(records::active(2, Cause::Schedule, vec![records::ended(Outcome::Succeeded)]));
    })
    .await;
    browser.visit(&site.url("/apps/nightly")).await;
    browser.evaluate(LEAVE_ALONE).await;
    let cancel = "form[action$='/cancel'] button";
    browser.click(cancel).await;
    browser.reply_with(Reply::Accept);
    assert_eq!((browser.questions(), requests(&site).await), (vec!["Stop run 2?".to_owned()], 0));
    browser.click(cancel).await;
    // Nobody leads, so the answer takes its time; that it was asked for is seen before.
    let asked = async {
        while requests(&site).await == 0 {
            browser.evaluate("0").await;
        }
    };
    timeout(PATIENCE, asked).await.unwrap();
    assert_eq!(browser.questions(), ["Stop run 2?"]);

    browser.visit(&site.url("/agents")).await;
    let _leader = StandIn::lead(&site.mesh).await;
    browser.click("form[action$='/drain'] button").await;
    let drained = "document.querySelector(\"form[action$='/undrain']\")";
    browser.until("the agent to drain", drained).await;
    assert_eq!(browser.questions(), ["Let host-1 take no new work?"]);

    browser.prefer(Scheme::Light).await;
    browser.visit(&site.url("/")).await;
    browser.click("#theme").await;
    let theme = "document.documentElement.dataset.theme";
    assert_eq!(browser.evaluate(theme).await, "dark");
    browser.visit(&site.url("/agents")).await;
    assert_eq!(browser.evaluate(theme).await, "dark");
    browser.click("#theme").await;
    browser.visit(&site.url("/")).await;
    assert_eq!(browser.evaluate(theme).await, "light");
    content(&mut browser, "/");
    browser.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn output_arrives_as_it_is_written() {
    let Some(mut browser) = Browser::start().await else { return };
    let site = Site::start(None).await;
    ledger(&site, |ledger| ledger.active.push(records::active(1, Cause::Schedule, vec![records::pending()]))).await;
    let ready = async { while !site.get("/apps/nightly/runs/1/logs").await.text.contains("data-follow") {} };
    timeout(PATIENCE, ready).await.unwrap();
    browser.visit(&site.url("/apps/nightly/runs/1/logs")).await;
    browser.evaluate("window.isSame = true").await;
    let publish = async |number, text: &str| site.mesh.logs().publish(&records::output(number, text)).await.unwrap();
    publish(1, &format!("{HOSTILE} again\n")).await;
    browser.until("the line", "isSame && document.getElementById('log').lastChild.textContent.includes('again')").await;
    let lines: String = (0..1_100).map(|number| format!("line {number}\n")).collect();
    publish(2, &lines).await;
    browser.until("the last line", "document.getElementById('log').textContent.includes('line 1099')").await;
    let seen = "[document.querySelectorAll('#log .row').length, document.querySelectorAll('#log .row')[0].innerText.trim(), \
                document.getElementById('earlier').checkVisibility(), innerHeight + scrollY >= document.body.scrollHeight, \
                document.images.length]";
    assert_eq!(browser.evaluate(seen).await, json!([1_000, "s1/0 line 100", true, true, 0]));
    // Who reads further up is left there.
    browser.evaluate("scrollTo(0, 100)").await;
    publish(3, "the end\n").await;
    browser.until("the next line", "document.getElementById('log').textContent.includes('the end')").await;
    assert_eq!(browser.evaluate("[scrollY < 1000, isSame]").await, json!([true, true]));
    ledger(&site, |ledger| ledger.active.clear()).await;
    browser.until("the end of it", "document.getElementById('log').dataset.follow === undefined").await;
    assert_eq!(browser.evaluate("output.readyState === EventSource.CLOSED").await, true);
    content(&mut browser, "output");
    browser.stop().await;
    site.stop().await;
}

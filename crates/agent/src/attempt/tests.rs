//! The life of an attempt: every event in every state, and what the end of an attempt is taken for.

use std::time::Duration;

use jiff::Timestamp;
use tickmesh_core::{
    end_notes::EndNotes,
    message::{Revoker, StartOrder},
    outcome::LostReason,
    spec::{ContainerSpec, HostAccess, PullPolicy},
};

use super::{
    end::{NO_ENGINE, STORE_PUT_BACK, cancelled, could_not_start, end_of, not_started, returned},
    step::CLAIM_DELAY_MAX,
    *,
};
use crate::{
    engine::ExitState,
    fixture::{self, container_id, exit, nonce},
    policy::Refusal,
};

const CLAIM_SEQUENCE: u64 = 7;
/// Uptime of the host when the order arrives.
const ORDERED_AT: Duration = Duration::from_secs(100_000);

fn job() -> Job {
    Job {
        nonce: nonce(1),
        order: Box::new(fixture::start_order()),
        ordered_at: ORDERED_AT,
        results_seen: 6,
        verdict: Ok(()),
    }
}

fn claimed() -> Claimed {
    Claimed { sequence: CLAIM_SEQUENCE, terms: fixture::terms() }
}

fn report(event: AttemptEvent) -> Effect {
    Effect::Report { claim_sequence: CLAIM_SEQUENCE, event }
}

fn exit_event(exit_code: i64) -> AttemptEvent {
    AttemptEvent::Exited { exit_code, oom_killed: false, unhealthy: false, started_at: None, finished_at: None }
}

/// Applies the events and returns every effect, the last state's name at the end.
#[track_caller]
fn live(first: Step, events: impl IntoIterator<Item = Event>) -> (Vec<Effect>, State) {
    let (mut state, mut effects) = first;
    for event in events {
        let (next, more) = state.apply(event).unwrap();
        state = next;
        effects.extend(more);
    }
    (effects, state)
}

#[track_caller]
fn check(events: impl IntoIterator<Item = Event>, expected: &[Effect], last: &str) {
    let (effects, state) = live(State::claim(job()), events);
    // The way up is the same for all: its effects are checked once, in `an_attempt_that_succeeds`.
    let way_up = |effect: &&Effect| {
        matches!(
            effect,
            Effect::Claim { .. }
                | Effect::Pull { .. }
                | Effect::Create { .. }
                | Effect::Start { .. }
                | Effect::Watch { .. }
        )
    };
    let effects: Vec<_> = effects.iter().filter(|effect| !way_up(effect)).cloned().collect();
    assert_eq!(effects, expected);
    assert_eq!(state.name(), last);
}

fn stored() -> Event {
    stored_after(Duration::from_secs(1))
}

fn stored_after(delay: Duration) -> Event {
    Event::ClaimStored { sequence: CLAIM_SEQUENCE, at: ORDERED_AT + delay }
}

fn created() -> Event {
    Event::Created { container: container_id() }
}

fn refused(reason: &str) -> String {
    reason.to_owned()
}

fn up_to_running() -> Vec<Event> {
    vec![stored(), Event::ImageReady, Event::TurnCame, created(), Event::Started]
}

fn collect() -> Effect {
    Effect::Collect { container: container_id() }
}

fn running_then(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let mut all = up_to_running();
    all.extend(events);
    all
}

#[test]
fn an_attempt_that_succeeds() {
    let events = running_then([Event::Exited(exit(0)), Event::EndStored, Event::Collected, Event::Removed]);
    let (effects, state) = live(State::claim(job()), events);
    let expected = [
        Effect::Claim { nonce: nonce(1) },
        Effect::Pull { image: "busybox:latest".into(), policy: PullPolicy::Missing },
        Effect::Create { claim_sequence: CLAIM_SEQUENCE, job: Arc::new(job()) },
        Effect::Start { container: container_id() },
        Effect::Watch { container: container_id(), output: OutputFrom::Beginning },
        report(exit_event(0)),
        collect(),
        Effect::Remove { container: container_id() },
    ];
    assert_eq!(effects, expected);
    assert_eq!(state, State::Gone);
}

#[test]
fn a_claim_that_somebody_else_won_leaves_nothing() {
    check([Event::ClaimRefused], &[], "gone");
    check([Event::StopWanted(Stop::Ordered), Event::ClaimRefused], &[], "gone");
}

#[test]
fn a_claim_that_comes_late_creates_nothing() {
    let lost = report(not_started());
    let too_late = stored_after(CLAIM_DELAY_MAX);
    check([too_late.clone(), Event::EndStored], std::slice::from_ref(&lost), "gone");
    check([stored_after(CLAIM_DELAY_MAX * 10)], &[lost], "ending");
    check([stored_after(CLAIM_DELAY_MAX - Duration::from_nanos(1))], &[], "pulling");
    // What would have ended without a container anyway says so.
    check([Event::StopWanted(Stop::Ordered), too_late], &[report(cancelled(None))], "ending");
}

#[test]
fn the_container_of_a_failed_attempt_is_kept_by_the_default_policy() {
    let events = running_then([Event::Exited(exit(3)), Event::EndStored]);
    check(events.clone(), &[report(exit_event(3)), collect()], "collecting");
    check(events.into_iter().chain([Event::Collected]), &[report(exit_event(3)), collect()], "gone");
}

#[test]
fn a_stop_is_obeyed_in_every_phase() {
    let none = report(cancelled(None));
    let remove = Effect::Remove { container: container_id() };
    let stop = Effect::Stop { container: container_id() };
    check([Event::StopWanted(Stop::Ordered), stored(), Event::EndStored], std::slice::from_ref(&none), "gone");
    check([stored(), Event::StopWanted(Stop::Ordered)], &[Effect::AbandonPull, none.clone()], "ending");
    check(
        [stored(), Event::StopWanted(Stop::Ordered), Event::ImageReady],
        &[Effect::AbandonPull, none.clone()],
        "ending",
    );
    check(
        [stored(), Event::ImageReady, Event::StopWanted(Stop::Ordered), Event::EndStored],
        std::slice::from_ref(&none),
        "gone",
    );
    let creating =
        [stored(), Event::ImageReady, Event::TurnCame, Event::StopWanted(Stop::Ordered), created(), Event::EndStored];
    check(creating, &[none, remove], "removing");
    let starting =
        [stored(), Event::ImageReady, Event::TurnCame, created(), Event::StopWanted(Stop::Ordered), Event::Started];
    check(starting.clone(), std::slice::from_ref(&stop), "stopping");
    let ended = starting.into_iter().chain([Event::Exited(exit(143)), Event::EndStored, Event::Collected]);
    check(ended, &[stop.clone(), report(cancelled(Some(143))), collect()], "gone");
    let running = running_then([
        Event::StopWanted(Stop::Ordered),
        Event::StopWanted(Stop::Ordered),
        Event::Exited(exit(0)),
        Event::EndStored,
        Event::StopWanted(Stop::Ordered),
        Event::Collected,
    ]);
    check(running, &[stop.clone(), report(cancelled(Some(0))), collect()], "gone");
    let gone = running_then([Event::StopWanted(Stop::Ordered), Event::WatchInterrupted, Event::ContainerGone]);
    check(gone, &[stop, report(cancelled(None))], "ending");
    check(running_then([Event::Exited(exit(3)), Event::StopWanted(Stop::Ordered)]), &[report(exit_event(3))], "ending");
}

#[test]
fn a_failure_after_a_stop_is_the_stop() {
    let none = report(cancelled(None));
    let up = [stored(), Event::ImageReady, Event::TurnCame];
    let create = up.clone().into_iter().chain([
        Event::StopWanted(Stop::Ordered),
        Event::CouldNotCreate { reason: refused("no") },
        Event::EndStored,
    ]);
    check(create, std::slice::from_ref(&none), "gone");
    let start = up.into_iter().chain([
        created(),
        Event::StopWanted(Stop::Ordered),
        Event::CouldNotStart { reason: refused("no") },
        Event::Removed,
        Event::EndStored,
    ]);
    check(start, &[Effect::Remove { container: container_id() }, none], "gone");
}

#[test]
fn what_cannot_start_says_why_and_leaves_no_container() {
    let end = report(could_not_start(refused("no such image")));
    let pull = [stored(), Event::CouldNotPull { reason: refused("no such image") }, Event::EndStored];
    check(pull, std::slice::from_ref(&end), "gone");
    let create =
        [stored(), Event::ImageReady, Event::TurnCame, Event::CouldNotCreate { reason: refused("no such image") }];
    check(create, std::slice::from_ref(&end), "ending");
    let refused = AttemptEvent::CouldNotStart { reason: "not allowed".to_owned(), permanent: true };
    let create = [stored(), Event::ImageReady, Event::TurnCame, Event::NotAllowed { reason: "not allowed".to_owned() }];
    check(create, &[report(refused)], "ending");
}

#[test]
fn a_refused_start_is_cleared_before_it_is_told() {
    let start = [stored(), Event::ImageReady, Event::TurnCame, created()]
        .into_iter()
        .chain([Event::CouldNotStart { reason: refused("context deadline exceeded") }]);
    let remove = Effect::Remove { container: container_id() };
    check(start.clone(), std::slice::from_ref(&remove), "clearing");
    let end = report(could_not_start(refused("context deadline exceeded")));
    check(start.clone().chain([Event::Removed]), &[remove.clone(), end.clone()], "ending");
    check(start.chain([Event::Removed, Event::EndStored]), &[remove, end], "gone");
}

#[test]
fn what_the_host_does_not_allow_is_never_created_nor_tried_again() {
    let container = ContainerSpec { network_mode: Some("host".to_owned()), ..fixture::container() };
    let order = Box::new(StartOrder { container, ..fixture::start_order() });
    let refusal = Refusal { access: HostAccess::Network };
    let first = State::claim(Job { order, verdict: Err(refusal.clone()), ..job() });
    let (effects, _) = live(first, [stored()]);
    let end = AttemptEvent::CouldNotStart { reason: refusal.to_string(), permanent: true };
    assert_eq!(effects, [Effect::Claim { nonce: nonce(1) }, report(end)]);
}

#[test]
fn a_start_without_an_answer_is_cleared_before_the_loss_is_told() {
    let events = [stored(), Event::ImageReady, Event::TurnCame, created(), Event::StartUnanswered];
    let remove = Effect::Remove { container: container_id() };
    check(events.clone(), std::slice::from_ref(&remove), "clearing");
    let lost = report(AttemptEvent::Lost { reason: LostReason::NotStarted });
    check(events.into_iter().chain([Event::Removed]), &[remove, lost], "ending");
}

#[test]
fn a_container_removed_by_hand_is_a_loss() {
    let lost = report(AttemptEvent::Lost { reason: LostReason::ContainerRemoved });
    check(running_then([Event::ContainerGone, Event::EndStored]), std::slice::from_ref(&lost), "gone");
    let starting = [stored(), Event::ImageReady, Event::TurnCame, created(), Event::ContainerGone];
    check(starting, &[lost], "ending");
}

#[track_caller]
fn check_unordered_exit(exit: ExitState, gap: bool, expected: AttemptEvent) {
    let interruption = gap.then_some(Event::WatchInterrupted);
    let events = running_then(interruption.into_iter().chain([Event::Exited(exit)]));
    check(events, &[report(expected)], "ending");
}

#[test]
fn a_kill_that_nobody_asked_for_is_a_loss_only_if_nobody_watched() {
    let restarted = AttemptEvent::Lost { reason: LostReason::EngineRestarted };
    for code in [137, 143] {
        check_unordered_exit(exit(code), true, restarted.clone());
        check_unordered_exit(exit(code), false, exit_event(code));
    }
    for code in [0, 1, 255] {
        check_unordered_exit(exit(code), true, exit_event(code));
    }
    let oom = ExitState { oom_killed: true, ..exit(137) };
    let oom_end = AttemptEvent::Exited {
        exit_code: 137,
        oom_killed: true,
        unhealthy: false,
        started_at: None,
        finished_at: None,
    };
    check_unordered_exit(oom, true, oom_end);
}

/// As with a claim that is under way while the store is put back to an older copy: there the attempt has not ended yet.
#[test]
fn a_claim_before_what_was_seen_starts_nothing() {
    let returned = AttemptEvent::Returned { reason: STORE_PUT_BACK.to_owned() };
    let begun = |results_seen| State::claim(Job { results_seen, ..job() });
    let (effects, _) = live(begun(CLAIM_SEQUENCE), [stored()]);
    assert_eq!(effects[1..], [report(returned)]);
    let (effects, _) = live(begun(CLAIM_SEQUENCE - 1), [stored()]);
    assert!(matches!(effects[1..], [Effect::Pull { .. }]), "{effects:?}");
}

#[test]
fn what_a_deadline_passed_over_never_starts_and_says_so() {
    let fenced = report(AttemptEvent::Lost { reason: LostReason::Fenced });
    let revoked = AttemptEvent::Revoked { by: Revoker::Agent, reason: "the agent was cut off meanwhile".to_owned() };
    check([Event::Fenced, Event::Declined], &[Effect::Decline { event: revoked }], "gone");
    let creating = [stored(), Event::ImageReady, Event::TurnCame, Event::Fenced, Event::EndStored];
    check(creating, std::slice::from_ref(&fenced), "gone");
    let starting = [stored(), Event::ImageReady, Event::TurnCame, created(), Event::Fenced, Event::Removed];
    check(starting, &[Effect::Remove { container: container_id() }, fenced.clone()], "ending");
    // The guard's kill is a loss, and its container goes whatever the policy.
    let killed = running_then([Event::KilledByGuard(exit(137)), Event::EndStored, Event::Collected]);
    check(killed, &[fenced, collect(), Effect::Remove { container: container_id() }], "removing");
}

#[test]
fn a_stop_wins_over_the_guard() {
    let none = report(cancelled(None));
    check(
        [Event::StopWanted(Stop::Ordered), Event::Fenced],
        &[Effect::Decline { event: cancelled(None) }],
        "declining",
    );
    let creating = [stored(), Event::ImageReady, Event::TurnCame, Event::StopWanted(Stop::Ordered), Event::Fenced];
    check(creating, &[none], "ending");
    let stop = Effect::Stop { container: container_id() };
    let killed = running_then([Event::StopWanted(Stop::Ordered), Event::KilledByGuard(exit(137))]);
    check(killed, &[stop, report(cancelled(Some(137)))], "ending");
}

/// How long the containers of the attempts with a time-out may run.
const LIMIT: Duration = Duration::from_secs(60);

/// An exit, so long after the start by the engine's clock.
fn exit_after(seconds: i64, exit: ExitState) -> ExitState {
    let at = |second| Some(Timestamp::from_second(1_000_000 + second).unwrap());
    ExitState { started_at: at(0), finished_at: at(seconds), ..exit }
}

/// What is reported of an attempt whose container may run for [`LIMIT`], and to which that happens while it runs.
#[track_caller]
fn check_limited(events: impl IntoIterator<Item = Event>, expected: &AttemptEvent) {
    let order = StartOrder { attempt_timeout: Some(LIMIT), ..fixture::start_order() };
    let (effects, _) = live(State::claim(Job { order: Box::new(order), ..job() }), running_then(events));
    assert_eq!(effects.last(), Some(&report(expected.clone())));
}

#[test]
fn the_time_of_a_container_is_kept_from_its_start_and_by_the_next_process_too() {
    let order = StartOrder { attempt_timeout: Some(LIMIT), ..fixture::start_order() };
    let terms = Terms::of(&order);
    let time = Effect::Time { container: container_id(), limit: LIMIT };
    let (effects, _) = live(State::claim(Job { order: Box::new(order), ..job() }), up_to_running());
    assert_eq!(effects.last(), Some(&time));
    let (_, adopted) = State::adopt_started(Claimed { terms, ..claimed() }, container_id());
    assert_eq!(adopted.last(), Some(&time));
    let stop = Effect::Stop { container: container_id() };
    check(running_then([Event::StopWanted(Stop::TimedOut)]), &[stop], "stopping");
}

#[test]
fn whatever_ends_an_attempt_first_is_its_end() {
    let oom = || ExitState { oom_killed: true, ..exit(137) };
    let timed_out = |exit_code| AttemptEvent::TimedOut { exit_code, notes: EndNotes::default() };
    let (stop, up, exited) = (Event::StopWanted(Stop::Ordered), Event::StopWanted(Stop::TimedOut), Event::Exited);
    // Its time is up.
    check_limited([up.clone(), exited(exit_after(61, exit(143)))], &timed_out(Some(143)));
    check_limited([up.clone(), exited(exit_after(60, exit(0)))], &timed_out(Some(0)));
    let notes = EndNotes { oom_killed: true, unhealthy: false };
    let noted = AttemptEvent::TimedOut { exit_code: Some(137), notes };
    check_limited([up.clone(), exited(exit_after(61, oom()))], &noted);
    check_limited([up.clone(), stop.clone(), exited(exit_after(61, exit(143)))], &timed_out(Some(143)));
    check_limited([up.clone(), exited(exit(143))], &timed_out(Some(143)));
    check_limited([up.clone(), Event::ContainerGone], &timed_out(None));
    check_limited([up.clone(), Event::KilledByGuard(exit_after(61, exit(137)))], &timed_out(Some(137)));
    // A stop was ordered.
    check_limited([stop.clone(), up.clone(), exited(exit_after(61, exit(143)))], &cancelled(Some(143)));
    check_limited([stop, up.clone(), exited(exit_after(61, oom()))], &cancelled(Some(137)));
    // It ended by itself, within its time, and the news were slow.
    let own = |exit: ExitState| end_of(&exit, Watched::Throughout);
    check_limited([up.clone(), exited(exit_after(59, exit(0)))], &own(exit_after(59, exit(0))));
    check_limited([up.clone(), exited(exit_after(59, oom()))], &own(exit_after(59, oom())));
    let fenced = AttemptEvent::Lost { reason: LostReason::Fenced };
    check_limited([up.clone(), Event::KilledByGuard(exit_after(59, exit(137)))], &fenced);
    let restarted = AttemptEvent::Lost { reason: LostReason::EngineRestarted };
    check_limited([up, Event::WatchInterrupted, exited(exit_after(59, exit(137)))], &restarted);
    // It ended by itself before anybody noticed that its time was up.
    check_limited([exited(exit_after(61, exit(0)))], &own(exit_after(61, exit(0))));
}

#[test]
fn what_a_drained_host_stops_is_lost_unless_it_says_that_it_is_done() {
    let (drained, exited) = (Event::StopWanted(Stop::Drained), Event::Exited);
    let lost = report(AttemptEvent::Lost { reason: LostReason::Drained });
    let stop = || Effect::Stop { container: container_id() };
    check(running_then([drained.clone(), exited(exit(143))]), &[stop(), lost.clone()], "ending");
    check(running_then([drained.clone(), exited(exit(3))]), &[stop(), lost.clone()], "ending");
    check(running_then([drained.clone(), Event::ContainerGone]), &[stop(), lost], "ending");
    check(running_then([drained.clone(), exited(exit(0))]), &[stop(), report(exit_event(0))], "ending");
    // The first reason to stop it counts.
    let ordered = running_then([Event::StopWanted(Stop::Ordered), drained.clone(), exited(exit(143))]);
    check(ordered, &[stop(), report(cancelled(Some(143)))], "ending");
    // Without a process it counts for nothing.
    check([stored(), drained], &[Effect::AbandonPull, report(cancelled(None))], "ending");
}

#[test]
fn what_is_drained_while_it_starts_is_stopped_once_it_runs() {
    let starting =
        [stored(), Event::ImageReady, Event::TurnCame, created(), Event::StopWanted(Stop::Drained), Event::Started];
    let stop = Effect::Stop { container: container_id() };
    let lost = report(AttemptEvent::Lost { reason: LostReason::Drained });
    let (effects, _) = live(State::claim(job()), starting.into_iter().chain([Event::Exited(exit(143))]));
    assert_eq!(effects[effects.len() - 2..], [stop, lost]);
}

/// It may have run: whether it may run again is for its policy to say.
#[test]
fn what_is_removed_by_hand_while_its_host_is_drained_is_a_loss_like_any_other() {
    let starting =
        |stop| [stored(), Event::ImageReady, Event::TurnCame, created(), Event::StopWanted(stop), Event::ContainerGone];
    check(starting(Stop::Drained), &[report(AttemptEvent::Lost { reason: LostReason::ContainerRemoved })], "ending");
    check(starting(Stop::Ordered), &[report(cancelled(None))], "ending");
}

#[test]
fn the_container_of_an_attempt_that_timed_out_is_kept_like_that_of_a_failed_one() {
    let stop = Effect::Stop { container: container_id() };
    let end = report(AttemptEvent::TimedOut { exit_code: Some(143), notes: EndNotes::default() });
    let ended = [Event::StopWanted(Stop::TimedOut), Event::Exited(exit(143)), Event::EndStored, Event::Collected];
    check(running_then(ended), &[stop, end, collect()], "gone");
}

#[test]
fn what_the_leader_declared_lost_goes_whatever_the_policy() {
    let kept = report(exit_event(3));
    let remove = Effect::Remove { container: container_id() };
    let refused_end = running_then([Event::Exited(exit(3)), Event::EndRefused, Event::Collected]);
    check(refused_end, &[kept, collect(), remove], "removing");
    let none = [stored(), Event::CouldNotPull { reason: refused("no") }, Event::EndRefused];
    check(none, &[report(could_not_start(refused("no")))], "gone");
}

#[test]
fn adopted_containers_go_on_from_where_they_are() {
    let watch = Effect::Watch { container: container_id(), output: OutputFrom::LastStored };
    let (effects, _) = live(State::adopt_started(claimed(), container_id()), [Event::Exited(exit(0))]);
    assert_eq!(effects, [watch, report(exit_event(0))]);
    let (effects, _) = live(State::adopt_started(claimed(), container_id()), [Event::Exited(exit(143))]);
    assert_eq!(effects.last(), Some(&report(AttemptEvent::Lost { reason: LostReason::EngineRestarted })));
    let remove = Effect::Remove { container: container_id() };
    let (effects, _) = live(State::adopt_created(claimed(), container_id()), [Event::Removed]);
    assert_eq!(effects, [remove.clone(), report(AttemptEvent::Lost { reason: LostReason::NotStarted })]);
    assert_eq!(State::adopt_leftover(container_id()).1, std::slice::from_ref(&remove));
    for (disposal, expected) in [(Disposal::Remove, &[collect(), remove][..]), (Disposal::Keep, &[collect()])] {
        assert_eq!(live(State::adopt_ended(container_id(), disposal), [Event::Collected]).0, expected);
    }
}

fn states() -> Vec<State> {
    let job = Arc::new(job());
    let container = container_id();
    let (wish, watched) = (Wish::Run, Watched::Throughout);
    let end = cancelled(None);
    let at = |phase| State::Claimed { claimed: claimed(), phase };
    vec![
        State::Declining,
        State::Claiming { job: job.clone(), wish },
        at(Phase::Pulling { job: job.clone(), progress: PullProgress::default() }),
        at(Phase::Queued { job }),
        at(Phase::Creating { wish }),
        at(Phase::Starting { container: container.clone(), wish }),
        at(Phase::Running { container: container.clone(), watched }),
        at(Phase::Stopping { container: container.clone(), watched, stop: Stop::Ordered }),
        at(Phase::Clearing { end }),
        at(Phase::Ending { event: cancelled(None), remains: Remains::Nothing }),
        State::Collecting { container, disposal: Disposal::Remove },
        State::Removing,
        State::Gone,
    ]
}

fn events() -> Vec<Event> {
    vec![
        Event::Declined,
        stored(),
        Event::ClaimRefused,
        Event::ImageReady,
        Event::CouldNotPull { reason: String::new() },
        Event::TurnCame,
        created(),
        Event::CouldNotCreate { reason: String::new() },
        Event::NotAllowed { reason: String::new() },
        Event::Started,
        Event::CouldNotStart { reason: String::new() },
        Event::StartUnanswered,
        Event::WatchInterrupted,
        Event::Exited(exit(0)),
        Event::KilledByGuard(exit(137)),
        Event::ContainerGone,
        Event::Fenced,
        Event::StopWanted(Stop::Ordered),
        Event::EngineLost,
        Event::EndStored,
        Event::EndRefused,
        Event::Collected,
        Event::Removed,
    ]
}

#[test]
fn every_pair_of_state_and_event_is_decided() {
    let legal = "\
        declining: declined>gone stop-wanted>declining engine-lost>declining\n\
        claiming: claim-stored>pulling claim-refused>gone fenced>declining stop-wanted>claiming \
            engine-lost>claiming\n\
        pulling: image-ready>queued could-not-pull>ending stop-wanted>ending engine-lost>ending\n\
        queued: turn-came>creating stop-wanted>ending engine-lost>ending\n\
        creating: created>starting could-not-create>ending not-allowed>ending fenced>ending stop-wanted>creating \
            engine-lost>ending\n\
        starting: started>running could-not-start>clearing start-unanswered>clearing container-gone>ending \
            fenced>clearing stop-wanted>starting engine-lost>starting\n\
        running: watch-interrupted>running exited>ending killed-by-guard>ending container-gone>ending \
            stop-wanted>stopping engine-lost>running\n\
        stopping: watch-interrupted>stopping exited>ending killed-by-guard>ending container-gone>ending \
            stop-wanted>stopping engine-lost>stopping\n\
        clearing: stop-wanted>clearing engine-lost>clearing removed>ending\n\
        ending: image-ready>ending could-not-pull>ending created>ending could-not-create>ending not-allowed>ending \
            fenced>ending stop-wanted>ending engine-lost>ending end-stored>gone end-refused>gone\n\
        collecting: stop-wanted>collecting engine-lost>collecting collected>removing\n\
        removing: image-ready>removing could-not-pull>removing stop-wanted>removing engine-lost>removing \
            removed>gone\n\
        gone:";
    let line = |state: State| {
        let step = |event: Event| {
            let name = event.name();
            let (next, _) = state.clone().apply(event).ok()?;
            Some(format!(" {name}>{}", next.name()))
        };
        format!("{}:{}", state.name(), events().into_iter().filter_map(step).collect::<String>())
    };
    let found: Vec<_> = states().into_iter().map(line).collect();
    assert_eq!(found, legal.lines().collect::<Vec<_>>());
}

#[test]
fn an_attempt_is_held_from_its_claim_to_its_stored_end() {
    let held: Vec<_> = states().into_iter().filter(|state| !state.is_held()).map(|state| state.name()).collect();
    assert_eq!(held, ["declining", "collecting", "removing", "gone"]);
}

#[test]
fn only_what_runs_or_needs_nothing_survives_a_restart_of_the_agent() {
    let calm: Vec<_> = states().into_iter().filter(State::survives_restart).map(|state| state.name()).collect();
    assert_eq!(calm, ["declining", "running", "stopping", "collecting", "removing", "gone"]);
}

#[test]
fn whoever_gives_up_a_claim_has_an_end_to_tell() {
    let silent: Vec<_> =
        states().into_iter().filter(|state| state.last_words().is_none()).map(|state| state.name()).collect();
    assert_eq!(silent, ["declining", "claiming", "collecting", "removing", "gone"]);
    let phase = Phase::Ending { event: exit_event(3), remains: Remains::Nothing };
    let ending = State::Claimed { claimed: claimed(), phase };
    assert_eq!(ending.last_words(), Some((CLAIM_SEQUENCE, exit_event(3))));
}

#[test]
fn what_was_not_started_is_given_back_and_what_was_stopped_is_not() {
    let returned = report(returned(NO_ENGINE));
    check([Event::EngineLost, stored()], std::slice::from_ref(&returned), "ending");
    check([stored(), Event::EngineLost], &[Effect::AbandonPull, returned.clone()], "ending");
    check([stored(), Event::ImageReady, Event::EngineLost], std::slice::from_ref(&returned), "ending");
    let creating = || [stored(), Event::ImageReady, Event::TurnCame];
    let lost = creating().into_iter().chain([Event::EngineLost]);
    check(lost, &[Effect::AbandonCreate, returned.clone()], "ending");
    let stopped = creating().into_iter().chain([Event::StopWanted(Stop::Ordered), Event::EngineLost]);
    check(stopped, &[Effect::AbandonCreate, report(cancelled(None))], "ending");
    // A stop that comes after it was to be given back wins: nobody wants it elsewhere.
    check([Event::EngineLost, Event::StopWanted(Stop::Ordered), stored()], &[report(cancelled(None))], "ending");
}

#[test]
fn container_that_was_created_after_all_is_removed() {
    let lost = [stored(), Event::ImageReady, Event::TurnCame, Event::EngineLost, created(), Event::EndStored];
    let remove = Effect::Remove { container: container_id() };
    check(lost, &[Effect::AbandonCreate, report(returned(NO_ENGINE)), remove], "removing");
}

#[test]
fn an_illegal_event_names_both_sides() {
    let error = State::Removing.apply(Event::Started).unwrap_err();
    assert_eq!(error.to_string(), "event `started` cannot happen to an attempt that is removing");
}

//! `tickmesh run`: runs an app now. It obeys the same rules as a tick: one run at a time, and no more waiting than may.

use jiff::Timestamp;
use tickmesh_client::{
    requests::{self, News, RunWatch, Step, Watch, unanswered, why_not},
    views::run::RunView,
};
use tickmesh_core::{
    history::RunSummary,
    id::RequestId,
    ledger::Verdict,
    message::{CommandKind, RunRequest},
    name::AppName,
    outcome::Outcome,
};
use tickmesh_messaging::Mesh;

use super::{Session, progress::Progress, which_app::known};
use crate::{
    compose_file::assignment,
    connect::asker,
    exit::{BadInput, Exit},
};

/// What `run` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
    /// Environment variable of every container of the run; may be repeated
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE", value_parser = assignment)]
    environment: Vec<(String, String)>,
    /// Wait for the end of the run
    #[arg(long)]
    wait: bool,
    /// Command of every container of the run, instead of the file's
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// Asks for a run.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let request = request(args)?;
    let mesh = session.mesh.open().await?;
    let (app, revision, _) = known(&mesh, &args.app).await?;
    let sent = asker(&mesh).send(&app, revision, CommandKind::Run(request)).await?;
    if args.wait {
        wait_for_end(session, &mesh, &app, sent).await
    } else {
        wait_for_answer(session, &mesh, &app, sent).await
    }
}

fn request(args: &Args) -> anyhow::Result<RunRequest> {
    let environment = args.environment.iter().cloned().collect();
    let request = RunRequest { environment, arguments: args.arguments.clone() };
    // The leader would refuse it too, but later, and with another exit code.
    request.check().map_err(|error| BadInput::new(error.to_string()))?;
    Ok(request)
}

/// Says whether there is, or will be, a run.
pub(super) async fn wait_for_answer(
    session: &Session,
    mesh: &Mesh,
    app: &AppName,
    request: RequestId,
) -> anyhow::Result<Exit> {
    let mut watch = Watch::begin(mesh, app).await?;
    let line = match requests::answer(&mut watch, request).await? {
        Some(Verdict::Started { run }) => format!("run {app}/{run} started"),
        Some(Verdict::Enqueued { waiting }) => format!("app {app}: the run waits, at place {waiting}"),
        Some(other) => anyhow::bail!("app `{app}`: there will be no run: {}", why_not(&other)),
        None => {
            session.output.talk(&unanswered());
            return Ok(Exit::Success);
        }
    };
    session.output.line(&line)?;
    Ok(Exit::Success)
}

/// Follows the run to its end, whose exit code is returned.
pub(super) async fn wait_for_end(
    session: &Session,
    mesh: &Mesh,
    app: &AppName,
    request: RequestId,
) -> anyhow::Result<Exit> {
    let mut watch = Watch::begin(mesh, app).await?;
    if requests::answer(&mut watch, request).await?.is_none() {
        session.output.talk(&unanswered());
    }
    // Anew: what was read while waiting for the answer is needed again.
    let mut watch = Watch::begin(mesh, app).await?;
    let mut run = RunWatch::new(app.clone(), request);
    let mut progress = Progress::new(mesh, app, request, session.output);
    loop {
        let news: News = watch.next().await?;
        progress.show(&news).await?;
        match run.fold(news) {
            Step::Nothing => {}
            Step::Progress(text) => progress.step(&text),
            Step::NoRun(reason) => {
                progress.end();
                match ended_before(mesh, app, request).await? {
                    Some(summary) => return report(session, &summary),
                    None => anyhow::bail!("app `{app}`: {reason}"),
                }
            }
            Step::Ended(summary) => {
                progress.end();
                return report(session, &summary);
            }
        }
    }
}

/// A run that the ledger knows nothing of any more may have ended just now: its end travels on another stream.
async fn ended_before(mesh: &Mesh, app: &AppName, request: RequestId) -> anyhow::Result<Option<RunSummary>> {
    let history = mesh.history().last(app).await?;
    Ok(history.into_iter().map(|entry| entry.value).find(|summary| requests::is_of(&summary.cause, request)))
}

/// Says how a run ended.
fn report(session: &Session, summary: &RunSummary) -> anyhow::Result<Exit> {
    let view = RunView::of_summary(summary);
    let (took, succeeded, total) = (view.took(Timestamp::now()), view.succeeded, view.replicas.len());
    session.output.line(&format!(
        "run {} {} after {took}, {succeeded} of {total} replicas succeeded",
        view.name(),
        view.state_text()
    ))?;
    if !view.has_succeeded() {
        session.output.talk(&format!("  why: `tickmesh show {}`", view.name()));
    }
    let exit = exit_of(summary);
    if let Exit::Container(code) = exit {
        session.output.talk(&format!("exit code {code} is that of the run's only container"));
    }
    Ok(exit)
}

fn exit_of(summary: &RunSummary) -> Exit {
    match (&summary.outcome, summary.replicas.as_slice()) {
        (Outcome::Succeeded, _) => Exit::Success,
        (Outcome::Failed { exit_code, .. }, [_]) => u8::try_from(*exit_code).map_or(Exit::Failed, Exit::Container),
        (
            Outcome::Failed { .. }
            | Outcome::TimedOut
            | Outcome::Lost { .. }
            | Outcome::Cancelled
            | Outcome::CouldNotStart { .. }
            | Outcome::Skipped { .. },
            _,
        ) => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_testkit::records as fixture;

    use super::*;

    #[track_caller]
    fn check_exit(outcomes: &[Outcome], expected: Exit) {
        assert_eq!(exit_of(&fixture::summary(1, fixture::manual(), outcomes)), expected);
    }

    #[test]
    fn only_the_run_of_a_single_container_has_its_exit_code() {
        let failed = Outcome::failed;
        check_exit(&[Outcome::Succeeded], Exit::Success);
        check_exit(&[failed(7)], Exit::Container(7));
        check_exit(&[failed(7), Outcome::Succeeded], Exit::Failed);
        check_exit(&[failed(-1)], Exit::Failed);
        check_exit(&[Outcome::Cancelled], Exit::Failed);
        check_exit(&[Outcome::TimedOut], Exit::Failed);
    }

    #[test]
    fn a_request_that_no_ledger_takes_is_not_sent() {
        let args = |arguments| Args { app: fixture::app(), environment: vec![], wait: false, arguments };
        assert!(request(&args(vec!["a".repeat(4_000)])).is_ok());
        let error = request(&args(vec!["a".repeat(5_000)])).unwrap_err();
        assert!(error.is::<BadInput>(), "{error}");
        assert_eq!(error.to_string(), "the list of arguments takes 5004 bytes to store, at most 4096 are allowed");
    }
}

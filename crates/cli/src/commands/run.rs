//! `tickmesh run`: runs an app now. It obeys the same rules as a tick: one run at a time, and no more waiting than may.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use tickmesh_client::{
    read,
    requests::{self, News, RunWatch, Step, Watch, unanswered, why_not},
    views::run::RunView,
    zones,
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

use super::{
    Session,
    apply::{applied, apply},
    prepare::{Files, Prepared, prepare},
    progress::Progress,
    which_app::known,
};
use crate::{
    compose_file::ProjectArgs,
    connect::asker,
    escape,
    exit::{BadInput, Exit},
    output::{Format, FormatArgs},
    variables::assignment,
    views::done::{Done, DoneView},
};

/// How often somebody who waits is told why a replica is pending.
const PENDING_INTERVAL: Duration = Duration::from_secs(5);

/// What `run` takes.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["app", "file"])))]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: Option<AppName>,
    /// A compose file instead, or `-` for stdin: it is applied first, as `apply` does; several are
    /// merged
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Name of the file's app, instead of the file's (or for compose.yml the directory's)
    #[arg(long, value_name = "APP", requires = "file")]
    name: Option<AppName>,
    #[command(flatten)]
    project: ProjectArgs,
    /// Environment variable of every container of the run; may be repeated
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE", value_parser = assignment)]
    environment: Vec<(String, String)>,
    /// Wait for the end of the run
    #[arg(long)]
    wait: bool,
    /// Command of every container of the run, instead of the file's
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
    #[command(flatten)]
    form: FormatArgs,
}

/// A run that was asked for.
pub(super) struct Asked<'a> {
    pub mesh: &'a Mesh,
    pub app: &'a AppName,
    pub request: RequestId,
    /// How its fate is to be shown.
    pub format: Format,
}

/// Asks for a run.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let request = request(&args.environment, &args.arguments)?;
    let prepared = if args.file.is_empty() { None } else { Some(prepare_one(session, args)?) };
    let mesh = session.mesh.open().await?;
    let (app, revision) = match (prepared, &args.app) {
        (Some(prepared), _) => apply_file(session, &mesh, prepared).await?,
        (None, Some(app)) => {
            let (app, revision, _) = known(&mesh, app).await?;
            (app, revision)
        }
        (None, None) => return Err(BadInput::new("neither an app nor a file is given").into()),
    };
    let sent = asker(&mesh).send(&app, revision, CommandKind::Run(request)).await?;
    let asked = Asked { mesh: &mesh, app: &app, request: sent, format: args.form.format };
    if args.wait { wait_for_end(session, asked).await } else { wait_for_answer(session, asked).await }
}

/// The app of the files, if it is one, and valid.
fn prepare_one(session: &Session, args: &Args) -> anyhow::Result<Prepared> {
    let Args { file: named, name, project, .. } = args;
    let (files, merged) =
        if named.len() == 1 { (named.as_slice(), [].as_slice()) } else { ([].as_slice(), named.as_slice()) };
    let files = Files { files, merged, name: name.as_ref(), project, keep_going: false };
    let prepared = prepare(session, files, &zones::database())?.apps;
    let names: Vec<String> = prepared.iter().map(|it| it.app.to_string()).collect();
    let [one] = <[Prepared; 1]>::try_from(prepared).map_err(|_| {
        let named: Vec<String> = named.iter().map(|file| file.display().to_string()).collect();
        let problem = format!("{} has {} apps, and one is run: {}", named.join(" "), names.len(), names.join(", "));
        BadInput::new(problem).hint("`tickmesh apply` takes all of them; then `tickmesh run APP`")
    })?;
    Ok(one)
}

/// Has the app as the file says, and returns its revision. What comes of it is talk: the run is what was asked for.
async fn apply_file(session: &Session, mesh: &Mesh, prepared: Prepared) -> anyhow::Result<(AppName, u64)> {
    let Prepared { app, source, when, .. } = prepared;
    let stored = apply(mesh, &app, source).await?;
    session.output.talk(&format!("{}: {when}", applied(&app, &stored).text));
    Ok((app, stored.revision()))
}

fn request(environment: &[(String, String)], arguments: &[String]) -> anyhow::Result<RunRequest> {
    let request = RunRequest { environment: environment.iter().cloned().collect(), arguments: arguments.to_vec() };
    // The leader would refuse it too, but later, and with another exit code.
    request.check().map_err(|error| BadInput::new(error.to_string()))?;
    Ok(request)
}

/// Says whether there is, or will be, a run.
pub(super) async fn wait_for_answer(session: &Session, asked: Asked<'_>) -> anyhow::Result<Exit> {
    let Asked { mesh, app, request, format } = asked;
    let mut watch = Watch::begin(mesh, app).await?;
    let done = match requests::answer(&mut watch, request).await? {
        Some(Verdict::Started { run }) => {
            let text = format!("run {app}/{run} started");
            DoneView { run: Some(run), ..DoneView::app(Done::Started, app, text).of(request) }
        }
        Some(Verdict::Enqueued { waiting }) => {
            let text = format!("app {app}: the run waits, at place {waiting}");
            DoneView { waiting: Some(waiting), ..DoneView::app(Done::Waiting, app, text).of(request) }
        }
        Some(other) => anyhow::bail!("app `{app}`: there will be no run: {}", why_not(&other)),
        None => {
            session.output.talk(&unanswered());
            DoneView::stored(app, request)
        }
    };
    session.output.show(&done, format)?;
    Ok(Exit::Success)
}

/// Follows the run to its end, whose exit code is returned.
pub(super) async fn wait_for_end(session: &Session, asked: Asked<'_>) -> anyhow::Result<Exit> {
    let Asked { mesh, app, request, format } = asked;
    let mut watch = Watch::begin(mesh, app).await?;
    if requests::answer(&mut watch, request).await?.is_none() {
        session.output.talk(&unanswered());
    }
    // Anew: what was read while waiting for the answer is needed again.
    let mut watch = Watch::begin(mesh, app).await?;
    let mut run = RunWatch::new(app.clone(), request);
    let mut progress = Progress::new(mesh, app, request, session.output);
    let mut look = tokio::time::interval(PENDING_INTERVAL);
    loop {
        let news: News = tokio::select! {
            news = watch.next() => news?,
            _ = look.tick() => {
                progress.explain().await?;
                continue;
            }
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("failed to listen for Ctrl-C")?;
                progress.interrupted();
                return Ok(Exit::Interrupted);
            }
        };
        progress.show(&news).await?;
        match run.fold(news) {
            Step::Nothing => {}
            Step::Progress(text) => progress.step(&text),
            Step::NoRun(reason) => {
                let Some(summary) = ended_before(mesh, app, request).await? else {
                    progress.clear();
                    anyhow::bail!("app `{app}`: {reason}");
                };
                progress.end(&summary).await?;
                return report(session, &summary, request, format);
            }
            Step::Ended(summary) => {
                progress.end(&summary).await?;
                return report(session, &summary, request, format);
            }
        }
    }
}

/// A run that the ledger knows nothing of any more may have ended just now: its end travels on another stream.
async fn ended_before(mesh: &Mesh, app: &AppName, request: RequestId) -> anyhow::Result<Option<RunSummary>> {
    let ended = read::known_runs(mesh, app).await?.ended;
    Ok(ended.into_iter().find(|summary| requests::is_of(&summary.cause, request)))
}

/// Says how a run ended.
fn report(session: &Session, summary: &RunSummary, request: RequestId, format: Format) -> anyhow::Result<Exit> {
    let view = RunView::of_summary(summary);
    let (took, succeeded, total) = (view.took(Timestamp::now()), view.succeeded, view.replicas.len());
    let state = escape::text(&view.state_text());
    let text = format!("run {} {state} after {took}, {succeeded} of {total} replicas succeeded", view.name());
    let done = DoneView::app(Done::Ended, &summary.app, text).of(request);
    let done = DoneView { run: Some(summary.run), outcome: Some(summary.outcome.label()), ..done };
    session.output.show(&done, format)?;
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
        let with = |argument: String| request(&[], &[argument]);
        assert!(with("a".repeat(4_000)).is_ok());
        let error = with("a".repeat(5_000)).unwrap_err();
        assert!(error.is::<BadInput>(), "{error}");
        assert_eq!(error.to_string(), "the list of arguments takes 5004 bytes to store, at most 4096 are allowed");
    }
}

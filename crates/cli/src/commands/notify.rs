//! `tickmesh notify`: the targets that a scheduler would tell, and whether they can be told.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_client::zones;
use tickmesh_core::spec::Topic;
use tickmesh_webhook::{Notice, Target};
use uuid::Uuid;

use super::Session;
use crate::{
    connect::who,
    exit::{BadInput, Exit, chain},
    output::FormatArgs,
    views::{Style, Table, Tone, View, cell},
};

/// The file of the targets.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FileArgs {
    /// TOML file with the targets of notices, in tables `[notify.NAME]`
    #[arg(long, value_name = "FILE", env = FILE_VARIABLE)]
    notify_file: Option<PathBuf>,
}

/// The variable that says to a scheduler, too, where its targets are.
const FILE_VARIABLE: &str = "TICKMESH_SCHEDULER_NOTIFY_FILE";

impl FileArgs {
    /// Returns the targets of the file, which has to be named.
    fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let Some(path) = &self.notify_file else {
            let hint = format!("name the file that the schedulers have: --notify-file FILE, or {FILE_VARIABLE}");
            return Err(BadInput::new("no file of targets is named").hint(hint).into());
        };
        read_targets(path)
    }
}

/// Returns the targets of a file.
pub(crate) fn read_targets(path: &Path) -> anyhow::Result<Vec<Target>> {
    let targets = tickmesh_webhook::read_targets(path, &zones::database());
    targets.map_err(|error| BadInput::new(chain(&error.into())).into())
}

/// What `notify` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What can be done with targets.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the targets of notices
    #[command(alias = "list")]
    Ls(ListArgs),
    /// Send a test notice to a target
    #[command(alias = "send")]
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    form: FormatArgs,
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    /// Name of the target
    name: String,
    #[command(flatten)]
    file: FileArgs,
}

/// One target.
#[derive(Debug, Serialize)]
struct TargetView {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    host: String,
    default: bool,
    on: Vec<&'static str>,
    per_hour: usize,
}

/// All targets.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct TargetsView(Vec<TargetView>);

impl From<&Target> for TargetView {
    fn from(target: &Target) -> Self {
        Self {
            name: target.name.clone(),
            kind: target.service.kind(),
            host: target.service.host().to_owned(),
            default: target.is_default,
            on: target.topics.iter().copied().map(Topic::as_str).collect(),
            per_hour: target.per_hour,
        }
    }
}

impl View for TargetsView {
    fn text(&self, _style: &Style) -> String {
        let mut table = Table::new(vec!["NAME", "TYPE", "HOST", "DEFAULT", "PER HOUR", "ON"]);
        for target in &self.0 {
            let on = if target.on.len() == Topic::ALL.len() { "everything".to_owned() } else { target.on.join(",") };
            let default = if target.default { "yes" } else { "no" };
            let per_hour = target.per_hour.to_string();
            let cells = [target.name.as_str(), target.kind, &target.host, default, &per_hour, &on];
            table.row(cells.map(|text| cell(text, Tone::Plain)).to_vec());
        }
        table.into_text()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|target| target.name.clone()).collect()
    }
}

/// Lists the targets, or tries one.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    match &args.action {
        Action::Ls(args) => {
            let targets = args.file.targets()?;
            session.output.show(&TargetsView(targets.iter().map(TargetView::from).collect()), args.form.format)?;
        }
        Action::Test(args) => test(session, args).await?,
    }
    Ok(Exit::Success)
}

async fn test(session: &Session, args: &TestArgs) -> anyhow::Result<()> {
    let targets = args.file.targets()?;
    let Some(target) = targets.iter().find(|target| target.name == args.name) else {
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let hint = if names.is_empty() {
            "the file has no target".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        return Err(BadInput::new(format!("there is no target `{}`", args.name)).hint(hint).into());
    };
    let id = format!("test-{}", Uuid::now_v7());
    tickmesh_webhook::send(target, &Notice::test(&target.name, &who(), Timestamp::now(), id)).await?;
    session.output.talk(&format!("target {} has taken a test notice", target.name));
    Ok(())
}

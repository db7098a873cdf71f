//! Compose files on their way into the mesh: read, named, and refused together if one of them is
//! not valid.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_client::{stack, views::validation::ValidationView};
use tickmesh_core::{message::AppSource, name::AppName};
use tickmesh_messaging::Mesh;

use super::{Session, validate::print_diagnostics};
use crate::{
    compose_file::{App, ProjectArgs, Source, Understood},
    exit::BadInput,
    inputs::{Input, inputs},
    output::Format,
};

/// Which files, and what they are read with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a> {
    /// Each is one of its own, or a directory of such.
    pub files: &'a [PathBuf],
    /// All of these are one.
    pub merged: &'a [PathBuf],
    /// What the app is called, or the project of a stack.
    pub name: Option<&'a AppName>,
    pub project: &'a ProjectArgs,
    /// Whether files that are not valid are left out, and the others go on.
    pub keep_going: bool,
}

/// An app that may be applied.
pub(super) struct Prepared {
    /// The app.
    pub app: AppName,
    /// What is stored of it.
    pub source: AppSource,
    /// When it will run, in one line.
    pub when: String,
    /// The first instants of that.
    pub next: Vec<Timestamp>,
    /// Paths of the hosts that are relative in the file, and what they are on every host.
    pub host_paths: BTreeMap<String, String>,
}

/// All that may be applied.
#[derive(Default)]
pub(super) struct AllPrepared {
    pub apps: Vec<Prepared>,
    /// Files that are not valid, where the others go on.
    pub refused: Vec<String>,
}

/// Reads all files, and refuses all of them if one is not valid.
pub(super) fn prepare(session: &Session, files: Files<'_>, zones: &TimeZoneDatabase) -> anyhow::Result<AllPrepared> {
    let inputs = inputs(files.files, files.merged)?;
    if files.name.is_some() && inputs.len() > 1 {
        return Err(BadInput::new("--name is for one file").into());
    }
    let mut all = AllPrepared::default();
    for input in &inputs {
        match prepare_one(session, input, files, zones, &mut all) {
            Ok(()) => {}
            Err(error) if files.keep_going && error.is::<BadInput>() => {
                session.output.talk(&format!("error: {error}"));
                all.refused.push(input.first.display().to_string());
            }
            Err(error) => return Err(error),
        }
    }
    match all.refused.as_slice() {
        _ if files.keep_going => Ok(all),
        [] => Ok(all),
        [one] if inputs.len() == 1 => Err(BadInput::new(format!("{one} is not valid, and nothing has changed")).into()),
        several => {
            let problem = format!("not valid, so nothing has changed: {}", several.join(", "));
            Err(BadInput::new(problem).hint("--keep-going leaves them out and takes the others").into())
        }
    }
}

fn prepare_one(
    session: &Session,
    input: &Input,
    files: Files<'_>,
    zones: &TimeZoneDatabase,
    all: &mut AllPrepared,
) -> anyhow::Result<()> {
    let source = Source::read(input)?;
    let understood = source.understand(files.project, files.name, zones)?;
    understood.notes.iter().for_each(|note| session.output.talk(note));
    tell(session, &understood);
    if !understood.is_valid() {
        all.refused.push(source.name);
        return Ok(());
    }
    for app in understood.apps {
        let view = ValidationView::new(&source.name, &app.reading, zones, Timestamp::now());
        let host_paths = app.reading.host_paths.clone();
        let name = named(&app)?;
        let source = app.into_source();
        if let Some(twin) = all.apps.iter().find(|other| other.app == name) {
            let (one, other) = (origin(&twin.source), origin(&source));
            return Err(BadInput::new(format!("{one} and {other} are both called `{name}`")).into());
        }
        all.apps.push(Prepared { app: name, source, when: view.when(), next: view.next, host_paths });
    }
    Ok(())
}

/// Says what is wrong with the files, each finding once: the apps of a stack are read from the same
/// ones.
fn tell(session: &Session, understood: &Understood) {
    let mut told = BTreeSet::new();
    for app in &understood.apps {
        let diagnostics = app.reading.diagnostics.iter().filter(|it| told.insert(it.to_string()));
        let diagnostics: Vec<_> = diagnostics.cloned().collect();
        print_diagnostics(session.output, |name| understood.text(name), &diagnostics, Format::Table);
    }
}

fn named(app: &App) -> anyhow::Result<AppName> {
    app.app
        .clone()
        .ok_or_else(|| BadInput::new("nothing says what the app is called").hint("give it a name with --name").into())
}

/// Where an app comes from, for people.
pub(super) fn origin(source: &AppSource) -> String {
    match &source.project.service {
        Some(service) => format!("service {service} of {}", source.file_name),
        None => source.file_name.clone(),
    }
}

/// Apps of the same stacks whose services are in their files no more.
pub(super) async fn vanished(mesh: &Mesh, prepared: &[Prepared]) -> anyhow::Result<Vec<AppName>> {
    let projects = prepared.iter().filter_map(|it| it.source.project.name.as_deref()).collect();
    let kept = prepared.iter().map(|it| it.app.as_str()).collect();
    Ok(stack::vanished(mesh, &projects, &kept).await?)
}

/// Refuses an app of a stack whose name is that of another stack's.
pub(super) async fn check_origins(mesh: &Mesh, prepared: &[Prepared]) -> anyhow::Result<()> {
    for Prepared { app, source, .. } in prepared {
        if let Some(problem) = stack::clash(mesh, app, source).await? {
            return Err(BadInput::new(problem).hint(stack::CLASH_HINT).into());
        }
    }
    Ok(())
}

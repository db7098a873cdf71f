//! `tickmesh validate`: every problem of compose files at once, without a mesh.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_core::{compose::Diagnostic, name::AppName};

use super::Session;
use crate::{
    compose_file::{Source, VariableArgs},
    exit::Exit,
    output::{Format, FormatArgs, Output},
    views::validation::{ValidationView, ValidationsView},
    zones,
};

/// Stands in for the name of an app whose file does not tell one: nothing but `apply` needs it.
const NAME_UNKNOWN: &str = "app";

/// What `validate` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compose files; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    variables: VariableArgs,
    #[command(flatten)]
    form: FormatArgs,
}

/// Checks every file, and then fails if one of them is not valid.
pub(crate) fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let (variables, zones) = (args.variables.all(), zones::database());
    let mut views = Vec::new();
    for path in &args.files {
        let source = Source::read(path)?;
        let (view, diagnostics) = check(&source, &variables, &zones)?;
        print_diagnostics(session.output, &diagnostics, args.form.format);
        views.push(view);
    }
    let valid = views.iter().all(|view| view.valid);
    session.output.show(&ValidationsView(views), args.form.format)?;
    Ok(if valid { Exit::Success } else { Exit::BadInput })
}

fn check(
    source: &Source,
    variables: &BTreeMap<String, String>,
    zones: &TimeZoneDatabase,
) -> anyhow::Result<(ValidationView, Vec<Diagnostic>)> {
    let app = source.app_name().or_else(|_| AppName::new(NAME_UNKNOWN))?;
    let reading = source.understand(&app, variables, zones)?.reading;
    let view = ValidationView::new(&source.name, &reading, zones, Timestamp::now());
    Ok((view, reading.diagnostics))
}

/// Says what is wrong, unless the data says it.
pub(crate) fn print_diagnostics(output: Output, diagnostics: &[Diagnostic], format: Format) {
    match format {
        Format::Table | Format::Wide | Format::Name => {
            for diagnostic in diagnostics {
                output.talk(&diagnostic.to_string());
            }
        }
        Format::Json | Format::Yaml => {}
    }
}

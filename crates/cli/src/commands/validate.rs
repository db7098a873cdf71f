//! `tickmesh validate`: every problem of compose files at once, without a mesh.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_client::{views::validation::ValidationView, zones};
use tickmesh_core::{
    compose::{Diagnostic, Position},
    name::AppName,
};

use super::Session;
use crate::{
    compose_file::{Source, VariableArgs},
    escape,
    exit::Exit,
    output::{Format, FormatArgs, Output},
    views::validation::ValidationsView,
};

/// Stands in for the name of an app whose file does not tell one: nothing but `apply` needs it.
const NAME_UNKNOWN: &str = "app";
/// Longest line that is shown with what is wrong in it, in characters.
const LINE_MAX: usize = 160;

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
        print_diagnostics(session.output, &source.text, &diagnostics, args.form.format);
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

/// Says what is wrong, with the line it is in, unless the data says it.
pub(crate) fn print_diagnostics(output: Output, text: &str, diagnostics: &[Diagnostic], format: Format) {
    match format {
        Format::Table | Format::Wide | Format::Name => {
            let lines: Vec<&str> = text.lines().collect();
            for diagnostic in diagnostics {
                output.talk(&with_line(diagnostic, &lines));
            }
        }
        Format::Json | Format::Yaml => {}
    }
}

/// A finding with the line of the file that it is about, and a sign under the place.
fn with_line(diagnostic: &Diagnostic, lines: &[&str]) -> String {
    let Position { line, column } = diagnostic.position;
    let told = diagnostic.to_string();
    let found = line.checked_sub(1).and_then(|index| lines.get(index)).filter(|line| line.chars().count() <= LINE_MAX);
    // What concerns the file as a whole is told without a line.
    let Some(found) = found.filter(|_| diagnostic.position != Position::START) else { return told };
    let (first, rest) = told.split_once('\n').unwrap_or((&told, ""));
    // As wide as the text before the place is, tabs included.
    let before: String = found.chars().take(column - 1).map(|it| if it == '\t' { '\t' } else { ' ' }).collect();
    let number = format!("{line:>5}");
    let margin = " ".repeat(number.len());
    let mut shown = format!("{first}\n{number} | {}\n{margin} | {before}^", escape::text(found));
    if !rest.is_empty() {
        shown.push_str(&format!("\n{rest}"));
    }
    shown
}

//! `tickmesh validate`: every problem of compose files at once, without a mesh.

use std::path::PathBuf;

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_client::{views::validation::ValidationView, zones};
use tickmesh_core::compose::{Diagnostic, Position};

use super::Session;
use crate::{
    compose_file::{ProjectArgs, Source},
    escape,
    exit::Exit,
    inputs::{Input, inputs},
    output::{Format, FormatArgs, Output},
    views::validation::ValidationsView,
};

/// Longest line that is shown with what is wrong in it, in characters.
const LINE_MAX: usize = 160;

/// What `validate` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compose files, or directories of them; `-` is stdin
    #[arg(required_unless_present = "file_options", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Compose file that is merged over the one before; repeated
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file_options: Vec<PathBuf>,
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    form: FormatArgs,
}

/// Checks every file, and then fails if one of them is not valid.
pub(crate) fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let zones = zones::database();
    let mut views = Vec::new();
    for input in inputs(&args.files, &args.file_options)? {
        views.extend(check(session.output, &input, args, &zones)?);
    }
    let valid = views.iter().all(|view| view.valid);
    session.output.show(&ValidationsView(views), args.form.format)?;
    Ok(if valid { Exit::Success } else { Exit::BadInput })
}

/// What comes of the apps of one file.
fn check(output: Output, input: &Input, args: &Args, zones: &TimeZoneDatabase) -> anyhow::Result<Vec<ValidationView>> {
    let source = Source::read(input)?;
    let understood = source.understand(&args.project, None, zones)?;
    let format = args.form.format;
    if format.is_for_people() {
        understood.notes.iter().for_each(|note| output.talk(note));
    }
    let mut views = Vec::new();
    for app in &understood.apps {
        let mut view = ValidationView::new(&source.name, &app.reading, zones, Timestamp::now());
        view.app = app.app.as_ref().map(ToString::to_string);
        print_diagnostics(output, |name| understood.text(name), &app.reading.diagnostics, format);
        views.push(view);
    }
    Ok(views)
}

/// Says what is wrong, with the line it is in, unless the data says it.
pub(crate) fn print_diagnostics<'t>(
    output: Output,
    text: impl Fn(&str) -> &'t str,
    diagnostics: &[Diagnostic],
    format: Format,
) {
    match format {
        Format::Table | Format::Wide | Format::Name => {
            for diagnostic in diagnostics {
                let lines: Vec<&str> = text(&diagnostic.file).lines().collect();
                output.talk(&with_line(diagnostic, &lines));
            }
        }
        Format::Json | Format::Yaml => {}
    }
}

/// A finding with the line of the file that it is about, and a sign under the place.
fn with_line(diagnostic: &Diagnostic, lines: &[&str]) -> String {
    let Position { line, column, .. } = diagnostic.position;
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

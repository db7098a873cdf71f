//! Text to tree, and the parser's errors in words that help people who know compose better than YAML.

use std::rc::Rc;

use granit_parser::{ErrorKind, Parser, ScanError, options};

use super::{
    super::{
        diagnostic::{Position, SourceId},
        report::{Place, Report},
    },
    DEPTH_MAX, SOURCE_BYTES_MAX,
    build::{Builder, Stop, position_at, too_deep},
    tree::Node,
};

/// The tree of the file with this number. `None`: the report says why.
pub(crate) fn parse(id: SourceId, source: &str, report: &mut Report) -> Option<Rc<Node>> {
    let whole = || Place { position: Position { source: id, ..Position::START }, path: String::new() };
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the file has {} bytes, at most {SOURCE_BYTES_MAX} are allowed", source.len());
        report.error(whole(), message);
        return None;
    }
    match build(id, source, report) {
        Ok(Some(root)) => Some(root),
        Ok(None) => {
            report.error(whole(), "the file is empty");
            None
        }
        Err(Stop { position, message, hint }) => {
            let place = Place { position, path: String::new() };
            match hint {
                Some(hint) => report.error_with_hint(place, message, hint),
                None => report.error(place, message),
            }
            None
        }
    }
}

fn build(id: SourceId, source: &str, report: &mut Report) -> Result<Option<Rc<Node>>, Stop> {
    let options = options! {
        emit_comments: false,
        // The builder counts both together; these keep the parser's own memory small before it sees them.
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut builder = Builder::new(id, source, report);
    for next in Parser::new_from_str_with_options(source, options) {
        let (event, span) = next.map_err(|error| explain(id, &error, source))?;
        builder.event(event, span)?;
    }
    Ok(builder.finish())
}

fn explain(id: SourceId, error: &ScanError, source: &str) -> Stop {
    let marker = error.marker();
    let position = position_at(id, marker.line(), marker.col());
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return Stop { position, message: too_deep(), hint: None };
    }
    let line = source.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
    let hint = unquoted_schedule(line).or_else(|| hint_for(error.kind()));
    Stop { position, message: format!("this is not YAML: {}", error.info()), hint }
}

/// Schedules often begin with a character that means something else to YAML.
fn unquoted_schedule(line: &str) -> Option<String> {
    let (_, value) = line.split_once(": ").or_else(|| line.split_once("- "))?;
    let value = value.trim();
    let is_star = |rest: &str| rest.is_empty() || rest.starts_with([' ', '/', ',']);
    let is_schedule = value.starts_with('@') || value.strip_prefix('*').is_some_and(is_star);
    is_schedule.then(|| {
        let value: String = value.chars().take(60).collect();
        format!("quote the schedule: \"{value}\"")
    })
}

/// A way out of the mistakes that people make most.
fn hint_for(kind: &ErrorKind) -> Option<String> {
    let hint = match kind {
        ErrorKind::TabInIndentation | ErrorKind::TabInBlockIndentation | ErrorKind::TabNotAllowed => {
            "YAML is indented with spaces"
        }
        ErrorKind::UnknownAnchor => "a value that begins with `*` is an alias: quote it if it is text",
        ErrorKind::MappingValueNotAllowed => "quote a value that contains `: `",
        ErrorKind::UnexpectedCharacter { .. } => "quote a value that begins with this character",
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => "a closing quote is missing",
        // The enum is the parser's, has a hundred variants and may grow: its own words must do.
        _ => return None,
    };
    Some(hint.to_owned())
}

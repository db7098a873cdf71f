//! Directives of swarm, which stand among the variables of `environment` and are none: they say where containers run.
//!
//! What must hold and can be honoured is taken over; what must hold and cannot is an error, because the job would run
//! where it must not; what was only a wish is a warning.

use super::{
    super::{
        constraint::{self, Wish},
        reader::{Pair, Reader},
        report::{Place, quote},
    },
    affinity::Neighbourhood,
};
use crate::spec::Constraint;

/// The directives, by their beginnings.
#[derive(Debug, Clone, Copy)]
enum Directive {
    Constraint,
    Affinity,
    Availability,
    Reschedule,
}

const DIRECTIVES: [(&str, Directive); 4] = [
    ("constraint:", Directive::Constraint),
    ("affinity:", Directive::Affinity),
    ("availability:", Directive::Availability),
    ("reschedule:", Directive::Reschedule),
];

/// What the directives of a service say.
#[derive(Debug, Default)]
pub(super) struct Directives {
    /// What an agent must be.
    pub(super) constraints: Vec<Constraint>,
    /// What must be beside it.
    pub(super) neighbourhood: Neighbourhood,
}

/// Reads a directive. `false`: it is none, but a variable.
pub(super) fn read(reader: &mut Reader<'_>, pair: &Pair, directives: &mut Directives) -> bool {
    let found = DIRECTIVES.iter().find_map(|(prefix, directive)| Some((directive, pair.name.strip_prefix(prefix)?)));
    let Some((directive, name)) = found else { return false };
    // An operator may be cut in two: `a==b` is the variable `a` with the value `=b`.
    let rest = match &pair.value {
        Some(value) => format!("{name}={}", value.value),
        None => name.to_owned(),
    };
    let place = pair.place.clone();
    match directive {
        Directive::Constraint => read_constraint(reader, &rest, place, &mut directives.constraints),
        Directive::Affinity if is_wish(&rest) => {
            let why = "agents are chosen by what they are, not by what runs on them";
            reader
                .report
                .warning(place, format!("the wish {} has no effect: {why}", quote(&format!("affinity:{rest}"))));
        }
        Directive::Affinity => directives.neighbourhood.read_affinity(reader, &rest, place),
        Directive::Availability if is_wish(&rest) => {
            let why = "replicas are spread over the agents that fit, whatever zone they are in";
            let wish = quote(&format!("availability:{rest}"));
            reader.report.warning(place, format!("the wish {wish} has no effect: {why}"));
        }
        Directive::Availability => directives.neighbourhood.read_availability(reader, &rest, place),
        Directive::Reschedule => check_reschedule(reader, &rest, place),
    }
    true
}

fn read_constraint(reader: &mut Reader<'_>, text: &str, place: Place, constraints: &mut Vec<Constraint>) {
    match constraint::read(text) {
        Ok(Wish::Must(constraint)) => {
            warn_of_label(reader, &constraint, place);
            constraints.push(constraint);
        }
        Ok(Wish::Soft) => warn_of_wish(reader, text, place),
        Err(error) => reader.report.error(place, error.to_string()),
    }
}

/// Says which agents a constraint finds on what Swarm knew of its nodes by itself.
pub(super) fn warn_of_label(reader: &mut Reader<'_>, constraint: &Constraint, place: Place) {
    let Some(label) = constraint::label_to_give(constraint) else { return };
    let name = label.split('=').next().unwrap_or(&label);
    let message = format!("`{name}` is a label of agents here, and none has it by itself");
    let hint = format!("start the agents that are meant with `--label {label}`, or remove the constraint");
    reader.report.warning_with_hint(place, message, hint);
}

/// Says that a wish has no effect.
pub(super) fn warn_of_wish(reader: &mut Reader<'_>, text: &str, place: Place) {
    let message = format!("the wish {} has no effect: agents fit or do not", quote(text));
    reader.report.warning_with_hint(place, message, "write `==` or `!=` if it must hold");
}

/// Whether it would only be nice.
fn is_wish(text: &str) -> bool {
    constraint::split(text).is_some_and(|(_, _, values)| values.starts_with('~'))
}

fn check_reschedule(reader: &mut Reader<'_>, policy: &str, place: Place) {
    if policy == "on-node-failure" {
        let message = "`reschedule:on-node-failure` has no effect: replicas of a lost host always run elsewhere";
        return reader.report.warning(place, message);
    }
    let message = format!("`reschedule:` takes `on-node-failure`, not {}", quote(policy));
    let hint = "the label `tickmesh.on_lost: fail` says that a replica of a lost host is not run elsewhere";
    reader.report.error_with_hint(place, message, hint);
}

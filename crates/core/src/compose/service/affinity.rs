//! `affinity:` and `availability:`, by which files of the original say where containers run, seen from
//! others: beside them, apart from them, in so many zones.
//!
//! Agents know what runs in their app and not what else does: so services and images are those of the
//! file.

use std::collections::BTreeSet;

use super::super::{
    constraint,
    reader::Reader,
    report::{Place, quote},
    value::{Refused, number},
};
use crate::{
    name::ServiceName,
    spec::{Affinity, Operator, ServiceSpec, ZoneSpread},
};

/// Most affinities of a service: each agent is compared with all of them.
const AFFINITIES_MAX: usize = 8;
/// Most services and images that an affinity names, for the same reason.
const VALUES_MAX: usize = 16;
/// Most zones that replicas can be spread over.
const ZONES_MAX: u64 = 100;

/// What a service says about its neighbours, before the names are looked up.
#[derive(Debug, Default)]
pub(super) struct Neighbourhood {
    affinities: Vec<Written>,
    spread: Option<(ZoneSpread, Place)>,
}

/// An affinity as it is written.
#[derive(Debug)]
struct Written {
    by: Named,
    operator: Operator,
    values: Vec<String>,
    place: Place,
}

/// What the values of an affinity name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Services,
    Images,
}

impl Neighbourhood {
    /// Reads what stands behind `affinity:`. It is no wish.
    pub(super) fn read_affinity(&mut self, reader: &mut Reader<'_>, text: &str, place: Place) {
        let malformed = || Refused::new(text, "an affinity such as `service==db` or `service!=(a|b)`");
        let read = || {
            let (named, operator, values) = constraint::split(text).ok_or_else(malformed)?;
            let by = match named.trim() {
                "service" => Named::Services,
                "image" => Named::Images,
                _ => {
                    let known = "possible: agents know the services and images of this file, so write `service==` or \
                                 `image==`, or a constraint on a label of hosts";
                    return Err(Refused::new(text, known));
                }
            };
            Ok((by, operator, constraint::read_values(text, values.trim())?))
        };
        match read() {
            Ok(_) if self.affinities.len() >= AFFINITIES_MAX => {
                reader.report.error(place, format!("a service has at most {AFFINITIES_MAX} affinities"));
            }
            Ok((_, _, values)) if values.len() > VALUES_MAX => {
                reader.report.error(place, format!("an affinity names at most {VALUES_MAX} services"));
            }
            Ok((by, operator, values)) => self.affinities.push(Written { by, operator, values, place }),
            Err(error) => reader.report.error(place, format!("affinity: {error}")),
        }
    }

    /// Reads what stands behind `availability:`. It is no wish.
    pub(super) fn read_availability(&mut self, reader: &mut Reader<'_>, text: &str, place: Place) {
        let malformed = || Refused::new(text, "a number of zones such as `az==3`, where `az` is a label of agents");
        let read = || {
            let (label, operator, count) = constraint::split(text).ok_or_else(malformed)?;
            let label = constraint::label(label.trim()).filter(|_| operator == Operator::Is).ok_or_else(malformed)?;
            let zones = number(count.trim(), 1..=ZONES_MAX)?;
            Ok::<_, Refused>(ZoneSpread { label: label.to_owned(), zones: u32::try_from(zones).unwrap_or(u32::MAX) })
        };
        match (read(), &self.spread) {
            (Ok(spread), None) => self.spread = Some((spread, place)),
            (Ok(spread), Some((before, _))) if spread == *before => {}
            (Ok(_), Some(_)) => reader.report.error(place, "`availability:` says two things: keep one"),
            (Err(error), _) => reader.report.error(place, format!("availability: {error}")),
        }
    }

    /// Puts the rules into their service, once all services of the app are known.
    pub(super) fn settle(self, reader: &mut Reader<'_>, spec: &mut ServiceSpec, known: &[Known]) {
        let first = self.affinities.first().map(|written| &written.place);
        let place = first.or(self.spread.as_ref().map(|(_, place)| place)).cloned();
        if let Some(place) = place.filter(|_| spec.global) {
            let message = "a service with one replica on each agent has its places: it can choose no others";
            reader.report.error_with_hint(place, message, "remove the affinity, or write `scale` instead of `global`");
            return;
        }
        for Written { by, operator, values, place } in self.affinities {
            let services = found(reader, by, operator, &values, known, &place);
            if !services.is_empty() {
                spec.affinities.push(Affinity { operator, services });
            }
        }
        let Some((spread, place)) = self.spread else { return };
        if spread.zones > spec.scale {
            let message = format!("a `scale` of {} is too small for {} zones", spec.scale, spread.zones);
            reader.report.error_with_hint(place, message, "raise the label `scale`, or ask for fewer zones");
            return;
        }
        spec.spread = Some(spread);
    }
}

/// A service of the app, for others that name it or its image.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: ServiceName,
    pub(super) image: String,
}

fn found(
    reader: &mut Reader<'_>,
    by: Named,
    operator: Operator,
    values: &[String],
    known: &[Known],
    place: &Place,
) -> Vec<ServiceName> {
    let mut services = Vec::new();
    for value in values {
        let named = |service: &&Known| match by {
            Named::Services => service.name.as_str() == value,
            Named::Images => is_image(&service.image, value),
        };
        let before = services.len();
        services.extend(known.iter().filter(named).map(|service| service.name.clone()));
        if services.len() > before {
            continue;
        }
        let message = match by {
            Named::Services => format!("there is no service {} in this app", quote(value)),
            Named::Images => format!("no service of this app has the image {}", quote(value)),
        };
        let near = match by {
            Named::Services => reader.report.nearest(value, known.iter().map(|service| service.name.as_str())),
            Named::Images => None,
        };
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "agents know of no other containers; `constraint:` names labels of hosts".to_owned(),
        };
        match (by, operator) {
            // Where nothing runs of it, nothing has to be kept apart.
            (Named::Images, Operator::IsNot) => {
                reader.report.warning_with_hint(place.clone(), format!("the affinity has no effect: {message}"), hint);
            }
            (Named::Services, _) | (Named::Images, Operator::Is) => {
                reader.report.error_with_hint(place.clone(), message, hint);
            }
        }
    }
    services
}

/// Whether a reference is of the image that somebody names, with a tag or without one.
fn is_image(reference: &str, named: &str) -> bool {
    let repository = reference.split('@').next().unwrap_or(reference);
    let is_tag = |rest: &str| rest.is_empty() || (rest.starts_with(':') && !rest.contains('/'));
    [reference, repository].iter().any(|image| image.strip_prefix(named).is_some_and(is_tag))
}

/// Refuses services that must be beside each other, so that none could be the first.
pub(super) fn report_circles(reader: &mut Reader<'_>, services: &[ServiceSpec], places: &[Option<Place>]) {
    let mut placeable: BTreeSet<&ServiceName> = BTreeSet::new();
    loop {
        let can_follow = |service: &&ServiceSpec| {
            let beside = service.affinities.iter().filter(|affinity| affinity.operator == Operator::Is);
            let mut beside = beside.map(|affinity| affinity.services.iter().any(|name| placeable.contains(name)));
            !placeable.contains(&service.name) && beside.all(|is_met| is_met)
        };
        let next: Vec<&ServiceName> = services.iter().filter(can_follow).map(|service| &service.name).collect();
        if next.is_empty() {
            break;
        }
        placeable.extend(next);
    }
    let stuck = services.iter().zip(places).find(|(service, _)| !placeable.contains(&service.name));
    if let Some((service, Some(place))) = stuck {
        let message =
            format!("{} would wait for its own place: affinities go round in a circle", quote(service.name.as_str()));
        reader.report.error_with_hint(place.clone(), message, "remove one of them");
    }
}

impl Neighbourhood {
    /// Where the first affinity stands, if there is one.
    pub(super) fn place(&self) -> Option<Place> {
        self.affinities.first().map(|written| written.place.clone())
    }

    /// What one service of a stack says about its neighbours, which are no part of its app.
    pub(super) fn settle_alone(self, reader: &mut Reader<'_>, spec: &mut ServiceSpec) {
        let known = [Known { name: spec.name.clone(), image: spec.container.image.clone() }];
        self.settle(reader, spec, &known);
    }
}

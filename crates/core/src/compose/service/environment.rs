//! `environment`: variables of the container. Swarm put directives among them, which look like variables and are none.

use std::collections::BTreeMap;

use super::{
    super::{
        reader::{Pair, Reader},
        report::quote,
        yaml::Item,
    },
    directive::{self, Directives},
};

/// Most text in the variables of one service: the kernel gives names and values a megabyte, and the ledger holds them all.
const ENVIRONMENT_BYTES_MAX: usize = 64 * 1024;
/// Variables that agents set.
const RESERVED: [&str; 8] = [
    "TICKMESH_APP",
    "TICKMESH_RUN",
    "TICKMESH_SERVICE",
    "TICKMESH_REPLICA",
    "TICKMESH_REPLICAS",
    "TICKMESH_ATTEMPT",
    "TICKMESH_SCHEDULED_AT",
    "TICKMESH_CAUSE",
];

/// Reads `environment`: the variables, and the directives among them.
pub(super) fn read_environment(reader: &mut Reader<'_>, item: &Item<'_>) -> (BTreeMap<String, String>, Directives) {
    let (mut environment, mut directives) = (BTreeMap::new(), Directives::default());
    for pair in reader.pairs(item) {
        if let Some(text) = &pair.value {
            reader.report_unset(text);
        }
        if directive::read(reader, &pair, &mut directives) || !check_name(reader, &pair) {
            continue;
        }
        let Pair { name, place, value } = pair;
        // A name alone is docker's way to say "as it is where the file is applied".
        let value = match value {
            Some(text) => Some(text.value),
            None => reader.interpolator.variable(&name).map(ToOwned::to_owned),
        };
        let Some(value) = value else { continue };
        if value.contains('\0') {
            reader.report.error(place, format!("the value of {} contains a NUL character", quote(&name)));
        } else if environment.insert(name.clone(), value).is_some() {
            reader.report.warning(place, format!("{} is set twice: the last value is used", quote(&name)));
        }
    }
    check_size(reader, item, &environment);
    (environment, directives)
}

/// Says so if there is more of it than there may be.
pub(super) fn check_size(reader: &mut Reader<'_>, item: &Item<'_>, environment: &BTreeMap<String, String>) {
    let bytes: usize = environment.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        let message = format!("the variables take {bytes} bytes, at most {ENVIRONMENT_BYTES_MAX} are allowed");
        reader.report.error_with_hint(item.place(), message, "put long values into the image or a volume");
    }
}

/// Whether agents set this variable.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

fn check_name(reader: &mut Reader<'_>, pair: &Pair) -> bool {
    let name = pair.name.as_str();
    let place = pair.place.clone();
    if is_reserved(name) {
        reader.report.error(place, format!("the variable `{name}` is reserved: agents set it"));
        return false;
    }
    if name.is_empty() || name.contains(['=', '\0']) || name.chars().any(char::is_whitespace) {
        reader.report.error(place, format!("{} is not the name of a variable", quote(name)));
        return false;
    }
    true
}

//! `external` and `name`, by which a network or volume at the top of the file is one that the hosts
//! have already.

use super::{
    reader::Reader,
    report::Place,
    value::{Refused, boolean, is_engine_name},
    yaml::{Item, Value},
};

/// What a declaration says about the name on the hosts.
#[derive(Debug, Default)]
pub(super) struct External {
    is_external: bool,
    name: Option<String>,
}

impl External {
    /// Reads a key. Returns `false` if it is another one.
    pub(super) fn read(&mut self, key: &str, reader: &mut Reader<'_>, item: &Item<'_>) -> bool {
        match key {
            "name" => self.name = reader.parsed(item, name),
            "external" => match &item.node.value {
                // As files before version 3.5 have it.
                Value::Mapping(_) => {
                    self.is_external = true;
                    for entry in reader.entries(item) {
                        match entry.key.text.as_str() {
                            "name" => self.name = reader.parsed(&item.child(entry), name),
                            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), ["name"]),
                        }
                    }
                }
                Value::Scalar(_) | Value::Sequence(_) => {
                    self.is_external = reader.parsed(item, boolean).unwrap_or_default();
                }
            },
            _ => return false,
        }
        true
    }

    /// Whether the file says that it makes nothing itself.
    pub(super) fn is_external(&self) -> bool {
        self.is_external
    }

    /// Returns the name that the hosts must know; `None`: nothing says that it is there.
    pub(super) fn name_on_hosts(self, reader: &mut Reader<'_>, key: &str, place: Place) -> Option<String> {
        if self.name.is_some() || !self.is_external {
            return self.name;
        }
        name(key).map_err(|error| reader.report.error(place, error.to_string())).ok()
    }
}

/// Reads the name of a network or volume. What the engine would take for a path or another
/// container is none.
fn name(text: &str) -> Result<String, Refused> {
    if is_engine_name(text) {
        return Ok(text.to_owned());
    }
    Err(Refused::new(text, "a name on the hosts: letters, digits, `_`, `.` and `-`, beginning with a letter or digit"))
}

//! The modes of a volume in its short form, such as `ro,z`: docker's list, with commas between.

use super::super::{reader::Reader, report::Place, value::Refused};
use crate::spec::{MountOptions, Propagation, Relabel};

/// Modes for the file sharing of Docker Desktop. On a Linux host they change nothing.
pub(super) const CONSISTENCIES: [&str; 4] = ["consistent", "cached", "delegated", "default"];

/// What the modes of one volume come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Modes {
    pub(super) read_only: bool,
    pub(super) options: MountOptions,
    /// Modes that change nothing, to be told.
    pub(super) useless: Vec<String>,
}

/// Reads modes.
pub(super) fn read(text: &str) -> Result<Modes, Refused> {
    let mut modes = Modes::default();
    for mode in text.split(',') {
        match mode {
            "rw" => {}
            "ro" => modes.read_only = true,
            "nocopy" => modes.options.no_copy = true,
            _ if CONSISTENCIES.contains(&mode) => modes.useless.push(mode.to_owned()),
            _ => match (relabel(mode), propagation(mode)) {
                (Some(relabel), _) => modes.options.relabel = Some(relabel),
                (None, Some(propagation)) => modes.options.propagation = Some(propagation),
                (None, None) => return Err(Refused::new(mode, "a mode of a volume, such as `ro`, `rw` or `z`")),
            },
        }
    }
    Ok(modes)
}

/// Returns how SELinux is to label a path.
pub(super) fn relabel(text: &str) -> Option<Relabel> {
    [Relabel::Shared, Relabel::Private].into_iter().find(|relabel| relabel.as_str() == text)
}

/// Returns how mounts below a path spread.
pub(super) fn propagation(text: &str) -> Option<Propagation> {
    Propagation::ALL.into_iter().find(|propagation| propagation.as_str() == text)
}

/// Says that some modes change nothing.
pub(super) fn warn_of_useless(reader: &mut Reader<'_>, place: &Place, useless: &[String]) {
    for mode in useless {
        let message = format!("`{mode}` of a volume has no effect: it is for Docker Desktop, and hosts run Linux");
        reader.report.warning(place.clone(), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_docker() {
        let check = |text: &str, expect: Modes| assert_eq!(read(text), Ok(expect), "{text}");
        let options = |options| Modes { options, ..Modes::default() };
        check("rw", Modes::default());
        check("ro", Modes { read_only: true, ..Modes::default() });
        check("z", options(MountOptions { relabel: Some(Relabel::Shared), ..MountOptions::default() }));
        let private = MountOptions { relabel: Some(Relabel::Private), ..MountOptions::default() };
        check("ro,Z", Modes { read_only: true, ..options(private) });
        check("nocopy", options(MountOptions { no_copy: true, ..MountOptions::default() }));
        let slave = MountOptions { propagation: Some(Propagation::RecursiveSlave), ..MountOptions::default() };
        check("rslave", options(slave));
        check("cached", Modes { useless: vec!["cached".to_owned()], ..Modes::default() });
    }

    #[test]
    fn other_modes_are_refused() {
        for text in ["", "rx", "ro,", "RO", "ro;z", "volume-nocopy"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}

//! The keys of a secret or config at the top of the file.

use super::{Known, ignored, supported, unsupported};

/// Keys that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKey {
    File,
}

const NO_STORE: &str = "agents know no store of secrets, only files of their hosts";
const NAME_A_FILE: &str = "put it into a file on the hosts, and name that with `file`";

/// Every key of a secret or config.
pub(crate) const FILE_KEYS: &[Known<FileKey>] = &[
    supported("file", FileKey::File),
    ignored("name", "the file is known by its path"),
    ignored("labels", "nothing reads them"),
    unsupported("external", NO_STORE, NAME_A_FILE),
    unsupported("driver", NO_STORE, NAME_A_FILE),
    unsupported("driver_opts", NO_STORE, NAME_A_FILE),
    unsupported("template_driver", NO_STORE, NAME_A_FILE),
    unsupported("environment", "its value would be stored with the app, for all to read", NAME_A_FILE),
    unsupported("content", "what is in it would have to be carried to every host", NAME_A_FILE),
];

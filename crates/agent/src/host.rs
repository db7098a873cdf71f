//! Which host this is, and the lock that keeps two agents of one name apart on it (protocol rule P10).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tickmesh_core::message::MachineId;

use crate::{labels::Owner, lock::FileLock};

/// Where Linux keeps the machine's identity, in order of preference.
const MACHINE_ID_FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";

/// A host, as heartbeats and claims name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Identity of the machine: survives a boot.
    pub machine: MachineId,
    /// Identity of the boot, or empty.
    pub boot: String,
    /// Name, for people.
    pub name: String,
}

/// Why the host or its lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host has neither a machine id nor a name.
    #[error("failed to read the identity of this host from `{path}`")]
    NoIdentity {
        /// Where it was looked for last.
        path: &'static str,
        /// Why it cannot be read.
        #[source]
        source: io::Error,
    },
    /// The lock file cannot be made.
    #[error("failed to open lock file `{}`", path.display())]
    OpenLock {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process on this host has the agent's name.
    #[error("another agent of this name runs on this host: it holds `{}`", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

impl Host {
    /// The host that this process runs on. Without a machine id (in a container, say) its name is its identity.
    pub fn this() -> Result<Self, Error> {
        let no_identity = |source| Error::NoIdentity { path: HOST_NAME_FILE, source };
        let name = read(HOST_NAME_FILE).map_err(no_identity)?;
        let machine = MACHINE_ID_FILES.iter().find_map(|path| read(path).ok().filter(|id| !id.is_empty()));
        Ok(Self {
            machine: MachineId(machine.unwrap_or_else(|| name.clone())),
            boot: read(BOOT_ID_FILE).unwrap_or_default(),
            name,
        })
    }
}

fn read(path: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

/// Takes the lock of an agent's name in `folder`, which is made if it does not exist.
pub(crate) fn lock_name(folder: &Path, owner: &Owner) -> Result<FileLock, Error> {
    let path = folder.join(format!("{}.lock", owner.file_stem()));
    match FileLock::take(&path) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Error::Locked { path }),
        Err(source) => Err(Error::OpenLock { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        id::MeshId,
        name::{AgentName, Namespace},
    };

    use super::*;

    fn owner(agent: &str) -> Owner {
        Owner {
            mesh: MeshId::from_random([7; 16]),
            namespace: Namespace::new("tickmesh").unwrap(),
            agent: AgentName::new(agent).unwrap(),
        }
    }

    #[test]
    fn a_name_is_held_once_and_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let locks = folder.path().join("locks");
        let held = lock_name(&locks, &owner("host-1")).unwrap();
        assert!(matches!(lock_name(&locks, &owner("host-1")), Err(Error::Locked { .. })));
        lock_name(&locks, &owner("host-2")).unwrap();
        drop(held);
        lock_name(&locks, &owner("host-1")).unwrap();
    }

    #[test]
    fn a_lock_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = lock_name(&file.join("locks"), &owner("host-1")).unwrap_err();
        assert!(error.to_string().contains("host-1.lock"), "{error}");
    }

    #[test]
    fn this_host_has_an_identity() {
        let host = Host::this().unwrap();
        assert!(!host.machine.0.is_empty() && !host.name.is_empty());
        assert_eq!(host, Host::this().unwrap());
    }
}

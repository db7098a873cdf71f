//! Which host this is, and the lock that keeps two agents of one name apart on it (protocol rule P10).

use std::{
    fs, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    path::{Path, PathBuf},
};

use tickmesh_core::{id::Nonce, message::MachineId};

use crate::{labels::Owner, lock::FileLock};

/// Where Linux keeps the machine's identity, in order of preference.
const MACHINE_ID_FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";

/// Processes that a host remembers. A store that is restored from an older copy names one of an earlier time: one for each
/// start of the agent within the age of a copy.
const REMEMBERED_MAX: usize = 32;

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
        #[source]
        source: io::Error,
    },
    /// Another process on this host has the agent's name, whatever its user and its data folder.
    #[error("another agent of this name runs on this host, on the same engine: it holds the socket `@{name}`")]
    Bound {
        /// The socket's abstract name.
        name: String,
    },
    /// Another process has the agent's name in this data folder.
    #[error("another agent of this name runs on this host: it holds `{}`", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// Returns whether another process has the name.
    pub fn is_taken(&self) -> bool {
        match self {
            Self::Locked { .. } | Self::Bound { .. } => true,
            Self::NoIdentity { .. } | Self::OpenLock { .. } => false,
        }
    }
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

/// The lock of an agent's name on its host, held for the life of the process.
#[derive(Debug)]
pub(crate) struct NameLock {
    file: FileLock,
    /// Bound to a name that every user of the host sees: agents of two users, or with two data folders, have two files.
    _bound: UnixListener,
}

impl NameLock {
    /// Takes the lock of an agent's name for one engine. Its file is in `folder`, which is made if it does not exist.
    pub(crate) fn take(folder: &Path, owner: &Owner, machine: &MachineId) -> Result<Self, Error> {
        let bound = bind(owner, machine)?;
        let path = folder.join(format!("{}.lock", owner.file_stem()));
        match FileLock::take(&path) {
            Ok(Some(file)) => Ok(Self { file, _bound: bound }),
            Ok(None) => Err(Error::Locked { path }),
            Err(source) => Err(Error::OpenLock { path, source }),
        }
    }

    /// Returns the last processes on this host that had the name, the newest first, as far as they wrote so. A line that was cut
    /// in two says nothing, and the others do.
    pub(crate) fn remembered(&self) -> Vec<Nonce> {
        self.file.text().lines().filter_map(|line| line.parse().ok()).take(REMEMBERED_MAX).collect()
    }

    /// Keeps for the next processes that this one has the name.
    pub(crate) fn remember(&mut self, process: Nonce) -> io::Result<()> {
        let before = self.remembered().into_iter().filter(|known| *known != process).take(REMEMBERED_MAX - 1);
        let lines: Vec<String> = std::iter::once(process).chain(before).map(|known| known.to_string()).collect();
        self.file.write(&lines.join("\n"))
    }
}

/// Binds a socket in the kernel's own name space, which nobody ever connects to. The kernel frees the name with the process.
fn bind(owner: &Owner, machine: &MachineId) -> Result<UnixListener, Error> {
    // A name has at most 107 bytes.
    let digest = MachineId(format!("{machine} {}", owner.file_stem())).digest();
    let name = format!("tickmesh/{}/{:08x}", owner.mesh, digest.0);
    let address = SocketAddr::from_abstract_name(&name);
    match address.and_then(|address| UnixListener::bind_addr(&address)) {
        Ok(bound) => Ok(bound),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Error::Bound { name }),
        Err(source) => Err(Error::OpenLock { path: PathBuf::from(format!("@{name}")), source }),
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

    fn machine(engine: &str) -> MachineId {
        MachineId("machine".to_owned()).with_engine(engine)
    }

    fn lock_name(folder: &Path, owner: &Owner) -> Result<NameLock, Error> {
        NameLock::take(folder, owner, &machine(&folder.display().to_string()))
    }

    #[test]
    fn another_data_folder_is_no_other_host() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let engine = machine(&folders[0].path().display().to_string());
        let take = |folder: usize| NameLock::take(folders[folder].path(), &owner("host-1"), &engine);
        let mut held = take(0).unwrap();
        let error = take(1).unwrap_err();
        assert!(matches!(error, Error::Bound { .. }), "{error}");
        let process = Nonce::from_random([3; 16]);
        held.remember(process).unwrap();
        drop(held);
        assert_eq!(take(1).unwrap().remembered(), []);
        assert_eq!(take(0).unwrap().remembered(), [process]);
    }

    #[test]
    fn a_line_that_was_cut_costs_no_other_one() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [1, 2].map(|number| Nonce::from_random([number; 16]));
        let mut held = lock_name(folder.path(), &owner("host-1")).unwrap();
        let cut: String = first.to_string().chars().skip(9).collect();
        held.file.write(&format!("{first}\n{cut}\n{second}")).unwrap();
        assert_eq!(held.remembered(), [first, second]);
    }

    #[test]
    fn the_last_processes_of_a_name_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let process = |number| Nonce::from_random([number; 16]);
        let remember = |number| lock_name(folder.path(), &owner("host-1")).unwrap().remember(process(number)).unwrap();
        (0..40).for_each(remember);
        remember(39);
        let held = lock_name(folder.path(), &owner("host-1")).unwrap();
        assert_eq!(held.remembered(), (8..40).rev().map(process).collect::<Vec<_>>());
    }

    #[test]
    fn a_name_is_held_once_and_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let locks = folder.path().join("locks");
        let held = lock_name(&locks, &owner("host-1")).unwrap();
        assert!(lock_name(&locks, &owner("host-1")).unwrap_err().is_taken());
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

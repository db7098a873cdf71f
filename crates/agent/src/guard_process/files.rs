//! The folder of a guard: its lock, what it remembers, and the socket on which it listens.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::{fd::AsRawFd as _, unix::fs::DirBuilderExt as _},
    path::{Path, PathBuf},
    process,
};

use tokio::net::{UnixListener, UnixStream};

use crate::{guard::Memory, labels::Owner, lock::FileLock};

/// Only whoever runs the agent may tell its guard anything.
const FOLDER_MODE: u32 = 0o700;
const LOCK: &str = "lock";
const MEMORY: &str = "memory.json";
/// Written first, and then renamed: a guard that is killed half-way leaves the file of before.
const MEMORY_NEW: &str = "memory.json.new";
const SOCKET: &str = "socket";
/// With the number of its process behind it: where a guard listens that waits for another one's
/// place.
const SOCKET_ASIDE: &str = "socket.";
const LOG: &str = "log";
/// A log that has grown beyond that is begun anew: a guard has little to say, so this is many lives.
const LOG_BYTES_MAX: u64 = 1024 * 1024;

/// The folder of one agent's guard.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Those of the guard of an agent's containers on one engine. An agent that is given another engine gets another guard, and the
    /// one that it had ends what it left on the old one.
    pub(super) fn of(folder: &Path, owner: &Owner, engine: &str) -> Self {
        let engine: String = engine.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect();
        Self { folder: folder.join(format!("{}.{engine}.guard", owner.file_stem())) }
    }

    /// The folder, for error texts.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder and takes the lock. `None`: another guard has it.
    pub(super) fn lock(&self) -> io::Result<Option<FileLock>> {
        self.make_folder()?;
        FileLock::take(&self.folder.join(LOCK))
    }

    /// What the guard before has left. A file that cannot be read is none: the fence then counts from now.
    pub(super) fn memory(&self) -> Option<Memory> {
        let bytes = fs::read(self.folder.join(MEMORY)).ok()?;
        let memory = serde_json::from_slice(&bytes);
        memory.inspect_err(|error| tracing::warn!(%error, "what the guard before has left cannot be read")).ok()
    }

    /// Leaves that to the next guard. It need not survive a crash of the host, since no memory is worth anything after a boot.
    pub(super) fn remember(&self, memory: &Memory) -> io::Result<()> {
        let new = self.folder.join(MEMORY_NEW);
        fs::write(&new, serde_json::to_vec(memory)?)?;
        fs::rename(&new, self.folder.join(MEMORY))
    }

    /// Leaves nothing to the next guard, whose fence then counts from its start: better than a deadline that is long over.
    pub(super) fn forget(&self) {
        // What is not there need not be removed.
        let _ = fs::remove_file(self.folder.join(MEMORY));
    }

    /// Removes the folder. For the holder of the lock, right before its end.
    pub(super) fn remove(&self) {
        for name in [MEMORY, MEMORY_NEW, SOCKET, LOG, LOCK] {
            let _ = fs::remove_file(self.folder.join(name));
        }
        self.remove_sockets_of_the_dead();
        // Whoever has put something there since needs it.
        let _ = fs::remove_dir(&self.folder);
    }

    /// A file for the guard's log, below what earlier guards have done. It must not be where the agent's goes: whoever reads that may
    /// be gone long before the guard.
    pub(super) fn log(&self) -> io::Result<File> {
        self.make_folder()?;
        let log = File::options().create(true).append(true).open(self.folder.join(LOG))?;
        if log.metadata()?.len() > LOG_BYTES_MAX {
            log.set_len(0)?;
        }
        Ok(log)
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder)
    }

    /// Begins to listen. For the holder of the lock: a socket that is there belongs to nobody any more.
    pub(super) fn listen(&self) -> io::Result<UnixListener> {
        match fs::remove_file(self.folder.join(SOCKET)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let folder = File::open(&self.folder)?;
        UnixListener::bind(short_path(&folder, SOCKET))
    }

    /// Begins to listen beside the guard that has the lock.
    pub(super) fn listen_aside(&self) -> io::Result<UnixListener> {
        self.make_folder()?;
        self.stop_listening_aside();
        let folder = File::open(&self.folder)?;
        UnixListener::bind(short_path(&folder, &aside(process::id())))
    }

    /// Makes the socket that this process listens on aside the one that agents look for, now that
    /// it has the lock. `false`: it is not there any more.
    pub(super) fn come_forward(&self) -> bool {
        self.remove_sockets_of_the_dead();
        fs::rename(self.folder.join(aside(process::id())), self.folder.join(SOCKET)).is_ok()
    }

    /// Leaves no socket that nobody listens on.
    pub(super) fn stop_listening_aside(&self) {
        // What is not there need not be removed.
        let _ = fs::remove_file(self.folder.join(aside(process::id())));
    }

    /// A guard that was killed while it waited leaves its socket.
    fn remove_sockets_of_the_dead(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let process = name.to_str().and_then(|name| name.strip_prefix(SOCKET_ASIDE)?.parse::<u32>().ok());
            if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Connects to the guard that is on duty.
    pub(super) async fn connect(&self) -> io::Result<UnixStream> {
        let folder = File::open(&self.folder)?;
        UnixStream::connect(short_path(&folder, SOCKET)).await
    }

    /// Connects to the guard of that process, which waits for the other one's place.
    pub(super) async fn connect_aside(&self, process: u32) -> io::Result<UnixStream> {
        let folder = File::open(&self.folder)?;
        UnixStream::connect(short_path(&folder, &aside(process))).await
    }
}

fn aside(process: u32) -> String {
    format!("{SOCKET_ASIDE}{process}")
}

/// The path of a socket by way of an open folder: that of a socket has 107 bytes at most, and a
/// folder's name may be longer alone.
fn short_path(folder: &File, socket: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{socket}", folder.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, time::Duration};

    use super::*;
    use crate::{fixture, guard::Standing};

    fn files(folder: &Path) -> Files {
        Files::of(folder, &fixture::owner(), "AB:CD")
    }

    #[test]
    fn one_guard_at_a_time_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let held = files(folder.path()).lock().unwrap();
        assert!(held.is_some() && files(folder.path()).lock().unwrap().is_none());
        drop(held);
        let held = files(folder.path()).lock().unwrap();
        assert!(held.is_some());
        files(folder.path()).remove();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
        assert!(files(folder.path()).lock().unwrap().is_some());
    }

    #[test]
    fn what_is_remembered_is_there_for_the_next_guard() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let _lock = files.lock().unwrap();
        assert_eq!(files.memory(), None);
        for seconds in [1, 2] {
            let deadline = Duration::from_secs(seconds);
            let memory = Memory { boot: "b".to_owned(), deadline, standing: Standing::Fenced, killed: Vec::new() };
            files.remember(&memory).unwrap();
            assert_eq!(files.memory(), Some(memory));
        }
        fs::write(files.folder().join(MEMORY), "{").unwrap();
        assert_eq!(files.memory(), None);
        files.forget();
        files.forget();
    }

    #[test]
    fn the_log_tells_of_earlier_guards_until_it_is_long() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let length = || fs::metadata(files.folder().join(LOG)).unwrap().len();
        for lives in 1..=2 {
            files.log().unwrap().write_all(b"killed\n").unwrap();
            assert_eq!(length(), 7 * lives);
        }
        files.log().unwrap().set_len(LOG_BYTES_MAX + 1).unwrap();
        files.log().unwrap();
        assert_eq!(length(), 0);
    }

    #[tokio::test]
    async fn a_socket_works_in_a_folder_of_any_length_and_after_a_guard_that_was_killed() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(120));
        let files = files(&deep);
        let _lock = files.lock().unwrap();
        assert!(files.connect().await.is_err());
        drop(files.listen().unwrap());
        assert!(files.connect().await.is_err(), "nobody listens on what is left");
        let listener = files.listen().unwrap();
        let (connected, accepted) = tokio::join!(files.connect(), listener.accept());
        assert!(connected.is_ok() && accepted.is_ok());
    }

    #[tokio::test]
    async fn guard_that_waits_aside_comes_forward() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let _lock = files.lock().unwrap();
        let on_duty = files.listen().unwrap();
        // A process that has ended: there is none of that number.
        fs::write(files.folder().join(aside(u32::MAX)), "").unwrap();
        let listener = files.listen_aside().unwrap();
        let (connected, accepted) = tokio::join!(files.connect_aside(process::id()), listener.accept());
        assert!(connected.is_ok() && accepted.is_ok());
        drop(on_duty);
        assert!(files.come_forward() && !files.come_forward());
        let (connected, accepted) = tokio::join!(files.connect(), listener.accept());
        assert!(connected.is_ok() && accepted.is_ok());
        assert!(!files.folder().join(aside(u32::MAX)).exists());
    }
}

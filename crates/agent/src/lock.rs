//! A file that one process at a time can hold.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// How often a file that was removed meanwhile is made anew.
const TRIES_MAX: usize = 10;

/// Held for the life of the process; the kernel releases it, however the process ends.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

/// Longest text that a lock file is read for.
const TEXT_BYTES_MAX: u64 = 4_096;

impl FileLock {
    /// Takes the lock, whose folder is made if it does not exist. `None`: another process has it.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        for _ in 0..TRIES_MAX {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, path)? => return Ok(Some(Self { file })),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other("the file is removed again and again"))
    }
}

impl FileLock {
    /// Returns what a holder wrote into the file last; nothing if it cannot be read.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // A file that is damaged says nothing, like a new one.
        let _ = (&self.file).rewind();
        let _ = (&self.file).take(TEXT_BYTES_MAX).read_to_string(&mut text);
        text.trim().to_owned()
    }

    /// Replaces what is in the file, and waits until it is on the disk. At no moment is the file empty that had something in it:
    /// a host that loses its power meanwhile finds lines of the old text, of the new one, or of both.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_all()?;
        self.file.set_len(text.len() as u64)?;
        self.file.sync_all()
    }
}

/// Whether that is the file which others find. The holder before may have removed it, and then two could hold the lock.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.ino() == file.metadata()?.ino() && found.dev() == file.metadata()?.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_holder_reads_what_the_last_one_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut first = FileLock::take(&path).unwrap().unwrap();
        assert_eq!(first.text(), "");
        first.write("longer than the next").unwrap();
        first.write("short").unwrap();
        drop(first);
        assert_eq!(FileLock::take(&path).unwrap().unwrap().text(), "short");
    }

    #[test]
    fn a_file_that_its_holder_removed_locks_nobody_out_and_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = FileLock::take(&path).unwrap().unwrap();
        let opened_before = File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = FileLock::take(&path).unwrap();
        assert!(second.is_some() && FileLock::take(&path).unwrap().is_none());
        drop(held);
        opened_before.try_lock().unwrap();
        assert!(!is_at(&opened_before, &path).unwrap());
    }
}

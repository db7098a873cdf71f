//! A file that one process at a time can hold.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// How often a file that was removed meanwhile is made anew.
const TRIES_MAX: usize = 10;

/// Held for the life of the process; the kernel releases it, however the process ends.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock, whose folder is made if it does not exist. `None`: another process has it.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        for _ in 0..TRIES_MAX {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = File::options().create(true).truncate(false).write(true).open(path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, path)? => return Ok(Some(Self { _file: file })),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other("the file is removed again and again"))
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

//! Whether the engine has room on its disk: one that has none answers every question, and can start nothing.

/// Bytes that must be left for an engine to count as able to run something. Starting a container writes some tens of kilobytes;
/// a disk with less than this left is full at the next log line or layer.
const ROOM_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// The disk of the engine is full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("its disk is full: {left_bytes} bytes are left in `{folder}`")]
    Bytes { folder: String, left_bytes: u64 },
    #[error("its disk is full: no more files can be made in `{folder}`")]
    Files { folder: String },
}

/// What is left of a file system.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: u64,
    files: u64,
    /// Files that it can ever have. Some file systems do not count them.
    files_max: u64,
}

/// Checks the disk that the engine says is its own. One that this process cannot see is not judged.
pub(super) async fn check_room(folder: String) -> Result<(), Full> {
    let looked = folder.clone();
    // A file system may hang, and the runtime must not.
    let room = tokio::task::spawn_blocking(move || rustix::fs::statvfs(looked).ok()).await;
    let room = room.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    room.map_or(Ok(()), |room| {
        let bytes = room.f_bavail.saturating_mul(room.f_frsize);
        judge(folder, Room { bytes, files: room.f_favail, files_max: room.f_files })
    })
}

fn judge(folder: String, room: Room) -> Result<(), Full> {
    let Room { bytes: left_bytes, files, files_max } = room;
    if left_bytes < ROOM_BYTES_MIN {
        return Err(Full::Bytes { folder, left_bytes });
    }
    if files == 0 && files_max > 0 {
        return Err(Full::Files { folder });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: u64, files: u64, files_max: u64, expected: Result<(), &str>) {
        let found = judge("/srv".to_owned(), Room { bytes, files, files_max }).map_err(|full| full.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn engine_without_room_on_its_disk_is_no_good() {
        check(ROOM_BYTES_MIN, 1, 9, Ok(()));
        check(ROOM_BYTES_MIN, 0, 0, Ok(()));
        check(5, 1, 9, Err("its disk is full: 5 bytes are left in `/srv`"));
        check(1 << 40, 0, 9, Err("its disk is full: no more files can be made in `/srv`"));
    }

    #[tokio::test]
    async fn folder_that_cannot_be_seen_is_not_judged() {
        assert_eq!(check_room("/no/such/folder".to_owned()).await, Ok(()));
        assert_eq!(check_room("/".to_owned()).await, Ok(()));
    }
}

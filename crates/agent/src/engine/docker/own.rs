//! Whether this process is itself in a container of the engine.
//!
//! An agent there would be no good: the engine ends its guard with it, and it would look at the files of its container where
//! the engine mounts those of the host.

use std::fs;

use super::{Docker, Error};

/// Files of a container that the engine makes for it and mounts, below a folder with its id.
const MOUNTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
/// Characters of the id of a container.
const ID_CHARS: usize = 64;

impl Docker {
    /// Returns the name of the container of this engine in which this process runs, if it does. A container of another engine is
    /// a host of its own: there an engine may run that is told of no other.
    pub async fn own_container(&self) -> Result<Option<String>, Error> {
        match fs::read_to_string("/proc/self/mountinfo") {
            Ok(mounts) => self.container_of(&mounts).await,
            Err(_) => Ok(None),
        }
    }

    /// Returns the name of the container of this engine whose process sees these mounts (`/proc/PID/mountinfo`).
    pub async fn container_of(&self, mounts: &str) -> Result<Option<String>, Error> {
        let Some(id) = own_id(mounts) else { return Ok(None) };
        match self.look(&id).await {
            Ok(view) => Ok(Some(view.name)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The id in the source of one of the files that the engine mounts. A host lists mounts of its containers as well, but none there.
fn own_id(mounts: &str) -> Option<String> {
    let of_line = |line: &str| {
        // Number, parent, device, what is mounted, where.
        let mut fields = line.split(' ').skip(3);
        let (source, target) = (fields.next()?, fields.next()?);
        let is_id = |part: &&str| part.len() == ID_CHARS && part.bytes().all(|it| it.is_ascii_hexdigit());
        let id = source.split('/').find(is_id)?;
        MOUNTED.contains(&target).then(|| id.to_owned())
    };
    mounts.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

    #[track_caller]
    fn check(mount: &str, is_own: bool) {
        let mounts = format!("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n{mount}\n");
        assert_eq!(own_id(&mounts).is_some_and(|id| id == ID), is_own, "{mount}");
    }

    #[test]
    fn only_files_that_the_engine_made_for_this_process_count() {
        check(
            &format!("23 22 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw"),
            true,
        );
        check(&format!("23 22 8:1 /containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw"), true);
        let of_podman = format!("/run/containers/storage/overlay-containers/{ID}/userdata/hosts");
        check(&format!("23 22 0:24 {of_podman} /etc/hosts rw - tmpfs tmpfs rw"), true);
        // A host sees what its engine mounts for others.
        check(&format!("23 22 0:50 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw"), false);
        check(&format!("23 22 0:51 / /var/lib/docker/overlay2/{ID}/merged rw - overlay overlay rw"), false);
        check("23 22 8:1 /etc/hostname.real /etc/hostname rw - ext4 /dev/sda1 rw", false);
        check("nonsense", false);
    }
}

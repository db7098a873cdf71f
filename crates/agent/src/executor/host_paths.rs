//! Where the host paths of a container lead. The policy of the host allows paths by their names, and a job that may write below
//! one of them can make a symbolic link there to anything else of the host, which the engine follows.
//!
//! This is a look, not a lock: what a job changes between the look and the engine's own is not seen.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tickmesh_core::spec::{ContainerSpec, VolumeSource};

use crate::policy::{Detour, HostPolicy, check_target};

/// The paths that a container mounts by their names, or by a volume that the engine makes of one.
pub(super) fn named(container: &ContainerSpec) -> Vec<String> {
    container.volumes.iter().filter_map(|volume| volume.host_path().map(str::to_owned)).collect()
}

/// The volumes of the engine that a container mounts.
pub(super) fn volumes(container: &ContainerSpec) -> impl Iterator<Item = &str> {
    container.volumes.iter().filter_map(|volume| match &volume.source {
        VolumeSource::Named(name) => Some(name.as_str()),
        VolumeSource::HostPath(_)
        | VolumeSource::ExistingHostPath(_)
        | VolumeSource::Anonymous
        | VolumeSource::Tmpfs(_) => None,
    })
}

/// Refuses paths that lead to where the policy does not let containers.
pub(super) fn check(paths: Vec<String>, policy: &HostPolicy) -> Result<(), Detour> {
    let resolved = policy.resolved(|path| resolve(path).ok());
    for path in paths {
        // Both lead to the same, also where the agent may not look.
        if policy.outermost().any(|allowed| allowed == Path::new(&path)) {
            continue;
        }
        match resolve(Path::new(&path)) {
            Ok(target) => check_target(&resolved, &path, &target)?,
            Err(error) => return Err(Detour::Unseen { path, reason: error.to_string() }),
        }
    }
    Ok(())
}

/// The path without symbolic links. What does not exist of it stays as it is: the engine makes directories of that.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut missing = Vec::new();
    for existing in path.ancestors() {
        match fs::canonicalize(existing) {
            Ok(found) => return Ok(missing.iter().rev().fold(found, |path, name| path.join(name))),
            // A link that leads nowhere is there all the same, and where it leads may come to be.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !existing.is_symlink() => {
                missing.extend(existing.file_name());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder `jobs` that may be mounted, with a folder `own` in it, and a folder `secret` that may not.
    struct Host {
        root: tempfile::TempDir,
    }

    impl Host {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for folder in ["jobs/own", "secret"] {
                fs::create_dir_all(root.path().join(folder)).unwrap();
            }
            Self { root }
        }

        fn path(&self, name: &str) -> PathBuf {
            fs::canonicalize(self.root.path()).unwrap().join(name)
        }

        fn link(&self, link: &str, target: &str) {
            symlink(self.path(target), self.path(link)).unwrap();
        }

        /// Mounts `path` where `allowed` may be: `Ok`, or where it leads.
        #[track_caller]
        fn check(&self, allowed: &[&str], path: &str, expect: Result<(), &str>) {
            let host_paths = allowed.iter().map(|name| self.path(name)).collect();
            let policy = HostPolicy { host_paths, ..HostPolicy::default() };
            let path = self.path(path).display().to_string();
            let expect = expect.map_err(|target| {
                let target = self.path(target).display().to_string();
                Detour::Link { path: path.clone(), target }
            });
            assert_eq!(check(vec![path], &policy), expect);
        }
    }

    #[test]
    fn a_path_without_links_is_what_its_name_says() {
        let host = Host::new();
        for path in ["jobs", "jobs/own", "jobs/new/deep"] {
            host.check(&["jobs"], path, Ok(()));
        }
    }

    #[test]
    fn a_link_counts_for_where_it_leads() {
        let host = Host::new();
        host.link("jobs/out", "secret");
        host.link("jobs/in", "jobs/own");
        host.check(&["jobs"], "jobs/out", Err("secret"));
        host.check(&["jobs"], "jobs/out/new/deep", Err("secret/new/deep"));
        host.check(&["jobs", "secret"], "jobs/out", Ok(()));
        host.check(&["jobs"], "jobs/in/new", Ok(()));
    }

    #[test]
    fn what_is_allowed_may_be_a_link_itself_but_not_one_that_jobs_can_make() {
        let host = Host::new();
        host.link("data", "secret");
        host.check(&["data"], "data/today", Ok(()));
        host.link("later", "not-there-yet");
        host.check(&["later"], "later", Ok(()));
        host.link("jobs/out", "secret");
        host.check(&["jobs", "jobs/out"], "jobs/out", Err("secret"));
    }

    #[test]
    fn a_link_that_leads_nowhere_yet_is_refused() {
        let host = Host::new();
        host.link("jobs/later", "not-there-yet");
        let policy = HostPolicy { host_paths: vec![host.path("jobs")], ..HostPolicy::default() };
        for path in ["jobs/later", "jobs/later/deep"] {
            let path = host.path(path).display().to_string();
            let refused = check(vec![path.clone()], &policy).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("host path {path} is not allowed on this host")), "{refused}");
        }
    }
}

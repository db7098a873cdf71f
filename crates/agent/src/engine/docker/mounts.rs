//! The mounts of a container in Docker's words: binds, mounts and memory.

use bollard::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum as DockerPropagation, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig,
};
use tickmesh_core::spec::{MountOptions, Propagation, Volume, VolumeDriver, VolumeSource};

/// Returns a mount in the short form of docker, `SOURCE:TARGET:MODES`.
///
/// Host paths are binds and not mounts: like compose, a bind makes a directory that is missing.
/// Docker labels for SELinux what is bound only, volumes included.
pub(super) fn bind(volume: &Volume) -> Option<String> {
    let MountOptions { must_exist: _, no_copy, relabel, propagation, driver } = volume.options.clone();
    let source = match &volume.source {
        VolumeSource::HostPath(path) => path,
        // Only the long form can say how the engine makes the volume.
        VolumeSource::Named(name) if relabel.is_some() && driver.is_none() => name,
        VolumeSource::Named(_)
        | VolumeSource::ExistingHostPath(_)
        | VolumeSource::Anonymous
        | VolumeSource::Tmpfs(_) => return None,
    };
    let access = if volume.read_only { "ro" } else { "rw" };
    let modes = [
        Some(access),
        no_copy.then_some("nocopy"),
        relabel.map(|relabel| relabel.as_str()),
        propagation.map(|propagation| propagation.as_str()),
    ];
    let modes: Vec<&str> = modes.into_iter().flatten().collect();
    Some(format!("{source}:{}:{}", volume.target, modes.join(",")))
}

/// Returns a mount in the long form of docker, unless it is a bind or memory.
pub(super) fn mount(volume: &Volume) -> Option<Mount> {
    if bind(volume).is_some() {
        return None;
    }
    let (kind, source) = match &volume.source {
        VolumeSource::HostPath(_) | VolumeSource::Tmpfs(_) => return None,
        // A mount fails where the path is missing: a secret must not become an empty directory.
        VolumeSource::ExistingHostPath(path) => (MountType::BIND, Some(path.clone())),
        VolumeSource::Named(name) => (MountType::VOLUME, Some(name.clone())),
        VolumeSource::Anonymous => (MountType::VOLUME, None),
    };
    let MountOptions { must_exist: _, no_copy, relabel: _, propagation, driver } = volume.options.clone();
    let bind_options = propagation.map(|propagation| MountBindOptions {
        propagation: Some(docker_propagation(propagation)),
        ..MountBindOptions::default()
    });
    let is_special = no_copy || driver.is_some();
    let volume_options = is_special.then(|| MountVolumeOptions {
        no_copy: no_copy.then_some(true),
        driver_config: driver.map(driver_config),
        ..MountVolumeOptions::default()
    });
    Some(Mount {
        target: Some(volume.target.clone()),
        source,
        typ: Some(kind),
        read_only: Some(volume.read_only),
        bind_options,
        volume_options,
        ..Mount::default()
    })
}

/// Docker makes a missing volume by these, and takes one that is there as it is.
fn driver_config(VolumeDriver { name, options }: VolumeDriver) -> MountVolumeOptionsDriverConfig {
    MountVolumeOptionsDriverConfig { name: Some(name), options: Some(options.into_iter().collect()) }
}

/// Returns target and options of a mount of memory.
pub(super) fn tmpfs(volume: &Volume) -> Option<(String, String)> {
    let VolumeSource::Tmpfs(options) = &volume.source else { return None };
    let read_only = volume.read_only.then_some("ro");
    let options: Vec<&str> =
        Some(options.as_str()).filter(|options| !options.is_empty()).into_iter().chain(read_only).collect();
    Some((volume.target.clone(), options.join(",")))
}

fn docker_propagation(propagation: Propagation) -> DockerPropagation {
    match propagation {
        Propagation::Private => DockerPropagation::PRIVATE,
        Propagation::RecursivePrivate => DockerPropagation::RPRIVATE,
        Propagation::Shared => DockerPropagation::SHARED,
        Propagation::RecursiveShared => DockerPropagation::RSHARED,
        Propagation::Slave => DockerPropagation::SLAVE,
        Propagation::RecursiveSlave => DockerPropagation::RSLAVE,
    }
}

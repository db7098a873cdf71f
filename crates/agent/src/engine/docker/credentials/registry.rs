//! The registry that an image comes from, and its names.

use bollard::auth::DockerCredentials;

/// The registry of images that name none.
const HUB: &str = "docker.io";
/// Other names of it.
const HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// What it is called in `config.json`, from the days of another protocol.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// A registry, by its host and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registry<'a>(&'a str);

impl<'a> Registry<'a> {
    /// The registry of an image. As in docker, what stands before the first slash is one if it cannot be a folder.
    pub(crate) fn of(image: &'a str) -> Self {
        match image.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => Self(canonical(host)),
            Some(_) | None => Self(HUB),
        }
    }

    /// Its name for people.
    pub(crate) fn name(self) -> &'a str {
        self.0
    }

    /// Its name in `config.json`, and for credential programs.
    pub(super) fn key(self) -> &'a str {
        if self.0 == HUB { HUB_KEY } else { self.0 }
    }

    /// Whether a key of `config.json` means it. Old ones are whole addresses.
    pub(super) fn is_meant_by(self, key: &str) -> bool {
        let address = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        canonical(address.split('/').next().unwrap_or_default()) == self.0
    }

    /// Credentials for it that say nothing yet.
    pub(super) fn blank(self) -> DockerCredentials {
        DockerCredentials { serveraddress: Some(self.key().to_owned()), ..DockerCredentials::default() }
    }
}

fn canonical(host: &str) -> &str {
    if HUB_ALIASES.contains(&host) { HUB } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(image: &str, name: &str, key: &str) {
        let registry = Registry::of(image);
        assert_eq!((registry.name(), registry.key()), (name, key), "{image}");
    }

    #[test]
    fn an_image_names_its_registry_or_means_the_hub() {
        check("busybox", "docker.io", HUB_KEY);
        check("team/job:1", "docker.io", HUB_KEY);
        check("docker.io/team/job", "docker.io", HUB_KEY);
        check("index.docker.io/team/job", "docker.io", HUB_KEY);
        check("localhost/job", "localhost", "localhost");
        check("registry:5000/team/job:2", "registry:5000", "registry:5000");
        check("r.example/job@sha256:00ff", "r.example", "r.example");
        check("job:5000", "docker.io", HUB_KEY);
    }

    #[track_caller]
    fn check_key(image: &str, key: &str, expected: bool) {
        assert_eq!(Registry::of(image).is_meant_by(key), expected, "{image} {key}");
    }

    #[test]
    fn keys_may_be_addresses() {
        check_key("r.example/job", "r.example", true);
        check_key("r.example/job", "https://r.example/v2/", true);
        check_key("r.example/job", "r.example:5000", false);
        check_key("r.example/job", "https://other.example/r.example", false);
        check_key("r.example/job", "", false);
        check_key("busybox", HUB_KEY, true);
        check_key("busybox", "docker.io", true);
        check_key("busybox", "r.example", false);
    }
}

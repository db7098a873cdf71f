//! What `config.json` says of a registry. Pure: bytes in.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use super::registry::Registry;

/// The parts of `config.json` that are about credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigFile {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

/// What is stored for one registry. All of it is secret.
#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// What is wrong with the file. It never quotes the file, which serde's own errors do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("line {line} column {column} of the file is not what docker writes")]
    Json { line: usize, column: usize },
    #[error("`auth` is not a user name, a colon and a password in base64")]
    Auth,
}

impl ConfigFile {
    pub(super) fn parse(content: &[u8]) -> Result<Self, Invalid> {
        serde_json::from_slice(content).map_err(|error| Invalid::Json { line: error.line(), column: error.column() })
    }

    /// The credential program to ask about a registry.
    pub(super) fn program(&self, registry: Registry<'_>) -> Option<&str> {
        let own = self.cred_helpers.as_ref().and_then(|helpers| entry(helpers, registry));
        own.or(self.creds_store.as_ref()).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The credentials that the file itself has.
    pub(super) fn credentials(&self, registry: Registry<'_>) -> Result<Option<DockerCredentials>, Invalid> {
        let stored = self.auths.as_ref().and_then(|auths| entry(auths, registry));
        stored.map_or(Ok(None), |entry| entry.credentials(registry))
    }
}

/// What a map has for a registry: under its own key, or under one that means it.
fn entry<'a, T>(map: &'a BTreeMap<String, T>, registry: Registry<'_>) -> Option<&'a T> {
    let meant = || map.iter().find(|(key, _)| registry.is_meant_by(key)).map(|(_, value)| value);
    map.get(registry.key()).or_else(meant)
}

impl Entry {
    /// `None`: where a program has the secret, docker leaves an empty entry.
    fn credentials(&self, registry: Registry<'_>) -> Result<Option<DockerCredentials>, Invalid> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (mut username, mut password) = (given(&self.username), given(&self.password));
        if let Some(auth) = given(&self.auth) {
            let (user, secret) = decode(&auth).ok_or(Invalid::Auth)?;
            (username, password) = (Some(user), Some(secret));
        }
        let (identitytoken, registrytoken) = (given(&self.identitytoken), given(&self.registrytoken));
        if username.is_none() && identitytoken.is_none() && registrytoken.is_none() {
            return Ok(None);
        }
        Ok(Some(DockerCredentials { username, password, identitytoken, registrytoken, ..registry.blank() }))
    }
}

/// User name and password. Some programs pad them with zeros.
fn decode(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':').filter(|(user, _)| !user.is_empty())?;
    Some((user.to_owned(), password.trim_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ConfigFile {
        ConfigFile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// User name, password and identity token for the image's registry.
    #[track_caller]
    fn check(file: &str, image: &str, expected: Option<(&str, &str, &str)>) {
        let found = parse(file).credentials(Registry::of(image)).unwrap();
        let found = found.map(|it| [it.username, it.password, it.identitytoken].map(Option::unwrap_or_default));
        assert_eq!(found, expected.map(|(user, password, token)| [user, password, token].map(str::to_owned)), "{file}");
    }

    #[test]
    fn an_entry_is_a_login_in_any_of_its_forms() {
        // ann:pass:word~?
        let auth = r#"{"auths": {"r.example": {"auth": "YW5uOnBhc3M6d29yZH4/"}}}"#;
        check(auth, "r.example/job", Some(("ann", "pass:word~?", "")));
        check(auth, "other.example/job", None);
        check(auth, "busybox", None);
        let plain = r#"{"auths": {"https://index.docker.io/v1/": {"username": "ann", "password": "pw"}}}"#;
        check(plain, "busybox", Some(("ann", "pw", "")));
        let token = r#"{"auths": {"https://r.example/v1/": {"auth": "YW5uOg==", "identitytoken": "tok"}}}"#;
        check(token, "r.example/job", Some(("ann", "", "tok")));
        check(r#"{"auths": {"r.example": {"identitytoken": "tok"}}}"#, "r.example/job", Some(("", "", "tok")));
    }

    #[test]
    fn an_entry_may_be_empty_and_anything_may_be_missing() {
        check(r#"{"auths": {"r.example": {}}, "credsStore": "x"}"#, "r.example/job", None);
        check(r#"{"auths": {"r.example": {"auth": "", "username": ""}}}"#, "r.example/job", None);
        check(r#"{"auths": null, "credHelpers": null, "HttpHeaders": {"A": "b"}}"#, "busybox", None);
        check("{}", "busybox", None);
    }

    #[test]
    fn the_own_key_of_a_registry_comes_first() {
        let both = r#"{"auths": {"https://r.example/v1/": {"username": "old", "password": "1"},
            "r.example": {"username": "new", "password": "2"}}}"#;
        check(both, "r.example/job", Some(("new", "2", "")));
    }

    #[track_caller]
    fn check_program(file: &str, image: &str, expected: Option<&str>) {
        assert_eq!(parse(file).program(Registry::of(image)), expected, "{file} {image}");
    }

    #[test]
    fn a_registry_has_a_program_of_its_own_or_that_of_all() {
        let file = r#"{"credHelpers": {"r.example": "cloud", "docker.io": "hub"}, "credsStore": "pass"}"#;
        check_program(file, "r.example/job", Some("cloud"));
        check_program(file, "busybox", Some("hub"));
        check_program(file, "other.example/job", Some("pass"));
        check_program(r#"{"credHelpers": {"r.example": "cloud"}}"#, "other.example/job", None);
        check_program(r#"{"credsStore": ""}"#, "busybox", None);
    }

    #[test]
    fn what_is_wrong_is_told_without_what_the_file_says() {
        let invalid = |text: &str| ConfigFile::parse(text.as_bytes()).err().map(|error| error.to_string());
        let place = "line 1 column 38 of the file is not what docker writes";
        assert_eq!(invalid(r#"{"auths": {"r.example": {"auth": 12345}}}"#).as_deref(), Some(place));
        assert!(invalid(r#"{"auths": "hunter2"}"#).is_some_and(|text| !text.contains("hunter2")));
        assert!(invalid("hunter2").is_some_and(|text| !text.contains("hunter2")));
        for auth in ["hunter2!", "aHVudGVyMg==", "OnB3", "/w=="] {
            let file = parse(&format!(r#"{{"auths": {{"r.example": {{"auth": "{auth}"}}}}}}"#));
            assert_eq!(file.credentials(Registry::of("r.example/job")).err(), Some(Invalid::Auth), "{auth}");
        }
    }
}

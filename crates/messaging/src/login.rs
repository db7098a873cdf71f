//! How a process logs in to NATS: in every way that NATS knows. Secrets come from files or variables, never from a command
//! line, and files are read again at each connect: a credential that was renewed counts from the next one on.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use async_nats::{Auth, AuthError, ConnectOptions, ServerAddr};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// Longest file of a secret that is read: a user's JWT with many permissions has a few KiB.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Who connects, and how that is proved. At most one of them; none: by the address, if it has a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The way.
    pub proof: Option<Proof>,
    /// Files of TLS.
    pub tls: Tls,
}

/// What proves who connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A user's name and password.
    Password {
        /// The name.
        user: String,
        password: Secret,
    },
    Token(Secret),
    /// File with the seed of an nkey.
    Nkey(PathBuf),
    /// File with a user's JWT and the seed of its nkey, as `nsc` writes it.
    Credentials(PathBuf),
}

/// A secret text.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// This text.
    Text(String),
    /// What the file has, without the end of its line.
    File(PathBuf),
}

/// Files of TLS. With any of them, a server without TLS is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates that may have signed the server's; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// Certificate of this process, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => formatter.write_str("Text"),
            Self::File(path) => write!(formatter, "File({})", path.display()),
        }
    }
}

/// For people, without secrets.
impl fmt::Display for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.proof, &self.tls.certificate) {
            (Some(Proof::Password { user, .. }), _) => write!(formatter, "user `{user}` with this password"),
            (Some(Proof::Token(_)), _) => formatter.write_str("this token"),
            (Some(Proof::Nkey(path)), _) => write!(formatter, "the nkey in `{}`", path.display()),
            (Some(Proof::Credentials(path)), _) => write!(formatter, "the credentials in `{}`", path.display()),
            (None, Some((path, _))) => write!(formatter, "the certificate `{}`", path.display()),
            (None, None) => formatter.write_str("somebody without a login"),
        }
    }
}

impl Login {
    /// Returns this login, or that of the address if this one proves nothing: the library leaves that out, and servers take the
    /// first one for a whole cluster.
    pub(crate) fn or_of(self, url: &str) -> Self {
        let proof = self.proof.or_else(|| of_address(url));
        Self { proof, ..self }
    }

    /// Options of a connection that logs in so, now and at each later connect.
    pub(crate) fn options(&self) -> ConnectOptions {
        let options = match self.proof.clone() {
            Some(proof) => ConnectOptions::with_auth_callback(move |nonce| {
                let auth = proof.auth(&nonce, Timestamp::now());
                std::future::ready(auth.map_err(AuthError::new))
            }),
            None => ConnectOptions::new(),
        };
        let Tls { ca, certificate } = &self.tls;
        let options = match ca {
            Some(ca) => options.add_root_certificates(ca.clone()).require_tls(true),
            None => options,
        };
        match certificate {
            Some((certificate, key)) => {
                options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true)
            }
            None => options,
        }
    }

    /// Reads what there is to read, so that a file which is missing is named before anything else is tried.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Refused> {
        let Tls { ca, certificate } = &self.tls;
        let certificate = certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
        for path in ca.iter().chain(certificate) {
            read(path)?;
        }
        self.proof.as_ref().map_or(Ok(()), |proof| proof.auth(b"", now).map(drop))
    }
}

impl Proof {
    /// What the server is told, for its nonce.
    fn auth(&self, nonce: &[u8], now: Timestamp) -> Result<Auth, Refused> {
        let mut auth = Auth::new();
        match self {
            Self::Password { user, password } => {
                (auth.username, auth.password) = (Some(user.clone()), Some(password.read()?));
            }
            Self::Token(token) => auth.token = Some(token.read()?),
            Self::Nkey(path) => {
                let pair = key_pair(path, read(path)?.trim())?;
                auth.nkey = Some(pair.public_key());
                auth.signature = Some(signed(path, &pair, nonce)?);
            }
            Self::Credentials(path) => {
                let text = read(path)?;
                let bad = |what| Refused::new(path, format!("it has no {what}, as `nsc generate creds` writes it"));
                let jwt = block(&text, "USER JWT").ok_or_else(|| bad("user JWT"))?;
                let seed = block(&text, "USER NKEY SEED").ok_or_else(|| bad("seed of an nkey"))?;
                if let Some(expired_at) = expiry(jwt).filter(|at| *at <= now) {
                    return Err(Refused::new(path, format!("it expired at {expired_at}: get a new one")));
                }
                auth.signature = Some(signed(path, &key_pair(path, seed)?, nonce)?);
                auth.jwt = Some(jwt.to_owned());
            }
        }
        Ok(auth)
    }
}

impl Secret {
    fn read(&self) -> Result<String, Refused> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => Ok(read(path)?.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }
}

/// Why a login cannot even be tried.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {problem}", path.display())]
pub struct Refused {
    path: PathBuf,
    problem: String,
}

impl Refused {
    fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into() }
    }
}

fn read(path: &Path) -> Result<String, Refused> {
    let text = fs::metadata(path).and_then(|about| match about.len() {
        0..=FILE_BYTES_MAX => fs::read_to_string(path),
        _ => Err(io::Error::other("it is too large for a secret")),
    });
    text.map_err(|error| Refused::new(path, error.to_string()))
}

fn key_pair(path: &Path, seed: &str) -> Result<nkeys::KeyPair, Refused> {
    nkeys::KeyPair::from_seed(seed).map_err(|error| Refused::new(path, format!("not the seed of an nkey: {error}")))
}

fn signed(path: &Path, pair: &nkeys::KeyPair, nonce: &[u8]) -> Result<Vec<u8>, Refused> {
    pair.sign(nonce).map_err(|error| Refused::new(path, format!("cannot sign with it: {error}")))
}

/// The text below `-----BEGIN NATS <name>-----`.
fn block<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    // The line above the seed has no `NATS` in it.
    let begins = [format!("BEGIN NATS {name}"), format!("BEGIN {name}")];
    let is_begin = |line: &str| begins.iter().any(|begin| line.contains(begin));
    let mut lines = text.lines().skip_while(|line| !is_begin(line)).skip(1);
    lines.find(|line| !line.trim().is_empty()).map(str::trim).filter(|line| !line.starts_with('-'))
}

/// When a JWT expires, if it does. What cannot be read is for the server to judge.
fn expiry(jwt: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: Option<i64>,
    }
    let claims = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    // 0 is a user without an end.
    Timestamp::from_second(exp.filter(|second| *second > 0)?).ok()
}

/// The login of the first address that has one: `nats://name:password@host` or `nats://token@host`.
fn of_address(url: &str) -> Option<Proof> {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    url.split(',').filter_map(|server| server.trim().parse::<ServerAddr>().ok()).find_map(|server| {
        let name = plain(server.username()?);
        Some(match server.password() {
            Some(password) => Proof::Password { user: name, password: Secret::Text(plain(password)) },
            None => Proof::Token(Secret::Text(name)),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_is_that_of_the_address() {
        let user = |user: &str, password: &str| {
            Some(Proof::Password { user: user.to_owned(), password: Secret::Text(password.to_owned()) })
        };
        assert_eq!(of_address("nats://me:p%40ss@a:4222,b:4222"), user("me", "p@ss"));
        assert_eq!(of_address("b:4222, nats://me:secret@a:4222"), user("me", "secret"));
        assert_eq!(of_address("nats://s3cr3t@a:4222"), Some(Proof::Token(Secret::Text("s3cr3t".to_owned()))));
        assert_eq!(of_address("nats://a:4222"), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let proof = Proof::Password { user: "me".to_owned(), password: Secret::Text("hunter2".to_owned()) };
        let login = Login { proof: Some(proof), tls: Tls::default() };
        assert_eq!(login.to_string(), "user `me` with this password");
        assert!(!format!("{login:?}").contains("hunter2"));
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    fn credentials(folder: &tempfile::TempDir, claims: &str) -> Proof {
        let path = folder.path().join("me.creds");
        let seed = nkeys::KeyPair::new_user().seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\nDo not share.\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n",
            jwt(claims)
        );
        fs::write(&path, text).unwrap();
        Proof::Credentials(path)
    }

    #[test]
    fn credentials_are_read_and_their_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let now = "2026-12-01T12:00:00Z".parse().unwrap();
        for claims in ["{}", r#"{"exp":0}"#, r#"{"exp":1900000000}"#] {
            let auth = credentials(&folder, claims).auth(b"nonce", now).unwrap();
            assert_eq!(auth.jwt, Some(jwt(claims)));
            assert_eq!(auth.signature.unwrap().len(), 64);
        }
        let late = credentials(&folder, r#"{"exp":1700000000}"#).auth(b"nonce", now).err().unwrap();
        let expected = "it expired at 2023-11-14T22:13:20Z: get a new one";
        assert!(late.to_string().ends_with(expected), "{late}");
    }

    #[test]
    fn a_file_that_is_no_secret_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        fs::write(&path, "nothing\n").unwrap();
        for proof in [Proof::Nkey(path.clone()), Proof::Credentials(path.clone())] {
            let problem = Login { proof: Some(proof), tls: Tls::default() }.check(Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(problem.to_string().contains("it`: "), "{problem}");
        }
        let absent = Secret::File(folder.path().join("absent"));
        assert!(absent.read().unwrap_err().to_string().contains("absent`: No such file"));
        assert_eq!(Secret::File(path).read().unwrap(), "nothing");
    }
}

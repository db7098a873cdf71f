//! Every way to log in that NATS knows, on a server that lets in nobody else.

use std::{fs, path::PathBuf, time::Instant};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair as TlsKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use tickmesh_messaging::{ConnectOptions, Error, Login, Mesh, Proof, Secret, Tls, chain};
use tickmesh_testkit::nats::Server;

use crate::support::*;

/// A server with this configuration, and the folder that it is in.
struct Guarded {
    server: Server,
    folder: TempDir,
}

impl Guarded {
    fn with(config: impl FnOnce(&TempDir) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats.conf");
        fs::write(&path, config(&folder)).unwrap();
        let server = Server::start_with(&["--config", path.to_str().unwrap()]);
        Self { server, folder }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn options(&self, login: Login) -> ConnectOptions {
        ConnectOptions { login, ..options(&self.server.url(), "mesh") }
    }

    async fn connect(&self, login: Login) -> Result<Mesh, Error> {
        within("an answer", Mesh::connect(&self.options(login))).await
    }

    /// Lets in this login, tells who was refused with the other one, and lets in nobody without one.
    async fn check(&self, good: Login, bad: Login, told: &str) {
        self.connect(good).await.unwrap();
        for (login, told) in [(bad, told), (Login::default(), "somebody without a login")] {
            let begun = Instant::now();
            let error = self.connect(login).await.unwrap_err();
            let expected = format!("NATS at `{}` does not let in {told}", self.server.url());
            assert_eq!(error.to_string(), expected, "{error:?}");
            assert!(begun.elapsed() < REQUEST_TIMEOUT, "{:?}", begun.elapsed());
        }
    }
}

fn by(proof: Proof) -> Login {
    Login { proof: Some(proof), tls: Tls::default() }
}

#[tokio::test]
async fn user_and_password_log_in() {
    let guarded = Guarded::with(|_| "authorization { user: me, password: secret }".to_owned());
    let user = |password| by(Proof::Password { user: "me".to_owned(), password });
    let file = guarded.file("password", "secret\n");
    guarded
        .check(user(Secret::File(file)), user(Secret::Text("wrong".to_owned())), "user `me` with this password")
        .await;
}

#[tokio::test]
async fn token_logs_in() {
    let guarded = Guarded::with(|_| "authorization { token: s3cr3t }".to_owned());
    let file = guarded.file("token", "s3cr3t\n");
    let token = |secret| by(Proof::Token(secret));
    guarded.check(token(Secret::File(file)), token(Secret::Text("s3cr3".to_owned())), "this token").await;
}

#[tokio::test]
async fn nkey_logs_in() {
    let pair = KeyPair::new_user();
    let guarded = Guarded::with(|_| format!("authorization {{ users = [ {{ nkey: {} }} ] }}", pair.public_key()));
    let good = guarded.file("good.nk", &pair.seed().unwrap());
    let bad = guarded.file("bad.nk", &KeyPair::new_user().seed().unwrap());
    let told = format!("the nkey in `{}`", bad.display());
    guarded.check(by(Proof::Nkey(good)), by(Proof::Nkey(bad)), &told).await;
}

/// A JWT as NATS has them.
fn jwt(issuer: &KeyPair, subject: &KeyPair, expires_at: Option<i64>, nats: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let mut claims = json!({
        "jti": "test", "iat": 1_700_000_000, "iss": issuer.public_key(), "name": "test", "sub": subject.public_key(),
        "nats": nats,
    });
    if let Some(second) = expires_at {
        claims["exp"] = json!(second);
    }
    let signed = format!("{header}.{}", part(claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

fn credentials(account: &KeyPair, expires_at: Option<i64>) -> String {
    let user = KeyPair::new_user();
    let limits = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(account, &user, expires_at, limits),
        user.seed().unwrap()
    )
}

/// A server that knows one account of an operator.
fn of_operator(account: &KeyPair) -> Guarded {
    let operator = KeyPair::new_operator();
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    // JetStream wants one of the system's own.
    let system = KeyPair::new_account();
    let claims = [
        (account, json!({"type": "account", "version": 2, "limits": limits})),
        (&system, json!({"type": "account", "version": 2})),
    ];
    let known =
        claims.map(|(account, claims)| format!("{}: {}", account.public_key(), jwt(&operator, account, None, claims)));
    let operator_jwt = jwt(&operator, &operator, None, json!({"type": "operator", "version": 2}));
    let system = system.public_key();
    Guarded::with(|_| {
        let known = known.join("\n");
        format!(
            "operator: {operator_jwt}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{\n{known}\n}}\n"
        )
    })
}

#[tokio::test]
async fn credentials_log_in_and_are_read_again_at_a_reconnect() {
    let account = KeyPair::new_account();
    let mut guarded = of_operator(&account);
    let good = guarded.file("me.creds", &credentials(&account, None));
    let bad = guarded.file("other.creds", &credentials(&KeyPair::new_account(), None));
    let told = format!("the credentials in `{}`", bad.display());
    guarded.check(by(Proof::Credentials(good.clone())), by(Proof::Credentials(bad)), &told).await;
    let mesh = guarded.connect(by(Proof::Credentials(good.clone()))).await.unwrap();
    within("a mesh", mesh.provision(&Default::default())).await.unwrap();
    // What was good is not any more, and what was renewed meanwhile is.
    fs::write(&good, credentials(&account, Some(1_700_000_000))).unwrap();
    guarded.server.restart();
    mesh.apps().list().await.unwrap_err();
    fs::write(&good, credentials(&account, None)).unwrap();
    within("the apps", async { while mesh.apps().list().await.is_err() {} }).await;
}

#[tokio::test]
async fn expired_credentials_are_told_with_their_end() {
    let account = KeyPair::new_account();
    let guarded = of_operator(&account);
    let late = guarded.file("late.creds", &credentials(&account, Some(1_700_000_000)));
    let error = guarded.connect(by(Proof::Credentials(late))).await.unwrap_err();
    assert!(chain(&error).ends_with("late.creds`: it expired at 2023-11-14T22:13:20Z: get a new one"), "{error:?}");
}

/// A certificate authority, with what it has signed: certificates and their keys in files.
struct Authority(CertifiedIssuer<'static, TlsKey>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, TlsKey::generate().unwrap()).unwrap())
    }

    fn sign(&self, folder: &TempDir, name: &str) -> (PathBuf, PathBuf) {
        let key = TlsKey::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        let [certificate_path, key_path] = ["crt", "key"].map(|end| folder.path().join(format!("{name}.{end}")));
        fs::write(&certificate_path, certificate.pem()).unwrap();
        fs::write(&key_path, key.serialize_pem()).unwrap();
        (certificate_path, key_path)
    }
}

#[tokio::test]
async fn certificate_logs_in_where_both_sides_are_known() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let guarded = Guarded::with(|folder| {
        let (certificate, key) = authority.sign(folder, "server");
        let ca = folder.path().join("ca.crt");
        fs::write(&ca, authority.0.pem()).unwrap();
        format!("tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}", certificate, key, ca)
    });
    let ca = Some(guarded.folder.path().join("ca.crt"));
    let known = authority.sign(&guarded.folder, "known");
    let login = |ca: &Option<PathBuf>, certificate| Login { proof: None, tls: Tls { ca: ca.clone(), certificate } };
    guarded.connect(login(&ca, Some(known.clone()))).await.unwrap();
    let unknown = stranger.sign(&guarded.folder, "unknown");
    guarded.connect(login(&ca, Some(unknown))).await.unwrap_err();
    guarded.connect(login(&ca, None)).await.unwrap_err();
    // The server could be anybody's.
    let others = Some(guarded.file("others.crt", &stranger.0.pem()));
    let error = guarded.connect(login(&others, Some(known))).await.unwrap_err();
    assert!(chain(&error).contains("certificate"), "{}", chain(&error));
    let absent = Some(guarded.folder.path().join("absent.crt"));
    let error = guarded.connect(login(&absent, None)).await.unwrap_err();
    assert!(chain(&error).contains("absent.crt`: No such file"), "{}", chain(&error));
}

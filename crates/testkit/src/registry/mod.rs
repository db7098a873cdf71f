//! An image registry that the test serves: on loopback, where engines take one without a certificate.
//!
//! It speaks as much of the registry protocol as a pull and a push need, and can be told to fail, to ask for a login, and to hold a layer
//! back, so that a pull is seen while it lasts. Images are busybox with a file of their own, so that no engine has them already.

mod image;
mod push;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE},
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use self::image::{Blob, Image};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A registry. Dropped, it ends, and the engine's images from it are removed; their containers have to be gone before.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Whether layers are held back half-way.
    held: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<String, Blob>,
    /// By `name/reference`, where a reference is a tag or a digest.
    manifests: BTreeMap<String, Blob>,
    /// The header that a request has to carry.
    login: Option<String>,
    /// How requests for a manifest fail, while they do.
    failure: Option<StatusCode>,
    manifest_requests: usize,
    /// What has arrived of the uploads that go on, by their numbers.
    uploads: BTreeMap<usize, Vec<u8>>,
    uploads_begun: usize,
}

impl Registry {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on loopback");
        let address = listener.local_addr().expect("the listener's address");
        let shared = Arc::new(Shared { state: Mutex::default(), held: watch::Sender::new(false) });
        let server = tokio::spawn(serve(listener, shared.clone()));
        Self { address, shared, server }
    }

    /// Its name, as image references and credentials have it.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// Makes `name:tag` a new image, which has `marker` in the file `/marker`. Returns how an engine refers to it.
    pub fn put(&self, name: &str, tag: &str, marker: &str) -> String {
        let Image { manifest, blobs } = Image::with_marker(marker);
        let mut state = self.shared.state();
        for reference in [tag, &manifest.digest] {
            state.manifests.insert(format!("{name}/{reference}"), manifest.clone());
        }
        state.blobs.extend(blobs.into_iter().map(|blob| (blob.digest.clone(), blob)));
        format!("{}/{name}:{tag}", self.address)
    }

    /// From now on requests need this login.
    pub fn require_login(&self, user: &str, password: &str) {
        self.shared.state().login = Some(format!("Basic {}", BASE64.encode(format!("{user}:{password}"))));
    }

    /// From now on requests for a manifest fail.
    ///
    /// # Panics
    ///
    /// If that is no HTTP status.
    pub fn fail(&self, status: u16) {
        self.shared.state().failure = Some(StatusCode::from_u16(status).expect("a status"));
    }

    /// Ends that.
    pub fn recover(&self) {
        self.shared.state().failure = None;
    }

    /// From now on the last layer of an image stops half-way.
    pub fn hold_layers(&self) {
        self.shared.held.send_replace(true);
    }

    /// Sends on what is held back.
    pub fn release_layers(&self) {
        self.shared.held.send_replace(false);
    }

    /// Requests for a manifest so far, those that failed included. An engine that has it only asks whether it is the same still.
    pub fn manifest_requests(&self) -> usize {
        self.shared.state().manifest_requests
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
        let listed =
            Command::new("docker").args(["images", "--no-trunc", "--format", "{{.Repository}} {{.ID}}"]).output();
        let listed = listed.map(|listed| String::from_utf8_lossy(&listed.stdout).into_owned()).unwrap_or_default();
        let prefix = format!("{}/", self.address);
        for (_, id) in listed.lines().filter(|line| line.starts_with(&prefix)).filter_map(|line| line.split_once(' ')) {
            // By id: a tag that has moved on left an image without one. Nobody else has these.
            let _ = Command::new("docker").args(["rmi", "-f", id]).output();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the registry")
    }

    fn answer(&self, request: &Parts, body: Bytes) -> Response<Body> {
        let state = &mut *self.state();
        let sent = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if state.login.is_some() && state.login.as_deref() != sent {
            return refusal(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
        }
        if let Some(response) = state.push(request, body) {
            return response;
        }
        let path = request.uri.path().trim_start_matches("/v2/");
        if path.is_empty() {
            return response(StatusCode::OK).body(whole(Bytes::new())).expect("a response");
        }
        if let Some((name, reference)) = path.rsplit_once("/manifests/") {
            state.manifest_requests += 1;
            if let Some(status) = state.failure {
                return refusal(status, "UNKNOWN");
            }
            let manifest = state.manifests.get(&format!("{name}/{reference}"));
            return manifest.map_or_else(|| refusal(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"), |it| self.send(it));
        }
        let blob = path.rsplit_once("/blobs/").and_then(|(_, digest)| state.blobs.get(digest));
        blob.map_or_else(|| refusal(StatusCode::NOT_FOUND, "BLOB_UNKNOWN"), |blob| self.send(blob))
    }

    fn send(&self, blob: &Blob) -> Response<Body> {
        let content = &blob.content;
        let body = if blob.can_be_held { self.held(content) } else { whole(content.clone()) };
        let head =
            response(StatusCode::OK).header(CONTENT_TYPE, &blob.media_type).header(CONTENT_LENGTH, content.len());
        head.header("Docker-Content-Digest", &blob.digest).body(body).expect("a response")
    }

    /// A content whose second half waits until layers are not held any more.
    fn held(&self, content: &Bytes) -> Body {
        let halves = (content.slice(..content.len() / 2), content.slice(content.len() / 2..));
        let mut held = self.held.subscribe();
        let second = stream::once(async move {
            // The registry that is gone holds nothing.
            let _ = held.wait_for(|held| !held).await;
            halves.1
        });
        let frames = stream::iter([halves.0]).chain(second).map(|part| Ok(Frame::data(part)));
        StreamBody::new(frames).boxed_unsync()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and with them all connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let shared = shared.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    Ok::<_, hyper::Error>(shared.answer(&head, body))
                }
            });
            // Engines try TLS first, and take the error for the hint that it is.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn response(status: StatusCode) -> hyper::http::response::Builder {
    Response::builder().status(status).header("Docker-Distribution-Api-Version", "registry/2.0")
}

fn refusal(status: StatusCode, code: &str) -> Response<Body> {
    let errors = json!({ "errors": [{ "code": code, "message": format!("the registry says {}", status.as_u16()) }] });
    let head = response(status).header(CONTENT_TYPE, "application/json");
    let head = head.header(WWW_AUTHENTICATE, r#"Basic realm="test""#);
    head.body(whole(errors.to_string().into())).expect("a response")
}

fn whole(content: Bytes) -> Body {
    http_body_util::Full::new(content).boxed_unsync()
}

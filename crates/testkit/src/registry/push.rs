//! What a push needs of a registry: uploads in pieces, and manifests.

use bytes::Bytes;
use hyper::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RANGE},
    http::request::Parts,
};

use super::{Body, State, image::Blob, refusal, response, whole};

impl State {
    /// Takes a part of an image; `None`: that is no part of a push.
    pub(super) fn push(&mut self, request: &Parts, body: Bytes) -> Option<Response<Body>> {
        let path = request.uri.path().trim_start_matches("/v2/");
        if let (&Method::PUT, Some((name, reference))) = (&request.method, path.rsplit_once("/manifests/")) {
            let media_type = request.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let manifest = Blob::new(media_type.unwrap_or_default(), body);
            let digest = manifest.digest.clone();
            for reference in [reference, &digest] {
                self.manifests.insert(format!("{name}/{reference}"), manifest.clone());
            }
            return Some(created(path, &digest));
        }
        let (name, upload) = path.rsplit_once("/blobs/uploads/")?;
        if request.method == Method::POST {
            self.uploads_begun += 1;
            self.uploads.insert(self.uploads_begun, Vec::new());
            return Some(accepted(name, self.uploads_begun, 0));
        }
        let Some((number, content)) = upload.parse().ok().and_then(|it| Some((it, self.uploads.get_mut(&it)?))) else {
            return Some(refusal(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"));
        };
        content.extend_from_slice(&body);
        if request.method == Method::PATCH {
            return Some(accepted(name, number, content.len()));
        }
        let blob = Blob::new("application/octet-stream", self.uploads.remove(&number).unwrap_or_default());
        let digest = blob.digest.clone();
        let is_meant = request.uri.query().is_some_and(|query| query.replace("%3A", ":").contains(&digest));
        if !is_meant {
            return Some(refusal(StatusCode::BAD_REQUEST, "DIGEST_INVALID"));
        }
        self.blobs.insert(digest.clone(), blob);
        Some(created(&format!("{name}/blobs/{digest}"), &digest))
    }
}

fn accepted(name: &str, number: usize, bytes: usize) -> Response<Body> {
    let head = response(StatusCode::ACCEPTED).header(LOCATION, format!("/v2/{name}/blobs/uploads/{number}"));
    let head = head.header(RANGE, format!("0-{}", bytes.saturating_sub(1))).header(CONTENT_LENGTH, 0);
    head.header("Docker-Upload-UUID", number.to_string()).body(whole(Bytes::new())).expect("a response")
}

fn created(path: &str, digest: &str) -> Response<Body> {
    let head = response(StatusCode::CREATED).header(LOCATION, format!("/v2/{path}")).header(CONTENT_LENGTH, 0);
    head.header("Docker-Content-Digest", digest).body(whole(Bytes::new())).expect("a response")
}

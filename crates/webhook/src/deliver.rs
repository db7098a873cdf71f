//! One notice to one target, tried again while that can help.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
    http::uri::Scheme,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, ResponseFuture, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};

use crate::{
    Error, Notice,
    sign::{SIGNATURE_HEADER, digest, signature},
};

/// How long a target has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Pause after the first try that failed; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long one notice is tried for: those behind it wait, and matter more by then.
const GIVE_UP_AFTER: Duration = Duration::from_secs(15 * 60);
/// Of an answer, no more is read: what it says is of no interest, but reading it lets the connection be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Posts notices to one target.
pub(crate) struct Deliverer {
    target: Uri,
    secret: Option<Vec<u8>>,
    client: Http,
}

/// What requests are made with.
enum Http {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Secure(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// What a target made of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It has it.
    Taken,
    /// It may take it later.
    Later,
    /// It never will.
    Refused,
}

impl Deliverer {
    pub(crate) fn new(target: Uri, secret: Option<Vec<u8>>) -> Result<Self, Error> {
        let client = Http::of(&target)?;
        Ok(Self { target, secret, client })
    }

    /// What tells the target from others, in every process and release alike, and gives nothing of its address away.
    pub(crate) fn webhook(&self) -> u64 {
        digest(&self.target)
    }

    /// Posts a notice until the target has it, refuses it, or is away for too long.
    pub(crate) async fn deliver(&self, notice: &Notice) {
        let body = match serde_json::to_vec(notice) {
            Ok(body) => Bytes::from(body),
            Err(error) => return error!(notice = notice.id, %error, "a notice could not be written"),
        };
        let (began, mut pause) = (Instant::now(), PAUSE_MIN);
        let host = self.host();
        loop {
            match self.post(&body).await {
                Answer::Taken => return,
                Answer::Refused => return error!(host, notice = notice.id, "a webhook refuses a notice"),
                Answer::Later if began.elapsed() + pause > GIVE_UP_AFTER => {
                    return error!(host, notice = notice.id, "a webhook did not take a notice in time: given up");
                }
                Answer::Later => sleep(pause).await,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// All that logs say of the target: the rest may be a secret.
    fn host(&self) -> &str {
        self.target.host().unwrap_or_default()
    }

    async fn post(&self, body: &Bytes) -> Answer {
        let host = self.host();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.target)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("tickmesh/", env!("CARGO_PKG_VERSION")));
        if let Some(secret) = &self.secret {
            request = request.header(SIGNATURE_HEADER, signature(secret, body));
        }
        let Ok(request) = request.body(Full::new(body.clone())) else { return Answer::Refused };
        let posting = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            // What it says beside that is of no interest.
            let _unread = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok::<_, hyper_util::client::legacy::Error>(status)
        };
        match timeout(ANSWER_WITHIN, posting).await {
            Ok(Ok(status)) => {
                let answer = judged(status);
                if answer != Answer::Taken {
                    warn!(host, %status, "a webhook did not take a notice");
                }
                answer
            }
            Ok(Err(error)) => {
                warn!(host, error = &error as &dyn std::error::Error, "a webhook cannot be reached");
                Answer::Later
            }
            Err(_) => {
                warn!(host, "a webhook did not answer within {ANSWER_WITHIN:?}");
                Answer::Later
            }
        }
    }
}

impl Http {
    /// What reaches that target. Only https needs certificates: the smallest images have none, and schedule all the same.
    fn of(target: &Uri) -> Result<Self, Error> {
        let builder = Client::builder(TokioExecutor::new());
        if target.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Self::Plain(builder.build_http()));
        }
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(Error::Certificates)?
            .https_only()
            .enable_http1()
            .build();
        Ok(Self::Secure(builder.build(connector)))
    }

    fn request(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match self {
            Self::Plain(client) => client.request(request),
            Self::Secure(client) => client.request(request),
        }
    }
}

/// What a status means. A client's error stays one, but for "too early" and "too much".
fn judged(status: StatusCode) -> Answer {
    match status {
        status if status.is_success() => Answer::Taken,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Answer::Later,
        status if status.is_client_error() || status.is_redirection() => Answer::Refused,
        _ => Answer::Later,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_pass_is_tried_again() {
        let judge = |code| judged(StatusCode::from_u16(code).unwrap());
        assert_eq!([200, 204].map(judge), [Answer::Taken; 2]);
        assert_eq!([301, 400, 401, 404, 410].map(judge), [Answer::Refused; 5]);
        assert_eq!([408, 425, 429, 500, 503].map(judge), [Answer::Later; 5]);
    }
}

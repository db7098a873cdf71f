//! One notice to one target, tried again while that can help.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{HeaderValue, RETRY_AFTER, USER_AGENT},
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
    service::{Post, Service},
};

/// How long a target has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Pause after the first try that failed; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Longest pause that a target may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// How long one notice is tried for. Those behind it are kept, and come together when the target is back.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// What requests say of their sender.
const AGENT: &str = concat!("tickmesh/", env!("CARGO_PKG_VERSION"));
/// Of an answer, no more is read: what it says is of no interest, but reading it lets the connection be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends notices to one service.
pub(crate) struct Deliverer {
    service: Service,
    client: Http,
}

/// Asks an address for an answer, of which nothing is read.
pub(crate) struct Pinger {
    url: Uri,
    client: Http,
}

impl Pinger {
    pub(crate) fn new(url: Uri) -> Result<Self, Error> {
        let client = Http::of(&url)?;
        Ok(Self { url, client })
    }

    /// Pings once. A ping that fails is followed by the next one.
    pub(crate) async fn ping(&self) {
        let host = self.url.host().unwrap_or_default();
        let request = Request::builder().uri(&self.url).header(USER_AGENT, AGENT).body(Full::default());
        let Ok(request) = request else { return };
        let asking = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let _unread = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok::<_, hyper_util::client::legacy::Error>(status)
        };
        match timeout(ANSWER_WITHIN, asking).await {
            Ok(Ok(status)) if status.is_success() => {}
            Ok(Ok(status)) => warn!(host, %status, "a heartbeat was not taken"),
            Ok(Err(error)) => {
                warn!(host, error = &error as &dyn std::error::Error, "a heartbeat found nobody");
            }
            Err(_) => warn!(host, "a heartbeat was not answered within {ANSWER_WITHIN:?}"),
        }
    }
}

/// What requests are made with.
enum Http {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Secure(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// What a target made of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has it.
    Taken,
    /// It may take it later, if it says so then.
    Later(Option<Duration>),
    /// It never will.
    Refused(StatusCode),
}

impl Deliverer {
    pub(crate) fn new(service: Service) -> Result<Self, Error> {
        let client = Http::of(service.uri())?;
        Ok(Self { service, client })
    }

    /// Sends a notice until the target has it, refuses it, or is away for too long.
    pub(crate) async fn deliver(&self, notice: &Notice) {
        let (began, mut pause) = (Instant::now(), PAUSE_MIN);
        let host = self.host();
        loop {
            match self.send(notice).await {
                Answer::Taken => return,
                Answer::Refused(status) => {
                    return error!(host, notice = notice.id, %status, "a target refuses a notice");
                }
                Answer::Later(_) if began.elapsed() + pause > GIVE_UP_AFTER => {
                    return error!(host, notice = notice.id, "a target did not take a notice in time: given up");
                }
                Answer::Later(wanted) => sleep(wanted.unwrap_or(pause).min(RETRY_AFTER_MAX)).await,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// All that logs say of the target: the rest may be a secret.
    fn host(&self) -> &str {
        self.service.uri().host().unwrap_or_default()
    }

    /// Sends a notice once.
    pub(crate) async fn send(&self, notice: &Notice) -> Answer {
        let host = self.host();
        let post = match self.service.post(notice) {
            Ok(post) => post,
            Err(error) => {
                error!(notice = notice.id, %error, "a notice could not be written");
                return Answer::Refused(StatusCode::BAD_REQUEST);
            }
        };
        let Some(request) = request(post) else { return Answer::Refused(StatusCode::BAD_REQUEST) };
        let posting = async {
            let response = self.client.request(request).await?;
            let (status, wanted) = (response.status(), response.headers().get(RETRY_AFTER).cloned());
            // What it says beside that is of no interest.
            let _unread = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok::<_, hyper_util::client::legacy::Error>((status, wanted))
        };
        match timeout(ANSWER_WITHIN, posting).await {
            Ok(Ok((status, wanted))) => {
                let answer = judged(status, wanted.as_ref());
                if answer != Answer::Taken {
                    warn!(host, %status, "a target did not take a notice");
                }
                answer
            }
            Ok(Err(error)) => {
                warn!(host, error = &error as &dyn std::error::Error, "a target cannot be reached");
                Answer::Later(None)
            }
            Err(_) => {
                warn!(host, "a target did not answer within {ANSWER_WITHIN:?}");
                Answer::Later(None)
            }
        }
    }
}

fn request(Post { uri, headers, body }: Post) -> Option<Request<Full<Bytes>>> {
    let mut request =
        Request::builder().method(Method::POST).uri(uri).header(USER_AGENT, AGENT).body(Full::new(body)).ok()?;
    request.headers_mut().extend(headers);
    Some(request)
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

/// What a status means. A client's error stays one, but for "too early" and "too much". `wanted` is when the target wants to be
/// asked again.
fn judged(status: StatusCode, wanted: Option<&HeaderValue>) -> Answer {
    let wanted = || wanted.and_then(|it| it.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    match status {
        status if status.is_success() => Answer::Taken,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Answer::Later(wanted()),
        status if status.is_client_error() || status.is_redirection() => Answer::Refused(status),
        _ => Answer::Later(wanted()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_pass_is_tried_again() {
        let judge = |code| judged(StatusCode::from_u16(code).unwrap(), None);
        assert_eq!([200, 202, 204].map(judge), [Answer::Taken; 3]);
        for code in [301, 400, 401, 404, 410] {
            assert!(matches!(judge(code), Answer::Refused(_)), "{code}");
        }
        assert_eq!([408, 425, 429, 500, 503].map(judge), [Answer::Later(None); 5]);
        let wanted = HeaderValue::from_static("7");
        let too_many = judged(StatusCode::TOO_MANY_REQUESTS, Some(&wanted));
        assert_eq!(too_many, Answer::Later(Some(Duration::from_secs(7))));
    }
}

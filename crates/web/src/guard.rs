//! Who may visit, and who may change something.
//!
//! Without a token only this host may: the address is a loopback one, and the name that the visitor asked for must be one, too, or a page of
//! somebody else could have its name resolved to 127.0.0.1 (DNS rebinding). With a token it must be given. And whatever changes
//! something must not come from another site.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// The cookie of who has given the token on the page.
const COOKIE: &str = "tickmesh";
/// Only what is served here is shown, run, or connected to.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What is asked of visitors.
#[derive(Clone)]
pub(crate) struct Guard(Option<Arc<str>>);

impl Guard {
    pub(crate) fn new(token: Option<String>) -> Self {
        Self(token.map(Into::into))
    }

    /// Whether the token was given, in a header or as a cookie.
    fn is_admitted(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.0 else { return true };
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_some_and(|given| same(given, token)) {
            return true;
        }
        let cookies = text(header::COOKIE).unwrap_or_default().split("; ");
        let mut values = cookies.filter_map(|cookie| cookie.split_once('=')).filter(|(name, _)| *name == COOKIE);
        values.any(|(_, value)| same(value, &session(token)))
    }

    /// Whether the visitor asked for a name that leads here and nowhere else.
    fn is_asked_by_name(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.0.is_some() || LOOPBACK_NAMES.contains(&without_port(host))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// Whether two texts are the same, in a time that does not tell how much of them is.
fn same(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}

/// What stands for the token in a cookie.
fn session(token: &str) -> String {
    let digest = Sha256::digest(format!("tickmesh session {token}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a request that changes something comes from a page of ours, or from no page at all.
fn is_own_site(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site"))
        && !matches!(site, "same-origin" | "none")
    {
        return false;
    }
    // One that cannot be read is none of ours.
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let name = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, name)| name);
    name.is_some() && name == text(header::HOST)
}

/// What holds for every request.
pub(crate) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let refused = if !guard.is_asked_by_name(headers) {
        Some(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this page answers to localhost only, unless it has a token",
        ))
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) && !is_own_site(headers) {
        Some(Problem::new(StatusCode::FORBIDDEN, "a page of another site may not change anything here"))
    } else {
        None
    };
    let mut response = match refused {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// What holds for everything but the way in.
pub(crate) async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if guard.is_admitted(request.headers()) {
        return next.run(request).await;
    }
    let wants_page =
        request.headers().get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    if wants_page && request.method() == Method::GET {
        let wanted = request.uri().path_and_query().map_or("/", |it| it.as_str());
        return Redirect::to(&way_in(wanted, false)).into_response();
    }
    let mut response =
        Problem::new(StatusCode::UNAUTHORIZED, "this needs the token: `Authorization: Bearer ...`").into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Longest address that is gone to after the login.
const WANTED_BYTES_MAX: usize = 1_024;

/// Address of the form that asks for the token, and then leads to what was wanted.
fn way_in(wanted: &str, is_wrong: bool) -> String {
    let escaped: String = form_urlencoded(own_address(wanted));
    let wrong = if is_wrong { "&wrong=1" } else { "" };
    format!("/login?next={escaped}{wrong}")
}

/// What may stand in the value of a query as it is; everything else becomes `%XX`.
fn form_urlencoded(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    text.bytes()
        .map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// An address of this page, whoever has written it into a link: none that a browser takes for another site's.
pub(crate) fn own_address(wanted: &str) -> &str {
    let is_own = wanted.starts_with('/') && !wanted.starts_with("//") && !wanted.contains(['\\', '\r', '\n', '\t']);
    if is_own && wanted.len() <= WANTED_BYTES_MAX { wanted } else { "/" }
}

/// What the form of `/login` has.
#[derive(Deserialize)]
pub(crate) struct Login {
    token: String,
    /// What was wanted before somebody was asked for the token.
    #[serde(default)]
    next: String,
}

/// Takes the token, and gives a cookie for it.
pub(crate) async fn login(State(guard): State<Guard>, Form(login): Form<Login>) -> Response {
    match &guard.0 {
        Some(token) if same(&login.token, token) => {
            let cookie = format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000", session(token));
            ([(header::SET_COOKIE, cookie)], Redirect::to(own_address(&login.next))).into_response()
        }
        Some(_) => Redirect::to(&way_in(&login.next, true)).into_response(),
        None => Redirect::to("/").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn without_a_token_only_names_of_this_host_are_answered() {
        let guard = Guard::new(None);
        for (host, answered) in [
            ("localhost:8420", true),
            ("127.0.0.1:8420", true),
            ("[::1]:8420", true),
            ("localhost", true),
            ("evil.example.org:8420", false),
            ("localhost.evil.example.org", false),
            ("", false),
        ] {
            assert_eq!(guard.is_asked_by_name(&headers(&[("host", host)])), answered, "{host}");
        }
        assert!(Guard::new(Some("t".to_owned())).is_asked_by_name(&headers(&[("host", "mesh.example.org")])));
    }

    #[test]
    fn the_token_is_taken_from_a_header_or_a_cookie() {
        let guard = Guard::new(Some("secret".to_owned()));
        let cookie = format!("a=b; tickmesh={}", session("secret"));
        assert!(guard.is_admitted(&headers(&[("authorization", "Bearer secret")])));
        assert!(guard.is_admitted(&headers(&[("cookie", &cookie)])));
        for refused in
            [("authorization", "Bearer secre"), ("authorization", "secret"), ("cookie", "tickmesh=secret"), ("x", "y")]
        {
            assert!(!guard.is_admitted(&headers(&[refused])), "{refused:?}");
        }
    }

    /// A link in a message leads where it says, and nobody else's link leads away.
    #[test]
    fn login_leads_to_what_was_wanted() {
        assert_eq!(way_in("/apps/nightly/runs/7?a=b&c", false), "/login?next=/apps/nightly/runs/7%3Fa%3Db%26c");
        assert_eq!(way_in("/", true), "/login?next=/&wrong=1");
        assert_eq!(own_address("/apps/nightly"), "/apps/nightly");
        for foreign in ["", "//evil.example.org", "https://evil.example.org", "/\\evil.example.org", "/\n/evil"] {
            assert_eq!(own_address(foreign), "/", "{foreign:?}");
        }
    }

    #[test]
    fn other_sites_change_nothing() {
        let host = ("host", "localhost:8420");
        assert!(is_own_site(&headers(&[host])), "a program sends neither header");
        assert!(is_own_site(&headers(&[host, ("origin", "http://localhost:8420"), ("sec-fetch-site", "same-origin")])));
        for other in [
            ("origin", "http://evil.example.org"),
            ("origin", "null"),
            ("origin", "http://localhost:9000"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!is_own_site(&headers(&[host, other])), "{other:?}");
        }
        let mut unreadable = headers(&[host]);
        unreadable.insert(header::ORIGIN, HeaderValue::from_bytes(b"http://\xff").unwrap());
        assert!(!is_own_site(&unreadable));
    }
}

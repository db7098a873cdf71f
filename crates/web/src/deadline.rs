//! How long an answer may take.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::time::timeout;

use crate::problem::Problem;

/// Longest time that an answer takes. Each call of NATS has 5 s, and so has the leader; what needs many of them is not waited for.
pub(crate) const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// Ends what takes too long.
pub(crate) async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let answer = timeout(limit, next.run(request)).await;
    let late = |_| {
        let problem = format!("there was no answer within {} s", limit.as_secs());
        Problem::new(StatusCode::GATEWAY_TIMEOUT, problem).into_response()
    };
    answer.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::get};
    use http_body_util::{BodyExt as _, Empty};
    use hyper::body::Bytes;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    use tokio::{net::TcpListener, task::JoinSet};

    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_ended() {
        let limit = middleware::from_fn_with_state(Duration::from_millis(10), in_time);
        let router: Router = Router::new().route("/", get(std::future::pending::<&str>)).layer(limit);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let answer = timeout(Duration::from_secs(20), client.get(address.parse().unwrap())).await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(text.ends_with(br#""detail":"there was no answer within 0 s"}"#), "{text:?}");
    }
}

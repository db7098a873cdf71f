//! What the server has denied to this connection. NATS does not answer a request that it does not allow: it says so on the
//! connection, without a word about which request it was but for the subject.

use std::time::Duration;

use tokio::sync::watch;

use crate::error::NoAnswer;

/// What the server said last, and how often it has said such a thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Denial {
    /// In the server's words; empty: nothing has been denied.
    text: String,
    count: u64,
}

impl Denial {
    /// Notes what the server said, if that is a denial.
    pub(crate) fn note(denials: &watch::Sender<Self>, said: &str) {
        if said.contains("Permissions Violation") {
            denials.send_modify(|denial| {
                denial.text = said.trim_start_matches("nats: ").to_owned();
                denial.count += 1;
            });
        }
    }

    /// Whether a request fails by it that goes to a subject with this part. Without the right to hear answers, all do.
    fn concerns(&self, part: &str) -> bool {
        self.text.contains("Subscription to \"_INBOX.") || self.text.contains(part)
    }
}

/// Waits for the answer to `request`, at most for `time`, and no longer than until the server denies something on a subject with
/// that part. The request is on the heap: a future that waits for one of several would be as large as all of them twice.
pub(crate) fn within<F: IntoFuture>(
    time: Duration,
    request: F,
    denials: &watch::Receiver<Denial>,
    part: &str,
) -> impl Future<Output = Result<F::Output, NoAnswer>> {
    let request = Box::pin(request.into_future());
    let (mut denials, part) = (denials.clone(), part.to_owned());
    denials.mark_unchanged();
    async move {
        tokio::select! {
            biased;
            answer = tokio::time::timeout(time, request) => answer.map_err(|_| NoAnswer::Late(time)),
            denial = denied(&mut denials, &part) => Err(NoAnswer::Denied(denial)),
        }
    }
}

/// What the server denies next that concerns a request on a subject with that part.
pub(crate) async fn denied(denials: &mut watch::Receiver<Denial>, part: &str) -> String {
    while denials.changed().await.is_ok() {
        let denial = denials.borrow_and_update().clone();
        if denial.concerns(part) {
            return denial.text;
        }
    }
    // The connection is closed: the request itself tells.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What becomes of a request on a subject with `stream` while the server says that.
    async fn outcome(said: &'static str) -> Result<(), NoAnswer> {
        let (said_before, denials) = watch::channel(Denial::default());
        Denial::note(&said_before, r#"nats: Permissions Violation for Publish to "an.old.one.of.stream""#);
        let never = std::future::pending::<()>();
        let speak = async {
            tokio::time::sleep(SECOND / 2).await;
            Denial::note(&said_before, said);
            tokio::time::sleep(SECOND).await;
        };
        tokio::select! {
            outcome = within(SECOND, never, &denials, "stream") => outcome,
            () = speak => panic!("it waits for longer than it may"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_ends_the_wait_of_what_it_concerns() {
        let said = r#"nats: Permissions Violation for Publish to "$JS.API.STREAM.INFO.stream""#;
        let denial = r#"Permissions Violation for Publish to "$JS.API.STREAM.INFO.stream""#;
        assert!(matches!(outcome(said).await, Err(NoAnswer::Denied(text)) if text == denial));
        let said = r#"nats: Permissions Violation for Subscription to "_INBOX.a""#;
        assert!(matches!(outcome(said).await, Err(NoAnswer::Denied(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_concerns_others_or_is_no_denial_ends_nothing() {
        for said in [r#"nats: Permissions Violation for Publish to "other""#, "nats: stream went away"] {
            assert!(matches!(outcome(said).await, Err(NoAnswer::Late(SECOND))), "{said}");
        }
    }
}

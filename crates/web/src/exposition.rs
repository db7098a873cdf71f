//! Metrics in the text format of Prometheus, and a server of them for processes that have no page.

use std::{fmt, net::SocketAddr};

use axum::{
    Router,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tickmesh_core::histogram::{Histogram, head};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    connections,
    deadline::{REQUEST_TIME_MAX, in_time},
    error::Error,
};

/// What the name of every metric begins with.
const PREFIX: &str = "tickmesh";

/// One label of a metric: its name and its value.
type OneLabel = [(&'static str, String); 1];

/// The metrics of one answer, put together when somebody asks for them.
#[derive(Debug)]
pub struct Exposition {
    registry: Registry,
    /// Those that the library cannot count.
    histograms: String,
}

impl Default for Exposition {
    /// Nothing but which program this is.
    fn default() -> Self {
        let mut begun = Self { registry: Registry::with_prefix(PREFIX), histograms: String::new() };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        begun.gauges("build_info", "1, with the version of this program", "version", [(version, 1)]);
        begun
    }
}

impl Exposition {
    pub(crate) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Adds a number that goes up and down. `help` is a sentence without its full stop.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: i64) {
        let gauge = Gauge::<i64>::default();
        gauge.set(value);
        self.registry.register(name, help, gauge);
    }

    /// Adds a number that only goes up while this process lives.
    pub fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        self.registry.register(name, help, counter);
    }

    /// Adds numbers that go up and down, each with its value of one label.
    pub fn gauges(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (String, i64)>,
    ) {
        let gauges = Family::<OneLabel, Gauge>::default();
        for (of, value) in values {
            gauges.get_or_create(&[(label, of)]).set(value);
        }
        self.registry.register(name, help, gauges);
    }

    /// Adds numbers that only go up while this process lives, each with its value of one label.
    pub fn counters(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (String, u64)>,
    ) {
        let counters = Family::<OneLabel, Counter>::default();
        for (of, value) in values {
            counters.get_or_create(&[(label, of)]).inc_by(value);
        }
        self.registry.register(name, help, counters);
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        let name = format!("{PREFIX}_{name}");
        self.histograms += &(head(&name, &format!("{help}.")) + &histogram.samples(&name, ""));
    }

    /// Adds histograms, each with its value of one label.
    pub fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        histograms: impl IntoIterator<Item = (String, &'a Histogram)>,
    ) {
        let name = format!("{PREFIX}_{name}");
        self.histograms += &head(&name, &format!("{help}."));
        for (of, histogram) in histograms {
            self.histograms += &histogram.samples(&name, &format!("{label}=\"{of}\","));
        }
    }

    /// The answer to whoever asked.
    pub(crate) fn response(self) -> Result<Response, fmt::Error> {
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        Ok(([(header::CONTENT_TYPE, kind)], self.text()?).into_response())
    }

    fn text(self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(in_text_format(&text) + &self.histograms)
    }
}

/// The text format of Prometheus, of which every tool reads the help texts: there a counter's has the whole name, and in
/// OpenMetrics it has the name without `_total`.
fn in_text_format(openmetrics: &str) -> String {
    let is_counter = |name: &str| openmetrics.contains(&format!("# TYPE {name} counter\n"));
    let line = |line: &str| {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF"), ..) => None,
            (Some("#"), Some(what), Some(name), Some(rest)) if is_counter(name) => {
                Some(format!("# {what} {name}_total {rest}\n"))
            }
            _ => Some(format!("{line}\n")),
        }
    };
    openmetrics.lines().filter_map(line).collect()
}

/// A server of metrics that listens already.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    bind: SocketAddr,
}

impl MetricsServer {
    /// Begins to listen. Whoever reaches the address reads the metrics.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        Ok(Self { listener, bind: address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.bind)
    }

    /// Serves until `shutdown` what `look` puts together; `None`: the process is too busy to tell.
    pub async fn serve<F>(self, look: impl Fn() -> F + Clone + Send + Sync + 'static, shutdown: CancellationToken)
    where
        F: Future<Output = Option<Exposition>> + Send,
    {
        let answer = move || {
            let looked = look();
            async move {
                match looked.await.map(Exposition::response) {
                    Some(Ok(answer)) => answer,
                    Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
                    None => (StatusCode::SERVICE_UNAVAILABLE, "the process does not answer\n").into_response(),
                }
            }
        };
        let router = Router::new()
            .route("/metrics", get(answer))
            .layer(middleware::from_fn_with_state(REQUEST_TIME_MAX, in_time));
        connections::serve(self.listener, router, shutdown).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_counter_has_its_whole_name() {
        let openmetrics = "# HELP a Some.\n# TYPE a counter\na_total 1\n# HELP b More.\n# TYPE b gauge\nb 2\n# EOF\n";
        let text = "# HELP a_total Some.\n# TYPE a_total counter\na_total 1\n# HELP b More.\n# TYPE b gauge\nb 2\n";
        assert_eq!(in_text_format(openmetrics), text);
    }

    #[test]
    fn metrics_of_a_process_have_help_and_type() {
        let mut metrics = Exposition { registry: Registry::with_prefix(PREFIX), histograms: String::new() };
        metrics.gauge("slots", "Containers that may run at once", 4);
        metrics.counters("beats", "Heartbeats", "outcome", [("stored".to_owned(), 3)]);
        let mut histogram = Histogram::new(&[1.0]);
        histogram.observe(0.5);
        metrics.histogram("wait_seconds", "A wait", &histogram);
        let text = "# HELP tickmesh_slots Containers that may run at once.\n# TYPE tickmesh_slots gauge\ntickmesh_slots 4\n\
                    # HELP tickmesh_beats_total Heartbeats.\n# TYPE tickmesh_beats_total counter\n\
                    tickmesh_beats_total{outcome=\"stored\"} 3\n\
                    # HELP tickmesh_wait_seconds A wait.\n# TYPE tickmesh_wait_seconds histogram\n\
                    tickmesh_wait_seconds_bucket{le=\"1\"} 1\ntickmesh_wait_seconds_bucket{le=\"+Inf\"} 1\n\
                    tickmesh_wait_seconds_sum 0.5\ntickmesh_wait_seconds_count 1\n";
        assert_eq!(metrics.text().unwrap(), text);
    }
}

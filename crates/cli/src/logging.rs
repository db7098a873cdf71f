//! Log lines, on stderr. `TICKMESH_LOG` filters them (`debug`, `tickmesh_scheduler=trace,info`).

use std::io;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::exit::BadInput;

/// Variable with the filter.
const FILTER_VARIABLE: &str = "TICKMESH_LOG";

/// The client of the Docker engine writes whole requests at finer levels, with the values of all
/// variables of a container: they may be secrets, and a log is for many eyes.
const QUIET: [&str; 2] = ["bollard=info", "bollard::docker=info"];

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One object a line
    Json,
}

/// Options of the commands that go on until they are stopped.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct LogArgs {
    /// Form of log lines
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// Who writes the log decides what is worth a line, unless the filter says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// A command that answers and ends: its answer is enough.
    Errors,
    /// Something that goes on: what happens to it.
    Events,
}

/// Begins to log. To be called once.
pub(crate) fn init(verbosity: Verbosity, format: LogFormat) -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter(verbosity)?).with_writer(io::stderr);
    // A log that cannot be written is no reason to panic, which is what telling so on the same stderr would be.
    let subscriber = subscriber.log_internal_errors(false);
    match format {
        LogFormat::Text => subscriber.with_ansi(wants_colour()).init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}

fn filter(verbosity: Verbosity) -> anyhow::Result<EnvFilter> {
    let default = match verbosity {
        Verbosity::Errors => "error",
        // The NATS client tells the same as `tickmesh_messaging` does, in its own words.
        Verbosity::Events => "info,async_nats=warn",
    };
    let wanted = std::env::var(FILTER_VARIABLE).unwrap_or_default();
    let directives = if wanted.is_empty() { default } else { &wanted };
    let filter = EnvFilter::try_new(directives)
        .map_err(|error| BadInput::new(format!("{FILTER_VARIABLE} is not a filter: {error}")))?;
    // Added last, so that no filter overrules them.
    QUIET.iter().try_fold(filter, |filter, directive| Ok(filter.add_directive(directive.parse()?)))
}

fn wants_colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

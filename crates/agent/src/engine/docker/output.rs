//! How the engine keeps what containers write, and how it is read.
//!
//! Containers get the log driver `local` whatever the engine's default is. Measured on Engine 20.10:
//!
//! - `json-file`, the default, replaces every byte that is not UTF-8; a default of `none` keeps nothing. `local` keeps all bytes.
//! - `local` takes 130 MB/s from a container, `json-file` 25 MB/s.
//! - An engine that begins a new file while its reader is in the middle of an old one lets the reader go on to the end of that file,
//!   and then to the newest: what lies between is lost without a word. So the files are so large that the head of an output
//!   is in the first one.
//!
//! Only one that writes more than both files hold before the agent has begun to read (two seconds at full speed) loses its beginning.

use std::collections::HashMap;

use bollard::{
    container::LogOutput,
    errors::Error as DockerError,
    models::HostConfigLogConfig,
    query_parameters::{LogsOptions, LogsOptionsBuilder},
};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use tickmesh_core::message::LogStream;

use super::{convert, pieces::Pieces};
use crate::engine::{ContainerId, Error, Excerpt, LogLine};

/// The log driver that keeps all bytes.
const DRIVER: &str = "local";
/// Size of a log file. The driver takes some 30 bytes for a line beside its own, so this holds 4 MiB in lines of one byte. And it is a
/// bound for the host's disk: a container that is kept takes two such files at most.
const FILE_SIZE: &str = "128m";
/// The file that is written, and the one before it.
const FILES: &str = "2";
/// Compressing 128 MB would cost the host's jobs seconds of processor time.
const COMPRESS: &str = "false";

/// How the engine keeps output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// With [`DRIVER`].
    Local,
    /// As it is set up: it does not have that driver (podman does not).
    AsSetUp,
}

/// What the engine can do.
pub(super) async fn keeping(client: &bollard::Docker) -> Result<Keeping, DockerError> {
    let drivers = client.info().await?.plugins.and_then(|plugins| plugins.log).unwrap_or_default();
    Ok(if drivers.iter().any(|driver| driver == DRIVER) { Keeping::Local } else { Keeping::AsSetUp })
}

impl Keeping {
    /// What a container is created with.
    pub(super) fn log_config(self) -> Option<HostConfigLogConfig> {
        match self {
            Self::AsSetUp => None,
            Self::Local => {
                let options = [("max-size", FILE_SIZE), ("max-file", FILES), ("compress", COMPRESS)];
                let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
                Some(HostConfigLogConfig { typ: Some(DRIVER.to_owned()), config: Some(HashMap::from(options)) })
            }
        }
    }
}

/// The output of a container.
pub(super) fn read(
    client: bollard::Docker,
    id: ContainerId,
    excerpt: Excerpt,
) -> BoxStream<'static, Result<LogLine, Error>> {
    let from = match excerpt {
        Excerpt::Follow { from } | Excerpt::Stored { from } => from,
        Excerpt::Last { .. } => None,
    };
    let lines = stream::once(async move { (client, id) }).flat_map(move |(client, id)| {
        let attempted = format!("read the output of container `{id}`");
        client.logs(&id.0, Some(options(excerpt))).map(move |frame| frame.map_err(convert::failure(&attempted)))
    });
    let mut pieces = Pieces::default();
    let lines = lines.flat_map(move |frame| {
        let (lines, error) = match frame {
            Ok(frame) => (log_line(frame), None),
            Err(error) => (None, Some(Err(error))),
        };
        let restored = lines.into_iter().flat_map(|line| pieces.restore(line)).map(Ok).collect::<Vec<_>>();
        stream::iter(restored.into_iter().chain(error))
    });
    lines.try_filter(move |line| std::future::ready(from.is_none_or(|from| line.at >= from))).boxed()
}

fn options(excerpt: Excerpt) -> LogsOptions {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true);
    // The engine is asked for whole seconds, so what comes is filtered once more.
    let second = |from: Option<Timestamp>| from.and_then(|from| i32::try_from(from.as_second()).ok()).unwrap_or(0);
    match excerpt {
        Excerpt::Follow { from } => options.follow(true).since(second(from)).build(),
        Excerpt::Stored { from } => options.follow(false).since(second(from)).build(),
        Excerpt::Last { lines } => options.follow(false).tail(&lines.to_string()).build(),
    }
}

/// A frame of the log stream: `<RFC 3339> <output>`. A frame that is not is dropped: there is no moment to put it at.
fn log_line(frame: LogOutput) -> Option<LogLine> {
    let (stream, message) = match frame {
        LogOutput::StdErr { message } => (LogStream::Stderr, message),
        LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
            (LogStream::Stdout, message)
        }
    };
    let space = message.iter().position(|byte| *byte == b' ')?;
    let at = std::str::from_utf8(&message[..space]).ok()?.parse().ok()?;
    Some(LogLine { at, stream, output: message.slice(space + 1..) })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_log_frame_begins_with_its_instant() {
        let frame = |text: &'static str| LogOutput::StdErr { message: Bytes::from_static(text.as_bytes()) };
        let line = log_line(frame("2026-01-02T03:04:05.000000006Z a b\n")).unwrap();
        assert_eq!((line.at.subsec_nanosecond(), &line.output[..], line.stream), (6, &b"a b\n"[..], LogStream::Stderr));
        assert_eq!(log_line(frame("no instant\n")), None);
    }
}

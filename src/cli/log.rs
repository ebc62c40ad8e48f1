//! Where log lines go and how they look.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Lines that may wait to be written.
const MAX_WAITING: usize = 8_192;

/// Sends log lines to standard error, panics among them; dropping what it gives writes those that
/// are still waiting.
///
/// A thread of its own writes them: a standard error that nobody reads must hold up no check and no
/// request. When too many wait, further ones are lost.
pub(super) fn set_up(format: LogFormat, level: &str) -> Result<WorkerGuard, String> {
    // The server library tells of its own threads; below warning that is for its developers. What
    // it calls errors are requests that are none: whoever scans the port would fill the log. The
    // client of RabbitMQ calls errors what a check has already reported.
    let quiet = "actix_server=warn,actix_http=off,lapin=off";
    let filter = EnvFilter::try_new(format!("{quiet},{level}"))
        .map_err(|error| format!("--log-level: expected a level or a filter: {error}"))?;
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(MAX_WAITING).finish(std::io::stderr());
    // A line that cannot be written is lost; to say so on the same standard error would panic.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(writer);
    match format {
        LogFormat::Text => {
            lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).init();
        }
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let payload = panic.payload_as_str();
        tracing::error!(location, payload, "a thread panicked");
    }));
    Ok(guard)
}

//! Where log lines go and how they look.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Sends log lines to standard error, panics among them.
pub(super) fn set_up(format: LogFormat, level: &str) -> Result<(), String> {
    // The server library tells of its own threads; below warning that is for its developers. The
    // client of RabbitMQ calls errors what a check has already reported.
    let filter = EnvFilter::try_new(format!("actix_server=warn,lapin=off,{level}"))
        .map_err(|error| format!("--log-level: expected a level or a filter: {error}"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
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
    Ok(())
}

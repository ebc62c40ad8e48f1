//! The command line: flags, log set-up, signals, exit codes.

mod load;
mod log;
mod once;
mod signals;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    app::{Application, Prepared, StartError},
    checks::KINDS,
    config,
};
use log::LogFormat;

/// What was wrong is the configuration or the command line.
const USAGE: u8 = 2;

#[derive(Parser)]
#[command(
    name = "health-exporter",
    version,
    about = "Runs health checks in the background and publishes them as Prometheus metrics and health JSON",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "HEALTH_EXPORTER_LOG_FORMAT")]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as
    /// `info,health_exporter=debug`. Default: info when serving, off for probe, else warn.
    #[arg(long, global = true, value_name = "LEVEL", env = "HEALTH_EXPORTER_LOG_LEVEL")]
    log_level: Option<String>,
}

#[derive(Args)]
struct Serve {
    /// Configuration file, or a folder of them. Without one, this machine is watched.
    #[arg(long, value_name = "PATH", env = "HEALTH_EXPORTER_CONFIG")]
    config: Option<PathBuf>,
    /// Address to listen on, instead of the one in the configuration.
    #[arg(long, value_name = "ADDRESS", env = "HEALTH_EXPORTER_LISTEN")]
    listen: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the checks and answer requests (what happens without a subcommand).
    Serve(Serve),
    /// Validate a configuration and show the load that it asks for.
    CheckConfig {
        /// Configuration file, or a folder of them.
        path: PathBuf,
    },
    /// Run every check once and show what was found.
    RunOnce {
        /// Configuration file, or a folder of them. Without one, this machine is checked.
        #[arg(long, value_name = "PATH", env = "HEALTH_EXPORTER_CONFIG")]
        config: Option<PathBuf>,
        /// Only the check of this name; may be given more than once.
        #[arg(long, value_name = "NAME")]
        check: Vec<String>,
        /// How the result looks.
        #[arg(long, value_enum, default_value_t = once::Output::Table)]
        output: once::Output,
    },
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Ask a URL once; for the health check of a container.
    Probe {
        /// For example <http://127.0.0.1:10115/health/live>.
        url: String,
    },
}

/// Parses the command line and does what it says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    let usual_level = match command {
        Command::Serve(_) => "info",
        // What it has to say is its answer.
        Command::Probe { .. } => "off",
        _ => "warn",
    };
    let level = cli.log_level.as_deref().unwrap_or(usual_level);
    let _written_at_the_end = match log::set_up(cli.log_format, level) {
        Ok(guard) => guard,
        Err(message) => return fail(&message, USAGE),
    };
    let done = match command {
        Command::Serve(Serve { config, listen }) => serve(config, listen.as_deref()),
        Command::CheckConfig { path } => check_config(&path),
        Command::RunOnce { config, check, output } => once::run(config.as_deref(), &check, output),
        Command::Schema => schema(),
        Command::Probe { url } => once::probe(&url),
    };
    done.unwrap_or_else(|error| explain(&error))
}

fn serve(config: Option<PathBuf>, listen: Option<&str>) -> Result<ExitCode, StartError> {
    let application = Application::build(config, listen)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = signals::shutdown()?;
        application.run_until(shutdown).await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn check_config(path: &std::path::Path) -> Result<ExitCode, StartError> {
    let prepared = Prepared::from_path(path, None)?;
    print(&load::describe(&prepared));
    Ok(ExitCode::SUCCESS)
}

fn schema() -> Result<ExitCode, StartError> {
    let schema =
        serde_json::to_string_pretty(&config::schema(KINDS)).map_err(std::io::Error::other)?;
    print(&(schema + "\n"));
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output; a reader that has gone away is no error of ours.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn explain(error: &StartError) -> ExitCode {
    match error {
        StartError::Configuration(problems) => {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            fail(&lines.join("\n"), USAGE)
        }
        StartError::Address(_) => fail(&error.to_string(), USAGE),
        other => fail(&other.to_string(), 1),
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::from(code)
}

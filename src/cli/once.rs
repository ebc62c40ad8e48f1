//! `run-once` and `probe`: every check once, then an answer and an exit code.

use std::{collections::BTreeMap, fmt::Write, io, path::Path, process::ExitCode, sync::Arc};

use clap::ValueEnum;
use futures_util::future::join_all;
use serde::Serialize;

use super::{USAGE, fail, print};
use crate::{
    app::{Prepared, StartError},
    job::Job,
    outcome::{Outcome, Scalar},
    state::{Health, ProcessPhase, Record, aggregate},
};

/// How the result looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Runs every check, or those named, once.
pub(super) fn run(
    config: Option<&Path>,
    names: &[String],
    output: Output,
) -> Result<ExitCode, StartError> {
    let mut prepared = match config {
        Some(path) => Prepared::from_path(path, None)?,
        None => Prepared::built_in(None)?,
    };
    if let Some(unknown) = names.iter().find(|name| !has(&prepared.jobs, name)) {
        return Ok(fail(&format!("--check: there is no check `{unknown}`"), USAGE));
    }
    if !names.is_empty() {
        let wanted = |job: &mut Job| names.iter().any(|name| name == job.spec.name.as_str());
        for other in prepared.jobs.extract_if(.., |job| !wanted(job)) {
            prepared.health.remove(&other.spec.name);
        }
    }
    let records = run_all(&prepared)?;
    print(&match output {
        Output::Table => table(&records),
        Output::Json => json(&records),
    });
    Ok(code(&records))
}

/// Asks a URL once, as an `http` check would.
pub(super) fn probe(url: &str) -> Result<ExitCode, StartError> {
    let Ok(prepared) = Prepared::of_url(url) else {
        let message = "expected a URL such as http://127.0.0.1:10115/health/live";
        return Ok(fail(&format!("{url}: {message}"), USAGE));
    };
    let records = run_all(&prepared)?;
    let outcome = records.first().and_then(|record| record.last.as_ref());
    Ok(match outcome.and_then(|outcome| outcome.finding.as_ref()) {
        None => ExitCode::SUCCESS,
        Some(finding) => fail(&format!("{url}: {}: {}", finding.reason, finding.message), 1),
    })
}

fn has(jobs: &[Job], name: &str) -> bool {
    jobs.iter().any(|job| job.spec.name.as_str() == name)
}

fn run_all(prepared: &Prepared) -> Result<Vec<Arc<Record>>, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let running = prepared.health.start()?;
    let records = runtime.block_on(async {
        let runs = prepared.jobs.iter().map(|job| prepared.health.run_now(&job.spec.name));
        let records = join_all(runs).await;
        running.stop().await;
        records
    });
    let records: Option<Vec<_>> = records.into_iter().collect();
    records.ok_or_else(|| io::Error::other("the checks were not run").into())
}

fn code(records: &[Arc<Record>]) -> ExitCode {
    let states = records.iter().map(|record| (record.state(), record.spec.importance));
    let bad = aggregate(states, ProcessPhase::Starting) == Health::Unhealthy;
    ExitCode::from(u8::from(bad))
}

fn outcome(record: &Record) -> Option<&Outcome> {
    record.last.as_deref()
}

fn table(records: &[Arc<Record>]) -> String {
    let width = records.iter().map(|record| record.spec.name.as_str().len()).max().unwrap_or(0);
    let mut out = String::new();
    for record in records {
        let Some(outcome) = outcome(record) else { continue };
        let took = format!("{:.1} ms", outcome.duration.as_secs_f64() * 1e3);
        let name = record.spec.name.as_str();
        // Writing into a string does not fail.
        let _ = write!(out, "{name:width$}  {:9}  {took:>10}", outcome.status.as_str());
        if let Some(finding) = &outcome.finding {
            let _ = write!(out, "  {}: {}", finding.reason, finding.message);
        }
        out.push('\n');
    }
    out
}

#[derive(Serialize)]
struct RunView<'a> {
    status: &'static str,
    kind: &'static str,
    duration_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    phases: BTreeMap<&'static str, f64>,
    details: BTreeMap<&'a str, serde_json::Value>,
    readings: Vec<ReadingView<'a>>,
}

#[derive(Serialize)]
struct ReadingView<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    value: f64,
}

fn json(records: &[Arc<Record>]) -> String {
    let views = records.iter().filter_map(|record| {
        let view = view(outcome(record)?, record.spec.kind.name);
        Some((record.spec.name.as_str(), view))
    });
    let views: BTreeMap<_, _> = views.collect();
    serde_json::to_string_pretty(&views).unwrap_or_default() + "\n"
}

fn view<'a>(outcome: &'a Outcome, kind: &'static str) -> RunView<'a> {
    let recording = &outcome.recording;
    let readings = recording.readings.iter().map(|reading| ReadingView {
        name: reading.def.name(),
        labels: reading.def.labels().zip(reading.labels.iter().map(AsRef::as_ref)).collect(),
        value: reading.value,
    });
    let details = recording.details.iter().map(|(key, value)| {
        let value = match value {
            Scalar::Number(number) => serde_json::json!(number),
            Scalar::Bool(flag) => serde_json::json!(flag),
            Scalar::Text(text) => serde_json::json!(text),
        };
        (key.as_ref(), value)
    });
    RunView {
        status: outcome.status.as_str(),
        kind,
        duration_seconds: outcome.duration.as_secs_f64(),
        reason: outcome.reason().map(crate::outcome::Reason::as_str),
        error: outcome.finding.as_ref().map(|finding| finding.message.as_str()),
        phases: recording
            .phases
            .iter()
            .map(|(phase, time)| (phase.as_str(), time.as_secs_f64()))
            .collect(),
        details: details.collect(),
        readings: readings.collect(),
    }
}

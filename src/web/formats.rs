//! The health document in the forms that other tools expect.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use super::document::{Document, Judgement, milliseconds};
use crate::{
    config::ShowDetails,
    metrics::unix_seconds,
    state::{Health, Record, State},
};

/// `application/health+json` of the expired IETF draft inadarei-api-health-check-06, which load
/// balancers and gateways still ask for.
#[derive(Debug, Serialize)]
pub(super) struct HealthJson<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(rename = "serviceId", skip_serializing_if = "Option::is_none")]
    service_id: Option<&'a str>,
    checks: BTreeMap<String, [Measurement<'a>; 1]>,
}

#[derive(Debug, Serialize)]
struct Measurement<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
    #[serde(rename = "observedValue", skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(rename = "observedUnit", skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
}

fn pass_warn_fail(severity: u8) -> &'static str {
    ["pass", "warn", "fail"][usize::from(severity)]
}

/// The document as `application/health+json`.
pub(super) fn health_json<'a>(
    judgement: &'a Judgement<'_>,
    document: &Document<'a>,
) -> HealthJson<'a> {
    let service = document.service.as_ref();
    let shown = document.checks.iter().flatten();
    let checks = shown.filter_map(|(name, view)| {
        // Checks stand in the order of their names.
        let by_name = |(record, _): &(&Record, _)| record.spec.name.as_str().cmp(name);
        let index = judgement.checks.binary_search_by(by_name).ok()?;
        let (record, judged) = &judgement.checks[index];
        let last = record.last.as_ref().filter(|_| view.full.is_some());
        let measurement = Measurement {
            status: pass_warn_fail(judged.state.severity()),
            time: last.map(|last| milliseconds(unix_seconds(last.finished_at))),
            observed_value: last.map(|last| last.duration.as_secs_f64()),
            observed_unit: last.map(|_| "s"),
            output: view.full.as_ref().map_or(judged.reason, |full| full.error.or(judged.reason)),
        };
        Some((format!("{name}:status"), [measurement]))
    });
    HealthJson {
        status: match judgement.health() {
            Health::Healthy => "pass",
            Health::Degraded => "warn",
            Health::Unhealthy => "fail",
        },
        version: service.map(|service| service.version),
        service_id: service.map(|service| service.name),
        checks: checks.collect(),
    }
}

/// The document as lines, one per check, for people and shell scripts.
pub(super) fn text(judgement: &Judgement<'_>, show: ShowDetails) -> String {
    let mut out = String::new();
    let shown = judgement.checks.iter().filter(|_| show != ShowDetails::None);
    for (record, judged) in shown {
        let sign = match judged.state {
            State::Healthy => '+',
            State::Degraded => '~',
            State::Unhealthy | State::Error => '-',
            State::Pending | State::Stale => '?',
        };
        let name = &record.spec.name;
        // Writing into a string does not fail.
        let _ = match judged.reason {
            None => writeln!(out, "[{sign}]{name} ok"),
            Some(reason) => writeln!(out, "[{sign}]{name} {}: {reason}", judged.state.status()),
        };
    }
    let passed = judgement.health() != Health::Unhealthy;
    out + if passed { "health check passed\n" } else { "health check failed\n" }
}

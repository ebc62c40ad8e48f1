//! The health document: JSON views of records. Domain types are not serialized themselves.

use std::{
    collections::BTreeMap,
    time::{Instant, SystemTime},
};

use serde::Serialize;

use super::{Service, Site};
use crate::{
    config::ShowDetails,
    metrics::unix_seconds,
    outcome::{Scalar, lossy},
    state::{Health, Judged, ProcessPhase, Record, State, aggregate},
};

/// More problems are not listed.
const MAX_PROBLEMS: usize = 20;
/// With more checks than this only those that are not healthy are shown, unless asked.
const MAX_CHECKS: usize = 100;

/// The document of `/health`, of a group or of a tag.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    pub status: &'static str,
    pub timestamp: f64,
    pub uptime: f64,
    pub phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<ProblemView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<BTreeMap<&'a str, CheckView<'a>>>,
}

/// Something that is not healthy.
#[derive(Debug, Serialize)]
pub(super) struct ProblemView<'a> {
    pub check: &'a str,
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    pub importance: &'static str,
    pub since: f64,
    pub for_seconds: f64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub runbook_url: &'a str,
}

/// Who answers.
#[derive(Debug, Serialize)]
pub(super) struct ServiceView<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub instance: &'a str,
}

/// How many checks there are in each state.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    pub total: usize,
    pub healthy: usize,
    pub degraded: usize,
    pub unhealthy: usize,
    pub error: usize,
    pub unknown: usize,
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct CheckView<'a> {
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<f64>,
    #[serde(flatten)]
    pub full: Option<FullView<'a>>,
}

/// What is shown of a check to those who may see everything.
#[derive(Debug, Serialize)]
pub(super) struct FullView<'a> {
    pub kind: &'static str,
    pub group: &'a str,
    pub importance: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub target: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub owner: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub runbook_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<&'a str, ScalarView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    pub consecutive_failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hung_seconds: Option<f64>,
}

/// A detail.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ScalarView<'a> {
    Whole(i64),
    Number(f64),
    Bool(bool),
    Text(&'a str),
}

impl<'a> From<&'a Scalar> for ScalarView<'a> {
    fn from(scalar: &'a Scalar) -> Self {
        match scalar {
            Scalar::Number(number) => {
                whole(*number).map_or_else(|| Self::Number(readable(*number)), Self::Whole)
            }
            Scalar::Bool(flag) => Self::Bool(*flag),
            Scalar::Text(text) => Self::Text(text),
        }
    }
}

/// The number as an integer, when it is one and no digit is lost.
#[allow(clippy::cast_possible_truncation)]
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// The number with six digits that count, which is more than anybody reads.
fn readable(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

impl<'a> From<&'a Service> for ServiceView<'a> {
    fn from(service: &'a Service) -> Self {
        let Service { name, version, instance } = service;
        Self { name, version, instance }
    }
}

/// Records with what is to be reported of them at one moment.
pub(super) struct Judgement<'a> {
    pub checks: Vec<(&'a Record, Judged<'a>)>,
    pub phase: ProcessPhase,
    pub now: Instant,
    pub wall: SystemTime,
}

impl<'a> Judgement<'a> {
    /// Judges those records that are wanted.
    pub(super) fn new(
        records: impl Iterator<Item = &'a Record>,
        phase: ProcessPhase,
        (now, wall): (Instant, SystemTime),
    ) -> Self {
        let checks = records.map(|record| (record, record.judged(now))).collect();
        Self { checks, phase, now, wall }
    }

    /// What the checks add up to.
    pub(super) fn health(&self) -> Health {
        let states =
            self.checks.iter().map(|(record, judged)| (judged.state, record.spec.importance));
        aggregate(states, self.phase)
    }

    /// The document, with as much as may be shown.
    pub(super) fn document(
        &self,
        site: &'a Site,
        show: ShowDetails,
        verbose: bool,
    ) -> Document<'_> {
        let named = show != ShowDetails::None;
        Document {
            status: self.health().as_str(),
            timestamp: milliseconds(unix_seconds(self.wall)),
            uptime: milliseconds(site.store.uptime(self.now).as_secs_f64()),
            phase: self.phase.as_str(),
            problems: named.then(|| self.problems(show)),
            service: (show == ShowDetails::Full).then(|| (&site.service).into()),
            summary: named.then(|| self.summary()),
            checks: named.then(|| self.views(show, verbose)),
        }
    }

    fn problems(&self, show: ShowDetails) -> Vec<ProblemView<'_>> {
        let mut bad: Vec<_> =
            self.checks.iter().filter(|(_, judged)| judged.state != State::Healthy).collect();
        bad.sort_by_key(|(record, judged)| {
            let severity = std::cmp::Reverse(judged.state.severity());
            (severity, record.spec.importance, judged.since, &record.spec.name)
        });
        bad.truncate(MAX_PROBLEMS);
        bad.into_iter().map(|(record, judged)| self.problem(record, judged, show)).collect()
    }

    fn problem<'b>(
        &self,
        record: &'b Record,
        judged: &'b Judged<'_>,
        show: ShowDetails,
    ) -> ProblemView<'b> {
        let for_time = self.wall.duration_since(judged.since).unwrap_or_default();
        ProblemView {
            check: record.spec.name.as_str(),
            status: judged.state.status(),
            reason: judged.reason,
            importance: record.spec.importance.as_str(),
            since: milliseconds(unix_seconds(judged.since)),
            for_seconds: milliseconds(for_time.as_secs_f64()),
            runbook_url: if show == ShowDetails::Full { &record.spec.runbook_url } else { "" },
        }
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary { total: self.checks.len(), ..Summary::default() };
        for (_, judged) in &self.checks {
            *match judged.state {
                State::Healthy => &mut summary.healthy,
                State::Degraded => &mut summary.degraded,
                State::Unhealthy => &mut summary.unhealthy,
                State::Error => &mut summary.error,
                State::Pending | State::Stale => &mut summary.unknown,
            } += 1;
        }
        summary
    }

    fn views(&self, show: ShowDetails, verbose: bool) -> BTreeMap<&str, CheckView<'_>> {
        let all = verbose || self.checks.len() <= MAX_CHECKS;
        self.checks
            .iter()
            .filter(|(_, judged)| all || judged.state != State::Healthy)
            .map(|(record, judged)| {
                (record.spec.name.as_str(), check(record, judged, show, self.now))
            })
            .collect()
    }
}

/// One check with as much as may be shown.
pub(super) fn check<'a>(
    record: &'a Record,
    judged: &Judged<'a>,
    show: ShowDetails,
    now: Instant,
) -> CheckView<'a> {
    let named = show != ShowDetails::None;
    CheckView {
        status: judged.state.status(),
        reason: judged.reason.filter(|_| named),
        since: named.then(|| milliseconds(unix_seconds(judged.since))),
        full: (show == ShowDetails::Full).then(|| full(record, judged, now)),
    }
}

fn full<'a>(record: &'a Record, judged: &Judged<'a>, now: Instant) -> FullView<'a> {
    let spec = &record.spec;
    let last = record.last.as_ref();
    let details = last.into_iter().flat_map(|last| &last.recording.details);
    FullView {
        kind: spec.kind.name,
        group: spec.group.as_str(),
        importance: spec.importance.as_str(),
        tags: spec.tags.iter().map(crate::name::Name::as_str).collect(),
        target: &spec.target,
        owner: &spec.owner,
        runbook_url: &spec.runbook_url,
        error: judged.message,
        details: details.map(|(key, value)| (key.as_ref(), value.into())).collect(),
        timestamp: last.map(|last| milliseconds(unix_seconds(last.finished_at))),
        age_seconds: judged.age.map(|age| milliseconds(age.as_secs_f64())),
        duration_seconds: last.map(|last| microseconds(last.duration.as_secs_f64())),
        consecutive_failures: record.consecutive_failures,
        hung_seconds: record.hung_for(now).map(|hung| milliseconds(hung.as_secs_f64())),
    }
}

/// Rounds seconds to what people read.
pub(super) fn milliseconds(seconds: f64) -> f64 {
    (seconds * lossy(1_000)).round() / lossy(1_000)
}

fn microseconds(seconds: f64) -> f64 {
    (seconds * lossy(1_000_000)).round() / lossy(1_000_000)
}

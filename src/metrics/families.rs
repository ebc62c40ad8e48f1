//! The table of the families that every check has, each with the rows it makes of a record.

use std::time::{Instant, SystemTime};

use super::exposition::{Base, FamilyType, Sink, bucket_bound};
use crate::{
    name::Name,
    outcome::{Status, lossy},
    state::{Judged, Record, Skip, State},
};

/// A family with one or more rows per check.
pub(super) struct Family {
    /// The name.
    pub name: &'static str,
    /// The help text.
    pub help: &'static str,
    /// Gauge, counter or histogram.
    pub metric_type: FamilyType,
    /// Labels beside `check`, `kind` and `group`.
    pub labels: &'static [&'static str],
    /// With which detail it is exported.
    pub detail: Shown,
    /// Writes the rows of one check.
    pub rows: fn(&View<'_>, &mut dyn Sink),
}

/// With which setting of `metrics.detail` a family is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// With both.
    Always,
    /// With `full` only.
    Full,
    /// With `compact` only, in place of a larger family of the same name.
    Compact,
}

/// A record with what is to be reported of it now.
pub(super) struct View<'a> {
    /// The record.
    pub record: &'a Record,
    /// What is to be reported of it.
    pub judged: Judged<'a>,
    /// The labels `check`, `kind` and `group`, rendered.
    pub base: &'a str,
    /// The same labels, one by one.
    pub pairs: [(&'a str, &'a str); 3],
    /// The moment of the view.
    pub now: Instant,
}

impl<'a> View<'a> {
    /// What is to be reported of a record at `now`.
    pub(super) fn new(record: &'a Record, base: &'a str, now: Instant) -> Self {
        let spec = &record.spec;
        let pairs = [
            ("check", spec.name.as_str()),
            ("kind", spec.kind.name),
            ("group", spec.group.as_str()),
        ];
        Self { record, judged: record.judged(now), base, pairs, now }
    }

    /// The labels of every row.
    pub(super) fn base(&self) -> Base<'_> {
        Base { rendered: self.base, pairs: &self.pairs }
    }

    fn row(&self, out: &mut dyn Sink, labels: &[(&str, &str)], value: f64) {
        out.row("", self.base(), labels, value);
    }

    fn count(&self, out: &mut dyn Sink, labels: &[(&str, &str)], count: u64) {
        self.row(out, labels, lossy(count));
    }

    fn some(&self, out: &mut dyn Sink, value: Option<f64>) {
        if let Some(value) = value {
            self.row(out, &[], value);
        }
    }
}

/// Seconds since the epoch.
pub fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |age| age.as_secs_f64())
}

const fn flag(condition: bool) -> f64 {
    if condition { 1.0 } else { 0.0 }
}

/// Shortens the rows of the table.
macro_rules! family {
    ($type:ident $name:literal [$($label:literal),*] $detail:ident, $help:literal, $rows:expr) => {
        Family {
            name: $name,
            help: $help,
            metric_type: FamilyType::$type,
            labels: &[$($label),*],
            detail: Shown::$detail,
            rows: $rows,
        }
    };
}

/// Every family of this kind, in the order of exposition.
pub(super) const FAMILIES: &[Family] = &[
    family!(Gauge "health_check_info" ["importance", "target", "owner", "runbook_url", "tags"] Always,
        "What is fixed about the check; the value is always 1.", |view, out| {
        let spec = &view.record.spec;
        // A comma on both sides of each, so that a matcher such as `.*,web,.*` finds whole tags.
        let tags: Vec<_> = spec.tags.iter().map(Name::as_str).collect();
        let tags = if tags.is_empty() { String::new() } else { format!(",{},", tags.join(",")) };
        view.row(out, &[
            ("importance", spec.importance.as_str()),
            ("target", &spec.target),
            ("owner", &spec.owner),
            ("runbook_url", &spec.runbook_url),
            ("tags", &tags),
        ], 1.0);
    }),
    family!(Gauge "health_check_up" [] Always,
        "Whether the last completed background run was healthy or degraded.", |view, out| {
        let up = match &view.record.last {
            _ if view.record.hung_for(view.now).is_some() => Some(false),
            Some(last) => Some(last.status.is_good()),
            None => None,
        };
        // A success that nothing has confirmed for too long is no success.
        if let Some(up) = up && !(up && view.judged.state == State::Stale) {
            view.row(out, &[], flag(up));
        }
    }),
    family!(Gauge "health_check_state" ["state"] Always,
        "The reported state, after damping: 1 for the one that holds, 0 for the others.", |view, out| {
        for state in State::ALL {
            view.row(out, &[("state", state.as_str())], flag(state == view.judged.state));
        }
    }),
    family!(Gauge "health_check_reason" ["reason"] Always,
        "Why the last background run was not healthy; absent when it was.", |view, out| {
        if let Some(reason) = view.record.last_reason() {
            view.row(out, &[("reason", reason.as_str())], 1.0);
        }
    }),
    family!(Counter "health_check_state_seconds_total" ["state"] Full,
        "Time spent in each reported state.", |view, out| {
        for (state, time) in view.record.state_time(view.now) {
            view.row(out, &[("state", state.as_str())], time.as_secs_f64());
        }
    }),
    family!(Counter "health_check_state_seconds_total" ["state"] Compact,
        "Time spent in each reported state; states that never were are absent.", |view, out| {
        for (state, time) in view.record.state_time(view.now) {
            if !time.is_zero() {
                view.row(out, &[("state", state.as_str())], time.as_secs_f64());
            }
        }
    }),
    family!(Counter "health_check_runs_total" ["outcome"] Always,
        "Completed background runs by outcome.", |view, out| {
        for status in Status::ALL {
            view.count(out, &[("outcome", status.as_str())], view.record.tally.runs(status));
        }
    }),
    family!(Counter "health_check_failures_total" ["reason"] Full,
        "Background runs that ended unhealthy or in error, by reason.", |view, out| {
        for reason in view.record.spec.kind.all_reasons() {
            view.count(out, &[("reason", reason.as_str())], view.record.tally.failures(reason));
        }
    }),
    family!(Counter "health_check_skipped_total" ["reason"] Full,
        "Runs that were due and did not start.", |view, out| {
        for skip in Skip::ALL {
            view.count(out, &[("reason", skip.as_str())], view.record.tally.skipped(skip));
        }
    }),
    family!(Counter "health_check_state_transitions_total" [] Full,
        "Changes of the reported state between good (healthy, degraded) and bad.", |view, out| {
        view.count(out, &[], view.record.tally.transitions);
    }),
    family!(Gauge "health_check_consecutive_failures" [] Full,
        "Background runs in a row that ended unhealthy or in error.", |view, out| {
        view.count(out, &[], view.record.consecutive_failures);
    }),
    family!(Histogram "health_check_duration_seconds" ["le"] Full,
        "Durations of completed background runs.", |view, out| {
        let (tally, bounds) = (&view.record.tally, &view.record.spec.duration_bounds);
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let mut count = 0;
        for (bound, bucket) in bounds.zip(&tally.duration_buckets) {
            count += bucket;
            out.row("_bucket", view.base(), &[("le", &bucket_bound(bound))], lossy(count));
        }
        out.row("_sum", view.base(), &[], tally.duration_sum.as_secs_f64());
        out.row("_count", view.base(), &[], lossy(count));
    }),
    family!(Summary "health_check_duration_seconds" [] Compact,
        "Durations of completed background runs, their sum and count only.", |view, out| {
        let tally = &view.record.tally;
        out.row("_sum", view.base(), &[], tally.duration_sum.as_secs_f64());
        out.row("_count", view.base(), &[], lossy(tally.duration_buckets.iter().sum()));
    }),
    family!(Gauge "health_check_last_duration_seconds" [] Full,
        "Duration of the last completed background run.", |view, out| {
        let last = view.record.last.as_ref();
        view.some(out, last.map(|last| last.duration.as_secs_f64()));
    }),
    family!(Gauge "health_check_phase_duration_seconds" ["phase"] Full,
        "Duration of each phase that the last background run reached.", |view, out| {
        for (phase, time) in view.record.last.iter().flat_map(|last| &last.recording.phases) {
            view.row(out, &[("phase", phase.as_str())], time.as_secs_f64());
        }
    }),
    family!(Gauge "health_check_last_run_timestamp_seconds" [] Always,
        "When the last background run completed.", |view, out| {
        let last = view.record.last.as_ref();
        view.some(out, last.map(|last| unix_seconds(last.finished_at)));
    }),
    family!(Gauge "health_check_last_success_timestamp_seconds" [] Full,
        "When a background run last was healthy or degraded.", |view, out| {
        view.some(out, view.record.last_success.map(unix_seconds));
    }),
    family!(Gauge "health_check_last_state_change_timestamp_seconds" [] Full,
        "When the reported state last changed.", |view, out| {
        let changed = view.judged.state != State::Pending;
        view.some(out, changed.then(|| unix_seconds(view.judged.since)));
    }),
    family!(Gauge "health_check_interval_seconds" [] Full,
        "Configured time between the starts of two runs.", |view, out| {
        view.row(out, &[], view.record.spec.policy.interval.as_secs_f64());
    }),
    family!(Gauge "health_check_timeout_seconds" [] Full,
        "Configured deadline of a run.", |view, out| {
        view.row(out, &[], view.record.spec.policy.timeout.as_secs_f64());
    }),
    family!(Gauge "health_check_slow_threshold_seconds" [] Full,
        "Configured duration from which on a run is slow; absent when none is set.", |view, out| {
        view.some(out, view.record.spec.policy.slow.map(|slow| slow.as_secs_f64()));
    }),
    family!(Gauge "health_check_staleness_threshold_seconds" [] Always,
        "Time without a completed run after which the state is stale.", |view, out| {
        view.row(out, &[], view.record.spec.policy.stale_after().as_secs_f64());
    }),
    family!(Gauge "health_check_slo_objective_ratio" [] Always,
        "Configured share of time that the check is to be good; absent when none is set.", |view, out| {
        view.some(out, view.record.spec.policy.slo);
    }),
    family!(Gauge "health_check_quorum_ratio" [] Always,
        "Share of several exporters that must agree before people are paged; absent when off.",
        |view, out| view.some(out, view.record.spec.policy.quorum)),
];

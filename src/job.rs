//! A check with everything the engine needs to run it.

use std::{sync::Arc, time::Duration};

use crate::{
    check::{Check, Kind},
    name::Name,
    reading::ReadingDef,
    units::{Period, Ratio},
};

/// How much a check counts in the health of its groups and of the whole.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// When it is bad, the whole is unhealthy.
    Critical,
    /// When it is bad, the whole is degraded.
    Important,
    /// It never counts.
    Info,
}

impl Importance {
    /// The word used in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Important => "important",
            Self::Info => "info",
        }
    }
}

/// When a check runs and when what it found counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// From the start of one run to the start of the next.
    pub interval: Duration,
    /// The hard deadline of a run; at most the interval.
    pub timeout: Duration,
    /// From the end of a bad run to the next, while the state has not followed yet.
    pub retry_interval: Duration,
    /// So many runs in a row that are worse than the state make it worse.
    pub failure_threshold: u32,
    /// So many runs in a row that are better than the state make it better.
    pub success_threshold: u32,
    /// A run that takes longer is slow; for an alert, it does not change the state.
    pub slow: Option<Duration>,
    /// The share of time that the check is to be healthy or degraded.
    pub slo: Option<f64>,
    /// The share of several exporters that must agree before people are paged.
    pub quorum: Option<f64>,
}

impl Policy {
    /// The default time between two runs.
    pub const INTERVAL: Duration = Duration::from_secs(15);
    /// The default deadline of a run.
    pub const TIMEOUT: Duration = Duration::from_secs(5);
    /// The default time to a retry.
    pub const RETRY_INTERVAL: Duration = Duration::from_secs(2);
    /// The default number of worse runs that make the state worse.
    pub const FAILURE_THRESHOLD: u32 = 3;
    /// The default number of better runs that make the state better.
    pub const SUCCESS_THRESHOLD: u32 = 1;

    /// The shortest interval that is allowed.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

    /// The longest interval that is allowed; times beyond cannot be added to a clock.
    pub const LONGEST_INTERVAL: Duration = Duration::from_hours(24 * 365);

    /// What is wrong with these settings: the key, and what was expected.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let shown = Period;
        let mut faults = Vec::new();
        if self.interval < Self::SHORTEST_INTERVAL {
            let shortest = shown(Self::SHORTEST_INTERVAL);
            let message = format!("expected at least {shortest}, found {}", shown(self.interval));
            faults.push(("interval", message));
        }
        for (key, period) in [("interval", self.interval), ("retry_interval", self.retry_interval)]
        {
            if period > Self::LONGEST_INTERVAL {
                let longest = shown(Self::LONGEST_INTERVAL);
                faults.push((key, format!("expected at most {longest}, found {}", shown(period))));
            }
        }
        if self.timeout > self.interval {
            let (interval, timeout) = (shown(self.interval), shown(self.timeout));
            let message = format!("expected at most the interval of {interval}, found {timeout}");
            faults.push(("timeout", message));
        }
        for (key, period) in [("timeout", self.timeout), ("retry_interval", self.retry_interval)] {
            if period.is_zero() {
                faults.push((key, "expected more than 0s".to_owned()));
            }
        }
        for (key, threshold) in [
            ("failure_threshold", self.failure_threshold),
            ("success_threshold", self.success_threshold),
        ] {
            if threshold == 0 {
                faults.push((key, "expected 1 or more, found 0".to_owned()));
            }
        }
        if let Some(slo) = self.slo.filter(|slo| !(*slo > 0.0 && *slo < 1.0)) {
            let message = format!("expected more than 0% and less than 100%, found {}", Ratio(slo));
            faults.push(("slo", message));
        }
        faults
    }

    /// Without a completed run for this long, what we know is stale.
    pub fn stale_after(&self) -> Duration {
        (3 * self.interval + self.timeout).max(Duration::from_secs(30))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            interval: Self::INTERVAL,
            timeout: Self::TIMEOUT,
            retry_interval: Self::RETRY_INTERVAL,
            failure_threshold: Self::FAILURE_THRESHOLD,
            success_threshold: Self::SUCCESS_THRESHOLD,
            slow: None,
            slo: None,
            quorum: None,
        }
    }
}

/// What is fixed about a check from its registration to its removal.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Unique in the process.
    pub name: Name,
    /// What kind of check it is.
    pub kind: &'static Kind,
    /// The group it is shown and rolled up with.
    pub group: Name,
    /// Further names it can be selected by.
    pub tags: Vec<Name>,
    /// How much it counts.
    pub importance: Importance,
    /// Whom to ask; empty when nobody is named.
    pub owner: String,
    /// Where to read what to do; empty when there is none.
    pub runbook_url: String,
    /// What is probed, without secrets; empty when it is part of this machine.
    pub target: String,
    /// What shares a limit of concurrent runs; `None` when nothing does.
    pub host: Option<String>,
    /// When it runs and when what it found counts.
    pub policy: Policy,
    /// Upper bounds of the histogram of durations, in seconds and rising.
    pub duration_bounds: Arc<[f64]>,
    /// Families that the check defines itself.
    pub readings: Vec<ReadingDef>,
}

impl Spec {
    /// The default bounds of the histogram of durations, in seconds.
    pub const DURATION_BOUNDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0];

    /// A check with defaults for everything that is not said.
    pub fn new(name: Name, kind: &'static Kind) -> Self {
        Self {
            name,
            kind,
            group: Name::default(),
            tags: Vec::new(),
            importance: if kind.remote { Importance::Critical } else { Importance::Important },
            owner: String::new(),
            runbook_url: String::new(),
            target: String::new(),
            host: None,
            policy: Policy { quorum: kind.remote.then_some(DEFAULT_QUORUM), ..Policy::default() },
            duration_bounds: Self::DURATION_BOUNDS.into(),
            readings: Vec::new(),
        }
    }
}

/// Half of the exporters that watch a remote target.
const DEFAULT_QUORUM: f64 = 0.5;

/// A check with its settings.
#[derive(Clone)]
pub struct Job {
    /// What is fixed about it.
    pub spec: Arc<Spec>,
    /// What probes.
    pub check: Arc<dyn Check>,
}

impl Job {
    /// Joins a check with its settings; target and own families are the check's.
    pub fn new(mut spec: Spec, check: Box<dyn Check>) -> Self {
        if let Some(target) = check.target() {
            spec.target.clone_from(&target.display);
            spec.host = Some(target.host.clone());
        }
        spec.readings = check.readings().to_vec();
        Self { spec: Arc::new(spec), check: check.into() }
    }
}

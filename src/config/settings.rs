//! The settings that every check has, whatever its kind.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    check::Kind,
    job::{Importance, Policy, Spec},
    name::Name,
    units::{Period, Ratio},
};

/// What only a check itself can say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// Unique; the label `check` of its metrics.
    pub name: Name,
    /// `false` leaves the check out. Default: true.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// What a check may set, and `defaults` for all of them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CheckSettings {
    /// The group it is shown and rolled up with. Default: default.
    pub group: Option<Name>,
    /// Further names it can be selected by.
    pub tags: Option<Vec<Name>>,
    /// How much it counts. Default: critical for what is remote, important for this machine.
    pub importance: Option<Importance>,
    /// Whom to ask.
    pub owner: Option<String>,
    /// Where to read what to do.
    pub runbook_url: Option<String>,
    /// From the start of one run to the start of the next, 100ms to 365d. Default: 15s.
    pub interval: Option<Period>,
    /// The hard deadline of a run, at most the interval. Default: 5s, or the interval if shorter.
    pub timeout: Option<Period>,
    /// From the end of a bad run to the next, until the state follows. Default: 2s.
    pub retry_interval: Option<Period>,
    /// So many runs in a row that are worse than the state make it worse. Default: 3.
    pub failure_threshold: Option<u32>,
    /// So many runs in a row that are better than the state make it better. Default: 1.
    pub success_threshold: Option<u32>,
    /// A run that takes longer is slow: an alert, not a state. Default: null.
    pub slow: Option<Period>,
    /// The share of time that the check is to be good, such as 99.9%. Default: null.
    pub slo: Option<Ratio>,
    /// The share of several exporters that must agree before people are paged. Default: 50% for
    /// what is remote; it does not exist for checks of this machine.
    pub quorum: Option<Ratio>,
}

impl CheckSettings {
    /// These settings, and where they say nothing, those of `defaults`.
    #[must_use]
    pub(super) fn over(self, defaults: &Self) -> Self {
        let interval = self.interval.or(defaults.interval);
        // A default deadline must not make a shorter interval impossible.
        let default_timeout = defaults.timeout.map(|timeout| match interval {
            Some(interval) => timeout.min(interval),
            None => timeout,
        });
        Self {
            group: self.group.or_else(|| defaults.group.clone()),
            tags: self.tags.or_else(|| defaults.tags.clone()),
            importance: self.importance.or(defaults.importance),
            owner: self.owner.or_else(|| defaults.owner.clone()),
            runbook_url: self.runbook_url.or_else(|| defaults.runbook_url.clone()),
            interval,
            timeout: self.timeout.or(default_timeout),
            retry_interval: self.retry_interval.or(defaults.retry_interval),
            failure_threshold: self.failure_threshold.or(defaults.failure_threshold),
            success_threshold: self.success_threshold.or(defaults.success_threshold),
            slow: self.slow.or(defaults.slow),
            slo: self.slo.or(defaults.slo),
            quorum: self.quorum.or(defaults.quorum),
        }
    }

    /// When a check with these settings runs; `quorum` is what its kind has without any.
    pub(super) fn policy(&self, quorum: Option<f64>) -> Policy {
        let interval = self.interval.map_or(Policy::INTERVAL, |period| period.0);
        Policy {
            interval,
            timeout: self.timeout.map_or(Policy::TIMEOUT.min(interval), |period| period.0),
            retry_interval: self.retry_interval.map_or(Policy::RETRY_INTERVAL, |period| period.0),
            failure_threshold: self.failure_threshold.unwrap_or(Policy::FAILURE_THRESHOLD),
            success_threshold: self.success_threshold.unwrap_or(Policy::SUCCESS_THRESHOLD),
            slow: self.slow.map(|period| period.0),
            slo: self.slo.map(|ratio| ratio.0),
            // Two machines do not vote on the disk of one of them.
            quorum: quorum.map(|usual| self.quorum.map_or(usual, |ratio| ratio.0)),
        }
    }

    /// The check that these settings describe.
    pub(super) fn spec(self, name: Name, kind: &'static Kind) -> Spec {
        let mut spec = Spec::new(name, kind);
        spec.policy = self.policy(spec.policy.quorum);
        spec.group = self.group.unwrap_or_default();
        spec.tags = self.tags.unwrap_or_default();
        spec.importance = self.importance.unwrap_or(spec.importance);
        spec.owner = self.owner.unwrap_or_default();
        spec.runbook_url = self.runbook_url.unwrap_or_default();
        spec
    }
}

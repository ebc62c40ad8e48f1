//! What has been counted of a check since its registration.

use std::time::{Duration, Instant};

use super::State;
use crate::outcome::{Outcome, Reason, Status};

/// Why a run that was due did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The run before has not ended.
    InFlight,
    /// The run before still waits for a permit.
    Saturated,
}

impl Skip {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::InFlight, Self::Saturated];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::Saturated => "saturated",
        }
    }
}

/// Counters of one check.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    runs: [u64; Status::ALL.len()],
    failures: [u64; Reason::ALL.len()],
    skipped: [u64; Skip::ALL.len()],
    /// Changes of the state between good and bad; the first verdict is none.
    pub transitions: u64,
    /// Runs per bucket of their duration, the last for what is longer than every bound.
    pub duration_buckets: Vec<u64>,
    /// The durations of all runs together.
    pub duration_sum: Duration,
    /// The time spent in each state.
    pub(super) state_time: StateTime,
}

/// The time spent in each state until a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StateTime {
    spent: [Duration; State::ALL.len()],
    until: Instant,
}

impl StateTime {
    /// Books the time since the last call to `state`, and what lies after `stale_at` to stale.
    #[must_use]
    pub(super) fn after(mut self, state: State, stale_at: Option<Instant>, now: Instant) -> Self {
        let now = now.max(self.until);
        let fresh_until = stale_at.map_or(now, |stale_at| stale_at.clamp(self.until, now));
        self.spent[state as usize] += fresh_until - self.until;
        self.spent[State::Stale as usize] += now - fresh_until;
        self.until = now;
        self
    }

    pub(super) fn of(&self, state: State) -> Duration {
        self.spent[state as usize]
    }
}

impl Tally {
    /// Nothing counted yet; `bounds` is the number of bounds of the duration histogram.
    pub fn new(now: Instant, bounds: usize) -> Self {
        Self {
            runs: [0; Status::ALL.len()],
            failures: [0; Reason::ALL.len()],
            skipped: [0; Skip::ALL.len()],
            transitions: 0,
            duration_buckets: vec![0; bounds + 1],
            duration_sum: Duration::ZERO,
            state_time: StateTime { spent: [Duration::ZERO; State::ALL.len()], until: now },
        }
    }

    /// Completed runs that ended so.
    pub fn runs(&self, status: Status) -> u64 {
        self.runs[status as usize]
    }

    /// Runs that were unhealthy or in error for this reason.
    pub fn failures(&self, reason: Reason) -> u64 {
        self.failures[reason as usize]
    }

    /// Runs that were due and did not start.
    pub fn skipped(&self, skip: Skip) -> u64 {
        self.skipped[skip as usize]
    }

    pub(super) fn count_skip(&mut self, skip: Skip) {
        self.skipped[skip as usize] += 1;
    }

    pub(super) fn count_run(&mut self, outcome: &Outcome, bounds: &[f64]) {
        self.runs[outcome.status as usize] += 1;
        if let (false, Some(reason)) = (outcome.status.is_good(), outcome.reason()) {
            self.failures[reason as usize] += 1;
        }
        let seconds = outcome.duration.as_secs_f64();
        let bucket = bounds.iter().position(|bound| seconds <= *bound).unwrap_or(bounds.len());
        self.duration_buckets[bucket] += 1;
        self.duration_sum += outcome.duration;
    }
}

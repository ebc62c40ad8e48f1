//! All that is known of one check, replaced whole after every run.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{Damping, State, Tally, tally::Skip};
use crate::{
    job::Spec,
    outcome::{Finding, Outcome, Reason},
    reading::Reading,
};

/// What is known of a check. It never changes; a run makes a new one.
#[derive(Debug, Clone)]
pub struct Record {
    /// What is fixed about the check.
    pub spec: Arc<Spec>,
    /// The last completed run.
    pub last: Option<Arc<Outcome>>,
    /// Values of the last completed run, and lasting ones of earlier runs.
    pub readings: Arc<[Reading]>,
    /// When a run last was healthy or degraded.
    pub last_success: Option<SystemTime>,
    /// Runs in a row that were unhealthy or in error.
    pub consecutive_failures: u64,
    /// Counters since the registration.
    pub tally: Tally,
    /// Why the state is not healthy.
    finding: Option<Finding>,
    /// What runs have led to; whether that is stale is judged when it is read.
    state: State,
    /// When the state last changed.
    since: SystemTime,
    damping: Damping,
    /// The start of the run that neither ended nor yielded after its deadline.
    hung: Option<Instant>,
}

/// What is to be reported of a record at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged<'a> {
    /// The state, staleness considered.
    pub state: State,
    /// Why it is not healthy, or why it is unknown.
    pub reason: Option<&'static str>,
    /// The text to publish with the reason.
    pub message: Option<&'a str>,
    /// When the state was entered.
    pub since: SystemTime,
    /// The time since the last completed run.
    pub age: Option<Duration>,
}

impl Record {
    /// The record of a check that has never run.
    pub fn new(spec: Arc<Spec>, now: Instant, wall: SystemTime) -> Self {
        let bounds = spec.duration_bounds.len();
        Self {
            spec,
            last: None,
            readings: Arc::new([]),
            last_success: None,
            consecutive_failures: 0,
            tally: Tally::new(now, bounds),
            finding: None,
            state: State::Pending,
            since: wall,
            damping: Damping::default(),
            hung: None,
        }
    }

    /// The record after one more completed run; `now` is when that becomes known, until when
    /// readers have seen the state before.
    #[must_use]
    pub fn after_run(&self, outcome: Outcome, now: Instant) -> Self {
        let mut next = self.accounted(now);
        next.tally.count_run(&outcome, &self.spec.duration_bounds);
        let counted_as_hung = next.hung.take().is_some();
        next.readings = self.readings_after(&outcome);
        if outcome.status.is_good() {
            next.consecutive_failures = 0;
            next.last_success = Some(outcome.finished_at);
        } else if !counted_as_hung {
            next.consecutive_failures += 1;
        }
        let policy = &self.spec.policy;
        let before = if self.is_stale(now) { State::Stale } else { self.state };
        let (state, damping) = self.damping.after(
            before,
            outcome.status,
            policy.failure_threshold,
            policy.success_threshold,
        );
        next.damping = damping;
        next.enter(state, before, outcome.finished_at);
        if state == outcome.status.into() {
            next.finding.clone_from(&outcome.finding);
        }
        next.last = Some(Arc::new(outcome));
        next
    }

    /// The record once a run is found to hang; `started` is when that run began.
    #[must_use]
    pub fn after_hang(&self, started: Instant, now: Instant, wall: SystemTime) -> Self {
        let mut next = self.accounted(now);
        let before = if self.is_stale(now) { State::Stale } else { self.state };
        next.hung = Some(started);
        next.damping = Damping::default();
        next.consecutive_failures += 1;
        next.finding = Some(Finding {
            reason: Reason::Hung,
            message: "the run has neither ended nor yielded since its deadline".to_owned(),
        });
        next.enter(State::Error, before, wall);
        next
    }

    /// The record after a run that was due did not start.
    #[must_use]
    pub fn after_skip(&self, skip: Skip) -> Self {
        let mut next = self.clone();
        next.tally.count_skip(skip);
        next
    }

    fn enter(&mut self, state: State, before: State, wall: SystemTime) {
        let both_bad = !state.is_good() && matches!(before, State::Unhealthy | State::Error);
        if state != before && !both_bad {
            self.since = wall;
        }
        let had_verdict = !matches!(before, State::Pending | State::Stale);
        if had_verdict && state.is_good() != before.is_good() {
            self.tally.transitions += 1;
        }
        self.state = state;
    }

    fn accounted(&self, now: Instant) -> Self {
        let mut next = self.clone();
        next.tally.state_time = self.tally.state_time.after(self.state, self.stale_at(), now);
        next
    }

    /// A run's own values, and the lasting ones that it did not read anew.
    fn readings_after(&self, outcome: &Outcome) -> Arc<[Reading]> {
        let read = &outcome.recording.readings;
        let kept = self
            .readings
            .iter()
            .filter(|old| old.def.is_lasting() && read.iter().all(|new| new.def != old.def));
        read.iter().chain(kept).cloned().collect()
    }

    /// From when on what is known is stale; never while a run hangs or before the first run.
    pub fn stale_at(&self) -> Option<Instant> {
        match (&self.last, self.hung) {
            (Some(last), None) => Some(last.finished() + self.spec.policy.stale_after()),
            _ => None,
        }
    }

    fn is_stale(&self, now: Instant) -> bool {
        self.stale_at().is_some_and(|stale_at| now >= stale_at)
    }

    /// What is to be reported at `now`.
    pub fn judged(&self, now: Instant) -> Judged<'_> {
        let age = self.last.as_ref().map(|last| now.saturating_duration_since(last.finished()));
        if let (Some(stale_at), Some(last)) = (self.stale_at(), &self.last)
            && now >= stale_at
        {
            return Judged {
                state: State::Stale,
                reason: Some("stale"),
                message: None,
                since: last.finished_at + self.spec.policy.stale_after(),
                age,
            };
        }
        let finding = self.finding.as_ref();
        let reason = match self.state {
            State::Pending => Some("pending"),
            _ => finding.map(|finding| finding.reason.as_str()),
        };
        let message = finding.map(|finding| finding.message.as_str());
        Judged { state: self.state, reason, message, since: self.since, age }
    }

    /// The state that runs have led to, staleness left aside.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why that state is not healthy.
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// When the state was entered.
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// How long a run has been hanging, `None` when none does.
    pub fn hung_for(&self, now: Instant) -> Option<Duration> {
        self.hung.map(|started| now.saturating_duration_since(started))
    }

    /// Why the last run, or the one that hangs, was not healthy.
    pub fn last_reason(&self) -> Option<Reason> {
        match self.hung {
            Some(_) => Some(Reason::Hung),
            None => self.last.as_ref()?.reason(),
        }
    }

    /// What the driver said of the last run, for the log only; nothing while a run hangs.
    pub fn cause(&self) -> Option<&str> {
        self.last.as_ref().filter(|_| self.hung.is_none())?.cause.as_deref()
    }

    /// Whether a retry is due before the next regular run.
    pub fn wants_retry(&self) -> bool {
        self.damping.is_worsening()
    }

    /// The time spent in each state until `now`.
    pub fn state_time(&self, now: Instant) -> [(State, Duration); State::ALL.len()] {
        let time = self.tally.state_time.after(self.state, self.stale_at(), now);
        State::ALL.map(|state| (state, time.of(state)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::Kind,
        job::Policy,
        name::Name,
        outcome::{Failure, Recording, Verdict},
    };

    const SECOND: Duration = Duration::from_secs(1);

    static KIND: Kind = Kind {
        name: "code",
        remote: true,
        reasons: Reason::ALL,
        phases: &[],
        readings: &[],
        configuration: None,
    };

    fn run(result: Result<Verdict, Failure>, started: Instant, duration: Duration) -> Outcome {
        let recording = Recording::default();
        Outcome::new(result, recording, started, duration, SystemTime::UNIX_EPOCH)
    }

    fn record(start: Instant) -> Record {
        let spec = Spec::new(Name::new("a").unwrap(), &KIND);
        Record::new(Arc::new(spec), start, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_hung_run_is_one_failure_before_and_after_its_end() {
        let start = Instant::now();
        let failure = || Err(Failure::new(Reason::Hung, "held its thread").with_source("driver"));
        let first = record(start).after_run(run(failure(), start, SECOND), start + SECOND);
        let began = start + 15 * SECOND;
        let hung = first.after_hang(began, began + 6 * SECOND, SystemTime::UNIX_EPOCH);
        assert_eq!((hung.consecutive_failures, hung.cause()), (2, None));
        let ended = hung.after_run(run(failure(), began, 9 * SECOND), began + 9 * SECOND);
        assert_eq!((ended.consecutive_failures, ended.cause()), (2, Some("driver")));
    }

    #[test]
    fn the_time_in_a_state_never_shrinks_between_the_end_of_a_run_and_its_publication() {
        let start = Instant::now();
        let healthy = |started| run(Ok(Verdict::Healthy), started, SECOND);
        let record = record(start).after_run(healthy(start), start + SECOND);
        let began = start + 15 * SECOND;
        let published = began + 3 * SECOND;
        let read = record.state_time(published);
        let failed = run(Ok(Verdict::degraded(Reason::Threshold, "full")), began, SECOND);
        let policy = Policy { failure_threshold: 1, ..Policy::default() };
        let record =
            Record { spec: Arc::new(Spec { policy, ..Spec::clone(&record.spec) }), ..record };
        let after = record.after_run(failed, published);
        assert_eq!(after.state(), State::Degraded);
        for ((state, before), (_, after)) in read.into_iter().zip(after.state_time(published)) {
            assert!(after >= before, "{state:?}: {after:?} after {before:?}");
        }
    }
}

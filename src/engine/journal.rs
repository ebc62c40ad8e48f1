//! The log of what changed: one line per transition, few lines in a storm.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::{
    name::Name,
    outcome::Reason,
    state::{ProcessPhase, Record, Snapshot, State, aggregate},
};

/// More transitions than this in one second share a line.
const LINES_PER_SECOND: usize = 20;
/// A change of reason is logged once in this time per check.
const REASON_LINE_EVERY: Duration = Duration::from_mins(1);
/// So many names stand in a line that speaks of many checks.
const NAMES_PER_LINE: usize = 5;

/// Writes the log lines of an engine.
pub(super) struct Journal {
    second: Instant,
    lines: usize,
    untold: Vec<(Name, State)>,
    told: HashMap<Name, Told>,
}

/// The last line about a check.
struct Told {
    reason: Option<Reason>,
    /// When a change of the reason alone was last told.
    reason_line: Option<Instant>,
}

impl Journal {
    pub(super) fn new(now: Instant) -> Self {
        Self { second: now, lines: 0, untold: Vec::new(), told: HashMap::new() }
    }

    /// Logs what is worth it about the step from one record to the next.
    pub(super) fn changed(&mut self, before: &Record, after: &Record, stale: bool, now: Instant) {
        let was = if stale { State::Stale } else { before.state() };
        let is = after.state();
        let reason = after.finding().map(|finding| finding.reason);
        let both_bad = matches!(was, State::Unhealthy | State::Error) && !is.is_good();
        let name = &after.spec.name;
        let told = self.told.get(name);
        let mut reason_line = told.and_then(|told| told.reason_line);
        if was == is || both_bad {
            let too_soon =
                reason_line.is_some_and(|last| now.duration_since(last) < REASON_LINE_EVERY);
            // Compared with what was told, so that what came too soon is told later.
            if too_soon || reason == told.and_then(|told| told.reason) {
                return;
            }
            reason_line = Some(now);
        } else if was == State::Pending && is == State::Healthy {
            return;
        }
        self.told.insert(name.clone(), Told { reason, reason_line });
        self.flush(now);
        if self.lines < LINES_PER_SECOND {
            self.lines += 1;
            log(after, was, reason);
        } else {
            self.untold.push((after.spec.name.clone(), is));
        }
    }

    /// Begins a new second when the last one is over.
    fn flush(&mut self, now: Instant) {
        if now.duration_since(self.second) < Duration::from_secs(1) {
            return;
        }
        self.second = now;
        self.lines = 0;
        let untold = std::mem::take(&mut self.untold);
        if !untold.is_empty() {
            let bad = untold.iter().filter(|(_, state)| !state.is_good()).count();
            let names = names(untold.iter().map(|(name, _)| name));
            tracing::warn!(
                checks = untold.len(),
                bad,
                good = untold.len() - bad,
                names,
                "many more checks changed their state"
            );
        }
    }

    /// Tells what has not been told yet, once its second is over.
    pub(super) fn tick(&mut self, now: Instant) {
        self.flush(now);
    }

    /// When [`Journal::tick`] has something to tell.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        (!self.untold.is_empty()).then(|| self.second + Duration::from_secs(1))
    }

    /// Forgets a check that was removed.
    pub(super) fn forget(&mut self, name: &Name) {
        self.told.remove(name);
    }
}

fn names<'a>(names: impl ExactSizeIterator<Item = &'a Name>) -> String {
    let more = names.len().saturating_sub(NAMES_PER_LINE);
    let mut listed: Vec<_> = names.take(NAMES_PER_LINE).map(Name::as_str).collect();
    let rest = format!("and {more} more");
    if more > 0 {
        listed.push(&rest);
    }
    listed.join(", ")
}

fn log(record: &Record, was: State, reason: Option<Reason>) {
    let spec = &record.spec;
    let (check, kind) = (spec.name.as_str(), spec.kind.name);
    let (state, from) = (record.state().as_str(), was.as_str());
    let Some(finding) = record.finding() else {
        tracing::info!(check, kind, state, from, "check is healthy");
        return;
    };
    let reason = reason.map_or("", Reason::as_str);
    let error = finding.message.as_str();
    let cause = record.cause();
    if record.state() == State::Degraded {
        tracing::warn!(check, kind, state, from, reason, error, cause, "check is degraded");
    } else {
        let failures = record.consecutive_failures;
        tracing::error!(check, kind, state, from, reason, error, cause, failures, "check is bad");
    }
}

/// Logs how the first round of runs went.
pub(super) fn summary(snapshot: &Snapshot) {
    let states = snapshot.records.iter().map(|record| (record.state(), record.spec.importance));
    let health = aggregate(states, ProcessPhase::Starting).as_str();
    let count = |wanted: fn(State) -> bool| {
        snapshot.records.iter().filter(|record| wanted(record.state())).count()
    };
    let is_bad = |state| matches!(state, State::Unhealthy | State::Error);
    let bad: Vec<_> = snapshot
        .records
        .iter()
        .filter(|record| is_bad(record.state()))
        .map(|record| &record.spec.name)
        .collect();
    tracing::info!(
        status = health,
        checks = snapshot.records.len(),
        healthy = count(|state| state == State::Healthy),
        degraded = count(|state| state == State::Degraded),
        bad = bad.len(),
        pending = count(|state| state == State::Pending),
        names = (!bad.is_empty()).then(|| names(bad.into_iter())),
        "first round of checks done"
    );
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use super::*;
    use crate::{
        checks::CODE,
        job::Spec,
        outcome::{Failure, Outcome, Recording},
    };

    #[test]
    fn a_reason_that_changed_too_soon_is_told_when_its_time_has_come() {
        let start = Instant::now();
        let name = Name::new("a").unwrap();
        let spec = Arc::new(Spec::new(name.clone(), &CODE));
        let mut record = Record::new(spec, start.into_std(), SystemTime::UNIX_EPOCH);
        let mut journal = Journal::new(start);
        for (seconds, reason, told) in [
            (0, Reason::Connect, Reason::Connect),
            (15, Reason::Timeout, Reason::Timeout),
            (30, Reason::Auth, Reason::Timeout),
            (45, Reason::Auth, Reason::Timeout),
            (75, Reason::Auth, Reason::Auth),
        ] {
            let now = start + Duration::from_secs(seconds);
            let failure = Err(Failure::new(reason, "refused"));
            let (recording, wall) = (Recording::default(), SystemTime::UNIX_EPOCH);
            let outcome = Outcome::new(failure, recording, now.into_std(), Duration::ZERO, wall);
            let after = record.after_run(outcome, now.into_std());
            journal.changed(&record, &after, false, now);
            assert_eq!(journal.told[&name].reason, Some(told), "at {seconds} s");
            record = after;
        }
    }
}

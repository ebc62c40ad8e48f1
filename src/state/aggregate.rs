//! How the states of many checks add up to one.

use super::{ProcessPhase, State};
use crate::job::Importance;

/// The health of a set of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Everything that counts is healthy.
    Healthy,
    /// Something is off, but nothing critical is bad.
    Degraded,
    /// Something critical is bad.
    Unhealthy,
}

impl Health {
    /// Every health, best first.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Unhealthy];

    /// The word used in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// What one check contributes.
    pub fn of(state: State, importance: Importance, phase: ProcessPhase) -> Self {
        // A check that was added later counts from its first completed run.
        let not_yet = state == State::Pending && phase != ProcessPhase::Starting;
        match (state.severity(), importance) {
            _ if not_yet => Self::Healthy,
            (0, _) | (_, Importance::Info) => Self::Healthy,
            (1, _) | (_, Importance::Important) => Self::Degraded,
            (_, Importance::Critical) => Self::Unhealthy,
        }
    }
}

/// The worst of what each check contributes; no checks are healthy.
pub fn aggregate(
    checks: impl IntoIterator<Item = (State, Importance)>,
    phase: ProcessPhase,
) -> Health {
    checks
        .into_iter()
        .map(|(state, importance)| Health::of(state, importance, phase))
        .max()
        .unwrap_or(Health::Healthy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Importance::{Critical, Important, Info};
    use proptest::{collection::vec, prelude::*, sample::select};

    const RUNNING: ProcessPhase = ProcessPhase::Running;

    #[test]
    fn importance_decides_how_far_a_bad_check_reaches() {
        for bad in [State::Unhealthy, State::Error, State::Stale] {
            assert_eq!(aggregate([(bad, Critical)], RUNNING), Health::Unhealthy);
            assert_eq!(aggregate([(bad, Important)], RUNNING), Health::Degraded);
            assert_eq!(aggregate([(bad, Info)], RUNNING), Health::Healthy);
        }
        assert_eq!(aggregate([(State::Degraded, Critical)], RUNNING), Health::Degraded);
        assert_eq!(aggregate([], RUNNING), Health::Healthy);
    }

    #[test]
    fn a_check_without_a_run_counts_only_while_the_process_starts() {
        let pending = [(State::Pending, Critical)];
        assert_eq!(aggregate(pending, ProcessPhase::Starting), Health::Unhealthy);
        assert_eq!(aggregate(pending, RUNNING), Health::Healthy);
    }

    fn check() -> impl Strategy<Value = (State, Importance)> {
        (select(State::ALL.to_vec()), select(vec![Critical, Important, Info]))
    }

    proptest! {
        #[test]
        fn order_never_matters(checks in vec(check(), 0..20)) {
            let reversed = checks.iter().rev().copied();
            prop_assert_eq!(aggregate(checks.clone(), RUNNING), aggregate(reversed, RUNNING));
        }

        #[test]
        fn a_worse_check_never_improves_the_whole(
            checks in vec(check(), 1..20),
            index in any::<prop::sample::Index>(),
            state in select(State::ALL.to_vec()),
        ) {
            // Pending does not count while running, so it has no place in the order here.
            prop_assume!(state != State::Pending);
            let index = index.index(checks.len());
            prop_assume!(checks[index].0 != State::Pending);
            let mut changed = checks.clone();
            changed[index].0 = state;
            let (before, after) = (aggregate(checks.clone(), RUNNING), aggregate(changed, RUNNING));
            if state.severity() >= checks[index].0.severity() {
                prop_assert!(after >= before);
            } else {
                prop_assert!(after <= before);
            }
        }

        #[test]
        fn a_check_that_is_only_for_information_never_matters(
            checks in vec(check(), 0..20),
            state in select(State::ALL.to_vec()),
        ) {
            let with = checks.iter().copied().chain([(state, Info)]);
            prop_assert_eq!(aggregate(checks.clone(), RUNNING), aggregate(with, RUNNING));
        }
    }
}

//! How many runs it takes until the reported state follows them.

use std::cmp::Ordering;

use super::State;
use crate::outcome::Status;

/// The runs since the state last agreed with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damping {
    worse: u32,
    better: u32,
}

impl Damping {
    /// The state after one more run, and the runs that count towards the next change.
    ///
    /// The state worsens after `failure_threshold` runs in a row that are worse than it and
    /// improves after `success_threshold` better ones; both times it takes the last run's
    /// outcome. A state that is unknown takes the outcome at once.
    #[must_use]
    pub fn after(
        self,
        state: State,
        run: Status,
        failure_threshold: u32,
        success_threshold: u32,
    ) -> (State, Self) {
        let followed = (State::from(run), Self::default());
        if matches!(state, State::Pending | State::Stale) {
            return followed;
        }
        match State::from(run).severity().cmp(&state.severity()) {
            Ordering::Greater if self.worse + 1 < failure_threshold => {
                (state, Self { worse: self.worse + 1, better: 0 })
            }
            Ordering::Less if self.better + 1 < success_threshold => {
                (state, Self { worse: 0, better: self.better + 1 })
            }
            _ => followed,
        }
    }

    /// Whether runs are on the way to make the state worse, so that a retry is worth it.
    pub fn is_worsening(self) -> bool {
        self.worse > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The states after each run, with thresholds 3 and 2.
    fn states(start: State, runs: &[Status]) -> Vec<State> {
        let mut current = (start, Damping::default());
        runs.iter()
            .map(|run| {
                current = current.1.after(current.0, *run, 3, 2);
                current.0
            })
            .collect()
    }

    #[test]
    fn the_first_run_counts_at_once() {
        use Status::{Error, Healthy};
        assert_eq!(states(State::Pending, &[Error]), [State::Error]);
        assert_eq!(states(State::Stale, &[Healthy]), [State::Healthy]);
    }

    #[test]
    fn three_bad_runs_in_a_row_make_the_state_bad_and_two_good_ones_good() {
        use Status::{Error, Healthy, Unhealthy};
        assert_eq!(
            states(
                State::Healthy,
                &[Error, Error, Healthy, Error, Unhealthy, Error, Healthy, Healthy]
            ),
            [
                State::Healthy,
                State::Healthy,
                State::Healthy,
                State::Healthy,
                State::Healthy,
                State::Error,
                State::Error,
                State::Healthy,
            ]
        );
    }

    #[test]
    fn unhealthy_and_error_follow_the_last_run() {
        use Status::{Error, Unhealthy};
        assert_eq!(states(State::Error, &[Unhealthy, Error]), [State::Unhealthy, State::Error]);
    }

    fn statuses() -> impl Strategy<Value = Vec<Status>> {
        proptest::collection::vec(proptest::sample::select(Status::ALL.to_vec()), 1..60)
    }

    proptest! {
        /// A model that looks back over the whole history instead of counting.
        #[test]
        fn damping_agrees_with_looking_back(runs in statuses(), failures in 1_u32..5, successes in 1_u32..5) {
            let mut current = (State::Pending, Damping::default());
            let mut since = 0;
            let mut state = State::Pending;
            for (index, run) in runs.iter().enumerate() {
                current = current.1.after(current.0, *run, failures, successes);
                let severity = State::from(*run).severity();
                let streak = runs[since..=index]
                    .iter()
                    .rev()
                    .take_while(|run| {
                        let earlier = State::from(**run).severity();
                        earlier.cmp(&state.severity()) == severity.cmp(&state.severity())
                    })
                    .count();
                let needed = match severity.cmp(&state.severity()) {
                    Ordering::Greater => failures as usize,
                    Ordering::Less => successes as usize,
                    Ordering::Equal => 1,
                };
                if state == State::Pending || streak >= needed {
                    state = State::from(*run);
                    since = index + 1;
                }
                prop_assert_eq!(current.0, state);
            }
        }
    }
}

//! What one run of a check found.

mod recording;
mod verdict;
mod words;

use std::time::{Duration, Instant, SystemTime};

pub use recording::{Recording, Scalar, lossy};
pub use verdict::{BoxError, Failure, Finding, Verdict};
pub use words::{Phase, Reason, Status};

/// What one completed run found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// Why it is not healthy, with the text to publish; `None` exactly when it is healthy.
    pub finding: Option<Finding>,
    /// What the driver said, for the log only.
    pub cause: Option<String>,
    /// What was learned on the way.
    pub recording: Recording,
    /// When the run began, after it had got its permit.
    pub started: Instant,
    /// How long it took.
    pub duration: Duration,
    /// When it ended, for people.
    pub finished_at: SystemTime,
}

impl Outcome {
    /// Longer messages are cut.
    const MAX_MESSAGE: usize = 256;

    /// Puts the result of a probe and what it recorded together.
    pub fn new(
        result: Result<Verdict, Failure>,
        recording: Recording,
        started: Instant,
        duration: Duration,
        finished_at: SystemTime,
    ) -> Self {
        let (status, finding, source) = match result {
            Ok(Verdict::Healthy) => (Status::Healthy, None, None),
            Ok(Verdict::Degraded(finding)) => (Status::Degraded, Some(finding), None),
            Ok(Verdict::Unhealthy(finding)) => (Status::Unhealthy, Some(finding), None),
            Err(Failure { reason, message, source }) => {
                (Status::Error, Some(Finding { reason, message }), source)
            }
        };
        let finding = finding.map(|finding| Finding {
            message: finding.message.chars().take(Self::MAX_MESSAGE).collect(),
            ..finding
        });
        let cause = source.map(|source| chain(source.as_ref()));
        Self { status, finding, cause, recording, started, duration, finished_at }
    }

    /// When the run ended, on the clock that never jumps.
    pub fn finished(&self) -> Instant {
        self.started + self.duration
    }

    /// Why the run was not healthy.
    pub fn reason(&self) -> Option<Reason> {
        self.finding.as_ref().map(|finding| finding.reason)
    }
}

/// An error with its causes in one line; a cause that its parent already quotes is not repeated.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_says_is_never_published() {
        let failure: Failure = std::io::Error::other("password of admin is hunter2").into();
        assert_eq!(failure.message, "the check failed, see the log");
        let now = Instant::now();
        let outcome = Outcome::new(
            Err(failure),
            Recording::default(),
            now,
            Duration::ZERO,
            SystemTime::UNIX_EPOCH,
        );
        assert_eq!(outcome.reason(), Some(Reason::Internal));
        assert_eq!(outcome.cause.as_deref(), Some("password of admin is hunter2"));
    }
}

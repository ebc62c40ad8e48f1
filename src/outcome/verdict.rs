//! What a probe gives back: a verdict, or why there is none.

use super::Reason;
use crate::units::{Level, Limits};

/// The error type of drivers, kept for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Why.
    pub reason: Reason,
    /// One sentence without secrets; it is published.
    pub message: String,
}

/// The verdict of a run that could judge its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Healthy,
    /// Works, but something is off.
    Degraded(Finding),
    /// Does not work.
    Unhealthy(Finding),
}

impl Verdict {
    /// Degraded for the reason given.
    pub fn degraded(reason: Reason, message: impl Into<String>) -> Self {
        Self::Degraded(Finding { reason, message: message.into() })
    }

    /// Unhealthy for the reason given.
    pub fn unhealthy(reason: Reason, message: impl Into<String>) -> Self {
        Self::Unhealthy(Finding { reason, message: message.into() })
    }

    /// Degraded when the condition holds, else healthy.
    pub fn degraded_if(condition: bool, reason: Reason, message: impl Into<String>) -> Self {
        if condition { Self::degraded(reason, message) } else { Self::Healthy }
    }

    /// Unhealthy when the condition holds, else healthy.
    pub fn unhealthy_if(condition: bool, reason: Reason, message: impl Into<String>) -> Self {
        if condition { Self::unhealthy(reason, message) } else { Self::Healthy }
    }

    /// The worse of two verdicts; of two equal ones the first.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |verdict: &Self| match verdict {
            Self::Healthy => 0,
            Self::Degraded(_) => 1,
            Self::Unhealthy(_) => 2,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    /// Judges a value against upper limits; `what` names it, `show` prints it with its unit.
    pub fn above<T: Copy + PartialOrd>(
        what: &str,
        value: T,
        limits: &Limits<T>,
        show: impl Fn(T) -> String,
    ) -> Self {
        Self::passed(limits.reached(value), |level, limit| {
            format!("{what} {} at or above {level} {}", show(value), show(limit))
        })
    }

    /// Judges a value against lower limits; `what` names it, `show` prints it with its unit.
    pub fn below<T: Copy + PartialOrd>(
        what: &str,
        value: T,
        limits: &Limits<T>,
        show: impl Fn(T) -> String,
    ) -> Self {
        Self::passed(limits.undercut(value), |level, limit| {
            format!("{what} {} below {level} {}", show(value), show(limit))
        })
    }

    fn passed<T>(passed: Option<(Level, T)>, message: impl Fn(&str, T) -> String) -> Self {
        match passed {
            None => Self::Healthy,
            Some((level @ Level::Warning, limit)) => {
                Self::degraded(Reason::Threshold, message(level.as_str(), limit))
            }
            Some((level @ Level::Critical, limit)) => {
                Self::unhealthy(Reason::Threshold, message(level.as_str(), limit))
            }
        }
    }
}

/// Why a run could not reach a verdict.
///
/// It is data, not an error to be handled: what `?` turns into it has the reason `internal` and a
/// general message, the text of the cause going to the log only.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// One sentence of ours without secrets; it is published.
    pub message: String,
    /// What the driver said; it goes to the log only.
    pub source: Option<BoxError>,
}

impl Failure {
    /// A failure with the text to publish.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), source: None }
    }

    /// The same failure with its cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Reason::Internal, "the check failed, see the log").with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_verdict_wins_and_of_equals_the_first() {
        let slow = Verdict::degraded(Reason::Threshold, "slow");
        let full = Verdict::degraded(Reason::Threshold, "full");
        let down = Verdict::unhealthy(Reason::Alarm, "down");
        assert_eq!(Verdict::Healthy.and(slow.clone()).and(full), slow);
        assert_eq!(slow.and(down.clone()).and(Verdict::Healthy), down);
    }

    #[test]
    fn a_limit_that_is_passed_is_named_with_its_value() {
        let limits = Limits::new(0.8, 0.9);
        let show = |ratio: f64| format!("{}%", ratio * 100.0);
        assert_eq!(
            Verdict::above("memory", 0.85, &limits, show),
            Verdict::degraded(Reason::Threshold, "memory 85% at or above warning 80%")
        );
        assert_eq!(
            Verdict::below("free space", 0.5, &Limits::new(0.7, 0.6), show),
            Verdict::unhealthy(Reason::Threshold, "free space 50% below critical 60%")
        );
    }
}

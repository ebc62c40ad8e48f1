//! What one run of a check found.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    reading::{Reading, ReadingDef},
    units::{Level, Limits},
};

/// The error type of drivers, kept for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// As it should be.
    Healthy,
    /// Works, but something is off.
    Degraded,
    /// A verdict was reached and it is bad.
    Unhealthy,
    /// No verdict could be had.
    Error,
}

impl Status {
    /// Every status, best first.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Error];

    /// The word used in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Error => "error",
        }
    }

    /// Healthy or degraded: the target does its work.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

/// Declares a closed set of words with their text.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every word of the set.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in metrics and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Why a run was not healthy. The set is closed, so that a reason is safe as a label.
    Reason {
        /// The deadline passed.
        Timeout = "timeout",
        /// The name of the target could not be resolved.
        Dns = "dns",
        /// No connection came about, or it broke.
        Connect = "connect",
        /// The handshake or the certificate failed.
        Tls = "tls",
        /// The target refused our credentials or our rights do not suffice.
        Auth = "auth",
        /// The target did not speak its protocol.
        Protocol = "protocol",
        /// The HTTP status was not one of those expected.
        Status = "status",
        /// What the target answered is not what was expected.
        Assertion = "assertion",
        /// A value passed its limit.
        Threshold = "threshold",
        /// The target itself raised an alarm.
        Alarm = "alarm",
        /// No connection was to be had: a pool or the server's connection limit is exhausted.
        Pool = "pool",
        /// The answer was larger than allowed.
        BodyLimit = "body_limit",
        /// The check panicked.
        Panic = "panic",
        /// The run neither ended nor yielded after its deadline.
        Hung = "hung",
        /// The check cannot work as it is configured.
        Config = "config",
        /// We ended the run before it was done.
        Cancelled = "cancelled",
        /// Something failed on our side.
        Internal = "internal",
    }
}

words! {
    /// A step of a run whose time is measured on its own.
    Phase {
        /// Resolving the target's name.
        Resolve = "resolve",
        /// Opening the connection.
        Connect = "connect",
        /// The TLS handshake.
        Tls = "tls",
        /// From the request to the first byte of the answer.
        Processing = "processing",
        /// Reading the answer.
        Transfer = "transfer",
        /// Waiting for a connection of the pool.
        PoolWait = "pool_wait",
        /// Logging in.
        Auth = "auth",
        /// Asking the target.
        Query = "query",
        /// Writing something and reading it back.
        RoundTrip = "round_trip",
    }
}

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

/// A value shown in the details of a check.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A number; one that is not finite is left out.
    Number(f64),
    /// A yes or no.
    Bool(bool),
    /// A short text.
    Text(String),
}

macro_rules! scalar_from {
    ($($type:ty => |$value:ident| $scalar:expr;)*) => {
        $(impl From<$type> for Scalar {
            fn from($value: $type) -> Self { $scalar }
        })*
    };
}

scalar_from! {
    f64 => |value| Self::Number(value);
    f32 => |value| Self::Number(value.into());
    u8 => |value| Self::Number(value.into());
    u16 => |value| Self::Number(value.into());
    u32 => |value| Self::Number(value.into());
    i32 => |value| Self::Number(value.into());
    u64 => |value| Self::Number(lossy(value));
    usize => |value| Self::Number(lossy(value as u64));
    i64 => |value| Self::Number(if value < 0 { -lossy(value.unsigned_abs()) } else { lossy(value.unsigned_abs()) });
    bool => |value| Self::Bool(value);
    &str => |value| Self::Text(value.to_owned());
    String => |value| Self::Text(value);
}

/// A count as the floating point number that Prometheus wants; exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub const fn lossy(count: u64) -> f64 {
    count as f64
}

/// What a run learned on its way, whatever became of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// How long each phase took, in the order in which they were first reached.
    pub phases: Vec<(Phase, Duration)>,
    /// Values for the metrics.
    pub readings: Vec<Reading>,
    /// Values for the health document, at most [`Recording::MAX_DETAILS`].
    pub details: Vec<(Cow<'static, str>, Scalar)>,
    open: Option<(Phase, Instant)>,
}

impl Recording {
    /// More keys than this are dropped from the details.
    pub const MAX_DETAILS: usize = 32;
    const MAX_TEXT: usize = 256;

    /// Ends the phase that is open and begins the next; a phase that comes again adds up.
    pub fn begin(&mut self, phase: Phase, now: Instant) {
        self.end_phase(now);
        self.open = Some((phase, now));
    }

    /// Ends the phase that is open.
    pub fn end_phase(&mut self, now: Instant) {
        if let Some((phase, began)) = self.open.take() {
            self.add_phase(phase, now.saturating_duration_since(began));
        }
    }

    /// Adds a time that was measured elsewhere.
    pub fn add_phase(&mut self, phase: Phase, time: Duration) {
        match self.phases.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, sum)) => *sum += time,
            None => self.phases.push((phase, time)),
        }
    }

    /// The phase that was begun and not ended.
    pub fn open_phase(&self) -> Option<Phase> {
        self.open.map(|(phase, _)| phase)
    }

    /// Keeps one value; one that is not finite, or whose labels do not fit the family, is dropped.
    pub fn read(&mut self, def: &ReadingDef, labels: &[&str], value: f64) {
        debug_assert_eq!(def.labels().len(), labels.len(), "labels of {}", def.name());
        if value.is_finite() && def.labels().len() == labels.len() {
            let labels = labels.iter().map(|label| Box::from(*label)).collect();
            self.readings.push(Reading { def: def.clone(), labels, value });
        }
    }

    /// Keeps one detail; the same key again replaces it.
    pub fn detail(&mut self, key: impl Into<Cow<'static, str>>, value: Scalar) {
        let key = key.into();
        let value = match value {
            Scalar::Number(number) if !number.is_finite() => return,
            Scalar::Text(text) => Scalar::Text(text.chars().take(Self::MAX_TEXT).collect()),
            other => other,
        };
        if let Some((_, kept)) = self.details.iter_mut().find(|(known, _)| *known == key) {
            *kept = value;
        } else if self.details.len() < Self::MAX_DETAILS {
            self.details.push((key, value));
        }
    }
}

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
    fn a_phase_that_comes_again_adds_up() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut recording = Recording::default();
        recording.begin(Phase::Connect, at(0));
        recording.begin(Phase::Processing, at(10));
        recording.begin(Phase::Connect, at(30));
        recording.end_phase(at(35));
        let expected = [
            (Phase::Connect, Duration::from_millis(15)),
            (Phase::Processing, Duration::from_millis(20)),
        ];
        assert_eq!(recording.phases, expected);
    }

    #[test]
    fn values_that_are_not_finite_are_dropped() {
        const LOAD: ReadingDef = ReadingDef::gauge("load", "Load.", &[]);
        let mut recording = Recording::default();
        recording.read(&LOAD, &[], f64::NAN);
        recording.detail("load", f64::INFINITY.into());
        assert_eq!(recording, Recording::default());
    }

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

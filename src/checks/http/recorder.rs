//! What a run learns while its exchanges go on.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{
    check::ProbeContext,
    outcome::{Phase, Reason, Verdict, lossy},
    reading::ReadingDef,
    units::{Level, Limits, Period},
    wire::http::{Chain, Observer},
};

/// When certificates expire.
pub(super) const CERT_EXPIRY: ReadingDef = ReadingDef::gauge(
    "health_check_tls_cert_expiry_timestamp_seconds",
    "When the certificate of the target (leaf) and the first of all certificates it showed \
     (earliest) expire, as of the last background run that saw them.",
    &["position"],
)
.lasting();

/// Whether the certificate was accepted.
pub(super) const VERIFIED: ReadingDef = ReadingDef::gauge(
    "health_check_tls_verified",
    "Whether the certificate of the target is trusted, valid and its own, also when the check \
     accepts any, as of the last background run.",
    &[],
);

/// The configured limits of what is left.
pub(super) const CERT_EXPIRY_THRESHOLD: ReadingDef = ReadingDef::gauge(
    "health_check_tls_cert_expiry_threshold_seconds",
    "Time before the expiry of a certificate from which on the check is degraded (warning) or \
     unhealthy (critical), as of the last background run.",
    &["level"],
);

/// Records phases and certificates as they come.
pub(super) struct Recorder {
    context: ProbeContext,
    limits: Option<Limits<Period>>,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    thresholds: bool,
    chain: Option<Chain>,
}

impl Recorder {
    /// Records into the context; the limits are those of the time until a certificate expires.
    pub(super) fn new(context: ProbeContext, limits: Option<Limits<Period>>) -> Self {
        Self { context, limits, noted: Mutex::default() }
    }

    /// Records the limits, once in a run.
    pub(super) fn read_thresholds(&self) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut noted.thresholds, true) {
            for (level, limit) in self.limits.iter().flat_map(Limits::levels) {
                let seconds = limit.0.as_secs_f64();
                self.context.read(&CERT_EXPIRY_THRESHOLD, &[level.as_str()], seconds);
            }
        }
    }

    /// Judges how long the certificates still hold.
    pub(super) fn expiry_verdict(&self) -> Verdict {
        let chain = self.noted.lock().unwrap_or_else(PoisonError::into_inner).chain;
        let expiry = chain.and_then(|chain| chain.earliest_expiry);
        match (&self.limits, expiry) {
            (Some(limits), Some(expiry)) => judge(limits, expiry, SystemTime::now()),
            _ => Verdict::Healthy,
        }
    }
}

impl Observer for Recorder {
    fn phase(&self, phase: Phase) {
        self.context.phase(phase);
    }

    fn chain(&self, chain: Chain) {
        self.read_thresholds();
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.chain.is_some() {
            // The series are about the target; where a redirect leads is another target.
            return;
        }
        noted.chain = Some(chain);
        let expiries = [("leaf", chain.leaf_expiry), ("earliest", chain.earliest_expiry)];
        for (position, expiry) in expiries {
            if let Some(expiry) = expiry {
                self.context.read(&CERT_EXPIRY, &[position], lossy(expiry));
            }
        }
        self.context.read(&VERIFIED, &[], f64::from(u8::from(chain.verified)));
        self.context.detail("certificate_verified", chain.verified);
        if let Some(expiry) = chain.earliest_expiry {
            self.context.detail("certificate_expiry_timestamp_seconds", expiry);
        }
    }
}

fn judge(limits: &Limits<Period>, expiry: u64, now: SystemTime) -> Verdict {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let expiry = Duration::from_secs(expiry);
    let left = expiry.saturating_sub(now);
    let Some((level, limit)) = limits.undercut(Period(left)) else { return Verdict::Healthy };
    let message = if left.is_zero() {
        format!("a certificate expired {} ago", rough(now.saturating_sub(expiry)))
    } else {
        format!("a certificate expires in {}, below {} {limit}", rough(left), level.as_str())
    };
    match level {
        Level::Warning => Verdict::degraded(Reason::Threshold, message),
        Level::Critical => Verdict::unhealthy(Reason::Threshold, message),
    }
}

/// A time in its largest unit, from two of them on.
fn rough(time: Duration) -> Period {
    let seconds = time.as_secs();
    let unit = [24 * 3_600, 3_600, 60, 1].into_iter().find(|unit| seconds >= 2 * unit).unwrap_or(1);
    Period(Duration::from_secs(seconds / unit * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600;

    #[test]
    fn a_certificate_is_judged_by_the_time_it_has_left() {
        let limits = Limits::new(
            Period(Duration::from_secs(14 * DAY)),
            Period(Duration::from_secs(3 * DAY)),
        );
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 * DAY);
        let judged = |expiry| judge(&limits, expiry, now);
        assert_eq!(judged(1_014 * DAY), Verdict::Healthy);
        assert_eq!(
            judged(1_013 * DAY + 5),
            Verdict::degraded(Reason::Threshold, "a certificate expires in 13d, below warning 14d")
        );
        assert_eq!(
            judged(1_000 * DAY + 7_201),
            Verdict::unhealthy(Reason::Threshold, "a certificate expires in 2h, below critical 3d")
        );
        assert_eq!(
            judged(998 * DAY),
            Verdict::unhealthy(Reason::Threshold, "a certificate expired 2d ago")
        );
    }
}

//! One run of a check, in a task of its own.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use tokio::{
    runtime::Handle,
    sync::mpsc::UnboundedSender,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::permits::Claim;
use crate::{
    check::{Check, ProbeContext, panicked},
    outcome::{Failure, Outcome, Phase, Reason, Recording, Verdict},
    units::Period,
};

/// A run that neither ends nor yields for so long after its deadline hangs.
pub(super) const HUNG_AFTER: Duration = Duration::from_secs(1);

/// Which run of which check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunId {
    pub check: u64,
    pub number: u64,
}

/// A run has ended; `outcome` is `None` when we ended it ourselves.
pub(super) struct RunEnd {
    pub id: RunId,
    pub outcome: Option<Outcome>,
}

/// All that a run needs.
pub(super) struct Run {
    /// Made with the run: a runtime that is shut down drops runs that it never began.
    pub report: Report,
    pub check: Arc<dyn Check>,
    pub timeout: Duration,
    pub claim: Claim,
    /// When the run got its permit; empty while it waits for it.
    pub started: Arc<OnceLock<Instant>>,
    pub cancelled: CancellationToken,
    pub blocking: Handle,
}

impl Run {
    /// Runs the probe and reports how it ended, whatever the probe does.
    pub(super) async fn execute(self) {
        let mut report = self.report;
        let probed = async {
            let _permit = self.claim.acquire().await;
            let started = *self.started.get_or_init(Instant::now);
            let context = ProbeContext::new(self.timeout, self.cancelled.clone(), self.blocking);
            let probe = AssertUnwindSafe(self.check.probe(&context)).catch_unwind();
            let probed = timeout(self.timeout, probe).await;
            let took = started.elapsed();
            let (recording, phase) = context.take_recording();
            let result = match probed {
                // A probe that blocks its thread is polled to its end after the deadline.
                _ if took > self.timeout + HUNG_AFTER => Err(hung(took, self.timeout)),
                _ if took > self.timeout => Err(timed_out(self.timeout, phase)),
                Err(_) => Err(timed_out(self.timeout, phase)),
                Ok(Err(payload)) => Err(panicked(payload.as_ref())),
                Ok(Ok(result)) => result,
            };
            (result, recording)
        };
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => {}
            found = probed => report.found = Some(found),
        }
    }
}

fn timed_out(timeout: Duration, phase: Option<Phase>) -> Failure {
    let timeout = Period(timeout);
    let message = match phase {
        Some(phase) => format!("no answer within {timeout} (phase: {phase})"),
        None => format!("no answer within {timeout}"),
    };
    Failure::new(Reason::Timeout, message)
}

fn hung(took: Duration, timeout: Duration) -> Failure {
    let took = Period(Duration::from_secs(took.as_secs()));
    let timeout = Period(timeout);
    let message = format!("the run held its thread for {took}, its deadline was {timeout}");
    Failure::new(Reason::Hung, message)
}

/// Tells the scheduler how the run ended, also when a destructor of the probe panics.
pub(super) struct Report {
    id: RunId,
    started: Arc<OnceLock<Instant>>,
    ends: UnboundedSender<RunEnd>,
    /// What the run found; `None` until it has ended by itself.
    found: Option<(Result<Verdict, Failure>, Recording)>,
}

impl Report {
    /// The report of the run `id`, to be sent to `ends`.
    pub(super) fn new(
        id: RunId,
        started: &Arc<OnceLock<Instant>>,
        ends: &UnboundedSender<RunEnd>,
    ) -> Self {
        Self { id, started: started.clone(), ends: ends.clone(), found: None }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let torn_down = || {
            let failure = Failure::new(Reason::Panic, "the check panicked, see the log");
            thread::panicking().then(|| (Err(failure), Recording::default()))
        };
        let outcome = self.found.take().or_else(torn_down).map(|(result, recording)| {
            let now = Instant::now();
            let started = self.started.get().copied().unwrap_or(now);
            let duration = now.saturating_duration_since(started);
            Outcome::new(result, recording, started.into_std(), duration, SystemTime::now())
        });
        // Nobody listens any more once the engine has stopped.
        let _ = self.ends.send(RunEnd { id: self.id, outcome });
    }
}

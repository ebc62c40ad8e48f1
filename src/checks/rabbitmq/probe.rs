//! One run of a `rabbitmq` check.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::{
    broker::Broker,
    lane::RoundTrip,
    params::RabbitmqParams,
    queues::{CONSUMERS, CONSUMERS_THRESHOLD, Queues, READY, READY_THRESHOLD},
    refusal::of_round_trip,
    session::Session,
};
use crate::{
    check::{Check, ProbeContext, Target},
    outcome::{Failure, Phase, Reason, Verdict},
    reading::ReadingDef,
    wire,
};

const BLOCKED: ReadingDef = ReadingDef::gauge(
    "health_rabbitmq_blocked",
    "Whether the broker blocks publishers, as of the last background run.",
    &[],
);

/// Every family that a `rabbitmq` check can fill.
pub(super) const READINGS: [ReadingDef; 5] =
    [READY, CONSUMERS, READY_THRESHOLD, CONSUMERS_THRESHOLD, BLOCKED];

/// How long the broker may take to say farewell when the check is removed.
const FAREWELL: Duration = Duration::from_secs(5);

pub(super) struct Rabbitmq {
    params: RabbitmqParams,
    broker: Broker,
    /// The connection between runs. A run takes it out and puts it back when all went well, so
    /// that one which ends in any other way drops it.
    kept: Mutex<Option<Session>>,
    runtime: Handle,
}

impl Rabbitmq {
    pub(super) fn new(params: RabbitmqParams, broker: Broker, runtime: Handle) -> Self {
        Self { params, broker, kept: Mutex::default(), runtime }
    }

    fn take_kept(&self) -> Option<Session> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, session: Session) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    fn queues(&self) -> Queues<'_> {
        Queues { vhost: &self.broker.uri.vhost, queues: &self.params.queues }
    }
}

fn blocked(reason: &str, context: &ProbeContext) -> Verdict {
    context.read(&BLOCKED, &[], 1.0);
    let lacks = match (reason.contains("memory"), reason.contains("disk")) {
        (true, true) => "it is low on memory and disk space",
        (true, false) => "it is low on memory",
        (false, true) => "it is low on disk space",
        (false, false) => "it has raised an alarm",
    };
    Verdict::unhealthy(Reason::Alarm, format!("the broker blocks publishers: {lacks}"))
}

#[async_trait]
impl Check for Rabbitmq {
    fn target(&self) -> Option<&Target> {
        Some(&self.broker.target)
    }

    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        let queues = self.queues();
        queues.record_limits(context);
        let mut session = match self.take_kept().filter(Session::is_open) {
            Some(session) => session,
            None => self.broker.connect(context).await?,
        };
        if let Some(reason) = session.blocked() {
            return Ok(blocked(&reason, context));
        }
        context.phase(Phase::Query);
        let verdict = queues.look_at(&session.connection, context).await?;
        if !self.params.round_trip {
            self.keep(session);
            return Ok(verdict);
        }
        context.phase(Phase::RoundTrip);
        let ended = session.round_trip(&wire::nonce()).await.map_err(of_round_trip)?;
        let unhealthy = |message| Verdict::unhealthy(Reason::Assertion, message);
        let ended = match ended {
            RoundTrip::Done => {
                context.read(&BLOCKED, &[], 0.0);
                self.keep(session);
                Verdict::Healthy
            }
            RoundTrip::Blocked(reason) => blocked(&reason, context),
            RoundTrip::Refused => unhealthy("the broker did not take a message"),
            RoundTrip::Lost => unhealthy("a message that was published did not come back"),
        };
        // An alarm explains full queues better than they explain themselves.
        Ok(ended.and(verdict))
    }
}

impl Drop for Rabbitmq {
    fn drop(&mut self) {
        if let Some(session) = self.take_kept() {
            self.runtime.spawn(session.close(FAREWELL));
        }
    }
}

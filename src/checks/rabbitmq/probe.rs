//! One run of a `rabbitmq` check.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use lapin::{Connection, options::QueueDeclareOptions, types::FieldTable};
use tokio::runtime::Handle;

use super::{
    connection::{Opener, RoundTrip, Session},
    params::{QueueParams, RabbitmqParams},
    refusal::{of_operation, of_queue, of_round_trip},
};
use crate::{
    check::{Check, ProbeContext, Target},
    outcome::{Failure, Phase, Reason, Verdict},
    reading::ReadingDef,
    units::Limits,
    wire,
};

const READY: ReadingDef = ReadingDef::gauge(
    "health_queue_messages_ready",
    "Messages that wait for a consumer, as of the last background run.",
    &["vhost", "queue"],
);
const CONSUMERS: ReadingDef = ReadingDef::gauge(
    "health_queue_consumers",
    "Consumers of the queue, as of the last background run.",
    &["vhost", "queue"],
);
const READY_THRESHOLD: ReadingDef = ReadingDef::gauge(
    "health_queue_messages_ready_threshold",
    "Upper limits of the messages that wait for a consumer, as of the last background run.",
    &["vhost", "queue", "level"],
);
const CONSUMERS_THRESHOLD: ReadingDef = ReadingDef::gauge(
    "health_queue_consumers_threshold",
    "Lower limits of the consumers of the queue, as of the last background run.",
    &["vhost", "queue", "level"],
);
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
    opener: Opener,
    /// The connection between runs. A run takes it out and puts it back when all went well, so
    /// that one which ends in any other way drops it.
    kept: Mutex<Option<Session>>,
    runtime: Handle,
}

impl Rabbitmq {
    pub(super) fn new(params: RabbitmqParams, opener: Opener, runtime: Handle) -> Self {
        Self { params, opener, kept: Mutex::default(), runtime }
    }

    fn take_kept(&self) -> Option<Session> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, session: Session) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    fn vhost(&self) -> &str {
        &self.opener.uri.vhost
    }

    fn record_limits(&self, context: &ProbeContext) {
        let record = |reading: &ReadingDef, queue: &QueueParams, limits: &Option<Limits<u32>>| {
            for (level, limit) in limits.iter().flat_map(Limits::levels) {
                let labels = [self.vhost(), &queue.name, level.as_str()];
                context.read(reading, &labels, limit.into());
            }
        };
        for queue in &self.params.queues {
            record(&READY_THRESHOLD, queue, &queue.messages_ready);
            record(&CONSUMERS_THRESHOLD, queue, &queue.consumers);
        }
    }

    /// Looks at every queue. A queue that does not exist costs the channel, not the other queues.
    async fn look_at_queues(
        &self,
        connection: &Connection,
        context: &ProbeContext,
    ) -> Result<Verdict, Failure> {
        let mut verdict = Verdict::Healthy;
        let mut channel = connection.create_channel().await.map_err(of_operation)?;
        for queue in &self.params.queues {
            if !channel.status().connected() {
                channel = connection.create_channel().await.map_err(of_operation)?;
            }
            let passive = QueueDeclareOptions { passive: true, ..Default::default() };
            let name = queue.name.as_str();
            let found =
                match channel.queue_declare(name.into(), passive, FieldTable::default()).await {
                    Ok(found) => {
                        self.judge(queue, found.message_count(), found.consumer_count(), context)
                    }
                    Err(error) => of_queue(name, error)?,
                };
            verdict = verdict.and(found);
        }
        Ok(verdict)
    }

    fn judge(
        &self,
        queue: &QueueParams,
        ready: u32,
        consumers: u32,
        context: &ProbeContext,
    ) -> Verdict {
        let name = &queue.name;
        context.read(&READY, &[self.vhost(), name], ready.into());
        context.read(&CONSUMERS, &[self.vhost(), name], consumers.into());
        context.detail(format!("{name}.messages_ready"), ready);
        context.detail(format!("{name}.consumers"), consumers);
        let mut verdict = Verdict::Healthy;
        if let Some(limits) = &queue.messages_ready {
            let what = format!("messages ready in `{name}`");
            verdict = verdict.and(Verdict::above(&what, ready, limits, |count| count.to_string()));
        }
        if let Some(limits) = &queue.consumers {
            let what = format!("consumers of `{name}`");
            verdict =
                verdict.and(Verdict::below(&what, consumers, limits, |count| count.to_string()));
        }
        verdict
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
        Some(&self.opener.target)
    }

    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        self.record_limits(context);
        let mut session = match self.take_kept().filter(Session::is_open) {
            Some(session) => session,
            None => self.opener.open(context).await?,
        };
        if let Some(reason) = session.blocked() {
            return Ok(blocked(&reason, context));
        }
        context.phase(Phase::Query);
        let verdict = self.look_at_queues(&session.connection, context).await?;
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

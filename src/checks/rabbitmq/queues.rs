//! Looking at queues.

use lapin::{Connection, options::QueueDeclareOptions, types::FieldTable};

use super::{
    params::QueueParams,
    refusal::{of_operation, of_queue},
};
use crate::{
    check::ProbeContext,
    outcome::{Failure, Verdict},
    reading::ReadingDef,
    units::Limits,
};

pub(super) const READY: ReadingDef = ReadingDef::gauge(
    "health_queue_messages_ready",
    "Messages that wait for a consumer, as of the last background run.",
    &["vhost", "queue"],
);
pub(super) const CONSUMERS: ReadingDef = ReadingDef::gauge(
    "health_queue_consumers",
    "Consumers of the queue, as of the last background run.",
    &["vhost", "queue"],
);
pub(super) const READY_THRESHOLD: ReadingDef = ReadingDef::gauge(
    "health_queue_messages_ready_threshold",
    "Upper limits of the messages that wait for a consumer, as of the last background run.",
    &["vhost", "queue", "level"],
);
pub(super) const CONSUMERS_THRESHOLD: ReadingDef = ReadingDef::gauge(
    "health_queue_consumers_threshold",
    "Lower limits of the consumers of the queue, as of the last background run.",
    &["vhost", "queue", "level"],
);

/// The queues of a check, and the virtual host that they are in.
pub(super) struct Queues<'a> {
    pub(super) vhost: &'a str,
    pub(super) queues: &'a [QueueParams],
}

impl Queues<'_> {
    /// Exports the limits that are judged by.
    pub(super) fn record_limits(&self, context: &ProbeContext) {
        let record = |reading: &ReadingDef, queue: &QueueParams, limits: &Option<Limits<u32>>| {
            for (level, limit) in limits.iter().flat_map(Limits::levels) {
                let labels = [self.vhost, &queue.name, level.as_str()];
                context.read(reading, &labels, limit.into());
            }
        };
        for queue in self.queues {
            record(&READY_THRESHOLD, queue, &queue.messages_ready);
            record(&CONSUMERS_THRESHOLD, queue, &queue.consumers);
        }
    }

    /// Looks at every queue. A queue that does not exist costs the channel, not the other queues.
    pub(super) async fn look_at(
        &self,
        connection: &Connection,
        context: &ProbeContext,
    ) -> Result<Verdict, Failure> {
        let mut verdict = Verdict::Healthy;
        let mut channel = connection.create_channel().await.map_err(of_operation)?;
        for queue in self.queues {
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
        context.read(&READY, &[self.vhost, name], ready.into());
        context.read(&CONSUMERS, &[self.vhost, name], consumers.into());
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

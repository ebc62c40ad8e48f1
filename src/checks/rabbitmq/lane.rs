//! The way of the messages of round trips.

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, Consumer,
    options::{
        BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::{FieldTable, ShortString},
};

/// A queue that only this connection sees, which the broker names, and a consumer of it.
pub(super) struct Lane {
    channel: Channel,
    queue: ShortString,
    consumer: Consumer,
}

/// How a round trip ended.
pub(super) enum RoundTrip {
    /// The message came back, and the broker has confirmed it.
    Done,
    /// The broker has blocked us, for the reason it gives.
    Blocked(String),
    /// The broker did not take the message.
    Refused,
    /// The broker ended our consumer or deleted our queue.
    Lost,
}

impl Lane {
    pub(super) async fn open(connection: &Connection) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let queue = channel.queue_declare("".into(), own, FieldTable::default()).await?;
        let queue = queue.name().clone();
        let all = BasicConsumeOptions { no_ack: true, exclusive: true, ..Default::default() };
        let consumer =
            channel.basic_consume(queue.clone(), "".into(), all, FieldTable::default()).await?;
        Ok(Self { channel, queue, consumer })
    }

    /// Publishes a message and waits until it has come back and is confirmed.
    pub(super) async fn send(&mut self, nonce: &str) -> lapin::Result<RoundTrip> {
        let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
        let confirmation = self
            .channel
            .basic_publish(
                "".into(),
                self.queue.clone(),
                mandatory,
                nonce.as_bytes(),
                BasicProperties::default(),
            )
            .await?
            .await?;
        if confirmation.is_nack() {
            return Ok(RoundTrip::Refused);
        }
        if confirmation.take_message().is_some() {
            return Ok(RoundTrip::Lost);
        }
        while let Some(delivery) = self.consumer.next().await {
            if delivery?.data == nonce.as_bytes() {
                return Ok(RoundTrip::Done);
            }
        }
        Ok(RoundTrip::Lost)
    }
}

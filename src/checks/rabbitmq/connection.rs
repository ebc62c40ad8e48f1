//! The one connection that a check keeps between its runs.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, Stream, StreamExt};
use lapin::{
    AsyncTcpStream, BasicProperties, Channel, Connection, ConnectionProperties, Consumer, Event,
    options::{
        BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    },
    tcp::RustlsConnector,
    types::{FieldTable, ShortString},
    uri::AMQPUri,
};
use socket2::{SockRef, Socket};
use tokio::time::timeout;

use super::refusal::{of_login, of_operation};
use crate::{
    check::{ProbeContext, Target},
    outcome::{Failure, Phase, Reason},
    secret::SecretSource,
    wire::{
        Wire,
        stream::{TlsClient, connect_failure},
    },
};

/// Opens connections.
#[derive(Debug)]
pub(super) struct Opener {
    /// Where the broker is, and who logs in, without the password.
    pub(super) uri: AMQPUri,
    pub(super) password: SecretSource,
    pub(super) wire: Arc<Wire>,
    /// `None` speaks plain text.
    pub(super) tls: Option<TlsClient>,
    /// What the broker is called.
    pub(super) target: Target,
}

/// A connection to the broker. Dropping it cuts it off at once, without a farewell: nothing then
/// waits for a broker that does not listen.
pub(super) struct Session {
    pub(super) connection: Connection,
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    lane: Option<Lane>,
    /// Last, so that it is closed last.
    plug: Plug,
}

/// Shuts the socket when it is dropped.
///
/// lapin reads and writes on a thread of its own, which ends with its socket and not before: when
/// a broker keeps silent, or has blocked us so that not even a farewell may be written, dropping
/// lapin's connection does not end it.
struct Plug(Socket);

impl Drop for Plug {
    fn drop(&mut self) {
        // The other end may have been faster.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// The way of the messages of round trips: a queue that only this connection sees, which the
/// broker names, and a consumer of it.
struct Lane {
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

impl Opener {
    /// Connects and logs in.
    pub(super) async fn open(&self, context: &ProbeContext) -> Result<Session, Failure> {
        let mut uri = self.uri.clone();
        let password = self.password.read().map_err(|error| {
            Failure::new(Reason::Config, "`password_file` can no longer be read").with_source(error)
        })?;
        password.expose().clone_into(&mut uri.authority.userinfo.password);
        let runtime = lapin::runtime::default_runtime().map_err(of_operation)?;
        let target = (&*self.uri.authority.host, self.uri.authority.port);
        let open = |address: SocketAddr| AsyncTcpStream::connect(&runtime, address);
        let phase = |phase| context.phase(phase);
        let stream = self.wire.dial(target, context.deadline(), phase, open).await?;
        let AsyncTcpStream::Plain(tcp) = &stream else {
            return Err(Failure::new(Reason::Internal, "the connection has TLS already"));
        };
        let plug = Plug(SockRef::from(tcp.get_ref()).try_clone().map_err(connect_failure)?);
        let stream = match &self.tls {
            None => stream,
            Some(tls) => {
                context.phase(Phase::Tls);
                let connector = RustlsConnector::from(tls.config()?);
                let name = tls.server_name().to_str().into_owned();
                stream.into_rustls(&connector, &name).await.map_err(|error| tls.failure(error))?
            }
        };
        context.phase(Phase::Auth);
        // lapin would connect on its own thread, where no deadline reaches it.
        let stream = Mutex::new(Some(stream));
        let hand_over = async move |_, _| {
            let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            Ok(stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?)
        };
        let properties =
            ConnectionProperties::default().with_connection_name("health-exporter".into());
        let connection =
            Connection::connector(uri, runtime, hand_over, properties).await.map_err(of_login)?;
        let events = Box::pin(connection.events_listener());
        Ok(Session { connection, events, lane: None, plug })
    }
}

impl Session {
    /// Whether the connection is worth asking again.
    pub(super) fn is_open(&self) -> bool {
        self.connection.status().connected()
    }

    /// Why the broker has blocked us since we last looked, if it has.
    pub(super) fn blocked(&mut self) -> Option<String> {
        let mut reason = None;
        while let Some(Some(event)) = self.events.next().now_or_never() {
            match event {
                Event::ConnectionBlocked(told) => reason = Some(told),
                Event::ConnectionUnblocked => reason = None,
                _ => {}
            }
        }
        reason
    }

    /// Publishes a message and waits until it has come back and is confirmed.
    ///
    /// A broker in need says so only to those who publish, and reads no more from them; so it is
    /// what it says that is awaited as well, never the confirmation alone.
    pub(super) async fn round_trip(&mut self, nonce: &str) -> lapin::Result<RoundTrip> {
        let lane = match self.lane.take() {
            Some(lane) => lane,
            None => Lane::open(&self.connection).await?,
        };
        let lane = self.lane.insert(lane);
        let ended = tokio::select! {
            biased;
            reason = blocked(&mut self.events) => RoundTrip::Blocked(reason),
            ended = lane.send(nonce) => ended?,
        };
        // The broker may have confirmed the message before it said that it is the last.
        Ok(match (ended, self.blocked()) {
            (RoundTrip::Done, Some(reason)) => RoundTrip::Blocked(reason),
            (ended, _) => ended,
        })
    }

    /// Says farewell, for as long as that may take at most.
    pub(super) async fn close(self, limit: Duration) {
        // What the broker thinks of it is of no interest any more.
        let _ = timeout(limit, self.connection.close(200, "OK".into())).await;
        drop(self.plug);
    }
}

async fn blocked(events: &mut (impl Stream<Item = Event> + Unpin)) -> String {
    while let Some(event) = events.next().await {
        if let Event::ConnectionBlocked(reason) = event {
            return reason;
        }
    }
    std::future::pending().await
}

impl Lane {
    async fn open(connection: &Connection) -> lapin::Result<Self> {
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

    async fn send(&mut self, nonce: &str) -> lapin::Result<RoundTrip> {
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

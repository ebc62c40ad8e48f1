//! The one connection that a check keeps between its runs.

use std::{net::Shutdown, pin::Pin, time::Duration};

use futures_util::{FutureExt, Stream, StreamExt};
use lapin::{Connection, Event};
use socket2::Socket;
use tokio::time::timeout;

use super::lane::{Lane, RoundTrip};

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
pub(super) struct Plug(pub(super) Socket);

impl Drop for Plug {
    fn drop(&mut self) {
        // The other end may have been faster.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Session {
    pub(super) fn new(connection: Connection, plug: Plug) -> Self {
        let events = Box::pin(connection.events_listener());
        Self { connection, events, lane: None, plug }
    }

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

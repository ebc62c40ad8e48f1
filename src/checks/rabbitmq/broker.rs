//! Where a broker is, and how a conversation with it begins.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use lapin::{AsyncTcpStream, Connection, ConnectionProperties, tcp::RustlsConnector, uri::AMQPUri};
use socket2::SockRef;

use super::{
    refusal::{of_login, of_operation},
    session::{Plug, Session},
};
use crate::{
    check::{ProbeContext, Target},
    outcome::{Failure, Phase, Reason},
    secret::SecretSource,
    wire::{
        Wire,
        stream::{TlsClient, connect_failure},
    },
};

/// A broker that can be connected to.
pub(super) struct Broker {
    /// Where the broker is, and who logs in, without the password.
    pub(super) uri: AMQPUri,
    pub(super) password: SecretSource,
    pub(super) wire: Arc<Wire>,
    /// `None` speaks plain text.
    pub(super) tls: Option<TlsClient>,
    /// What the broker is called.
    pub(super) target: Target,
}

impl Broker {
    /// Connects and logs in.
    pub(super) async fn connect(&self, context: &ProbeContext) -> Result<Session, Failure> {
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
        Ok(Session::new(connection, plug))
    }
}

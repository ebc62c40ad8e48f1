//! Where a server is, and how a conversation with it begins.

use std::{io, net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc};

use deadpool_redis::redis::{self, RedisError, Value, aio::AsyncStream};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::refusal;
use crate::{
    check::{ProbeContext, Target},
    outcome::{Failure, Phase, Reason},
    secret::{Secret, SecretSource},
    wire::{
        Wire,
        stream::{TlsClient, connect_failure},
    },
};

/// Longer answers to a login are none of Redis.
const LONGEST_LINE: u64 = 4_096;

/// A connection that is ready for commands.
pub(super) type Socket = Pin<Box<dyn AsyncStream + Send>>;

/// Where a server listens.
pub(super) enum Address {
    /// A port, with TLS or without.
    Tcp { host: String, port: u16, tls: Option<TlsClient> },
    /// A socket on this machine.
    Unix(PathBuf),
}

/// Who logs in.
pub(super) struct Login {
    /// `None` is Redis' user `default`.
    pub(super) user: Option<String>,
    /// `None` logs in without a password, or not at all when there is no user either.
    pub(super) password: Option<SecretSource>,
}

/// A server that can be connected to.
pub(super) struct Server {
    pub(super) wire: Arc<Wire>,
    pub(super) address: Address,
    pub(super) login: Login,
    pub(super) database: u32,
    pub(super) target: Target,
}

impl Server {
    /// Connects, logs in and selects the database.
    pub(super) async fn connect(&self, context: &ProbeContext) -> Result<Socket, Failure> {
        let mut socket = self.open(context).await?;
        context.phase(Phase::Auth);
        self.set_up(&mut socket).await?;
        Ok(socket)
    }

    async fn open(&self, context: &ProbeContext) -> Result<Socket, Failure> {
        match &self.address {
            Address::Tcp { host, port, tls } => {
                let (target, deadline) = ((&**host, *port), context.deadline());
                let phase = |phase| context.phase(phase);
                let stream = self.wire.dial(target, deadline, phase, connect_without_delay).await?;
                let Some(tls) = tls else { return Ok(Box::pin(stream)) };
                context.phase(Phase::Tls);
                let connector = TlsConnector::from(tls.config()?);
                let stream = connector.connect(tls.server_name(), stream).await;
                Ok(Box::pin(stream.map_err(|error| tls.failure(error))?))
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                context.phase(Phase::Connect);
                let stream = tokio::net::UnixStream::connect(path).await;
                Ok(Box::pin(stream.map_err(connect_failure)?))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(connect_failure(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Logs in and selects the database.
    ///
    /// This is said here rather than by the driver, which does not listen before it asks: what a
    /// server says that shuts its door at once, at its limit of clients for instance, is lost to
    /// it. It also takes every refusal of a login for a wrong password.
    async fn set_up(&self, socket: &mut Socket) -> Result<(), Failure> {
        let password = self.login.password.as_ref().map(SecretSource::read).transpose();
        let password = password.map_err(|error| {
            Failure::new(Reason::Config, "`password_file` can no longer be read").with_source(error)
        })?;
        let mut commands = redis::pipe();
        let mut judges: Vec<fn(RedisError) -> Option<Failure>> = Vec::new();
        if password.is_some() || self.login.user.is_some() {
            let login = commands.cmd("AUTH").arg(self.login.user.as_deref());
            login.arg(password.as_ref().map_or("", Secret::expose));
            judges.push(|error| Some(refusal::of_login(error)));
        }
        if self.database != 0 {
            commands.cmd("SELECT").arg(self.database);
            judges.push(|error| Some(refusal::of_database(error)));
        }
        // Shown by CLIENT LIST; a user without the right to it is none the worse for it.
        commands.cmd("CLIENT").arg("SETNAME").arg("health-exporter");
        judges.push(refusal::of_greeting);
        // What the server has said before it closed the connection is still to be read.
        let sent = socket.write_all(&commands.get_packed_pipeline()).await;
        let mut answers = BufReader::new(socket);
        for judge in judges {
            let mut line = Vec::new();
            let read = (&mut answers).take(LONGEST_LINE).read_until(b'\n', &mut line).await;
            match (read, &sent) {
                (Ok(1..), _) => {}
                (Ok(0), Ok(())) => {
                    return Err(connect_failure(io::ErrorKind::UnexpectedEof.into()));
                }
                (Err(error), Ok(())) => return Err(connect_failure(error)),
                (_, Err(error)) => return Err(connect_failure(error.kind().into())),
            }
            match redis::parse_redis_value(&line).map_err(refusal::broken)? {
                Value::ServerError(error) => judge(error.into()).map_or(Ok(()), Err)?,
                Value::Okay => {}
                _ => return Err(refusal::stranger()),
            }
        }
        Ok(())
    }
}

async fn connect_without_delay(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

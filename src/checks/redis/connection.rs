//! The one connection that a check keeps between its runs.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deadpool::managed::{self, Metrics, PoolError, RecycleError, RecycleResult, TimeoutType};
use deadpool_redis::{
    PoolConfig, Runtime, Timeouts,
    redis::{
        self, AsyncConnectionConfig, RedisConnectionInfo, RedisError, Value,
        aio::{AsyncStream, MultiplexedConnection},
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

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

/// The driver's own limits stand this far behind the deadline of the run, which ends the run
/// first and knows in which phase it was.
const GRACE: Duration = Duration::from_secs(1);

/// Longer answers to a login are none of Redis.
const LONGEST_LINE: u64 = 4_096;

type Socket = Pin<Box<dyn AsyncStream + Send>>;

/// Where a server listens.
#[derive(Debug)]
pub(super) enum Address {
    /// A port, with TLS or without.
    Tcp { host: String, port: u16, tls: Option<TlsClient> },
    /// A socket on this machine.
    Unix(PathBuf),
}

/// Who logs in.
#[derive(Debug)]
pub(super) struct Login {
    /// `None` is Redis' user `default`.
    pub(super) user: Option<String>,
    /// `None` logs in without a password, or not at all when there is no user either.
    pub(super) password: Option<SecretSource>,
}

/// Opens connections for the pool.
///
/// The manager of deadpool-redis leaves TLS to redis, which then takes its cryptography from the
/// whole process, reads the machine's certificates at every connect and knows no server name.
pub(super) struct Opener {
    wire: Arc<Wire>,
    address: Address,
    login: Login,
    database: u32,
    target: Target,
    /// The run that asks for a connection: a check has one at a time.
    run: Mutex<Option<ProbeContext>>,
}

/// An open connection. Its socket closes when it is dropped, or when an exchange is broken off.
pub(super) struct Connection {
    commands: MultiplexedConnection,
    driver: AbortOnDropHandle<()>,
}

impl Connection {
    /// The answers to commands that are sent together, each on its own.
    pub(super) async fn ask(
        &mut self,
        commands: &mut redis::Pipeline,
        time_left: Duration,
    ) -> Result<Vec<Result<Value, RedisError>>, Failure> {
        self.commands.set_response_timeout(time_left + GRACE);
        let commands = commands.ignore_errors();
        let mut exchange = Exchange { driver: &self.driver, complete: false };
        let answers = commands.query_async(&mut self.commands).await.map_err(refusal::broken)?;
        exchange.complete = true;
        Ok(answers)
    }
}

/// An exchange that the end of the run or an error cuts short: who used the connection after it
/// might be given the answers to somebody else's commands, so nobody can.
struct Exchange<'a> {
    driver: &'a AbortOnDropHandle<()>,
    complete: bool,
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.complete {
            self.driver.abort();
        }
    }
}

impl Opener {
    pub(super) fn new(
        wire: Arc<Wire>,
        address: Address,
        login: Login,
        database: u32,
        target: Target,
    ) -> Self {
        Self { wire, address, login, database, target, run: Mutex::default() }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// A pool of one: a check never has more than one run under way.
    pub(super) fn into_pool(self) -> Result<Pool, managed::BuildError> {
        let pool = managed::Pool::builder(self).config(PoolConfig::new(1));
        pool.runtime(Runtime::Tokio1).build()
    }

    fn set_run(&self, run: Option<ProbeContext>) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = run;
    }

    fn run(&self) -> Result<ProbeContext, Failure> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner).clone();
        run.ok_or_else(|| Failure::new(Reason::Internal, "a connection was wanted outside a run"))
    }

    async fn connect(&self, context: &ProbeContext) -> Result<Socket, Failure> {
        match &self.address {
            Address::Tcp { host, port, tls } => {
                let phase = |phase| context.phase(phase);
                let target = (&**host, *port);
                let deadline = context.deadline();
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

impl managed::Manager for Opener {
    type Type = Connection;
    type Error = Failure;

    async fn create(&self) -> Result<Connection, Failure> {
        let context = self.run()?;
        let mut socket = self.connect(&context).await?;
        context.phase(Phase::Auth);
        self.set_up(&mut socket).await?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(context.remaining() + GRACE))
            .set_response_timeout(Some(context.remaining() + GRACE));
        let nothing_to_set_up = RedisConnectionInfo::default().set_skip_set_lib_name();
        let (commands, driver) =
            MultiplexedConnection::new_with_config(&nothing_to_set_up, socket, config)
                .await
                .map_err(refusal::broken)?;
        Ok(Connection { commands, driver: AbortOnDropHandle::new(tokio::spawn(driver)) })
    }

    /// Any answer will do: what it means is for the run to find out.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Failure> {
        let time_left = self.run().map_err(RecycleError::Backend)?.remaining();
        let answer = connection.ask(redis::pipe().cmd("PING"), time_left).await;
        answer.map(|_| ()).map_err(RecycleError::Backend)
    }
}

/// The pool of a check.
pub(super) type Pool = managed::Pool<Opener>;

/// The connection that was kept, if it still works, or else a new one.
pub(super) async fn take(
    pool: &Pool,
    context: &ProbeContext,
) -> Result<managed::Object<Opener>, Failure> {
    pool.manager().set_run(Some(context.clone()));
    let _end = EndOfRun(pool.manager());
    let time_left = context.remaining();
    let timeouts = Timeouts {
        wait: Some(time_left + GRACE),
        create: Some(time_left + GRACE),
        // A connection that was cut off without a word must leave time to open another.
        recycle: Some(time_left / 4),
    };
    context.phase(Phase::PoolWait);
    pool.timeout_get(&timeouts).await.map_err(|error| match error {
        PoolError::Backend(failure) => failure,
        PoolError::Timeout(TimeoutType::Wait) => {
            Failure::new(Reason::Pool, "the connection is still in use by another run")
        }
        PoolError::Timeout(_) => Failure::new(Reason::Timeout, "no connection in time"),
        _ => Failure::new(Reason::Internal, "the pool is closed"),
    })
}

/// A run must not be held on to after its end.
struct EndOfRun<'a>(&'a Opener);

impl Drop for EndOfRun<'_> {
    fn drop(&mut self) {
        self.0.set_run(None);
    }
}

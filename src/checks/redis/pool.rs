//! The one connection that a check keeps between its runs.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use deadpool::managed::{self, Metrics, PoolError, RecycleError, RecycleResult, TimeoutType};
use deadpool_redis::{
    PoolConfig, Runtime, Timeouts,
    redis::{
        self, AsyncConnectionConfig, RedisConnectionInfo, RedisError, Value,
        aio::MultiplexedConnection,
    },
};
use tokio_util::task::AbortOnDropHandle;

use super::{refusal, server::Server};
use crate::{
    check::ProbeContext,
    outcome::{Failure, Phase, Reason},
};

/// The driver's own limits stand this far behind the deadline of the run, which ends the run
/// first and knows in which phase it was.
const GRACE: Duration = Duration::from_secs(1);

/// The pool of a check.
pub(super) type Pool = managed::Pool<Manager>;

/// A pool of one: a check never has more than one run under way.
pub(super) fn pool_of_one(server: Server) -> Result<Pool, managed::BuildError> {
    let manager = Manager { server, run: Mutex::default() };
    managed::Pool::builder(manager).config(PoolConfig::new(1)).runtime(Runtime::Tokio1).build()
}

/// The connection that was kept, if it still works, or else a new one.
pub(super) async fn take(
    pool: &Pool,
    context: &ProbeContext,
) -> Result<managed::Object<Manager>, Failure> {
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

/// Opens connections for the pool.
///
/// The manager of deadpool-redis leaves TLS to redis, which then takes its cryptography from the
/// whole process, reads the machine's certificates at every connect and knows no server name.
pub(super) struct Manager {
    pub(super) server: Server,
    /// The run that asks for a connection: a check has one at a time.
    run: Mutex<Option<ProbeContext>>,
}

impl Manager {
    fn set_run(&self, run: Option<ProbeContext>) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = run;
    }

    fn run(&self) -> Result<ProbeContext, Failure> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner).clone();
        run.ok_or_else(|| Failure::new(Reason::Internal, "a connection was wanted outside a run"))
    }
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = Failure;

    async fn create(&self) -> Result<Connection, Failure> {
        let context = self.run()?;
        let socket = self.server.connect(&context).await?;
        let limit = Some(context.remaining() + GRACE);
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(limit).set_response_timeout(limit);
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

/// A run must not be held on to after its end.
struct EndOfRun<'a>(&'a Manager);

impl Drop for EndOfRun<'_> {
    fn drop(&mut self) {
        self.0.set_run(None);
    }
}

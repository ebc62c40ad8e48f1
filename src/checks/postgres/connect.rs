//! Opening a connection, and borrowing it from the pool.

use std::{
    future::poll_fn,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_postgres::{
    BuildError, Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use futures_util::future::BoxFuture;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{
    Client, Config, Error, NoTls, Socket,
    config::Host,
    tls::{MakeTlsConnect, TlsConnect},
};

use super::{
    failure::{self, Step},
    tls::{Tls, Watched},
};
use crate::{
    check::ProbeContext,
    outcome::{Failure, Phase, Reason},
    secret::SecretSource,
    wire::Wire,
};

tokio::task_local! {
    /// The pool stands between a run and the connection that is opened for it.
    static LOGIN: Arc<Login>;
}

/// What a run and the opening of its connection tell each other.
struct Login {
    context: ProbeContext,
    tls_required: bool,
    progress: Mutex<Progress>,
}

/// How far the opening of a connection came, and what it lacked.
struct Progress {
    step: Step,
    no_password: Option<&'static str>,
    unresolved: Option<Arc<io::Error>>,
}

impl Login {
    fn new(context: ProbeContext, tls_required: bool) -> Self {
        let progress = Progress { step: Step::Connecting, no_password: None, unresolved: None };
        Self { context, tls_required, progress: Mutex::new(progress) }
    }

    fn reach(&self, step: Step) {
        self.context.phase(match step {
            Step::Connecting => Phase::Connect,
            // Whether a server that need not speak TLS will is known only once it has answered.
            Step::Connected if !self.tls_required => Phase::Auth,
            Step::Connected | Step::Handshake => Phase::Tls,
            Step::Encrypted => Phase::Auth,
        });
        self.progress().step = step;
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, error: Error) -> Failure {
        let mut progress = self.progress();
        if let Some(unresolved) = progress.unresolved.take() {
            return Failure::new(Reason::Dns, "the name of the server cannot be resolved")
                .with_source(unresolved);
        }
        let Progress { step, no_password, .. } = *progress;
        failure::while_connecting(error, step, self.tls_required, no_password)
    }
}

/// A pool of one connection.
pub(super) fn pool(config: Config, connector: Connector) -> Result<Pool, BuildError> {
    let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    // The other side may be gone without a word since the last run. The pool has a method for
    // this as well, but that writes what the server says into our log.
    let verify = Hook::async_fn(|connection, _| {
        // A dead connection has to leave time for a new one.
        let within = LOGIN.with(|login| login.context.remaining()) / 3;
        Box::pin(async move {
            match timeout(within, connection.simple_query("")).await {
                Ok(Ok(_)) => Ok(()),
                _ => Err(HookError::message("the connection is dead")),
            }
        })
    });
    Pool::builder(Manager::from_connect(config, connector, manager_config))
        .max_size(1)
        .runtime(Runtime::Tokio1)
        .pre_recycle(verify)
        .build()
}

/// Borrows the connection of the pool, or has it opened.
pub(super) async fn borrow(
    pool: &Pool,
    context: &ProbeContext,
    tls_required: bool,
) -> Result<Object, Failure> {
    let login = Arc::new(Login::new(context.clone(), tls_required));
    context.phase(Phase::PoolWait);
    let remaining = context.remaining();
    let timeouts = Timeouts {
        wait: Some(remaining / 2),
        // The engine ends the run before this and tells in which phase it was.
        create: Some(remaining + Duration::from_secs(1)),
        recycle: Some(remaining),
    };
    let borrowed = LOGIN.scope(login.clone(), pool.timeout_get(&timeouts)).await;
    borrowed.map_err(|error| match error {
        PoolError::Backend(error) => login.failure(error),
        PoolError::Timeout(TimeoutType::Wait) => {
            Failure::new(Reason::Pool, "an earlier run still holds the connection of the check")
        }
        PoolError::Timeout(_) => Failure::new(Reason::Timeout, "the server does not answer"),
        other => other.into(),
    })
}

/// Opens connections for the pool.
pub(super) struct Connector {
    /// Where to.
    pub(super) host: Host,
    /// Read anew for each connection.
    pub(super) password: Option<SecretSource>,
    /// How it is encrypted, if at all.
    pub(super) tls: Option<Tls>,
    /// Finds the addresses of the host.
    pub(super) wire: Arc<Wire>,
}

impl Connector {
    /// Tells the driver where to connect to; without an address it gives up by itself.
    async fn aim(&self, config: &mut Config, login: &Login) {
        match &self.host {
            #[cfg(unix)]
            Host::Unix(folder) => _ = config.host_path(folder),
            Host::Tcp(name) => match self.addresses(name, login).await {
                Ok(addresses) => {
                    for address in addresses.iter() {
                        config.host(name).hostaddr(*address);
                    }
                    // One that never answers has to leave time for the next.
                    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
                    config.connect_timeout(login.context.remaining() / count);
                }
                Err(error) => {
                    login.progress().unresolved = Some(error);
                    return;
                }
            },
        }
        login.reach(Step::Connecting);
    }

    async fn addresses(&self, name: &str, login: &Login) -> Result<Arc<[IpAddr]>, Arc<io::Error>> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(Arc::from([address]));
        }
        login.context.phase(Phase::Resolve);
        let found = self.wire.resolver().lookup(name).await?;
        if found.is_empty() { Err(Arc::new(io::Error::other("no address"))) } else { Ok(found) }
    }

    fn authenticate(&self, config: &mut Config, login: &Login) {
        match self.password.as_ref().map(SecretSource::read) {
            Some(Ok(password)) => _ = config.password(password.expose()),
            Some(Err(_)) => {
                login.progress().no_password = Some("the password file cannot be read");
            }
            None if config.get_password().is_none() => {
                let message = "the server asks for a password and none is configured";
                login.progress().no_password = Some(message);
            }
            None => {}
        }
    }
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let mut config = config.clone();
        Box::pin(async move {
            let login = LOGIN.with(Arc::clone);
            self.aim(&mut config, &login).await;
            self.authenticate(&mut config, &login);
            match &self.tls {
                None => open(&config, NoTls, None, login).await,
                Some(tls) => open(&config, tls.current(), tls.server_name(), login).await,
            }
        })
    }
}

async fn open<T>(
    config: &Config,
    tls: T,
    server_name: Option<&str>,
    login: Arc<Login>,
) -> Result<(Client, JoinHandle<()>), Error>
where
    T: MakeTlsConnect<
            Socket,
            Stream: Send + 'static,
            TlsConnect: TlsConnect<Socket, Future: Send + 'static> + Send,
        >,
{
    let watched = Watched::new(tls, server_name, Arc::new(move |step| login.reach(step)));
    let (client, mut connection) = config.connect(watched).await?;
    // Awaiting the connection as a whole would log what the server has to say. What ends it is told
    // to the statement that waits for an answer.
    let task = tokio::spawn(async move {
        while let Some(Ok(_)) = poll_fn(|context| connection.poll_message(context)).await {}
    });
    Ok((client, task))
}

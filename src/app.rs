//! The whole program: from a configuration to a server that answers until it is told to stop.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use actix_web::{App, HttpServer, middleware::NormalizePath};
use tokio_util::sync::CancellationToken;

use crate::{
    checks::KINDS,
    config::{self, Config, Draft, ShowDetails},
    engine::Settings,
    exporter::{BuildError, HealthExporter, RegisterError},
    job::Job,
    metrics::unix_seconds,
    node::Problem,
};

/// Why the program did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is wrong; nothing was bound.
    #[error("the configuration has {} problem(s)", .0.len())]
    Configuration(Vec<Problem>),
    /// The address to listen on is no address.
    #[error("cannot listen on `{0}`: expected an address such as 127.0.0.1:10115 or [::]:10115")]
    Address(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; --listen chooses another address")]
    Bind {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The exporter could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A check could not be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The system refused a thread or a socket.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// When to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Stop in good order: first say that we are not ready, then wait, then end.
    pub drain: CancellationToken,
    /// Do not wait any longer.
    pub hurry: CancellationToken,
}

/// Checks and settings, validated, before anything is started.
pub struct Prepared {
    /// The exporter with every check registered.
    pub health: HealthExporter,
    /// The checks, for those who want to know about their load.
    pub jobs: Vec<Job>,
    /// The sections of the configuration.
    pub config: Config,
}

/// A bound server with its checks.
pub struct Application {
    listener: TcpListener,
    address: SocketAddr,
    health: HealthExporter,
    drain_delay: Duration,
}

/// Requests that are under way get this long to end.
const GRACEFUL_STOP_SECONDS: u64 = 10;
/// The server gets this long to end when there is a hurry.
const HURRIED_STOP: Duration = Duration::from_secs(1);
/// Reading snapshots is all that they do.
const WEB_WORKERS: usize = 2;

impl Prepared {
    /// Validates the configuration at `path` and makes what it describes; `listen` overrules the
    /// address that it says.
    ///
    /// # Errors
    /// Every problem of the configuration, or what kept the exporter from being made.
    pub fn from_path(path: &Path, listen: Option<&str>) -> Result<Self, StartError> {
        let mut draft = Draft::read(path, &environment).map_err(StartError::Configuration)?;
        if let Some(listen) = listen {
            listen.clone_into(&mut draft.config.server.listen);
        }
        Self::from_draft(draft)
    }

    /// The built-in configuration, which also watches the exporter itself at `address`.
    ///
    /// # Errors
    /// What kept the exporter from being made.
    pub fn built_in(address: Option<SocketAddr>) -> Result<Self, StartError> {
        let own = address.map(|address| loopback(address).to_string());
        let lookup = |name: &str| own.clone().filter(|_| name == config::SELF_VARIABLE);
        let mut texts = vec![("built-in".to_owned(), config::DEFAULT.to_owned())];
        if address.is_some() {
            texts.push(("built-in".to_owned(), config::DEFAULT_SELF.to_owned()));
        }
        let mut draft = Draft::parse(&texts, &lookup).map_err(StartError::Configuration)?;
        if let Some(address) = address {
            draft.config.server.listen = address.to_string();
        }
        Self::from_draft(draft)
    }

    /// One `http` check of a URL.
    ///
    /// # Errors
    /// The URL is none that can be asked.
    pub fn of_url(url: &str) -> Result<Self, StartError> {
        let quoted = url.replace('\'', "''").replace('$', "$$");
        let text = format!("checks: [{{name: probe, http: {{url: '{quoted}'}}}}]");
        let texts = [("the command line".to_owned(), text)];
        Self::from_draft(Draft::parse(&texts, &|_| None).map_err(StartError::Configuration)?)
    }

    fn from_draft(draft: Draft) -> Result<Self, StartError> {
        let config = draft.config.clone();
        let defaults = Settings::default();
        let engine = &config.engine;
        let settings = Settings {
            max_concurrency: engine.max_concurrency.unwrap_or(defaults.max_concurrency),
            max_concurrency_per_host: engine.max_concurrency_per_host,
            worker_threads: engine.worker_threads.unwrap_or(defaults.worker_threads),
            startup_deadline: engine.startup_deadline.0,
            max_series: config.metrics.max_series,
        };
        let service = &config.service;
        let name = service.name.clone().unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
        let version =
            service.version.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
        let on_loopback =
            resolve(&config.server.listen).is_ok_and(|address| address.ip().is_loopback());
        let usual = if on_loopback { ShowDetails::Full } else { ShowDetails::Names };
        let mut builder = HealthExporter::builder().service(name, version);
        if let Some(instance) = &service.instance {
            builder = builder.instance(instance);
        }
        let health = builder
            .engine(settings)
            .readiness(config.readiness.clone())
            .detail(config.metrics.detail)
            .show_details(config.server.show_details.unwrap_or(usual))
            .build()?;
        let loaded = draft.finish(KINDS, health.shared()).map_err(StartError::Configuration)?;
        for job in &loaded.jobs {
            health.add(job.clone())?;
        }
        health.own_metrics().configuration_loaded(&config.hash, unix_seconds(SystemTime::now()));
        Ok(Self { health, jobs: loaded.jobs, config: loaded.config })
    }
}

impl Application {
    /// Validates the configuration, without one takes the built-in one, and binds.
    ///
    /// # Errors
    /// See [`StartError`]; when there is one, nothing is left behind.
    pub fn build(path: Option<PathBuf>, listen: Option<&str>) -> Result<Self, StartError> {
        if let Some(path) = path {
            let prepared = Prepared::from_path(&path, listen)?;
            let listener = bind(&prepared.config.server.listen)?;
            Self::new(listener, prepared)
        } else {
            let listener = bind(listen.unwrap_or(config::DEFAULT_LISTEN))?;
            let prepared = Prepared::built_in(Some(listener.local_addr()?))?;
            Self::new(listener, prepared)
        }
    }

    fn new(listener: TcpListener, prepared: Prepared) -> Result<Self, StartError> {
        let address = listener.local_addr()?;
        let drain_delay = prepared.config.engine.drain_delay.0;
        Ok(Self { listener, address, health: prepared.health, drain_delay })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until it is told to stop, then stops in good order.
    ///
    /// # Errors
    /// The server or the engine could not be started.
    pub async fn run_until(self, shutdown: Shutdown) -> io::Result<()> {
        let running = self.health.start()?;
        let routes = crate::web::standalone(self.health.site());
        // `/health/` is `/health`; a redirect would count as healthy for some who ask.
        let app = move || App::new().wrap(NormalizePath::trim()).configure(routes.clone());
        let server = HttpServer::new(app)
            .workers(WEB_WORKERS)
            .shutdown_timeout(GRACEFUL_STOP_SECONDS)
            .disable_signals()
            .listen(self.listener)?
            .run();
        let server_handle = server.handle();
        tracing::info!(address = %self.address, "listening");
        let serving = tokio::spawn(server);
        tokio::pin!(serving);
        tokio::select! {
            () = shutdown.drain.cancelled() => {}
            () = shutdown.hurry.cancelled() => {}
            ended = &mut serving => {
                running.stop().await;
                return ended.map_err(io::Error::other)?;
            }
        }
        self.health.drain();
        let delay = if shutdown.hurry.is_cancelled() { Duration::ZERO } else { self.drain_delay };
        tracing::info!(delay_seconds = delay.as_secs_f64(), "draining");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = shutdown.hurry.cancelled() => {}
        }
        tokio::select! {
            biased;
            () = shutdown.hurry.cancelled() => {
                // A graceful stop that is under way cannot be cut short, only left behind.
                let _ = tokio::time::timeout(HURRIED_STOP, server_handle.stop(false)).await;
            }
            // The call alone tells the server to stop, so it waits for its turn in a block.
            () = async { server_handle.stop(true).await } => {}
        }
        running.stop().await;
        tracing::info!("stopped");
        Ok(())
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn resolve(listen: &str) -> Result<SocketAddr, StartError> {
    let address = listen.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    address.ok_or_else(|| StartError::Address(listen.to_owned()))
}

fn bind(listen: &str) -> Result<TcpListener, StartError> {
    let address = resolve(listen)?;
    TcpListener::bind(address)
        .map_err(|source| StartError::Bind { address: listen.to_owned(), source })
}

/// The address at which this machine reaches a socket that is bound to any address.
fn loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    SocketAddr::new(ip, address.port())
}

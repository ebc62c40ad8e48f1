//! Settings of an exporter before it exists.

use std::{
    io,
    sync::{Arc, Mutex},
};

use prometheus::Registry;
use tokio::runtime::Handle;

use super::{HealthExporter, Inner, Life};
use crate::{
    check::Shared,
    config::{Detail, Readiness, ReadinessPolicy, ShowDetails},
    engine::{Settings, Threads, clocks},
    lag::LagMeter,
    metrics::Metrics,
    store::Store,
    web::{Service, Site},
};

/// Why no exporter could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The registry given has a family that we want to register.
    #[error("the registry does not take the exporter's own metrics")]
    Registry(#[from] prometheus::Error),
    /// The system gives no threads.
    #[error("no threads could be started")]
    Threads(#[from] io::Error),
}

/// Settings of an exporter. See [`HealthExporter::builder`].
pub struct Builder {
    service: Service,
    settings: Settings,
    detail: Detail,
    readiness: Readiness,
    show_details: ShowDetails,
    registry: Registry,
    runtime: Option<Handle>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            service: Service { instance: host_name(), ..Service::default() },
            settings: Settings::default(),
            detail: Detail::Full,
            readiness: Readiness { policy: ReadinessPolicy::Critical, checks: Vec::new() },
            show_details: ShowDetails::Names,
            registry: Registry::new(),
            runtime: None,
        }
    }
}

impl Builder {
    /// Name and version of the program, as the health document shows them.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.service.name = name.into();
        self.service.version = version.into();
        self
    }

    /// What tells replicas of the program apart. Default: the name of the host.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.service.instance = instance.into();
        self
    }

    /// When `/health/ready` says yes. Default: when no critical check is bad.
    #[must_use]
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }

    /// How much the health documents show to everyone. Default: names, states and reasons.
    #[must_use]
    pub fn show_details(mut self, show: ShowDetails) -> Self {
        self.show_details = show;
        self
    }

    /// How much `/metrics` shows of each check. Default: everything.
    #[must_use]
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// How checks are run.
    #[must_use]
    pub fn engine(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The registry to show beside the checks, instead of a new one.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// The runtime to run checks on, instead of an own one. It must be a multi-thread runtime:
    /// on a worker of actix a slow check would hold up requests.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Makes the exporter. Nothing runs yet.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(self) -> Result<HealthExporter, BuildError> {
        let (now, wall) = clocks();
        let threads = Threads::new(&self.settings, self.runtime)?;
        let probes = threads.probes().clone();
        let metrics = Arc::new(Metrics::new(self.registry, self.detail, wall)?);
        let shared = Shared {
            wire: Arc::default(),
            runtime: probes.clone(),
            lag: Arc::new(LagMeter::default()),
        };
        let site = Site {
            store: Store::new(now),
            metrics,
            probes,
            service: self.service,
            readiness: self.readiness,
            show_details: self.show_details,
        };
        let life = Mutex::new(Life::Waiting { threads, jobs: Vec::new() });
        let inner = Inner { site: Arc::new(site), settings: self.settings, shared, life };
        Ok(HealthExporter { inner: Arc::new(inner) })
    }
}

fn host_name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name
}

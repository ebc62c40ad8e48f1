//! The face of the library: register checks, start, mount the routes.

mod builder;
mod register;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::web::ServiceConfig;
use prometheus::Registry;

pub use builder::{BuildError, Builder};
pub use register::{CheckBuilder, CheckHandle, RegisterError};

use crate::{
    check::Shared,
    engine::{Engine, Settings, Threads, clocks},
    job::Job,
    metrics::{CheckCollector, OwnMetrics},
    name::Name,
    state::{ProcessPhase, Record, Snapshot},
    web::{self, Site},
};

/// Runs checks in the background and serves what they found.
///
/// Cloning gives another handle to the same exporter; two exporters in one process are apart.
#[derive(Clone)]
pub struct HealthExporter {
    inner: Arc<Inner>,
}

struct Inner {
    site: Arc<Site>,
    settings: Settings,
    shared: Shared,
    life: Mutex<Life>,
}

/// Where the engine of an exporter stands.
enum Life {
    /// Not started: the jobs are the first round.
    Waiting {
        threads: Threads,
        jobs: Vec<Job>,
    },
    Running(Engine),
    Stopped,
}

/// Keeps the engine of an exporter running; dropping it ends every run.
#[must_use = "dropping it stops the checks"]
pub struct Running {
    health: HealthExporter,
}

impl HealthExporter {
    /// Settings of an exporter to be.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What configured checks share.
    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn own_metrics(&self) -> &OwnMetrics {
        self.inner.site.metrics.own()
    }

    pub(crate) fn site(&self) -> Arc<Site> {
        self.inner.site.clone()
    }

    /// Begins to run the checks registered so far; others may still be added.
    ///
    /// # Errors
    /// It was started before, or the system gives no thread.
    pub fn start(&self) -> io::Result<Running> {
        let mut life = self.life();
        let (threads, jobs) = match std::mem::replace(&mut *life, Life::Stopped) {
            Life::Waiting { threads, jobs } => (threads, jobs),
            started => {
                // What runs goes on running.
                *life = started;
                return Err(io::Error::other("the exporter has been started before"));
            }
        };
        let Inner { site, settings, shared, .. } = &*self.inner;
        let store = site.store.clone();
        let engine =
            Engine::start(threads, settings, store, self.own_metrics(), shared.lag.clone(), jobs)?;
        *life = Life::Running(engine);
        Ok(Running { health: self.clone() })
    }

    /// Mounts `/metrics` and the health endpoints into an actix app; call it once per worker.
    pub fn routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        web::routes(self.site())
    }

    /// The registry whose families `/metrics` shows beside ours; for the program's own metrics.
    pub fn registry(&self) -> &Registry {
        self.inner.site.metrics.registry()
    }

    /// The families of the checks, for a registry that the program gathers itself.
    pub fn collector(&self) -> CheckCollector {
        let store = self.inner.site.store.clone();
        self.inner.site.metrics.collector(move || store.snapshot())
    }

    /// What is known of all checks now.
    pub fn snapshot(&self) -> Snapshot {
        self.inner.site.store.snapshot()
    }

    /// From now on `/health/ready` says no: the process is about to stop.
    pub fn drain(&self) {
        self.inner.site.store.enter(ProcessPhase::Draining);
    }

    /// Adds a check that is ready to run.
    pub(crate) fn add(&self, job: Job) -> Result<(), RegisterError> {
        let (now, wall) = clocks();
        let name = job.spec.name.clone();
        let mut life = self.life();
        if matches!(*life, Life::Stopped) {
            return Err(RegisterError::Stopped);
        }
        if !self.inner.site.store.insert(Record::new(job.spec.clone(), now, wall)) {
            return Err(RegisterError::Duplicate(name));
        }
        match &mut *life {
            Life::Waiting { jobs, .. } => jobs.push(job),
            Life::Running(engine) => engine.add(job),
            Life::Stopped => {}
        }
        Ok(())
    }

    /// Takes a check out again, before or after the start.
    pub(crate) fn remove(&self, name: &Name) {
        let mut life = self.life();
        self.inner.site.store.remove(name.as_str());
        match &mut *life {
            Life::Waiting { jobs, .. } => jobs.retain(|job| job.spec.name != *name),
            Life::Running(engine) => engine.remove(name.clone()),
            Life::Stopped => {}
        }
    }

    /// Runs a check now, or joins the run under way; `None` when it does not run at all.
    pub(crate) async fn run_now(&self, name: &Name) -> Option<Arc<Record>> {
        // Whoever waits does not keep the engine: it ends when `Running` is dropped.
        let record = self.engine(|engine| engine.run_now(name.clone()))?;
        record.await
    }

    /// What `ask` says of the engine; `None` when none runs.
    fn engine<T>(&self, ask: impl FnOnce(&Engine) -> T) -> Option<T> {
        match &*self.life() {
            Life::Running(engine) => Some(ask(engine)),
            Life::Waiting { .. } | Life::Stopped => None,
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.inner.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Ends every run, waiting for them for a short time.
    pub async fn stop(self) {
        const STOP_WITHIN: Duration = Duration::from_secs(3);
        if let Some(stopped) = self.health.engine(Engine::stop) {
            // The engine bounds this itself; the limit here is for a scheduler that is dead.
            let _ = tokio::time::timeout(STOP_WITHIN, stopped).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The engine is dropped with the lock released.
        let engine = std::mem::replace(&mut *self.health.life(), Life::Stopped);
        drop(engine);
    }
}

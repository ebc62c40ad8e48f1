//! Runs checks in the background: when, with which deadline, how many at once.

mod entry;
mod grid;
mod journal;
mod permits;
mod run;
mod scheduler;
#[cfg(test)]
mod tests;

use std::{
    io,
    panic::AssertUnwindSafe,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    job::Job,
    lag::LagMeter,
    metrics::{OwnMetrics, SCHEDULER, max_open_files},
    name::Name,
    state::Record,
    store::Store,
};
use permits::Permits;
use scheduler::{Command, Parts, Scheduler};

/// What can be set about an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Runs at once in all; 0 = no limit.
    pub max_concurrency: usize,
    /// Runs at once against one host; 0 = no limit.
    pub max_concurrency_per_host: usize,
    /// Threads that run probes, when the engine makes its own runtime.
    pub worker_threads: usize,
    /// The first round of runs counts as done after this time, whatever is missing.
    pub startup_deadline: Duration,
    /// Readings that a check may have.
    pub max_series: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_concurrency: default_max_concurrency(),
            max_concurrency_per_host: 32,
            worker_threads: thread::available_parallelism().map_or(4, |cores| cores.get().max(4)),
            startup_deadline: Duration::from_secs(20),
            max_series: 1_000,
        }
    }
}

/// A quarter of the descriptors that the process may open, at most 1,024.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn default_max_concurrency() -> usize {
    const MOST: usize = 1_024;
    let limits = std::fs::read_to_string("/proc/self/limits").ok();
    let descriptors = limits.as_deref().and_then(max_open_files);
    descriptors.map_or(MOST, |descriptors| ((descriptors / 4.0) as usize).clamp(1, MOST))
}

/// Threads that block for a probe (`statvfs` of a hung mount); those of one engine together.
const BLOCKING_THREADS: usize = 16;

/// The threads of an engine: one that schedules, some that run probes, some that may block.
pub struct Threads {
    probes: Handle,
    owned: Option<Runtime>,
    scheduler: Option<Runtime>,
}

impl Threads {
    /// Makes the threads; `probes` is the runtime to use for probes instead of an own one.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new(settings: &Settings, probes: Option<Handle>) -> io::Result<Self> {
        let owned = if probes.is_none() {
            let workers = settings.worker_threads.max(1);
            let mut builder = Builder::new_multi_thread();
            Some(builder.worker_threads(workers).thread_name("probe").enable_all().build()?)
        } else {
            None
        };
        let scheduler = Builder::new_current_thread()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("blocking-probe")
            .enable_time()
            .build()?;
        let own_probes = || owned.as_ref().map(|runtime| runtime.handle().clone());
        let probes = probes.or_else(own_probes).unwrap_or_else(|| scheduler.handle().clone());
        Ok(Self { probes, owned, scheduler: Some(scheduler) })
    }

    /// The runtime that runs the probes.
    pub fn probes(&self) -> &Handle {
        &self.probes
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Dropping a runtime waits for its threads, which one hung probe could prevent for ever.
        for runtime in [self.owned.take(), self.scheduler.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

/// A running engine. Dropping it ends every run.
pub struct Engine {
    commands: mpsc::UnboundedSender<Command>,
    lag: tokio::task::AbortHandle,
    _threads: Threads,
}

impl Engine {
    /// Starts the threads' work: the jobs are the first round, their slots are in the store.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        mut threads: Threads,
        settings: &Settings,
        store: Store,
        own: &OwnMetrics,
        lag: Arc<LagMeter>,
        jobs: Vec<Job>,
    ) -> io::Result<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let Some(runtime) = threads.scheduler.take() else {
            return Err(io::Error::other("the engine has been started before"));
        };
        let permits =
            Permits::new(settings.max_concurrency, settings.max_concurrency_per_host, own.clone());
        let parts = Parts {
            store,
            own: own.clone(),
            permits,
            probes: threads.probes.clone(),
            blocking: runtime.handle().clone(),
            commands: received,
            startup_deadline: settings.startup_deadline,
            max_series: settings.max_series,
        };
        let scheduler_own = own.clone();
        thread::Builder::new().name("scheduler".to_owned()).spawn(move || {
            runtime.block_on(watched_over(Scheduler::new(parts, jobs), scheduler_own));
            runtime.shutdown_background();
        })?;
        let lag_own = own.clone();
        let lag = threads.probes.spawn(async move {
            lag.run(|lag| lag_own.event_loop_lag.observe(lag.as_secs_f64())).await;
        });
        Ok(Self { commands, lag: lag.abort_handle(), _threads: threads })
    }

    /// Runs one more check from now on; its slot is in the store.
    pub fn add(&self, job: Job) {
        self.send(Command::Add(job));
    }

    /// Runs a check no more.
    pub fn remove(&self, name: Name) {
        self.send(Command::Remove(name));
    }

    /// Runs a check now or joins the run under way, and gives the record that follows; `None`
    /// when there is no such check or the engine stops.
    pub fn run_now(&self, name: Name) -> impl Future<Output = Option<Arc<Record>>> + use<> {
        let (sender, record) = oneshot::channel();
        self.send(Command::RunNow(name, sender));
        async { record.await.ok() }
    }

    /// Ends every run, waits for them for a short time, and ends the engine.
    pub fn stop(&self) -> impl Future<Output = ()> + use<> {
        let (sender, done) = oneshot::channel();
        self.send(Command::Stop(sender));
        async {
            // An error says that the scheduler is gone already.
            let _ = done.await;
        }
    }

    fn send(&self, command: Command) {
        // Without a scheduler there is nothing left to command.
        let _ = self.commands.send(command);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.lag.abort();
        self.send(Command::Stop(oneshot::channel().0));
    }
}

/// Lets the scheduler go on after a panic: its own defect must not silence every check.
async fn watched_over(mut scheduler: Scheduler, own: OwnMetrics) {
    while AssertUnwindSafe(scheduler.work()).catch_unwind().await.is_err() {
        own.task_restarted(SCHEDULER);
        tracing::error!(task = SCHEDULER, "a background task panicked and goes on");
    }
}

/// The two clocks, read together.
pub fn clocks() -> (std::time::Instant, SystemTime) {
    (Instant::now().into_std(), SystemTime::now())
}

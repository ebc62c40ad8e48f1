//! The engine in paused time: the clock moves only when everything waits.

mod failures;
mod schedule;

use std::{
    future::Future,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, SystemTime},
};

use prometheus::Registry;
use tokio::{
    runtime::Handle,
    sync::{mpsc::UnboundedSender, oneshot},
    task::{JoinHandle, yield_now},
    time::{Instant, advance, sleep},
};

use super::{
    clocks,
    permits::Permits,
    scheduler::{Command, Parts, Scheduler},
};
use crate::{
    check::{ClosureCheck, ProbeContext},
    checks::CODE,
    config::Detail,
    job::{Job, Spec},
    metrics::Metrics,
    name::Name,
    outcome::{Failure, Phase, Reason, Status, Verdict},
    reading::ReadingDef,
    state::{ProcessPhase, Record, Skip, State},
    store::Store,
};

/// An engine without threads of its own: it runs on the runtime of the test.
struct Bench {
    store: Store,
    metrics: Metrics,
    commands: UnboundedSender<Command>,
    scheduler: JoinHandle<()>,
}

impl Bench {
    fn start(jobs: Vec<Job>) -> Self {
        Self::start_with(jobs, Handle::current(), 0)
    }

    fn start_with(jobs: Vec<Job>, probes: Handle, max_concurrency: usize) -> Self {
        let (now, wall) = clocks();
        let store = Store::new(now);
        let metrics = Metrics::new(Registry::new(), Detail::Full, wall).unwrap();
        for job in &jobs {
            assert!(store.insert(Record::new(job.spec.clone(), now, wall)));
        }
        let (commands, received) = tokio::sync::mpsc::unbounded_channel();
        let parts = Parts {
            store: store.clone(),
            own: metrics.own().clone(),
            permits: Permits::new(max_concurrency, 0, metrics.own().clone()),
            probes,
            blocking: Handle::current(),
            commands: received,
            startup_deadline: Duration::from_secs(20),
            max_series: 10,
        };
        let mut scheduler = Scheduler::new(parts, jobs);
        let scheduler = tokio::spawn(async move { scheduler.work().await });
        Self { store, metrics, commands, scheduler }
    }

    fn record(&self, name: &str) -> Arc<Record> {
        self.store.slot(name).unwrap().record()
    }

    fn state(&self, name: &str) -> (State, Option<&'static str>) {
        let record = self.record(name);
        let judged = record.judged(Instant::now().into_std());
        (judged.state, judged.reason)
    }
}

/// For what happens on threads of its own, in real time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits in real time, the clock of the runtime standing still.
async fn yield_until(what: &str, holds: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        yield_now().await;
    }
}

const INTERVAL: Duration = Duration::from_secs(15);

fn job<F, Fut>(name: &str, probe: F) -> Job
where
    F: Fn(ProbeContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Verdict, Failure>> + Send + 'static,
{
    job_with(name, |_| (), probe)
}

fn job_with<F, Fut>(name: &str, change: impl FnOnce(&mut Spec), probe: F) -> Job
where
    F: Fn(ProbeContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Verdict, Failure>> + Send + 'static,
{
    let mut spec = Spec::new(Name::new(name).unwrap(), &CODE);
    change(&mut spec);
    Job::new(spec, Box::new(ClosureCheck(probe)))
}

/// Notes when each run starts.
#[derive(Clone, Default)]
struct Starts(Arc<Mutex<Vec<Instant>>>);

impl Starts {
    fn note(&self) -> usize {
        let mut starts = self.0.lock().unwrap();
        starts.push(Instant::now());
        starts.len()
    }

    fn all(&self) -> Vec<Instant> {
        self.0.lock().unwrap().clone()
    }
}

fn counting(name: &str, starts: &Starts) -> Job {
    let starts = starts.clone();
    job(name, move |_| {
        starts.note();
        async { Ok(Verdict::Healthy) }
    })
}

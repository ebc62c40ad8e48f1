//! The engine in paused time: the clock moves only when everything waits.

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
        let (now, wall) = super::clocks();
        let store = Store::new(now, wall);
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

#[tokio::test(start_paused = true)]
async fn the_first_run_comes_within_a_second_and_the_others_on_the_grid() {
    let (starts, began) = (Starts::default(), Instant::now());
    let _bench = Bench::start(vec![counting("a", &starts)]);
    sleep(10 * INTERVAL).await;
    let starts = starts.all();
    assert!(starts[0] - began <= Duration::from_secs(1));
    assert!(starts[1] - starts[0] >= INTERVAL / 2, "a tick right after the first run is left out");
    for pair in starts[1..].windows(2) {
        let apart = pair[1] - pair[0];
        // The clock of the runtime has a resolution of a millisecond.
        assert!(apart.abs_diff(INTERVAL) <= Duration::from_millis(1), "{apart:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn moments_that_were_missed_are_not_caught_up() {
    let starts = Starts::default();
    let _bench = Bench::start(vec![counting("a", &starts)]);
    sleep(2 * INTERVAL).await;
    let before = starts.all().len();
    advance(20 * INTERVAL).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(starts.all().len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_exact_names_the_phase_and_keeps_what_was_recorded() {
    static DEPTH: ReadingDef = ReadingDef::gauge("depth", "Depth.", &[]);
    let bench = Bench::start(vec![job("a", |context| async move {
        context.phase(Phase::Connect);
        sleep(Duration::from_millis(300)).await;
        context.phase(Phase::Query);
        context.read(&DEPTH, &[], 7.0);
        context.detail("depth", 7);
        std::future::pending().await
    })]);
    sleep(Duration::from_secs(7)).await;
    let record = bench.record("a");
    let last = record.last.clone().unwrap();
    assert_eq!((last.status, last.reason()), (Status::Error, Some(Reason::Timeout)));
    assert_eq!(last.finding.as_ref().unwrap().message, "no answer within 5s (phase: query)");
    assert!(last.duration.abs_diff(Duration::from_secs(5)) <= Duration::from_millis(1));
    assert!((record.readings[0].value - 7.0).abs() < f64::EPSILON);
    let phases = &last.recording.phases;
    assert_eq!(phases[0].0, Phase::Connect);
    assert!(phases[1].1.abs_diff(Duration::from_millis(4_700)) <= Duration::from_millis(2));
}

struct PanicInDrop;

impl Drop for PanicInDrop {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_outcome_of_its_own_check_and_of_no_other() {
    let starts = Starts::default();
    let bench = Bench::start(vec![
        job("at-once", |_| -> std::future::Ready<_> { panic!("before the first await") }),
        job("later", |_| async {
            sleep(Duration::from_millis(10)).await;
            panic!("after it")
        }),
        job("in-drop", |_| async {
            let _bomb = PanicInDrop;
            std::future::pending().await
        }),
        counting("calm", &starts),
    ]);
    sleep(3 * INTERVAL).await;
    for name in ["at-once", "later", "in-drop"] {
        assert_eq!(bench.state(name), (State::Error, Some("panic")), "{name}");
    }
    assert_eq!(bench.state("calm").0, State::Healthy);
    assert!(starts.all().len() >= 3);
}

#[tokio::test(start_paused = true)]
async fn retries_follow_the_end_of_a_bad_run_until_the_state_does_and_leave_the_grid_alone() {
    let starts = Starts::default();
    let noted = starts.clone();
    let bench = Bench::start(vec![job("a", move |_| {
        let run = noted.note();
        async move {
            sleep(Duration::from_millis(100)).await;
            if run <= 2 {
                Ok(Verdict::Healthy)
            } else {
                Err(Failure::new(Reason::Connect, "refused"))
            }
        }
    })]);
    sleep(4 * INTERVAL).await;
    assert_eq!(bench.state("a"), (State::Error, Some("connect")));
    let starts = starts.all();
    let apart: Vec<_> = starts.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    // Run 3 is the first bad one; runs 4 and 5 are its retries, run 6 is on the grid again.
    let near = |milliseconds: u128, wanted: u128| milliseconds.abs_diff(wanted) <= 3;
    assert!(near(apart[2], 2_100) && near(apart[3], 2_100), "{apart:?}");
    assert!(near((starts[5] - starts[2]).as_millis(), 15_000), "{apart:?}");
    assert_eq!(bench.record("a").tally.transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_without_a_permit_waits_and_its_next_moment_is_skipped_as_saturated() {
    let slow = |name: &str| {
        let second = |spec: &mut Spec| {
            spec.policy.interval = Duration::from_secs(1);
            spec.policy.timeout = Duration::from_secs(1);
        };
        job_with(name, second, |_| async {
            sleep(Duration::from_millis(900)).await;
            Ok(Verdict::Healthy)
        })
    };
    let bench = Bench::start_with(vec![slow("a"), slow("b"), slow("c")], Handle::current(), 1);
    sleep(Duration::from_secs(30)).await;
    let skipped: u64 =
        ["a", "b", "c"].iter().map(|name| bench.record(name).tally.skipped(Skip::Saturated)).sum();
    assert!(skipped > 10, "{skipped}");
    for name in ["a", "b", "c"] {
        assert_eq!(bench.state(name), (State::Healthy, None), "waiting is no failure of {name}");
    }
    let own = bench.metrics.own();
    assert_eq!(own.permits.with_label_values(&["in_use"]).get(), 1);
    assert!(own.permit_wait.get_sample_sum() > 10.0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_blocks_its_thread_hangs_keeps_its_slot_and_never_goes_stale() {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let starts = Starts::default();
    let stuck = job("stuck", move |_| {
        let (started, released) = (started.clone(), released.clone());
        async move {
            started.send(()).unwrap();
            // What a driver does that blocks instead of waiting.
            let _ = released.lock().unwrap().recv();
            Ok(Verdict::Healthy)
        }
    });
    let jobs = vec![stuck, counting("free", &starts)];
    let bench = Bench::start_with(jobs, threads.handle().clone(), 0);
    sleep(Duration::from_secs(1)).await;
    has_started.recv_timeout(PATIENCE).expect("the run starts on the other runtime");
    sleep(Duration::from_secs(7)).await;
    assert_eq!(bench.state("stuck"), (State::Error, Some("hung")));
    assert_eq!(bench.metrics.own().runs_hung.get(), 1);
    for _ in 0..3 {
        let before = starts.all().len();
        sleep(INTERVAL).await;
        yield_until("others keep their schedule", || starts.all().len() > before).await;
    }
    sleep(Duration::from_mins(10)).await;
    assert_eq!(bench.state("stuck"), (State::Error, Some("hung")));
    assert!(bench.record("stuck").hung_for(Instant::now().into_std()).unwrap().as_secs() > 600);
    assert!(bench.record("stuck").tally.skipped(Skip::InFlight) >= 35);
    release.send(()).unwrap();
    yield_until("the end is noticed", || bench.state("stuck").0 != State::Error).await;
    assert_eq!(bench.metrics.own().runs_hung.get(), 0);
    threads.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn a_dead_engine_cannot_keep_an_old_green() {
    let starts = Starts::default();
    let bench = Bench::start(vec![counting("a", &starts)]);
    sleep(2 * INTERVAL).await;
    let rows = |bench: &Bench| {
        let scrape = crate::metrics::Scrape {
            version: bench.store.version(),
            phase: bench.store.phase(),
            checks: 1,
            snapshot: || bench.store.snapshot(),
            runtime: None,
        };
        let format = crate::metrics::Format::Text;
        let now = Instant::now().into_std();
        let exposed = bench.metrics.expose(scrape, format, false, now, SystemTime::now());
        String::from_utf8(exposed.blocks[0].to_vec()).unwrap()
    };
    let up = "health_check_up{check=\"a\",kind=\"code\",group=\"default\"} 1";
    assert!(rows(&bench).contains(up));
    bench.scheduler.abort();
    sleep(bench.record("a").spec.policy.stale_after()).await;
    assert_eq!(bench.state("a"), (State::Stale, Some("stale")));
    let stale = rows(&bench);
    assert!(!stale.contains(up), "the cached block must not outlive the deadline");
    assert!(stale.contains("state=\"stale\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn a_stale_check_takes_the_next_run_at_once() {
    let fails = Arc::new(Mutex::new(false));
    let failing = fails.clone();
    let bench = Bench::start(vec![job("a", move |_| {
        let fails = *failing.lock().unwrap();
        async move {
            if fails {
                Err(Failure::new(Reason::Dns, "no such name"))
            } else {
                Ok(Verdict::Healthy)
            }
        }
    })]);
    sleep(2 * INTERVAL).await;
    *fails.lock().unwrap() = true;
    advance(10 * INTERVAL).await;
    sleep(Duration::from_millis(5)).await;
    assert_eq!(bench.state("a"), (State::Error, Some("dns")));
}

#[tokio::test(start_paused = true)]
async fn asking_for_a_run_joins_the_one_under_way() {
    let starts = Starts::default();
    let noted = starts.clone();
    let bench = Bench::start(vec![job("a", move |_| {
        noted.note();
        async {
            sleep(Duration::from_secs(2)).await;
            Ok(Verdict::Healthy)
        }
    })]);
    sleep(Duration::from_millis(1_500)).await;
    let ask = || {
        let (sender, record) = oneshot::channel();
        bench.commands.send(Command::RunNow(Name::new("a").unwrap(), sender)).unwrap();
        record
    };
    let (first, second) = (ask(), ask());
    assert_eq!(first.await.unwrap().state(), State::Healthy);
    assert_eq!(second.await.unwrap().state(), State::Healthy);
    assert_eq!(starts.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_process_runs_once_the_first_round_is_done_or_its_time_is_over() {
    let quick = Bench::start(vec![job("a", |_| async { Ok(Verdict::Healthy) })]);
    assert_eq!(quick.store.phase(), ProcessPhase::Starting);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(quick.store.phase(), ProcessPhase::Running);

    let slow = |spec: &mut Spec| {
        spec.policy.interval = Duration::from_mins(1);
        spec.policy.timeout = Duration::from_mins(1);
    };
    let late = Bench::start(vec![job_with("a", slow, |_| std::future::pending())]);
    sleep(Duration::from_secs(19)).await;
    assert_eq!(late.store.phase(), ProcessPhase::Starting);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(late.store.phase(), ProcessPhase::Running);
}

#[tokio::test(start_paused = true)]
async fn readings_beyond_the_limit_are_dropped_and_counted() {
    static PART: ReadingDef = ReadingDef::gauge("part", "Part.", &["number"]);
    let bench = Bench::start(vec![job("a", |context| async move {
        for number in 0..15 {
            context.read(&PART, &[&number.to_string()], 1.0);
        }
        Ok(Verdict::Healthy)
    })]);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.record("a").readings.len(), 10);
    assert_eq!(bench.metrics.own().series_dropped.with_label_values(&["part"]).get(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_reading_survives_runs_that_do_not_read_it() {
    static EXPIRY: ReadingDef = ReadingDef::gauge("expiry", "Expiry.", &[]).lasting();
    static SIZE: ReadingDef = ReadingDef::gauge("size", "Size.", &[]);
    let starts = Starts::default();
    let bench = Bench::start(vec![job("a", move |context| {
        let run = starts.note();
        async move {
            if run > 1 {
                return Err(Failure::new(Reason::Connect, "refused"));
            }
            context.read(&EXPIRY, &[], 42.0);
            context.read(&SIZE, &[], 1.0);
            Ok(Verdict::Healthy)
        }
    })]);
    sleep(3 * INTERVAL).await;
    let record = bench.record("a");
    let names: Vec<_> = record.readings.iter().map(|reading| reading.def.name()).collect();
    assert_eq!(names, ["expiry"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_the_runs_under_way_and_counts_none_of_them() {
    let bench = Bench::start(vec![job("a", |_| std::future::pending())]);
    sleep(Duration::from_secs(2)).await;
    let (sender, done) = oneshot::channel();
    let asked = Instant::now();
    bench.commands.send(Command::Stop(sender)).unwrap();
    done.await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(bench.state("a"), (State::Pending, Some("pending")));
    bench.scheduler.await.unwrap();
}

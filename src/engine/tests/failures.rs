//! What becomes of runs that fail, hang or never end, and of what they recorded.

use super::*;

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
    assert_eq!(bench.record("stuck").consecutive_failures, 1);
    let (sender, answer) = oneshot::channel();
    bench.commands.send(Command::RunNow(Name::new("stuck").unwrap(), sender)).unwrap();
    assert_eq!(answer.await.unwrap().state(), State::Error, "nobody waits for a hung run");
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
async fn a_runtime_that_is_shut_down_ends_runs_and_leaves_nobody_waiting() {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let handle = threads.handle().clone();
    threads.shutdown_background();
    let bench = Bench::start_with(vec![job("a", |_| async { Ok(Verdict::Healthy) })], handle, 0);
    let (sender, answer) = oneshot::channel();
    bench.commands.send(Command::RunNow(Name::new("a").unwrap(), sender)).unwrap();
    assert!(answer.await.is_err());
    assert_eq!(bench.state("a"), (State::Pending, Some("pending")), "no panic is made up");
}

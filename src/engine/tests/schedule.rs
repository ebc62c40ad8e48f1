//! When runs start, and when they do not.

use super::*;

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

#[tokio::test(start_paused = true)]
async fn a_run_that_was_asked_for_stands_in_for_the_first_one() {
    let starts = Starts::default();
    let bench = Bench::start(vec![counting("a", &starts)]);
    let (sender, record) = oneshot::channel();
    bench.commands.send(Command::RunNow(Name::new("a").unwrap(), sender)).unwrap();
    assert_eq!(record.await.unwrap().state(), State::Healthy);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(starts.all().len(), 1);
}

//! Decides when each check runs, and publishes what the runs found.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    entry::{Entry, RunUnderWay},
    grid::{Grid, first_run},
    journal::{self, Journal},
    permits::Permits,
    run::{HUNG_AFTER, Report, Run, RunEnd, RunId},
};
use crate::{
    job::Job,
    metrics::OwnMetrics,
    name::Name,
    outcome::Outcome,
    state::{ProcessPhase, Record, Skip, State},
    store::Store,
};

/// The scheduler comes round at least this often, so that its heartbeat shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long runs that are under way get to end when the engine stops.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// What the rest of the program asks of the scheduler.
pub(super) enum Command {
    /// Run this check from now on; its slot is in the store already.
    Add(Job),
    /// Run it no more.
    Remove(Name),
    /// Run it now, or join the run that is under way.
    RunNow(Name, oneshot::Sender<Arc<Record>>),
    /// End every run and stop.
    Stop(oneshot::Sender<()>),
}

/// What the scheduler is given.
pub(super) struct Parts {
    pub store: Store,
    pub own: OwnMetrics,
    pub permits: Permits,
    /// Runs the probes.
    pub probes: Handle,
    /// Runs what blocks.
    pub blocking: Handle,
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub startup_deadline: Duration,
    pub max_series: usize,
}

/// The one that runs checks and publishes records.
pub(super) struct Scheduler {
    parts: Parts,
    entries: HashMap<u64, Entry>,
    ids: HashMap<Name, u64>,
    timers: BinaryHeap<Reverse<(Instant, u64, Timer)>>,
    ends: mpsc::UnboundedReceiver<RunEnd>,
    ends_sender: mpsc::UnboundedSender<RunEnd>,
    journal: Journal,
    /// Checks of the first round that have not run yet.
    first_round: HashSet<u64>,
    startup_ends: Instant,
    next_id: u64,
    next_run: u64,
    cancelled: CancellationToken,
    stopping: Option<(Instant, oneshot::Sender<()>)>,
}

/// What is to be done for a check at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The extra run right after the registration.
    First,
    /// The grid says so.
    Tick,
    /// The run before was bad and the state has not followed yet.
    Retry,
    /// See whether the run with this number hangs.
    Overdue(u64),
}

impl Scheduler {
    pub(super) fn new(parts: Parts, first_round: Vec<Job>) -> Self {
        let now = Instant::now();
        let (ends_sender, ends) = mpsc::unbounded_channel();
        let mut scheduler = Self {
            startup_ends: now + parts.startup_deadline,
            parts,
            entries: HashMap::new(),
            ids: HashMap::new(),
            timers: BinaryHeap::new(),
            ends,
            ends_sender,
            journal: Journal::new(now),
            first_round: HashSet::new(),
            next_id: 0,
            next_run: 0,
            cancelled: CancellationToken::new(),
            stopping: None,
        };
        for job in first_round {
            let id = scheduler.add(job);
            scheduler.first_round.extend(id);
        }
        scheduler
    }

    /// Works until it is told to stop. After a panic it may be called again.
    pub(super) async fn work(&mut self) {
        loop {
            // Runs that ended while the process stood still must not be taken for hung ones.
            while let Ok(end) = self.ends.try_recv() {
                self.ended(end);
            }
            let now = Instant::now();
            self.parts.store.beat(now.into_std());
            self.fire_due(now);
            self.end_startup(now);
            self.journal.tick(now);
            if self.stop_if_done(now) {
                return;
            }
            let wake = self.next_wake(now);
            tokio::select! {
                biased;
                Some(end) = self.ends.recv() => self.ended(end),
                command = self.parts.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    // Every handle is gone, so nobody can see what we would find.
                    None => return,
                },
                () = sleep_until(wake) => {}
            }
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        let startup =
            (self.parts.store.phase() == ProcessPhase::Starting).then_some(self.startup_ends);
        let stop = self.stopping.as_ref().map(|(until, _)| *until);
        let moments = [timer, startup, stop, self.journal.next_tick()];
        moments.into_iter().flatten().min().unwrap_or(now + HEARTBEAT).min(now + HEARTBEAT)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add(job) => {
                self.add(job);
            }
            Command::Remove(name) => self.remove(&name),
            Command::RunNow(name, waiter) => self.run_now(&name, waiter),
            Command::Stop(done) => {
                self.cancelled.cancel();
                self.stopping = Some((Instant::now() + STOP_WITHIN, done));
            }
        }
    }

    fn run_now(&mut self, name: &Name, waiter: oneshot::Sender<Arc<Record>>) {
        let Some(id) = self.ids.get(name).copied() else { return };
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.waiters.push(waiter);
        if entry.run.as_ref().is_some_and(|run| run.hung) {
            entry.answer_waiters();
        } else {
            self.start_run(id);
        }
    }

    fn add(&mut self, job: Job) -> Option<u64> {
        let slot = self.parts.store.slot(job.spec.name.as_str())?;
        let now = Instant::now();
        let unix_time =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (name, interval) = (job.spec.name.clone(), job.spec.policy.interval);
        let first = first_run(name.as_str(), interval, now);
        let mut grid = Grid::new(name.as_str(), interval, now, unix_time);
        // The first run stands in for a tick that would come right after it.
        grid.advance(first + interval / 2);
        let id = self.next_id;
        self.next_id += 1;
        self.timers.push(Reverse((first, id, Timer::First)));
        self.timers.push(Reverse((grid.next(), id, Timer::Tick)));
        self.ids.insert(name, id);
        let cancelled = self.cancelled.child_token();
        let entry =
            Entry { job, slot, grid, run: None, retry_at: None, waiters: Vec::new(), cancelled };
        self.entries.insert(id, entry);
        Some(id)
    }

    fn remove(&mut self, name: &Name) {
        if let Some(entry) = self.ids.remove(name).and_then(|id| {
            self.first_round.remove(&id);
            self.entries.remove(&id)
        }) {
            entry.cancelled.cancel();
            self.show_hung();
        }
        self.journal.forget(name);
        self.parts.permits.forget_unused();
    }

    fn fire_due(&mut self, now: Instant) {
        while let Some(Reverse((at, id, timer))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            self.fire(at, id, timer, now);
        }
    }

    fn fire(&mut self, at: Instant, id: u64, timer: Timer, now: Instant) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        match timer {
            // Somebody has asked for a run before.
            Timer::First if entry.run.is_some() || entry.slot.record().last.is_some() => {}
            Timer::First => self.start_due_run(id, at, now),
            Timer::Tick => {
                entry.grid.advance(now);
                self.timers.push(Reverse((entry.grid.next(), id, Timer::Tick)));
                self.start_due_run(id, at, now);
            }
            Timer::Retry => {
                if entry.retry_at == Some(at) && entry.run.is_none() {
                    self.start_due_run(id, at, now);
                }
            }
            Timer::Overdue(number) => self.look_after(id, number, now),
        }
    }

    fn start_due_run(&mut self, id: u64, due: Instant, now: Instant) {
        self.parts.own.scheduler_lag.observe((now - due).as_secs_f64());
        if let Some(skip) = self.start_run(id)
            && let Some(entry) = self.entries.get(&id)
        {
            let record = entry.slot.record().after_skip(skip);
            self.parts.store.replace(&entry.slot, record);
        }
    }

    /// Starts a run, or says why it cannot.
    fn start_run(&mut self, id: u64) -> Option<Skip> {
        let entry = self.entries.get_mut(&id)?;
        if let Some(run) = &entry.run {
            let has_permit = run.started.get().is_some();
            return Some(if has_permit { Skip::InFlight } else { Skip::Saturated });
        }
        if self.stopping.is_some() {
            return None;
        }
        let number = self.next_run;
        self.next_run += 1;
        let started = Arc::new(OnceLock::new());
        entry.run = Some(RunUnderWay { number, started: started.clone(), hung: false });
        entry.retry_at = None;
        let timeout = entry.job.spec.policy.timeout;
        let run = Run {
            report: Report::new(RunId { check: id, number }, &started, &self.ends_sender),
            check: entry.job.check.clone(),
            timeout,
            claim: self.parts.permits.claim(entry.job.spec.host.as_deref()),
            started,
            cancelled: entry.cancelled.clone(),
            blocking: self.parts.blocking.clone(),
        };
        let overdue = Instant::now() + timeout + HUNG_AFTER;
        self.timers.push(Reverse((overdue, id, Timer::Overdue(number))));
        self.parts.probes.spawn(run.execute());
        None
    }

    /// Reports the run as hung when it has used up its time.
    fn look_after(&mut self, id: u64, number: u64, now: Instant) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(run) = entry.run.as_mut().filter(|run| run.number == number) else { return };
        let limit = entry.job.spec.policy.timeout + HUNG_AFTER;
        let overdue = run.started.get().map_or(now + limit, |started| *started + limit);
        if overdue > now {
            self.timers.push(Reverse((overdue, id, Timer::Overdue(number))));
            return;
        }
        let Some(started) = run.started.get().copied() else { return };
        run.hung = true;
        self.first_round.remove(&id);
        let before = entry.slot.record();
        let now = Instant::now();
        let after = before.after_hang(started.into_std(), now.into_std(), SystemTime::now());
        self.publish(id, &before, after, now);
        self.show_hung();
    }

    fn show_hung(&self) {
        let hung = |entry: &&Entry| entry.run.as_ref().is_some_and(|run| run.hung);
        let count = self.entries.values().filter(hung).count();
        self.parts.own.runs_hung.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn ended(&mut self, end: RunEnd) {
        let Some(entry) = self.entries.get_mut(&end.id.check) else { return };
        let Some(run) = entry.run.take_if(|run| run.number == end.id.number) else { return };
        let Some(mut outcome) = end.outcome else {
            // Nobody is to wait for what will not come.
            entry.waiters.clear();
            return;
        };
        self.first_round.remove(&end.id.check);
        let now = Instant::now();
        let before = entry.slot.record();
        drop_excess(&mut outcome, self.parts.max_series, &self.parts.own);
        let after = before.after_run(outcome, now.into_std());
        if after.wants_retry() {
            let retry_at = now + entry.job.spec.policy.retry_interval;
            if retry_at < entry.grid.next() {
                entry.retry_at = Some(retry_at);
                self.timers.push(Reverse((retry_at, end.id.check, Timer::Retry)));
            }
        }
        self.publish(end.id.check, &before, after, now);
        if run.hung {
            self.show_hung();
        }
    }

    /// The one place where a record becomes visible after a run.
    fn publish(&mut self, id: u64, before: &Record, after: Record, now: Instant) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        self.parts.store.replace(&entry.slot, after);
        entry.answer_waiters();
        let stale = before.judged(now.into_std()).state == State::Stale;
        self.journal.changed(before, &entry.slot.record(), stale, now);
    }

    fn end_startup(&mut self, now: Instant) {
        let starting = self.parts.store.phase() == ProcessPhase::Starting;
        if starting && (self.first_round.is_empty() || now >= self.startup_ends) {
            self.parts.store.enter(ProcessPhase::Running);
            journal::summary(&self.parts.store.snapshot());
        }
    }

    fn stop_if_done(&mut self, now: Instant) -> bool {
        let idle = self.entries.values().all(|entry| entry.run.is_none());
        match self.stopping.take_if(|(until, _)| idle || now >= *until) {
            Some((_, done)) => {
                let _ = done.send(());
                true
            }
            None => false,
        }
    }
}

/// Keeps a run from filling the memory of whoever scrapes us.
fn drop_excess(outcome: &mut Outcome, max_series: usize, own: &OwnMetrics) {
    let readings = &mut outcome.recording.readings;
    for reading in readings.drain(max_series.min(readings.len())..) {
        own.series_dropped.with_label_values(&[reading.def.name()]).inc();
    }
}

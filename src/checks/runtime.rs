//! `runtime`: the event loop that runs the probes of this very process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use tokio::{runtime::Handle, time::Instant};

use crate::{
    check::{Built, Check, Kind, KindConfiguration, Params, ProbeContext, Shared, built},
    lag::LagMeter,
    outcome::{Failure, Reason, Verdict},
    units::{Limits, Period, Ratio},
};

/// The row of the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "runtime",
    remote: false,
    reasons: &[Reason::Threshold],
    phases: &[],
    readings: &[],
    configuration: Some(KindConfiguration { schema, build }),
};

/// Settings of a `runtime` check: the event loop that runs the probes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RuntimeParams {
    /// Limits of the number of tasks that are alive (default null = off).
    tasks: Option<Limits<u64>>,
    /// Limits of how late the event loop comes round, at worst since the last run (default 1s and
    /// 5s); null = off.
    event_loop_lag: Option<Limits<Period>>,
    /// Limits of the share of time that the worker threads were busy since the last run (default
    /// 90% and 98%); null = off.
    busy_ratio: Option<Limits<Ratio>>,
}

impl Default for RuntimeParams {
    fn default() -> Self {
        let seconds = |seconds| Period(Duration::from_secs(seconds));
        Self {
            tasks: None,
            event_loop_lag: Some(Limits::new(seconds(1), seconds(5))),
            busy_ratio: Some(Limits::new(Ratio(0.9), Ratio(0.98))),
        }
    }
}

fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<RuntimeParams>()
}

fn build(params: Params<'_>, shared: &Shared) -> Built {
    let limits: RuntimeParams = params.decode()?;
    let ordered = [
        ("tasks", limits.tasks.is_none_or(|limits| limits.rise())),
        ("event_loop_lag", limits.event_loop_lag.is_none_or(|limits| limits.rise())),
        ("busy_ratio", limits.busy_ratio.is_none_or(|limits| limits.rise())),
    ];
    let problems = ordered
        .iter()
        .filter(|(_, ordered)| !ordered)
        .map(|(key, _)| params.problem(key, "expected a warning that is not above critical"))
        .collect();
    let (handle, lag) = (shared.runtime.clone(), shared.lag.clone());
    built(problems, || Runtime { limits, handle, lag, busy_before: Mutex::default() })
}

struct Runtime {
    limits: RuntimeParams,
    handle: Handle,
    lag: Arc<LagMeter>,
    /// When the last run was, and how long the workers had been busy by then.
    busy_before: Mutex<Option<(Instant, Duration)>>,
}

impl Runtime {
    /// The share of time that the workers were busy since the last run.
    fn busy_ratio(&self) -> Option<f64> {
        let metrics = self.handle.metrics();
        let workers = metrics.num_workers();
        let busy = (0..workers).map(|worker| metrics.worker_total_busy_duration(worker)).sum();
        let now = Instant::now();
        let mut before = self.busy_before.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, busy_then): (Instant, Duration) = before.replace((now, busy))?;
        let possible = (now - then).mul_f64(f64::from(u32::try_from(workers).unwrap_or(u32::MAX)));
        let busy = busy.saturating_sub(busy_then);
        (!possible.is_zero()).then(|| (busy.as_secs_f64() / possible.as_secs_f64()).min(1.0))
    }
}

#[async_trait]
impl Check for Runtime {
    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        let tasks = self.handle.metrics().num_alive_tasks() as u64;
        let lag = Period(self.lag.take_worst());
        let busy = self.busy_ratio();
        context.detail("tasks", tasks);
        context.detail("event_loop_lag_seconds", lag.0.as_secs_f64());
        if let Some(busy) = busy {
            context.detail("busy_ratio", busy);
        }
        let mut verdict = Verdict::Healthy;
        if let Some(limits) = &self.limits.event_loop_lag {
            verdict = verdict
                .and(Verdict::above("event loop late by", lag, limits, |lag| lag.to_string()));
        }
        if let (Some(limits), Some(busy)) = (&self.limits.busy_ratio, busy) {
            let judged =
                Verdict::above("worker threads busy", Ratio(busy), limits, |busy| busy.to_string());
            verdict = verdict.and(judged);
        }
        if let Some(limits) = &self.limits.tasks {
            verdict = verdict
                .and(Verdict::above("tasks alive", tasks, limits, |tasks| tasks.to_string()));
        }
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        node,
        outcome::{Recording, Scalar},
    };

    fn shared(lag: &Arc<LagMeter>) -> Shared {
        Shared { wire: Arc::default(), runtime: Handle::current(), lag: lag.clone() }
    }

    fn check(text: &str, lag: &Arc<LagMeter>) -> Box<dyn Check> {
        let node = node::parse(text, "f.yml").unwrap();
        build(Params::new(&node, "runtime"), &shared(lag)).unwrap()
    }

    async fn run(check: &dyn Check) -> (Verdict, Recording) {
        let (timeout, token) = (Duration::from_secs(5), CancellationToken::new());
        let context = ProbeContext::new(timeout, token, Handle::current());
        (check.probe(&context).await.unwrap(), context.take_recording().0)
    }

    fn detail(recording: &Recording, key: &str) -> Option<Scalar> {
        recording.details.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    }

    #[tokio::test]
    async fn too_many_tasks_are_counted() {
        let check = check("{busy_ratio: null, tasks: {warning: 1, critical: 9}}", &Arc::default());
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(ended);
        let expected = Verdict::degraded(Reason::Threshold, "tasks alive 1 at or above warning 1");
        assert_eq!(run(&*check).await.0, expected);
        drop(end);
        task.await.unwrap().unwrap_err();
        assert_eq!(run(&*check).await.0, Verdict::Healthy);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_loop_that_was_held_up_is_seen_once() {
        let lag = Arc::new(LagMeter::default());
        let check = check("{busy_ratio: null}", &lag);
        let held_up = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            tokio::time::advance(Duration::from_secs(3)).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        tokio::select! {
            () = lag.run(|_| ()) => {}
            () = held_up => {}
        }
        let Verdict::Degraded(finding) = run(&*check).await.0 else { panic!("not degraded") };
        assert_eq!(finding.reason, Reason::Threshold);
        assert!(finding.message.starts_with("event loop late by 2s"), "{}", finding.message);
        assert_eq!(run(&*check).await.0, Verdict::Healthy);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn how_busy_the_workers_are_is_known_from_the_second_run_on() {
        let check = check("busy_ratio: null", &Arc::default());
        assert_eq!(detail(&run(&*check).await.1, "busy_ratio"), None);
        let Some(Scalar::Number(busy)) = detail(&run(&*check).await.1, "busy_ratio") else {
            panic!("no busy ratio")
        };
        assert!((0.0..=1.0).contains(&busy), "{busy}");
    }

    #[tokio::test]
    async fn every_rule_that_is_broken_is_reported() {
        let text =
            "tasks: {warning: 2, critical: 1}\nevent_loop_lag: {warning: 2s, critical: 1s}\n";
        let node = node::parse(text, "f.yml").unwrap();
        let Err(problems) = build(Params::new(&node, "runtime"), &shared(&Arc::default())) else {
            panic!("built")
        };
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "f.yml:1:8: runtime.tasks: expected a warning that is not above critical",
                "f.yml:2:17: runtime.event_loop_lag: expected a warning that is not above critical",
            ]
        );
    }
}

//! Checks that a program registers in its own code.

use std::{future::Future, sync::Arc, time::Duration};

use super::HealthExporter;
use crate::{
    check::{Check, ClosureCheck, ProbeContext},
    checks,
    job::{Importance, Job, Policy, Spec},
    name::{InvalidName, Name},
    outcome::{Failure, Verdict},
    state::Record,
};

/// Why a check was not registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name of the check, its group or a tag does not have the form of a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// There is another check of this name.
    #[error("there is another check `{0}`")]
    Duplicate(Name),
    /// Times or thresholds do not go together.
    #[error("check `{check}`: {key}: {message}")]
    Settings {
        /// The check.
        check: Name,
        /// The setting.
        key: &'static str,
        /// What was expected.
        message: String,
    },
    /// The exporter has been stopped.
    #[error("the exporter has been stopped")]
    Stopped,
}

/// A check that is about to be registered. See [`HealthExporter::check`].
#[must_use = "a check runs only after `register`"]
pub struct CheckBuilder {
    health: HealthExporter,
    spec: Result<Spec, InvalidName>,
    check: Box<dyn Check>,
    timeout: Option<Duration>,
}

impl HealthExporter {
    /// Registers an async closure: `Ok` is healthy, `Err` is an error whose text goes to the log.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn register_check<F, Fut, E>(
        &self,
        name: &str,
        probe: F,
    ) -> Result<CheckHandle, RegisterError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure> + 'static,
    {
        let probe = move |_| {
            let run = probe();
            async move { run.await.map(|()| Verdict::Healthy).map_err(Into::into) }
        };
        self.check(name, probe).register()
    }

    /// Begins the registration of an async closure that gives a verdict of its own.
    pub fn check<F, Fut>(&self, name: &str, probe: F) -> CheckBuilder
    where
        F: Fn(ProbeContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Verdict, Failure>> + Send + 'static,
    {
        self.custom_check(name, ClosureCheck(probe))
    }

    /// Begins the registration of a type that implements [`Check`].
    pub fn custom_check(&self, name: &str, check: impl Check) -> CheckBuilder {
        let spec = Name::new(name).map(|name| Spec::new(name, &checks::CODE));
        CheckBuilder { health: self.clone(), spec, check: Box::new(check), timeout: None }
    }
}

impl CheckBuilder {
    fn set(mut self, change: impl FnOnce(&mut Spec)) -> Self {
        if let Ok(spec) = &mut self.spec {
            change(spec);
        }
        self
    }

    fn set_name(mut self, text: &str, change: impl FnOnce(&mut Spec, Name)) -> Self {
        if let Ok(spec) = &mut self.spec {
            match Name::new(text) {
                Ok(name) => change(spec, name),
                Err(invalid) => self.spec = Err(invalid),
            }
        }
        self
    }

    /// From the start of one run to the start of the next. Default: 15 s.
    pub fn interval(self, interval: Duration) -> Self {
        self.set(|spec| spec.policy.interval = interval)
    }

    /// The hard deadline of a run, at most the interval. Default: 5 s, or the interval if shorter.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// So many runs in a row that are worse than the state make it worse. Default: 3.
    pub fn failure_threshold(self, runs: u32) -> Self {
        self.set(|spec| spec.policy.failure_threshold = runs)
    }

    /// So many runs in a row that are better than the state make it better. Default: 1.
    pub fn success_threshold(self, runs: u32) -> Self {
        self.set(|spec| spec.policy.success_threshold = runs)
    }

    /// From the end of a bad run to the next, until the state follows. Default: 2 s.
    pub fn retry_interval(self, interval: Duration) -> Self {
        self.set(|spec| spec.policy.retry_interval = interval)
    }

    /// When it is bad, the whole is degraded at most. Default: the whole is unhealthy.
    pub fn important(self) -> Self {
        self.set(|spec| spec.importance = Importance::Important)
    }

    /// It never counts for the whole.
    pub fn info(self) -> Self {
        self.set(|spec| spec.importance = Importance::Info)
    }

    /// The group it is shown and rolled up with.
    pub fn group(self, group: &str) -> Self {
        self.set_name(group, |spec, group| spec.group = group)
    }

    /// A further name it can be selected by.
    pub fn tag(self, tag: &str) -> Self {
        self.set_name(tag, |spec, tag| spec.tags.push(tag))
    }

    /// Whom to ask.
    pub fn owner(self, owner: impl Into<String>) -> Self {
        self.set(|spec| spec.owner = owner.into())
    }

    /// Where to read what to do.
    pub fn runbook_url(self, url: impl Into<String>) -> Self {
        self.set(|spec| spec.runbook_url = url.into())
    }

    /// The share of time that the check is to be good, between 0 and 1.
    pub fn slo(self, objective: f64) -> Self {
        self.set(|spec| spec.policy.slo = Some(objective))
    }

    /// Registers the check; it runs as soon as the exporter does.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn register(self) -> Result<CheckHandle, RegisterError> {
        let mut spec = self.spec?;
        let usual = Policy::TIMEOUT.min(spec.policy.interval);
        spec.policy.timeout = self.timeout.unwrap_or(usual);
        let name = spec.name.clone();
        if let Some((key, message)) = spec.policy.faults().into_iter().next() {
            return Err(RegisterError::Settings { check: name, key, message });
        }
        self.health.add(Job::new(spec, self.check))?;
        Ok(CheckHandle { health: self.health, name })
    }
}

/// A registered check.
#[derive(Clone)]
pub struct CheckHandle {
    health: HealthExporter,
    name: Name,
}

impl CheckHandle {
    /// The name of the check.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Runs the check now or joins the run under way; `None` when the exporter does not run.
    pub async fn run_now(&self) -> Option<Arc<Record>> {
        self.health.run_now(&self.name).await
    }

    /// What is known of the check; `None` once it has been removed.
    pub fn record(&self) -> Option<Arc<Record>> {
        Some(self.health.site().store.slot(self.name.as_str())?.record())
    }

    /// Runs the check no more and takes it out of every document and metric.
    pub fn remove(self) {
        self.health.remove(&self.name);
    }
}

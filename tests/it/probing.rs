//! One check made of its section of the configuration, and probed without an engine.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use health_exporter::{
    check::{Check, Params, ProbeContext, Shared},
    checks::KINDS,
    node::parse,
    outcome::{Failure, Outcome, Reason, Scalar, Status},
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// The check that this section of a kind describes, or the text of every problem.
pub(crate) fn build(kind: &str, section: &str) -> Result<Box<dyn Check>, Vec<String>> {
    let texts = |problems: Vec<health_exporter::node::Problem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let node = parse(section, "f.yml").map_err(texts)?;
    let kind = KINDS.iter().find(|known| known.name == kind).unwrap();
    let shared = Shared { wire: Arc::default(), runtime: Handle::current(), lag: Arc::default() };
    (kind.configuration.unwrap().build)(Params::new(&node, kind.name), &shared).map_err(texts)
}

/// Runs a check once under a deadline, as the engine does.
pub(crate) async fn probe(check: &dyn Check, timeout: Duration) -> Outcome {
    let context = ProbeContext::new(timeout, CancellationToken::new(), Handle::current());
    let started = Instant::now();
    let result = tokio::time::timeout(timeout, check.probe(&context)).await;
    let (recording, open) = context.take_recording();
    let late = || {
        let phase = open.map_or("none", |phase| phase.as_str());
        Err(Failure::new(Reason::Timeout, format!("phase: {phase}")))
    };
    let result = result.unwrap_or_else(|_| late());
    Outcome::new(result, recording, started, started.elapsed(), SystemTime::now())
}

/// What tests ask of an outcome.
pub(crate) trait Ask {
    /// Status and reason with the message, such as `error/connect: the connection was refused`.
    fn summary(&self) -> String;
    /// The value of a series, its labels in the order of the family.
    fn reading(&self, name: &str, labels: &[&str]) -> Option<f64>;
    /// A value of the health document.
    fn detail(&self, key: &str) -> Option<&Scalar>;
    /// The phases that were reached, in order.
    fn phases(&self) -> Vec<&'static str>;
}

impl Ask for Outcome {
    fn summary(&self) -> String {
        match &self.finding {
            None => Status::Healthy.as_str().to_owned(),
            Some(finding) => {
                format!("{}/{}: {}", self.status.as_str(), finding.reason, finding.message)
            }
        }
    }

    fn reading(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let mut fitting = self.recording.readings.iter().filter(|reading| {
            reading.def.name() == name
                && reading.labels.iter().map(AsRef::as_ref).eq(labels.iter().copied())
        });
        let value = fitting.next().map(|reading| reading.value);
        assert!(fitting.next().is_none(), "{name} was read twice");
        value
    }

    fn detail(&self, key: &str) -> Option<&Scalar> {
        let mut details = self.recording.details.iter();
        details.find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn phases(&self) -> Vec<&'static str> {
        self.recording.phases.iter().map(|(phase, _)| phase.as_str()).collect()
    }
}

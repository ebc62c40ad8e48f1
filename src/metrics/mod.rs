//! Exposes records and the exporter's own metrics to Prometheus.

mod check_block;
mod collector;
mod exposition;
mod families;
mod gathered;
mod own;
mod process;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use prometheus::Registry;
use tokio::runtime::Handle;

pub use collector::CheckCollector;
pub use exposition::Format;
pub use families::unix_seconds;
pub use own::{OwnMetrics, SCHEDULER};
pub use process::max_open_files;

use crate::{
    check::Kind,
    config::Detail,
    state::{ProcessPhase, Snapshot},
};
use check_block::{CheckBlocks, GROUP_STATE, GROUP_UP, compress};
use exposition::Exposition;

/// The metrics of one engine.
pub struct Metrics {
    registry: Registry,
    own: OwnMetrics,
    checks: CheckBlocks,
    started_unix_seconds: f64,
}

/// What a scrape needs to know of the store, without holding it.
pub struct Scrape<S> {
    /// The version of the store.
    pub version: u64,
    /// Where the process stands.
    pub phase: ProcessPhase,
    /// The number of checks.
    pub checks: usize,
    /// The records; only asked for when there is something new.
    pub snapshot: S,
    /// The runtime that runs the probes.
    pub runtime: Option<Handle>,
}

/// The answer to a scrape: blocks that follow one another.
pub struct Exposed {
    /// What is said of checks, and what the exporter says of itself.
    pub blocks: [Bytes; 2],
}

impl Metrics {
    /// Registers the exporter's own families with `registry`.
    ///
    /// # Errors
    /// The registry has a family of the same name already.
    pub fn new(
        registry: Registry,
        detail: Detail,
        started: SystemTime,
    ) -> prometheus::Result<Self> {
        let own = OwnMetrics::register(&registry)?;
        own.initialise();
        let started_unix_seconds = unix_seconds(started);
        Ok(Self { registry, own, checks: CheckBlocks::new(detail), started_unix_seconds })
    }

    /// What the exporter measures of itself.
    pub fn own(&self) -> &OwnMetrics {
        &self.own
    }

    /// The registry whose families are exposed beside those of the checks.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Encodes a scrape. It may take milliseconds, so it does not belong on an event loop.
    pub fn expose(
        &self,
        scrape: Scrape<impl FnOnce() -> Snapshot>,
        format: Format,
        gzip: bool,
        now: Instant,
        wall: SystemTime,
    ) -> Exposed {
        let began = Instant::now();
        let block = self.checks.get(format, scrape.version, now, scrape.snapshot);
        let checks = if gzip { block.compressed() } else { block.plain() };
        self.own.show_phase(scrape.phase);
        self.own.checks_configured.set(i64::try_from(scrape.checks).unwrap_or(i64::MAX));
        self.own.time.set(unix_seconds(wall));
        self.own.scrape_samples.set(i64::try_from(block.rows).unwrap_or(i64::MAX));
        self.own.scrape_duration.set(began.elapsed().as_secs_f64());
        let mut out = Exposition::new(format);
        let gathered = self.registry.gather();
        gathered::write(&gathered, &mut out);
        // A program that embeds us may collect these itself, and a family must not stand twice.
        let collects = |prefix| gathered.iter().any(|family| family.name().starts_with(prefix));
        if !collects("process_") {
            process::write_process(&mut out, self.started_unix_seconds);
        }
        if let (Some(runtime), false) = (scrape.runtime, collects("tokio_")) {
            process::write_runtime(&mut out, &runtime.metrics());
        }
        let own = out.finish();
        let own = if gzip { compress(&own) } else { own.into() };
        Exposed { blocks: [checks, own] }
    }

    /// The families of the checks as a collector for another registry.
    pub fn collector(
        self: &Arc<Self>,
        snapshot: impl Fn() -> Snapshot + Send + Sync + 'static,
    ) -> CheckCollector {
        CheckCollector::new(self.clone(), Box::new(snapshot))
    }
}

/// A family as the documentation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyDoc {
    /// The name.
    pub name: String,
    /// `gauge`, `counter`, `histogram` or `summary`.
    pub metric_type: &'static str,
    /// The labels.
    pub labels: Vec<String>,
    /// The help text.
    pub help: String,
    /// The kind of check that fills it; `None` for every check or the exporter itself.
    pub kind: Option<&'static str>,
}

/// Every family that the exporter can expose with these kinds, users' own ones aside.
pub fn catalogue(kinds: &[Kind]) -> Vec<FamilyDoc> {
    let base = ["check", "kind", "group"];
    let of_checks =
        families::FAMILIES.iter().filter(|family| family.detail != families::Shown::Compact);
    let of_checks = of_checks.map(|family| FamilyDoc {
        name: family.name.to_owned(),
        metric_type: family.metric_type.as_str(),
        labels: base.iter().chain(family.labels).map(ToString::to_string).collect(),
        help: family.help.to_owned(),
        kind: None,
    });
    let of_kinds = kinds.iter().flat_map(|kind| {
        kind.readings.iter().map(|def| FamilyDoc {
            name: def.name().to_owned(),
            metric_type: def.metric_type().as_str(),
            labels: base.iter().copied().chain(def.labels()).map(str::to_owned).collect(),
            help: def.help().to_owned(),
            kind: Some(kind.name),
        })
    });
    let group = |(name, help): (&str, &str), labels: &[&str]| FamilyDoc {
        name: name.to_owned(),
        metric_type: "gauge",
        labels: labels.iter().map(ToString::to_string).collect(),
        help: help.to_owned(),
        kind: None,
    };
    let of_groups = [group(GROUP_UP, &["group"]), group(GROUP_STATE, &["group", "state"])];
    let own = own::OWN_FAMILIES.iter().chain(process::PROCESS_FAMILIES).map(|family| FamilyDoc {
        name: family.name.to_owned(),
        metric_type: family.metric_type.as_str(),
        labels: family.labels.iter().map(ToString::to_string).collect(),
        help: family.help.to_owned(),
        kind: None,
    });
    of_checks.chain(of_groups).chain(of_kinds).chain(own).collect()
}

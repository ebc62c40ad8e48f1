//! The sections of a configuration beside the checks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{DEFAULT_LISTEN, settings::CheckSettings};
use crate::{job::Spec, name::Name, units::Period};

/// A validated configuration, the checks aside.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Who we are.
    pub service: ServiceSection,
    /// How we answer.
    pub server: ServerSection,
    /// How checks are run.
    pub engine: EngineSection,
    /// When we are ready.
    pub readiness: Readiness,
    /// What `/metrics` shows.
    pub metrics: MetricsSection,
    /// Changes with the content of the files.
    pub hash: String,
}

/// Who we are, shown in the health document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceSection {
    /// The name of the service. Default: health-exporter.
    pub name: Option<String>,
    /// The version of the service. Default: the version of the exporter.
    pub version: Option<String>,
    /// What tells replicas apart. Default: the name of the host.
    pub instance: Option<String>,
}

/// How the exporter answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSection {
    /// The address to listen on, overruled by `--listen` and `HEALTH_EXPORTER_LISTEN`.
    pub listen: String,
    /// How much everyone may see. Default: full on a loopback address, else names.
    pub show_details: Option<ShowDetails>,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self { listen: DEFAULT_LISTEN.to_owned(), show_details: None }
    }
}

/// How much the health documents show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShowDetails {
    /// Everything.
    Full,
    /// Names, states, reasons and since when.
    Names,
    /// The overall status only.
    None,
}

/// How checks are run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSection {
    /// Runs at once in all; 0 = no limit. Default: a quarter of the file descriptors that the
    /// process may open, at most 1024.
    pub max_concurrency: Option<usize>,
    /// Runs at once against one host; 0 = no limit.
    pub max_concurrency_per_host: usize,
    /// Threads that run probes. Default: one per core, at least 4.
    pub worker_threads: Option<usize>,
    /// After this time the first round of runs counts as done, whatever is missing.
    pub startup_deadline: Period,
    /// Between SIGTERM and the end of the server, while `/health/ready` says 503.
    pub drain_delay: Period,
}

impl Default for EngineSection {
    fn default() -> Self {
        Self {
            max_concurrency: None,
            max_concurrency_per_host: 32,
            worker_threads: None,
            startup_deadline: Period(Duration::from_secs(20)),
            drain_delay: Period(Duration::from_secs(5)),
        }
    }
}

/// When the exporter is ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Readiness {
    /// What makes it ready.
    pub policy: ReadinessPolicy,
    /// The checks that must be good, with the policy `list`.
    pub checks: Vec<Name>,
}

/// What makes the exporter ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadinessPolicy {
    /// The first round of runs is done.
    #[default]
    Started,
    /// And no critical check is bad.
    Critical,
    /// And none of the checks listed is bad.
    List,
}

/// What `/metrics` shows.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSection {
    /// How much is exported of each check.
    pub detail: Detail,
    /// Upper bounds of the histogram of durations, in seconds and rising.
    pub buckets: Vec<f64>,
    /// Readings that one check may have; more are dropped and counted.
    pub max_series: usize,
}

impl Default for MetricsSection {
    fn default() -> Self {
        Self { detail: Detail::Full, buckets: Spec::DURATION_BOUNDS.to_vec(), max_series: 1_000 }
    }
}

/// How much is exported of each check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Everything.
    Full,
    /// What alerts and the overview need; for thousands of checks.
    Compact,
}

/// The sections as they stand at the top of a file, for the JSON Schema.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
#[allow(dead_code)]
pub(super) struct TopLevel {
    /// Who we are, shown in the health document.
    service: ServiceSection,
    /// How the exporter answers.
    server: ServerSection,
    /// How checks are run.
    engine: EngineSection,
    /// Settings of every check that does not set them itself.
    defaults: CheckSettings,
    /// When `/health/ready` says yes.
    readiness: Readiness,
    /// What `/metrics` shows.
    metrics: MetricsSection,
    /// What is watched.
    #[schemars(with = "Vec<bool>")] // the schema of a check depends on the kinds
    checks: serde::de::IgnoredAny,
}

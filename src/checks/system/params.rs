//! The settings of a `system` check.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::sample::Resource;
use crate::{
    check::Params,
    node::Problem,
    units::{Limits, Ratio},
};

const ROOT: &str =
    if cfg!(target_os = "linux") { "an absolute path" } else { "`/`, since this is not Linux" };

/// Settings of a `system` check: CPU, memory, swap, load, pressure and file descriptors of a
/// machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SystemParams {
    /// Where the root of the watched machine is mounted: `/` for this machine (the default), or
    /// for example `/host` in a container that has the `/proc` of its host at `/host/proc`.
    /// Linux only.
    pub(super) root: PathBuf,
    /// Limits of the share of time that the CPUs are busy, since the run before (default null =
    /// off).
    pub(super) cpu: Option<Limits<Ratio>>,
    /// Limits of the share of memory that is not available (default 90% and 95%); null = off.
    /// The working set of a control group (version 2) with a memory limit is judged against that
    /// limit as well, in a container with a limit instead.
    pub(super) memory: Option<Limits<Ratio>>,
    /// Limits of the share of swap in use (default null = off).
    pub(super) swap: Option<Limits<Ratio>>,
    /// Limits of the load of five minutes divided by the number of CPUs (default null = off).
    pub(super) load: Option<Limits<f64>>,
    /// Limits of how much tasks wait for the machine (default null = off).
    pub(super) pressure: Option<PressureParams>,
    /// Limits of the share of file descriptors in use, of those of the machine and of those that
    /// this process may have (default 80% and 95%); null = off.
    pub(super) file_descriptors: Option<Limits<Ratio>>,
}

/// Limits of the share of the last minute in which at least one task waited for a resource
/// (`some avg60` of the kernel's pressure stall information). Linux only.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PressureParams {
    /// Limits of waiting for a CPU (default null = off).
    cpu: Option<Limits<Ratio>>,
    /// Limits of waiting for disks (default null = off).
    io: Option<Limits<Ratio>>,
    /// Limits of waiting for memory (default null = off).
    memory: Option<Limits<Ratio>>,
}

impl Default for SystemParams {
    fn default() -> Self {
        Self {
            root: "/".into(),
            cpu: None,
            memory: Some(Limits::new(Ratio(0.9), Ratio(0.95))),
            swap: None,
            load: None,
            pressure: None,
            file_descriptors: Some(Limits::new(Ratio(0.8), Ratio(0.95))),
        }
    }
}

impl SystemParams {
    /// Whether the watched machine is the one that we run on.
    pub(super) fn is_own_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The limits of waiting for a resource.
    pub(super) fn pressure(&self, resource: Resource) -> Option<Limits<Ratio>> {
        let limits = self.pressure.as_ref()?;
        match resource {
            Resource::Cpu => limits.cpu,
            Resource::Io => limits.io,
            Resource::Memory => limits.memory,
        }
    }

    /// Everything that is wrong although each value is well-formed.
    pub(super) fn problems(&self, params: &Params<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let possible = cfg!(target_os = "linux") && self.root.is_absolute();
        if !possible && !self.is_own_machine() {
            let message = format!("expected {ROOT}, found `{}`", self.root.display());
            problems.push(params.problem("root", message));
        }
        let pressure = Resource::ALL
            .map(|resource| (format!("pressure.{}", resource.as_str()), self.pressure(resource)));
        let ratios = [
            ("cpu".to_owned(), self.cpu),
            ("memory".to_owned(), self.memory),
            ("swap".to_owned(), self.swap),
            ("file_descriptors".to_owned(), self.file_descriptors),
        ];
        let ordered = ratios.into_iter().chain(pressure);
        let ordered = ordered.map(|(key, limits)| (key, limits.is_none_or(|it| it.rise())));
        let load = ("load".to_owned(), self.load.is_none_or(|limits| limits.rise()));
        for (key, _) in ordered.chain([load]).filter(|(_, ordered)| !ordered) {
            problems.push(params.problem(&key, "expected a warning that is not above critical"));
        }
        for (level, limit) in self.load.iter().flat_map(Limits::levels) {
            if !(limit.is_finite() && limit >= 0.0) {
                let message = format!("expected a number that is not negative, found `{limit}`");
                problems.push(params.problem(&format!("load.{}", level.as_str()), message));
            }
        }
        problems
    }
}

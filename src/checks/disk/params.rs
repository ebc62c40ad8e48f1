//! The settings of a `disk` check.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{mounts::Selection, pattern::Pattern};
use crate::{
    check::Params,
    node::Problem,
    units::{Limits, Ratio},
};

const ROOT: &str =
    if cfg!(target_os = "linux") { "an absolute path" } else { "`/`, since this is not Linux" };

/// Settings of a `disk` check: how full the file systems of a machine are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DiskParams {
    /// Where the root of the watched machine is mounted: `/` for this machine (the default), or
    /// for example `/host` in a container that has the `/` of its host there. Linux only.
    pub(super) root: PathBuf,
    /// Which file systems are watched.
    pub(super) mounts: Selection,
    /// Limits of the share of space in use, as `df` shows it (default 90% and 95%); null = off.
    pub(super) space: Option<Limits<Ratio>>,
    /// Limits of the share of inodes in use (default 90% and 95%); null = off.
    pub(super) inodes: Option<Limits<Ratio>>,
    /// Whether a file system that was writable and turns read-only, as after an I/O error, is
    /// unhealthy (default true). One that was never seen writable is not.
    pub(super) read_only: bool,
}

impl Default for DiskParams {
    fn default() -> Self {
        Self {
            root: "/".into(),
            mounts: Selection::default(),
            space: Some(Limits::new(Ratio(0.9), Ratio(0.95))),
            inodes: Some(Limits::new(Ratio(0.9), Ratio(0.95))),
            read_only: true,
        }
    }
}

impl DiskParams {
    /// Whether the watched machine is the one that we run on.
    pub(super) fn is_own_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Everything that is wrong although each value is well-formed.
    pub(super) fn problems(&self, params: &Params<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let possible = cfg!(target_os = "linux") && self.root.is_absolute();
        if !possible && !self.is_own_machine() {
            let message = format!("expected {ROOT}, found `{}`", self.root.display());
            problems.push(params.problem("root", message));
        }
        for (key, limits) in [("space", self.space), ("inodes", self.inodes)] {
            if limits.is_some_and(|limits| !limits.rise()) {
                problems.push(params.problem(key, "expected a warning that is not above critical"));
            }
        }
        for (index, name) in self.mounts.exclude.iter().map(Pattern::name).enumerate() {
            if let Some(name) = name.filter(|name| self.mounts.names(name)) {
                let message =
                    format!("expected a mount point that is not included, found `{name}`");
                problems.push(params.problem(&format!("mounts.exclude[{index}]"), message));
            }
        }
        problems
    }
}

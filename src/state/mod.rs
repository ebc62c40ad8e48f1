//! The rules: how runs become a reported state, when a state goes stale, how states add up.
//!
//! Everything here is pure: no clock is read and nothing is awaited.

mod aggregate;
mod damping;
mod record;
mod tally;

pub use aggregate::{Health, aggregate};
pub use damping::Damping;
pub use record::{Judged, Record};
pub use tally::{Skip, Tally};

use std::sync::Arc;

use crate::outcome::Status;

/// What is reported of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// As it should be.
    Healthy,
    /// Works, but something is off.
    Degraded,
    /// A verdict was reached and it is bad.
    Unhealthy,
    /// No verdict could be had.
    Error,
    /// Unknown: no run has completed yet.
    Pending,
    /// Unknown: no run has completed for too long.
    Stale,
}

impl State {
    /// Every state, in the order in which they are exported.
    pub const ALL: [Self; 6] =
        [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Error, Self::Pending, Self::Stale];

    /// The value of the label `state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Error => "error",
            Self::Pending => "pending",
            Self::Stale => "stale",
        }
    }

    /// The word of the health document, which knows one `unknown` with a reason.
    pub const fn status(self) -> &'static str {
        match self {
            Self::Pending | Self::Stale => "unknown",
            known => known.as_str(),
        }
    }

    /// Healthy or degraded.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }

    /// How bad a state is: 0 healthy, 1 degraded, 2 everything else.
    pub const fn severity(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            Self::Unhealthy | Self::Error | Self::Pending | Self::Stale => 2,
        }
    }
}

impl From<Status> for State {
    fn from(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Healthy,
            Status::Degraded => Self::Degraded,
            Status::Unhealthy => Self::Unhealthy,
            Status::Error => Self::Error,
        }
    }
}

/// Where the process stands in its life; it only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessPhase {
    /// The first round of runs is under way.
    Starting,
    /// Every check has run, or the deadline for that has passed.
    Running,
    /// The process is about to stop.
    Draining,
}

impl ProcessPhase {
    /// Every phase in its order.
    pub const ALL: [Self; 3] = [Self::Starting, Self::Running, Self::Draining];

    /// The word used in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
        }
    }
}

/// What a reader sees of all checks at once.
///
/// Each record is consistent in itself; consistency between records is not promised.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Grows with every change of a record.
    pub version: u64,
    /// Where the process stands.
    pub phase: ProcessPhase,
    /// In the order of the names.
    pub records: Vec<Arc<Record>>,
}

impl Snapshot {
    /// The record of a check.
    pub fn get(&self, name: &str) -> Option<&Arc<Record>> {
        let index = self.records.binary_search_by(|record| record.spec.name.as_str().cmp(name));
        index.ok().map(|index| &self.records[index])
    }
}

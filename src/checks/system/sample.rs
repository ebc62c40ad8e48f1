//! What one look at the machine gives.

use crate::outcome::lossy;

/// Everything that was seen; what could not be had is `None` or left out.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// How many CPUs work.
    pub(super) cpus: Option<u64>,
    /// Seconds that the CPUs spent since the start, by what they did.
    pub(super) cpu_seconds: Vec<(&'static str, f64)>,
    /// The share of time that the CPUs were busy since the look before.
    pub(super) cpu_used: Option<f64>,
    /// Of 1, 5 and 15 minutes.
    pub(super) load: Option<[f64; 3]>,
    pub(super) memory: Option<Memory>,
    /// `None` also for a machine without swap.
    pub(super) swap: Option<Memory>,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) pressure: Vec<(Resource, Pressure)>,
    /// Of the whole machine.
    pub(super) file_descriptors: Option<Descriptors>,
    /// Of this process.
    pub(super) own_file_descriptors: Option<Descriptors>,
    /// In seconds since 1970.
    pub(super) boot_time: Option<u64>,
    /// Files that are there, but not for us.
    pub(super) not_readable: Vec<String>,
}

/// Memory or swap, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) total: u64,
    /// What can be had without taking it from somebody who uses it.
    pub(super) available: u64,
}

/// The control group with the tightest memory limit that we are in, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cgroup {
    pub(super) limit: u64,
    pub(super) usage: u64,
    /// What is left of the usage when the kernel drops files that nobody reads.
    pub(super) working_set: u64,
    /// Whether all that we can see of the machine is limited, as in a container.
    pub(super) is_container: bool,
}

/// What tasks can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Cpu,
    Io,
    Memory,
}

/// How much tasks waited for a resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pressure {
    /// The share of the last minute in which at least one task waited.
    pub(super) waiting: f64,
    /// The time in which at least one task waited.
    pub(super) waiting_seconds: f64,
    /// The time in which all tasks that had something to do waited; the machine as a whole never
    /// does so for a CPU.
    pub(super) stalled_seconds: Option<f64>,
}

/// File descriptors in use and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptors {
    pub(super) open: u64,
    pub(super) max: u64,
}

impl Memory {
    pub(super) fn used_ratio(self) -> Option<f64> {
        ratio(self.total.saturating_sub(self.available), self.total)
    }
}

impl Cgroup {
    pub(super) fn used_ratio(self) -> Option<f64> {
        ratio(self.working_set, self.limit)
    }
}

impl Descriptors {
    pub(super) fn used_ratio(self) -> Option<f64> {
        ratio(self.open, self.max)
    }
}

fn worse(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| lossy(part) / lossy(whole))
}

impl Resource {
    pub(super) const ALL: [Self; 3] = [Self::Cpu, Self::Io, Self::Memory];

    /// The value of the label `resource`, the name of the kernel's file and the key of limits.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Io => "io",
            Self::Memory => "memory",
        }
    }
}

impl Sample {
    /// The load of five minutes for each CPU.
    pub(super) fn load5_per_cpu(&self) -> Option<f64> {
        let cpus = self.cpus.filter(|cpus| *cpus > 0)?;
        Some(self.load?[1] / lossy(cpus))
    }

    /// Memory in use of what limits us: the machine or a control group, whichever is worse.
    ///
    /// In a container with a limit of its own the rest of the machine is not its matter.
    pub(super) fn memory_used(&self) -> Option<f64> {
        let cgroup = self.cgroup.and_then(Cgroup::used_ratio);
        worse(self.own_memory().and_then(Memory::used_ratio), cgroup)
    }

    /// The memory of the machine, unless we are in a container with a limit.
    pub(super) fn own_memory(&self) -> Option<Memory> {
        self.memory.filter(|_| !self.cgroup.is_some_and(|cgroup| cgroup.is_container))
    }

    /// File descriptors in use, of the machine or of this process, whichever is worse.
    pub(super) fn file_descriptors_used(&self) -> Option<f64> {
        let used = |descriptors: Option<Descriptors>| descriptors.and_then(Descriptors::used_ratio);
        worse(used(self.file_descriptors), used(self.own_file_descriptors))
    }

    /// Whether nothing at all was seen.
    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_none() && self.load.is_none() && self.cpus.is_none()
    }
}

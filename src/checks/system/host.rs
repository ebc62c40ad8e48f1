//! The machine that is watched: ours by `sysinfo`, another one by its files.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, System};

#[cfg(target_os = "linux")]
use super::linux::Files;
use super::sample::{Memory, Sample};

/// Two looks at the CPUs that are closer than this say nothing about them.
pub(super) const CPU_WINDOW: Duration = MINIMUM_CPU_UPDATE_INTERVAL;

/// A machine with what is remembered of the look before.
pub(super) struct Host {
    /// `None` for a machine that is not our own, of which there only are files.
    own: Option<Own>,
    #[cfg(target_os = "linux")]
    files: Files,
}

impl Host {
    /// The machine whose root is mounted at a folder.
    ///
    /// # Errors
    /// This machine cannot be watched.
    pub(super) fn new(root: &Path) -> Result<Self, sysinfo::Error> {
        let is_own = root == Path::new("/");
        Ok(Self {
            own: is_own.then(Own::new).transpose()?,
            #[cfg(target_os = "linux")]
            files: Files::new(root, is_own),
        })
    }

    /// Everything that can be seen now; the use of the CPUs only from the second look on.
    pub(super) fn look(&mut self) -> Sample {
        let mut sample = Sample::default();
        if let Some(own) = &mut self.own {
            own.add(&mut sample);
        }
        #[cfg(target_os = "linux")]
        self.files.add(&mut sample);
        sample
    }
}

/// The machine that we run on.
struct Own {
    system: System,
    looked: Option<Instant>,
    cpu_used: Option<f64>,
}

impl Own {
    fn new() -> Result<Self, sysinfo::Error> {
        Ok(Self { system: System::new()?, looked: None, cpu_used: None })
    }

    fn add(&mut self, sample: &mut Sample) {
        self.look_at_cpus();
        self.system.refresh_memory();
        let system = &self.system;
        let memory = |total, available| (total > 0).then_some(Memory { total, available });
        sample.cpus = Some(system.cpus().len() as u64).filter(|cpus| *cpus > 0);
        sample.cpu_used = self.cpu_used;
        sample.memory = memory(system.total_memory(), system.available_memory());
        sample.swap = memory(system.total_swap(), system.free_swap());
        sample.load = System::load_average().ok().map(|load| [load.one, load.five, load.fifteen]);
        sample.boot_time = System::boot_time().ok();
    }

    fn look_at_cpus(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < CPU_WINDOW) {
            return;
        }
        self.system.refresh_cpu_usage();
        // The first look compares with the start of the machine.
        if self.looked.is_some() {
            self.cpu_used = Some(f64::from(self.system.global_cpu_usage()) / 100.0);
        }
        self.looked = Some(Instant::now());
    }
}

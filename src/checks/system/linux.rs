//! What only Linux tells about a machine, and all of it for a machine that is not our own.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{
    cgroup,
    proc::{self, Stat},
    sample::{Descriptors, Resource, Sample},
};

/// Files of the machine whose root is mounted at a folder.
pub(super) struct Files {
    root: PathBuf,
    /// Whether that is the machine that we run on.
    is_own: bool,
    /// Of the look before.
    stat: Option<Stat>,
    cpu_used: Option<f64>,
}

impl Files {
    pub(super) fn new(root: &Path, is_own: bool) -> Self {
        Self { root: root.to_owned(), is_own, stat: None, cpu_used: None }
    }

    /// Adds what is not in the sample yet.
    pub(super) fn add(&mut self, sample: &mut Sample) {
        self.add_cpus(sample);
        if self.is_own {
            self.add_own(sample);
        } else {
            self.add_basics(sample);
        }
        for resource in Resource::ALL {
            let path = format!("proc/pressure/{}", resource.as_str());
            let pressure = self.read(&path, sample, |text| proc::pressure(resource, text));
            sample.pressure.extend(pressure.map(|pressure| (resource, pressure)));
        }
        sample.file_descriptors = self.read("proc/sys/fs/file-nr", sample, proc::file_nr);
    }

    fn add_cpus(&mut self, sample: &mut Sample) {
        let Some(stat) = self.read("proc/stat", sample, proc::stat) else { return };
        sample.cpu_seconds = stat.seconds();
        // `sysinfo` does not see CPUs that are added later.
        sample.cpus = Some(stat.cpus);
        if !self.is_own {
            sample.boot_time = stat.boot_time;
            let before = self.stat.replace(stat.clone());
            let used = before.and_then(|before| stat.busy_since(&before));
            self.cpu_used = used.or(self.cpu_used);
            sample.cpu_used = self.cpu_used;
        }
    }

    /// What `sysinfo` says of our own machine.
    fn add_basics(&self, sample: &mut Sample) {
        let memory = self.read("proc/meminfo", sample, |text| Some(proc::meminfo(text)));
        (sample.memory, sample.swap) = memory.unwrap_or_default();
        sample.load = self.read("proc/loadavg", sample, proc::loadavg);
    }

    /// What concerns this very process.
    fn add_own(&self, sample: &mut Sample) {
        let machine = sample.memory.map_or(u64::MAX, |memory| memory.total);
        let groups = self.read("proc/self/cgroup", sample, |text| Some(text.to_owned()));
        let mounts = self.read("proc/self/mountinfo", sample, |text| Some(text.to_owned()));
        sample.cgroup = groups.zip(mounts).and_then(|(groups, mounts)| {
            cgroup::memory(&groups, &mounts, machine, |path| fs::read_to_string(path).ok())
        });
        let max = self.read("proc/self/limits", sample, proc::max_open_files);
        // Looking into the folder opens one more.
        let open = fs::read_dir("/proc/self/fd").ok().map(|open| open.count().saturating_sub(1));
        let own = open.zip(max).map(|(open, max)| Descriptors { open: open as u64, max });
        sample.own_file_descriptors = own;
    }

    /// What a file says; one that is there, but not for us or not understood, is noted.
    fn read<T>(
        &self,
        path: &str,
        sample: &mut Sample,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = match fs::read(self.root.join(path)) {
            Ok(bytes) => parse(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(_) => None,
        };
        if parsed.is_none() {
            sample.not_readable.push(path.to_owned());
        }
        parsed
    }
}

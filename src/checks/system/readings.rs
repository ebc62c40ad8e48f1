//! The metric families of a `system` check.

use super::{
    params::SystemParams,
    sample::{Memory, Resource, Sample},
};
use crate::{
    check::ProbeContext,
    outcome::lossy,
    reading::ReadingDef,
    units::{Limits, Ratio},
};

/// Declares families without own labels but those given, and the list of all.
macro_rules! families {
    ($($name:ident = $kind:ident($text:literal, $help:literal $(, $label:literal)*);)*) => {
        $(const $name: ReadingDef = ReadingDef::$kind(
            concat!("health_system_", $text),
            concat!($help, ", as of the last background run."),
            &[$($label),*],
        );)*

        /// Every family.
        pub(super) const ALL: &[ReadingDef] = &[$($name),*];
    };
}

families! {
    CPUS = gauge("cpus", "CPUs that are online");
    CPU_SECONDS = counter("cpu_seconds_total", "Time of all CPUs by what they did", "mode");
    CPU_USED = gauge("cpu_used_ratio", "Share of time that the CPUs were busy since the run before");
    CPU_USED_THRESHOLD = gauge(
        "cpu_used_threshold_ratio", "Configured limit of health_system_cpu_used_ratio", "level");
    LOAD1 = gauge("load1", "Load average of 1 minute");
    LOAD5 = gauge("load5", "Load average of 5 minutes");
    LOAD15 = gauge("load15", "Load average of 15 minutes");
    LOAD5_PER_CPU = gauge("load5_per_cpu", "Load average of 5 minutes divided by the CPUs");
    LOAD5_PER_CPU_THRESHOLD = gauge(
        "load5_per_cpu_threshold", "Configured limit of health_system_load5_per_cpu", "level");
    MEMORY_TOTAL = gauge("memory_total_bytes", "Memory of the machine");
    MEMORY_AVAILABLE = gauge("memory_available_bytes", "Memory to be had without swapping");
    MEMORY_USED = gauge(
        "memory_used_ratio",
        "Share in use of the machine's memory or of a control group's limit, whichever is worse, \
         in a container with a limit of the limit");
    MEMORY_USED_THRESHOLD = gauge(
        "memory_used_threshold_ratio", "Configured limit of health_system_memory_used_ratio",
        "level");
    CGROUP_LIMIT = gauge(
        "cgroup_memory_limit_bytes", "Tightest memory limit of our control groups");
    CGROUP_USAGE = gauge("cgroup_memory_usage_bytes", "Memory in use in the group of that limit");
    CGROUP_WORKING_SET = gauge(
        "cgroup_memory_working_set_bytes",
        "Memory in use in the group of that limit without files that nobody reads");
    SWAP_TOTAL = gauge("swap_total_bytes", "Swap of the machine");
    SWAP_FREE = gauge("swap_free_bytes", "Swap that is free");
    SWAP_USED = gauge("swap_used_ratio", "Share of the swap in use");
    SWAP_USED_THRESHOLD = gauge(
        "swap_used_threshold_ratio", "Configured limit of health_system_swap_used_ratio", "level");
    PRESSURE_WAITING = counter(
        "pressure_waiting_seconds_total", "Time in which a task waited for the resource",
        "resource");
    PRESSURE_STALLED = counter(
        "pressure_stalled_seconds_total", "Time in which every task waited for the resource",
        "resource");
    PRESSURE_RATIO = gauge(
        "pressure_waiting_ratio", "Share of one minute in which a task waited for the resource",
        "resource");
    PRESSURE_RATIO_THRESHOLD = gauge(
        "pressure_waiting_threshold_ratio",
        "Configured limit of health_system_pressure_waiting_ratio", "resource", "level");
    FILE_DESCRIPTORS = gauge("file_descriptors", "File descriptors open on the machine");
    FILE_DESCRIPTORS_MAX = gauge(
        "file_descriptors_max", "File descriptors that can be open on the machine");
    FILE_DESCRIPTORS_USED = gauge(
        "file_descriptors_used_ratio",
        "Share of the file descriptors open, of the machine or of our process, whichever is worse");
    FILE_DESCRIPTORS_USED_THRESHOLD = gauge(
        "file_descriptors_used_threshold_ratio",
        "Configured limit of health_system_file_descriptors_used_ratio", "level");
    BOOT_TIME = gauge("boot_time_seconds", "When the machine started, in seconds since 1970");
}

/// Records what is configured.
pub(super) fn limits(context: &ProbeContext, params: &SystemParams) {
    let ratios = [
        (CPU_USED_THRESHOLD, params.cpu),
        (MEMORY_USED_THRESHOLD, params.memory),
        (SWAP_USED_THRESHOLD, params.swap),
        (FILE_DESCRIPTORS_USED_THRESHOLD, params.file_descriptors),
    ];
    for (def, limits) in ratios {
        for (level, limit) in limits.iter().flat_map(Limits::levels) {
            context.read(&def, &[level.as_str()], limit.0);
        }
    }
    for (level, limit) in params.load.iter().flat_map(Limits::levels) {
        context.read(&LOAD5_PER_CPU_THRESHOLD, &[level.as_str()], limit);
    }
    for resource in Resource::ALL {
        for (level, Ratio(limit)) in params.pressure(resource).iter().flat_map(Limits::levels) {
            let labels = [resource.as_str(), level.as_str()];
            context.read(&PRESSURE_RATIO_THRESHOLD, &labels, limit);
        }
    }
}

/// Records what was seen.
pub(super) fn record(context: &ProbeContext, sample: &Sample) {
    let read = |def: &ReadingDef, value: Option<f64>| {
        if let Some(value) = value {
            context.read(def, &[], value);
        }
    };
    let total = |memory: Option<Memory>| memory.map(|memory| lossy(memory.total));
    let available = |memory: Option<Memory>| memory.map(|memory| lossy(memory.available));
    let load = sample.load;
    let cgroup = sample.cgroup;
    let descriptors = sample.file_descriptors;
    read(&CPUS, sample.cpus.map(lossy));
    for (mode, seconds) in &sample.cpu_seconds {
        context.read(&CPU_SECONDS, &[mode], *seconds);
    }
    read(&LOAD1, load.map(|load| load[0]));
    read(&LOAD5, load.map(|load| load[1]));
    read(&LOAD15, load.map(|load| load[2]));
    read(&LOAD5_PER_CPU, sample.load5_per_cpu());
    read(&MEMORY_TOTAL, total(sample.memory));
    read(&MEMORY_AVAILABLE, available(sample.memory));
    read(&MEMORY_USED, sample.memory_used());
    read(&CGROUP_LIMIT, cgroup.map(|cgroup| lossy(cgroup.limit)));
    read(&CGROUP_USAGE, cgroup.map(|cgroup| lossy(cgroup.usage)));
    read(&CGROUP_WORKING_SET, cgroup.map(|cgroup| lossy(cgroup.working_set)));
    read(&SWAP_TOTAL, total(sample.swap));
    read(&SWAP_FREE, available(sample.swap));
    read(&SWAP_USED, sample.swap.and_then(Memory::used_ratio));
    for (resource, pressure) in &sample.pressure {
        let labels = [resource.as_str()];
        context.read(&PRESSURE_WAITING, &labels, pressure.waiting_seconds);
        if let Some(stalled) = pressure.stalled_seconds {
            context.read(&PRESSURE_STALLED, &labels, stalled);
        }
        context.read(&PRESSURE_RATIO, &labels, pressure.waiting);
    }
    read(&FILE_DESCRIPTORS, descriptors.map(|descriptors| lossy(descriptors.open)));
    read(&FILE_DESCRIPTORS_MAX, descriptors.map(|descriptors| lossy(descriptors.max)));
    read(&FILE_DESCRIPTORS_USED, sample.file_descriptors_used());
    read(&BOOT_TIME, sample.boot_time.map(lossy));
}

/// Records how busy the CPUs were, which is known later than the rest in the first run.
pub(super) fn cpu_used(context: &ProbeContext, ratio: f64) {
    context.read(&CPU_USED, &[], ratio);
}

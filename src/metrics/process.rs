//! `process_*` and `tokio_*`: the process and its event loop, read at every scrape.

use std::fs;

use tokio::runtime::RuntimeMetrics;

use super::{
    exposition::{Base, FamilyType, Sink},
    own::{OwnFamily, own},
};
use crate::outcome::lossy;

const CPU: OwnFamily = own(
    FamilyType::Counter,
    "process_cpu_seconds_total",
    &[],
    "Processor time that the process has used, user and system.",
);
const RESIDENT: OwnFamily =
    own(FamilyType::Gauge, "process_resident_memory_bytes", &[], "Resident memory of the process.");
const VIRTUAL: OwnFamily =
    own(FamilyType::Gauge, "process_virtual_memory_bytes", &[], "Virtual memory of the process.");
const THREADS: OwnFamily =
    own(FamilyType::Gauge, "process_threads", &[], "Threads of the process.");
const OPEN_FDS: OwnFamily =
    own(FamilyType::Gauge, "process_open_fds", &[], "Open file descriptors of the process.");
const MAX_FDS: OwnFamily = own(
    FamilyType::Gauge,
    "process_max_fds",
    &[],
    "How many file descriptors the process may open.",
);
const START_TIME: OwnFamily =
    own(FamilyType::Gauge, "process_start_time_seconds", &[], "When the process was started.");
const WORKERS: OwnFamily = own(
    FamilyType::Gauge,
    "tokio_workers",
    &[],
    "Worker threads of the runtime that runs the probes.",
);
const TASKS: OwnFamily =
    own(FamilyType::Gauge, "tokio_alive_tasks", &[], "Tasks of that runtime that are alive.");
const QUEUE: OwnFamily = own(
    FamilyType::Gauge,
    "tokio_global_queue_depth",
    &[],
    "Tasks that wait in the global queue of that runtime.",
);
const BUSY: OwnFamily = own(
    FamilyType::Counter,
    "tokio_worker_busy_seconds_total",
    &["worker"],
    "Time that each worker thread was busy.",
);
const PARKS: OwnFamily = own(
    FamilyType::Counter,
    "tokio_worker_parks_total",
    &["worker"],
    "How often each worker thread went to sleep.",
);

/// Every family of this file.
pub(super) const PROCESS_FAMILIES: &[OwnFamily] = &[
    CPU, RESIDENT, VIRTUAL, THREADS, OPEN_FDS, MAX_FDS, START_TIME, WORKERS, TASKS, QUEUE, BUSY,
    PARKS,
];

fn begin(out: &mut dyn Sink, family: &OwnFamily) {
    out.family(family.name, family.help, family.metric_type);
}

fn single(out: &mut dyn Sink, family: &OwnFamily, value: Option<f64>) {
    if let Some(value) = value {
        begin(out, family);
        out.row("", Base::default(), &[], value);
    }
}

/// Writes what the system knows of this process; nothing where there is no `/proc`.
pub(super) fn write_process(out: &mut dyn Sink, started_unix_seconds: f64) {
    let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text));
    let limits = fs::read_to_string("/proc/self/limits").ok();
    // The listing holds one descriptor itself.
    let open = fs::read_dir("/proc/self/fd").ok().map(|open| lossy(open.count() as u64) - 1.0);
    single(out, &CPU, stat.as_ref().map(|stat| stat.cpu_seconds));
    single(out, &RESIDENT, stat.as_ref().map(|stat| stat.resident_bytes));
    single(out, &VIRTUAL, stat.as_ref().map(|stat| stat.virtual_bytes));
    single(out, &THREADS, stat.as_ref().map(|stat| stat.threads));
    single(out, &OPEN_FDS, open);
    single(out, &MAX_FDS, limits.as_deref().and_then(max_open_files));
    single(out, &START_TIME, Some(started_unix_seconds));
}

/// The number of file descriptors that `/proc/self/limits` allows.
pub fn max_open_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The fields of `/proc/self/stat` that are exported; see proc(5).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

/// What the kernel counts processor time in; fixed at 100 a second for user space.
const TICKS_PER_SECOND: f64 = 100.0;

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field, the command, may hold anything, spaces and brackets too.
        let fields: Vec<_> = text.rsplit_once(") ")?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
        let page = page_size();
        Some(Self {
            cpu_seconds: (number(11)? + number(12)?) / TICKS_PER_SECOND,
            threads: number(17)?,
            virtual_bytes: number(20)?,
            resident_bytes: number(21)? * page,
        })
    }
}

/// Where there is no `/proc`, nobody asks.
fn page_size() -> f64 {
    #[cfg(unix)]
    let bytes = rustix::param::page_size() as u64;
    #[cfg(not(unix))]
    let bytes = 4_096;
    lossy(bytes)
}

/// Writes what a runtime says of itself.
pub(super) fn write_runtime(out: &mut dyn Sink, runtime: &RuntimeMetrics) {
    let workers = runtime.num_workers();
    single(out, &WORKERS, Some(lossy(workers as u64)));
    single(out, &TASKS, Some(lossy(runtime.num_alive_tasks() as u64)));
    single(out, &QUEUE, Some(lossy(runtime.global_queue_depth() as u64)));
    begin(out, &BUSY);
    for worker in 0..workers {
        let busy = runtime.worker_total_busy_duration(worker).as_secs_f64();
        out.row("", Base::default(), &[("worker", &worker.to_string())], busy);
    }
    begin(out, &PARKS);
    for worker in 0..workers {
        let parks = lossy(runtime.worker_park_count(worker));
        out.row("", Base::default(), &[("worker", &worker.to_string())], parks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_may_hold_brackets_and_spaces() {
        let page = page_size();
        let text = "42 (a b) c) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 7 0 100 \
                    1000000 250 18446744073709551615";
        let stat = Stat::parse(text).unwrap();
        let expected = Stat {
            cpu_seconds: 2.0,
            threads: 7.0,
            virtual_bytes: 1_000_000.0,
            resident_bytes: 250.0 * page,
        };
        assert_eq!(stat, expected);
    }

    #[test]
    fn the_limit_of_descriptors_is_the_soft_one() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(max_open_files(text), Some(1024.0));
        assert_eq!(max_open_files("Max open files            unlimited\n"), None);
    }
}

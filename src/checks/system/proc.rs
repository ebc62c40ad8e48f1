//! Parsers of small files below `/proc`: functions of their text.

use super::sample::{Descriptors, Memory, Pressure, Resource};
use crate::outcome::lossy;

/// The kernel counts CPU time in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// What `/proc/stat` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    /// Ticks of all CPUs together, in the order of [`MODES`].
    ticks: [u64; MODES.len()],
    pub(super) cpus: u64,
    pub(super) boot_time: Option<u64>,
}

/// What a CPU can spend its time on, in the order of the file. Time spent on guests is part of
/// `user` and `nice`.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const IDLE: [usize; 2] = [3, 4];

pub(super) fn stat(text: &str) -> Option<Stat> {
    let mut all = text.lines().find_map(|line| line.strip_prefix("cpu "))?.split_whitespace();
    let mut ticks = [0; MODES.len()];
    for count in &mut ticks {
        *count = all.next()?.parse().ok()?;
    }
    let is_cpu = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let boot_time = text.lines().find_map(|line| line.strip_prefix("btime "));
    Some(Stat {
        ticks,
        cpus: text.lines().filter(is_cpu).count() as u64,
        boot_time: boot_time.and_then(|seconds| seconds.trim().parse().ok()),
    })
}

impl Stat {
    pub(super) fn seconds(&self) -> Vec<(&'static str, f64)> {
        let seconds = self.ticks.map(|ticks| lossy(ticks) / TICKS_PER_SECOND);
        MODES.into_iter().zip(seconds).collect()
    }

    /// The share of time that the CPUs were busy since an earlier state; `None` when no time has
    /// passed.
    pub(super) fn busy_since(&self, before: &Self) -> Option<f64> {
        // A CPU that is taken away takes its ticks with it.
        let passed = |mode: usize| self.ticks[mode].saturating_sub(before.ticks[mode]);
        let total: u64 = (0..MODES.len()).map(passed).sum();
        let idle: u64 = IDLE.into_iter().map(passed).sum();
        (total > 0).then(|| lossy(total - idle) / lossy(total))
    }
}

/// Memory and swap of `/proc/meminfo`; swap is `None` when there is none.
pub(super) fn meminfo(text: &str) -> (Option<Memory>, Option<Memory>) {
    let bytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        kibibytes.checked_mul(1_024)
    };
    let pair = |total: &str, available: &str| {
        let total = bytes(total).filter(|total| *total > 0)?;
        Some(Memory { total, available: bytes(available)? })
    };
    (pair("MemTotal", "MemAvailable"), pair("SwapTotal", "SwapFree"))
}

/// The averages of 1, 5 and 15 minutes of `/proc/loadavg`.
pub(super) fn loadavg(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?])
}

/// A file of `/proc/pressure`.
pub(super) fn pressure(resource: Resource, text: &str) -> Option<Pressure> {
    let field = |kind: &str, key: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        line.split_whitespace().find_map(|field| field.strip_prefix(key))?.parse().ok()
    };
    let seconds = |kind: &str| field(kind, "total=").map(|microseconds| microseconds / 1e6);
    Some(Pressure {
        waiting: field("some ", "avg60=")? / 100.0,
        waiting_seconds: seconds("some ")?,
        stalled_seconds: seconds("full ").filter(|_| resource != Resource::Cpu),
    })
}

/// `/proc/sys/fs/file-nr`.
pub(super) fn file_nr(text: &str) -> Option<Descriptors> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some(Descriptors { open: numbers.next()?.ok()?, max: numbers.nth(1)?.ok()? })
}

/// The soft limit of open files in `/proc/self/limits`.
pub(super) fn max_open_files(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        limit => limit.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "\
cpu  1000 20 300 4000 50 6 7 8 90 10
cpu0 500 10 150 2000 25 3 4 4 45 5
cpu1 500 10 150 2000 25 3 3 4 45 5
intr 12345 0 0
ctxt 678
btime 1767323041
processes 99
";

    #[test]
    fn cpu_time_is_counted_by_mode() {
        let stat = stat(STAT).unwrap();
        assert_eq!((stat.cpus, stat.boot_time), (2, Some(1_767_323_041)));
        let seconds = stat.seconds();
        assert_eq!(seconds[0], ("user", 10.0));
        assert_eq!(seconds[7], ("steal", 0.08));
    }

    #[test]
    fn waiting_for_disks_is_not_being_busy() {
        let before = stat("cpu  100 0 100 100 100 0 0 0\n").unwrap();
        let after = stat("cpu  110 0 120 150 110 5 3 2\n").unwrap();
        assert_eq!(after.busy_since(&before), Some(0.4));
        assert_eq!(before.busy_since(&before), None);
    }

    #[test]
    fn memory_is_judged_by_what_is_available() {
        let text = "MemTotal:       24684084 kB\nMemFree:        1 kB\nMemAvailable:   \
                    24308772 kB\nSwapTotal:       0 kB\nSwapFree:        0 kB\n";
        let (memory, swap) = meminfo(text);
        let expected = Memory { total: 24_684_084 * 1_024, available: 24_308_772 * 1_024 };
        assert_eq!((memory, swap), (Some(expected), None));
        assert_eq!(meminfo("MemTotal: 10 kB\n"), (None, None));
    }

    #[test]
    fn load_has_three_averages() {
        assert_eq!(loadavg("0.08 0.45 1.41 1/90 32266\n"), Some([0.08, 0.45, 1.41]));
        assert_eq!(loadavg("0.08 0.45"), None);
    }

    #[test]
    fn pressure_is_a_share_of_the_last_minute_and_a_total() {
        let text = "some avg10=0.00 avg60=12.50 avg300=4.42 total=73399325\n\
                    full avg10=0.00 avg60=0.50 avg300=0.00 total=1500000\n";
        let expected =
            Pressure { waiting: 0.125, waiting_seconds: 73.399_325, stalled_seconds: Some(1.5) };
        assert_eq!(pressure(Resource::Memory, text), Some(expected));
        assert_eq!(pressure(Resource::Cpu, text).unwrap().stalled_seconds, None);
        let old_kernel = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(pressure(Resource::Cpu, old_kernel).unwrap().stalled_seconds, None);
        assert_eq!(pressure(Resource::Io, ""), None);
    }

    #[test]
    fn descriptors_are_counted_for_the_machine_and_the_process() {
        let expected = Descriptors { open: 488, max: u64::MAX >> 1 };
        assert_eq!(file_nr("488\t0\t9223372036854775807\n"), Some(expected));
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   524288  files\n";
        assert_eq!(max_open_files(limits), Some(1_024));
        let unlimited = "Max open files  unlimited  unlimited  files\n";
        assert_eq!(max_open_files(unlimited), Some(u64::MAX));
    }
}

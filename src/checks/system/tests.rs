//! Whole runs, and verdicts on machines that are made up.

use std::{sync::Arc, time::Duration};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    KIND, System, build,
    host::Host,
    params::SystemParams,
    sample::{Cgroup, Descriptors, Memory, Pressure, Resource, Sample},
    verdict::judge,
};
use crate::{
    check::{Check as _, Params, ProbeContext, Shared},
    node,
    outcome::{Failure, Reason, Recording, Verdict},
};

const GIB: u64 = 1 << 30;

fn settings(text: &str) -> SystemParams {
    let node = node::parse(text, "f.yml").unwrap();
    Params::new(&node, "system").decode().unwrap()
}

fn system(text: &str) -> System {
    let params = settings(text);
    let host = Host::new(&params.root).unwrap();
    System { params, host: Arc::new(host.into()) }
}

async fn run(system: &System) -> (Result<Verdict, Failure>, Recording) {
    let context =
        ProbeContext::new(Duration::from_secs(30), CancellationToken::new(), Handle::current());
    let verdict = system.probe(&context).await;
    (verdict, context.take_recording().0)
}

fn value(recording: &Recording, family: &str, labels: &[&str]) -> Option<f64> {
    let family = format!("health_system_{family}");
    let wanted = recording.readings.iter().find(|reading| {
        reading.def.name() == family
            && reading.labels.iter().map(|label| &**label).eq(labels.to_vec())
    });
    wanted.map(|reading| reading.value)
}

fn memory(available: u64, total: u64) -> Sample {
    let memory = Memory { total: total * GIB, available: available * GIB };
    Sample { memory: Some(memory), ..Sample::default() }
}

#[test]
fn memory_is_named_with_what_is_left() {
    let defaults = SystemParams::default();
    assert_eq!(judge(&defaults, &memory(2, 16)), Verdict::Healthy);
    assert_eq!(
        judge(&defaults, &memory(1, 16)),
        Verdict::degraded(
            Reason::Threshold,
            "1GiB of 16GiB memory available, used 93.8% at or above warning 90%"
        )
    );
    assert!(matches!(judge(&defaults, &memory(0, 16)), Verdict::Unhealthy(_)));
}

#[test]
fn a_container_with_a_limit_answers_for_that_limit_only() {
    let cgroup = Cgroup { limit: 2 * GIB, usage: 2 * GIB, working_set: GIB, is_container: true };
    let mut sample = Sample { cgroup: Some(cgroup), ..memory(0, 16) };
    assert_eq!(sample.memory_used(), Some(0.5));
    assert_eq!(judge(&SystemParams::default(), &sample), Verdict::Healthy);

    // A service that is limited lives on a machine that is not.
    sample.cgroup = Some(Cgroup { is_container: false, ..cgroup });
    assert_eq!(sample.memory_used(), Some(1.0));
    assert!(matches!(judge(&SystemParams::default(), &sample), Verdict::Unhealthy(_)));

    let full = Cgroup { working_set: 2 * GIB, is_container: false, ..cgroup };
    let sample = Sample { cgroup: Some(full), ..memory(8, 16) };
    let message = "2GiB of 2GiB memory of the control group in use, 100% at or above critical 95%";
    let expected = Verdict::unhealthy(Reason::Threshold, message);
    assert_eq!(judge(&SystemParams::default(), &sample), expected);
}

#[test]
fn file_descriptors_run_out_for_the_machine_or_for_this_process() {
    let enough = Some(Descriptors { open: 1, max: 1_000 });
    let scarce = Some(Descriptors { open: 850, max: 1_000 });
    let sample = |machine, own| Sample {
        file_descriptors: machine,
        own_file_descriptors: own,
        ..memory(8, 16)
    };
    for (sample, whose) in
        [(sample(scarce, enough), "the machine"), (sample(enough, scarce), "this process")]
    {
        let message =
            format!("850 of 1000 file descriptors of {whose} open, 85% at or above warning 80%");
        assert_eq!(
            judge(&SystemParams::default(), &sample),
            Verdict::degraded(Reason::Threshold, message)
        );
        assert_eq!(sample.file_descriptors_used(), Some(0.85));
    }
}

#[test]
fn what_is_off_by_default_is_judged_when_it_has_limits() {
    let pressure = Pressure { waiting: 0.45, waiting_seconds: 1.0, stalled_seconds: Some(0.5) };
    let sample = Sample {
        cpus: Some(4),
        cpu_used: Some(0.97),
        load: Some([1.0, 9.0, 1.0]),
        swap: Some(Memory { total: 4 * GIB, available: GIB }),
        pressure: vec![(Resource::Io, pressure)],
        ..memory(8, 16)
    };
    assert_eq!(judge(&SystemParams::default(), &sample), Verdict::Healthy);
    for (text, message) in [
        ("cpu: {warning: 90%}", "CPUs busy 97% at or above warning 90%"),
        ("load: {warning: 2}", "load of 5 minutes per CPU 2.25 at or above warning 2"),
        ("swap: {warning: 0.5}", "1GiB of 4GiB swap free, used 75% at or above warning 50%"),
        (
            "pressure: {io: {warning: 40%, critical: 60%}}",
            "share of the last minute with tasks waiting for io 45% at or above warning 40%",
        ),
    ] {
        let expected = Verdict::degraded(Reason::Threshold, message);
        assert_eq!(judge(&settings(text), &sample), expected, "{text}");
    }
}

#[test]
fn limits_that_cannot_be_judged_do_not_look_healthy() {
    let message = "limits are set for memory pressure, which this machine does not tell";
    assert_eq!(
        judge(&settings("pressure: {memory: {warning: 10%}}"), &memory(8, 16)),
        Verdict::degraded(Reason::Config, message)
    );
    // A machine without swap is no such case.
    assert_eq!(judge(&settings("swap: {warning: 10%}"), &memory(8, 16)), Verdict::Healthy);
}

#[tokio::test]
async fn the_first_run_already_knows_how_busy_the_cpus_are() {
    let system = system("{memory: null, file_descriptors: null, load: {critical: 1000}}");
    for _ in 0..2 {
        let (verdict, recording) = run(&system).await;
        assert_eq!(verdict.unwrap(), Verdict::Healthy);
        let used = value(&recording, "cpu_used_ratio", &[]).unwrap();
        assert!((0.0..=1.0).contains(&used), "{used}");
        assert!(value(&recording, "memory_total_bytes", &[]).unwrap() > 0.0);
        assert!(value(&recording, "boot_time_seconds", &[]).unwrap() > 0.0);
        assert_eq!(value(&recording, "load5_per_cpu_threshold", &["critical"]), Some(1_000.0));
        assert_eq!(value(&recording, "memory_used_threshold_ratio", &["warning"]), None);
        if cfg!(target_os = "linux") {
            assert!(value(&recording, "cpu_seconds_total", &["idle"]).unwrap() > 0.0);
            assert!(value(&recording, "file_descriptors", &[]).unwrap() > 0.0);
        }
    }
}

#[test]
fn a_look_that_hangs_is_not_joined_by_another() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let system = system("{}");
    let stuck = system.host.lock().unwrap();
    let failure = runtime.block_on(run(&system)).0.unwrap_err();
    assert_eq!(failure.reason, Reason::Timeout);
    assert_eq!(failure.message, "an earlier look at the machine has not ended");
    drop(stuck);
    assert!(runtime.block_on(run(&system)).0.is_ok());
}

#[tokio::test]
async fn every_family_is_declared() {
    let pressure = "pressure: {cpu: {warning: 1}, io: {warning: 1}, memory: {warning: 1}}";
    let limits = "cpu: {warning: 1}, swap: {warning: 1}, load: {warning: 1000}";
    let (_, recording) = run(&system(&format!("{{{limits}, {pressure}}}"))).await;
    for reading in recording.readings {
        assert!(KIND.readings.contains(&reading.def), "{:?}", reading.def);
    }
}

fn problems(text: &str) -> Vec<String> {
    let node = node::parse(text, "f.yml").unwrap();
    let (wire, lag) = (Arc::default(), Arc::default());
    let shared = Shared { wire, runtime: Handle::current(), lag };
    let Err(problems) = build(Params::new(&node, "system"), &shared) else { panic!("built") };
    problems.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_rule_that_is_broken_is_reported() {
    let text = "\
memory: {warning: 95%, critical: 90%}
load:
  warning: -1
  critical: NaN
pressure:
  io: {warning: 0.5, critical: 0.4}
";
    assert_eq!(
        problems(text),
        [
            "f.yml:1:9: system.memory: expected a warning that is not above critical",
            "f.yml:6:7: system.pressure.io: expected a warning that is not above critical",
            "f.yml:3:12: system.load.warning: expected a number that is not negative, found `-1`",
            "f.yml:4:13: system.load.critical: expected a number that is not negative, found `NaN`",
        ]
    );
}

#[tokio::test]
async fn another_root_is_an_absolute_path_on_linux() {
    let expected =
        if cfg!(target_os = "linux") { "an absolute path" } else { "`/`, since this is not Linux" };
    let problem = format!("f.yml:1:7: system.root: expected {expected}, found `host`");
    assert_eq!(problems("root: host"), [problem]);
}

#[cfg(target_os = "linux")]
mod another_root {
    use std::{fs, path::Path};

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join("proc").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn at(root: &Path) -> System {
        system(&format!("{{root: '{}', memory: {{warning: 50%}}}}", root.display()))
    }

    #[tokio::test]
    async fn is_read_from_its_files() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "stat", "cpu  100 0 0 100 0 0 0 0\ncpu0 1\ncpu1 1\nbtime 1767323041\n");
        write(root, "meminfo", "MemTotal: 8388608 kB\nMemAvailable: 2097152 kB\n");
        write(root, "loadavg", "0.5 3.0 1.5 1/90 1\n");
        write(root, "pressure/io", "some avg10=0 avg60=25.00 avg300=0 total=2000000\n");
        write(root, "pressure/memory", "?\n");
        let system = at(root);
        let context = ProbeContext::new(
            Duration::from_millis(1),
            CancellationToken::new(),
            Handle::current(),
        );
        let verdict = system.probe(&context).await.unwrap();
        let recording = context.take_recording().0;
        let message = "2GiB of 8GiB memory available, used 75% at or above warning 50%";
        assert_eq!(verdict, Verdict::degraded(Reason::Threshold, message));
        assert_eq!(value(&recording, "cpu_used_ratio", &[]), None, "one look, one sample");
        assert_eq!(value(&recording, "cpus", &[]), Some(2.0));
        assert_eq!(value(&recording, "load5_per_cpu", &[]), Some(1.5));
        assert_eq!(value(&recording, "boot_time_seconds", &[]), Some(1_767_323_041.0));
        assert_eq!(value(&recording, "pressure_waiting_ratio", &["io"]), Some(0.25));
        assert_eq!(value(&recording, "pressure_stalled_seconds_total", &["io"]), None);
        assert_eq!(value(&recording, "swap_total_bytes", &[]), None);
        let not_readable = ("not_readable".into(), "proc/pressure/memory".into());
        assert!(recording.details.contains(&not_readable), "{:?}", recording.details);

        write(root, "stat", "cpu  130 0 0 170 0 0 0 0\ncpu0 1\n");
        let (_, recording) = run(&system).await;
        assert_eq!(value(&recording, "cpu_used_ratio", &[]), Some(0.3));
        assert_eq!(value(&recording, "cpus", &[]), Some(1.0));
    }

    #[tokio::test]
    async fn that_is_not_mounted_is_a_matter_of_configuration() {
        let root = tempfile::tempdir().unwrap();
        let (verdict, recording) = run(&at(root.path())).await;
        let failure = verdict.unwrap_err();
        assert_eq!(failure.reason, Reason::Config);
        let root = root.path().display();
        let message = format!("nothing of the machine at {root} can be read, is its /proc there?");
        assert_eq!(failure.message, message);
        assert_eq!(value(&recording, "memory_used_threshold_ratio", &["warning"]), Some(0.5));
    }
}

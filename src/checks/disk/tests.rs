//! Whole runs against file systems that do what a test wants.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    Disk, build,
    params::DiskParams,
    usage::{FileSystems, Files, Usage},
};
use crate::{
    check::{Check as _, Params, ProbeContext, Shared},
    mountinfo::{self, Mount},
    node,
    outcome::{Failure, Finding, Reason, Recording, Scalar, Verdict},
};

type Asked = Box<dyn Fn(&str) -> io::Result<Usage> + Send + Sync>;

/// Mounts given as text, and a function that answers for each mount point.
struct Fake {
    mounts: Box<dyn Fn() -> io::Result<String> + Send + Sync>,
    usage: Asked,
}

impl FileSystems for Fake {
    fn mounts(&self) -> io::Result<Vec<Mount>> {
        Ok(mountinfo::parse(&(self.mounts)()?))
    }

    fn usage(&self, mount: &Mount) -> io::Result<Usage> {
        (self.usage)(&mount.mount_point)
    }
}

const TWO: &str = "\
27 1 8:0 / / rw - ext4 /dev/sda rw
28 27 8:16 / /data rw - ext4 /dev/sdb rw
";

fn percent_used(used: u64) -> Usage {
    Usage { size: 100 << 30, used: used << 30, available: (100 - used) << 30, files: None }
}

fn settings(text: &str) -> DiskParams {
    let node = node::parse(text, "f.yml").unwrap();
    Params::new(&node, "disk").decode().unwrap()
}

fn disk(
    text: &str,
    mounts: &'static str,
    usage: impl Fn(&str) -> io::Result<Usage> + Send + Sync + 'static,
) -> Disk {
    let mounts = Box::new(move || Ok(mounts.to_owned()));
    Disk::new(settings(text), Fake { mounts, usage: Box::new(usage) })
}

async fn run_within(disk: &Disk, timeout: Duration) -> (Result<Verdict, Failure>, Recording) {
    let context = ProbeContext::new(timeout, CancellationToken::new(), Handle::current());
    let verdict = disk.probe(&context).await;
    (verdict, context.take_recording().0)
}

async fn run(disk: &Disk) -> (Result<Verdict, Failure>, Recording) {
    run_within(disk, Duration::from_secs(5)).await
}

async fn verdict(disk: &Disk) -> Verdict {
    run(disk).await.0.unwrap()
}

fn value(recording: &Recording, family: &str, mount_point: &str) -> Option<f64> {
    let wanted = |reading: &&crate::reading::Reading| {
        reading.def.name() == format!("health_system_filesystem_{family}")
            && reading.labels.last().is_some_and(|label| **label == *mount_point)
    };
    recording.readings.iter().find(wanted).map(|reading| reading.value)
}

#[tokio::test]
async fn a_healthy_machine_shows_how_full_it_is() {
    let files = Files { total: 1_000, free: 750 };
    let disk = disk("{}", TWO, move |point| {
        let used = if point == "/data" { 60 } else { 20 };
        Ok(Usage { files: (point == "/").then_some(files), ..percent_used(used) })
    });
    let (verdict, recording) = run(&disk).await;
    assert_eq!(verdict.unwrap(), Verdict::Healthy);
    let labels: Vec<_> =
        recording.readings.iter().map(|reading| reading.labels.join(" ")).collect();
    assert!(labels.contains(&"/dev/sdb ext4 /data".to_owned()), "{labels:?}");
    assert_eq!(value(&recording, "used_ratio", "/data"), Some(0.6));
    assert_eq!(value(&recording, "avail_bytes", "/"), Some(f64::from(80 << 10) * 1_048_576.0));
    assert_eq!(value(&recording, "files_used_ratio", "/"), Some(0.25));
    assert_eq!(value(&recording, "files", "/data"), None);
    assert_eq!(value(&recording, "readonly", "/data"), Some(0.0));
    assert_eq!(value(&recording, "used_threshold_ratio", "critical"), Some(0.95));
    let details = [
        ("mounts".into(), Scalar::Number(2.0)),
        ("fullest_mount".into(), Scalar::Text("/data".into())),
        ("fullest_used_ratio".into(), Scalar::Number(0.6)),
    ];
    assert_eq!(recording.details, details);
}

#[tokio::test]
async fn a_full_file_system_is_named_with_what_is_left() {
    let disk = disk("{}", TWO, |point| Ok(percent_used(if point == "/data" { 96 } else { 92 })));
    assert_eq!(
        verdict(&disk).await,
        Verdict::unhealthy(
            Reason::Threshold,
            "/data has 4GiB of 100GiB available, used 96% at or above critical 95% (and 1 more)"
        )
    );
}

#[tokio::test]
async fn inodes_run_out_on_their_own() {
    let files = Files { total: 1_000, free: 80 };
    let disk = disk("{}", TWO, move |_| Ok(Usage { files: Some(files), ..percent_used(1) }));
    assert_eq!(
        verdict(&disk).await,
        Verdict::degraded(
            Reason::Threshold,
            "/ has 80 of 1000 inodes free, used 92% at or above warning 90% (and 1 more)"
        )
    );
}

#[tokio::test]
async fn limits_that_are_off_are_neither_judged_nor_shown() {
    let disk = disk("{space: null, inodes: ~}", TWO, |_| Ok(percent_used(100)));
    let (verdict, recording) = run(&disk).await;
    assert_eq!(verdict.unwrap(), Verdict::Healthy);
    assert_eq!(value(&recording, "used_threshold_ratio", "critical"), None);
}

#[tokio::test]
async fn an_image_is_full_by_design() {
    let image = "27 1 8:0 / / ro - btrfs /dev/sda ro";
    assert_eq!(verdict(&disk("{}", image, |_| Ok(percent_used(100)))).await, Verdict::Healthy);
}

#[tokio::test]
async fn only_a_file_system_that_was_writable_can_turn_read_only() {
    let round = Arc::new(AtomicUsize::new(0));
    let state = round.clone();
    let rounds = ["ro", "rw", "ro", "gone", "ro"];
    let mounts = move || match rounds[state.load(Ordering::Relaxed)] {
        "gone" => Ok(String::new()),
        mode => Ok(format!("28 27 8:16 / /data rw - ext4 /dev/sdb {mode}")),
    };
    let usage = Box::new(|_: &str| Ok(percent_used(1)));
    let disk = Disk::new(settings("{}"), Fake { mounts: Box::new(mounts), usage });
    let turned = Verdict::unhealthy(Reason::Assertion, "/data has turned read-only");
    let healthy = Verdict::Healthy;
    for expected in [&healthy, &healthy, &turned, &healthy, &healthy] {
        assert_eq!(&verdict(&disk).await, expected, "round {round:?}");
        round.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_named_mount_point_must_be_mounted() {
    let disk = disk("mounts: {include: [/, /backup]}", TWO, |_| Ok(percent_used(1)));
    let expected = Verdict::unhealthy(Reason::Assertion, "nothing is mounted at /backup");
    assert_eq!(verdict(&disk).await, expected);
}

#[tokio::test]
async fn a_pattern_that_matches_nothing_is_no_health() {
    let disk = disk("mounts: {include: [/backup/*]}", TWO, |_| Ok(percent_used(1)));
    let message = "no file system matches `mounts.include`";
    assert_eq!(verdict(&disk).await, Verdict::unhealthy(Reason::Assertion, message));
}

fn timed_out(verdict: Verdict) -> Finding {
    match verdict {
        Verdict::Unhealthy(finding) if finding.reason == Reason::Timeout => finding,
        other => panic!("{other:?}"),
    }
}

/// A disk whose `/data` answers only when something is sent; it counts how often it was asked.
fn hanging() -> (Disk, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (release, hold) = mpsc::channel();
    let asked = Arc::new(AtomicUsize::new(0));
    let (hold, count) = (std::sync::Mutex::new(hold), asked.clone());
    let disk = disk("{}", TWO, move |point| {
        if point == "/data" {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = hold.lock().unwrap().recv();
        }
        Ok(percent_used(50))
    });
    (disk, release, asked)
}

#[tokio::test]
async fn a_mount_that_hangs_costs_one_thread_and_spares_the_others() {
    let (disk, release, asked) = hanging();
    let timeout = Duration::from_millis(500);
    for _ in 0..3 {
        let (verdict, recording) = run_within(&disk, timeout).await;
        let finding = timed_out(verdict.unwrap());
        assert!(finding.message.starts_with("/data has not answered for "), "{finding:?}");
        assert_eq!(value(&recording, "used_ratio", "/"), Some(0.5));
        assert_eq!(value(&recording, "used_ratio", "/data"), None);
        assert_eq!(value(&recording, "readonly", "/data"), Some(0.0));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    drop(release);
    let recovered = async {
        while verdict(&disk).await != Verdict::Healthy {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), recovered).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_dead_server_of_many_mounts_takes_few_threads_and_none_of_the_local_ones() {
    let points: Vec<_> = (0..9).map(|number| format!("/nfs{number}")).collect();
    let mounts = points.iter().enumerate();
    let mounts = mounts.map(|(id, point)| format!("9 1 0:{id} / {point} rw - nfs4 store:/ rw\n"));
    let text = format!("{TWO}{}", mounts.collect::<Vec<_>>().concat());
    let (release, hold) = mpsc::channel::<()>();
    let (asked, hold) = (Arc::new(AtomicUsize::new(0)), std::sync::Mutex::new(hold));
    let count = asked.clone();
    let usage = move |point: &str| {
        if point != "/" {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = hold.lock().unwrap().recv();
        }
        Ok(percent_used(50))
    };
    let disk = Disk::new(
        settings(&format!("mounts: {{include: [/, {}]}}", points.join(", "))),
        Fake { mounts: Box::new(move || Ok(text.clone())), usage: Box::new(usage) },
    );
    for _ in 0..2 {
        let (verdict, recording) = run_within(&disk, Duration::from_millis(500)).await;
        let finding = timed_out(verdict.unwrap());
        assert!(finding.message.starts_with("/nfs0 has not answered for "), "{finding:?}");
        assert!(finding.message.ends_with("s (and 8 more)"), "{finding:?}");
        assert_eq!(value(&recording, "used_ratio", "/"), Some(0.5));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    drop(release);
}

#[tokio::test]
async fn a_run_that_is_dropped_leaves_the_question_open() {
    let (disk, release, asked) = hanging();
    let context =
        ProbeContext::new(Duration::from_mins(1), CancellationToken::new(), Handle::current());
    tokio::select! {
        biased;
        _ = disk.probe(&context) => unreachable!("the probe waits for /data"),
        () = async {
            while asked.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    let (verdict, _) = run_within(&disk, Duration::from_mins(1)).await;
    timed_out(verdict.unwrap());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    drop(release);
}

#[tokio::test]
async fn a_broken_file_system_is_unhealthy() {
    let disk = disk("{}", TWO, |_| Err(io::Error::from_raw_os_error(5)));
    let Verdict::Unhealthy(finding) = verdict(&disk).await else { panic!("not unhealthy") };
    assert_eq!(finding.reason, Reason::Assertion);
    #[cfg(unix)]
    assert_eq!(finding.message, "/ cannot be read: Input/output error (os error 5) (and 1 more)");
}

#[tokio::test]
async fn what_we_may_not_see_costs_its_readings_unless_it_is_named() {
    let denied = |point: &str| match point {
        "/data" => Err(io::ErrorKind::PermissionDenied.into()),
        _ => Ok(percent_used(1)),
    };
    let (verdict, recording) = run(&disk("{}", TWO, denied)).await;
    assert_eq!(verdict.unwrap(), Verdict::Healthy);
    assert!(recording.details.contains(&("not_readable".into(), Scalar::Text("/data".into()))));

    let named = disk("{mounts: {include: [/, /data]}, space: {warning: 1%}}", TWO, denied);
    let failure = run(&named).await.0.unwrap_err();
    assert_eq!(failure.reason, Reason::Auth);
    assert_eq!(failure.message, "/data cannot be seen: permission denied");
}

#[tokio::test]
async fn without_a_list_of_mounts_there_is_no_verdict() {
    let mut disk = disk("{}", TWO, |_| Ok(percent_used(1)));
    let mounts = Box::new(|| Err(io::ErrorKind::NotFound.into()));
    disk.file_systems = Arc::new(Fake { mounts, usage: Box::new(|_| Ok(percent_used(1))) });
    assert_eq!(run(&disk).await.0.unwrap_err().reason, Reason::Internal);
    disk.params.root = "/host".into();
    let failure = run(&disk).await.0.unwrap_err();
    assert_eq!(failure.reason, Reason::Config);
    let message = "the mounts of the machine at /host cannot be listed, is its /proc there?";
    assert_eq!(failure.message, message);
}

fn problems(text: &str) -> Vec<String> {
    let node = node::parse(text, "f.yml").unwrap();
    let (wire, lag) = (Arc::default(), Arc::default());
    let shared = Shared { wire, runtime: Handle::current(), lag };
    let Err(problems) = build(Params::new(&node, "disk"), &shared) else { panic!("built") };
    problems.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_rule_that_is_broken_is_reported() {
    let text = "\
mounts:
  include: [/data, /x*]
  exclude: [/x*, /data/]
space: {warning: 95%, critical: 90%}
inodes: {warning: 1}
";
    assert_eq!(
        problems(text),
        [
            "f.yml:4:8: disk.space: expected a warning that is not above critical",
            "f.yml:3:18: disk.mounts.exclude[1]: expected a mount point that is not included, \
             found `/data`",
        ]
    );
}

#[tokio::test]
async fn another_root_is_an_absolute_path_on_linux() {
    let expected =
        if cfg!(target_os = "linux") { "an absolute path" } else { "`/`, since this is not Linux" };
    let problem = format!("f.yml:1:7: disk.root: expected {expected}, found `host`");
    assert_eq!(problems("root: host"), [problem]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn this_machine_has_a_root() {
    let machine = super::Machine::new(std::path::Path::new("/"));
    let disk = Disk::new(settings("mounts: {include: [/]}"), machine);
    let (_, recording) = run(&disk).await;
    assert!(value(&recording, "size_bytes", "/").is_some_and(|size| size > 0.0));
}

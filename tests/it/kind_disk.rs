use std::{ffi::OsStr, path::Path, process::Command};

use tempfile::TempDir;

use crate::app::TestApp;

/// A machine whose mounts are lines of a file; their space is that of the test's own disk.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(machine.root().join("proc/1")).unwrap();
        std::fs::create_dir(machine.root().join("data")).unwrap();
        machine
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    /// Mounts `/data` with these options, or not at all.
    fn mount_data(&self, options: Option<&str>) {
        let root = "27 1 8:0 / / rw - ext4 /dev/sda rw".to_owned();
        let data = options.map(|it| format!("28 27 8:16 / /data rw - ext4 /dev/sdb {it}"));
        let lines: Vec<_> = [root].into_iter().chain(data).collect();
        // Replaced as a whole, so that nobody reads half of it.
        let new = self.root().join("new");
        std::fs::write(&new, lines.join("\n")).unwrap();
        std::fs::rename(new, self.root().join("proc/1/mountinfo")).unwrap();
    }

    fn watched(&self, settings: &str) -> TestApp {
        let root = self.root().display();
        TestApp::start(&format!(
            "checks: [{{name: disk, interval: 200ms, failure_threshold: 1, \
             disk: {{root: '{root}', inodes: null, {settings}}}}}]"
        ))
    }
}

const DISK: (&str, &str) = ("check", "disk");

#[test]
fn this_machine_shows_its_file_systems_in_metrics_and_health() {
    let app = TestApp::start(
        "checks: [{name: disk, interval: 200ms, disk: {mounts: {include: [/]}, space: {critical: 1}}}]",
    );
    let view = app.wait_until("disk", "known", |view| view["details"]["mounts"].is_number());
    assert_eq!(view["details"]["mounts"], 1.0);
    let scrape = app.scrape();
    let root = [DISK, ("mountpoint", "/")];
    for family in ["size_bytes", "avail_bytes", "readonly"] {
        let value = scrape.value(&format!("health_system_filesystem_{family}"), &root);
        assert!(value.is_some_and(|value| value >= 0.0), "{family}: {value:?}");
    }
    let threshold = "health_system_filesystem_used_threshold_ratio";
    assert_eq!(scrape.value(threshold, &[DISK, ("level", "critical")]), Some(1.0));
    assert_eq!(scrape.value(threshold, &[DISK, ("level", "warning")]), None);
}

#[test]
fn a_file_system_that_turns_read_only_is_unhealthy_until_it_is_writable_again() {
    let machine = Machine::new();
    machine.mount_data(Some("rw,errors=remount-ro"));
    let app = machine.watched("space: null");
    app.wait_for("disk", "healthy");
    let data = [DISK, ("mountpoint", "/data"), ("device", "/dev/sdb"), ("fstype", "ext4")];
    assert_eq!(app.scrape().value("health_system_filesystem_readonly", &data), Some(0.0));

    machine.mount_data(Some("ro,errors=remount-ro"));
    let view = app.wait_for("disk", "unhealthy");
    assert_eq!(
        (&view["reason"], &view["error"]),
        (&"assertion".into(), &"/data has turned read-only".into())
    );
    assert_eq!(app.scrape().value("health_system_filesystem_readonly", &data), Some(1.0));

    machine.mount_data(Some("rw"));
    app.wait_for("disk", "healthy");
    let transitions = app.transitions("disk");
    let bad = transitions.iter().filter(|line| line.contains("-> unhealthy")).count();
    let good = transitions.iter().filter(|line| line.contains("unhealthy -> healthy")).count();
    assert_eq!((bad, good), (1, 1), "{transitions:?}");
}

#[test]
fn a_named_mount_that_goes_away_is_unhealthy_and_its_series_are_gone() {
    let machine = Machine::new();
    machine.mount_data(Some("rw"));
    let app = machine.watched("space: null, mounts: {include: [/, /data]}");
    app.wait_for("disk", "healthy");
    let size = "health_system_filesystem_size_bytes";
    assert!(app.scrape().value(size, &[DISK, ("mountpoint", "/data")]).is_some());

    machine.mount_data(None);
    let view = app.wait_for("disk", "unhealthy");
    assert_eq!(view["error"], "nothing is mounted at /data");
    let scrape = app.scrape();
    assert_eq!(scrape.value(size, &[DISK, ("mountpoint", "/data")]), None);
    assert!(scrape.value(size, &[DISK, ("mountpoint", "/")]).is_some());

    machine.mount_data(Some("rw"));
    app.wait_for("disk", "healthy");
}

#[test]
fn a_limit_that_is_passed_makes_it_degraded_or_unhealthy() {
    let machine = Machine::new();
    machine.mount_data(None);
    for (limits, status) in [("{warning: 0%}", "degraded"), ("{critical: 0%}", "unhealthy")] {
        let app = machine.watched(&format!("space: {limits}"));
        let view = app.wait_for("disk", status);
        assert_eq!(view["reason"], "threshold");
        let error = view["error"].as_str().unwrap();
        assert!(error.starts_with("/ has ") && error.contains(" available, used "), "{error}");
    }
}

#[test]
fn a_machine_without_a_list_of_mounts_is_error_config() {
    let machine = Machine::new();
    let app = machine.watched("space: {critical: 99%}");
    let view = app.wait_for("disk", "error");
    assert_eq!(view["reason"], "config");
    let threshold = "health_system_filesystem_used_threshold_ratio";
    assert_eq!(app.scrape().value(threshold, &[DISK, ("level", "critical")]), Some(0.99));
}

#[test]
fn every_mistake_in_the_settings_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("health.yml");
    std::fs::write(
        &path,
        "checks:
  - name: disk
    disk:
      root: host
      mounts: {include: [/data], exclude: [/data/]}
      space: {warning: 95%, critical: 90%}
  - name: host
    system:
      memory: {warning: 2}
",
    )
    .unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_health-exporter"))
        .args([OsStr::new("check-config"), path.as_os_str()])
        .output()
        .unwrap();
    assert_eq!(checked.status.code(), Some(2));
    let file = path.display();
    let expected = format!(
        "{file}:4:13: check `disk`: disk.root: expected an absolute path, found `host`
{file}:5:44: check `disk`: disk.mounts.exclude[0]: expected a mount point that is not included, \
         found `/data`
{file}:6:14: check `disk`: disk.space: expected a warning that is not above critical
{file}:9:25: check `host`: system.memory.warning: expected a share from 0 to 1 or 0% to 100%, \
         found `2`
"
    );
    assert_eq!(String::from_utf8_lossy(&checked.stderr), expected);
}

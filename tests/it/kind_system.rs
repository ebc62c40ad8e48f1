use std::path::Path;

use tempfile::TempDir;

use crate::app::TestApp;

/// A machine that is nothing but files.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(machine.root().join("proc")).unwrap();
        machine.write("loadavg", "0.50 3.00 1.50 1/90 32266\n");
        machine.write("stat", "cpu  100 0 0 100 0 0 0 0\ncpu0 1\ncpu1 1\nbtime 1767323041\n");
        machine.has_available(50);
        machine
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn has_available(&self, percent: u32) {
        let meminfo = format!("MemTotal: 1024000 kB\nMemAvailable: {} kB\n", percent * 10_240);
        self.write("meminfo", &meminfo);
    }

    /// Replaces a file as a whole, so that nobody reads half of it.
    fn write(&self, file: &str, text: &str) {
        let new = self.root().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.root().join("proc").join(file)).unwrap();
    }

    fn watched(&self, settings: &str) -> TestApp {
        let root = self.root().display();
        TestApp::start(&format!(
            "checks: [{{name: host, interval: 200ms, failure_threshold: 1, \
             system: {{root: '{root}', {settings}}}}}]"
        ))
    }
}

const HOST: (&str, &str) = ("check", "host");

#[test]
fn this_machine_shows_itself_in_metrics_and_health() {
    let app =
        TestApp::start("checks: [{name: host, interval: 300ms, system: {memory: {critical: 1}}}]");
    let view = app.wait_until("host", "known", |view| view["details"]["cpu_used_ratio"].is_f64());
    assert!(view["details"]["memory_used_ratio"].is_f64(), "{view:#}");
    let scrape = app.scrape();
    for family in
        ["cpus", "load5", "memory_total_bytes", "memory_available_bytes", "boot_time_seconds"]
    {
        let value = scrape.value(&format!("health_system_{family}"), &[HOST]);
        assert!(value.is_some_and(|value| value >= 0.0), "{family}: {value:?}");
    }
    let idle = scrape.value("health_system_cpu_seconds_total", &[HOST, ("mode", "idle")]);
    assert!(idle.is_some_and(|seconds| seconds > 0.0));
    let threshold = "health_system_memory_used_threshold_ratio";
    assert_eq!(scrape.value(threshold, &[HOST, ("level", "critical")]), Some(1.0));
    assert_eq!(scrape.value(threshold, &[HOST, ("level", "warning")]), None);
}

#[test]
fn memory_that_runs_out_makes_it_degraded_then_unhealthy_and_it_recovers() {
    let machine = Machine::new();
    let app = machine.watched("memory: {warning: 80%, critical: 90%}");
    app.wait_for("host", "healthy");

    machine.has_available(15);
    let view = app.wait_for("host", "degraded");
    assert_eq!(view["reason"], "threshold");
    assert_eq!(
        view["error"],
        "150MiB of 1000MiB memory available, used 85% at or above warning 80%"
    );
    let used = app.scrape().value("health_system_memory_used_ratio", &[HOST]);
    assert!(used.is_some_and(|used| (used - 0.85).abs() < 0.001), "{used:?}");

    machine.has_available(5);
    let view = app.wait_for("host", "unhealthy");
    assert_eq!(
        view["error"],
        "50MiB of 1000MiB memory available, used 95% at or above critical 90%"
    );

    machine.has_available(50);
    app.wait_for("host", "healthy");
    let transitions = app.transitions("host");
    let bad = transitions.iter().filter(|line| line.contains("-> unhealthy")).count();
    let good = transitions.iter().filter(|line| line.contains("unhealthy -> healthy")).count();
    assert_eq!((bad, good), (1, 1), "{transitions:?}");
}

#[test]
fn load_is_judged_for_each_cpu() {
    let machine = Machine::new();
    let app = machine.watched("load: {warning: 1.2, critical: 8}");
    let view = app.wait_for("host", "degraded");
    assert_eq!(view["error"], "load of 5 minutes per CPU 1.5 at or above warning 1.2");
}

#[test]
fn a_root_without_files_is_error_config_and_its_limits_stay_visible() {
    let nothing = tempfile::tempdir().unwrap();
    let root = nothing.path().display();
    let app = TestApp::start(&format!(
        "checks: [{{name: host, interval: 200ms, system: {{root: '{root}'}}}}]"
    ));
    let view = app.wait_for("host", "error");
    assert_eq!(view["reason"], "config");
    let message = format!("nothing of the machine at {root} can be read, is its /proc there?");
    assert_eq!(view["error"], message);
    let scrape = app.scrape();
    let threshold = "health_system_memory_used_threshold_ratio";
    assert_eq!(scrape.value(threshold, &[HOST, ("level", "critical")]), Some(0.95));
    assert_eq!(scrape.value("health_system_memory_used_ratio", &[HOST]), None);
}

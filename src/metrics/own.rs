//! What the exporter measures of itself.

use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, core::Collector,
};

use super::exposition::FamilyType;
use crate::state::ProcessPhase;

/// A family of the exporter itself: name, help text, type and labels.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnFamily {
    pub name: &'static str,
    pub help: &'static str,
    pub metric_type: FamilyType,
    pub labels: &'static [&'static str],
}

pub(super) const fn own(
    metric_type: FamilyType,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> OwnFamily {
    OwnFamily { name, help, metric_type, labels }
}

/// Declares the families as a struct of metrics and as a table for the documentation.
macro_rules! own_metrics {
    ($($(#[$doc:meta])* $field:ident: $type:ident = $make:ident(FamilyType::$kind:ident, $name:literal, [$($label:literal),*], $help:literal);)*) => {
        /// The exporter's own metrics; each field is a family.
        #[derive(Clone)]
        pub struct OwnMetrics { $($(#[$doc])* pub $field: $type,)* }

        pub(super) const OWN_FAMILIES: &[OwnFamily] =
            &[$(own(FamilyType::$kind, $name, &[$($label),*], $help),)*];

        impl OwnMetrics {
            /// Registers every family with `registry`.
            ///
            /// # Errors
            /// The registry has a family of one of these names already.
            pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
                let own = Self { $($field: $make(&own(FamilyType::$kind, $name, &[$($label),*], $help))?,)* };
                $(registry.register(Box::new(own.$field.clone()) as Box<dyn Collector>)?;)*
                Ok(own)
            }
        }
    };
}

own_metrics! {
    /// Always 1.
    build_info: IntGaugeVec = gauges(FamilyType::Gauge, "health_exporter_build_info", ["version", "revision"],
        "The version of the exporter; the value is always 1.");
    /// Always 1.
    config_info: IntGaugeVec = gauges(FamilyType::Gauge, "health_exporter_config_info", ["config_hash"],
        "A hash of the configuration in force; the value is always 1.");
    /// 1 or 0; absent in a program that has no configuration of ours.
    config_last_reload_successful: IntGaugeVec = gauges(FamilyType::Gauge, "health_exporter_config_last_reload_successful", [],
        "Whether the last attempt to load the configuration was successful.");
    /// Unix seconds; absent like the one before.
    config_last_reload_success: GaugeVec = float_gauges(FamilyType::Gauge, "health_exporter_config_last_reload_success_timestamp_seconds", [],
        "When the configuration was last loaded with success.");
    /// The number of checks.
    checks_configured: IntGauge = gauge(FamilyType::Gauge, "health_exporter_checks_configured", [],
        "The number of checks.");
    /// One-hot.
    phase: IntGaugeVec = gauges(FamilyType::Gauge, "health_exporter_phase", ["phase"],
        "Where the process stands: 1 for the phase that holds, 0 for the others.");
    /// Unix seconds, set at every scrape.
    time: Gauge = float_gauge(FamilyType::Gauge, "health_exporter_time_seconds", [],
        "The clock of the exporter at the scrape.");
    /// Between the moment a run is due and its start.
    scheduler_lag: Histogram = histogram(FamilyType::Histogram, "health_exporter_scheduler_lag_seconds", [],
        "How late runs are started.");
    /// Of the runtime that runs the probes.
    event_loop_lag: Histogram = histogram(FamilyType::Histogram, "health_exporter_event_loop_lag_seconds", [],
        "How late the event loop that runs the probes comes round.");
    /// In use or waited for.
    permits: IntGaugeVec = gauges(FamilyType::Gauge, "health_exporter_permits", ["state"],
        "Permits to run a probe, by whether they are in use or waited for.");
    /// From the start of a run to its permit.
    permit_wait: Histogram = histogram(FamilyType::Histogram, "health_exporter_permit_wait_seconds", [],
        "How long runs wait for their permit.");
    /// Runs that hold a thread or task beyond their deadline.
    runs_hung: IntGauge = gauge(FamilyType::Gauge, "health_exporter_runs_hung", [],
        "Runs that neither ended nor yielded after their deadline; each may hold a worker thread.");
    /// By background task.
    task_panics: IntCounterVec = counters(FamilyType::Counter, "health_exporter_task_panics_total", ["task"],
        "Panics of background tasks of the exporter itself.");
    /// By background task.
    task_restarts: IntCounterVec = counters(FamilyType::Counter, "health_exporter_task_restarts_total", ["task"],
        "Restarts of background tasks of the exporter itself.");
    /// By endpoint.
    http_requests: IntCounterVec = counters(FamilyType::Counter, "health_exporter_http_requests_total", ["handler", "method", "code"],
        "Requests answered, by endpoint.");
    /// By endpoint.
    http_request_duration: HistogramVec = histograms(FamilyType::Histogram, "health_exporter_http_request_duration_seconds", ["handler"],
        "How long requests take to answer, by endpoint.");
    /// Now.
    http_requests_in_flight: IntGauge = gauge(FamilyType::Gauge, "health_exporter_http_requests_in_flight", [],
        "Requests that are being answered.");
    /// Of the encoding.
    scrape_duration: Gauge = float_gauge(FamilyType::Gauge, "health_exporter_scrape_duration_seconds", [],
        "How long the encoding of this scrape took, without its last lines.");
    /// Rows.
    scrape_samples: IntGauge = gauge(FamilyType::Gauge, "health_exporter_scrape_samples", [],
        "The number of samples about checks in this scrape.");
    /// By family.
    series_dropped: IntCounterVec = counters(FamilyType::Counter, "health_exporter_series_dropped_total", ["family"],
        "Readings left out because a check had more than metrics.max_series.");
}

fn opts(family: &OwnFamily) -> Opts {
    Opts::new(family.name, family.help)
}

fn gauge(family: &OwnFamily) -> prometheus::Result<IntGauge> {
    IntGauge::with_opts(opts(family))
}

fn float_gauge(family: &OwnFamily) -> prometheus::Result<Gauge> {
    Gauge::with_opts(opts(family))
}

fn float_gauges(family: &OwnFamily) -> prometheus::Result<GaugeVec> {
    GaugeVec::new(opts(family), family.labels)
}

fn gauges(family: &OwnFamily) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(opts(family), family.labels)
}

fn counters(family: &OwnFamily) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(opts(family), family.labels)
}

/// From half a millisecond, below which nobody waits, to the longest useful timeout.
const BUCKETS: [f64; 9] = [0.0005, 0.0025, 0.01, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

fn histogram(family: &OwnFamily) -> prometheus::Result<Histogram> {
    Histogram::with_opts(HistogramOpts::from(opts(family)).buckets(BUCKETS.to_vec()))
}

fn histograms(family: &OwnFamily) -> prometheus::Result<HistogramVec> {
    HistogramVec::new(HistogramOpts::from(opts(family)).buckets(BUCKETS.to_vec()), family.labels)
}

/// The background task that is watched over: the one that runs the checks.
pub const SCHEDULER: &str = "scheduler";

impl OwnMetrics {
    /// Shows every series whose labels are known from the start.
    pub(super) fn initialise(&self) {
        let revision = option_env!("HEALTH_EXPORTER_REVISION").unwrap_or("");
        self.build_info.with_label_values(&[env!("CARGO_PKG_VERSION"), revision]).set(1);
        self.task_panics.with_label_values(&[SCHEDULER]).reset();
        self.task_restarts.with_label_values(&[SCHEDULER]).reset();
        for state in ["in_use", "waiting"] {
            self.permits.with_label_values(&[state]).set(0);
        }
    }

    /// Shows the phase of the process.
    pub(super) fn show_phase(&self, now: ProcessPhase) {
        for phase in ProcessPhase::ALL {
            self.phase.with_label_values(&[phase.as_str()]).set(i64::from(phase == now));
        }
    }

    /// Counts a panic of a background task that goes on all the same.
    pub fn task_restarted(&self, task: &str) {
        self.task_panics.with_label_values(&[task]).inc();
        self.task_restarts.with_label_values(&[task]).inc();
    }

    /// Notes that the configuration with this hash is in force since `unix_seconds`.
    pub fn configuration_loaded(&self, hash: &str, unix_seconds: f64) {
        self.config_info.reset();
        self.config_info.with_label_values(&[hash]).set(1);
        self.config_last_reload_successful.with_label_values::<&str>(&[]).set(1);
        self.config_last_reload_success.with_label_values::<&str>(&[]).set(unix_seconds);
    }

    /// Counts an answered request.
    pub fn request_answered(&self, handler: &str, method: &str, code: u16, duration: Duration) {
        let code = code.to_string();
        self.http_requests.with_label_values(&[handler, method, &code]).inc();
        let durations = self.http_request_duration.with_label_values(&[handler]);
        durations.observe(duration.as_secs_f64());
    }
}
